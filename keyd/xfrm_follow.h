/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm_follow.h - the kernel's XFRM tables, read whole, and again whenever they change.
 *
 * Notifications say that something changed (states, policies, expiries, migrations); what there is
 * is then dumped anew, after a moment in which the rest of a group of changes can come, and less
 * often when a dump takes long. So a lost notification (ENOBUFS) is no special case, and nothing is
 * patched that could drift. Tables hold keys: they are wiped when freed. Main thread.
 */
#ifndef XESP_KEYD_XFRM_FOLLOW_H
#define XESP_KEYD_XFRM_FOLLOW_H

#include <stddef.h>
#include "keyd/xfrm_entry.h"

struct event_base;
struct fault;
struct xfrm_follow;

struct xfrm_tables {
	size_t states_n, states_room, policies_n, policies_room;
	struct xfrm_state_entry *states;     /* in the kernel's order */
	struct xfrm_policy_entry *policies;
};

void xfrm_tables_fini(struct xfrm_tables *t);

/*
 * Subscribes, and calls `changed` with each new reading, from the event loop; the tables stay ours.
 * -EPROTONOSUPPORT: this kernel has no XFRM; -errno of the sockets.
 */
int xfrm_follow_open(struct xfrm_follow **out, struct event_base *base,
		     void (*changed)(void *ctx, struct xfrm_tables *fresh), void *ctx,
		     struct fault *f);
/* Reads now, and calls `changed` before it returns. -ETIMEDOUT the kernel does not answer */
int xfrm_follow_read_now(struct xfrm_follow *x, struct fault *f);
void xfrm_follow_close(struct xfrm_follow *x);

/* Something about the kernel's tables is to be read anew. */
void xfrm_follow_again(struct xfrm_follow *x);

#endif /* XESP_KEYD_XFRM_FOLLOW_H */
