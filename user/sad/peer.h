/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer.h - where tunnels' remote ends were seen: from workers to the main thread.
 *
 * Why it exists: a worker finds out, and must neither wait nor allocate; the main thread rebuilds
 * the tunnel. Each tunnel has one place for a note. While it is taken, later sightings are left
 * out: should the peer really be elsewhere, its next newest packet says so again. A place becomes
 * free on a timer, so a peer that comes from two addresses in turn costs a bounded number of
 * rebuilds a second.
 */
#ifndef XESP_SAD_PEER_H
#define XESP_SAD_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/steer.h"

struct fault;

struct peer_note {
	uint32_t state; /* atomic, see peer.c */
	__be16 port;
	uint16_t pad;
	struct xesp_addr addr;
};

struct peer_desk {
	int fd; /* eventfd: readable when a note was left */
	uint32_t n;
	struct peer_note *note; /* [n], by tunnel id */
	uint32_t read_n;        /* main thread: places that were read and are not free yet */
};

/* -errno of eventfd() or -ENOMEM. */
int peer_desk_open(struct peer_desk *d, uint32_t tunnels_max, struct fault *f);
void peer_desk_close(struct peer_desk *d);

/* Any worker. */
void peer_see(struct peer_desk *d, uint32_t tunnel, const struct xesp_addr *addr, __be16 port);

/* Main thread. False: no note. The place stays taken until peer_free_places(). */
bool peer_take(struct peer_desk *d, uint32_t tunnel, struct xesp_addr *addr, __be16 *port);
void peer_free_places(struct peer_desk *d);

#endif /* XESP_SAD_PEER_H */
