/* SPDX-License-Identifier: BSD-2-Clause */
/* ESP in UDP, RFC 3948: what is written, what is taken, and when a peer is followed. */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp/natt.h"
#include "esp/wire.h"
#include "libxesp/addr.h"
#include "libxesp/drops.h"
#include "sad/sad.h"
#include "sad/tunnel.h"
#include "slow/check.h"
#include "tests/pair/pair.h"
#include "xesp/fault.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define UDP(sum) { .encap = XESP_ENCAP_UDP, .checksum = XESP_UDP_CHECKSUM_##sum, PORTS }
#define PORTS .local_port = PORT_OUT, .remote_port = PORT_IN, .peer_port = PORT_IN
#define PORT_OUT 0x9411 /* 4500, as on the wire */
#define PORT_IN 0x697a  /* 31337 */
#define PORT_NEW 0x0104 /* 1025 */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the ports above are written for it");

/* By other code than what is tested: 0 when the packet's UDP checksum is right. */
static uint16_t verify(const uint8_t *ip)
{
	bool ip4 = ip[0] >> 4 == 4;
	uint32_t ip_len = ip4 ? 20 : 40, len = wire_get16(ip + (ip4 ? 2 : 4)) - (ip4 ? 20u : 0);
	uint32_t sum = check_add(len + 17, ip + (ip4 ? 12 : 8), ip4 ? 8 : 32);

	return check_fold(check_add(sum, ip + ip_len, len));
}

static const struct {
	const char *what;
	struct pair_opts o;
	bool sum; /* else zero */
} headers[] = {
	{ "IPv4: zero, RFC 3948 section 2.1", { .natt = UDP(AUTO) }, false },
	{ "IPv4, zero", { .natt = UDP(ZERO) }, false },
	{ "IPv4, computed", { .natt = UDP(COMPUTE) }, true },
	{ "IPv6: computed", { .natt = UDP(AUTO), .outer6 = true }, true },
	{ "IPv6, zero: RFC 6935", { .natt = UDP(ZERO), .outer6 = true }, false },
	{ "IPv6, compute", { .natt = UDP(COMPUTE), .outer6 = true }, true },
};

static void headers_and_back(void)
{
	static struct frame f;

	for (size_t i = 0; i < LEN(headers); i++) {
		uint32_t ip_len = headers[i].o.outer6 ? 40 : 20;
		struct pair p;

		pair_open(&p, &headers[i].o);
		for (uint32_t len = 60; len < 140; len++) {
			struct pkt pkt = pair_make(&f, 4, len);
			const uint8_t *udp;

			CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
			udp = pkt.l3 + ip_len;
			CU_ASSERT_EQUAL(pkt.l3[ip_len == 40 ? 6 : 9], 17);
			CU_ASSERT_EQUAL(wire_get16(pkt.l3 + (ip_len == 40 ? 4 : 2)),
					pkt.len - (ip_len == 40 ? 40 : 0));
			CU_ASSERT_EQUAL(pkt.l4_off, ip_len + 8);
			CU_ASSERT_EQUAL(wire_get16(udp), 4500);
			CU_ASSERT_EQUAL(wire_get16(udp + 2), 31337);
			CU_ASSERT_EQUAL(wire_get16(udp + 4), pkt.len - ip_len);
			CU_ASSERT_EQUAL(wire_get32(udp + 8), 0x12345678);
			if (headers[i].sum ? verify(pkt.l3) != 0 : wire_get16(udp + 6) != 0)
				fprintf(stderr, "natt: %s: checksum\n", headers[i].what);
			CU_ASSERT_EQUAL(headers[i].sum, wire_get16(udp + 6) != 0);
			CU_ASSERT_TRUE(!headers[i].sum || verify(pkt.l3) == 0);
			pair_turn(&pkt);
			CU_ASSERT_TRUE(pkt.udp);
			CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
			CU_ASSERT_EQUAL(pkt.len, len);
		}
		pair_close(&p);
	}
}

