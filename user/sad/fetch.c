/* SPDX-License-Identifier: BSD-2-Clause */
/* fetch.c - see fetch.h. */
#include "crypto/engine.h"
#include "sad/fetch.h"
#include "sad/table.h"
#include "sad/tunnel.h"

/* Level 1: all that is found by the SA's id alone. */
static void fetch_by_id(const struct sad *s, uint32_t id)
{
	if (id >= s->st.max_sas)
		return;
	fetch_ahead(&s->shared[id]);
	fetch_line(&s->st.sa[id].seq_next);
}

/* Level 2: the SA itself, and which key. NULL: there is none. */
static const struct sa *fetch_sa(const struct sad *s, uint32_t worker, uint32_t id)
{
	/* As sad_find(). */
	const struct sa *sa = id < s->st.max_sas ? __atomic_load_n(&s->shared[id].sa, __ATOMIC_SEQ_CST) : NULL;

	if (sa) {
		fetch_ahead(&sa->state);
		fetch_ahead(&sa->key[worker]);
	}
	return sa;
}

/* Level 3 */
static void fetch_key(const struct sad *s, uint32_t worker, const struct sa *sa, uint32_t len)
{
	if (sa->key[worker] && s->engine->fetch)
		s->engine->fetch(sa->key[worker], len);
}

static void fetch_tunnel_slot(const struct sad *s, uint32_t id)
{
	if (id < s->tunnels_max)
		fetch_ahead(&s->tunnel[id]);
}

static const struct tunnel *fetch_tunnel(const struct sad *s, uint32_t id)
{
	/* As sad_tunnel(). */
	const struct tunnel *t = id < s->tunnels_max ?
				 __atomic_load_n(&s->tunnel[id].tunnel, __ATOMIC_SEQ_CST) : NULL;

	if (t)
		fetch_ahead(t);
	return t;
}

void fetch_inbound(const struct sad *s, uint32_t worker, const struct fetch_run *r, uint32_t n)
{
	const struct sa *sa[FETCH_MAX];

	for (uint32_t i = 0; i < n; i++)
		fetch_by_id(s, r[i].id);
	for (uint32_t i = 0; i < n; i++)
		sa[i] = fetch_sa(s, worker, r[i].id);
	for (uint32_t i = 0; i < n; i++) {
		if (!sa[i])
			continue;
		fetch_tunnel_slot(s, sa[i]->tunnel);
		fetch_key(s, worker, sa[i], r[i].len);
	}
	for (uint32_t i = 0; i < n; i++)
		if (sa[i])
			fetch_tunnel(s, sa[i]->tunnel);
}

void fetch_outbound(const struct sad *s, uint32_t worker, const struct fetch_run *r, uint32_t n)
{
	const struct tunnel *t[FETCH_MAX];
	const struct sa *sa[FETCH_MAX];
	uint32_t out[FETCH_MAX];

	for (uint32_t i = 0; i < n; i++)
		fetch_tunnel_slot(s, r[i].id);
	for (uint32_t i = 0; i < n; i++)
		t[i] = fetch_tunnel(s, r[i].id);
	for (uint32_t i = 0; i < n; i++) {
		out[i] = t[i] ? tunnel_out(t[i], worker) : 0;
		fetch_by_id(s, out[i]);
	}
	for (uint32_t i = 0; i < n; i++)
		sa[i] = fetch_sa(s, worker, out[i]);
	for (uint32_t i = 0; i < n; i++)
		if (sa[i])
			fetch_key(s, worker, sa[i], r[i].len);
}
