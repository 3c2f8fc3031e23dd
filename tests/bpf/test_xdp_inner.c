/* SPDX-License-Identifier: BSD-2-Clause */
/* The cleartext side: each verdict of xdp_inner and the counters that must go with it. */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "gateway.h"

#define A4 "10.1.0.5"
#define A6 "2001:db8:1::5"
#define B6 "2001:db8:2::9"

#define FROM_A(dst_, ...) { .src = A4, .dst = dst_, __VA_ARGS__ }

enum { P_TUNNEL = 11, P_DISCARD, P_BYPASS, P_TUNNEL6, P_TELNET, P_SIP, P_OTHER, P_ICMP, P_TCP };

static const struct gateway_policy policies[] = {
	{ .id = P_TUNNEL, .action = XESP_ACTION_PROTECT, .tunnel = 5,
	  .local = "10.1.0.0/16", .remote = "10.2.0.0/16" },
	{ .id = P_DISCARD, .action = XESP_ACTION_DISCARD,
	  .local = "10.1.0.0/16", .remote = "10.3.0.0/16" },
	{ .id = P_BYPASS, .action = XESP_ACTION_BYPASS,
	  .local = "10.1.0.0/16", .remote = "10.4.0.0/16" },
	{ .id = P_TUNNEL6, .action = XESP_ACTION_PROTECT, .tunnel = 6,
	  .local = "2001:db8:1::/48", .remote = "2001:db8:2::/48" },
	{ .id = P_TELNET, .action = XESP_ACTION_DISCARD,
	  .local = "10.1.0.0/16", .remote = "10.5.0.0/16", .proto = 6, .remote_port = 23 },
	{ .id = P_SIP, .action = XESP_ACTION_PROTECT, .tunnel = 7,
	  .local = "10.1.0.0/16", .remote = "10.5.0.0/16", .proto = 17, .local_port = 5060 },
	{ .id = P_ICMP, .action = XESP_ACTION_PROTECT, .tunnel = 8,
	  .local = "10.1.0.0/16", .remote = "10.5.0.0/16", .proto = 1 },
	{ .id = P_OTHER, .action = XESP_ACTION_BYPASS,
	  .local = "10.1.0.0/16", .remote = "10.5.0.0/16" },
	{ .id = P_TCP, .action = XESP_ACTION_PROTECT, .tunnel = 9,
	  .local = "2001:db8:1::/48", .remote = "2001:db8:5::/48", .proto = 6 },
};

static void set_up(struct gateway *g)
{
	gateway_open(g, "xdp_inner");
	gateway_local(g, "10.1.0.1");
	gateway_local(g, "10.1.255.255"); /* a subnet's broadcast address is kept there too */
	gateway_local(g, "2001:db8:1::1");
	gateway_worker_add(g);
	gateway_policies(g, GATEWAY_GENERATION, policies, LEN(policies), XESP_ACTION_DISCARD);
}

#define PASS { XDP_PASS, 0, 0 }
#define DROP(why_, policy_) { XDP_DROP, XESP_DROP_##why_, policy_ }
#define TUNNEL(policy_) { XDP_REDIRECT, 0, policy_ }
#define BYPASS(policy_) { XDP_PASS, 0, policy_ }

