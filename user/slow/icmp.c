/* SPDX-License-Identifier: BSD-2-Clause */
/* icmp.c - see icmp.h. */
#include <netinet/in.h>
#include <string.h>

#include "esp/wire.h"
#include "libxesp/addr.h"
#include "slow/check.h"
#include "slow/icmp.h"

#define IP4_HDR                  20
#define IP6_HDR                  40
#define ICMP_HDR                 8
#define IP4_ERROR_MAX            576
#define IP4_OFFSET               0x1fff
#define IP6_OFFSET               0xfff8
#define TTL                      64
#define TOS_INTERNETWORK_CONTROL 0xc0 /* RFC 1812 section 4.3.2.5 */
#define EXT_MAX                  16

#define ICMP4_UNREACHABLE    3
#define ICMP4_FRAG_NEEDED    4 /* a code */
#define ICMP4_REDIRECT       5
#define ICMP4_TIME_EXCEEDED  11
#define ICMP4_PARAMETER      12
#define ICMP4_SOURCE_QUENCH  4
#define ICMP6_PACKET_TOO_BIG 2
#define ICMP6_TIME_EXCEEDED  3
#define ICMP6_INFO_MIN       128 /* below: errors */
#define ICMP6_REDIRECT       137

/* ---- who may be told */

/* One host, that answers come back from: RFC 1812 section 4.3.2.7. */
static bool ip4_is_one_host(const uint8_t *a)
{
	return a[0] != 0 && a[0] != 127 && a[0] < 224 && !(a[0] == 169 && a[1] == 254);
}

static bool ip4_is_error(const uint8_t *ip, uint32_t hdr_len, uint32_t have)
{
	if (ip[9] != IPPROTO_ICMP)
		return false;
	if (have <= hdr_len)
		return true; /* cannot be seen: take it for one */
	switch (ip[hdr_len]) {
	case ICMP4_UNREACHABLE:
	case ICMP4_SOURCE_QUENCH:
	case ICMP4_REDIRECT:
	case ICMP4_TIME_EXCEEDED:
	case ICMP4_PARAMETER:
		return true;
	default:
		return false;
	}
}

static bool may_tell4(const struct icmp_cause *c, struct xesp_addr *sender)
{
	const uint8_t *ip = c->ip;
	uint32_t hdr_len = (ip[0] & 0xfu) * 4;

	if (c->have < IP4_HDR || hdr_len < IP4_HDR || c->have < hdr_len)
		return false;
	if (wire_get16(ip + 6) & IP4_OFFSET)
		return false; /* the first fragment's error is enough */
	if (!ip4_is_one_host(ip + 12) || ip[16] >= 224 || ip4_is_error(ip, hdr_len, c->have))
		return false;
	addr_from_ip4(sender, ip + 12);
	return true;
}

/* Also when the headers are cut off or strange: then it cannot be known that it is none. */
static bool ip6_is_error(const uint8_t *ip, uint32_t have)
{
	uint32_t off = IP6_HDR, len;
	uint8_t next = ip[6];

	for (int i = 0; i < EXT_MAX; i++) {
		switch (next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
		case IPPROTO_FRAGMENT:
			if (off + 8 > have)
				return true;
			if (next == IPPROTO_FRAGMENT && (wire_get16(ip + off + 2) & IP6_OFFSET))
				return true; /* as with IPv4, the first fragment's is enough */
			len = next == IPPROTO_FRAGMENT ? 8 : (ip[off + 1] + 1u) * 8;
			next = ip[off];
			off += len;
			break;
		case IPPROTO_ICMPV6:
			return off >= have || ip[off] < ICMP6_INFO_MIN || ip[off] == ICMP6_REDIRECT;
		default:
			return false;
		}
	}
	return true;
}

static bool may_tell6(const struct icmp_cause *c, struct xesp_addr *sender)
{
	const uint8_t *ip = c->ip, *src = ip + 8;

	if (c->have < IP6_HDR || ip6_is_error(ip, c->have))
		return false;
	/* RFC 4443 section 2.4 (e.3): packet too big is the exception for multicast. */
	if (ip[24] == 0xff && c->error != ICMP_ERROR_TOO_BIG)
		return false;
	addr_from_ip6(sender, src);
	if (!sender->w[0] && !sender->w[1] && !sender->w[2])
		return false; /* unspecified, loopback, and the compatible ones */
	/* Multicast is no sender; a link-local one is not on a link that we could name. */
	return src[0] != 0xff && !(src[0] == 0xfe && (src[1] & 0xc0) == 0x80) &&
	       !addr_is_ip4(sender);
}

