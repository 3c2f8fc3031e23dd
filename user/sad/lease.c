/* SPDX-License-Identifier: BSD-2-Clause */
/* lease.c - see lease.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sad/lease.h"
#include "sad/sa.h"
#include "xesp/clock.h"
#include "xesp/fault.h"

#define REFUSED_PAUSE_NS 1000000000ull
#define ASK_NEVER UINT64_MAX

static uint64_t *word_of(uint64_t *bits, uint32_t id)
{
	return &bits[id / 64];
}

static uint64_t bit_of(uint32_t id)
{
	return 1ull << (id % 64);
}

int lease_desk_open(struct lease_desk *d, uint32_t max_sas, struct fault *f)
{
	uint32_t n = max_sas / 64 + 1;

	*d = (struct lease_desk){ .fd = -1, .words_n = n };
	d->want = calloc(n, sizeof(uint64_t));
	d->asked = calloc(n, sizeof(uint64_t));
	d->refused = calloc(n, sizeof(uint64_t));
	if (!d->want || !d->asked || !d->refused)
		return fault_set(f, -ENOMEM, "out of memory");
	d->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (d->fd < 0)
		return fault_set(f, -errno, "eventfd: %s", strerror(errno));
	return 0;
}

void lease_desk_close(struct lease_desk *d)
{
	if (d->fd >= 0)
		close(d->fd);
	free(d->want);
	free(d->asked);
	free(d->refused);
	*d = (struct lease_desk){ .fd = -1 };
}

static void ring(struct lease_desk *d)
{
	const uint64_t one = 1;

	/* It can only fail when the counter is full, and then it is readable already. */
	if (write(d->fd, &one, sizeof(one)) < 0)
		return;
}

/*
 * The one system call on the packet path: once per lease, for a set bit keeps others away.
 * Sequentially consistent, as the clearing in lease_ask() and lease_grant(): who finds the bit set
 * has moved seq_next before the main thread, which clears first, looks at it.
 */
static void want(struct lease_desk *d, uint32_t id)
{
	uint64_t *w = word_of(d->want, id), bit = bit_of(id);

	if (__atomic_load_n(w, __ATOMIC_SEQ_CST) & bit)
		return;
	if (!(__atomic_fetch_or(w, bit, __ATOMIC_SEQ_CST) & bit))
		ring(d);
}

static bool is_low(const struct sa *sa, uint64_t next)
{
	uint64_t at = __atomic_load_n(&sa->shared->ask_at, __ATOMIC_RELAXED);

	return next >= at && at != ASK_NEVER;
}

