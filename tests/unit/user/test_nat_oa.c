/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transport mode in UDP through NATs in memory, RFC 3948 section 3.1.2: every checksum that sums up addresses,
 * each end translated, original addresses known or not; lengths, truncation, a peer that moved.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp/inner.h"
#include "esp/nat_oa.h"
#include "esp/wire.h"
#include "libxesp/addr.h"
#include "sad/tunnel.h"
#include "tests/pair/pair.h"
#include "xesp/fault.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define PROTO_NONE 0xfd /* for experiments, RFC 3692: no checksum that anybody knows */

/* As in pair.h; behind their NATs they see each other elsewhere. */
static const char *const ends[2][4] = {
	/* the sender, the receiver as the sender sees it; as the receiver sees them */
	{ "192.0.2.1", "192.0.2.2", "198.51.100.201", "10.9.8.7" },
	{ "2001:db8::1", "2001:db8::2", "2001:db8:cafe:1:2:3:4:5", "fd00:9:8::7" },
};

static struct xesp_addr address(const char *text)
{
	struct xesp_addr a;

	if (addr_parse(&a, text, NULL))
		abort();
	return a;
}

static void put_addr(uint8_t *ip, bool source, const char *text)
{
	const struct xesp_addr a = address(text);

	if (ip[0] >> 4 == 4) {
		memcpy(ip + (source ? 12 : 16), &a.w[3], 4);
		pair_checksum(ip);
	} else {
		memcpy(ip + (source ? 8 : 24), &a, 16);
	}
}

/* ---- checksums, octet by octet: RFC 1071, RFC 8200 section 8.1 */

static uint32_t sum(uint32_t s, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		s += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static uint16_t sum_l4(const uint8_t *ip, uint32_t off, uint32_t len, uint8_t proto)
{
	uint32_t s = ip[0] >> 4 == 4 ? sum(0, ip + 12, 8) : sum(0, ip + 8, 32);
	uint32_t covered = len;

	if (proto == IPPROTO_UDPLITE && wire_get16(ip + off + 4))
		covered = wire_get16(ip + off + 4);
	return (uint16_t)sum(s + len + proto, ip + off, covered);
}

static uint32_t sum_at(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_ICMPV6:
		return 2;
	}
	return 6;
}

/* What of it would be right: no address counts in it, or it is there and sums to all ones. */
static bool is_right(const uint8_t *ip, uint32_t off, uint32_t len, uint8_t proto)
{
	return sum_l4(ip, off, len, proto) == 0xffff;
}

/* ---- packets */

/* A packet of the sender: IP header, `ext` bytes of extension headers (0 or 8), `l4` bytes of this protocol. */
static struct pkt make(struct frame *f, int version, uint8_t proto, uint32_t ext, uint32_t l4)
{
	const uint32_t hdr = version == 4 ? 20 : 40, off = hdr + ext;
	struct pkt p = pair_make(f, version, off + l4);

	p.local = true;
	put_addr(p.l3, true, ends[version == 6][0]);
	put_addr(p.l3, false, ends[version == 6][1]);
	if (version == 4)
		p.l3[9] = proto;
	else
		p.l3[6] = ext ? IPPROTO_DSTOPTS : proto;
	if (ext) {
		memset(p.l3 + 40, 0, 8);
		p.l3[40] = proto;
		p.l3[42] = 1; /* PadN */
		p.l3[43] = 4;
	}
	if (version == 4)
		pair_checksum(p.l3);
	if (proto == IPPROTO_UDP && l4 >= 8)
		wire_put16(p.l3 + off + 4, (uint16_t)l4);
	if (proto == IPPROTO_UDPLITE && l4 >= 8)
		wire_put16(p.l3 + off + 4, 8);
	if (l4 >= sum_at(proto) + 2 && proto != PROTO_NONE) {
		memset(p.l3 + off + sum_at(proto), 0, 2);
		wire_put16(p.l3 + off + sum_at(proto), (uint16_t)~sum_l4(p.l3, off, l4, proto));
	}
	return p;
}

struct world {
	struct pair pair;
	int version;
	bool src, dst; /* translated */
};

