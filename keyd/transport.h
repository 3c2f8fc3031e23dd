/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport.h - what transport mode (RFC 4301 section 4.1) asks of a configuration.
 *
 * The ends of such an SA are the ends of the packets themselves. Pure. Main thread.
 */
#ifndef XESP_KEYD_TRANSPORT_H
#define XESP_KEYD_TRANSPORT_H

#include "keyd/problems.h"

struct selector;
struct tunnel;

/*
 * What only tunnel mode has: padding that a receiver could not tell from payload (RFC 4303 section 2.7),
 * dummies, which would need a header of their own, and outer headers that take after inner ones.
 */
int transport_check(const struct tunnel *t, const char *path, struct problems *ps);

/*
 * A protect policy of a transport mode tunnel is about its two ends: `any` becomes them, anything
 * else is a problem. Leaves policies of other tunnels alone.
 */
int transport_narrow(struct selector *s, const struct tunnel *t, const char *path,
		     struct problems *ps);

#endif /* XESP_KEYD_TRANSPORT_H */
