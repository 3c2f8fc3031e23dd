/* SPDX-License-Identifier: BSD-2-Clause */
/* ESP in UDP, IKE's marker and keepalives, RFC 3948: each verdict of xdp_outer and xdp_onearm. */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "gateway.h"

#define G4 "192.0.2.1" /* our end of the tunnels */
#define G6 "2001:db8:ffff::1"
#define PEER4 "198.51.100.2"
#define PEER6 "2001:db8:fffe::2"
#define HOST4 "203.0.113.7" /* an address of ours that is no tunnel's end */
#define SPI 0x10001
#define SA4 21
#define SA6 22
#define PORT 4500
#define PORT_OTHER 31337

enum { P_NET = 31, P_SELF };

static const struct gateway_policy policies[] = {
	{ .id = P_NET, .action = XESP_ACTION_PROTECT, .tunnel = 1,
	  .local = "10.1.0.0/16", .remote = "10.2.0.0/16" },
	{ .id = P_SELF, .action = XESP_ACTION_PROTECT, .tunnel = 1, .local = G4, .remote = PEER4 },
};

static void set_up(struct gateway *g, const char *program)
{
	gateway_open(g, program);
	gateway_endpoint(g, G4);
	gateway_endpoint(g, G6);
	gateway_local(g, HOST4);
	gateway_natt_port(g, PORT);
	gateway_natt_port(g, PORT_OTHER);
	gateway_sa(g, G4, SPI, SA4);
	gateway_sa(g, G6, SPI, SA6);
	gateway_worker_add(g);
	gateway_policies(g, GATEWAY_GENERATION, policies, LEN(policies), XESP_ACTION_DISCARD);
}

#define PASS { XDP_PASS, 0, 0 }
#define DROP(why_) { XDP_DROP, XESP_DROP_##why_, 0 }
#define WORKER { XDP_REDIRECT, 0, 0 }
#define EXEMPT { XDP_PASS, 0, P_SELF }

#define TO_G4(...) { .src = PEER4, .dst = G4, .proto = 17, .sport = 1025, __VA_ARGS__ }
#define TO_G6(...) { .src = PEER6, .dst = G6, .proto = 17, .sport = 1025, __VA_ARGS__ }
#define ESP(spi_) "\0\1\0" spi_ "\0\0\0\1payload and ICV..", 25 /* SPI 0x100xx */
#define IKE "\0\0\0\0initiator's SPI and so on", 29

/* The UDP payload replaces the frame's; lengths agree unless `udp_len` says otherwise. */
struct row {
	const char *what;
	struct frame_spec frame;
	const char *payload;
	uint32_t len;
	struct expect expect;
	uint16_t udp_len;  /* 0: what it is */
	uint16_t checksum;
};

static void build(struct frame *f, const struct row *r)
{
	uint16_t udp_len = r->udp_len ? r->udp_len : (uint16_t)(8 + r->len);
	uint8_t *udp;

	frame_build(f, &r->frame);
	udp = f->bytes + f->l4_off;
	udp[4] = (uint8_t)(udp_len >> 8);
	udp[5] = (uint8_t)udp_len;
	udp[6] = (uint8_t)(r->checksum >> 8);
	udp[7] = (uint8_t)r->checksum;
	memcpy(udp + 8, r->payload, r->len);
	f->len = f->l4_off + 8 + r->len;
	frame_set_end(f, f->len);
	memset(f->bytes + f->len, 0, r->frame.padding);
	f->len += r->frame.padding;
}

