/* SPDX-License-Identifier: BSD-2-Clause */
/* balance.c - see balance.h. */
#include "esp/balance.h"
#include "esp/flow.h"
#include "esp/inner.h"
#include "esp/stage.h"
#include "sad/group.h"
#include "sad/lease.h"
#include "sad/tunnel.h"

static bool can_send(const struct esp_worker *w, uint32_t tunnel)
{
	const struct sa *sa = stage_outbound(w, sad_tunnel(w->sad, tunnel), tunnel);

	return sa && !lease_is_spent(sa);
}

static uint32_t choose(const struct esp_worker *w, const struct group *g, const struct pkt *p)
{
	struct inner in;
	uint32_t hash = 0;

	if (inner_parse(&in, p->l3, p->len)) /* else the next stage drops it, whichever it is */
		hash = flow_hash(p->l3, &in);
	for (uint32_t k = 0; k < g->n; k++)
		if (can_send(w, group_pick(g, hash, k)))
			return group_pick(g, hash, k);
	return group_pick(g, hash, 0);
}

void balance(struct esp_worker *w, struct batch *b)
{
	const struct group *g = NULL;
	uint32_t id = 0;

	if (!groups_any(w->groups))
		return;
	for (uint32_t i = 0; i < b->n; i++) {
		struct pkt *p = &b->pkt[i];

		if (stage_skips(p))
			continue;
		if (p->id != id) {
			id = p->id;
			g = groups_find(w->groups, id);
		}
		if (g)
			p->id = choose(w, g, p);
	}
}
