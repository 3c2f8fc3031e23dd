/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ah_mutable.h - the IP header as AH's ICV sees it, RFC 4302 section 3.3.3.1 and appendix A.
 *
 * What routers may change counts as zero, what they change in a way that the sender can foretell
 * counts as it arrives. Everything before AH is looked at, nothing behind it. Pure, any worker.
 */
#ifndef XESP_AH_MUTABLE_H
#define XESP_AH_MUTABLE_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes of headers before AH that are looked into: an IPv6 header and 128 of extension headers. */
#define AH_MUTABLE_MAX 168

/*
 * Changes the `len` bytes of headers before AH, of which there are at most AH_MUTABLE_MAX, in place;
 * the caller has a copy. `sent`: ours, on its way out; else it has arrived here. False, with part of
 * it changed: an option or extension header does not fit, is one that AH cannot stand behind, or
 * says that the packet has not arrived yet.
 */
bool ah_mutable_clear(uint8_t *ip, uint32_t len, bool sent);

#endif /* XESP_AH_MUTABLE_H */