static const struct row rows[] = {
	{ .what = "ESP", TO_G4(.dport = PORT), ESP("\1"), WORKER },
	{ .what = "ESP, 802.1Q", TO_G4(.dport = PORT, .vlans = 1), ESP("\1"), WORKER },
	{ .what = "ESP, QinQ", TO_G4(.dport = PORT, .vlans = 2), ESP("\1"), WORKER },
	{ .what = "ESP, options", TO_G4(.dport = PORT, .options = 40), ESP("\1"), WORKER },
	{ .what = "ESP to another port of ours", TO_G4(.dport = PORT_OTHER), ESP("\1"), WORKER },
	{ .what = "ESP with any checksum", TO_G4(.dport = PORT), ESP("\1"), WORKER, .checksum = 0xdead },
	{ .what = "ESP, IPv6, checksum zero", TO_G6(.dport = PORT), ESP("\1"), WORKER },
	{ .what = "ESP, IPv6, any checksum", TO_G6(.dport = PORT), ESP("\1"), WORKER, .checksum = 1 },
	{ .what = "ESP, IPv6, QinQ", TO_G6(.dport = PORT, .vlans = 2), ESP("\1"), WORKER },
	{ .what = "ESP, IPv6, extension headers",
	  TO_G6(.dport = PORT, .ext = { 0, 43, 60, 60, 60, 60, 60, 60 }, .ext_n = 8), ESP("\1"),
	  WORKER },
	{ .what = "ESP, IPv6, atomic fragment", TO_G6(.dport = PORT, .ext = { 44 }, .ext_n = 1),
	  ESP("\1"), WORKER },
	{ .what = "ESP that begins as far in as the metadata can say",
	  TO_G6(.dport = PORT, .ext = { 60, 60 }, .ext_n = 2, .ext_units = 59), ESP("\1"), WORKER },
	{ .what = "ESP that begins behind",
	  TO_G6(.dport = PORT, .ext = { 60, 60 }, .ext_n = 2, .ext_units = 60), ESP("\1"),
	  DROP(EXTHDR_DEPTH) },
	{ .what = "unknown SPI", TO_G4(.dport = PORT), ESP("\2"), DROP(NO_SA) },
	{ .what = "reserved SPI", TO_G4(.dport = PORT), "\0\0\0\xff\0\0\0\1", 8, DROP(BAD_SPI) },
	{ .what = "ESP header and no more", TO_G4(.dport = PORT), "\0\1\0\1\0\0\0\1", 8, WORKER },
	{ .what = "IP packet longer than UDP", TO_G4(.dport = PORT), ESP("\1"), WORKER, .udp_len = 16 },
	/* IKE, and its first four zeroes */
	{ .what = "IKE", { .src = "198.51.100.9", .dst = G4, .proto = 17, .dport = PORT }, IKE, PASS },
	{ .what = "IKE, IPv6", TO_G6(.dport = PORT), IKE, PASS },
	{ .what = "IKE to another port of ours",
	  { .src = "198.51.100.9", .dst = G4, .proto = 17, .dport = PORT_OTHER }, IKE, PASS },
	{ .what = "IKE, though policy protects", TO_G4(.dport = PORT), IKE, EXEMPT },
	{ .what = "IKE to another port, though policy protects", TO_G4(.dport = PORT_OTHER), IKE, EXEMPT },
	{ .what = "marker alone", TO_G6(.dport = PORT), "\0\0\0\0", 4, PASS },
	/* keepalives and runts */
	{ .what = "keepalive", TO_G4(.dport = PORT), "\xff", 1, DROP(NATT_KEEPALIVE) },
	{ .what = "keepalive, padded frame", TO_G4(.dport = PORT, .padding = 17), "\xff", 1,
	  DROP(NATT_KEEPALIVE) },
	{ .what = "keepalive, IPv6, 802.1Q", TO_G6(.dport = PORT, .vlans = 1), "\xff", 1,
	  DROP(NATT_KEEPALIVE) },
	{ .what = "keepalive to another port", TO_G4(.dport = PORT_OTHER), "\xff", 1,
	  DROP(NATT_KEEPALIVE) },
	{ .what = "one byte that is no keepalive", TO_G4(.dport = PORT), "\xfe", 1, DROP(NATT_SHORT) },
	{ .what = "one byte, zero", TO_G4(.dport = PORT), "\0", 1, DROP(NATT_SHORT) },
	{ .what = "two bytes", TO_G4(.dport = PORT), "\xff\xff", 2, DROP(NATT_SHORT) },
	{ .what = "three bytes", TO_G6(.dport = PORT), "\0\0\0", 3, DROP(NATT_SHORT) },
	{ .what = "empty", TO_G4(.dport = PORT), "", 0, DROP(NATT_SHORT) },
	{ .what = "empty, padded frame", TO_G4(.dport = PORT, .padding = 18), "", 0, DROP(NATT_SHORT) },
	{ .what = "SPI and half a number", TO_G4(.dport = PORT), "\0\1\0\1\0\0\0", 7, DROP(NATT_SHORT) },
	{ .what = "SPI alone", TO_G6(.dport = PORT), "\0\1\0\1", 4, DROP(NATT_SHORT) },
	{ .what = "UDP length of less than its header", TO_G4(.dport = PORT), ESP("\1"),
	  DROP(MALFORMED_L4), .udp_len = 7 },
	{ .what = "UDP length of one byte too much", TO_G4(.dport = PORT), ESP("\1"), DROP(MALFORMED_L4),
	  .udp_len = 34 },
	{ .what = "UDP length that reaches into padding", TO_G4(.dport = PORT, .padding = 4), ESP("\1"),
	  DROP(MALFORMED_L4), .udp_len = 37 },
	{ .what = "UDP length of 65535", TO_G6(.dport = PORT), ESP("\1"), DROP(MALFORMED_L4),
	  .udp_len = 0xffff },
	/* not ours to look into */
	{ .what = "from our port", { .src = "198.51.100.9", .dst = G4, .proto = 17, .sport = PORT,
			     .dport = 53 }, ESP("\1"), PASS },
	{ .what = "to an address that is no tunnel's end",
	  { .src = PEER4, .dst = HOST4, .proto = 17, .dport = PORT }, ESP("\1"), PASS },
	{ .what = "keepalive to such an address",
	  { .src = PEER4, .dst = HOST4, .proto = 17, .dport = PORT }, "\xff", 1, PASS },
	{ .what = "through the gateway", { .src = PEER4, .dst = "192.0.2.77", .proto = 17, .dport = PORT },
	  ESP("\1"), DROP(NO_POLICY) },
	{ .what = "UDP-Lite", { .src = "198.51.100.9", .dst = G4, .proto = 136, .dport = PORT },
	  ESP("\1"), PASS },
	/* outer fragments: the kernel makes a whole of them */
	{ .what = "first fragment", TO_G6(.dport = PORT, .fragment = FIRST), ESP("\1"), PASS },
	{ .what = "first fragment, though policy protects", TO_G4(.dport = PORT_OTHER, .fragment = FIRST),
	  ESP("\1"), EXEMPT },
	{ .what = "last fragment", TO_G6(.dport = PORT, .fragment = LAST), ESP("\1"), PASS },
};

