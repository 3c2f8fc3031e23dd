/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ecn.h - congestion marks across a tunnel, RFC 6040.
 *
 * Pure functions of two-bit fields; any thread.
 */
#ifndef XESP_ECN_H
#define XESP_ECN_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/keymsg.h"

#define ECN_NOT_ECT 0
#define ECN_ECT1 1
#define ECN_ECT0 2
#define ECN_CE 3
#define ECN_MASK 3

#define ECN_DROP 4 /* no field: the packet must be dropped */

/* Section 4.1: the outer field for an inner one. `mode` is enum xesp_ecn. */
static inline uint8_t ecn_encap(uint8_t mode, uint8_t inner)
{
	return mode == XESP_ECN_NORMAL ? inner : ECN_NOT_ECT;
}

/*
 * Section 4.2, figure 4, by inner and then outer field: what to forward inside, or ECN_DROP. A mark
 * that the path may not have made on its own leaves the inner field alone.
 */
extern const uint8_t ecn_forwarded[4][4];
/* Figure 4's exclamation marks, by inner; bits by outer. */
extern const uint8_t ecn_alarming[4];

static inline uint8_t ecn_decap(uint8_t outer, uint8_t inner)
{
	return ecn_forwarded[inner & ECN_MASK][outer & ECN_MASK];
}

/* Section 4.2: is this a combination that no path makes, and that has to be logged? */
static inline bool ecn_is_alarming(uint8_t outer, uint8_t inner)
{
	return ecn_alarming[inner & ECN_MASK] >> (outer & ECN_MASK) & 1;
}

#endif /* XESP_ECN_H */
