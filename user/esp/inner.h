/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inner.h - the inner IP header: is it one, what does it say, and the few changes ESP makes to it.
 *
 * Why it exists: encap reads it from a host that may lie, decap from a peer that may; both need
 * every length checked against the bytes there are. Any worker.
 */
#ifndef XESP_INNER_H
#define XESP_INNER_H

#include <stdbool.h>
#include <stdint.h>
#include "esp/wire.h"

struct selector_key;

struct inner {
	uint16_t len; /* of the whole packet, as its header says */
	uint16_t hdr_len;
	uint8_t version; /* 4 or 6 */
	uint8_t tos;     /* or traffic class: DSCP and ECN */
	uint8_t ttl;     /* or hop limit */
	uint32_t label;  /* IPv6 flow label, host byte order; 0 of IPv4 */
	bool df;         /* IPv6: true, for no router may fragment it */
};

/*
 * False: not an IPv4 or IPv6 header, or its lengths do not fit into `room` bytes, or the IPv4
 * header checksum is wrong (RFC 1812 section 5.2.2), or it is a jumbogram.
 */
static inline bool inner_parse(struct inner *in, const uint8_t *ip, uint32_t room);

#define INNER_IP4_HDR 20u
#define INNER_IP4_NO_OPTIONS 0x45
#define INNER_IP4_DF 0x4000

/* IPv4 with options, IPv6, and what is neither. */
bool inner_parse_other(struct inner *in, const uint8_t *ip, uint32_t room);

/*
 * Is the checksum of an IPv4 header without options right? A one's complement sum is one modulo 2^16 - 1, of which a
 * header that begins with 0x45 has 0 if it is; that is a multiplication, where folding is a chain of additions.
 */
static inline bool inner_sum_ip4_is_right(const uint8_t *ip)
{
	uint64_t a, b;
	uint32_t c;

	memcpy(&a, ip, sizeof(a));
	memcpy(&b, ip + 8, sizeof(b));
	memcpy(&c, ip + 16, sizeof(c));
	return wire_add_carry(wire_add_carry(a, b), c) % UINT16_MAX == 0;
}

/* Nearly all packets have no options: here, without a call. */
static inline bool inner_parse(struct inner *in, const uint8_t *ip, uint32_t room)
{
	struct inner other; /* so that *in may stay in registers */
	uint16_t len;

	if (room < INNER_IP4_HDR || ip[0] != INNER_IP4_NO_OPTIONS) {
		if (!inner_parse_other(&other, ip, room))
			return false;
		*in = other;
		return true;
	}
	len = wire_get16(ip + 2);
	if (len < INNER_IP4_HDR || len > room || !inner_sum_ip4_is_right(ip))
		return false;
	*in = (struct inner){
		.len = len,
		.hdr_len = INNER_IP4_HDR,
		.version = 4,
		.tos = ip[1],
		.ttl = ip[8],
		.df = wire_get16(ip + 6) & INNER_IP4_DF,
	};
	return true;
}

/* One hop less, with the IPv4 checksum kept right; the TTL must be at least 1. */
void inner_decrement_ttl(uint8_t *ip, const struct inner *in);

/* Sets DSCP and ECN, with the IPv4 checksum kept right. */
void inner_set_tos(uint8_t *ip, const struct inner *in, uint8_t tos);

/*
 * What selectors look at, for a packet that came out of a tunnel: its destination is local, its
 * source remote. RFC 4301 section 4.4.1.1: the protocol is the one behind the IPv6 extension
 * headers 0, 43, 44 and 60. False: an extension header does not fit into the packet, or an IPv6
 * address is an IPv4-mapped one (RFC 4291 section 2.5.5.2), which nobody sends in good faith.
 */
bool inner_selector_key(struct selector_key *k, const uint8_t *ip, const struct inner *in);

#endif /* XESP_INNER_H */
