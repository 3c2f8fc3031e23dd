/* SPDX-License-Identifier: BSD-2-Clause */
/* test_xfrm_cpu.c - the kernel's SAs of single CPUs (RFC 9611, XFRMA_SA_PCPU of Linux 6.13). */
#include <CUnit/CUnit.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <string.h>

#include "keyd/compose.h"
#include "keyd/config.h"
#include "keyd/xfrm_entry.h"
#include "keyd/xfrm_want.h"
#include "tests/unit/keyd/xfrm_world.h"

#define LOCAL XFRM_WORLD_LOCAL
#define PEER XFRM_WORLD_PEER
#define SA_PCPU 35      /* XFRMA_SA_PCPU */
#define CPU_ACQUIRE 4   /* XFRM_POLICY_CPU_ACQUIRE */

static void test_messages(void)
{
	struct xfrm_world_message m;
	struct xfrm_state_entry s;
	const uint32_t cpu = 5;
	const uint16_t half = 5;

	for (int i = 0; i < 3; i++) {
		xfrm_world_begin_state(&m, LOCAL, PEER, 0x1001);
		xfrm_world_put_aead(&m, "rfc4106(gcm(aes))", 20, 128, 1);
		if (i == 1)
			xfrm_world_put(&m, SA_PCPU, &cpu, sizeof(cpu));
		if (i == 2)
			xfrm_world_put(&m, SA_PCPU, &half, sizeof(half));
		CU_ASSERT_TRUE(xfrm_entry_state(&m.h, &s));
		CU_ASSERT_EQUAL(s.pcpu, i == 1 ? 5 : XFRM_PCPU_ALL);
		CU_ASSERT_STRING_EQUAL(s.unserved, "");
	}
}

/* It asks for SAs of each CPU: nothing that keeps us from serving it. */
static void test_policy_that_asks(void)
{
	struct xfrm_userpolicy_info i = { .sel = { .family = AF_INET }, .dir = XFRM_POLICY_OUT, .flags = CPU_ACQUIRE };
	const struct xfrm_user_tmpl tmpl = { .family = AF_INET, .reqid = 7, .id = { .proto = IPPROTO_ESP },
					     .mode = XFRM_MODE_TUNNEL };
	struct xfrm_world_message m = { .h = { .nlmsg_type = XFRM_MSG_NEWPOLICY,
					       .nlmsg_len = NLMSG_LENGTH(sizeof(i)) } };
	struct xfrm_policy_entry p;

	memcpy(NLMSG_DATA(&m.h), &i, sizeof(i));
	xfrm_world_put(&m, XFRMA_TMPL, &tmpl, sizeof(tmpl));
	CU_ASSERT_TRUE(xfrm_entry_policy(&m.h, &p));
	CU_ASSERT_STRING_EQUAL(p.unserved, "");
	CU_ASSERT_EQUAL(p.tmpls_n, 1);
	CU_ASSERT_TRUE(p.cpu_acquire);
	((struct xfrm_userpolicy_info *)NLMSG_DATA(&m.h))->dir = XFRM_POLICY_IN;
	CU_ASSERT_TRUE(xfrm_entry_policy(&m.h, &p) && !p.cpu_acquire);
	((struct xfrm_userpolicy_info *)NLMSG_DATA(&m.h))->dir = XFRM_POLICY_OUT;
	((struct xfrm_userpolicy_info *)NLMSG_DATA(&m.h))->flags = XFRM_POLICY_LOCALOK;
	CU_ASSERT_TRUE(xfrm_entry_policy(&m.h, &p) && !p.cpu_acquire);
}

static struct xfrm_state_entry of_cpu(uint32_t cpu, uint32_t spi, uint64_t added)
{
	struct xfrm_state_entry s = xfrm_world_state(LOCAL, PEER, spi, added);

	s.pcpu = cpu;
	return s;
}

static uint32_t cpu_of(const struct config *c, uint32_t spi)
{
	const struct sa *sa = xfrm_world_find_spi(c, spi);

	CU_ASSERT_PTR_NOT_NULL_FATAL(sa);
	return sa->cpu;
}

/* Of each CPU the newest sends, and of those for all; inbound each is taken, whatever CPU the kernel has it for. */
static void test_newest_of_each(void)
{
	struct xfrm_state_entry states[] = {
		of_cpu(1, 0x1043, 9), of_cpu(1, 0x1042, 6), xfrm_world_state(LOCAL, PEER, 0x1001, 5),
		of_cpu(0, 0x1041, 7), xfrm_world_state(LOCAL, PEER, 0x1002, 8),
		xfrm_world_state(PEER, LOCAL, 0x2001, 5), xfrm_world_state(PEER, LOCAL, 0x2081, 7),
	};
	struct xfrm_policy_entry policies[] = { xfrm_world_policy(XFRM_ENTRY_OUT, "10.1.0.0/24", "10.2.0.0/24", 200) };
	struct xfrm_tables t = { .states_n = 7, .states = states, .policies_n = 1, .policies = policies };
	struct xfrm_unserved_list left_out = { 0 };
	struct config *c;

	states[6].pcpu = 0;
	c = xfrm_world_build(&t, &(struct xfrm_model_env){ .now_ms = 0 }, &left_out);
	CU_ASSERT_EQUAL(left_out.n, 0);
	CU_ASSERT_EQUAL(c->sad.tunnels_n, 1);
	CU_ASSERT_EQUAL(c->sad.sas_n, 5);
	CU_ASSERT_EQUAL(cpu_of(c, 0x1002), SAD_NONE);
	CU_ASSERT_EQUAL(cpu_of(c, 0x1041), 0);
	CU_ASSERT_EQUAL(cpu_of(c, 0x1043), 1);
	CU_ASSERT_EQUAL(cpu_of(c, 0x2001), SAD_NONE);
	CU_ASSERT_EQUAL(cpu_of(c, 0x2081), SAD_NONE);
	CU_ASSERT_PTR_NULL(xfrm_world_find_spi(c, 0x1001));
	CU_ASSERT_PTR_NULL(xfrm_world_find_spi(c, 0x1042));
	CU_ASSERT_EQUAL(c->spd.policies[0].action, XESP_ACTION_PROTECT);
	config_free(c);
	xfrm_unserved_fini(&left_out);
}