static const struct {
	const char *what;
	struct frame_spec frame;
	struct expect expect;
} cases[] = {
	/* not ours */
	{ "ARP", { 0 }, PASS },
	{ "three tags", FROM_A("10.2.0.9", .proto = 17, .vlans = 3), PASS },
	{ "multicast", FROM_A("224.0.0.18", .proto = 112), PASS },
	{ "limited broadcast", FROM_A("255.255.255.255", .proto = 17, .dport = 67), PASS },
	{ "link-local", FROM_A("169.254.0.1", .proto = 17), PASS },
	{ "the gateway's own address", FROM_A("10.1.0.1", .proto = 6, .dport = 22), PASS },
	{ "the subnet's broadcast", FROM_A("10.1.255.255", .proto = 17), PASS },
	{ "the gateway, cut-off TCP", FROM_A("10.1.0.1", .proto = 6, .cut = true), PASS },
	{ "the gateway, later fragment", FROM_A("10.1.0.1", .proto = 6, .fragment = LAST), PASS },
	{ "neighbour solicitation to a multicast address",
	  { .src = A6, .dst = "ff02::1:ff00:1", .proto = 58, .icmp_type = 135 }, PASS },
	{ "neighbour solicitation to the gateway",
	  { .src = A6, .dst = "2001:db8:1::1", .proto = 58, .icmp_type = 135 }, PASS },
	{ "IPv6 link-local", { .src = A6, .dst = "fe80::1", .proto = 58 }, PASS },
	{ "the gateway behind nine extension headers",
	  { .src = A6, .dst = "2001:db8:1::1", .proto = 17, .ext_n = 9,
	    .ext = { 0, 60, 60, 60, 60, 60, 60, 60, 60 } }, PASS },
	/* protect */
	{ "protected TCP", FROM_A("10.2.0.9", .proto = 6), TUNNEL(P_TUNNEL) },
	{ "protected ESP of an inner host", FROM_A("10.2.0.9", .proto = 50, .spi = 1),
	  TUNNEL(P_TUNNEL) },
	{ "protected, 802.1Q", FROM_A("10.2.0.9", .proto = 6, .vlans = 1), TUNNEL(P_TUNNEL) },
	{ "protected, QinQ", FROM_A("10.2.0.9", .proto = 6, .vlans = 2), TUNNEL(P_TUNNEL) },
	{ "protected, padded", FROM_A("10.2.0.9", .proto = 1, .padding = 18), TUNNEL(P_TUNNEL) },
	{ "protected, first fragment", FROM_A("10.2.0.9", .proto = 17, .fragment = FIRST),
	  TUNNEL(P_TUNNEL) },
	{ "protected, middle fragment", FROM_A("10.2.0.9", .proto = 17, .fragment = MIDDLE),
	  TUNNEL(P_TUNNEL) },
	{ "protected, last fragment", FROM_A("10.2.0.9", .proto = 17, .fragment = LAST),
	  TUNNEL(P_TUNNEL) },
	{ "protected, no next header", { .src = A6, .dst = B6, .proto = 59 }, TUNNEL(P_TUNNEL6) },
	{ "protected IPv6", { .src = A6, .dst = B6, .proto = 58 }, TUNNEL(P_TUNNEL6) },
	{ "protected IPv6, QinQ", { .src = A6, .dst = B6, .proto = 17, .vlans = 2 },
	  TUNNEL(P_TUNNEL6) },
	{ "protected IPv6, first fragment",
	  { .src = A6, .dst = B6, .proto = 17, .fragment = FIRST }, TUNNEL(P_TUNNEL6) },
	{ "protected IPv6, middle fragment",
	  { .src = A6, .dst = B6, .proto = 17, .fragment = MIDDLE }, TUNNEL(P_TUNNEL6) },
	{ "protected IPv6, last fragment",
	  { .src = A6, .dst = B6, .proto = 17, .fragment = LAST }, TUNNEL(P_TUNNEL6) },
	/* discard, bypass, nothing */
	{ "discard", FROM_A("10.3.0.9", .proto = 6), DROP(DISCARD, P_DISCARD) },
	{ "bypass", FROM_A("10.4.0.9", .proto = 6), BYPASS(P_BYPASS) },
	{ "no policy", FROM_A("10.9.0.9", .proto = 6), DROP(NO_POLICY, 0) },
	{ "no policy for this source", { .src = "10.8.0.1", .dst = "10.2.0.9", .proto = 6 },
	  DROP(NO_POLICY, 0) },
	{ "no policy, IPv6", { .src = A6, .dst = "2001:db8:9::9", .proto = 6 },
	  DROP(NO_POLICY, 0) },
	{ "unicast neighbour discovery is no free ride",
	  { .src = A6, .dst = "2001:db8:9::9", .proto = 58, .icmp_type = 136 },
	  DROP(NO_POLICY, 0) },
	/* ports and protocols */
	{ "remote port", FROM_A("10.5.0.1", .proto = 6, .dport = 23), DROP(DISCARD, P_TELNET) },
	{ "another remote port", FROM_A("10.5.0.1", .proto = 6, .dport = 24), BYPASS(P_OTHER) },
	{ "remote port as source port", FROM_A("10.5.0.1", .proto = 6, .sport = 23),
	  BYPASS(P_OTHER) },
	{ "remote port of another protocol", FROM_A("10.5.0.1", .proto = 17, .dport = 23),
	  BYPASS(P_OTHER) },
	{ "local port", FROM_A("10.5.0.1", .proto = 17, .sport = 5060, .dport = 9),
	  TUNNEL(P_SIP) },
	{ "first fragment has ports",
	  FROM_A("10.5.0.1", .proto = 17, .sport = 5060, .fragment = FIRST), TUNNEL(P_SIP) },
	{ "later fragment of it has none",
	  FROM_A("10.5.0.1", .proto = 17, .sport = 5060, .fragment = LAST), TUNNEL(P_SIP) },
	{ "later fragment of another datagram",
	  FROM_A("10.5.0.1", .proto = 17, .sport = 5060, .fragment = LAST, .frag_id = 1),
	  DROP(FRAGMENT_UNKNOWN, 0) },
	{ "protocol", FROM_A("10.5.0.1", .proto = 1, .icmp_type = 8), TUNNEL(P_ICMP) },
	{ "protocol behind extension headers",
	  { .src = A6, .dst = "2001:db8:5::1", .proto = 6, .ext = { 0, 43, 60 }, .ext_n = 3 },
	  TUNNEL(P_TCP) },
	{ "protocol behind an atomic fragment's header",
	  { .src = A6, .dst = "2001:db8:5::1", .proto = 6, .ext = { 44 }, .ext_n = 1 },
	  TUNNEL(P_TCP) },
	{ "AH is not looked through",
	  { .src = A6, .dst = "2001:db8:5::1", .proto = 51 }, DROP(NO_POLICY, 0) },
	/* depth of the chain */
	{ "eight extension headers",
	  { .src = A6, .dst = B6, .proto = 17, .ext_n = 8,
	    .ext = { 0, 60, 60, 60, 60, 60, 60, 60 } }, TUNNEL(P_TUNNEL6) },
	{ "nine", { .src = A6, .dst = B6, .proto = 17, .ext_n = 9,
		    .ext = { 0, 60, 60, 60, 60, 60, 60, 60, 60 } }, DROP(EXTHDR_DEPTH, 0) },
	{ "seven and a fragment's",
	  { .src = A6, .dst = B6, .proto = 17, .ext_n = 7, .fragment = FIRST,
	    .ext = { 0, 60, 60, 60, 60, 60, 60 } }, TUNNEL(P_TUNNEL6) },
	{ "eight and a fragment's",
	  { .src = A6, .dst = B6, .proto = 17, .ext_n = 8, .fragment = FIRST,
	    .ext = { 0, 60, 60, 60, 60, 60, 60, 60 } }, DROP(EXTHDR_DEPTH, 0) },
	/* addresses that lie */
	{ "IPv4-mapped source on the wire",
	  { .src = "::ffff:10.1.0.5", .dst = B6, .proto = 17 }, DROP(MALFORMED_IP, 0) },
	{ "IPv4-mapped destination on the wire",
	  { .src = A6, .dst = "::ffff:10.1.0.1", .proto = 17 }, DROP(MALFORMED_IP, 0) },
};

