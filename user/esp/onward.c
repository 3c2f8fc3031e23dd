/* SPDX-License-Identifier: BSD-2-Clause */
/* onward.c - see onward.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "esp/onward.h"
#include "esp/spd_key.h"
#include "esp/stage.h"
#include "libxesp/line.h"
#include "libxesp/spd_memory.h"
#include "sad/group.h"
#include "sad/sa.h"
#include "sad/sad.h"
#include "sad/tunnel.h"

#define FLOWS 1024u /* a power of two */

struct onward_flow {
	struct spd_key key; /* made by assignment into zeroed memory: compared as bytes */
	uint32_t generation; /* 0: empty */
	struct xesp_spd_val val;
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct onward_flow) == 64, "one cache line");

struct onward {
	struct onward_flow flow[FLOWS];
};

int onward_open(struct onward **out)
{
	*out = line_alloc(sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void onward_close(struct onward *o)
{
	free(o);
}

static struct onward_flow *flow_of(struct onward *o, const struct spd_key *k)
{
	uint64_t h = k->local_port | (uint32_t)k->remote_port << 16;

	for (int i = 0; i < 4; i++)
		h = (h ^ k->local.w[i] ^ (uint64_t)k->remote.w[i] << 32) * 0x9e3779b97f4a7c15ull;
	return &o->flow[h >> 32 & (FLOWS - 1)];
}

/* The first policy that matches, as spd_memory_find() has it. Fragments are not remembered as flows. */
static enum xesp_drop find(struct esp_worker *w, const struct pkt *p, struct xesp_spd_val *val, bool *fragment)
{
	struct onward_flow *f;
	struct spd_query q;
	struct spd_key k;
	enum xesp_drop why = spd_key(&k, p->l3, p->len);

	*fragment = !why && (k.first || k.fields == XESP_FIELDS_LATER);
	if (why)
		return why;
	if (!w->st->spd)
		return XESP_DROP_NOT_LOADED;
	k.frag_id = 0;
	f = flow_of(w->onward, &k);
	if (f->generation == spd_memory_generation(w->st->spd) && f->generation &&
	    !memcmp(&f->key, &k, sizeof(k))) {
		*val = f->val;
		return XESP_DROP_NONE;
	}
	spd_key_query(&q, &k);
	f->generation = 0;
	why = spd_memory_find(w->st->spd, &q, &f->val, &f->generation);
	*val = f->val;
	if (why || *fragment)
		f->generation = 0;
	else
		f->key = k;
	return why;
}

/* Back into the tunnel, or the group of tunnels, that it came out of? */
static bool is_way_back(const struct esp_worker *w, const struct pkt *p, uint32_t tunnel)
{
	const struct group *g;

	if (!p->sa || p->sa->tunnel == tunnel)
		return p->sa != NULL;
	g = groups_any(w->groups) ? groups_find(w->groups, tunnel) : NULL;
	for (uint32_t i = 0; g && i < g->n; i++)
		if (g->member[i] == p->sa->tunnel)
			return true;
	return false;
}

/* Transport mode is for this machine's own packets; the kernel leads such a one to xesp0 and its policy. */
static bool is_transport(const struct esp_worker *w, uint32_t tunnel)
{
	const struct tunnel *t = sad_tunnel(w->sad, tunnel);

	return t && t->mode == XESP_MODE_TRANSPORT;
}

/* As intake makes a packet that XDP steered here. */
static enum onward_to protect(struct pkt *p, const struct xesp_spd_val *val)
{
	*p = (struct pkt){ .l3 = p->l3,
			   .len = p->len,
			   .id = val->tunnel,
			   .head = p->head,
			   .end = p->end,
			   .policy = val->policy,
			   .onward = true };
	return ONWARD_PROTECT;
}

static enum onward_to to_outer(struct pkt *p, const struct xesp_spd_val *val, enum xesp_drop *why)
{
	switch (val->action) {
	case XESP_ACTION_PROTECT:
		return protect(p, val);
	case XESP_ACTION_BYPASS:
		return ONWARD_CLEAR;
	case XESP_ACTION_FRAGMENT:
		*why = XESP_DROP_FRAGMENT_UNKNOWN;
		return ONWARD_DROP;
	default:
		*why = val->policy ? XESP_DROP_DISCARD : XESP_DROP_NO_POLICY;
		return ONWARD_DROP;
	}
}

enum onward_to onward_to(struct esp_worker *w, struct pkt *p, bool tunnels, uint8_t role,
			 enum xesp_drop *why)
{
	struct xesp_spd_val val;
	bool fragment;

	*why = find(w, p, &val, &fragment);
	if (tunnels)
		return !*why && !fragment && val.action == XESP_ACTION_PROTECT && !is_transport(w, val.tunnel) ?
			       protect(p, &val) : ONWARD_CLEAR;
	if (*why)
		return ONWARD_DROP;
	if (role & XESP_ROLE_INNER && (val.action == XESP_ACTION_BYPASS || val.action == XESP_ACTION_DISCARD ||
				       is_way_back(w, p, val.tunnel)))
		return ONWARD_CLEAR;
	return to_outer(p, &val, why);
}
