/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * outer.h - the outer IP header, RFC 4301 section 5.1.2: written by encap, read by decap.
 */
#ifndef XESP_OUTER_H
#define XESP_OUTER_H

#include <stdbool.h>
#include <stdint.h>

struct inner;
struct pkt;
struct sa;
struct tunnel;

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
bool outer_parse(struct outer *o, const struct pkt *p);

/* Is this the tunnel's address at our end? */
bool outer_is_for(const struct outer *o, const struct tunnel *t);

#endif /* XESP_OUTER_H */
