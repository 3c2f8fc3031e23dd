/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * icmp_quote.h - the packet that an ICMP error quotes: who sent it to whom.
 *
 * RFC 4301 section 6 wants that looked at: an error is as good as the packet it is about. Used on
 * what comes out of a tunnel (section 6.2) and on what routers say about our own ESP (section
 * 8.2). Every byte is a stranger's, and the quote may be cut off anywhere. Pure; any worker.
 */
#ifndef XESP_ICMP_QUOTE_H
#define XESP_ICMP_QUOTE_H

#include <stdbool.h>
#include <stdint.h>

struct inner;
struct selector_key;

/* Is it an ICMP error, by type: unreachable, packet too big, time exceeded, parameter problem? */
bool icmp_quote_is_error(uint8_t version, uint8_t type);

struct icmp_quote {
	const uint8_t *ip; /* the quoted packet's header */
	uint32_t have;     /* bytes of it that are there */
	uint32_t l4_off;   /* from ip to what `proto` names; at most `have` */
	uint8_t version;
	uint8_t proto;     /* behind IPv6 extension headers */
	bool later;        /* a later fragment: there is no layer-4 header */
};

/*
 * `at` is the quote, behind the 8 bytes of the ICMP header; `version` is the ICMP's own. False: no
 * IP header of that version is there, or an IPv6 extension header is cut off.
 */
bool icmp_quote_parse(struct icmp_quote *q, const uint8_t *at, uint32_t have, uint8_t version);

/*
 * The key by which a tunnel's selectors know the quoted packet, seen from the end that sent it:
 * its source is local. Reversed, as RFC 4301 section 6.2 has it. Ports that were cut off are not
 * known.
 */
void icmp_quote_key(struct selector_key *k, const struct icmp_quote *q);

/*
 * For a packet that came out of a tunnel, described by `in`: if it is an ICMP error (and no later
 * fragment of one), *key gets the quoted packet's key and ICMP_QUOTE_KEY is returned.
 * ICMP_QUOTE_BAD: an error whose quote is no packet, or that is not to the quoted packet's sender.
 */
enum icmp_quote_found { ICMP_QUOTE_NONE, ICMP_QUOTE_KEY, ICMP_QUOTE_BAD };
enum icmp_quote_found icmp_quote_of(struct selector_key *key, const uint8_t *ip,
				    const struct inner *in);

#endif /* XESP_ICMP_QUOTE_H */
