/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * spd_search.h - how the SPD of steer.h is searched, once for XDP, xespd and keyd.
 *
 * Why it is shared: the policy that lets a packet out in clear, the one that encapsulates the
 * gateway's own, and the check of what came out of a tunnel must be the same list read the same
 * way. Tuple-space search: one look-up for each combination of masks, and none once nothing better
 * can follow; the cost grows with the kinds of policies, not with their number. A filter of a bit a slot
 * says of most combinations that there is nothing, first for the addresses alone and thereby for
 * all combinations that have these masks of addresses, then for the whole key.
 *
 * Who includes it has defined before how memory is reached, NULL where there is none:
 * spd_slot_at(m, i), spd_entry_at(m, i) and spd_rule_at(m, i), m being spd_search.memory.
 * A search counts only when its generation is still the committed one at its end.
 */
#ifndef XESP_SPD_SEARCH_H
#define XESP_SPD_SEARCH_H

#include <linux/types.h>
#include "xesp/steer.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

/* The other ends are the stores in keyd/spd_store.c. BPF has no acquire: data depends by address. */
#ifdef __bpf__
#define SPD_LOAD(x) (*(const volatile __typeof__(x) *)&(x))
#else
#define SPD_LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#endif

#define SPD_RANK_NONE 0xffffffff /* below every policy */
#define SPD_KEY_WORDS 5

typedef __u64 __attribute__((may_alias)) spd_word;

struct spd_memory;

struct spd_search {
	struct xesp_spd_val best;        /* what the search is for */
	spd_word local[2], remote[2];    /* struct xesp_addr */
	__u64 absent; /* a bit for each pair of masks under which no key has these addresses */
	const struct spd_memory *memory;
	__u32 generation;
	__u32 first_tuple; /* index into xesp_spd_tuple */
	__u32 slot_mask;
	__be16 local_port;
	__be16 remote_port;
	__u8 dir;
	__u8 proto;
	__u8 packet_class; /* one XESP_CLASS() */
	__u8 stale;
};

/* A key and a slot as the words they are compared as. */
union spd_key_tail {
	struct {
		__be16 local_port, remote_port;
		__u16 tuple;
		__u8 dir, proto;
	} f;
	__u64 word;
};

union spd_slot_word {
	struct xesp_spd_slot f;
	__u64 word;
};

/* Nobody who sends packets chooses what is in the table, so the hash has no secret. */
static __always_inline __u64 spd_mix(__u64 h, __u64 w)
{
	h = (h ^ w) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 32;
}

/* Of a key's addresses, and from there of the whole key. */
static __always_inline __u64 spd_hash_addrs(const spd_word w[SPD_KEY_WORDS])
{
	__u64 h = 0;

	for (int i = 0; i < SPD_KEY_WORDS - 1; i++)
		h = spd_mix(h, w[i]);
	return h;
}

static __always_inline __u64 spd_hash(const spd_word w[SPD_KEY_WORDS])
{
	return spd_mix(spd_hash_addrs(w), w[SPD_KEY_WORDS - 1]);
}

/* May there be something with this hash? See XESP_SPD_ROOM(). */
static __always_inline _Bool spd_may_have(struct spd_search *s, __u64 h)
{
	const __u32 home = (__u32)h & s->slot_mask;
	const struct xesp_spd_slot *at = spd_slot_at(s->memory, s->slot_mask + 1 + home / 64);

	if (!at) {
		s->stale = 1;
		return 0;
	}
	return SPD_LOAD(*(const spd_word *)at) >> (home & 63) & 1;
}

/* Which of two versions a reader of generation g takes; -1 neither. */
static __always_inline int spd_newest(const __u32 generation[2], __u32 g)
{
	__u32 a = SPD_LOAD(generation[0]), b = SPD_LOAD(generation[1]);
	_Bool has_a = a - 1 < g, has_b = b - 1 < g; /* 1 .. g */

	if (has_b && (!has_a || b > a))
		return 1;
	return has_a ? 0 : -1;
}

/* The word of the entry with this key that counts in generation g: whose it is, 0 nobody's. */
static __always_inline __u32 spd_owner(const struct xesp_spd_entry *e,
				       const spd_word w[SPD_KEY_WORDS], __u32 g)
{
	const spd_word *k = (const spd_word *)&e->key;
	int version;

	if ((k[0] ^ w[0]) | (k[1] ^ w[1]) | (k[2] ^ w[2]) | (k[3] ^ w[3]) | (k[4] ^ w[4]))
		return 0;
	version = spd_newest(e->generation, g);
	if (version < 0)
		return 0;
	return version ? e->rule[1] : e->rule[0];
}