/* `known`: bit 0 what the peer calls us, bit 1 what it calls itself. */
static void open_world(struct world *w, int version, bool src, bool dst, int known, uint8_t checksum)
{
	const bool six = version == 6;
	struct pair_opts o = { .mode = XESP_MODE_TRANSPORT, .outer6 = six,
			       .natt = { .encap = XESP_ENCAP_UDP, .local_port = htons(4500),
					 .remote_port = htons(31337), .peer_port = htons(31337),
					 .checksum = checksum } };
	struct list_row row = { .local = NULL };
	char local[64], remote[64];
	struct xesp_keymsg_tunnel in;

	*w = (struct world){ .version = version, .src = src, .dst = dst };
	pair_open(&w->pair, &o);
	in = w->pair.tunnel_in;
	in.remote = address(ends[six][src ? 2 : 0]);
	in.local = address(ends[six][dst ? 3 : 1]);
	if (known & 1)
		in.oa_local = address(ends[six][1]);
	if (known & 2)
		in.oa_remote = address(ends[six][0]);
	CU_ASSERT_EQUAL(sad_tunnel_set(w->pair.sad, &in, NULL), 0);
	w->pair.tunnel_in = in;
	snprintf(local, sizeof(local), "%s/%d", ends[six][dst ? 3 : 1], six ? 128 : 32);
	snprintf(remote, sizeof(remote), "%s/%d", ends[six][src ? 2 : 0], six ? 128 : 32);
	row.local = local;
	row.remote = remote;
	pair_allow(&w->pair, PAIR_TUNNEL_IN, &row, 1);
}

/* The NATs between: RFC 3022 for what they can see, the outer header. */
static void translate(const struct world *w, struct pkt *p)
{
	if (w->src)
		put_addr(p->l3, true, ends[w->version == 6][2]);
	if (w->dst)
		put_addr(p->l3, false, ends[w->version == 6][3]);
}

static enum xesp_drop pass(struct world *w, struct pkt *p)
{
	if (pair_encap(&w->pair, p))
		return p->drop;
	pair_turn(p);
	CU_ASSERT_TRUE(p->udp);
	translate(w, p);
	return pair_decap(&w->pair, p);
}

static uint32_t l4_of(const struct pkt *p, uint32_t ext)
{
	return (p->l3[0] >> 4 == 4 ? 20 : 40) + ext;
}

/* ---- the tests */

static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, IPPROTO_DCCP, IPPROTO_ICMPV6,
				  PROTO_NONE };

static bool is_computed(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_ICMPV6;
}

/* One packet through; what arrives is right, or what was sent where nobody could know. */
static void try_one(struct world *w, uint8_t proto, uint32_t ext, uint32_t l4, int known)
{
	static struct frame f;
	struct pkt p = make(&f, w->version, proto, ext, l4);
	uint32_t off = l4_of(&p, ext), len = p.len;
	uint8_t before[512];

	memcpy(before, p.l3, len);
	CU_ASSERT_EQUAL(pass(w, &p), XESP_DROP_NONE);
	if (p.drop)
		return;
	CU_ASSERT_EQUAL(p.len, len);
	if (w->version == 4)
		CU_ASSERT_EQUAL(sum(0, p.l3, 20), 0xffff);
	if (proto != PROTO_NONE && (known || is_computed(proto))) {
		if (!is_right(p.l3, off, l4, proto))
			printf("  IPv%d protocol %u, %u bytes, NAT %d%d, known %d: wrong\n", w->version,
			       proto, l4, w->src, w->dst, known);
		CU_ASSERT_TRUE(is_right(p.l3, off, l4, proto));
		memcpy(p.l3 + off + sum_at(proto), before + off + sum_at(proto), 2);
	}
	CU_ASSERT_EQUAL(memcmp(p.l3 + off, before + off, l4), 0);
}

static void every_checksum(void)
{
	for (int version = 4; version <= 6; version += 2)
		for (int nat = 0; nat < 4; nat++)
			for (int known = 0; known < 4; known++) {
				struct world w;

				/* A translated end whose original is not told: a mistake, not a case. */
				if (known && (nat & ~(known >> 1 | known << 1) & 3))
					continue;
				open_world(&w, version, nat & 1, nat & 2, known, XESP_UDP_CHECKSUM_AUTO);
				for (size_t i = 0; i < LEN(protos); i++) {
					if (version == 4 && protos[i] == IPPROTO_ICMPV6)
						continue;
					for (uint32_t l4 = 20; l4 < 90; l4++)
						try_one(&w, protos[i], 0, l4, known);
					if (version == 6)
						try_one(&w, protos[i], 8, 60, known);
				}
				pair_close(&w.pair);
			}
}

