/* SPDX-License-Identifier: BSD-2-Clause */
/* icmp_quote.c - see icmp_quote.h. */
#include <netinet/in.h>
#include <string.h>

#include "esp/icmp_quote.h"
#include "esp/inner.h"
#include "esp/wire.h"
#include "sad/selector.h"
#include "xesp/steer.h"

#define IP4_HDR    20u
#define IP4_OFFSET 0x1fff
#define IP6_HDR    40u
#define IP6_OFFSET 0xfff8
#define EXT_MAX    16
#define ICMP_HDR   8u

#define ICMP4_UNREACHABLE   3
#define ICMP4_TIME_EXCEEDED 11
#define ICMP4_PARAMETER     12
#define ICMP6_FIRST_ERROR   1 /* RFC 4443 section 2.1: errors are below 128; these four are ours */
#define ICMP6_LAST_ERROR    4

bool icmp_quote_is_error(uint8_t version, uint8_t type)
{
	if (version == 6)
		return type >= ICMP6_FIRST_ERROR && type <= ICMP6_LAST_ERROR;
	return type == ICMP4_UNREACHABLE || type == ICMP4_TIME_EXCEEDED || type == ICMP4_PARAMETER;
}

/* False: the chain does not end within `have` bytes. */
static bool skip_extensions(struct icmp_quote *q)
{
	uint32_t len;

	for (int i = 0; i < EXT_MAX; i++) {
		const uint8_t *ext = q->ip + q->l4_off;

		switch (q->proto) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			if (q->have - q->l4_off < 8)
				return false;
			len = (ext[1] + 1u) * 8;
			break;
		case IPPROTO_FRAGMENT:
			if (q->have - q->l4_off < 8)
				return false;
			len = 8;
			q->later = wire_get16(ext + 2) & IP6_OFFSET;
			break;
		default:
			return true;
		}
		if (len > q->have - q->l4_off)
			return false;
		q->proto = ext[0];
		q->l4_off += len;
		if (q->later)
			return true;
	}
	return false;
}

bool icmp_quote_parse(struct icmp_quote *q, const uint8_t *at, uint32_t have, uint8_t version)
{
	*q = (struct icmp_quote){ .ip = at, .have = have, .version = version };
	if (have < (version == 4 ? IP4_HDR : IP6_HDR) || at[0] >> 4 != version)
		return false;
	if (version == 6) {
		q->l4_off = IP6_HDR;
		q->proto = at[6];
		return skip_extensions(q);
	}
	q->l4_off = (at[0] & 0xfu) * 4;
	q->proto = at[9];
	q->later = wire_get16(at + 6) & IP4_OFFSET;
	return q->l4_off >= IP4_HDR && q->l4_off <= have;
}

void icmp_quote_key(struct selector_key *k, const struct icmp_quote *q)
{
	*k = (struct selector_key){ .family = q->version, .proto = q->proto };
	if (q->version == 4) {
		k->local = selector_addr_of_ip4(q->ip + 12);
		k->remote = selector_addr_of_ip4(q->ip + 16);
	} else {
		k->local = selector_addr_of(q->ip + 8);
		k->remote = selector_addr_of(q->ip + 24);
	}
	k->fields = q->later ? XESP_FIELDS_LATER : XESP_FIELDS_NONE;
	if (q->later || q->have - q->l4_off < 4)
		return;
	switch (q->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_UDPLITE:
		k->local_port = wire_get16(q->ip + q->l4_off);
		k->remote_port = wire_get16(q->ip + q->l4_off + 2);
		k->fields = XESP_FIELDS_KNOWN;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		k->local_port = q->ip[q->l4_off];
		k->remote_port = q->ip[q->l4_off + 1];
		k->fields = XESP_FIELDS_KNOWN;
	}
}

/* The outer walk is the quote's: an ICMP error is a packet like those it is about. */
enum icmp_quote_found icmp_quote_of(struct selector_key *key, const uint8_t *ip,
				    const struct inner *in)
{
	const uint8_t proto = in->version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	struct icmp_quote self, q;
	const uint8_t *icmp;

	if (!icmp_quote_parse(&self, ip, in->len, in->version) || self.later ||
	    self.proto != proto || self.l4_off >= in->len)
		return ICMP_QUOTE_NONE;
	icmp = ip + self.l4_off;
	if (!icmp_quote_is_error(in->version, icmp[0]))
		return ICMP_QUOTE_NONE;
	if (in->len - self.l4_off < ICMP_HDR ||
	    !icmp_quote_parse(&q, icmp + ICMP_HDR, in->len - self.l4_off - ICMP_HDR, in->version))
		return ICMP_QUOTE_BAD;
	/* An error goes back to the sender of what it is about: RFC 792, RFC 4443 section 2.2. */
	if (in->version == 4 ? memcmp(ip + 16, q.ip + 12, 4) : memcmp(ip + 24, q.ip + 8, 16))
		return ICMP_QUOTE_BAD;
	icmp_quote_key(key, &q);
	return ICMP_QUOTE_KEY;
}
