/* SPDX-License-Identifier: BSD-2-Clause */
/* lifetime.c - see lifetime.h. */
#include "sad/lifetime.h"

/* What it carried while it had no limit counts as well; bytes are then those of inner packets. */
static void raise_to(__u64 *counter, uint64_t least)
{
	__u64 now = __atomic_load_n(counter, __ATOMIC_RELAXED);

	while (now < least && !__atomic_compare_exchange_n(counter, &now, least, false,
							   __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

void lifetime_set(struct sa *sa, const struct xesp_keymsg_sa *m)
{
	struct xesp_sa_state *st = sa->state;

	sa->cold.limits = (struct sa_limits){ .packets = m->hard_packets,
					 .bytes = m->hard_bytes,
					 .until_ns = m->hard_ns };
	sa->life = m->hard_packets || m->hard_bytes || m->hard_ns ? SA_LIFE_LIMITED :
								    SA_LIFE_UNLIMITED;
	if (m->over || __atomic_load_n(&st->expired, __ATOMIC_ACQUIRE) == XESP_EXPIRED_HARD)
		sa->life = SA_LIFE_OVER;
	if (sa->life != SA_LIFE_LIMITED)
		return;
	raise_to(&st->life_packets, __atomic_load_n(&st->packets, __ATOMIC_RELAXED));
	raise_to(&st->life_bytes, __atomic_load_n(&st->bytes, __ATOMIC_RELAXED));
}

bool lifetime_take(const struct sa *sa, uint32_t packets, uint64_t bytes)
{
	const struct sa_limits *l = &sa->cold.limits;
	struct xesp_sa_state *st = sa->state;
	uint64_t p = __atomic_add_fetch(&st->life_packets, packets, __ATOMIC_RELAXED);
	uint64_t b = __atomic_add_fetch(&st->life_bytes, bytes, __ATOMIC_RELAXED);

	if ((!l->packets || p <= l->packets) && (!l->bytes || b <= l->bytes))
		return true;
	/* Given back. In between another worker may have been refused what would have fitted: too
	 * early by a batch, never too late. */
	__atomic_fetch_sub(&st->life_packets, packets, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&st->life_bytes, bytes, __ATOMIC_RELAXED);
	return false;
}

bool lifetime_has_room(const struct sa *sa, uint32_t packets, uint64_t bytes)
{
	const struct sa_limits *l = &sa->cold.limits;
	uint64_t p = __atomic_load_n(&sa->state->life_packets, __ATOMIC_RELAXED) + packets;
	uint64_t b = __atomic_load_n(&sa->state->life_bytes, __ATOMIC_RELAXED) + bytes;

	return (!l->packets || p <= l->packets) && (!l->bytes || b <= l->bytes);
}

void lifetime_end(const struct sa *sa)
{
	/* Release with keyd's and lifetime_set()'s reading: who sees it sees what was used. */
	__atomic_store_n(&sa->state->expired, XESP_EXPIRED_HARD, __ATOMIC_RELEASE);
}

bool lifetime_look(const struct sa *sa, uint64_t now_ns)
{
	if (sa->life == SA_LIFE_OVER ||
	    __atomic_load_n(&sa->state->expired, __ATOMIC_RELAXED) == XESP_EXPIRED_HARD)
		return true;
	if (!sa->cold.limits.until_ns || now_ns < sa->cold.limits.until_ns)
		return false;
	lifetime_end(sa);
	return true;
}