/* RFC 768: a checksum of 0 is none, and must not become one; one that comes out as 0 is written as all ones. */
static void zero_of_udp(void)
{
	static struct frame f;

	for (int version = 4; version <= 6; version += 2)
		for (int known = 0; known < 4; known += 3) {
			struct world w;
			struct pkt p;
			uint32_t off;
			bool ones = false;

			open_world(&w, version, true, true, known, XESP_UDP_CHECKSUM_AUTO);
			p = make(&f, version, IPPROTO_UDP, 0, 40);
			off = l4_of(&p, 0);
			memset(p.l3 + off + 6, 0, 2);
			CU_ASSERT_EQUAL(pass(&w, &p), XESP_DROP_NONE);
			CU_ASSERT_EQUAL(wire_get16(p.l3 + off + 6), 0);
			for (uint32_t word = 0; word < 0x10000; word++) {
				p = make(&f, version, IPPROTO_UDP, 0, 12);
				wire_put16(p.l3 + off + 8, (uint16_t)word);
				wire_put16(p.l3 + off + 6, 0);
				wire_put16(p.l3 + off + 6, (uint16_t)~sum_l4(p.l3, off, 12, IPPROTO_UDP));
				if (!wire_get16(p.l3 + off + 6))
					wire_put16(p.l3 + off + 6, 0xffff);
				if (pass(&w, &p) || !wire_get16(p.l3 + off + 6) ||
				    !is_right(p.l3, off, 12, IPPROTO_UDP)) {
					CU_FAIL("a checksum of UDP is wrong");
					break;
				}
				ones |= wire_get16(p.l3 + off + 6) == 0xffff;
			}
			CU_ASSERT_TRUE(ones);
			pair_close(&w.pair);
		}
}

/* A header that is cut, a UDP length that contradicts: nothing is read or written beyond, nothing repaired. */
static void cut_headers(void)
{
	static const uint8_t least[] = { 20, 8, 8, 12, 4, 255 };
	static struct frame f;

	for (int version = 4; version <= 6; version += 2)
		for (int known = 0; known < 4; known += 3) {
			struct world w;

			open_world(&w, version, true, true, known, XESP_UDP_CHECKSUM_AUTO);
			for (size_t i = 0; i < LEN(protos); i++)
				for (uint32_t l4 = 0; l4 < 24; l4++) {
					struct pkt p = make(&f, version, protos[i], 0, l4);
					uint32_t off = l4_of(&p, 0);
					uint8_t before[64], *copy;

					memcpy(before, p.l3 + off, l4);
					if (pair_encap(&w.pair, &p))
						continue;
					pair_turn(&p);
					translate(&w, &p);
					copy = malloc(p.len); /* ASan sees the end */
					memcpy(copy, p.l3, p.len);
					p.head = p.l3 = copy;
					p.end = copy + p.len;
					CU_ASSERT_EQUAL(pair_decap(&w.pair, &p), XESP_DROP_NONE);
					if (l4 < least[i])
						CU_ASSERT_EQUAL(memcmp(p.l3 + off, before, l4), 0);
					free(copy);
				}
			for (uint32_t says = 0; says < 60; says++) {
				struct pkt p = make(&f, version, IPPROTO_UDP, 0, 40);
				uint32_t off = l4_of(&p, 0);

				wire_put16(p.l3 + off + 4, (uint16_t)says);
				wire_put16(p.l3 + off + 6, 0x1234);
				CU_ASSERT_EQUAL(pass(&w, &p), XESP_DROP_NONE);
				if (known)
					continue; /* adjusted whatever it is, RFC 1624 */
				if (says < 8 || says > 40)
					CU_ASSERT_EQUAL(wire_get16(p.l3 + off + 6), 0x1234)
				else
					CU_ASSERT_EQUAL(sum_l4(p.l3, off, says, IPPROTO_UDP), 0xffff);
			}
			pair_close(&w.pair);
		}
}

/* Extension headers behind ESP with lengths of every value: only what fits is gone behind. */
static void extension_headers(void)
{
	static struct frame f;
	struct world w;

	open_world(&w, 6, true, false, 0, XESP_UDP_CHECKSUM_AUTO);
	for (uint32_t len8 = 0; len8 < 256; len8++) {
		struct pkt p = make(&f, 6, IPPROTO_TCP, 8, 60);
		uint8_t before[60], *copy;

		p.l3[41] = (uint8_t)len8;
		memcpy(before, p.l3 + 48, 60);
		if (pair_encap(&w.pair, &p)) {
			CU_ASSERT_TRUE(len8 > 7); /* beyond the packet */
			continue;
		}
		pair_turn(&p);
		translate(&w, &p);
		copy = malloc(p.len); /* ASan sees the end */
		memcpy(copy, p.l3, p.len);
		p.head = p.l3 = copy;
		p.end = copy + p.len;
		pair_decap(&w.pair, &p);
		if (len8 > 5)
			CU_ASSERT_EQUAL(memcmp(p.l3 + 48, before, 60), 0);
		free(copy);
	}
	pair_close(&w.pair);
}