static void rows(void)
{
	struct gateway g;
	struct frame f;

	set_up(&g);
	for (size_t i = 0; i < LEN(cases); i++) {
		frame_build(&f, &cases[i].frame);
		CU_ASSERT_TRUE(gateway_expect(&g, cases[i].what, &f, f.len, &cases[i].expect));
	}
	gateway_close(&g);
}

/* A unicast packet in a frame for many: each router of the link would forward its own copy. */
static void frames_for_many(void)
{
	static const struct {
		const char *what;
		uint8_t first;
		struct frame_spec frame;
		struct expect expect;
	} many[] = {
		{ "broadcast, protected", 0xff, FROM_A("10.2.0.9", .proto = 17),
		  DROP(LINK_GROUP, P_TUNNEL) },
		{ "multicast, protected IPv6", 0x33, { .src = A6, .dst = B6, .proto = 17 },
		  DROP(LINK_GROUP, P_TUNNEL6) },
		{ "locally administered is not multicast", 0x02, FROM_A("10.2.0.9", .proto = 17),
		  TUNNEL(P_TUNNEL) },
		{ "broadcast, for the gateway", 0xff, FROM_A("10.1.255.255", .proto = 17), PASS },
		{ "broadcast, bypassed: the kernel looks itself", 0xff,
		  FROM_A("10.4.0.9", .proto = 6), BYPASS(P_BYPASS) },
	};
	struct gateway g;
	struct frame f;

	set_up(&g);
	for (size_t i = 0; i < LEN(many); i++) {
		frame_build(&f, &many[i].frame);
		f.bytes[0] = many[i].first;
		CU_ASSERT_TRUE(gateway_expect(&g, many[i].what, &f, f.len, &many[i].expect));
	}
	gateway_close(&g);
}

