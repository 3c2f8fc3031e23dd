/* SPDX-License-Identifier: BSD-2-Clause */
/* ah_mutable.c - see ah_mutable.h. */
#include <netinet/in.h>
#include <string.h>

#include "esp/ah_mutable.h"

#define IP4_HDR 20
#define IP4_DST 16
#define IP6_HDR 40
#define IP6_DST 24
#define IP6_ADDR 16

/* IPv4 options by their type byte: copy flag, class, number. RFC 4302 appendix A1. */
#define OPT_END 0x00
#define OPT_NOP 0x01
#define OPT_SECURITY 0x82          /* RFC 1108 */
#define OPT_LSRR 0x83              /* RFC 791 */
#define OPT_EXT_SECURITY 0x85      /* RFC 1108 */
#define OPT_COMMERCIAL 0x86
#define OPT_SSRR 0x89              /* RFC 791 */
#define OPT_ROUTER_ALERT 0x94      /* RFC 2113 */
#define OPT_MULTI_DESTINATION 0x95 /* RFC 1770 */

/* RFC 8200 section 4.2: the option's data may change on the way. */
#define OPT6_PAD1 0
#define OPT6_MUTABLE 0x20
#define ROUTING_SOURCE 0 /* RFC 2460 section 4.4 */
#define ROUTING_MOBILE 2 /* RFC 6275 section 6.4 */
#define ROUTING_FIXED 8  /* bytes before the addresses of both */

static bool is_immutable(uint8_t type)
{
	return type == OPT_SECURITY || type == OPT_EXT_SECURITY || type == OPT_COMMERCIAL ||
	       type == OPT_ROUTER_ALERT || type == OPT_MULTI_DESTINATION;
}

/* The destination will be the route's last address. Arrived: it must be that already. */
static bool follow_route4(uint8_t *ip, const uint8_t *opt, uint32_t len, bool sent)
{
	if (len < 3 || opt[2] < 4)
		return false;
	if (opt[2] > len)
		return true; /* RFC 791 section 3.1: the route is used up */
	if (!sent || (len - 3) % 4)
		return false;
	memcpy(ip + IP4_DST, opt + len - 4, 4);
	return true;
}

/* The whole option is a unit: either all of it counts or it is zero. */
static bool clear_options4(uint8_t *ip, uint32_t len, bool sent)
{
	uint32_t at = IP4_HDR, n;

	for (; at < len; at += n) {
		uint8_t *opt = ip + at;

		if (*opt == OPT_END)
			return true; /* and what follows it is padding */
		n = 1;
		if (*opt == OPT_NOP)
			continue;
		if (len - at < 2 || opt[1] < 2 || opt[1] > len - at)
			return false;
		n = opt[1];
		if ((*opt == OPT_LSRR || *opt == OPT_SSRR) && !follow_route4(ip, opt, n, sent))
			return false;
		if (!is_immutable(*opt))
			memset(opt, 0, n);
	}
	return true;
}

static bool clear4(uint8_t *ip, uint32_t len, bool sent)
{
	if (len < IP4_HDR || (ip[0] & 0xfu) * 4 != len)
		return false;
	ip[1] = 0;             /* DSCP and ECN */
	memset(ip + 6, 0, 2);  /* flags and fragment offset */
	ip[8] = 0;             /* TTL */
	memset(ip + 10, 0, 2); /* checksum */
	return clear_options4(ip, len, sent);
}

static bool clear_options6(uint8_t *ext, uint32_t len)
{
	uint32_t at = 2, n;

	for (; at < len; at += n) {
		n = 1;
		if (ext[at] == OPT6_PAD1)
			continue;
		if (len - at < 2 || ext[at + 1] > len - at - 2)
			return false;
		n = ext[at + 1] + 2u;
		if (ext[at] & OPT6_MUTABLE)
			memset(ext + at + 2, 0, n - 2);
	}
	return true;
}

/*
 * Each node of the route swaps the destination with the next address, RFC 2460 section 4.4. So in
 * the end the addresses not yet visited have moved one place on, behind the present destination,
 * and the last is the destination.
 */
static bool follow_route6(uint8_t *ip, uint8_t *ext, uint32_t len, bool sent)
{
	uint32_t n = (len - ROUTING_FIXED) / IP6_ADDR, left = ext[3];
	uint8_t last[IP6_ADDR], *first;

	if (!left)
		return true;
	if (!sent || (ext[2] != ROUTING_SOURCE && ext[2] != ROUTING_MOBILE) ||
	    (len - ROUTING_FIXED) % IP6_ADDR || left > n)
		return false;
	first = ext + ROUTING_FIXED + (size_t)(n - left) * IP6_ADDR;
	memcpy(last, ext + len - IP6_ADDR, IP6_ADDR);
	memmove(first + IP6_ADDR, first, (size_t)(left - 1) * IP6_ADDR);
	memcpy(first, ip + IP6_DST, IP6_ADDR);
	memcpy(ip + IP6_DST, last, IP6_ADDR);
	ext[3] = 0;
	return true;
}

static bool clear_ext6(uint8_t *ip, uint8_t *ext, uint8_t type, uint32_t len, bool sent)
{
	switch (type) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_DSTOPTS:
		return clear_options6(ext, len);
	case IPPROTO_ROUTING:
		return follow_route6(ip, ext, len, sent);
	default:
		return false; /* a fragment header too: AH covers whole packets */
	}
}

static bool clear6(uint8_t *ip, uint32_t len, bool sent)
{
	uint32_t at = IP6_HDR;
	uint8_t type;

	if (len < IP6_HDR)
		return false;
	type = ip[6];
	ip[0] = 0x60; /* traffic class and flow label */
	memset(ip + 1, 0, 3);
	ip[7] = 0; /* hop limit */
	while (at < len) {
		uint8_t *ext = ip + at;
		uint32_t n;

		if (len - at < 8)
			return false;
		n = (ext[1] + 1u) * 8;
		if (n > len - at || !clear_ext6(ip, ext, type, n, sent))
			return false;
		type = ext[0];
		at += n;
	}
	return true;
}

bool ah_mutable_clear(uint8_t *ip, uint32_t len, bool sent)
{
	if (!len || len > AH_MUTABLE_MAX)
		return false;
	return ip[0] >> 4 == 4 ? clear4(ip, len, sent) : ip[0] >> 4 == 6 && clear6(ip, len, sent);
}