/* A peer may protect a fragment all the same: its checksum is not in it, or not of what is there. */
static void fragments(void)
{
	static struct frame f;
	const struct tunnel *t;
	uint8_t before[60];
	struct inner in;
	struct world w;
	struct pkt p;

	open_world(&w, 6, true, false, 0, XESP_UDP_CHECKSUM_AUTO);
	t = sad_tunnel(w.pair.sad, PAIR_TUNNEL_IN);
	p = make(&f, 6, IPPROTO_TCP, 8, 60);
	p.l3[6] = IPPROTO_FRAGMENT;
	memcpy(before, p.l3 + 48, 60);
	put_addr(p.l3, true, ends[1][2]);
	CU_ASSERT_TRUE(inner_parse(&in, p.l3, p.len));
	nat_oa_restore(p.l3, &in, 40, IPPROTO_FRAGMENT, t);
	CU_ASSERT_EQUAL(memcmp(p.l3 + 48, before, 60), 0);
	p.l3[6] = IPPROTO_DSTOPTS; /* the control */
	nat_oa_restore(p.l3, &in, 40, IPPROTO_DSTOPTS, t);
	CU_ASSERT_NOT_EQUAL(memcmp(p.l3 + 48, before, 60), 0);
	pair_close(&w.pair);
}

/* What stands on the wire: the packet's own header, UDP, ESP; its length field and both checksums follow. */
static void on_the_wire(void)
{
	static struct frame f;

	for (int version = 4; version <= 6; version += 2)
		for (uint8_t checksum = 0; checksum <= XESP_UDP_CHECKSUM_COMPUTE; checksum++) {
			const uint32_t hdr = version == 4 ? 20 : 40;
			struct world w;

			open_world(&w, version, false, false, 0, checksum);
			for (uint32_t l4 = 20; l4 < 60; l4++) {
				struct pkt p = make(&f, version, IPPROTO_TCP, 0, l4);
				bool none = checksum == XESP_UDP_CHECKSUM_ZERO ||
					    (checksum == XESP_UDP_CHECKSUM_AUTO && version == 4);

				CU_ASSERT_EQUAL(pair_encap(&w.pair, &p), XESP_DROP_NONE);
				CU_ASSERT_EQUAL(p.l3[version == 4 ? 9 : 6], IPPROTO_UDP);
				CU_ASSERT_EQUAL(p.l4_off, hdr + 8);
				CU_ASSERT_EQUAL(wire_get16(p.l3 + hdr), 4500);
				CU_ASSERT_EQUAL(wire_get16(p.l3 + hdr + 2), 31337);
				CU_ASSERT_EQUAL(wire_get16(p.l3 + hdr + 4), p.len - hdr);
				CU_ASSERT_EQUAL(wire_get32(p.l3 + hdr + 8), PAIR_SPI);
				CU_ASSERT_EQUAL(wire_get16(p.l3 + (version == 4 ? 2 : 4)),
						version == 4 ? p.len : p.len - 40);
				/* 8 of ESP, 8 of IV, payload and trailer to a multiple of 4, 16 of ICV */
				CU_ASSERT_EQUAL(p.len, hdr + 8 + 16 + (l4 + 2 + 3) / 4 * 4 + 16);
				if (none)
					CU_ASSERT_EQUAL(wire_get16(p.l3 + hdr + 6), 0)
				else
					CU_ASSERT_TRUE(is_right(p.l3, hdr, p.len - hdr, IPPROTO_UDP));
			}
			pair_close(&w.pair);
		}
}

