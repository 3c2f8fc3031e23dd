/* SPDX-License-Identifier: BSD-2-Clause */
/* xfrm_moved.c - see xfrm_moved.h. */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "keyd/sad.h"
#include "keyd/xfrm_moved.h"

static void remove_at(struct xfrm_moved *m, uint32_t i)
{
	m->n--;
	memmove(&m->peer[i], &m->peer[i + 1], (m->n - i) * sizeof(m->peer[0]));
}

bool xfrm_moved_note(struct xfrm_moved *m, const char *tunnel, const char *from, const char *to, uint64_t now_ms)
{
	struct xfrm_moved_peer fresh = { .told_ms = now_ms, .seen_ms = now_ms };
	bool known = false, again = false;
	uint32_t i = 0;

	while (i < m->n && strcmp(m->peer[i].tunnel, tunnel))
		i++;
	if (i < m->n) {
		again = !strcmp(m->peer[i].from, from) && !strcmp(m->peer[i].to, to) &&
			now_ms - m->peer[i].seen_ms < XFRM_MOVED_FORGET_MS;
		known = now_ms - m->peer[i].told_ms < XFRM_MOVED_PAUSE_MS;
		if (again || known)
			fresh.told_ms = m->peer[i].told_ms;
		remove_at(m, i);
	} else if (m->n == XFRM_MOVED_MAX) {
		remove_at(m, 0);
	}
	snprintf(fresh.tunnel, sizeof(fresh.tunnel), "%s", tunnel);
	snprintf(fresh.from, sizeof(fresh.from), "%s", from);
	snprintf(fresh.to, sizeof(fresh.to), "%s", to);
	m->peer[m->n++] = fresh;
	return !again && !known;
}

/* Of a tunnel that the configuration does not have, an unserved SA's, nobody can say: it stands for its time. */
static bool stands(const struct xfrm_moved_peer *p, const struct sad *sad, uint64_t now_ms)
{
	char text[NATT_TEXT_MAX];

	for (uint32_t i = 0; i < sad->tunnels_n; i++)
		if (!strcmp(sad->tunnels[i].name, p->tunnel) &&
		    strcmp(natt_print_remote(&sad->tunnels[i], text), p->from))
			return false;
	return now_ms - p->seen_ms < XFRM_MOVED_FORGET_MS;
}

void xfrm_moved_show(struct xfrm_moved *m, const struct sad *sad, uint64_t now_ms, struct json_object *list)
{
	for (uint32_t i = 0; i < m->n;) {
		const struct xfrm_moved_peer *p = &m->peer[i];
		struct json_object *o;

		if (!stands(p, sad, now_ms)) {
			remove_at(m, i);
			continue;
		}
		o = json_object_new_object();
		json_object_object_add(o, "tunnel", json_object_new_string(p->tunnel));
		json_object_object_add(o, "remote", json_object_new_string(p->from));
		json_object_object_add(o, "peer", json_object_new_string(p->to));
		json_object_array_add(list, o);
		i++;
	}
}
