/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * routes.h - the gateway's own traffic to protected prefixes goes into xesp0.
 *
 * XDP sees what arrives; what this machine sends itself only goes where its routes say. So with
 * `routes: install` there is a route into xesp0 for each remote prefix of an outbound protect
 * policy, and behind it one of type unreachable with the highest metric: when xesp0 goes away, the
 * traffic stops instead of leaving in clear. With `source: xfrm` they are in the table of rules.h, and
 * nothing is behind them: without xesp0 the kernel protects the traffic. They carry a protocol number of our own; routes of
 * other protocols are never touched, and ours stay when keyd ends. Main thread.
 */
#ifndef XESP_KEYD_ROUTES_H
#define XESP_KEYD_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "xesp/steer.h"
#include "xesp/fault.h"

#define ROUTES_PROTOCOL XESP_ROUTE_PROTOCOL /* of rtm_protocol; nobody's in iproute2's rt_protos */
#define ROUTES_LAST_METRIC 4294967294u
#define ROUTES_PROBLEMS_MAX 8

struct config;
struct local_addrs;

struct routes {
	const char *tun; /* borrowed: "xesp0" */
	uint32_t wanted, installed;
	bool rules4, rules6; /* there are routes apart: rules are needed */
	bool transport4;     /* there are ends of transport mode */
	uint32_t problems_n, problems_left_out;
	char problems[ROUTES_PROBLEMS_MAX][FAULT_TEXT_MAX];
};

/*
 * Makes our routes those of `c` (NULL or `routes: none`: none). A prefix that cannot have its
 * route is a problem in *r, not an error. -errno when the kernel's routes cannot be read
 */
int routes_sync(struct routes *r, const struct config *c, const struct local_addrs *addrs,
		struct fault *f);

#endif /* XESP_KEYD_ROUTES_H */
