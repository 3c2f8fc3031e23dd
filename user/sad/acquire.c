/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * acquire.c - see acquire.h. A place goes round as in peer.c: free, written by one worker, full,
 * read by the main thread, free again. Only who moves the state on touches the rest.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sad/acquire.h"
#include "sad/unique.h"
#include "xesp/clock.h"
#include "xesp/fault.h"

enum state { FREE, WRITING, FULL, READ };

int acquire_desk_open(struct acquire_desk *d, struct fault *f)
{
	*d = (struct acquire_desk){ .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
	return d->fd < 0 ? fault_set(f, -errno, "eventfd: %s", strerror(errno)) : 0;
}

void acquire_desk_close(struct acquire_desk *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

static void leave(struct acquire_desk *d, const struct acquire_note *what)
{
	const uint32_t place = unique_hash(what->tunnel, &what->values) ^ (what->worker + 1) * 0x9e3779b1u >> 26;
	struct acquire_note *n = &d->note[place & (ACQUIRE_PLACES - 1)];
	const uint64_t one = 1;
	uint32_t was = FREE;

	/* Most find it taken: no bus traffic for them. */
	if (__atomic_load_n(&n->state, __ATOMIC_RELAXED) != FREE)
		return;
	/* Acquire, with the release in acquire_free_places(). */
	if (!__atomic_compare_exchange_n(&n->state, &was, WRITING, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return;
	n->tunnel = what->tunnel;
	n->policy = what->policy;
	n->worker = what->worker;
	n->values = what->values;
	/* Release, with the acquire in acquire_take(). */
	__atomic_store_n(&n->state, FULL, __ATOMIC_RELEASE);
	/* Full: it is readable already. The one system call, ACQUIRE_PLACES times a second at most. */
	if (write(d->fd, &one, sizeof(one)) < 0)
		return;
}

void acquire_ask(struct acquire_desk *d, uint32_t tunnel, uint32_t policy,
		 const struct xesp_values *v)
{
	leave(d, &(struct acquire_note){ .tunnel = tunnel, .policy = policy, .worker = ACQUIRE_VALUES, .values = *v });
}

void acquire_ask_cpu(struct acquire_desk *d, uint32_t tunnel, uint32_t policy, uint32_t worker)
{
	leave(d, &(struct acquire_note){ .tunnel = tunnel, .policy = policy, .worker = worker });
}

void acquire_take(struct acquire_desk *d, void (*tell)(void *ctx, const struct acquire_note *n),
		  void *ctx)
{
	uint64_t count;

	if (read(d->fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	for (uint32_t i = 0; i < ACQUIRE_PLACES; i++) {
		struct acquire_note *n = &d->note[i];

		if (__atomic_load_n(&n->state, __ATOMIC_ACQUIRE) != FULL)
			continue;
		n->read_ns = clock_ns();
		__atomic_store_n(&n->state, READ, __ATOMIC_RELAXED);
		d->read_n++;
		tell(ctx, n);
	}
}

void acquire_free_places(struct acquire_desk *d)
{
	const uint64_t now = d->read_n ? clock_ns() : 0;

	for (uint32_t i = 0; d->read_n && i < ACQUIRE_PLACES; i++) {
		struct acquire_note *n = &d->note[i];

		if (__atomic_load_n(&n->state, __ATOMIC_RELAXED) != READ ||
		    now - n->read_ns < ACQUIRE_PAUSE_NS)
			continue;
		__atomic_store_n(&n->state, FREE, __ATOMIC_RELEASE);
		d->read_n--;
	}
}
