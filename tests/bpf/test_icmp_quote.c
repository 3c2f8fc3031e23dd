/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RFC 4301 section 6.2, outbound: an ICMP error that no policy names goes where the answers to the
 * packet that it quotes would go; everything else about it stays discarded.
 */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "gateway.h"

#define ROUTER4 "203.0.113.9"
#define ROUTER6 "2001:db8:99::9"
#define HERE4 "10.1.0.5"
#define THERE4 "10.2.0.9"
#define HERE6 "2001:db8:1::5"
#define THERE6 "2001:db8:2::9"

enum { P_DNS = 21, P_ALL6, P_BYPASS, P_DISCARD };

static const struct gateway_policy policies[] = {
	{ .id = P_DNS, .action = XESP_ACTION_PROTECT, .tunnel = 5, .local = "10.1.0.0/16",
	  .remote = "10.2.0.0/16", .proto = 17, .local_port = 53 },
	{ .id = P_ALL6, .action = XESP_ACTION_PROTECT, .tunnel = 6, .local = "2001:db8:1::/48",
	  .remote = "2001:db8:2::/48" },
	{ .id = P_BYPASS, .action = XESP_ACTION_BYPASS, .local = "10.1.0.0/16",
	  .remote = "10.4.0.0/16" },
	{ .id = P_DISCARD, .action = XESP_ACTION_DISCARD, .local = "10.1.0.0/16",
	  .remote = "10.3.0.0/16" },
};

/* The error is from a router here to a host there, about a packet from there to here. */
static const struct row {
	const char *what;
	bool six;
	uint8_t type;
	const char *to;           /* of the error */
	const char *q_src, *q_dst;
	uint16_t q_sport, q_dport; /* UDP */
	uint32_t policy;          /* that carries it; 0: none */
} rows[] = {
	{ "unreachable", false, 3, THERE4, THERE4, HERE4, 4000, 53, P_DNS },
	{ "time exceeded", false, 11, THERE4, THERE4, HERE4, 4000, 53, P_DNS },
	{ "parameter problem", false, 12, THERE4, THERE4, HERE4, 4000, 53, P_DNS },
	{ "another port than the policy's", false, 3, THERE4, THERE4, HERE4, 4000, 54, 0 },
	{ "ports the wrong way round", false, 3, THERE4, THERE4, HERE4, 53, 4000, 0 },
	{ "redirect", false, 5, THERE4, THERE4, HERE4, 4000, 53, 0 },
	{ "echo reply", false, 0, THERE4, THERE4, HERE4, 4000, 53, 0 },
	{ "not to the sender of what it quotes", false, 3, "10.2.0.8", THERE4, HERE4, 4000, 53, 0 },
	{ "quotes a packet the wrong way round", false, 3, THERE4, HERE4, THERE4, 4000, 53, 0 },
	{ "quotes what no tunnel carries", false, 3, "10.9.0.9", "10.9.0.9", HERE4, 4000, 53, 0 },
	{ "quotes what a bypass policy names: it is not bypassed", false, 3, "10.4.0.1", "10.4.0.1",
	  HERE4, 4000, 53, 0 },
	{ "quotes what is discarded", false, 3, "10.3.0.1", "10.3.0.1", HERE4, 4000, 53, 0 },
	{ "packet too big", true, 2, THERE6, THERE6, HERE6, 4000, 53, P_ALL6 },
	{ "IPv6 unreachable", true, 1, THERE6, THERE6, HERE6, 1, 2, P_ALL6 },
	{ "IPv6 redirect", true, 137, THERE6, THERE6, HERE6, 4000, 53, 0 },
	{ "IPv6, not to the sender", true, 1, "2001:db8:2::8", THERE6, HERE6, 4000, 53, 0 },
};

/* Returns the length of the frame up to the end of the quote's first 8 bytes behind its header. */
static uint32_t build(struct frame *f, const struct row *r)
{
	const struct frame_spec error = { .src = r->six ? ROUTER6 : ROUTER4, .dst = r->to,
					  .proto = r->six ? 58 : 1, .icmp_type = r->type };
	const struct frame_spec quoted = { .src = r->q_src, .dst = r->q_dst, .proto = 17,
					   .sport = r->q_sport, .dport = r->q_dport };
	static struct frame q;
	uint32_t at, len;

	frame_build(&q, &quoted);
	frame_build(f, &error);
	at = f->l4_off + 8;
	len = q.l4_off - q.l3_off + 8;
	memcpy(f->bytes + at, q.bytes + q.l3_off, len);
	f->len = at + len;
	frame_set_end(f, f->len);
	return f->len;
}

static void set_up(struct gateway *g, const char *program, enum xesp_action otherwise)
{
	gateway_open(g, program);
	gateway_local(g, "10.1.0.1");
	gateway_worker_add(g);
	gateway_policies(g, GATEWAY_GENERATION, policies, LEN(policies), otherwise);
}

static void run_rows(const char *program)
{
	struct gateway g;
	struct frame f;

	set_up(&g, program, XESP_ACTION_DISCARD);
	for (size_t i = 0; i < LEN(rows); i++) {
		const struct expect none = { XDP_DROP, XESP_DROP_NO_POLICY, 0 };
		const struct expect in = { XDP_REDIRECT, 0, rows[i].policy };
		const struct xesp_meta meta = { .magic = XESP_META_MAGIC, .kind = XESP_KIND_CLEAR,
						.id = rows[i].six ? 6 : 5,
						.policy = rows[i].policy, .l3_off = 14 };
		uint32_t len = build(&f, &rows[i]);

		if (rows[i].policy) {
			CU_ASSERT_TRUE(gateway_expect_meta(&g, rows[i].what, &f, &in, &meta));
		} else {
			CU_ASSERT_TRUE(gateway_expect(&g, rows[i].what, &f, len, &none));
		}
	}
	gateway_close(&g);
}

static void inner_rows(void)
{
	run_rows("xdp_inner");
}

static void onearm_rows(void)
{
	run_rows("xdp_onearm");
}

/* The quote cut at every length: it is carried when header and ports are there, else discarded. */
static void cut_quotes(void)
{
	const struct expect none = { XDP_DROP, XESP_DROP_NO_POLICY, 0 };
	const struct expect in = { XDP_REDIRECT, 0, P_DNS };
	struct gateway g;
	struct frame f;

	set_up(&g, "xdp_inner", XESP_ACTION_DISCARD);
	for (uint32_t have = 0; have <= 28; have++) {
		char what[40];

		build(&f, &rows[0]);
		f.len = f.l4_off + 8 + have;
		frame_set_end(&f, f.len);
		snprintf(what, sizeof(what), "%u bytes quoted", have);
		CU_ASSERT_TRUE(gateway_expect(&g, what, &f, f.len, have >= 24 ? &in : &none));
	}
	gateway_close(&g);
}

/* Where everything else is bypassed, so is this. */
static void default_bypass(void)
{
	const struct expect pass = { XDP_PASS, 0, 0 };
	struct gateway g;
	struct frame f;

	set_up(&g, "xdp_inner", XESP_ACTION_BYPASS);
	build(&f, &rows[0]);
	CU_ASSERT_TRUE(gateway_expect(&g, "default bypass", &f, f.len, &pass));
	gateway_close(&g);
}

CU_TestInfo icmp_quote_tests[] = {
	{ "ICMP errors that no policy names, cleartext side", inner_rows },
	{ "ICMP errors that no policy names, one-armed", onearm_rows },
	{ "ICMP errors whose quote is cut off", cut_quotes },
	{ "ICMP errors where the default is bypass", default_bypass },
	CU_TEST_INFO_NULL,
};
