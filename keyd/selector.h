/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * selector.h - which packets a policy means: RFC 4301 section 4.4.1.1.
 *
 * A selector is lists of addresses and port ranges, local and remote, and a protocol. This file
 * makes it of the configuration's text and cuts ranges into what the classifier can match: a value
 * under a mask. "Local" and "remote" are as seen from this gateway in both directions; in place of
 * ports ICMP has type (local) and code (remote), a mobility header its type (local).
 * Main thread.
 */
#ifndef XESP_KEYD_SELECTOR_H
#define XESP_KEYD_SELECTOR_H

#include <stdint.h>
#include "keyd/problems.h"
#include "xesp/steer.h"

struct raw_policy;

struct prefix {
	struct xesp_addr addr; /* host bits are zero */
	uint8_t len;           /* in the mapped form: 96 to 128 for IPv4 */
	uint8_t more;          /* 1: it and the next are parts of one range */
	uint8_t pad[2];        /* zero: hashed as bytes */
};

struct port_range {
	uint16_t first, last; /* host byte order, both included */
};

/* What a range is cut into, host byte order. A 16-bit range needs 30 at most. */
#define SELECTOR_CUTS_MAX 30
struct port_cut {
	uint16_t value, mask;
};

struct selector {
	uint8_t family; /* 4, 6; 0 both */
	uint8_t proto;  /* IP protocol number; 0 any */
	uint8_t opaque; /* 1: only packets whose ports (or type and code) are not there to be seen */
	uint8_t hidden; /* 1: only those whose protocol is not: IPv6, and not the first fragment */
	uint32_t local_n, remote_n;           /* at least 1: any is a prefix too */
	uint32_t local_ports_n, remote_ports_n; /* 0: any, known or not */
	struct prefix *local, *remote;
	struct port_range *local_ports, *remote_ports;
};

/* `path` is the policy's, "policies[3]". On failure problems are added; selector_fini() anyway. */
int selector_init(struct selector *s, const struct raw_policy *raw, const char *path,
		  struct problems *ps);
void selector_fini(struct selector *s);

/* NULL and "any" leave *proto alone. -EINVAL with a problem at `where`. */
int selector_parse_proto(uint8_t *proto, const char *text, const char *where, struct problems *ps);

/* What a protocol has in place of ports. */
enum selector_fields { SELECTOR_NO_FIELDS, SELECTOR_PORTS, SELECTOR_ICMP, SELECTOR_MH };
enum selector_fields selector_fields(uint8_t proto);

/* Cuts a range into the fewest aligned blocks; returns how many. */
uint32_t selector_cut_ports(struct port_range r, struct port_cut cuts[SELECTOR_CUTS_MAX]);

/* "tcp", or the number for a protocol without a name here; "any" for 0. Returns buf or a literal. */
const char *selector_print_proto(uint8_t proto, char buf[8]);
/* The same of a selector, whose protocol may be "opaque". */
const char *selector_print_own_proto(const struct selector *s, char buf[8]);

/* The last address of the range (or prefix) that begins at p[i]; returns where the next begins. */
uint32_t selector_range_end(const struct prefix *p, uint32_t i, struct xesp_addr *last);

/*
 * "10.1.0.0/24, 10.2.0.5-10.2.0.7" or "any"; "80, 1000-2000", "any" or "opaque". Cut off to fit.
 * Return buf.
 */
const char *selector_print_prefixes(const struct selector *s, const struct prefix *p, uint32_t n,
				    char *buf, size_t len);
const char *selector_print_ports(const struct selector *s, const struct port_range *r, uint32_t n,
				 char *buf, size_t len);

#endif /* XESP_KEYD_SELECTOR_H */
