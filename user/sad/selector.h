/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * selector.h - what selectors look at in an inner packet, RFC 4301 section 4.4.1.1.
 */
#ifndef XESP_SELECTOR_H
#define XESP_SELECTOR_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>
#include "xesp/steer.h"

/* An address as a number: IPv4 as ::ffff:a.b.c.d, as in struct xesp_addr. */
struct selector_addr {
	uint64_t hi, lo;
};

/* The inner packet, seen from this gateway. */
struct selector_key {
	struct selector_addr local, remote;
	uint16_t local_port, remote_port; /* host byte order; ICMP: type and code; MH: its type, 0 */
	uint8_t proto; /* behind IPv6 extension headers */
	uint8_t family; /* 4 or 6 */
	uint8_t fields; /* enum xesp_fields: are ports there, and why not */
	bool first;     /* the first of several fragments */
	__be32 frag_id; /* of fragments */
};

/* From 16 bytes as they stand in struct xesp_addr and in an IPv6 header, and 4 as in IPv4. */
struct selector_addr selector_addr_of(const void *be128);
struct selector_addr selector_addr_of_ip4(const void *be32);
void selector_addr_put(struct xesp_addr *out, const struct selector_addr *a);

/* The same packet seen from the other end: sides change places. ICMP and mobility headers have none. */
void selector_turn(struct selector_key *k);

#endif /* XESP_SELECTOR_H */
