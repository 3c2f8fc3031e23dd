/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * selector.h - what a tunnel may carry inbound, RFC 4301 section 5.2 step 4.
 *
 * Why it exists: that a packet is authentic says who sent it, not that the sender may send it from
 * this address. Each inner packet is held against the rows of its tunnel. Rows are kept in host
 * byte order, so that a range is two comparisons.
 *
 * Built by the main thread, constant once published, read by workers.
 */
#ifndef XESP_SELECTOR_H
#define XESP_SELECTOR_H

#include <stdbool.h>
#include <stdint.h>
#include "sad/epoch.h"
#include "xesp/keymsg.h"

/* An address as a number: IPv4 as ::ffff:a.b.c.d, as in struct xesp_addr. */
struct selector_addr {
	uint64_t hi, lo;
};

struct selector_row {
	struct selector_addr local_first, local_last, remote_first, remote_last;
	uint16_t local_port_first, local_port_last, remote_port_first, remote_port_last;
	uint8_t proto; /* 0 any */
	uint8_t family; /* 4 or 6, 0 both: the numbers of ::/0 include those of all IPv4 addresses */
	bool any_port;
};

struct selectors {
	struct epoch_item retire;
	uint32_t n;
	struct selector_row row[];
};

/* The inner packet, seen from this gateway. */
struct selector_key {
	struct selector_addr local, remote;
	uint16_t local_port, remote_port; /* host byte order; ICMP: type and code; MH: its type, 0 */
	uint8_t proto; /* behind IPv6 extension headers */
	uint8_t family; /* 4 or 6 */
	bool ports_known; /* not for a later fragment, nor for a protocol without ports */
	uint8_t fields;   /* enum xesp_fields: the same, and which of the two */
	bool first;       /* the first of several fragments */
	__be32 frag_id;   /* of fragments */
};

/* A null pointer has no rows, and no rows match nothing: fail closed. */
bool selectors_match(const struct selectors *s, const struct selector_key *k);

/*
 * Copies n rows behind those of `before` (NULL: none; it stays the caller's). -EINVAL names the
 * row whose range is empty or whose family is none. -ENOMEM.
 */
struct fault;
int selectors_append(struct selectors **out, const struct selectors *before,
		     const struct xesp_selector *sel, uint32_t n, struct fault *f);

/* From 16 bytes as they stand in struct xesp_addr and in an IPv6 header, and 4 as in IPv4. */
struct selector_addr selector_addr_of(const void *be128);
struct selector_addr selector_addr_of_ip4(const void *be32);

#endif /* XESP_SELECTOR_H */
