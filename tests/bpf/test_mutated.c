/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames with any one byte wrong, at every offset: each that is refused is counted under exactly one
 * reason, and none that is let through under any. test_parse.c holds what is read of them.
 */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "gateway.h"

#define G4 "192.0.2.1"
#define G6 "2001:db8:ffff::1"
#define A4 "10.1.0.5"
#define B4 "10.2.0.9"
#define A6 "2001:db8:1::5"
#define B6 "2001:db8:2::9"
#define SPI 0x10001

static const struct gateway_policy policies[] = {
	{ .id = 31, .action = XESP_ACTION_PROTECT, .tunnel = 1, .local = "10.1.0.0/16",
	  .remote = "10.2.0.0/16", .proto = 6, .remote_port = 80 },
	{ .id = 32, .action = XESP_ACTION_DISCARD, .local = "10.1.0.0/16", .remote = "10.2.0.0/16",
	  .proto = 6 },
	{ .id = 33, .action = XESP_ACTION_BYPASS, .local = "10.1.0.0/16", .remote = "10.2.0.0/16" },
	{ .id = 34, .action = XESP_ACTION_PROTECT, .tunnel = 1, .local = "2001:db8:1::/48",
	  .remote = "2001:db8:2::/48" },
};

static const struct frame_spec frames[] = {
	{ 0 },
	{ .src = A4, .dst = B4, .proto = 6, .dport = 80 },
	{ .src = A4, .dst = B4, .proto = 17, .vlans = 2, .options = 8 },
	{ .src = A4, .dst = B4, .proto = 1, .icmp_type = 3 },
	{ .src = A4, .dst = B4, .proto = 6, .dport = 80, .fragment = FIRST },
	{ .src = A4, .dst = B4, .proto = 6, .fragment = LAST },
	{ .src = B4, .dst = A4, .proto = 6, .sport = 80 },
	{ .src = A6, .dst = B6, .proto = 17, .vlans = 1, .ext = { 0, 43, 60 }, .ext_n = 3 },
	{ .src = A6, .dst = B6, .proto = 6, .fragment = FIRST, .behind_fragment = 60 },
	{ .src = B4, .dst = G4, .proto = 50, .spi = SPI, .options = 4 },
	{ .src = B4, .dst = G4, .proto = 51, .spi = SPI + 1 },
	{ .src = B4, .dst = G4, .proto = 17, .sport = 4500, .dport = 4500 },
	{ .src = B6, .dst = G6, .proto = 50, .spi = SPI, .ext = { 60 }, .ext_n = 1 },
};

static const uint8_t values[] = { 0, 0x2c, 0x60, 0xff };

static void set_up(struct gateway *g, const char *program)
{
	gateway_open(g, program);
	gateway_endpoint(g, G4);
	gateway_endpoint(g, G6);
	gateway_local(g, "10.1.0.1");
	gateway_natt_port(g, 4500);
	gateway_sa(g, G4, SPI, 21);
	gateway_sa(g, G6, SPI, 22);
	gateway_sa_ah(g, G4, SPI + 1, 23);
	gateway_worker_add(g);
	gateway_policies(g, GATEWAY_GENERATION, policies, LEN(policies), XESP_ACTION_DISCARD);
}

static void mutate(struct gateway *g, const char *program, size_t which)
{
	char what[80];
	struct frame f;

	frame_build(&f, &frames[which]);
	for (uint32_t at = 0; at < f.len; at++) {
		const uint8_t kept = f.bytes[at];

		for (size_t v = 0; v < LEN(values); v++) {
			snprintf(what, sizeof(what), "%s: frame %zu, byte %u as %#x", program, which,
				 at, values[v]);
			f.bytes[at] = values[v];
			CU_ASSERT_TRUE(gateway_accounts(g, what, &f));
		}
		f.bytes[at] = kept;
	}
}

static void run(const char *program)
{
	struct gateway g;

	set_up(&g, program);
	for (size_t i = 0; i < LEN(frames); i++)
		mutate(&g, program, i);
	gateway_close(&g);
}

static void inner(void)
{
	run("xdp_inner");
}

static void outer(void)
{
	run("xdp_outer");
}

static void onearm(void)
{
	run("xdp_onearm");
}

CU_TestInfo mutated_tests[] = {
	{ "cleartext side, every byte wrong", inner },
	{ "ciphertext side, every byte wrong", outer },
	{ "one-armed gateway, every byte wrong", onearm },
	CU_TEST_INFO_NULL,
};
