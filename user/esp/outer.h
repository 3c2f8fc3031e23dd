/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * outer.h - the outer IP header, RFC 4301 section 5.1.2: written by encap, read by decap.
 */
#ifndef XESP_OUTER_H
#define XESP_OUTER_H

#include <stdbool.h>
#include <stdint.h>
#include "esp/inner.h"
#include "esp/pkt.h"
#include "sad/tunnel.h"

/* Writes the header of p->len bytes at p->l3; p->sa and p->seq are set. */
void outer_write(const struct pkt *p, const struct tunnel *t, const struct inner *in);

struct outer {
	uint32_t len;      /* as the header says */
	uint16_t hdr_len;
	uint8_t tos;       /* or traffic class */
	bool ip4;
	const uint8_t *dst; /* 4 or 16 bytes */
};

/*
 * False: no IP header, or it contradicts p->len, p->l4_off or its own checksum. Ethernet may have
 * padded the packet, so len may be smaller than p->len.
 */
static inline bool outer_parse(struct outer *o, const struct pkt *p)
{
	const uint8_t *h = p->l3;
	struct inner any; /* the same checks hold for any IP header */

	if (!inner_parse(&any, h, p->len) || p->l4_off < any.hdr_len || p->l4_off > any.len)
		return false;
	*o = (struct outer){
		.len = any.len,
		.hdr_len = any.hdr_len,
		.tos = any.tos,
		.ip4 = any.version == 4,
		.dst = any.version == 4 ? h + 16 : h + 24,
	};
	return true;
}

/* Is this the tunnel's address at our end? */
static inline bool outer_is_for(const struct outer *o, const struct tunnel *t)
{
	uint64_t to[2], ours[2];
	uint32_t ip4;

	if (o->ip4 != (t->header[0] >> 4 == 4))
		return false;
	if (o->ip4) {
		memcpy(&ip4, o->dst, sizeof(ip4));
		return ip4 == t->local.w[3];
	}
	memcpy(to, o->dst, sizeof(to));
	memcpy(ours, &t->local, sizeof(ours));
	return !((to[0] ^ ours[0]) | (to[1] ^ ours[1]));
}

#endif /* XESP_OUTER_H */