/* Every length, odd ones too, and the one sum that must not be written as it is. */
static void checksums(void)
{
	for (int v6 = 0; v6 < 2; v6++) {
		const struct pair_opts o = { .natt = UDP(COMPUTE), .outer6 = v6 };
		uint32_t ip_len = v6 ? 40 : 20;
		const struct tunnel *t;
		uint8_t ip[400];
		uint16_t sum;
		struct pair p;

		pair_open(&p, &o);
		t = sad_tunnel(p.sad, PAIR_TUNNEL_OUT);
		for (uint32_t len = ip_len + 8; len < sizeof(ip); len++) {
			for (size_t i = 0; i < sizeof(ip); i++)
				ip[i] = len % 3 ? (uint8_t)rand() : 0xff;
			memcpy(ip, t->header, ip_len);
			wire_put16(ip + (v6 ? 4 : 2), (uint16_t)(len - (v6 ? 40 : 0)));
			natt_write_udp(ip + ip_len, len - ip_len, t);
			natt_write_checksum(ip, ip_len, len - ip_len);
			CU_ASSERT_EQUAL(verify(ip), 0);
		}
		/* What makes the sum all ones, so that its complement would be 0: RFC 768. */
		natt_write_udp(ip + ip_len, 10, t);
		wire_put16(ip + (v6 ? 4 : 2), (uint16_t)(ip_len + 10 - (v6 ? 40 : 0)));
		memset(ip + ip_len + 8, 0, 2);
		natt_write_checksum(ip, ip_len, 10);
		memcpy(ip + ip_len + 8, ip + ip_len + 6, 2);
		memset(ip + ip_len + 6, 0, 2);
		natt_write_checksum(ip, ip_len, 10);
		memcpy(&sum, ip + ip_len + 6, 2);
		CU_ASSERT_EQUAL(sum, 0xffff);
		CU_ASSERT_EQUAL(verify(ip), 0);
		pair_close(&p);
	}
}

/* ---- what is taken */

static const struct {
	const char *what;
	uint8_t encap; /* of the receiving tunnel */
	bool any, udp; /* does it take both; did the packet come in UDP */
	enum xesp_drop drop;
} accepted[] = {
	{ "bare, bare", XESP_ENCAP_NONE, false, false, XESP_DROP_NONE },
	{ "in UDP, in UDP", XESP_ENCAP_UDP, false, true, XESP_DROP_NONE },
	{ "in UDP where bare is due", XESP_ENCAP_NONE, false, true, XESP_DROP_ENCAP_MISMATCH },
	{ "bare where UDP is due", XESP_ENCAP_UDP, false, false, XESP_DROP_ENCAP_MISMATCH },
	{ "in UDP, and any will do", XESP_ENCAP_NONE, true, true, XESP_DROP_NONE },
	{ "bare, and any will do", XESP_ENCAP_UDP, true, false, XESP_DROP_NONE },
};

static void accept_rows(void)
{
	static struct frame f;

	for (size_t i = 0; i < LEN(accepted); i++) {
		struct pair_opts o = { .natt = { .encap = XESP_ENCAP_NONE, PORTS } };
		struct xesp_keymsg_tunnel in;
		struct pkt pkt;
		struct pair p;

		o.natt.encap = accepted[i].udp ? XESP_ENCAP_UDP : XESP_ENCAP_NONE;
		pair_open(&p, &o);
		in = p.tunnel_in;
		in.natt.encap = accepted[i].encap;
		in.natt.accept_any = accepted[i].any;
		CU_ASSERT_EQUAL(sad_tunnel_set(p.sad, &in, NULL), 0);
		pkt = pair_make(&f, 4, 100);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		pair_turn(&pkt);
		if (pair_decap(&p, &pkt) != accepted[i].drop)
			fprintf(stderr, "natt: %s: %d\n", accepted[i].what, pkt.drop);
		CU_ASSERT_EQUAL(pkt.drop, accepted[i].drop);
		CU_ASSERT_EQUAL(drops_of(&p.st.sa[PAIR_SA_IN].drops, XESP_DROP_ENCAP_MISMATCH),
				accepted[i].drop != XESP_DROP_NONE);
		pair_close(&p);
	}
}

/* One packet of a number never used before, as decap gets it. */
static struct pkt make_inbound(struct pair *p, struct frame *f)
{
	struct pkt pkt = pair_make(f, 4, 100);

	CU_ASSERT_EQUAL(pair_encap(p, &pkt), XESP_DROP_NONE);
	pair_turn(&pkt);
	return pkt;
}

static void udp_lengths(void)
{
	static struct frame f;

	for (int v6 = 0; v6 < 2; v6++) {
		const struct pair_opts o = { .natt = UDP(AUTO), .outer6 = v6 };
		uint32_t ip_len = v6 ? 40 : 20, udp_len;
		struct pair p;

		pair_open(&p, &o);
		for (uint32_t says = 0; says < 300; says++) {
			struct pkt pkt = make_inbound(&p, &f);
			enum xesp_drop want = XESP_DROP_BAD_ICV;

			udp_len = pkt.len - ip_len;
			wire_put16(pkt.l3 + ip_len + 4, (uint16_t)says);
			if (says < 8 || says > udp_len)
				want = XESP_DROP_MALFORMED_IP;
			else if (says < 8 + 8 + 8 + 2 + 16)
				want = XESP_DROP_ESP_SHORT;
			else if (says == udp_len)
				want = XESP_DROP_NONE;
			CU_ASSERT_EQUAL(pair_decap(&p, &pkt), want);
		}
		pair_close(&p);
	}
}

