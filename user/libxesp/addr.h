/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addr.h - IP addresses and prefixes as people write them, in the form the maps keep them.
 *
 * struct xesp_addr holds IPv6, and IPv4 as IPv4-mapped IPv6; network byte order. Any thread.
 */
#ifndef XESP_ADDR_H
#define XESP_ADDR_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "xesp/steer.h"

struct fault;

#define ADDR_TEXT_MAX 56 /* an IPv6 prefix with its length, and the zero */

/* "192.0.2.1" or "2001:db8::1". -EINVAL with a sentence naming the text. */
int addr_parse(struct xesp_addr *a, const char *text, struct fault *f);

/*
 * "10.1.0.0/24", "2001:db8::/32", or an address alone (a full-length prefix). *len counts in the
 * mapped form: 96 to 128 for IPv4, 0 to 128 for IPv6. -EINVAL also when host bits are set: the
 * sentence proposes the prefix that was probably meant.
 */
int addr_parse_prefix(struct xesp_addr *a, uint8_t *len, const char *text, struct fault *f);

/* Writes the address; returns buf. */
const char *addr_print(const struct xesp_addr *a, char buf[ADDR_TEXT_MAX]);

/* Writes "address/len", len in the mapped form as above; returns buf. */
const char *addr_print_prefix(const struct xesp_addr *a, uint8_t len, char buf[ADDR_TEXT_MAX]);

/* All zero: the unspecified IPv6 address, and what was never set. */
bool addr_is_unset(const struct xesp_addr *a);

/* Order of the addresses as 128-bit numbers: <0, 0, >0. */
int addr_cmp(const struct xesp_addr *a, const struct xesp_addr *b);

/* Inlined for the packet path: a few instructions each. */
static inline bool addr_is_ip4(const struct xesp_addr *a)
{
	return !a->w[0] && !a->w[1] && a->w[2] == htobe32(0xffff);
}

static inline bool addr_equal(const struct xesp_addr *a, const struct xesp_addr *b)
{
	return !((a->w[0] ^ b->w[0]) | (a->w[1] ^ b->w[1]) | (a->w[2] ^ b->w[2]) |
		 (a->w[3] ^ b->w[3]));
}

/* From the wire: 4 or 16 bytes. */
static inline void addr_from_ip4(struct xesp_addr *a, const void *be32)
{
	a->w[0] = 0;
	a->w[1] = 0;
	a->w[2] = htobe32(0xffff);
	memcpy(&a->w[3], be32, 4);
}

static inline void addr_from_ip6(struct xesp_addr *a, const void *in6)
{
	memcpy(a->w, in6, 16);
}

/* The mask of a prefix length in the mapped form, 0 to 128. */
void addr_mask(struct xesp_addr *mask, uint8_t len);

/* First and last address of a prefix (inclusive). */
void addr_range(const struct xesp_addr *prefix, uint8_t len, struct xesp_addr *first,
		struct xesp_addr *last);

#endif /* XESP_ADDR_H */