uint32_t lease_take(struct lease_desk *d, const struct sa *sa, uint32_t n, uint64_t *first)
{
	struct xesp_sa_state *st = sa->state;
	__u64 next = __atomic_load_n(&st->seq_next, __ATOMIC_SEQ_CST);
	uint64_t end, take;

	do {
		/* Acquire, with the release in lease_grant(): who sees the end of a new block and
		 * still holds a `next` of an abandoned one fails in the exchange below. */
		end = __atomic_load_n(&st->lease_end, __ATOMIC_ACQUIRE);
		take = 0;
		/* Number 0 is never sent: RFC 4303 section 2.2; a state of zeroes has no numbers. */
		if (next && next <= end)
			take = end - next < n ? end - next + 1 : n;
	} while (take && !__atomic_compare_exchange_n(&st->seq_next, &next, next + take, false,
						      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	*first = next;
	if (is_low(sa, next + take))
		want(d, sa->id);
	return (uint32_t)take;
}

bool lease_is_spent(const struct sa *sa)
{
	return __atomic_load_n(&sa->state->seq_next, __ATOMIC_RELAXED) > sa->out.seq_max;
}

/* Where to ask for the next block: half of what is left now. */
static void set_threshold(const struct sa *sa)
{
	uint64_t next = __atomic_load_n(&sa->state->seq_next, __ATOMIC_SEQ_CST);
	uint64_t end = __atomic_load_n(&sa->state->lease_end, __ATOMIC_SEQ_CST);
	uint64_t at = end > next ? next + (end - next + 1) / 2 : next;

	if (end == sa->out.seq_max)
		at = ASK_NEVER; /* there are no more to ask for */
	else if (!next || next > end)
		at = 0;
	__atomic_store_n(&sa->shared->ask_at, at, __ATOMIC_RELAXED);
}

/* seq_next only ever goes up. */
static void raise_next(struct xesp_sa_state *st, uint64_t first)
{
	__u64 next = __atomic_load_n(&st->seq_next, __ATOMIC_SEQ_CST);

	while (next < first && !__atomic_compare_exchange_n(&st->seq_next, &next, first, false,
							    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

int lease_grant(struct lease_desk *d, const struct sa *sa, uint64_t first, uint64_t last,
		struct fault *f)
{
	struct xesp_sa_state *st = sa->state;
	uint64_t end = __atomic_load_n(&st->lease_end, __ATOMIC_RELAXED);

	if (!first || first > last || last > sa->out.seq_max)
		return fault_set(f, -EINVAL,
				 "a lease of numbers %" PRIu64 " to %" PRIu64 "; 1 to %" PRIu64
				 " are possible",
				 first, last, sa->out.seq_max);
	lease_forget(d, sa->id);
	if (last > end) {
		/*
		 * First past the old block, then the new end. In between there are no numbers
		 * (next > end); the other way round a worker could take those between the blocks,
		 * which nobody has recorded as spent. A crash in between leaves no numbers.
		 */
		if (first > end + 1 || !__atomic_load_n(&st->seq_next, __ATOMIC_RELAXED))
			raise_next(st, first);
		__atomic_store_n(&st->lease_end, last, __ATOMIC_SEQ_CST);
	}
	set_threshold(sa);
	return 0;
}

void lease_want_if_empty(struct lease_desk *d, const struct sa *sa)
{
	uint64_t next = __atomic_load_n(&sa->state->seq_next, __ATOMIC_RELAXED);
	uint64_t end = __atomic_load_n(&sa->state->lease_end, __ATOMIC_RELAXED);

	set_threshold(sa);
	if ((!next || next > end) && !lease_is_spent(sa))
		want(d, sa->id);
}

void lease_forget(struct lease_desk *d, uint32_t id)
{
	*word_of(d->asked, id) &= ~bit_of(id);
	*word_of(d->refused, id) &= ~bit_of(id);
	__atomic_fetch_and(word_of(d->want, id), ~bit_of(id), __ATOMIC_SEQ_CST);
}

void lease_forget_all(struct lease_desk *d)
{
	bool any = false;

	for (uint32_t i = 0; i < d->words_n; i++) {
		d->asked[i] = d->refused[i] = 0;
		any |= __atomic_load_n(&d->want[i], __ATOMIC_SEQ_CST) != 0;
	}
	if (any)
		ring(d); /* what was asked before must be asked again */
}

void lease_refuse(struct lease_desk *d, uint32_t id)
{
	*word_of(d->refused, id) |= bit_of(id);
	d->refused_until_ns = clock_ns() + REFUSED_PAUSE_NS;
}

void lease_retry_refused(struct lease_desk *d)
{
	if (!d->refused_until_ns || clock_ns() < d->refused_until_ns)
		return;
	d->refused_until_ns = 0;
	for (uint32_t i = 0; i < d->words_n; i++) {
		if (!d->refused[i])
			continue;
		d->asked[i] &= ~d->refused[i];
		/* The next packet that lacks a number sets it again. */
		__atomic_fetch_and(&d->want[i], ~d->refused[i], __ATOMIC_SEQ_CST);
		d->refused[i] = 0;
	}
}

static bool is_wanting(const struct sa *sa)
{
	return sa->dir == XESP_DIR_OUT && !lease_is_spent(sa) &&
	       is_low(sa, __atomic_load_n(&sa->state->seq_next, __ATOMIC_SEQ_CST));
}

static void ask_one(struct lease_desk *d, const struct lease_asker *a, uint32_t id)
{
	uint64_t *w = word_of(d->want, id), bit = bit_of(id);
	const struct sa *sa = a->find(a->ctx, id);

	/* Cleared first and looked at then: see want(). */
	__atomic_fetch_and(w, ~bit, __ATOMIC_SEQ_CST);
	if (!sa || !is_wanting(sa))
		return;
	__atomic_fetch_or(w, bit, __ATOMIC_SEQ_CST); /* no more wake-ups until granted */
	*word_of(d->asked, id) |= bit;
	a->ask(a->ctx, id);
}

void lease_ask(struct lease_desk *d, const struct lease_asker *a)
{
	uint64_t n;

	if (read(d->fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		return;
	for (uint32_t i = 0; i < d->words_n; i++) {
		uint64_t bits = __atomic_load_n(&d->want[i], __ATOMIC_SEQ_CST) & ~d->asked[i];

		for (; bits; bits &= bits - 1)
			ask_one(d, a, i * 64 + (uint32_t)__builtin_ctzll(bits));
	}
}