/* UDP ends before the IP packet does: what is behind it is not ESP's. */
static void trailing_bytes(void)
{
	static struct frame f;
	struct pkt pkt;
	struct pair p;

	pair_open(&p, &(struct pair_opts){ .natt = UDP(AUTO) });
	pkt = make_inbound(&p, &f);
	memset(pkt.l3 + pkt.len, 0xaa, 6);
	pkt.len += 6;
	wire_put16(pkt.l3 + 2, (uint16_t)pkt.len);
	pair_checksum(pkt.l3);
	CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
	CU_ASSERT_EQUAL(pkt.len, 100);
	pair_close(&p);
}

/* Ports and checksum are not authenticated and not looked at; the length is. Cut anywhere: refused. */
static void mutated(void)
{
	static struct frame f;
	struct pair p;

	pair_open(&p, &(struct pair_opts){ .natt = UDP(AUTO) });
	for (uint32_t bit = 0; bit < 64; bit++) {
		struct pkt pkt = make_inbound(&p, &f);

		pkt.l3[20 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		pair_decap(&p, &pkt);
		if (bit / 8 == 4 || bit / 8 == 5)
			CU_ASSERT_NOT_EQUAL(pkt.drop, XESP_DROP_NONE)
		else
			CU_ASSERT_EQUAL(pkt.drop, XESP_DROP_NONE);
	}
	for (uint32_t len = 0; len < 170; len++) {
		struct pkt pkt = make_inbound(&p, &f);

		if (len >= pkt.len)
			continue;
		pkt.len = len;
		if (len >= 20) {
			wire_put16(pkt.l3 + 2, (uint16_t)len);
			pair_checksum(pkt.l3);
		}
		CU_ASSERT_NOT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
	}
	pair_close(&p);
}

/* ---- where the peer is */

struct told {
	unsigned int n;
	struct xesp_keymsg_peer last;
};

static void tell(void *ctx, const struct xesp_keymsg_peer *t)
{
	struct told *told = ctx;

	told->n++;
	told->last = *t;
}

static void open_roaming(struct pair *p, int v6, uint8_t follow)
{
	struct pair_opts o = { .natt = UDP(AUTO), .outer6 = v6 };

	o.natt.follow_peer = follow;
	pair_open(p, &o);
}

static void set_source(struct pkt *pkt, const char *addr, __be16 port)
{
	struct xesp_addr a;

	if (addr_parse(&a, addr, NULL))
		abort();
	if (pkt->l3[0] >> 4 == 4) {
		memcpy(pkt->l3 + 12, &a.w[3], 4);
		pair_checksum(pkt->l3);
	} else {
		memcpy(pkt->l3 + 8, &a, 16);
	}
	memcpy(pkt->l3 + pkt->l4_off - 8, &port, 2);
}

static void peer_is_followed(void)
{
	static struct frame f;

	for (int v6 = 0; v6 < 2; v6++) {
		const char *from = v6 ? "2001:db8:7::7" : "198.51.100.7";
		const struct tunnel *before, *after;
		struct told told = { 0 };
		struct xesp_addr a;
		struct pair p;
		struct pkt pkt;

		CU_ASSERT_EQUAL(addr_parse(&a, from, NULL), 0);
		open_roaming(&p, v6, 1);
		before = sad_tunnel(p.sad, PAIR_TUNNEL_IN);
		pkt = make_inbound(&p, &f);
		CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
		CU_ASSERT_EQUAL(sad_move_peers(p.sad), 0); /* from where it is */
		CU_ASSERT_EQUAL(sad_tunnel(p.sad, PAIR_TUNNEL_IN), before);
		pkt = make_inbound(&p, &f);
		set_source(&pkt, from, PORT_NEW);
		CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
		CU_ASSERT_EQUAL(sad_move_peers(p.sad), 1);
		after = sad_tunnel(p.sad, PAIR_TUNNEL_IN);
		CU_ASSERT_NOT_EQUAL(after, before);
		CU_ASSERT_EQUAL(memcmp(after->header + (v6 ? 24 : 16), v6 ? &a.w[0] : &a.w[3],
				       v6 ? 16 : 4), 0);
		CU_ASSERT_EQUAL(wire_get16(after->header + (v6 ? 42 : 22)), 1025);
		CU_ASSERT_EQUAL(after->header_len, before->header_len);
		CU_ASSERT_EQUAL(after->mtu, before->mtu);
		sad_tell_peers(p.sad, tell, &told);
		sad_tell_peers(p.sad, tell, &told); /* once */
		CU_ASSERT_EQUAL(told.n, 1);
		CU_ASSERT_EQUAL(told.last.tunnel, PAIR_TUNNEL_IN);
		CU_ASSERT_TRUE(addr_equal(&told.last.addr, &a));
		CU_ASSERT_EQUAL(told.last.port, PORT_NEW);
		pair_close(&p);
	}
}

enum how { GENUINE, REPLAYED, LATE, FORGED };

static const struct {
	const char *what;
	enum how how;
	uint8_t follow;
	const char *from;
	__be16 port;
	unsigned int moves;
} sightings[] = {
	{ "another port", GENUINE, 1, "192.0.2.1", PORT_NEW, 1 },
	{ "another address", GENUINE, 1, "198.51.100.7", PORT_OUT, 1 },
	{ "not to be followed", GENUINE, 0, "198.51.100.7", PORT_NEW, 0 },
	{ "replayed from another port", REPLAYED, 1, "192.0.2.1", PORT_NEW, 0 },
	{ "never seen, but older than the newest", LATE, 1, "192.0.2.1", PORT_NEW, 0 },
	{ "not authentic", FORGED, 1, "192.0.2.1", PORT_NEW, 0 },
	{ "port 0", GENUINE, 1, "198.51.100.7", 0, 0 },
	{ "multicast", GENUINE, 1, "224.0.0.5", PORT_NEW, 0 },
	{ "broadcast", GENUINE, 1, "255.255.255.255", PORT_NEW, 0 },
	{ "this network", GENUINE, 1, "0.0.0.0", PORT_NEW, 0 },
	{ "loopback", GENUINE, 1, "127.0.0.1", PORT_NEW, 0 },
	{ "our own address", GENUINE, 1, "192.0.2.2", PORT_NEW, 0 },
};

static void sighting_rows(void)
{
	static struct frame f, late;

	for (size_t i = 0; i < LEN(sightings); i++) {
		static const enum xesp_drop drops[] = { XESP_DROP_NONE, XESP_DROP_REPLAY_DUPLICATE,
							XESP_DROP_NONE, XESP_DROP_BAD_ICV };
		struct pkt pkt, other;
		unsigned int moves;
		struct pair p;

		open_roaming(&p, 0, sightings[i].follow);
		pkt = make_inbound(&p, &f);
		late = f;
		other = pkt;
		other.l3 = late.bytes + (pkt.l3 - f.bytes);
		other.head = late.bytes;
		other.end = late.bytes + sizeof(late.bytes);
		if (sightings[i].how == REPLAYED) {
			CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
		} else if (sightings[i].how == LATE) {
			pkt = make_inbound(&p, &f);
			CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
		} else if (sightings[i].how == FORGED) {
			other.l3[other.len - 1] ^= 1;
		}
		set_source(&other, sightings[i].from, sightings[i].port);
		CU_ASSERT_EQUAL(pair_decap(&p, &other), drops[sightings[i].how]);
		moves = sad_move_peers(p.sad);
		if (moves != sightings[i].moves)
			fprintf(stderr, "natt: %s: %u moves\n", sightings[i].what, moves);
		CU_ASSERT_EQUAL(moves, sightings[i].moves);
		pair_close(&p);
	}
}

/* Two addresses in turn: one move until the place is free again, then the latest. */
static void restless_peer(void)
{
	static struct frame f;
	struct pair p;

	open_roaming(&p, 0, 1);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 10; i++) {
			struct pkt pkt = make_inbound(&p, &f);

			set_source(&pkt, i & 1 ? "198.51.100.7" : "198.51.100.8",
				   (__be16)(PORT_NEW + round));
			CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
			CU_ASSERT_EQUAL(sad_move_peers(p.sad), i == 0);
		}
		sad_reclaim(p.sad);
	}
	pair_close(&p);
}