static void metadata(void)
{
	static const struct expect tunnel = TUNNEL(P_TUNNEL), tunnel6 = TUNNEL(P_TUNNEL6);
	struct xesp_meta meta = { .magic = XESP_META_MAGIC, .kind = XESP_KIND_CLEAR };
	struct gateway g;
	struct frame f;

	set_up(&g);
	for (uint8_t vlans = 0; vlans <= 2; vlans++) {
		meta.l3_off = (uint16_t)(14 + 4 * vlans);
		frame_build(&f, &(struct frame_spec)FROM_A("10.2.0.9", .proto = 6, .vlans = vlans));
		meta.id = 5;
		meta.policy = P_TUNNEL;
		CU_ASSERT_TRUE(gateway_expect_meta(&g, "IPv4", &f, &tunnel, &meta));
		frame_build(&f, &(struct frame_spec){ .src = A6, .dst = B6, .proto = 17,
							    .vlans = vlans });
		meta.id = 6;
		meta.policy = P_TUNNEL6;
		CU_ASSERT_TRUE(gateway_expect_meta(&g, "IPv6", &f, &tunnel6, &meta));
	}
	gateway_close(&g);
}

static const struct frame_spec stacks[] = {
	FROM_A("10.2.0.9", .proto = 6),
	FROM_A("10.2.0.9", .proto = 17, .vlans = 1, .options = 12),
	FROM_A("10.2.0.9", .proto = 132, .vlans = 2, .options = 40),
	{ .src = A6, .dst = B6, .proto = 6 },
	{ .src = A6, .dst = B6, .proto = 17, .vlans = 2, .ext = { 0, 43, 60 }, .ext_n = 3,
	  .ext_units = 1 },
	{ .src = A6, .dst = B6, .proto = 58, .fragment = FIRST, .behind_fragment = 60 },
};

/* The kernel runs nothing under 14 bytes; test_parse.c does. */
static void cut_frames(void)
{
	static const struct expect eth = DROP(MALFORMED_ETH, 0), ip = DROP(MALFORMED_IP, 0);
	struct gateway g;
	struct frame f;

	set_up(&g);
	for (size_t i = 0; i < LEN(stacks); i++) {
		frame_build(&f, &stacks[i]);
		for (uint32_t len = 14; len < f.len; len++)
			CU_ASSERT_TRUE(gateway_expect(&g, "frame cut short", &f, len,
						      len < f.l3_off ? &eth : &ip));
		CU_ASSERT_TRUE(gateway_expect(&g, "whole frame", &f, f.len,
					      &(struct expect)TUNNEL(f.bytes[f.l3_off] >> 4 == 6 ?
									     P_TUNNEL6 :
									     P_TUNNEL)));
	}
	gateway_close(&g);
}

