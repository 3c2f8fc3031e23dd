/* SPDX-License-Identifier: BSD-2-Clause */
/* echo.c - see echo.h. */
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <string.h>

#include "esp/inner.h"
#include "esp/wire.h"
#include "libxesp/addr.h"
#include "slow/check.h"
#include "slow/echo.h"

#define IP4_HDR 20
#define IP6_HDR 40
#define ICMP_HDR 8
#define TTL 64
#define IP4_DF 0x4000
#define IP4_MORE 0x2000
#define IP4_OFFSET 0x1fff
#define IP6_FRAG 8
#define IP6_MORE 1
#define IP6_OFFSET 0xfff8

#define ICMP4_REPLY 0
#define ICMP4_REQUEST 8
#define ICMP6_REQUEST 128
#define ICMP6_REPLY 129

/* The first bytes of the data. The rest is filling. */
struct mark {
	uint64_t secret;
	uint32_t tunnel;
	uint16_t seq;
	uint8_t kind;
	uint8_t pad;
};

_Static_assert(sizeof(struct mark) == ECHO_LEN_MIN4 - IP4_HDR - ICMP_HDR, "no gaps");

static void fill_icmp(uint8_t *icmp, const struct echo *e, uint64_t secret, uint32_t len)
{
	const struct mark m = {
		.secret = secret, .tunnel = e->tunnel, .seq = e->seq, .kind = e->kind
	};

	memset(icmp, 0, len);
	/* One flow a tunnel and kind: what balances by ICMP identifier keeps their order. */
	wire_put16(icmp + 4, (uint16_t)(e->tunnel << 1 | (e->kind & 1u)));
	wire_put16(icmp + 6, e->seq);
	memcpy(icmp + ICMP_HDR, &m, sizeof(m));
}

static uint32_t pseudo_sum6(const uint8_t *ip, uint32_t payload)
{
	return check_add(IPPROTO_ICMPV6 + payload, ip + 8, 32);
}

static void make4(const struct echo *e, uint64_t secret, uint32_t len, uint8_t *ip)
{
	uint8_t *icmp = ip + IP4_HDR;

	memset(ip, 0, IP4_HDR);
	ip[0] = 0x45;
	wire_put16(ip + 2, (uint16_t)len);
	wire_put16(ip + 6, IP4_DF); /* so that ID 0 is allowed, RFC 6864 section 4.1 */
	ip[8] = TTL;
	ip[9] = IPPROTO_ICMP;
	memcpy(ip + 12, &e->local.w[3], 4);
	memcpy(ip + 16, &e->remote.w[3], 4);
	wire_put16(ip + 10, check_fold(check_add(0, ip, IP4_HDR)));
	fill_icmp(icmp, e, secret, len - IP4_HDR);
	icmp[0] = ICMP4_REQUEST;
	wire_put16(icmp + 2, check_fold(check_add(0, icmp, len - IP4_HDR)));
}

static void make6(const struct echo *e, uint64_t secret, uint32_t len, uint8_t *ip)
{
	uint32_t payload = len - IP6_HDR;
	uint8_t *icmp = ip + IP6_HDR;

	memset(ip, 0, IP6_HDR);
	ip[0] = 0x60;
	wire_put16(ip + 4, (uint16_t)payload);
	ip[6] = IPPROTO_ICMPV6;
	ip[7] = TTL;
	memcpy(ip + 8, &e->local, 16);
	memcpy(ip + 24, &e->remote, 16);
	fill_icmp(icmp, e, secret, payload);
	icmp[0] = ICMP6_REQUEST;
	wire_put16(icmp + 2, check_fold(check_add(pseudo_sum6(ip, payload), icmp, payload)));
}

bool echo_make(const struct echo *e, uint64_t secret, uint32_t len, uint8_t *out)
{
	bool ip4 = addr_is_ip4(&e->local);

	if (len < (ip4 ? ECHO_LEN_MIN4 : ECHO_LEN_MIN6) || len > UINT16_MAX)
		return false;
	if (ip4)
		make4(e, secret, len, out);
	else
		make6(e, secret, len, out);
	return true;
}

/* What find_icmp() found: a message that begins here, whole or not. */
struct found {
	const uint8_t *icmp;
	uint32_t len;   /* bytes of it that are here */
	bool whole;     /* else a first fragment */
	uint8_t version;
};

/*
 * The ICMP message of a packet without extension headers, or the beginning of one in a first
 * fragment: who answers may have a smaller MTU than who asked.
 */
static bool find_icmp(const uint8_t *ip, uint32_t room, struct found *f)
{
	struct inner in;
	uint32_t off;

	if (!inner_parse(&in, ip, room))
		return false;
	off = in.hdr_len;
	*f = (struct found){ .whole = true, .version = in.version };
	if (in.version == 4) {
		if (ip[9] != IPPROTO_ICMP || wire_get16(ip + 6) & IP4_OFFSET)
			return false;
		f->whole = !(wire_get16(ip + 6) & IP4_MORE);
	} else if (ip[6] == IPPROTO_FRAGMENT) {
		if (in.len < IP6_HDR + IP6_FRAG || ip[IP6_HDR] != IPPROTO_ICMPV6 ||
		    wire_get16(ip + IP6_HDR + 2) & IP6_OFFSET)
			return false;
		f->whole = !(wire_get16(ip + IP6_HDR + 2) & IP6_MORE);
		off += IP6_FRAG;
	} else if (ip[6] != IPPROTO_ICMPV6) {
		return false;
	}
	f->icmp = ip + off;
	f->len = in.len - off;
	return f->len >= ICMP_HDR;
}

enum echo_what echo_look(const uint8_t *ip, uint32_t room, uint16_t *id)
{
	struct found f;

	if (!find_icmp(ip, room, &f))
		return ECHO_NONE;
	*id = wire_get16(f.icmp + 4);
	if (f.icmp[0] == (f.version == 4 ? ICMP4_REQUEST : ICMP6_REQUEST))
		return ECHO_REQUEST;
	return f.icmp[0] == (f.version == 4 ? ICMP4_REPLY : ICMP6_REPLY) ? ECHO_REPLY : ECHO_NONE;
}

bool echo_read(const uint8_t *ip, uint32_t room, uint64_t secret, struct echo *e)
{
	struct found f;
	struct mark m;
	uint32_t sum;

	if (!find_icmp(ip, room, &f) || f.len < ICMP_HDR + sizeof(m) ||
	    f.icmp[0] != (f.version == 4 ? ICMP4_REPLY : ICMP6_REPLY))
		return false;
	memcpy(&m, f.icmp + ICMP_HDR, sizeof(m));
	if (CRYPTO_memcmp(&m.secret, &secret, sizeof(secret)) || m.kind >= ECHO_KINDS)
		return false;
	sum = f.version == 4 ? 0 : pseudo_sum6(ip, f.len);
	/* Of a part there is no sum; that it has the secret, and ESP's ICV, have to do. */
	if (f.whole && check_fold(check_add(sum, f.icmp, f.len)))
		return false;
	*e = (struct echo){ .tunnel = m.tunnel, .seq = m.seq, .kind = m.kind };
	if (f.version == 4) {
		addr_from_ip4(&e->remote, ip + 12);
		addr_from_ip4(&e->local, ip + 16);
	} else {
		addr_from_ip6(&e->remote, ip + 8);
		addr_from_ip6(&e->local, ip + 24);
	}
	return true;
}