/* keyd tells the tunnel again: where it is stays; another configuration begins anew. */
static void told_again(void)
{
	static struct frame f;
	struct xesp_keymsg_tunnel in;
	struct told told = { 0 };
	struct pkt pkt;
	struct pair p;

	open_roaming(&p, 0, 1);
	pkt = make_inbound(&p, &f);
	set_source(&pkt, "198.51.100.7", PORT_NEW);
	CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
	CU_ASSERT_EQUAL(sad_move_peers(p.sad), 1);
	sad_tell_peers(p.sad, tell, &told);
	in = p.tunnel_in;
	in.ttl = 9;
	CU_ASSERT_EQUAL(sad_tunnel_set(p.sad, &in, NULL), 0);
	CU_ASSERT_TRUE(sad_tunnel_get(p.sad, PAIR_TUNNEL_IN, &in));
	CU_ASSERT_EQUAL(in.natt.peer_port, PORT_NEW);
	CU_ASSERT_EQUAL(in.ttl, 9);
	sad_tell_peers(p.sad, tell, &told); /* keyd seems not to know */
	CU_ASSERT_EQUAL(told.n, 2);
	in = p.tunnel_in;
	in.natt.remote_port = in.natt.peer_port = PORT_NEW + 1;
	CU_ASSERT_EQUAL(sad_tunnel_set(p.sad, &in, NULL), 0);
	CU_ASSERT_TRUE(sad_tunnel_get(p.sad, PAIR_TUNNEL_IN, &in));
	CU_ASSERT_EQUAL(in.natt.peer_port, PORT_NEW + 1);
	sad_tell_peers(p.sad, tell, &told);
	CU_ASSERT_EQUAL(told.n, 2);
	pair_close(&p);
}

