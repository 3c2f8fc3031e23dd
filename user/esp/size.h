/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * size.h - what ESP or AH adds to a packet, and so what fits into a path: RFC 4301 section 8.2.1.
 *
 * Why it exists: encap, the MTU that senders are told, that of xesp0 and TCP's segment size must
 * not disagree by a byte. Inlined for they are a few instructions of the packet path.
 */
#ifndef XESP_SIZE_H
#define XESP_SIZE_H

#include <stdbool.h>
#include <stdint.h>
#include "crypto/transform.h"
#include "esp/ah.h"
#include "libxesp/addr.h"
#include "sad/tunnel.h"

#define ESP_HDR_LEN 8u    /* SPI and sequence number, RFC 4303 section 2 */
#define ESP_TRAILER_LEN 2u /* pad length and next header */

/* What a tunnel with this transform makes of each packet. */
struct geometry {
	uint16_t hdr;    /* bytes of headers before ESP or AH */
	uint16_t own;    /* of them the packet's own: 0 in tunnel mode */
	uint8_t pre;     /* ESP header and IV, or AH with its ICV */
	uint8_t post;    /* ESP's ICV */
	uint8_t align;   /* payload, padding and trailer fill a multiple of it, a power of two */
	uint8_t trailer; /* ESP's two bytes, or 0 */
	bool transport;  /* else tunnel mode */
	bool ah;
};

/* In transport mode of packets without IPv4 options and IPv6 extension headers. */
static inline struct geometry size_of(const struct tunnel *t, const struct transform *x)
{
	const bool transport = t->mode == XESP_MODE_TRANSPORT, ip4 = addr_is_ip4(&t->local);
	struct geometry g = { .hdr = t->header_len, .transport = transport, .ah = !x->alg };

	if (transport)
		g.own = ip4 ? 20 : 40;
	if (g.ah) {
		g.pre = (uint8_t)ah_len(x, !ip4);
		g.align = 1;
		return g;
	}
	g.pre = (uint8_t)(ESP_HDR_LEN + x->iv_len);
	g.post = x->icv_len;
	g.align = x->align;
	g.trailer = ESP_TRAILER_LEN;
	return g;
}

/* Bytes of what goes out that do not depend on the payload. */
static inline uint32_t size_overhead(const struct geometry *g)
{
	return (uint32_t)g->hdr + g->pre + g->post;
}

/* Payload, padding and trailer. */
static inline uint32_t size_padded(const struct geometry *g, uint32_t payload_len)
{
	return (payload_len + g->trailer + g->align - 1) & ~(uint32_t)(g->align - 1);
}

/* The largest packet of which at most `outer` bytes are made; 0: not even an empty one. */
static inline uint32_t size_fits(const struct geometry *g, uint32_t outer)
{
	uint32_t over = size_overhead(g), align = g->align;

	return outer < over + align ? 0 : ((outer - over) & ~(align - 1)) - g->trailer + g->own;
}

#endif /* XESP_SIZE_H */
