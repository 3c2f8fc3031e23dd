/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay.h - the anti-replay window of one inbound SA.
 *
 * RFC 4303 section 3.4.3 says what to refuse, RFC 6479 how to do it without shifting bits: a ring
 * of 64-bit words. Other than there, single bits are cleared as the window moves on, not words, so that the
 * ring needs no word beside the window's own: 2048 packets are 256 bytes. The ring and the highest number lie in the
 * pinned maps, so a restarted xespd refuses what its predecessor accepted. Words are written in an
 * order in which a process killed at any instruction has refused too much, never too little.
 *
 * Numbers are 64 bits, host byte order, also without ESN. Any worker.
 */
#ifndef XESP_REPLAY_H
#define XESP_REPLAY_H

#include <stdbool.h>
#include <stdint.h>
#include "sad/fetch.h"
#include "sad/sa.h"
#include "xesp/drop.h"

#define REPLAY_NEAR (1u << 20)
#define REPLAY_FAR_FROM_EDGE (1u << 31)

struct sa;

/*
 * The 64-bit number of a packet whose header carries the low half: RFC 4303 appendix A2.1. 0 when
 * there is none, beyond the last. Without ESN the number itself. A window of 0 infers as well.
 */
uint64_t replay_infer(const struct sa *sa, uint32_t seq_lo);

/*
 * May this number be accepted? Call before the ICV is checked; changes nothing.
 * XESP_DROP_NONE, XESP_DROP_REPLAY_OLD or XESP_DROP_REPLAY_DUPLICATE.
 */
enum xesp_drop replay_check(const struct sa *sa, uint64_t seq);

/* A packet left of the window was refused: how late it came is counted. Nobody authenticated it. */
void replay_count_old(const struct sa *sa, uint64_t seq);

/*
 * For a run of packets of one SA whose ICV was good, between sa_lock() and sa_unlock(): checks
 * again, for another worker may have been faster, and marks the number as seen. *lost grows by the
 * numbers that leave the ring unseen; none before the first that this SA accepted counts.
 */
enum xesp_drop replay_commit(const struct sa *sa, uint64_t seq, uint64_t *lost);

/* Is the number higher than any accepted before? Between sa_lock() and sa_unlock(). */
bool replay_is_newest(const struct sa *sa, uint64_t seq);

/*
 * What nearly all numbers are: a little ahead of the highest, with no edge of 2^32 near. Then *seq is it, and
 * neither replay_infer() nor replay_check() has more to say.
 */
static inline bool replay_is_ahead(const struct sa *sa, uint32_t seq_lo, uint64_t *seq)
{
	const uint64_t top = __atomic_load_n(&sa->state->replay_top, __ATOMIC_RELAXED);
	const uint32_t top_lo = (uint32_t)top;

	if (seq_lo - top_lo - 1 >= REPLAY_NEAR || top_lo >= REPLAY_FAR_FROM_EDGE)
		return false;
	*seq = sa->esn ? (top >> 32) << 32 | seq_lo : seq_lo;
	return true;
}

/*
 * The next number: nothing moves but its own bit, which is that of the number that leaves. As replay_commit() does it,
 * the top first. False: nothing was done, for that one was lost.
 */
static inline bool replay_commit_next(const struct sa *sa, uint64_t seq)
{
	const uint64_t ring = ((uint64_t)sa->in.mask + 1) * 64, first = sa->shared->first;
	uint64_t *word, bits, bit;

	if (seq != __atomic_load_n(&sa->state->replay_top, __ATOMIC_RELAXED) + 1 || !sa->in.window || !first)
		return false;
	word = &sa->in.words[(seq / 64) & sa->in.mask];
	bits = __atomic_load_n(word, __ATOMIC_RELAXED);
	bit = 1ull << (seq % 64);
	if (!(bits & bit) && seq >= ring && seq - ring >= first)
		return false;
	__atomic_store_n(&sa->state->replay_top, seq, __ATOMIC_RELEASE);
	if (!(bits & bit))
		__atomic_store_n(word, bits | bit, __ATOMIC_RELEASE);
	return true;
}

/* Asks for the word of a number whose low half this is. */
static inline void replay_fetch(const struct sa *sa, uint32_t seq_lo)
{
	if (sa->in.window)
		fetch_ahead(&sa->in.words[(seq_lo / 64) & sa->in.mask]);
}

#endif /* XESP_REPLAY_H */
