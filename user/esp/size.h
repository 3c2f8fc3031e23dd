/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * size.h - what ESP adds to a packet, and so what fits into a path: RFC 4301 section 8.2.1.
 *
 * Why it exists: encap, the MTU that senders are told, that of xesp0 and TCP's segment size must
 * not disagree by a byte. Inlined for they are a few instructions of the packet path.
 */
#ifndef XESP_SIZE_H
#define XESP_SIZE_H

#include <stdint.h>
#include "crypto/transform.h"
#include "sad/tunnel.h"

#define ESP_HDR_LEN 8u    /* SPI and sequence number, RFC 4303 section 2 */
#define ESP_TRAILER_LEN 2u /* pad length and next header */

/* Outer bytes that do not depend on the packet. */
static inline uint32_t size_overhead(const struct tunnel *t, const struct transform *x)
{
	return (uint32_t)t->header_len + ESP_HDR_LEN + x->iv_len + x->icv_len;
}

/* Payload, padding and trailer fill a multiple of the transform's alignment. */
static inline uint32_t size_padded(const struct transform *x, uint32_t payload_len)
{
	uint32_t align = x->align;

	return (payload_len + ESP_TRAILER_LEN + align - 1) / align * align;
}

/* The largest payload whose outer packet has at most `outer` bytes; 0: not even an empty one. */
static inline uint32_t size_fits(const struct tunnel *t, const struct transform *x, uint32_t outer)
{
	uint32_t over = size_overhead(t, x), align = x->align;

	return outer < over + align ? 0 : (outer - over) / align * align - ESP_TRAILER_LEN;
}

#endif /* XESP_SIZE_H */
