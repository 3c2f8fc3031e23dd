/* SPDX-License-Identifier: BSD-2-Clause */
/* lane.c - see lane.h. */
#include <stddef.h>

#include "worker/lane.h"

static struct lane_slot *slot_of(struct lane *l, uint64_t index)
{
	return &l->slot[index & (LANE_SLOTS - 1)];
}

void lane_push(struct lane *l, struct chunk *c)
{
	slot_of(l, l->own_tail)->chunk = c;
	l->own_tail++;
	/*
	 * Release: who sees the new tail sees the chunk. Sequentially consistent, because the pusher
	 * looks next whether somebody sleeps, and who goes to sleep looks here afterwards.
	 */
	__atomic_store_n(&l->tail, l->own_tail, __ATOMIC_SEQ_CST);
}

struct chunk *lane_claim(struct lane *l, uint64_t *index)
{
	uint64_t at = __atomic_load_n(&l->claim, __ATOMIC_RELAXED);

	for (;;) {
		/* Acquire, with the release in lane_push(). */
		if (at == __atomic_load_n(&l->tail, __ATOMIC_ACQUIRE))
			return NULL;
		/*
		 * Relaxed is enough: that the index is ours alone follows from its order, and what the
		 * slot holds was published by the tail. The slot is not written again before we are done.
		 */
		if (__atomic_compare_exchange_n(&l->claim, &at, at + 1, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			break;
	}
	*index = at;
	return slot_of(l, at)->chunk;
}

void lane_done(struct lane *l, uint64_t index)
{
	/* Release, with the acquire in lane_pop(): all that was done to the chunk stands before it. */
	__atomic_store_n(&slot_of(l, index)->done, index + 1, __ATOMIC_RELEASE);
}

struct chunk *lane_pop(struct lane *l)
{
	struct lane_slot *s = slot_of(l, l->head);

	if (l->head == l->own_tail || __atomic_load_n(&s->done, __ATOMIC_ACQUIRE) != l->head + 1)
		return NULL;
	l->head++;
	return s->chunk;
}

struct chunk *lane_oldest(const struct lane *l)
{
	return l->head == l->own_tail ? NULL : l->slot[l->head & (LANE_SLOTS - 1)].chunk;
}

bool lane_waits(const struct lane *l)
{
	return __atomic_load_n(&l->claim, __ATOMIC_SEQ_CST) !=
	       __atomic_load_n(&l->tail, __ATOMIC_SEQ_CST);
}
