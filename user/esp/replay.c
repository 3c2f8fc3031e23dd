/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay.c - see replay.h. The lock orders the writers; stores of words are releases so that top,
 * cleared words and the bit reach the memory in this order, whatever instruction we die at.
 */
#include <stdbool.h>

#include "esp/replay.h"
#include "sad/sa.h"

static uint64_t load_top(const struct sa *sa)
{
	return __atomic_load_n(&sa->state->replay_top, __ATOMIC_RELAXED);
}

static uint64_t load_word(const struct sa *sa, uint64_t block)
{
	return __atomic_load_n(&sa->in.words[block & sa->in.mask], __ATOMIC_RELAXED);
}

static void store_word(const struct sa *sa, uint64_t block, uint64_t bits)
{
	__atomic_store_n(&sa->in.words[block & sa->in.mask], bits, __ATOMIC_RELEASE);
}

/* Without anti-replay the nearest number is taken: half of them are behind the highest. */
#define WINDOW_OF_NONE (1u << 31)

uint64_t replay_infer(const struct sa *sa, uint32_t seq_lo)
{
	uint32_t window = sa->in.window ? sa->in.window : WINDOW_OF_NONE;
	uint64_t top = load_top(sa), hi = top >> 32;
	uint32_t top_lo = (uint32_t)top, left = top_lo - window + 1; /* may wrap: case B */

	if (!sa->esn)
		return seq_lo;
	if (top_lo >= window - 1) {
		/* Case A: the window lies in one subspace; what is left of it is the next one's. */
		if (seq_lo < left) {
			if (hi == UINT32_MAX)
				return 0;
			hi++;
		}
	} else if (seq_lo >= left) {
		/* Case B: the window reaches back into the subspace before, if there is one; before
		 * the first there is none, so such a number lies ahead. Its ICV tells. */
		if (hi)
			hi--;
	}
	return hi << 32 | seq_lo;
}

static enum xesp_drop check_below(const struct sa *sa, uint64_t top, uint64_t seq)
{
	if (top - seq >= sa->in.window)
		return XESP_DROP_REPLAY_OLD;
	if (load_word(sa, seq / 64) >> (seq % 64) & 1)
		return XESP_DROP_REPLAY_DUPLICATE;
	return XESP_DROP_NONE;
}

enum xesp_drop replay_check(const struct sa *sa, uint64_t seq)
{
	uint64_t top = load_top(sa);

	if (!seq && (sa->esn || sa->in.window))
		return XESP_DROP_REPLAY_OLD; /* never sent: RFC 4303 section 2.2 */
	if (!sa->in.window)
		return XESP_DROP_NONE;
	return seq > top ? XESP_DROP_NONE : check_below(sa, top, seq);
}

/* Numbers of a block that were not seen, from `first` on. */
static uint64_t count_unseen(uint64_t block, uint64_t bits, uint64_t first)
{
	uint64_t unseen = ~bits, low = block * 64;

	if (first > low + 63)
		return 0;
	if (first > low)
		unseen &= ~0ull << (first - low);
	return (uint64_t)__builtin_popcountll(unseen);
}

/* Numbers 64 * from .. 64 * to - 1, from `first` on: skipped by a jump over the whole ring. */
static uint64_t count_skipped(uint64_t from, uint64_t to, uint64_t first)
{
	uint64_t low = from * 64;

	if (from >= to)
		return 0;
	if (first > low)
		low = first;
	return to * 64 > low ? to * 64 - low : 0;
}

/*
 * Moves the ring so that the block of `seq` is its last. The new top comes first: after it, words
 * not yet cleared hold old bits for new numbers and refuse them. Cleared first, they would hold
 * no bits for numbers that the old top still allows.
 */
static uint64_t move_ring(const struct sa *sa, uint64_t top, uint64_t seq)
{
	uint64_t words = (uint64_t)sa->in.mask + 1, old = top / 64, now = seq / 64;
	uint64_t first = sa->shared->first, lost = 0, from = old + 1;

	__atomic_store_n(&sa->state->replay_top, seq, __ATOMIC_RELEASE);
	if (now - old >= words) {
		/* Every word changes hands; numbers in between were never in the ring. */
		from = now - words + 1;
		lost = count_skipped(old + 1, from, first);
		for (uint64_t b = old + 1 > words ? old + 1 - words : 0; b <= old; b++)
			lost += count_unseen(b, load_word(sa, b), first);
	}
	for (uint64_t b = from; b <= now; b++) {
		if (now - old < words && b >= words)
			lost += count_unseen(b - words, load_word(sa, b), first);
		store_word(sa, b, 0);
	}
	return lost;
}

/* No window asked for: the number is only kept to be shown. */
static void raise_top(const struct sa *sa, uint64_t seq)
{
	if (seq > load_top(sa))
		__atomic_store_n(&sa->state->replay_top, seq, __ATOMIC_RELAXED);
}

static uint32_t late_bucket(uint64_t behind)
{
	uint32_t k = 63u - (uint32_t)__builtin_clzll(behind);

	return k < XESP_LATE_BUCKETS ? k : XESP_LATE_BUCKETS - 1;
}

void replay_count_old(const struct sa *sa, uint64_t seq)
{
	uint64_t top = load_top(sa);

	if (seq && seq < top)
		__atomic_fetch_add(&sa->state->late[late_bucket(top - seq)], 1, __ATOMIC_RELAXED);
}

enum xesp_drop replay_commit(const struct sa *sa, uint64_t seq, uint64_t *lost)
{
	enum xesp_drop why = replay_check(sa, seq);
	uint64_t top = load_top(sa);

	if (why != XESP_DROP_NONE)
		return why;
	/* Atomic for replay_count_old(), which needs no lock; what comes in order pays nothing. */
	if (seq < top)
		__atomic_fetch_add(&sa->state->late[late_bucket(top - seq)], 1, __ATOMIC_RELAXED);
	if (!sa->in.window) {
		raise_top(sa, seq);
		return XESP_DROP_NONE;
	}
	if (!sa->shared->first)
		sa->shared->first = seq;
	if (seq > top)
		*lost += move_ring(sa, top, seq);
	store_word(sa, seq / 64, load_word(sa, seq / 64) | 1ull << (seq % 64));
	return XESP_DROP_NONE;
}

bool replay_is_newest(const struct sa *sa, uint64_t seq)
{
	return seq > load_top(sa);
}