/*
 * An entry that nobody owns is being taken out, and may be written for another key while it is
 * read: so the search of the run goes on behind it.
 */
static __always_inline __u32 spd_find_owner(struct spd_search *s, const spd_word w[SPD_KEY_WORDS],
					    __u64 h)
{
	__u32 tag = (__u32)(h >> 32);

	for (__u32 i = 0; i < XESP_SPD_PROBES; i++) {
		const struct xesp_spd_entry *e;
		const struct xesp_spd_slot *at;
		union spd_slot_word slot;
		__u32 owner;

		at = spd_slot_at(s->memory, ((__u32)h + i) & s->slot_mask);
		if (!at)
			break;
		slot.word = SPD_LOAD(*(const spd_word *)at);
		if (!slot.f.entry)
			return 0;
		if (slot.f.tag != tag)
			continue;
		e = spd_entry_at(s->memory, slot.f.entry);
		if (!e)
			break;
		owner = spd_owner(e, w, s->generation);
		if (owner)
			return owner;
	}
	/* Memory of other sizes, or a run longer than keyd makes them: nothing is known. */
	s->stale = 1;
	return 0;
}

/* Takes the policy when it comes before what was found. Its rule must be there: fail closed. */
static __always_inline int spd_take(struct spd_search *s, __u32 owner)
{
	const struct xesp_spd_rule *r = spd_rule_at(s->memory, owner & ~XESP_RULE_FRAGMENT);
	const struct xesp_spd_val *v;
	int version;

	if (!r)
		goto stale;
	version = spd_newest(r->generation, s->generation);
	if (version < 0)
		goto stale;
	v = version ? &r->val[1] : &r->val[0];
	if (v->rank >= s->best.rank)
		return 0;
	s->best = *v;
	if (owner & XESP_RULE_FRAGMENT)
		s->best.action = XESP_ACTION_FRAGMENT;
	return 0;
stale:
	s->stale = 1;
	return 1;
}

/* One step of the search; 1 ends it. */
static __always_inline int spd_try_tuple(struct spd_search *s, const struct xesp_spd_tuple *t)
{
	const spd_word *local, *remote;
	spd_word w[SPD_KEY_WORDS];
	union spd_key_tail tail;
	__u32 owner;
	__u64 h;

	if (!t || t->generation != s->generation) {
		s->stale = 1;
		return 1;
	}
	if (t->best_rank >= s->best.rank)
		return 1;
	if (!(t->classes & s->packet_class) || s->absent >> (t->pair & 63) & 1)
		return 0;
	local = (const spd_word *)&t->local_mask;
	remote = (const spd_word *)&t->remote_mask;
	w[0] = s->local[0] & local[0];
	w[1] = s->local[1] & local[1];
	w[2] = s->remote[0] & remote[0];
	w[3] = s->remote[1] & remote[1];
	h = spd_hash_addrs(w);
	if (!spd_may_have(s, h)) {
		if (t->pair < XESP_SPD_PAIRS)
			s->absent |= 1ull << t->pair;
		return s->stale;
	}
	tail.f.local_port = s->local_port & t->local_port_mask;
	tail.f.remote_port = s->remote_port & t->remote_port_mask;
	tail.f.tuple = t->id;
	tail.f.dir = s->dir;
	tail.f.proto = s->proto & t->proto_mask;
	w[4] = tail.word;
	h = spd_mix(h, w[4]);
	if (!spd_may_have(s, h))
		return s->stale;
	owner = spd_find_owner(s, w, h);
	return owner ? spd_take(s, owner) : s->stale != 0;
}

/* What a search begins with; false when the head is not this generation's. */
static __always_inline _Bool spd_begin(struct spd_search *s, const struct xesp_spd_head *head,
				       __u32 *tuples_n)
{
	if (!head || head->generation != s->generation)
		return 0;
	*tuples_n = head->tuples_n[s->dir == XESP_DIR_IN];
	if (*tuples_n > XESP_TUPLES_MAX)
		return 0;
	s->best = (struct xesp_spd_val){ .rank = SPD_RANK_NONE, .action = head->default_action };
	s->first_tuple = ((s->generation & 1) * XESP_DIR_MAX + s->dir) * XESP_TUPLES_MAX;
	s->absent = 0;
	s->stale = 0;
	return 1;
}

/* RFC 4301 section 4.4.1.1: type and code of ICMP, and of a mobility header, have no direction. */
static __always_inline _Bool spd_has_sides(__u8 proto)
{
	return proto != 1 && proto != 58 && proto != 135;
}

#endif /* XESP_SPD_SEARCH_H */
