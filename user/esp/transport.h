/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transport.h - transport mode: where ESP or AH stands within a packet's own headers.
 *
 * RFC 4303 section 3.1.1, RFC 4302 section 3.1.1: behind the IPv4 header and its options; behind the
 * IPv6 extension headers that routers read. Both directions; pure, any worker.
 */
#ifndef XESP_TRANSPORT_H
#define XESP_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

struct inner;
struct tunnel;

struct transport_place {
	uint16_t len;     /* bytes of headers before it */
	uint16_t next_at; /* the byte that names the protocol there, from the IP header on */
	uint8_t next;     /* what it names now */
};

/*
 * Where ESP or AH goes in a packet that inner_parse() accepted: behind hop-by-hop options, routing
 * header and the destination options before that one. False: the packet is a fragment, RFC 4303
 * section 3.3.4, or its extension headers do not fit into it.
 */
bool transport_find_place(struct transport_place *pl, const uint8_t *ip, const struct inner *in);

/* Where it stands in a packet that arrived, `off` bytes behind the IP header's start. */
bool transport_find_header(struct transport_place *pl, const uint8_t *ip, uint32_t off);

/*
 * Moves the pl->len bytes of headers at `ip` to `to` and makes them those of a packet of `len`
 * bytes with `next` behind them, IPv4's checksum too.
 */
void transport_move(uint8_t *to, const uint8_t *ip, const struct transport_place *pl, uint8_t next,
		    uint32_t len);

/* Are these the tunnel's ends, ours as the source? */
bool transport_is_between(const uint8_t *ip, const struct tunnel *t);

#endif /* XESP_TRANSPORT_H */