/* The IP length agrees with the frame: which header is cut decides. */
static void cut_packets(void)
{
	static const struct expect ip = DROP(MALFORMED_IP, 0);
	struct gateway g;
	struct frame f;

	set_up(&g);
	for (size_t i = 0; i < LEN(stacks); i++) {
		uint32_t ip_hdr_len;

		frame_build(&f, &stacks[i]);
		ip_hdr_len = f.bytes[f.l3_off] >> 4 == 6 ? 40 : 20;
		for (uint32_t len = f.l3_off + ip_hdr_len; len < f.l4_off; len++) {
			frame_set_end(&f, len);
			CU_ASSERT_TRUE(gateway_expect(&g, "options or extension header cut", &f,
						      len, &ip));
		}
	}
	gateway_close(&g);
}

static const struct {
	uint8_t proto;
	uint8_t min_len;
} l4[] = { { 6, 20 }, { 17, 8 }, { 136, 8 }, { 132, 12 }, { 33, 12 }, { 1, 8 }, { 50, 8 },
	   { 58, 4 }, { 47, 0 } };

static void cut_l4(void)
{
	static const struct expect cut = DROP(MALFORMED_L4, 0);
	struct gateway g;
	struct frame f;

	set_up(&g);
	for (size_t i = 0; i < LEN(l4); i++) {
		for (uint8_t at = 0; at <= l4[i].min_len + 2; at++) {
			struct frame_spec s4 = FROM_A("10.2.0.9", .proto = l4[i].proto, .cut = true,
						    .cut_at = at);
			struct frame_spec s6 = { .src = A6, .dst = B6, .proto = l4[i].proto,
						 .cut = true, .cut_at = at, .ext = { 60 },
						 .ext_n = 1 };
			bool whole = at >= l4[i].min_len;

			frame_build(&f, &s4);
			CU_ASSERT_TRUE(gateway_expect(
				&g, "layer 4 cut", &f, f.len,
				whole ? &(struct expect)TUNNEL(P_TUNNEL) : &cut));
			frame_build(&f, &s6);
			CU_ASSERT_TRUE(gateway_expect(
				&g, "layer 4 cut, IPv6", &f, f.len,
				whole ? &(struct expect)TUNNEL(P_TUNNEL6) : &cut));
			/* Later fragments have no header that could be cut. */
			s4.fragment = LAST;
			frame_build(&f, &s4);
			CU_ASSERT_TRUE(gateway_expect(&g, "later fragment", &f, f.len,
						      &(struct expect)TUNNEL(P_TUNNEL)));
		}
	}
	gateway_close(&g);
}

static void options(void)
{
	struct gateway g;
	struct frame f;

	set_up(&g);
	for (uint8_t bytes = 0; bytes <= 40; bytes += 4) {
		frame_build(&f, &(struct frame_spec)FROM_A("10.5.0.1", .proto = 6, .dport = 23,
							 .options = bytes));
		CU_ASSERT_TRUE(gateway_expect(&g, "port behind options", &f, f.len,
					      &(struct expect)DROP(DISCARD, P_TELNET)));
	}
	gateway_close(&g);
}

/* One byte of a good frame changed, at an offset from the IP header. */
static const struct {
	const char *what;
	bool ip6;
	uint8_t at, value;
	struct expect expect;
} lies[] = {
	{ "version 6 under IPv4's type", false, 0, 0x65, DROP(MALFORMED_IP, 0) },
	{ "version 0", false, 0, 0x05, DROP(MALFORMED_IP, 0) },
	{ "header of 16 bytes", false, 0, 0x44, DROP(MALFORMED_IP, 0) },
	{ "header longer than the packet", false, 3, 19, DROP(MALFORMED_IP, 0) },
	{ "packet longer than the frame", false, 3, 20 + 20 + 16 + 1, DROP(MALFORMED_IP, 0) },
	{ "packet much longer than the frame", false, 2, 0xff, DROP(MALFORMED_IP, 0) },
	{ "no length", false, 3, 0, DROP(MALFORMED_IP, 0) },
	{ "header and no more", false, 3, 20, DROP(MALFORMED_L4, 0) },
	{ "reserved flag is no fragment", false, 6, 0x80, TUNNEL(P_TUNNEL) },
	{ "version 4 under IPv6's type", true, 0, 0x40, DROP(MALFORMED_IP, 0) },
	{ "payload longer than the frame", true, 5, 20 + 16 + 1, DROP(MALFORMED_IP, 0) },
	{ "payload much longer than the frame", true, 4, 0xff, DROP(MALFORMED_IP, 0) },
	{ "no payload", true, 5, 0, DROP(MALFORMED_L4, 0) },
	{ "a jumbogram's length", true, 6, 0, DROP(MALFORMED_IP, 0) },
};

