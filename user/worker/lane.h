/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lane.h - batches of one queue, in order, that any thread may work on.
 *
 * Why it exists: a queue's packets come to one thread and must leave in order, but the crypto in
 * between may be anybody's. The owner pushes chunks and pops them again in the same order; in between
 * each is claimed by one thread, the owner or another, which marks it done. One ring serves as the queue of
 * the work and as the memory of the order, so there is nothing to be merged: the owner looks at the
 * oldest alone.
 *
 *     popped .. head: done, and taken by the owner     head .. claim: claimed, or done
 *     claim .. tail: waiting                           tail - head <= LANE_SLOTS
 *
 * No locks: a claim is one compare-and-swap, and a thread that loses its CPU holds up what is behind
 * its chunk, but nobody's loop. Indices are 64 bits and never wrap, so a late compare-and-swap
 * cannot take an index that came round again.
 */
#ifndef XESP_LANE_H
#define XESP_LANE_H

#include <stdbool.h>
#include <stdint.h>

#define LANE_SLOTS 64u /* a power of two */

struct chunk;

struct lane_slot {
	struct chunk *chunk;
	uint64_t done; /* index + 1 of the chunk that was done here last */
} __attribute__((aligned(64)));

/* Each line has one writer at a time: the owner, whoever claims, whoever is done. All zero: empty. */
struct lane {
	uint64_t head __attribute__((aligned(64))); /* owner only */
	uint64_t own_tail;                          /* owner only: what it wrote to tail */
	uint64_t tail __attribute__((aligned(64)));
	uint64_t claim __attribute__((aligned(64)));
	struct lane_slot slot[LANE_SLOTS];
};

/* ---- the owner */

static inline uint32_t lane_in_flight(const struct lane *l)
{
	return (uint32_t)(l->own_tail - l->head);
}

/* There must be room: fewer than LANE_SLOTS in flight. */
void lane_push(struct lane *l, struct chunk *c);

/* The oldest one, if it is done: it is the owner's again. NULL: there is none, or it is not done. */
struct chunk *lane_pop(struct lane *l);

/* The oldest one, done or not; NULL: none. */
struct chunk *lane_oldest(const struct lane *l);

/* ---- any thread */

/* The oldest that nobody has claimed yet, and its index for lane_done(); NULL: there is none. */
struct chunk *lane_claim(struct lane *l, uint64_t *index);
void lane_done(struct lane *l, uint64_t index);

/* Does any chunk wait to be claimed? In total order with lane_push(), for who is about to sleep. */
bool lane_waits(const struct lane *l);

#endif /* XESP_LANE_H */