/* A followed peer: what is sent goes to where it is, and what comes from there is known by its old name. */
static void moved_peer(void)
{
	static struct frame f;

	for (int version = 4; version <= 6; version += 2)
		for (int known = 0; known < 4; known += 3) {
			const bool six = version == 6;
			struct xesp_addr now = address(ends[six][2]);
			struct xesp_keymsg_tunnel t;
			struct world w;
			struct pkt p;

			open_world(&w, version, false, false, known, XESP_UDP_CHECKSUM_AUTO);
			t = w.pair.tunnel_in;
			t.natt.follow_peer = 1;
			CU_ASSERT_EQUAL(sad_tunnel_set(w.pair.sad, &t, NULL), 0);
			w.src = true;
			p = make(&f, version, IPPROTO_TCP, 0, 50);
			CU_ASSERT_EQUAL(pass(&w, &p), XESP_DROP_NONE);
			CU_ASSERT_TRUE(is_right(p.l3, l4_of(&p, 0), 50, IPPROTO_TCP));
			CU_ASSERT_EQUAL(memcmp(p.l3 + (six ? 8 : 12),
					       six ? (const uint8_t *)&w.pair.tunnel_in.remote :
						     (const uint8_t *)&w.pair.tunnel_in.remote.w[3],
					       six ? 16 : 4), 0);
			CU_ASSERT_EQUAL(sad_move_peers(w.pair.sad), 1);
			/* And back: the other tunnel sends to a peer that moved. */
			t = w.pair.tunnel_out;
			t.natt.follow_peer = 1;
			t.natt.peer = now;
			CU_ASSERT_EQUAL(sad_tunnel_set(w.pair.sad, &t, NULL), 0);
			p = make(&f, version, IPPROTO_TCP, 0, 50);
			CU_ASSERT_EQUAL(pair_encap(&w.pair, &p), XESP_DROP_NONE);
			CU_ASSERT_EQUAL(memcmp(p.l3 + (six ? 24 : 16),
					       six ? (const uint8_t *)&now : (const uint8_t *)&now.w[3],
					       six ? 16 : 4), 0);
			if (!six)
				CU_ASSERT_EQUAL(sum(0, p.l3, 20), 0xffff);
			pair_close(&w.pair);
		}
}

/* From an address that is nobody's the selectors refuse it, whatever its checksum: RFC 4301 section 5.2. */
static void strangers(void)
{
	static struct frame f;
	struct world w;
	struct pkt p;

	open_world(&w, 4, false, false, 3, XESP_UDP_CHECKSUM_AUTO);
	w.src = true;
	p = make(&f, 4, IPPROTO_TCP, 0, 50);
	CU_ASSERT_EQUAL(pass(&w, &p), XESP_DROP_SELECTOR_MISMATCH);
	pair_close(&w.pair);
}

/* UDP's pseudo-header would need the last destination of a source route: RFC 8200 section 8.1. */
static void routing_header(void)
{
	static struct frame f;
	struct world w;
	struct pkt p;

	open_world(&w, 6, false, false, 0, XESP_UDP_CHECKSUM_AUTO);
	p = make(&f, 6, IPPROTO_TCP, 8, 50);
	p.l3[6] = IPPROTO_ROUTING;
	p.l3[42] = 4;
	CU_ASSERT_EQUAL(pair_encap(&w.pair, &p), XESP_DROP_MALFORMED_IP);
	p = make(&f, 6, IPPROTO_TCP, 8, 50);
	p.l3[6] = IPPROTO_HOPOPTS; /* before UDP */
	CU_ASSERT_EQUAL(pair_encap(&w.pair, &p), XESP_DROP_NONE);
	CU_ASSERT_EQUAL(p.l3[40], IPPROTO_UDP);
	CU_ASSERT_EQUAL(p.l4_off, 56);
	p.id = PAIR_SA_IN;
	p.policy = 0;
	CU_ASSERT_EQUAL(pair_decap(&w.pair, &p), XESP_DROP_NONE);
	CU_ASSERT_EQUAL(p.l3[40], IPPROTO_TCP);
	CU_ASSERT_TRUE(is_right(p.l3, 48, 50, IPPROTO_TCP));
	pair_close(&w.pair);
}

static void other_family(void)
{
	struct world w;
	struct fault f = { "" };
	struct xesp_keymsg_tunnel t;

	open_world(&w, 4, false, false, 0, XESP_UDP_CHECKSUM_AUTO);
	t = w.pair.tunnel_in;
	t.oa_remote = address("2001:db8::1");
	CU_ASSERT_NOT_EQUAL(sad_tunnel_set(w.pair.sad, &t, &f), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "another IP version"));
	pair_close(&w.pair);
}

CU_TestInfo nat_oa_tests[] = {
	{ "every checksum, each end translated", every_checksum },
	{ "UDP without a checksum, and one that comes out as 0", zero_of_udp },
	{ "cut headers and lengths that contradict", cut_headers },
	{ "extension headers behind ESP", extension_headers },
	{ "fragments stay as they are", fragments },
	{ "headers on the wire", on_the_wire },
	{ "a peer that moved", moved_peer },
	{ "selectors hold", strangers },
	{ "a routing header is refused, others are not", routing_header },
	{ "original addresses of another family", other_family },
	CU_TEST_INFO_NULL,
};
