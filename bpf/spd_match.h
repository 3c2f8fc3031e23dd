/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * spd_match.h - step 2 of the walk for cleartext: the first policy of the SPD that matches.
 *
 * Tuple-space search: keyd lists the combinations of masks that occur among the policies, sorted
 * by the best rank found behind each; one hash look-up per combination, and none once nothing
 * better can follow. The cost grows with the kinds of policies, not with their number.
 *
 * A commit of a new generation may overtake a search. keyd changes and deletes entries only of
 * generations that are no longer committed, so a search whose generation is still the committed
 * one when it ends saw one whole SPD; any other result is thrown away and the search made again,
 * once: without that, a protect entry deleted under our eyes would let a bypass below it win.
 */
#ifndef XESP_BPF_SPD_MATCH_H
#define XESP_BPF_SPD_MATCH_H

#include "maps.h"
#include "parse.h"

#define SPD_RANK_NONE 0xffffffff /* below every policy */

struct spd_search {
	struct xesp_spd_val best; /* what the search is for */
	struct xesp_addr local;
	struct xesp_addr remote;
	__u32 generation;
	__u32 first_tuple; /* index into xesp_spd_tuple */
	__be16 local_port;
	__be16 remote_port;
	__u8 dir;
	__u8 proto;
	__u8 family;
	bool ports_known;
	bool stale;
};

/* bpf_loop() callback: 1 ends the search. */
static long try_tuple(__u32 i, struct spd_search *s)
{
	__u32 index = s->first_tuple + i;
	struct xesp_spd_key key = { .generation = s->generation, .tuple = i, .dir = s->dir };
	const struct xesp_spd_tuple *t;
	const struct xesp_spd_val *v;

	t = bpf_map_lookup_elem(&xesp_spd_tuple, &index);
	if (!t || t->generation != s->generation) {
		s->stale = true;
		return 1;
	}
	if (t->best_rank >= s->best.rank)
		return 1;
	if (t->family && t->family != s->family)
		return 0;
	if ((t->local_port_mask || t->remote_port_mask) && !s->ports_known)
		return 0;

	for (int w = 0; w < 4; w++) {
		key.local.w[w] = s->local.w[w] & t->local_mask.w[w];
		key.remote.w[w] = s->remote.w[w] & t->remote_mask.w[w];
	}
	key.local_port = s->local_port & t->local_port_mask;
	key.remote_port = s->remote_port & t->remote_port_mask;
	key.proto = s->proto & t->proto_mask;
	v = bpf_map_lookup_elem(&xesp_spd, &key);
	if (v && v->rank < s->best.rank)
		s->best = *v;
	return 0;
}

/* Outbound, local is the source; inbound, it is the destination. */
static __always_inline void orient(struct spd_search *s, const struct packet *p, __u32 dir)
{
	bool out = dir == XESP_DIR_OUT;

	s->local = out ? p->src : p->dst;
	s->remote = out ? p->dst : p->src;
	s->local_port = out ? p->sport : p->dport;
	s->remote_port = out ? p->dport : p->sport;
	s->dir = dir;
	s->proto = p->proto;
	s->family = p->family;
	s->ports_known = p->ports_known;
}

/*
 * The committed generation; 0 when nothing was ever loaded. Read anew at each call. Its other end
 * is the release store in keyd/publish_maps.c. What is looked up afterwards depends on it by
 * address; that the second read comes after the look-ups is x86's order of loads: on a CPU that
 * reorders them keyd's deletes, system calls later, are what keeps the window shut in practice.
 */
static __always_inline __u32 spd_generation(void)
{
	const __u32 zero = 0;
	const struct xesp_conf *conf = bpf_map_lookup_elem(&xesp_conf, &zero);

	return conf ? *(const volatile __u32 *)&conf->generation : 0;
}

static __noinline enum xesp_drop search_generation(struct spd_search *s)
{
	__u32 half = s->generation & 1;
	const struct xesp_spd_head *head = bpf_map_lookup_elem(&xesp_spd_head, &half);
	__u32 tuples_n;

	if (!head || head->generation != s->generation)
		return XESP_DROP_STALE_MAPS;
	tuples_n = head->tuples_n[s->dir == XESP_DIR_IN];
	if (tuples_n > XESP_TUPLES_MAX)
		return XESP_DROP_STALE_MAPS;
	s->best = (struct xesp_spd_val){ .rank = SPD_RANK_NONE, .action = head->default_action };
	s->first_tuple = (half * XESP_DIR_MAX + s->dir) * XESP_TUPLES_MAX;
	s->stale = false;
	bpf_loop(tuples_n, try_tuple, s, 0);
	return s->stale || spd_generation() != s->generation ? XESP_DROP_STALE_MAPS :
							       XESP_DROP_NONE;
}

/*
 * XESP_DROP_NONE: *found is the first match; without one its policy is 0 and its action the
 * default. NOT_LOADED and STALE_MAPS: nothing is known about the packet.
 */
static __always_inline enum xesp_drop spd_match(const struct packet *p, __u32 dir,
						struct xesp_spd_val *found)
{
	struct spd_search s = {};
	enum xesp_drop why = XESP_DROP_STALE_MAPS;

	orient(&s, p, dir);
	for (int try = 0; try < 2 && why == XESP_DROP_STALE_MAPS; try++) {
		s.generation = spd_generation();
		if (!s.generation)
			return XESP_DROP_NOT_LOADED;
		why = search_generation(&s);
	}
	*found = s.best;
	return why;
}

#endif /* XESP_BPF_SPD_MATCH_H */