bool icmp_may_tell(const struct icmp_cause *c, struct xesp_addr *sender)
{
	if (!c->have)
		return false;
	if (c->ip[0] >> 4 == 4)
		return may_tell4(c, sender);
	return c->ip[0] >> 4 == 6 && may_tell6(c, sender);
}

/* ---- what they are told */

static uint32_t make4(const struct icmp_cause *c, const struct xesp_addr *src, uint8_t *out)
{
	uint32_t quote = c->have, total = wire_get16(c->ip + 2);
	uint8_t *icmp = out + IP4_HDR;

	if (quote > total)
		quote = total; /* not the padding of its frame */
	if (quote > IP4_ERROR_MAX - IP4_HDR - ICMP_HDR)
		quote = IP4_ERROR_MAX - IP4_HDR - ICMP_HDR;
	memset(out, 0, IP4_HDR + ICMP_HDR);
	memcpy(icmp + ICMP_HDR, c->ip, quote);
	if (c->error == ICMP_ERROR_TOO_BIG) {
		icmp[0] = ICMP4_UNREACHABLE;
		icmp[1] = ICMP4_FRAG_NEEDED;
		wire_put16(icmp + 6, (uint16_t)(c->mtu > UINT16_MAX ? UINT16_MAX : c->mtu));
	} else {
		icmp[0] = ICMP4_TIME_EXCEEDED;
	}
	wire_put16(icmp + 2, check_fold(check_add(0, icmp, ICMP_HDR + quote)));

	out[0] = 0x45;
	out[1] = TOS_INTERNETWORK_CONTROL;
	wire_put16(out + 2, (uint16_t)(IP4_HDR + ICMP_HDR + quote));
	out[8] = TTL;
	out[9] = IPPROTO_ICMP;
	memcpy(out + 12, &src->w[3], 4);
	memcpy(out + 16, c->ip + 12, 4);
	wire_put16(out + 10, check_fold(check_add(0, out, IP4_HDR)));
	return IP4_HDR + ICMP_HDR + quote;
}

static uint32_t make6(const struct icmp_cause *c, const struct xesp_addr *src, uint8_t *out)
{
	uint32_t quote = c->have, total = IP6_HDR + wire_get16(c->ip + 4), sum;
	uint8_t *icmp = out + IP6_HDR;

	if (quote > total)
		quote = total;
	if (quote > ICMP_LEN_MAX - IP6_HDR - ICMP_HDR)
		quote = ICMP_LEN_MAX - IP6_HDR - ICMP_HDR;
	memset(out, 0, IP6_HDR + ICMP_HDR);
	memcpy(icmp + ICMP_HDR, c->ip, quote);
	icmp[0] = ICMP6_TIME_EXCEEDED;
	if (c->error == ICMP_ERROR_TOO_BIG) {
		icmp[0] = ICMP6_PACKET_TOO_BIG;
		wire_put32(icmp + 4, c->mtu);
	}

	out[0] = 0x60;
	wire_put16(out + 4, (uint16_t)(ICMP_HDR + quote));
	out[6] = IPPROTO_ICMPV6;
	out[7] = TTL;
	memcpy(out + 8, src->w, 16);
	memcpy(out + 24, c->ip + 8, 16);
	/* RFC 8200 section 8.1: addresses, length and next header are summed with the rest. */
	sum = check_add(ICMP_HDR + quote + IPPROTO_ICMPV6, out + 8, 32);
	wire_put16(icmp + 2, check_fold(check_add(sum, icmp, ICMP_HDR + quote)));
	return IP6_HDR + ICMP_HDR + quote;
}

uint32_t icmp_make(const struct icmp_cause *c, const struct xesp_addr *src, uint8_t *out)
{
	return c->ip[0] >> 4 == 4 ? make4(c, src, out) : make6(c, src, out);
}

/* ---- how often */

void icmp_limit_init(struct icmp_limit *l, uint64_t now_ms)
{
	for (int i = 0; i < ICMP_ERRORS; i++) {
		l->tokens[i] = ICMP_LIMIT_BURST;
		l->filled_ms[i] = now_ms;
	}
}

bool icmp_limit_take(struct icmp_limit *l, enum icmp_error error, uint64_t now_ms)
{
	uint64_t new = (now_ms - l->filled_ms[error]) * ICMP_LIMIT_PER_S / 1000;

	if (new) {
		uint64_t tokens = l->tokens[error] + new;

		l->tokens[error] =
			(uint32_t)(tokens > ICMP_LIMIT_BURST ? ICMP_LIMIT_BURST : tokens);
		l->filled_ms[error] = now_ms;
	}
	if (!l->tokens[error])
		return false;
	l->tokens[error]--;
	return true;
}
