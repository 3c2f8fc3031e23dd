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

#define ECN_NOT_ECT 0
#define ECN_ECT1 1
#define ECN_ECT0 2
#define ECN_CE 3
#define ECN_MASK 3

#define ECN_DROP 4 /* no field: the packet must be dropped */

/* Section 4.1: the outer field for an inner one. `mode` is enum xesp_ecn. */
uint8_t ecn_encap(uint8_t mode, uint8_t inner);

/* Section 4.2: the field to forward inside, or ECN_DROP. */
uint8_t ecn_decap(uint8_t outer, uint8_t inner);

/* Section 4.2: is this a combination that no path makes, and that has to be logged? */
bool ecn_is_alarming(uint8_t outer, uint8_t inner);

#endif /* XESP_ECN_H */
