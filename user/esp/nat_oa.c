/* SPDX-License-Identifier: BSD-2-Clause */
/* nat_oa.c - see nat_oa.h. */
#include <netinet/in.h>
#include <string.h>

#include "esp/inner.h"
#include "esp/nat_oa.h"
#include "esp/wire.h"
#include "libxesp/addr.h"
#include "sad/tunnel.h"

#define IP4_CHECK 10
#define IP4_SRC   12
#define IP4_DST   16
#define IP6_HDR   40
#define IP6_SRC   8
#define IP6_DST   24
#define IP6_NEXT  6
#define UDP_LEN_AT 4
#define EXT_MAX   8

static bool is_ip4(const uint8_t *ip)
{
	return ip[0] >> 4 == 4;
}

/* IPv4's header checksum follows. */
static void write_addr(uint8_t *ip, const struct xesp_addr *a, bool source)
{
	const uint8_t *v4 = (const uint8_t *)&a->w[3];

	if (!is_ip4(ip)) {
		memcpy(ip + (source ? IP6_SRC : IP6_DST), a, 16);
		return;
	}
	for (uint32_t i = 0; i < 4; i += 2)
		wire_replace16(ip + IP4_CHECK, ip + (source ? IP4_SRC : IP4_DST) + i,
			       wire_raw16(v4 + i));
}

void nat_oa_aim(uint8_t *ip, const struct tunnel *t)
{
	const struct xesp_addr *peer = tunnel_peer(&t->as_told);

	if (!addr_equal(peer, &t->as_told.remote))
		write_addr(ip, peer, false);
}

bool nat_oa_takes(const uint8_t *ip, uint32_t headers_len)
{
	uint32_t off = IP6_HDR;
	uint8_t next = ip[IP6_NEXT];

	if (is_ip4(ip))
		return true;
	while (off < headers_len) { /* transport_find_place() has walked them */
		if (next == IPPROTO_ROUTING)
			return false;
		next = ip[off];
		off += (ip[off + 1] + 1u) * 8;
	}
	return true;
}

/* Where the checksum is; the header is at least so long. */
struct sum_place {
	uint8_t proto, at, least;
	bool whole; /* covers the whole payload, so that it can be computed */
};

static const struct sum_place *find_place(uint8_t proto, bool ip4)
{
	static const struct sum_place places[] = {
		{ IPPROTO_TCP, 16, 20, true },	    { IPPROTO_UDP, 6, 8, true },
		{ IPPROTO_ICMPV6, 2, 4, true },	    { IPPROTO_UDPLITE, 6, 8, false },
		{ IPPROTO_DCCP, 6, 12, false },
	};

	if (ip4 && proto == IPPROTO_ICMPV6)
		return NULL; /* ICMPv4 sums up no addresses, and this is not that */
	for (uint32_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (places[i].proto == proto)
			return &places[i];
	return NULL;
}

/* Past IPv6 extension headers behind ESP; false: a fragment, or they do not fit. */
static bool find_upper(const uint8_t *ip, const struct inner *in, uint32_t *off, uint8_t *proto)
{
	for (int i = 0; i < EXT_MAX && in->version == 6; i++) {
		uint32_t len;

		if (*proto != IPPROTO_DSTOPTS && *proto != IPPROTO_HOPOPTS &&
		    *proto != IPPROTO_ROUTING)
			break;
		if (*off > in->len || in->len - *off < 8)
			return false;
		len = (ip[*off + 1] + 1u) * 8;
		if (len > in->len - *off)
			return false;
		*proto = ip[*off];
		*off += len;
	}
	return *off <= in->len;
}

/* Both addresses, which lie side by side. */
static uint16_t sum_addrs(const uint8_t *ip)
{
	return is_ip4(ip) ? wire_sum(0, ip + IP4_SRC, 8) : wire_sum(0, ip + IP6_SRC, 32);
}

/* RFC 1624 equation 3: what was summed goes, what is there comes. */
static uint16_t adjust(uint16_t check, uint16_t was, uint16_t is)
{
	return (uint16_t)~wire_fold((uint32_t)(uint16_t)~check + (uint16_t)~was + is);
}

static uint16_t compute(const uint8_t *ip, uint8_t *l4, const struct sum_place *at, uint32_t len)
{
	memset(l4 + at->at, 0, 2);
	return (uint16_t)~wire_sum((uint64_t)sum_addrs(ip) + htons((uint16_t)len) +
				   htons(at->proto), l4, len);
}

/* RFC 3948 section 3.1.2: adjusted by what is known of the addresses, or computed. */
static void fix_checksum(uint8_t *ip, uint8_t *l4, uint32_t len, const struct sum_place *at,
			 const struct tunnel *t)
{
	uint16_t check = wire_raw16(l4 + at->at);

	if (at->proto == IPPROTO_UDP && !check)
		return; /* there is none */
	if (t->oa_sum) {
		check = adjust(check, t->oa_sum, sum_addrs(ip));
	} else {
		if (at->proto == IPPROTO_UDP) {
			uint32_t says = wire_get16(l4 + UDP_LEN_AT);

			if (says < at->least || says > len)
				return; /* whoever receives it drops it */
			len = says;
		}
		if (!at->whole)
			return;
		check = compute(ip, l4, at, len);
	}
	if (!check && at->proto == IPPROTO_UDP)
		check = 0xffff; /* RFC 768: 0 says that there is none */
	memcpy(l4 + at->at, &check, sizeof(check));
}

void nat_oa_restore(uint8_t *ip, const struct inner *in, uint32_t off, uint8_t proto,
		    const struct tunnel *t)
{
	const struct sum_place *at;

	if (t->as_told.natt.follow_peer == XESP_FOLLOW_PEER)
		write_addr(ip, &t->as_told.remote, true);
	if (!find_upper(ip, in, &off, &proto))
		return;
	at = find_place(proto, is_ip4(ip));
	if (at && in->len - off >= at->least)
		fix_checksum(ip, ip + off, in->len - off, at, t);
}
