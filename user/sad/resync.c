/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resync.c - see resync.h. The place goes round: free, written by one worker, full, read by the main thread, free
 * again. Only who moves the state on touches the rest.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sad/resync.h"
#include "sad/sa.h"
#include "xesp/fault.h"

enum state { FREE, WRITING, FULL, READ };

int resync_open(struct resync_desk *d, struct fault *f)
{
	*d = (struct resync_desk){ .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
	return d->fd < 0 ? fault_set(f, -errno, "eventfd: %s", strerror(errno)) : 0;
}

void resync_close(struct resync_desk *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

void resync_failed(struct sa *sa)
{
	if (sa->esn)
		__atomic_fetch_add(&sa->shared->failed, 1, __ATOMIC_RELAXED);
}

void resync_authentic(struct sa *sa)
{
	/* Nearly always it is 0: no bus traffic then. */
	if (__atomic_load_n(&sa->shared->failed, __ATOMIC_RELAXED))
		__atomic_store_n(&sa->shared->failed, 0, __ATOMIC_RELAXED);
}

bool resync_is_due(const struct sa *sa)
{
	return __atomic_load_n(&sa->shared->failed, __ATOMIC_RELAXED) >= RESYNC_AFTER;
}

bool resync_offer(struct resync_desk *d, const struct resync_packet *p, uint64_t now_ns)
{
	const uint64_t one = 1;
	uint32_t was = FREE;

	if (p->len > RESYNC_ROOM || now_ns < __atomic_load_n(&d->not_before_ns, __ATOMIC_RELAXED) ||
	    __atomic_load_n(&d->state, __ATOMIC_RELAXED) != FREE)
		return false;
	/* Acquire, with the release in resync_done(). */
	if (!__atomic_compare_exchange_n(&d->state, &was, WRITING, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return false;
	memcpy(d->copy, p->at, p->len);
	d->packet = *p;
	d->packet.at = d->copy;
	/* Release, with the acquire in resync_take(). */
	__atomic_store_n(&d->state, FULL, __ATOMIC_RELEASE);
	if (write(d->fd, &one, sizeof(one)) < 0)
		return true; /* full: it is readable already */
	return true;
}

bool resync_take(struct resync_desk *d, struct resync_packet *out)
{
	uint64_t count;

	if (read(d->fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return false;
	if (__atomic_load_n(&d->state, __ATOMIC_ACQUIRE) != FULL)
		return false;
	__atomic_store_n(&d->state, READ, __ATOMIC_RELAXED);
	*out = d->packet;
	return true;
}

void resync_done(struct resync_desk *d, uint64_t now_ns)
{
	__atomic_store_n(&d->not_before_ns, now_ns + RESYNC_EVERY_NS, __ATOMIC_RELAXED);
	__atomic_store_n(&d->state, FREE, __ATOMIC_RELEASE);
}
