/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mirror.h - follows the kernel's rtnetlink: what the FIB is made of, and when it has changed.
 *
 * Links, rules and routes are not patched from notifications: the kernel flushes routes without a
 * word when an interface goes down or an address is removed, and IPv6 changes multipath routes one
 * hop at a time. A notification only says that something changed; what there is now is dumped
 * again, at most every 10 ms, and less often when dumps take long (a full Internet table), so that
 * following takes at most a fifth of the main thread. Neighbours are patched: each notification has
 * the whole entry. When the kernel had to drop notifications (ENOBUFS) everything is dumped again.
 * Main thread only.
 */
#ifndef XESP_FIB_MIRROR_H
#define XESP_FIB_MIRROR_H

#include <stdbool.h>
#include "fib/link.h"
#include "fib/neigh.h"
#include "fib/route.h"

struct event_base;
struct fault;
struct mirror;

struct mirror_model {
	struct link_list links;
	struct route_list routes;
	bool policy4, policy6; /* rules that this mirror does not follow */
};

void mirror_model_init(struct mirror_model *m);
void mirror_model_fini(struct mirror_model *m);

struct mirror_calls {
	/* A complete dump: take over what is in `fresh` (the mirror forgets it). */
	void (*routes)(void *ctx, struct mirror_model *fresh);
	/* The book has changed; never called with NEIGH_SAME. */
	void (*neighbours)(void *ctx, enum neigh_change change);
};

/*
 * Subscribes, dumps everything once (both calls are made before it returns) and follows from
 * `base`. `book` is the caller's. -errno of the sockets; -ETIMEDOUT: the kernel did not answer.
 */
int mirror_open(struct mirror **out, struct event_base *base, struct neigh_book *book,
		const struct mirror_calls *calls, void *ctx, struct fault *f);
void mirror_close(struct mirror *m);

/* Has the kernel resolve or confirm a neighbour; answers come as notifications. Not blocking. */
void mirror_ask(struct mirror *m, const struct neigh_key *k);

#endif /* XESP_FIB_MIRROR_H */