static void run_rows(const char *program)
{
	struct gateway g;
	struct frame f;

	set_up(&g, program);
	for (size_t i = 0; i < LEN(rows); i++) {
		build(&f, &rows[i]);
		CU_ASSERT_TRUE(gateway_expect(&g, rows[i].what, &f, f.len, &rows[i].expect));
	}
	gateway_close(&g);
}

static void outer_rows(void)
{
	run_rows("xdp_outer");
}

static void onearm_rows(void)
{
	run_rows("xdp_onearm");
}

static const struct row stacks[] = {
	{ .what = "IPv4", TO_G4(.dport = PORT), ESP("\1"), WORKER },
	{ .what = "IPv4, options", TO_G4(.dport = PORT, .vlans = 2, .options = 40), ESP("\1"), WORKER },
	{ .what = "IPv6", TO_G6(.dport = PORT), ESP("\1"), WORKER },
	{ .what = "IPv6, extension headers", TO_G6(.dport = PORT, .vlans = 1, .ext = { 0, 60 },
					   .ext_n = 2, .ext_units = 3), ESP("\1"), WORKER },
};

static void metadata(void)
{
	struct gateway g;
	struct frame f;

	set_up(&g, "xdp_outer");
	for (size_t i = 0; i < LEN(stacks); i++) {
		struct xesp_meta meta = { .magic = XESP_META_MAGIC, .kind = XESP_KIND_ESP_UDP };

		build(&f, &stacks[i]);
		meta.id = f.bytes[f.l3_off] >> 4 == 6 ? SA6 : SA4;
		meta.l3_off = (uint16_t)f.l3_off;
		meta.l4_off = (uint8_t)((f.l4_off + 8 - f.l3_off) / 4);
		CU_ASSERT_TRUE(gateway_expect_meta(&g, stacks[i].what, &f, &stacks[i].expect,
						   &meta));
	}
	gateway_close(&g);
}

