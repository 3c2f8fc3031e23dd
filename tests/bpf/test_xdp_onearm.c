/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both sides on one interface: which of the two rules a frame gets, and that cleartext which is
 * neither clearly out- nor inbound satisfies both.
 */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "gateway.h"

#define G4 "192.0.2.1"
#define PEER4 "198.51.100.2"
#define SPI 0x10001

enum { P_NET = 41, P_DISCARD, P_BYPASS, P_IN_DISCARD, P_OUT_BYPASS, P_SELF, P_REST };

static const struct gateway_policy policies[] = {
	{ .id = P_NET, .action = XESP_ACTION_PROTECT, .tunnel = 1,
	  .local = "10.1.0.0/16", .remote = "10.2.0.0/16" },
	{ .id = P_DISCARD, .action = XESP_ACTION_DISCARD,
	  .local = "10.1.0.0/16", .remote = "10.3.0.0/16" },
	{ .id = P_BYPASS, .action = XESP_ACTION_BYPASS,
	  .local = "10.1.0.0/16", .remote = "10.4.0.0/16" },
	{ .id = P_IN_DISCARD, .action = XESP_ACTION_DISCARD,
	  .local = "10.6.0.0/16", .remote = "10.5.0.0/16", .in_only = true },
	{ .id = P_OUT_BYPASS, .action = XESP_ACTION_BYPASS,
	  .local = "10.5.0.0/16", .out_only = true },
	{ .id = P_SELF, .action = XESP_ACTION_PROTECT, .tunnel = 1, .local = G4, .remote = PEER4 },
};

/* A last policy that lets everything through must not open what those before it close. */
static const struct gateway_policy with_bypass_for_the_rest[] = {
	{ .id = P_NET, .action = XESP_ACTION_PROTECT, .tunnel = 1,
	  .local = "10.1.0.0/16", .remote = "10.2.0.0/16" },
	{ .id = P_DISCARD, .action = XESP_ACTION_DISCARD,
	  .local = "10.1.0.0/16", .remote = "10.3.0.0/16" },
	{ .id = P_REST, .action = XESP_ACTION_BYPASS },
};

static void set_up(struct gateway *g, const struct gateway_policy *p, unsigned int n)
{
	gateway_open(g, "xdp_onearm");
	gateway_endpoint(g, G4);
	gateway_local(g, "10.1.0.1");
	gateway_sa(g, G4, SPI, 21);
	gateway_worker_add(g);
	gateway_policies(g, GATEWAY_GENERATION, p, n, XESP_ACTION_DISCARD);
}

#define PASS { XDP_PASS, 0, 0 }
#define DROP(why_, policy_) { XDP_DROP, XESP_DROP_##why_, policy_ }
#define WORKER(policy_) { XDP_REDIRECT, 0, policy_ }
#define BYPASS(policy_) { XDP_PASS, 0, policy_ }
#define NINE .ext = { 0, 60, 60, 60, 60, 60, 60, 60, 60 }, .ext_n = 9

struct row {
	const char *what;
	struct frame_spec frame;
	struct expect expect;
};

static void run_rows(struct gateway *g, const struct row *rows, size_t n)
{
	struct frame f;

	for (size_t i = 0; i < n; i++) {
		frame_build(&f, &rows[i].frame);
		CU_ASSERT_TRUE(gateway_expect(g, rows[i].what, &f, f.len, &rows[i].expect));
	}
}

