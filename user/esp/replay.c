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

/* The bits of a block that stand for numbers from .. to, some of which are in it. */
static uint64_t bits_of(uint64_t block, uint64_t from, uint64_t to)
{
	const uint64_t low = block * 64;
	uint64_t bits = ~0ull;

	if (from > low)
		bits &= ~0ull << (from - low);
	if (to < low + 63)
		bits &= ~0ull >> (low + 63 - to);
	return bits;
}

/* Numbers from .. to, all in the ring, that were not seen. */
static uint64_t count_unseen(const struct sa *sa, uint64_t from, uint64_t to)
{
	uint64_t n = 0;

	for (uint64_t b = from / 64; from <= to && b <= to / 64; b++)
		n += (uint64_t)__builtin_popcountll(~load_word(sa, b) & bits_of(b, from, to));
	return n;
}

/*
 * Moves the ring so that `seq` is its last number. The new top comes first: after it, bits not yet cleared are old
 * ones of new numbers and refuse them. Cleared first, they would be missing for numbers that the old top
 * still allows.
 */
static uint64_t move_ring(const struct sa *sa, uint64_t top, uint64_t seq)
{
	const uint64_t ring = ((uint64_t)sa->in.mask + 1) * 64, first = sa->shared->first;
	const uint64_t left = seq >= ring ? seq - ring : 0; /* the last number that is out of it now */
	uint64_t from = top >= ring ? top - ring + 1 : 0, lost;

	__atomic_store_n(&sa->state->replay_top, seq, __ATOMIC_RELEASE);
	if (from < first)
		from = first;
	lost = count_unseen(sa, from, left < top ? left : top);
	/* Numbers in between were never in it. */
	from = top + 1 > first ? top + 1 : first;
	if (left >= from)
		lost += left - from + 1;
	from = top > left ? top + 1 : left + 1;
	for (uint64_t b = from / 64; b <= seq / 64; b++)
		store_word(sa, b, load_word(sa, b) & ~bits_of(b, from, seq));
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
