/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * spd_match.h - step 2 of the walk for cleartext: the first policy of the SPD that matches.
 *
 * The search is xesp/spd_search.h's; here is how XDP reaches the maps, and what becomes of
 * fragments. A commit of a new generation may overtake a search: a result counts only when its
 * generation is still the committed one at its end, else the search is made again, once.
 */
#ifndef XESP_BPF_SPD_MATCH_H
#define XESP_BPF_SPD_MATCH_H

#include "maps.h"
#include "parse.h"

static __always_inline const struct xesp_spd_slot *spd_slot_at(const void *memory, __u32 i)
{
	(void)memory;
	return bpf_map_lookup_elem(&xesp_spd_slot, &i);
}

static __always_inline const struct xesp_spd_entry *spd_entry_at(const void *memory, __u32 i)
{
	(void)memory;
	return bpf_map_lookup_elem(&xesp_spd_entry, &i);
}

static __always_inline const struct xesp_spd_rule *spd_rule_at(const void *memory, __u32 i)
{
	(void)memory;
	return bpf_map_lookup_elem(&xesp_spd_rule, &i);
}

#include "xesp/spd_search.h"

/*
 * Not static: the verifier then looks at its loop once, by itself, and not anew with what it knows
 * at each place from which it is reached, which is more than it has patience for.
 */
__attribute__((noinline)) int spd_try(struct spd_search *s, __u32 index)
{
	if (!s)
		return 1;
	return spd_try_tuple(s, bpf_map_lookup_elem(&xesp_spd_tuple, &index));
}

/* bpf_loop() callback: 1 ends the search. */
static long try_tuple(__u32 i, struct spd_search *s)
{
	return spd_try(s, s->first_tuple + i) != 0;
}

static __always_inline enum xesp_fields fields_of(const struct packet *p)
{
	if (p->fragment == FRAGMENT_LATER)
		return XESP_FIELDS_LATER;
	return p->ports_known ? XESP_FIELDS_KNOWN : XESP_FIELDS_NONE;
}

/* Outbound, local is the source; inbound, it is the destination. */
static __always_inline void orient(struct spd_search *s, const struct packet *p, __u32 dir)
{
	bool out = dir == XESP_DIR_OUT;
	bool as_is = out || !spd_has_sides(p->proto);

	__builtin_memcpy(s->local, out ? &p->src : &p->dst, sizeof(s->local));
	__builtin_memcpy(s->remote, out ? &p->dst : &p->src, sizeof(s->remote));
	s->local_port = as_is ? p->sport : p->dport;
	s->remote_port = as_is ? p->dport : p->sport;
	s->dir = dir;
	s->proto = p->proto;
	s->packet_class = XESP_CLASS(p->family, fields_of(p));
}

/*
 * The committed generation; 0 when nothing was ever loaded. Read anew at each call. Its other end
 * is the release store in keyd/spd_table.c. What is looked up afterwards depends on it by
 * address; that the second read comes after the look-ups is x86's order of loads: on a CPU that
 * reorders them keyd's next change, a process switch later, is what keeps the window shut.
 */
static __always_inline __u32 spd_generation(void)
{
	const __u32 zero = 0;
	const struct xesp_conf *conf = bpf_map_lookup_elem(&xesp_conf, &zero);

	return conf ? *(const volatile __u32 *)&conf->generation : 0;
}

static __always_inline __u32 spd_slot_mask(void)
{
	const __u32 zero = 0;
	const struct xesp_conf *conf = bpf_map_lookup_elem(&xesp_conf, &zero);

	return conf ? conf->spd_slots - 1 : 0;
}

/* Inline: nested calls share 512 bytes of stack, of which kernel 6.1 counts each at 32 at least. */
static __always_inline enum xesp_drop search_generation(struct spd_search *s)
{
	__u32 half = s->generation & 1;
	__u32 tuples_n;

	if (!spd_begin(s, bpf_map_lookup_elem(&xesp_spd_head, &half), &tuples_n))
		return XESP_DROP_STALE_MAPS;
	bpf_loop(tuples_n, try_tuple, s, 0);
	return s->stale || spd_generation() != s->generation ? XESP_DROP_STALE_MAPS :
							       XESP_DROP_NONE;
}

static __always_inline void name_datagram(struct xesp_fragment_key *k, const struct packet *p,
					  __u8 dir)
{
	*k = (struct xesp_fragment_key){ .src = p->src,
					 .dst = p->dst,
					 .id = p->frag_id,
					 .proto = p->family == 4 ? p->proto : 0,
					 .dir = dir };
}

/* Nothing is to be remembered of a first fragment when no policy leaves a later one in doubt. */
static __noinline void remember_fragment(const struct packet *p, const struct spd_search *s)
{
	__u32 half = s->generation & 1;
	const struct xesp_spd_head *head = bpf_map_lookup_elem(&xesp_spd_head, &half);
	struct xesp_fragment f = { .generation = s->generation, .val = s->best };
	struct xesp_fragment_key k;

	if (!head || !(head->fragments & 1 << s->dir))
		return;
	name_datagram(&k, p, s->dir);
	f.seen_ns = bpf_ktime_get_ns();
	bpf_map_update_elem(&xesp_fragments, &k, &f, BPF_ANY);
}