static void both_sides(void)
{
	static const struct row rows[] = {
		{ "ARP", { 0 }, PASS },
		{ "multicast", { .src = "10.2.0.9", .dst = "224.0.0.5", .proto = 89 }, PASS },
		{ "multicast behind nine extension headers",
		  { .src = "fe80::1", .dst = "ff02::1", .proto = 17, NINE }, PASS },
		/* as outer */
		{ "ESP for us", { .src = PEER4, .dst = G4, .proto = 50, .spi = SPI }, WORKER(0) },
		{ "ESP, QinQ", { .src = PEER4, .dst = G4, .proto = 50, .spi = SPI, .vlans = 2 },
		  WORKER(0) },
		{ "ESP, unknown SPI", { .src = PEER4, .dst = G4, .proto = 50, .spi = SPI + 1 },
		  DROP(NO_SA, 0) },
		{ "ESP, reserved SPI", { .src = PEER4, .dst = G4, .proto = 50, .spi = 1 },
		  DROP(BAD_SPI, 0) },
		{ "ESP, outer fragment",
		  { .src = PEER4, .dst = G4, .proto = 50, .fragment = LAST }, PASS },
		{ "protected, arrived in clear", { .src = "10.2.0.9", .dst = "10.1.0.5",
						   .proto = 6 }, DROP(CLEAR_PROTECTED, P_NET) },
		{ "discarded inbound", { .src = "10.3.0.9", .dst = "10.1.0.5", .proto = 6 },
		  DROP(DISCARD, P_DISCARD) },
		{ "bypassed inbound", { .src = "10.4.0.9", .dst = "10.1.0.5", .proto = 6 },
		  BYPASS(P_BYPASS) },
		/* as inner */
		{ "protected", { .src = "10.1.0.5", .dst = "10.2.0.9", .proto = 6 },
		  WORKER(P_NET) },
		{ "protected, 802.1Q",
		  { .src = "10.1.0.5", .dst = "10.2.0.9", .proto = 6, .vlans = 1 },
		  WORKER(P_NET) },
		{ "protected, last fragment",
		  { .src = "10.1.0.5", .dst = "10.2.0.9", .proto = 6, .fragment = LAST },
		  WORKER(P_NET) },
		{ "discarded", { .src = "10.1.0.5", .dst = "10.3.0.9", .proto = 6 },
		  DROP(DISCARD, P_DISCARD) },
		{ "bypassed", { .src = "10.1.0.5", .dst = "10.4.0.9", .proto = 6 },
		  BYPASS(P_BYPASS) },
		/* neither, or both */
		{ "no policy", { .src = "10.1.0.5", .dst = "10.9.0.9", .proto = 6 },
		  DROP(NO_POLICY, 0) },
		{ "bypassed outbound, unknown inbound",
		  { .src = "10.5.0.1", .dst = "10.7.0.1", .proto = 6 }, BYPASS(P_OUT_BYPASS) },
		{ "bypassed outbound, discarded inbound",
		  { .src = "10.5.0.1", .dst = "10.6.0.1", .proto = 6 },
		  DROP(DISCARD, P_IN_DISCARD) },
		{ "cut-off TCP", { .src = "10.1.0.5", .dst = "10.2.0.9", .proto = 6, .cut = true },
		  DROP(MALFORMED_L4, 0) },
		{ "nine extension headers",
		  { .src = "2001:db8::1", .dst = "2001:db8:1::1", .proto = 17, NINE },
		  DROP(EXTHDR_DEPTH, 0) },
		/* to the gateway */
		{ "ssh from the LAN", { .src = "10.1.0.5", .dst = "10.1.0.1", .proto = 6 }, PASS },
		{ "ssh from outside", { .src = "198.51.100.9", .dst = G4, .proto = 6 }, PASS },
		{ "in clear from behind the tunnel",
		  { .src = "10.2.0.9", .dst = "10.1.0.1", .proto = 6 },
		  DROP(CLEAR_PROTECTED, P_NET) },
		{ "in clear from the peer", { .src = PEER4, .dst = G4, .proto = 6 },
		  DROP(CLEAR_PROTECTED, P_SELF) },
		{ "IKE from the peer", { .src = PEER4, .dst = G4, .proto = 17, .dport = 500 },
		  BYPASS(P_SELF) },
	};
	struct gateway g;

	set_up(&g, policies, LEN(policies));
	run_rows(&g, rows, LEN(rows));
	gateway_close(&g);
}

static void bypass_opens_nothing(void)
{
	static const struct row rows[] = {
		{ "outbound", { .src = "10.1.0.5", .dst = "10.2.0.9", .proto = 6 },
		  WORKER(P_NET) },
		{ "arrived in clear", { .src = "10.2.0.9", .dst = "10.1.0.5", .proto = 6 },
		  DROP(CLEAR_PROTECTED, P_NET) },
		{ "discarded inbound", { .src = "10.3.0.9", .dst = "10.1.0.5", .proto = 6 },
		  DROP(DISCARD, P_DISCARD) },
		{ "the rest", { .src = "10.1.0.5", .dst = "203.0.113.1", .proto = 6 },
		  BYPASS(P_REST) },
		{ "to the gateway", { .src = "10.1.0.5", .dst = "10.1.0.1", .proto = 6 },
		  BYPASS(P_REST) },
	};
	struct gateway g;

	set_up(&g, with_bypass_for_the_rest, LEN(with_bypass_for_the_rest));
	run_rows(&g, rows, LEN(rows));
	gateway_close(&g);
}