/* Without one for all, and of a CPU beyond all: the kernel's, with the policy where nothing is left to send on. */
static void test_left_with_the_kernel(void)
{
	struct xfrm_state_entry states[70] = { of_cpu(9000, 0x1000, 5) };
	struct xfrm_policy_entry policies[] = { xfrm_world_policy(XFRM_ENTRY_OUT, "10.1.0.0/24", "10.2.0.0/24", 200) };
	struct xfrm_tables t = { .states_n = 1, .states = states, .policies_n = 1, .policies = policies };
	struct xfrm_unserved_list left_out = { 0 };
	struct config *c;

	for (uint32_t i = 1; i < 70; i++)
		states[i] = of_cpu(i, 0x1000 + i, 5);
	t.states_n = 70;
	c = xfrm_world_build(&t, &(struct xfrm_model_env){ .now_ms = 0 }, &left_out);
	CU_ASSERT_EQUAL(c->sad.sas_n, 0);
	CU_ASSERT_EQUAL(left_out.n, 71);
	CU_ASSERT_EQUAL(c->spd.policies[0].action, XESP_ACTION_BYPASS);
	config_free(c);
	xfrm_unserved_fini(&left_out);
	/* The same with one: 64 of them are served beside it. */
	states[1].pcpu = XFRM_PCPU_ALL;
	c = xfrm_world_build(&t, &(struct xfrm_model_env){ .now_ms = 0 }, &left_out);
	CU_ASSERT_EQUAL(c->sad.sas_n, 65);
	CU_ASSERT_EQUAL(left_out.n, 5);
	CU_ASSERT_EQUAL(c->spd.policies[0].action, XESP_ACTION_PROTECT);
	config_free(c);
	xfrm_unserved_fini(&left_out);
}

/* Workers ask where a policy of their tunnel wants it; asked is one CPU of one tunnel, now and then. */
static void test_asking(void)
{
	struct xfrm_state_entry states[] = { xfrm_world_state(LOCAL, PEER, 0x1001, 5) };
	struct xfrm_policy_entry policies[] = { xfrm_world_policy(XFRM_ENTRY_OUT, "10.1.0.0/24", "10.2.0.0/24", 200),
						xfrm_world_policy(XFRM_ENTRY_OUT, "10.1.0.0/24", "10.3.0.0/24", 201) };
	struct xfrm_tables t = { .states_n = 1, .states = states, .policies_n = 2, .policies = policies };
	struct xfrm_unserved_list left_out = { 0 };
	struct config *c;

	for (int asks = 0; asks < 2; asks++) {
		struct xesp_keymsg_tunnel_set m;

		policies[1].cpu_acquire = asks;
		c = xfrm_world_build(&t, &(struct xfrm_model_env){ .now_ms = 0 }, &left_out);
		CU_ASSERT_EQUAL(c->sad.tunnels[0].cpu_acquire, asks);
		CU_ASSERT_EQUAL(c->sad.tunnels[0].reqid, 7);
		compose_tunnel(&m, c, 0, COMPOSE_OUT);
		CU_ASSERT_EQUAL(m.tunnel.cpu_acquire, asks);
		config_free(c);
		xfrm_unserved_fini(&left_out);
	}
}

static void test_now_and_then(void)
{
	static struct xfrm_wants w;
	const uint64_t t0 = 1000000;

	CU_ASSERT_TRUE(xfrm_want_is_due(&w, 1, 0, t0));
	CU_ASSERT_FALSE(xfrm_want_is_due(&w, 1, 0, t0));
	CU_ASSERT_TRUE(xfrm_want_is_due(&w, 1, 1, t0 + 1));
	CU_ASSERT_TRUE(xfrm_want_is_due(&w, 2, 0, t0 + 2));
	CU_ASSERT_FALSE(xfrm_want_is_due(&w, 1, 0, t0 + XFRM_WANT_MS - 1));
	CU_ASSERT_TRUE(xfrm_want_is_due(&w, 1, 0, t0 + XFRM_WANT_MS));
	CU_ASSERT_FALSE(xfrm_want_is_due(&w, 1, 0, t0 + XFRM_WANT_MS + 1));
	/* When there are more than are remembered, the oldest are forgotten. */
	for (uint32_t i = 0; i < XFRM_WANTS_MAX; i++)
		CU_ASSERT_TRUE(xfrm_want_is_due(&w, 10 + i, 0, t0 + 3));
	CU_ASSERT_FALSE(xfrm_want_is_due(&w, 10, 0, t0 + 3));
	CU_ASSERT_TRUE(xfrm_want_is_due(&w, 2, 0, t0 + 3));
}

CU_TestInfo xfrm_cpu_tests[] = {
	{ "a state's CPU, and none", test_messages },
	{ "a policy that asks for SAs of CPUs is served", test_policy_that_asks },
	{ "of each CPU the newest sends", test_newest_of_each },
	{ "what is left with the kernel", test_left_with_the_kernel },
	{ "workers ask where a policy wants it", test_asking },
	{ "one CPU is asked for now and then", test_now_and_then },
	CU_TEST_INFO_NULL,
};
