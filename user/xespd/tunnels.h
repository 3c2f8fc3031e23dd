/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tunnels.h - keeps what routes say about tunnels up to date: the next hop of each remote address
 * is resolved before traffic needs it, the outer path's MTU bounds the tunnel, and the smallest
 * tunnel bounds `xesp0`. Main thread only.
 */
#ifndef XESP_TUNNELS_H
#define XESP_TUNNELS_H

#include <stdint.h>

struct daemon;
struct fault;
struct tunnels;

#define TUNNELS_ALL UINT32_MAX

/* -ENOMEM */
int tunnels_open(struct tunnels **out, struct daemon *d, struct fault *f);
void tunnels_close(struct tunnels *t);

/* This one, or what it sends on, has changed; any other number is let go. TUNNELS_ALL: each may have. */
void tunnels_change(struct tunnels *t, uint32_t id);

/*
 * Ten times a second: looks at what has changed since, and at a tenth of all others, so that each is looked at
 * once a second. 100 000 at once would keep packets and messages waiting for a tenth of one.
 */
void tunnels_tick(struct tunnels *t);

/* Looks at all of them now. */
void tunnels_refresh(struct tunnels *t);

#endif /* XESP_TUNNELS_H */