static void default_bypass(void)
{
	static const struct row rows[] = {
		{ "no policy", { .src = "10.1.0.5", .dst = "10.9.0.9", .proto = 6 }, PASS },
		{ "arrived in clear", { .src = "10.2.0.9", .dst = "10.1.0.5", .proto = 6 },
		  DROP(CLEAR_PROTECTED, P_NET) },
	};
	struct gateway g;

	set_up(&g, policies, LEN(policies));
	gateway_policies(&g, GATEWAY_GENERATION + 1, policies, LEN(policies), XESP_ACTION_BYPASS);
	run_rows(&g, rows, LEN(rows));
	gateway_close(&g);
}

static void metadata(void)
{
	static const struct expect esp = WORKER(0), clear = WORKER(P_NET);
	struct xesp_meta meta = { .magic = XESP_META_MAGIC, .l3_off = 18 };
	struct gateway g;
	struct frame f;

	set_up(&g, policies, LEN(policies));
	frame_build(&f, &(struct frame_spec){ .src = PEER4, .dst = G4, .proto = 50, .spi = SPI,
					      .vlans = 1, .options = 8 });
	meta.kind = XESP_KIND_ESP;
	meta.id = 21;
	meta.l4_off = 7;
	CU_ASSERT_TRUE(gateway_expect_meta(&g, "ESP", &f, &esp, &meta));
	frame_build(&f, &(struct frame_spec){ .src = "10.1.0.5", .dst = "10.2.0.9", .proto = 17,
					      .vlans = 1, .options = 8 });
	meta.kind = XESP_KIND_CLEAR;
	meta.id = 1;
	meta.policy = P_NET;
	meta.l4_off = 0;
	CU_ASSERT_TRUE(gateway_expect_meta(&g, "cleartext", &f, &clear, &meta));
	gateway_close(&g);
}

static const struct frame_spec stacks[] = {
	{ .src = PEER4, .dst = G4, .proto = 50, .spi = SPI, .options = 8 },
	{ .src = "10.1.0.5", .dst = "10.2.0.9", .proto = 6, .vlans = 1 },
	{ .src = "2001:db8::1", .dst = "2001:db8:1::1", .proto = 17, .vlans = 2, .ext = { 0, 60 },
	  .ext_n = 2 },
};

static void cut_frames(void)
{
	static const struct expect eth = DROP(MALFORMED_ETH, 0), ip = DROP(MALFORMED_IP, 0);
	struct gateway g;
	struct frame f;

	set_up(&g, policies, LEN(policies));
	for (size_t i = 0; i < LEN(stacks); i++) {
		frame_build(&f, &stacks[i]);
		for (uint32_t len = 14; len < f.len; len++)
			CU_ASSERT_TRUE(gateway_expect(&g, "frame cut short", &f, len,
						      len < f.l3_off ? &eth : &ip));
	}
	gateway_close(&g);
}

static void no_worker(void)
{
	static const struct row rows[] = {
		{ "ESP", { .src = PEER4, .dst = G4, .proto = 50, .spi = SPI },
		  DROP(NO_WORKER, 0) },
		{ "protected", { .src = "10.1.0.5", .dst = "10.2.0.9", .proto = 6 },
		  DROP(NO_WORKER, P_NET) },
	};
	struct gateway g;

	set_up(&g, policies, LEN(policies));
	gateway_worker_del(&g);
	run_rows(&g, rows, LEN(rows));
	gateway_close(&g);
}

static void nothing_loaded(void)
{
	static const struct row rows[] = {
		{ "ssh to the gateway", { .src = PEER4, .dst = G4, .proto = 6 }, PASS },
		{ "ESP: no tunnel ends here yet",
		  { .src = PEER4, .dst = G4, .proto = 50, .spi = SPI }, PASS },
		{ "out", { .src = "10.1.0.5", .dst = "10.2.0.9", .proto = 6 },
		  DROP(NOT_LOADED, 0) },
		{ "in", { .src = "10.2.0.9", .dst = "10.1.0.5", .proto = 6 },
		  DROP(NOT_LOADED, 0) },
	};
	struct gateway g;

	gateway_open(&g, "xdp_onearm");
	gateway_local(&g, G4);
	run_rows(&g, rows, LEN(rows));
	gateway_close(&g);
}

CU_TestInfo xdp_onearm_tests[] = {
	{ "verdicts and counters of both sides, row by row", both_sides },
	{ "a bypass for the rest opens nothing", bypass_opens_nothing },
	{ "default action bypass", default_bypass },
	{ "metadata for the worker", metadata },
	{ "frames cut at every length", cut_frames },
	{ "without a worker ESP and protected traffic are dropped", no_worker },
	{ "with empty maps only the gateway is reached", nothing_loaded },
	CU_TEST_INFO_NULL,
};