/* The IP length agrees with the frame; UDP's, in a second round, too. */
static void cut_packets(void)
{
	static const struct expect l4 = DROP(MALFORMED_L4), few = DROP(NATT_SHORT), go = WORKER;
	struct gateway g;
	struct frame f;

	set_up(&g, "xdp_outer");
	for (size_t i = 0; i < LEN(stacks) * 2; i++) {
		const struct row *r = &stacks[i / 2];

		build(&f, r);
		for (uint32_t cut = 0; cut <= 8 + r->len; cut++) {
			const struct expect *e = &go;

			if (cut < 8 || (!(i & 1) && cut < 8 + r->len))
				e = &l4;
			else if (cut < 16)
				e = &few;
			frame_set_end(&f, f.l4_off + cut);
			if (i & 1 && cut >= 8)
				f.bytes[f.l4_off + 5] = (uint8_t)cut;
			CU_ASSERT_TRUE(gateway_expect(&g, r->what, &f, f.l4_off + cut, e));
		}
	}
	gateway_close(&g);
}

/* A driver that leaves the headers and no more in the first buffer. */
static void headers_in_fragments(void)
{
	static const struct expect few = DROP(NATT_SHORT), l4 = DROP(MALFORMED_L4), go = WORKER;
	struct gateway g;
	struct frame f;

	set_up(&g, "xdp_outer");
	build(&f, &stacks[0]);
	g.linear_len = f.l4_off + 12;
	CU_ASSERT_TRUE(gateway_expect(&g, "SPI readable", &f, f.len, &go));
	g.linear_len = f.l4_off + 11;
	CU_ASSERT_TRUE(gateway_expect(&g, "SPI not readable", &f, f.len, &few));
	g.linear_len = f.l4_off + 7;
	CU_ASSERT_TRUE(gateway_expect(&g, "UDP header not readable", &f, f.len, &l4));
	gateway_close(&g);
}

/* Nothing is configured to receive there: all is IKE's, as before. */
static void no_port(void)
{
	struct gateway g;
	struct frame f;

	gateway_open(&g, "xdp_outer");
	gateway_endpoint(&g, G4);
	gateway_sa(&g, G4, SPI, SA4);
	gateway_worker_add(&g);
	gateway_policies(&g, GATEWAY_GENERATION, policies, 1, XESP_ACTION_DISCARD);
	build(&f, &stacks[0]);
	CU_ASSERT_TRUE(gateway_expect(&g, "ESP in UDP", &f, f.len, &(struct expect)PASS));
	gateway_close(&g);
}

CU_TestInfo xdp_natt_tests[] = {
	{ "verdicts and counters, row by row", outer_rows },
	{ "the same on a one-armed gateway", onearm_rows },
	{ "metadata for the worker", metadata },
	{ "packets cut at every length", cut_packets },
	{ "frames in fragments", headers_in_fragments },
	{ "no port of ours: left to the kernel", no_port },
	CU_TEST_INFO_NULL,
};