static void contradictions(void)
{
	struct gateway g;
	struct frame f;

	set_up(&g);
	for (size_t i = 0; i < LEN(lies); i++) {
		if (lies[i].ip6)
			frame_build(&f, &(struct frame_spec){ .src = A6, .dst = B6, .proto = 6 });
		else
			frame_build(&f, &(struct frame_spec)FROM_A("10.2.0.9", .proto = 6));
		f.bytes[f.l3_off + lies[i].at] = lies[i].value;
		CU_ASSERT_TRUE(
			gateway_expect(&g, lies[i].what, &f, f.len, &lies[i].expect));
	}
	gateway_close(&g);
}

static void no_worker(void)
{
	static const struct expect none = DROP(NO_WORKER, P_TUNNEL);
	const struct expect discard = DROP(DISCARD, P_DISCARD), bypass = BYPASS(P_BYPASS);
	struct gateway g;
	struct frame f;

	set_up(&g);
	gateway_worker_del(&g);
	frame_build(&f, &(struct frame_spec)FROM_A("10.2.0.9", .proto = 6));
	CU_ASSERT_TRUE(gateway_expect(&g, "protect", &f, f.len, &none));
	frame_build(&f, &(struct frame_spec)FROM_A("10.3.0.9", .proto = 6));
	CU_ASSERT_TRUE(gateway_expect(&g, "discard needs none", &f, f.len, &discard));
	frame_build(&f, &(struct frame_spec)FROM_A("10.4.0.9", .proto = 6));
	CU_ASSERT_TRUE(gateway_expect(&g, "bypass needs none", &f, f.len, &bypass));
	gateway_close(&g);
}

/* Before keyd loaded anything: the gateway can be reached, nothing goes through it. */
static void nothing_loaded(void)
{
	static const struct expect pass = PASS, drop = DROP(NOT_LOADED, 0);
	struct gateway g;
	struct frame f;

	gateway_open(&g, "xdp_inner");
	gateway_local(&g, "10.1.0.1");
	gateway_worker_add(&g);
	frame_build(&f, &(struct frame_spec)FROM_A("10.1.0.1", .proto = 6, .dport = 22));
	CU_ASSERT_TRUE(gateway_expect(&g, "ssh to the gateway", &f, f.len, &pass));
	frame_build(&f, &(struct frame_spec){ 0 });
	CU_ASSERT_TRUE(gateway_expect(&g, "ARP", &f, f.len, &pass));
	frame_build(&f, &(struct frame_spec)FROM_A("224.0.0.1", .proto = 2));
	CU_ASSERT_TRUE(gateway_expect(&g, "multicast", &f, f.len, &pass));
	frame_build(&f, &(struct frame_spec)FROM_A("10.2.0.9", .proto = 6));
	CU_ASSERT_TRUE(gateway_expect(&g, "through the gateway", &f, f.len, &drop));
	gateway_close(&g);
}

CU_TestInfo xdp_inner_tests[] = {
	{ "verdicts and counters, row by row", rows },
	{ "unicast packets in broadcast frames", frames_for_many },
	{ "metadata for the worker", metadata },
	{ "frames cut at every length", cut_frames },
	{ "packets cut in every option and extension header byte", cut_packets },
	{ "layer 4 cut at every length", cut_l4 },
	{ "IPv4 options of 0 to 40 bytes", options },
	{ "headers that contradict the frame", contradictions },
	{ "without a worker protected traffic is dropped", no_worker },
	{ "with empty maps only the gateway is reached", nothing_loaded },
	CU_TEST_INFO_NULL,
};
