/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tunnels.h - keeps what routes say about tunnels up to date: the next hop of each remote address
 * is resolved before traffic needs it, the outer path's MTU bounds the tunnel, and the smallest
 * tunnel bounds `xesp0`. Main thread only.
 */
#ifndef XESP_TUNNELS_H
#define XESP_TUNNELS_H

struct daemon;

/* Once a second, and after tunnels or interfaces have changed. */
void tunnels_refresh(struct daemon *d);

#endif /* XESP_TUNNELS_H */
