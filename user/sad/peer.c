/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer.c - see peer.h. A place goes round: free, written by one worker, full, read by the main
 * thread, free again. Only who moves the state on touches the rest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sad/peer.h"
#include "xesp/fault.h"

enum state { FREE, WRITING, FULL, READ };

int peer_desk_open(struct peer_desk *d, uint32_t tunnels_max, struct fault *f)
{
	*d = (struct peer_desk){ .fd = -1, .n = tunnels_max };
	d->note = calloc(tunnels_max, sizeof(*d->note));
	if (!d->note)
		return fault_set(f, -ENOMEM, "out of memory");
	d->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return d->fd < 0 ? fault_set(f, -errno, "eventfd: %s", strerror(errno)) : 0;
}

void peer_desk_close(struct peer_desk *d)
{
	if (d->fd >= 0)
		close(d->fd);
	free(d->note);
	*d = (struct peer_desk){ .fd = -1 };
}

void peer_see(struct peer_desk *d, uint32_t tunnel, const struct xesp_addr *addr, __be16 port)
{
	const uint64_t one = 1;
	uint32_t was = FREE;
	struct peer_note *p;

	if (tunnel >= d->n)
		return;
	p = &d->note[tunnel];
	/* Most find it taken: no bus traffic for them. */
	if (__atomic_load_n(&p->state, __ATOMIC_RELAXED) != FREE)
		return;
	/* Acquire, with the release in peer_free_places(). */
	if (!__atomic_compare_exchange_n(&p->state, &was, WRITING, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return;
	p->addr = *addr;
	p->port = port;
	/* Release, with the acquire in peer_take(). */
	__atomic_store_n(&p->state, FULL, __ATOMIC_RELEASE);
	/* Full: it is readable already. The one system call, at most ten times a second a tunnel. */
	if (write(d->fd, &one, sizeof(one)) < 0)
		return;
}

bool peer_take(struct peer_desk *d, uint32_t tunnel, struct xesp_addr *addr, __be16 *port)
{
	struct peer_note *p;

	if (tunnel >= d->n)
		return false;
	p = &d->note[tunnel];
	if (__atomic_load_n(&p->state, __ATOMIC_ACQUIRE) != FULL)
		return false;
	*addr = p->addr;
	*port = p->port;
	__atomic_store_n(&p->state, READ, __ATOMIC_RELAXED);
	d->read_n++;
	return true;
}

void peer_free_places(struct peer_desk *d)
{
	for (uint32_t i = 0; d->read_n && i < d->n; i++) {
		if (__atomic_load_n(&d->note[i].state, __ATOMIC_RELAXED) != READ)
			continue;
		__atomic_store_n(&d->note[i].state, FREE, __ATOMIC_RELEASE);
		d->read_n--;
	}
}
