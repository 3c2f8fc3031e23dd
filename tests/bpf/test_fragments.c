/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What fragments and packets without ports show to policies (RFC 4301 sections 4.4.1.1 and 7): the
 * first fragment decides for the later ones, and ICMP and mobility headers have types for ports.
 */
#include <CUnit/Basic.h>
#include <stdio.h>

#include "gateway.h"

#define GEN GATEWAY_GENERATION
#define DISCARD(id_, ...) { .id = id_, .action = XESP_ACTION_DISCARD, __VA_ARGS__ }
#define BYPASS(id_, ...) { .id = id_, .action = XESP_ACTION_BYPASS, __VA_ARGS__ }
#define V4 .src = "10.1.0.5", .dst = "10.2.0.9"
#define V6 .src = "2001:db8:1::5", .dst = "2001:db8:2::9"
#define HIT(id_) { XDP_DROP, XESP_DROP_DISCARD, id_ }
#define PASS(id_) { XDP_PASS, 0, id_ }
#define UNKNOWN { XDP_DROP, XESP_DROP_FRAGMENT_UNKNOWN, 0 }

struct step {
	const char *what;
	struct frame_spec frame;
	struct expect expect;
};

static void run_steps(const char *program, const struct gateway_policy *p, unsigned int n,
		      const struct step *step, size_t steps)
{
	struct gateway g;
	struct frame f;

	gateway_open(&g, program);
	gateway_policies(&g, GEN, p, n, XESP_ACTION_DISCARD);
	for (size_t i = 0; i < steps; i++) {
		frame_build(&f, &step[i].frame);
		CU_ASSERT_TRUE(gateway_expect(&g, step[i].what, &f, f.len, &step[i].expect));
	}
	gateway_close(&g);
}

/* The hole that section 7 is about: a narrow discard (or protect) before a wide bypass. */
static void first_decides(void)
{
	static const struct gateway_policy p[] = { DISCARD(1, .proto = 17, .remote_port = 53),
						   BYPASS(2) };
	static const struct step steps[] = {
		{ "IPv4: later before any first", { V4, .proto = 17, .fragment = LAST }, UNKNOWN },
		{ "first, port 53", { V4, .proto = 17, .dport = 53, .fragment = FIRST }, HIT(1) },
		{ "its middle", { V4, .proto = 17, .fragment = MIDDLE }, HIT(1) },
		{ "its last", { V4, .proto = 17, .fragment = LAST }, HIT(1) },
		{ "another datagram's", { V4, .proto = 17, .fragment = LAST, .frag_id = 1 },
		  UNKNOWN },
		{ "first, port 54",
		  { V4, .proto = 17, .dport = 54, .fragment = FIRST, .frag_id = 1 }, PASS(2) },
		{ "its last", { V4, .proto = 17, .fragment = LAST, .frag_id = 1 }, PASS(2) },
		{ "same id, first of port 53 again",
		  { V4, .proto = 17, .dport = 53, .fragment = FIRST, .frag_id = 1 }, HIT(1) },
		{ "which takes the last", { V4, .proto = 17, .fragment = LAST, .frag_id = 1 },
		  HIT(1) },
		{ "from another host",
		  { .src = "10.1.0.6", .dst = "10.2.0.9", .proto = 17, .fragment = LAST }, UNKNOWN },
		{ "of a protocol that no policy with ports has",
		  { V4, .proto = 6, .fragment = LAST }, PASS(2) },
		{ "IPv6: later before any first", { V6, .proto = 17, .fragment = LAST }, UNKNOWN },
		{ "IPv6: that says another protocol", { V6, .proto = 6, .fragment = LAST },
		  UNKNOWN },
		{ "IPv6: that says an extension header", { V6, .proto = 60, .fragment = LAST },
		  UNKNOWN },
		{ "IPv6: first", { V6, .proto = 17, .dport = 53, .fragment = FIRST }, HIT(1) },
		{ "IPv6: its last", { V6, .proto = 17, .fragment = LAST }, HIT(1) },
		{ "IPv6: its last, whatever protocol it says",
		  { V6, .proto = 6, .fragment = LAST }, HIT(1) },
		{ "whole packets go by what they show", { V4, .proto = 17, .dport = 54 }, PASS(2) },
		{ "GRE has no ports", { V4, .proto = 47 }, PASS(2) },
		{ "GRE has no ports, IPv6", { V6, .proto = 47 }, PASS(2) },
	};

	run_steps("xdp_inner", p, LEN(p), steps, LEN(steps));
}

/* Of another generation nothing is known: its tunnel may be gone. */
static void another_generation(void)
{
	static const struct gateway_policy p[] = { DISCARD(1, .proto = 17, .remote_port = 53),
						   BYPASS(2) };
	static const struct frame_spec first = { V4, .proto = 17, .dport = 54, .fragment = FIRST },
				       last = { V4, .proto = 17, .fragment = LAST };
	static const struct expect pass = PASS(2), unknown = UNKNOWN;
	struct gateway g;
	struct frame f;

	gateway_open(&g, "xdp_inner");
	gateway_policies(&g, GEN, p, LEN(p), XESP_ACTION_DISCARD);
	frame_build(&f, &first);
	CU_ASSERT_TRUE(gateway_expect(&g, "first", &f, f.len, &pass));
	frame_build(&f, &last);
	CU_ASSERT_TRUE(gateway_expect(&g, "its last", &f, f.len, &pass));
	gateway_policies(&g, GEN + 1, p, LEN(p), XESP_ACTION_DISCARD);
	CU_ASSERT_TRUE(gateway_expect(&g, "after a commit", &f, f.len, &unknown));
	gateway_close(&g);
}

