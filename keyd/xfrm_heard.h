/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm_heard.h - what the kernel says of its own accord about SAs: that it wants one, and that a peer is elsewhere.
 *
 * Why it exists: what the kernel serves (its own traffic, SAs that are lent to it or unserved, everything while no worker
 * serves) it also asks and tells about, and only IKE daemons hear that. People look at xesp. XFRM_MSG_ACQUIRE comes from
 * its group also when we have asked in the kernel's name (xfrm_tell_want()): that is passed over. XFRM_MSG_REPORT
 * is about Mobile IPv6 alone, which nothing here serves: it is logged, for those who look for it. Main thread.
 */
#ifndef XESP_KEYD_XFRM_HEARD_H
#define XESP_KEYD_XFRM_HEARD_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stdint.h>
#include "keyd/xfrm_tell.h"
#include "xesp/keymsg.h"

struct event_base;
struct fault;
struct xfrm_heard;

/* An SA that the kernel wants. */
struct xfrm_asked {
	struct xfrm_name name; /* ends, reqid and protocol of the template; spi 0 */
	uint8_t mode;          /* XFRM_MODE_TUNNEL, XFRM_MODE_TRANSPORT */
	uint32_t cpu;          /* which CPU's; XFRM_PCPU_ALL: for all */
	uint32_t policy;       /* the policy's index, as the kernel gives it */
	uint8_t proto;         /* of the ports in `values` */
	struct xesp_values values; /* of the packet, what of it the kernel says; the packet's source is local */
};

/* Authenticated ESP in UDP came from elsewhere. */
struct xfrm_mapped {
	struct xfrm_name name; /* src: where the SA has its peer */
	struct xesp_addr peer; /* where it is */
	__be16 src_port, peer_port;
};

struct xfrm_heard_calls {
	void (*asked)(void *ctx, const struct xfrm_asked *a);
	void (*mapped)(void *ctx, const struct xfrm_mapped *m);
	void *ctx;
};

/* -EPROTONOSUPPORT, -EPERM, -ENOMEM */
int xfrm_heard_open(struct xfrm_heard **out, struct event_base *base, const struct xfrm_heard_calls *calls,
		    struct fault *f);
void xfrm_heard_close(struct xfrm_heard *h); /* NULL is allowed */

/* We have asked so in the kernel's name: one message like it, that comes within XFRM_HEARD_OWN_MS, is ours. */
#define XFRM_HEARD_OWN_MS 5000u
void xfrm_heard_own(struct xfrm_heard *h, const struct xfrm_want *w, uint64_t now_ms);

/* Of one message, whoever read it, at this time (CLOCK_MONOTONIC): reads it, and calls what it is for. */
void xfrm_heard_take(struct xfrm_heard *h, const struct nlmsghdr *m, uint64_t now_ms);

/* For tests: what xfrm_heard_take() needs, without a socket. End with xfrm_heard_close(). */
struct xfrm_heard *xfrm_heard_deaf(const struct xfrm_heard_calls *calls);

#endif /* XESP_KEYD_XFRM_HEARD_H */