/* RFC 4301 section 7.3. Of another generation nothing is known: its tunnel may be gone. */
static __noinline enum xesp_drop recall_fragment(const struct packet *p, struct spd_search *s)
{
	const struct xesp_fragment *f;
	struct xesp_fragment_key k;

	name_datagram(&k, p, s->dir);
	f = bpf_map_lookup_elem(&xesp_fragments, &k);
	if (!f || f->generation != s->generation ||
	    bpf_ktime_get_ns() - f->seen_ns > XESP_FRAGMENT_NS)
		return XESP_DROP_FRAGMENT_UNKNOWN;
	s->best = f->val;
	return XESP_DROP_NONE;
}

/* What the search goes by, as words: two packets that agree in it get one answer. */
static __always_inline void ask(__u64 asked[5], const struct spd_search *s)
{
	asked[0] = s->local[0];
	asked[1] = s->local[1];
	asked[2] = s->remote[0];
	asked[3] = s->remote[1];
	asked[4] = (__u64)s->local_port | (__u64)s->remote_port << 16 | (__u64)s->proto << 32 |
		   (__u64)s->dir << 40 | (__u64)s->packet_class << 48;
}

/*
 * Where this CPU has a flow's answer: the first of the two places, whose neighbour is at ^ 1. Beyond the map, or none, without
 * memory for flows.
 */
static __always_inline __u32 flow_at(__u64 h)
{
	const __u32 zero = 0;
	const struct xesp_conf *conf = bpf_map_lookup_elem(&xesp_conf, &zero);

	if (!conf || !conf->flows)
		return ~0u;
	return bpf_get_smp_processor_id() * conf->flows + ((__u32)h & (conf->flows - 1));
}

static __always_inline bool is_answered(const struct xesp_flow *f, const __u64 asked[5],
					__u32 generation)
{
	return f->generation == generation &&
	       !((f->asked[0] ^ asked[0]) | (f->asked[1] ^ asked[1]) | (f->asked[2] ^ asked[2]) |
		 (f->asked[3] ^ asked[3]) | (f->asked[4] ^ asked[4]));
}

/* By itself and not in the caller, as the next: nested calls share 512 bytes of stack. */
static __noinline bool recall_answer(const __u64 asked[5], __u32 generation, struct xesp_spd_val *found)
{
	__u32 at = flow_at(spd_hash((const spd_word *)asked));

	for (int i = 0; i < 2; i++, at ^= 1) {
		const struct xesp_flow *f = bpf_map_lookup_elem(&xesp_flows, &at);

		if (!f || !is_answered(f, asked, generation))
			continue;
		*found = f->val;
		return true;
	}
	return false;
}

/*
 * Only this CPU writes the element, and the packet path is not interrupted by itself: softirqs do
 * not nest, and on a preemptible-RT kernel a driver's poll holds its CPU's softirq lock.
 * A flow prefers one of its two places by its hash: of three that share them one stays; were it the oldest that goes, three in
 * turn would each be gone every time.
 */
static __noinline int keep_answer(const __u64 asked[5], const struct spd_search *s)
{
	const __u64 h = spd_hash((const spd_word *)asked);
	__u32 at = flow_at(h), beside = at ^ 1;
	struct xesp_flow *f = bpf_map_lookup_elem(&xesp_flows, &at);
	struct xesp_flow *second = bpf_map_lookup_elem(&xesp_flows, &beside);

	if (!f || !second)
		return 0;
	if (f->generation == s->generation && (second->generation != s->generation || h >> 63))
		f = second;
	*(volatile __u32 *)&f->generation = 0;
	f->asked[0] = asked[0];
	f->asked[1] = asked[1];
	f->asked[2] = asked[2];
	f->asked[3] = asked[3];
	f->asked[4] = asked[4];
	f->val = s->best;
	*(volatile __u32 *)&f->generation = s->generation;
	return 0;
}

/*
 * XESP_DROP_NONE: *found is the first match; without one its policy is 0 and its action the
 * default. FRAGMENT_UNKNOWN: ports decide, and the fragment that had them was not seen; found->policy
 * is the first that could be meant. NOT_LOADED and STALE_MAPS: nothing is known about the packet.
 */
static __noinline enum xesp_drop spd_match(const struct packet *p, __u32 dir,
					   struct xesp_spd_val *found)
{
	struct spd_search s = {};
	enum xesp_drop why = XESP_DROP_STALE_MAPS;
	__u64 asked[5];

	orient(&s, p, dir);
	ask(asked, &s);
	if (p->fragment == FRAGMENT_NONE && recall_answer(asked, spd_generation(), found))
		return XESP_DROP_NONE;
	s.slot_mask = spd_slot_mask();
	for (int try = 0; try < 2 && why == XESP_DROP_STALE_MAPS; try++) {
		s.generation = spd_generation();
		if (!s.generation)
			return XESP_DROP_NOT_LOADED;
		why = search_generation(&s);
	}
	if (!why && p->fragment == FRAGMENT_NONE)
		keep_answer(asked, &s);
	if (!why && p->fragment == FRAGMENT_FIRST)
		remember_fragment(p, &s);
	if (!why && s.best.action == XESP_ACTION_FRAGMENT)
		why = recall_fragment(p, &s);
	*found = s.best;
	return why;
}

#endif /* XESP_BPF_SPD_MATCH_H */
