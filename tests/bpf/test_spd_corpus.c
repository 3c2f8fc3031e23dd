/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The same random lists in XDP and in user space: xdp_inner and xdp_outer must say of each frame what
 * spd_memory_find() says, which tests/unit/keyd/test_spd.c holds against the list walked naively.
 */
#include <CUnit/Basic.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway.h"
#include "libxesp/addr.h"

#define ROWS 10
#define FRAMES 60
#define ROUNDS 40

static uint32_t rnd(uint32_t n)
{
	return (uint32_t)random() % n;
}

static const char *random_net(bool ip6)
{
	static const char *const nets4[] = { NULL, "10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/24",
					     "10.1.0.2/32", "10.0.0.0/9", "10.1.0.2/31" };
	static const char *const nets6[] = { NULL, "::/0", "2001:db8::/32", "2001:db8:1::/48",
					     "2001:db8:1::2/128" };

	return ip6 ? nets6[rnd(LEN(nets6))] : nets4[rnd(LEN(nets4))];
}

static void random_row(struct gateway_policy *r, uint32_t i)
{
	static const uint8_t protos[] = { 0, 0, 6, 17, 1, 47, 58 };
	const bool ip6 = rnd(3) == 0;

	*r = (struct gateway_policy){ .id = i + 1,
				      .action = XESP_ACTION_DISCARD + rnd(3),
				      .tunnel = 5,
				      .local = random_net(ip6),
				      .remote = random_net(ip6),
				      .proto = protos[rnd(LEN(protos))],
				      .in_only = rnd(4) == 0 };
	if (r->proto == 0 || r->proto == 47) {
		r->opaque = rnd(5) == 0;
		return;
	}
	if (rnd(5) == 0) {
		r->opaque = true;
		return;
	}
	r->has_local = rnd(2);
	r->has_remote = rnd(2);
	r->local_port = (uint16_t)(r->has_local ? rnd(8) : 0);
	r->remote_port = (uint16_t)(r->has_remote ? rnd(8) : 0);
	r->local_port_last = (uint16_t)(r->has_local && rnd(2) ? 8 + rnd(4) : 0);
	r->remote_port_last = (uint16_t)(r->has_remote && rnd(2) ? 8 + rnd(4) : 0);
}

static const char *random_host(bool ip6)
{
	static const char *const hosts4[] = { "10.1.0.2", "10.1.0.3", "10.1.7.2", "10.200.0.1" };
	static const char *const hosts6[] = { "2001:db8:1::2", "2001:db8:1::3", "2001:db9::1" };

	return ip6 ? hosts6[rnd(LEN(hosts6))] : hosts4[rnd(LEN(hosts4))];
}

static void random_frame(struct frame_spec *s)
{
	static const uint8_t protos[] = { 6, 17, 1, 47, 58 };
	const bool ip6 = rnd(3) == 0;

	*s = (struct frame_spec){ .src = random_host(ip6),
				  .dst = random_host(ip6),
				  .proto = protos[rnd(LEN(protos))],
				  .sport = (uint16_t)rnd(13),
				  .dport = (uint16_t)rnd(13),
				  .icmp_type = (uint8_t)rnd(13),
				  .icmp_code = (uint8_t)rnd(13),
				  .fragment = rnd(4) ? WHOLE : LAST };
}

static struct spd_query query_of(const struct frame_spec *s, enum xesp_dir dir)
{
	const bool icmp = s->proto == 1 || s->proto == 58, none = s->proto == 47;
	const bool turned = dir == XESP_DIR_IN;
	struct spd_query q = { .proto = s->proto, .dir = (uint8_t)dir };

	addr_parse(turned ? &q.remote : &q.local, s->src, NULL);
	addr_parse(turned ? &q.local : &q.remote, s->dst, NULL);
	q.family = addr_is_ip4(&q.local) ? 4 : 6;
	q.fields = s->fragment == LAST ? XESP_FIELDS_LATER :
		   none		       ? XESP_FIELDS_NONE :
					 XESP_FIELDS_KNOWN;
	if (q.fields != XESP_FIELDS_KNOWN)
		return q;
	q.local_port = htons(icmp ? s->icmp_type : turned ? s->dport : s->sport);
	q.remote_port = htons(icmp ? s->icmp_code : turned ? s->sport : s->dport);
	return q;
}

static struct expect expected(const struct xesp_spd_val *v, enum xesp_dir dir)
{
	if (!v->policy)
		return (struct expect){ XDP_DROP, XESP_DROP_NO_POLICY, 0 };
	switch (v->action) {
	case XESP_ACTION_FRAGMENT:
		return (struct expect){ XDP_DROP, XESP_DROP_FRAGMENT_UNKNOWN, 0 };
	case XESP_ACTION_BYPASS:
		return (struct expect){ XDP_PASS, 0, v->policy };
	case XESP_ACTION_DISCARD:
		return (struct expect){ XDP_DROP, XESP_DROP_DISCARD, v->policy };
	default:
		return (struct expect){ XDP_DROP,
					dir == XESP_DIR_OUT ? XESP_DROP_NO_WORKER :
							      XESP_DROP_CLEAR_PROTECTED,
					v->policy };
	}
}

static void compare(const char *program, enum xesp_dir dir)
{
	struct gateway_policy row[ROWS];
	struct gateway g;
	struct frame f;
	int wrong = 0;

	srandom(4301);
	gateway_open(&g, program);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t i = 0; i < ROWS; i++)
			random_row(&row[i], i);
		gateway_policies(&g, GATEWAY_GENERATION + round, row, ROWS, XESP_ACTION_DISCARD);
		for (int i = 0; i < FRAMES; i++) {
			struct xesp_spd_val v;
			struct frame_spec s;
			struct spd_query q;
			struct expect e;
			uint32_t generation;

			random_frame(&s);
			q = query_of(&s, dir);
			CU_ASSERT_EQUAL_FATAL(spd_memory_find(&g.spd, &q, &v, &generation), 0);
			e = expected(&v, dir);
			frame_build(&f, &s);
			wrong += !gateway_expect(&g, "a random frame", &f, f.len, &e);
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
	gateway_close(&g);
}

static void outbound(void)
{
	compare("xdp_inner", XESP_DIR_OUT);
}

static void inbound(void)
{
	compare("xdp_outer", XESP_DIR_IN);
}

CU_TestInfo spd_corpus_tests[] = {
	{ "random lists outbound: XDP and user space agree", outbound },
	{ "random lists inbound: XDP and user space agree", inbound },
	CU_TEST_INFO_NULL,
};
