/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm_rival.h - hears of it when the kernel sends under an SA that xesp serves.
 *
 * Why it exists: what the gateway itself sends the kernel may protect, with its own numbers, which are ahead of
 * ours: from then on our packets are old to the peer, until a new lease begins above. The kernel tells
 * with each such packet (XFRMNLGRP_AEVENTS; the threshold is set by xfrm_tell.h's news of a lease). While no worker
 * serves the kernel carries all the traffic: then nobody listens, and it costs the kernel nothing. Main thread.
 */
#ifndef XESP_KEYD_XFRM_RIVAL_H
#define XESP_KEYD_XFRM_RIVAL_H

#include <stdbool.h>
#include <stdint.h>
#include "keyd/xfrm_tell.h"

struct event_base;
struct fault;
struct xfrm_rival;

/* `sent`: of this state the kernel's last number is `last`; several of one state are told once. */
int xfrm_rival_open(struct xfrm_rival **out, struct event_base *base,
		    void (*sent)(void *ctx, const struct xfrm_name *name, uint64_t last), void *ctx,
		    struct fault *f);
void xfrm_rival_close(struct xfrm_rival *r); /* NULL is allowed */

/* Listens from now on, or no more. */
void xfrm_rival_listen(struct xfrm_rival *r, bool on);

#endif /* XESP_KEYD_XFRM_RIVAL_H */
