/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addr.h - IP addresses and prefixes as people write them, in the form the maps keep them.
 *
 * struct xesp_addr holds IPv6, and IPv4 as IPv4-mapped IPv6; network byte order. Any thread.
 */
#ifndef XESP_ADDR_H
#define XESP_ADDR_H

#include <stdbool.h>
#include <stdint.h>
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
bool addr_is_ip4(const struct xesp_addr *a);
bool addr_equal(const struct xesp_addr *a, const struct xesp_addr *b);

/* Order of the addresses as 128-bit numbers: <0, 0, >0. */
int addr_cmp(const struct xesp_addr *a, const struct xesp_addr *b);

/* From the wire: 4 or 16 bytes. */
void addr_from_ip4(struct xesp_addr *a, const void *be32);
void addr_from_ip6(struct xesp_addr *a, const void *in6);

/* The mask of a prefix length in the mapped form, 0 to 128. */
void addr_mask(struct xesp_addr *mask, uint8_t len);

/* First and last address of a prefix (inclusive). */
void addr_range(const struct xesp_addr *prefix, uint8_t len, struct xesp_addr *first,
		struct xesp_addr *last);

#endif /* XESP_ADDR_H */