/* In clear from the ciphertext side, where a later fragment could join what came protected. */
static void first_decides_inbound(void)
{
	static const struct gateway_policy p[] = {
		{ .id = 1, .action = XESP_ACTION_PROTECT, .tunnel = 3, .proto = 17,
		  .remote_port = 53 },
		BYPASS(2)
	};
	static const struct step steps[] = {
		{ "later alone", { V4, .proto = 17, .fragment = LAST }, UNKNOWN },
		{ "first that must be protected",
		  { V4, .proto = 17, .sport = 53, .fragment = FIRST },
		  { XDP_DROP, XESP_DROP_CLEAR_PROTECTED, 1 } },
		{ "its last", { V4, .proto = 17, .fragment = LAST },
		  { XDP_DROP, XESP_DROP_CLEAR_PROTECTED, 1 } },
		{ "first that may be clear",
		  { V4, .proto = 17, .sport = 54, .fragment = FIRST, .frag_id = 1 }, PASS(2) },
		{ "its last", { V4, .proto = 17, .fragment = LAST, .frag_id = 1 }, PASS(2) },
	};

	run_steps("xdp_outer", p, LEN(p), steps, LEN(steps));
}

static void opaque(void)
{
	static const struct gateway_policy p[] = { DISCARD(1, .proto = 17, .opaque = true),
						   DISCARD(2, .proto = 47, .opaque = true),
						   BYPASS(3, .proto = 17, .remote_port = 53),
						   BYPASS(4) };
	static const struct step steps[] = {
		{ "whole", { V4, .proto = 17, .dport = 53 }, PASS(3) },
		{ "first", { V4, .proto = 17, .dport = 53, .fragment = FIRST }, PASS(3) },
		{ "later: the opaque policy comes first", { V4, .proto = 17, .fragment = LAST },
		  HIT(1) },
		{ "later, IPv6", { V6, .proto = 17, .fragment = LAST }, HIT(1) },
		{ "GRE shows no ports", { V4, .proto = 47 }, HIT(2) },
		{ "TCP shows them", { V4, .proto = 6, .dport = 53 }, PASS(4) },
	};

	run_steps("xdp_inner", p, LEN(p), steps, LEN(steps));
}

static void types(void)
{
	static const struct gateway_policy p[] = {
		BYPASS(1, .proto = 1, .local_port = 8, .has_remote = true),
		DISCARD(2, .proto = 1, .local_port = 3, .remote_port = 2, .remote_port_last = 9),
		DISCARD(3, .proto = 58, .local_port = 128, .local_port_last = 129),
		DISCARD(4, .proto = 135, .local_port = 5),
		BYPASS(5),
	};
	static const struct step steps[] = {
		{ "echo request", { V4, .proto = 1, .icmp_type = 8 }, PASS(1) },
		{ "echo request with a code", { V4, .proto = 1, .icmp_type = 8, .icmp_code = 1 },
		  PASS(5) },
		{ "code below the range", { V4, .proto = 1, .icmp_type = 3, .icmp_code = 1 },
		  PASS(5) },
		{ "code at its start", { V4, .proto = 1, .icmp_type = 3, .icmp_code = 2 }, HIT(2) },
		{ "code at its end", { V4, .proto = 1, .icmp_type = 3, .icmp_code = 9 }, HIT(2) },
		{ "code above it", { V4, .proto = 1, .icmp_type = 3, .icmp_code = 10 }, PASS(5) },
		{ "that code of another type", { V4, .proto = 1, .icmp_type = 4, .icmp_code = 2 },
		  PASS(5) },
		{ "ICMPv6 echo", { V6, .proto = 58, .icmp_type = 128 }, HIT(3) },
		{ "ICMPv6 echo reply", { V6, .proto = 58, .icmp_type = 129, .icmp_code = 7 },
		  HIT(3) },
		{ "ICMPv6, next type", { V6, .proto = 58, .icmp_type = 130 }, PASS(5) },
		{ "mobility header, binding update", { V6, .proto = 135, .icmp_type = 5 }, HIT(4) },
		{ "mobility header, another", { V6, .proto = 135, .icmp_type = 6 }, PASS(5) },
		{ "later fragment of an echo", { V4, .proto = 1, .fragment = LAST }, UNKNOWN },
	};

	run_steps("xdp_inner", p, LEN(p), steps, LEN(steps));
}

/* Type and code are the same from both ends: nothing to turn round. */
static void types_inbound(void)
{
	static const struct gateway_policy p[] = {
		BYPASS(1, .proto = 1, .local_port = 8, .has_remote = true),
		DISCARD(2),
	};
	static const struct step steps[] = {
		{ "echo request", { V4, .proto = 1, .icmp_type = 8 }, PASS(1) },
		{ "code 8 of type 0", { V4, .proto = 1, .icmp_type = 0, .icmp_code = 8 }, HIT(2) },
	};

	run_steps("xdp_outer", p, LEN(p), steps, LEN(steps));
}

CU_TestInfo fragments_tests[] = {
	{ "the first fragment decides for the later ones", first_decides },
	{ "but not over a commit", another_generation },
	{ "likewise for cleartext from the ciphertext side", first_decides_inbound },
	{ "opaque ports", opaque },
	{ "ICMP type and code, mobility header type", types },
	{ "types from the ciphertext side", types_inbound },
	CU_TEST_INFO_NULL,
};
