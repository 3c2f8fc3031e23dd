/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route_plan.h - which routes a configuration asks for; routes.c makes them so. Main thread.
 */
#ifndef XESP_KEYD_ROUTE_PLAN_H
#define XESP_KEYD_ROUTE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include "keyd/selector.h"

struct config;
struct local_addrs;

struct route_wish {
	struct prefix dst;
	struct xesp_addr src; /* with has_src: an address of ours inside the policy's local prefixes */
	bool has_src;
	bool transport; /* a far end of transport mode */
	bool apart;     /* into the table of rules.h, which this machine's own packets alone see */
	bool alone;     /* without one of type unreachable behind it: the kernel protects too */
};

struct route_plan {
	size_t n;
	struct route_wish *wishes; /* no prefix twice */
};

/* A prefix that gets no route, and why. */
typedef void (*route_plan_refused)(void *ctx, const char *sentence);

/* -ENOMEM. Ended by route_plan_fini(). */
int route_plan_init(struct route_plan *p, const struct config *c, const struct local_addrs *addrs,
		    route_plan_refused refused, void *ctx);
void route_plan_fini(struct route_plan *p);

#endif /* XESP_KEYD_ROUTE_PLAN_H */