static const struct {
	const char *says;
	struct xesp_natt natt;
} refused[] = {
	{ "no such value", { .encap = 2, PORTS } },
	{ "no such value", { .encap = XESP_ENCAP_UDP, .checksum = 3, PORTS } },
	{ "no such value", { .encap = XESP_ENCAP_UDP, .follow_peer = 3, PORTS } },
	{ "no such value", { .accept_any = 2 } },
	{ "without ports", { .encap = XESP_ENCAP_UDP, .local_port = 1, .remote_port = 1 } },
	{ "without ports", { .encap = XESP_ENCAP_UDP, .remote_port = 1, .peer_port = 1 } },
	{ "IP version", { .encap = XESP_ENCAP_UDP, .peer = { { 1, 2, 3, 4 } }, PORTS } },
};

static void refused_rows(void)
{
	struct pair p;

	pair_open(&p, &(struct pair_opts){ 0 });
	for (size_t i = 0; i < LEN(refused); i++) {
		struct xesp_keymsg_tunnel in = p.tunnel_in;
		struct fault f = { "" };

		in.natt = refused[i].natt;
		CU_ASSERT_EQUAL(sad_tunnel_set(p.sad, &in, &f), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(f.text, refused[i].says));
	}
	pair_close(&p);
}

static void keepalives(void)
{
	for (size_t i = 0; i < LEN(headers); i++) {
		uint32_t ip_len = headers[i].o.outer6 ? 40 : 20;
		uint8_t out[NATT_KEEPALIVE_MAX], again[20];
		struct pair p;

		pair_open(&p, &headers[i].o);
		CU_ASSERT_EQUAL(natt_make_keepalive(sad_tunnel(p.sad, PAIR_TUNNEL_OUT), out),
				ip_len + 9);
		CU_ASSERT_EQUAL(out[ip_len + 8], 0xff);
		CU_ASSERT_EQUAL(wire_get16(out + ip_len), 4500);
		CU_ASSERT_EQUAL(wire_get16(out + ip_len + 2), 31337);
		CU_ASSERT_EQUAL(wire_get16(out + ip_len + 4), 9);
		CU_ASSERT_EQUAL(wire_get16(out + (ip_len == 40 ? 4 : 2)), ip_len == 40 ? 9 : 29);
		CU_ASSERT_TRUE(headers[i].sum ? verify(out) == 0 : !wire_get16(out + ip_len + 6));
		memcpy(again, out, 20);
		if (ip_len == 20)
			pair_checksum(again);
		CU_ASSERT_EQUAL(memcmp(again, out, 20), 0);
		pair_close(&p);
	}
}

CU_TestInfo natt_tests[] = {
	{ "UDP headers, there and back", headers_and_back },
	{ "checksums of every length", checksums },
	{ "in UDP or not, as the tunnel says", accept_rows },
	{ "UDP lengths that contradict", udp_lengths },
	{ "bytes behind UDP", trailing_bytes },
	{ "flipped bits and cut packets", mutated },
	{ "a peer that moved is followed", peer_is_followed },
	{ "sightings, row by row", sighting_rows },
	{ "a peer in two places", restless_peer },
	{ "a tunnel told again", told_again },
	{ "messages with values that are none", refused_rows },
	{ "keepalives", keepalives },
	CU_TEST_INFO_NULL,
};
