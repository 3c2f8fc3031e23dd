/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_xfrm_heard.c - what the kernel asks and tells of its own accord: messages as it makes them, what of them is
 * news, and what is shown.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <json-c/json.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/acquire.h"
#include "keyd/config.h"
#include "keyd/xfrm_entry.h"
#include "keyd/xfrm_heard.h"
#include "keyd/xfrm_model.h"
#include "keyd/xfrm_moved.h"
#include "libxesp/addr.h"
#include "tests/unit/keyd/xfrm_world.h"

#define LOCAL XFRM_WORLD_LOCAL
#define PEER XFRM_WORLD_PEER
#define T0 100000u
#define SECOND 1000000000ull

struct ears {
	uint32_t asked_n, mapped_n;
	struct xfrm_asked asked;
	struct xfrm_mapped mapped;
};

static void asked(void *ctx, const struct xfrm_asked *a)
{
	struct ears *e = ctx;

	e->asked_n++;
	e->asked = *a;
}

static void mapped(void *ctx, const struct xfrm_mapped *m)
{
	struct ears *e = ctx;

	e->mapped_n++;
	e->mapped = *m;
}

static struct xfrm_heard *open_ears(struct ears *e)
{
	const struct xfrm_heard_calls calls = { asked, mapped, e };

	*e = (struct ears){ 0 };
	return xfrm_heard_deaf(&calls);
}

/* As build_acquire() of the kernel: a packet of its own from 10.1.0.1 to 10.2.0.9, TCP to port 22. */
static void acquire_message(struct xfrm_world_message *m)
{
	struct xfrm_user_acquire u = { .id = { .proto = IPPROTO_ESP },
				       .sel = { .family = AF_INET, .prefixlen_s = 32, .prefixlen_d = 32, .proto = IPPROTO_TCP,
						.sport = htons(40000), .sport_mask = UINT16_MAX,
						.dport = htons(22), .dport_mask = UINT16_MAX },
				       .policy = { .index = 81, .dir = XFRM_POLICY_OUT },
				       .seq = 9 };
	struct xfrm_user_tmpl t = { .id = { .proto = IPPROTO_ESP }, .family = AF_INET, .reqid = 7, .mode = XFRM_MODE_TUNNEL };

	u.id.daddr.a4 = inet_addr(PEER);
	u.saddr.a4 = inet_addr(LOCAL);
	u.sel.saddr.a4 = inet_addr("10.1.0.1");
	u.sel.daddr.a4 = inet_addr("10.2.0.9");
	*m = (struct xfrm_world_message){ .h = { .nlmsg_type = XFRM_MSG_ACQUIRE, .nlmsg_len = NLMSG_LENGTH(sizeof(u)) } };
	memcpy(NLMSG_DATA(&m->h), &u, sizeof(u));
	xfrm_world_put(m, XFRMA_TMPL, &t, sizeof(t));
}

static void mapping_message(struct xfrm_world_message *m)
{
	struct xfrm_user_mapping u = { .id = { .spi = htonl(0xc0000001), .family = AF_INET, .proto = IPPROTO_ESP },
				       .reqid = 7, .old_sport = htons(4500), .new_sport = htons(32000) };

	u.id.daddr.a4 = inet_addr(LOCAL);
	u.old_saddr.a4 = inet_addr(PEER);
	u.new_saddr.a4 = inet_addr("198.51.100.7");
	*m = (struct xfrm_world_message){ .h = { .nlmsg_type = XFRM_MSG_MAPPING, .nlmsg_len = NLMSG_LENGTH(sizeof(u)) } };
	memcpy(NLMSG_DATA(&m->h), &u, sizeof(u));
}

static void expect_addr(const struct xesp_addr *a, const char *text)
{
	char got[ADDR_TEXT_MAX];

	CU_ASSERT_STRING_EQUAL(addr_print(a, got), text);
}

static void test_messages(void)
{
	const uint32_t cpu = 3;
	struct xfrm_world_message m;
	struct ears e;
	struct xfrm_heard *h = open_ears(&e);

	CU_ASSERT_PTR_NOT_NULL_FATAL(h);
	acquire_message(&m);
	xfrm_heard_take(h, &m.h, T0);
	CU_ASSERT_EQUAL_FATAL(e.asked_n, 1);
	expect_addr(&e.asked.name.src, LOCAL);
	expect_addr(&e.asked.name.dst, PEER);
	CU_ASSERT(e.asked.name.reqid == 7 && e.asked.name.proto == IPPROTO_ESP && e.asked.mode == XFRM_MODE_TUNNEL);
	CU_ASSERT(e.asked.policy == 81 && e.asked.cpu == XFRM_PCPU_ALL && e.asked.values.mask == XESP_PFP_ALL);
	expect_addr(&e.asked.values.local, "10.1.0.1");
	expect_addr(&e.asked.values.remote, "10.2.0.9");
	CU_ASSERT(e.asked.values.proto == IPPROTO_TCP && ntohs(e.asked.values.local_port) == 40000 &&
		  ntohs(e.asked.values.remote_port) == 22);
	xfrm_world_put(&m, XFRM_ATTR_SA_PCPU, &cpu, sizeof(cpu));
	xfrm_heard_take(h, &m.h, T0);
	CU_ASSERT(e.asked_n == 2 && e.asked.cpu == 3);
	mapping_message(&m);
	xfrm_heard_take(h, &m.h, T0);
	CU_ASSERT_EQUAL_FATAL(e.mapped_n, 1);
	CU_ASSERT(e.mapped.name.spi == 0xc0000001 && e.mapped.name.reqid == 7);
	expect_addr(&e.mapped.name.dst, LOCAL);
	expect_addr(&e.mapped.name.src, PEER);
	expect_addr(&e.mapped.peer, "198.51.100.7");
	CU_ASSERT(ntohs(e.mapped.src_port) == 4500 && ntohs(e.mapped.peer_port) == 32000);
	m.h.nlmsg_type = XFRM_MSG_REPORT;
	xfrm_heard_take(h, &m.h, T0);
	CU_ASSERT(e.asked_n == 2 && e.mapped_n == 1);
	xfrm_heard_close(h);
}

/* Any length: read without a step outside, which ASan watches. */
static void test_cut(void)
{
	struct xfrm_world_message m[2];
	struct ears e;
	struct xfrm_heard *h = open_ears(&e);

	acquire_message(&m[0]);
	mapping_message(&m[1]);
	for (int i = 0; i < 2; i++)
		for (uint32_t len = sizeof(m[i].h); len < m[i].h.nlmsg_len; len++) {
			struct nlmsghdr *cut = malloc(len);

			memcpy(cut, &m[i], len);
			cut->nlmsg_len = len;
			xfrm_heard_take(h, cut, T0);
			free(cut);
		}
	CU_ASSERT(!e.asked_n && !e.mapped_n);
	xfrm_heard_close(h);
}

/* What we ask in the kernel's name comes back from its group, once. */
static void test_own(void)
{
	const uint32_t cpu = 3, other = 4;
	struct xfrm_want w = { .name = { .proto = IPPROTO_ESP, .reqid = 7 }, .mode = XFRM_MODE_TUNNEL, .cpu = 3 };
	struct xfrm_world_message m, of_other;
	struct ears e;
	struct xfrm_heard *h = open_ears(&e);

	addr_parse(&w.name.src, LOCAL, NULL);
	addr_parse(&w.name.dst, PEER, NULL);
	acquire_message(&m);
	of_other = m;
	xfrm_world_put(&m, XFRM_ATTR_SA_PCPU, &cpu, sizeof(cpu));
	xfrm_world_put(&of_other, XFRM_ATTR_SA_PCPU, &other, sizeof(other));
	xfrm_heard_own(h, &w, T0);
	xfrm_heard_take(h, &of_other.h, T0);
	CU_ASSERT_EQUAL(e.asked_n, 1);
	xfrm_heard_take(h, &m.h, T0 + 1);
	CU_ASSERT_EQUAL(e.asked_n, 1);
	xfrm_heard_take(h, &m.h, T0 + 2);
	CU_ASSERT_EQUAL(e.asked_n, 2); /* that is the kernel's own question */
	xfrm_heard_own(h, &w, T0);
	xfrm_heard_take(h, &m.h, T0 + XFRM_HEARD_OWN_MS);
	CU_ASSERT_EQUAL(e.asked_n, 3); /* ours was lost long ago */
	xfrm_heard_close(h);
}

static void test_acquires_are_shown(void)
{
	struct xfrm_state_entry states[] = { xfrm_world_state(LOCAL, PEER, 0x1001, 5) };
	struct xfrm_tables t = { .states_n = 0, .states = states };
	struct xfrm_unserved_list left_out = { 0 };
	struct acquires *a = calloc(1, sizeof(*a));
	struct config *none = xfrm_world_build(&t, &(struct xfrm_model_env){ 0 }, &left_out), *c;
	struct xfrm_world_message m;
	struct json_object *list;
	struct ears e;
	struct xfrm_heard *h = open_ears(&e);
	const struct acquire *shown;

	acquire_message(&m);
	((struct xfrm_user_tmpl *)(m.bytes + m.h.nlmsg_len) - 1)->reqid = states[0].reqid;
	xfrm_heard_take(h, &m.h, T0);
	shown = acquires_note_kernel(a, &e.asked, SECOND);
	CU_ASSERT_PTR_NOT_NULL_FATAL(shown);
	CU_ASSERT_STRING_EQUAL(shown->policy, "out81");
	acquires_note_kernel(a, &e.asked, 3 * SECOND);
	list = acquires_json(a, none, 4 * SECOND);
	CU_ASSERT_PTR_NOT_NULL(strstr(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN),
				      "\"policy\":\"out81\",\"by\":\"kernel\",\"selector\":{\"local\":\"10.1.0.1\",\"remote\":\"10.2.0.9\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN),
				      "\"asked\":2,\"first_s\":3,\"last_s\":1"));
	json_object_put(list);
	/* Its SA is there, under the name that the question had for its tunnel. */
	t.states_n = 1;
	xfrm_unserved_fini(&left_out);
	c = xfrm_world_build(&t, &(struct xfrm_model_env){ 0 }, &left_out);
	CU_ASSERT_STRING_EQUAL(c->sad.tunnels[0].name, shown->tunnel);
	list = acquires_json(a, c, 4 * SECOND);
	CU_ASSERT_EQUAL(json_object_array_length(list), 0);
	json_object_put(list);
	for (uint32_t i = 0; i < ACQUIRES_A_SECOND; i++)
		CU_ASSERT_PTR_NOT_NULL(acquires_note_kernel(a, &e.asked, 9 * SECOND + i));
	CU_ASSERT_PTR_NULL(acquires_note_kernel(a, &e.asked, 9 * SECOND + 999));
	CU_ASSERT_PTR_NOT_NULL(acquires_note_kernel(a, &e.asked, 10 * SECOND));
	config_free(none);
	config_free(c);
	xfrm_unserved_fini(&left_out);
	xfrm_heard_close(h);
	free(a);
}

static void test_moved(void)
{
	static const struct {
		const char *tunnel, *from, *to;
		uint32_t at_ms;
		bool news;
	} rows[] = {
		{ "t", "192.0.2.2 port 1", "192.0.2.2 port 2", 0, true },
		{ "t", "192.0.2.2 port 1", "192.0.2.2 port 2", 5, false },     /* the kernel says so, too */
		{ "t", "192.0.2.2 port 1", "192.0.2.2 port 2", 30000, false }, /* with each packet */
		{ "u", "192.0.2.2 port 1", "192.0.2.2 port 2", 30001, true },
		{ "t", "192.0.2.2 port 1", "192.0.2.2 port 3", 30002, true },
		{ "t", "192.0.2.2 port 1", "192.0.2.2 port 2", 30003, false }, /* from two places in turn: not so often */
		{ "t", "192.0.2.2 port 1", "192.0.2.2 port 3", 31002, true },
		{ "t", "192.0.2.2 port 1", "192.0.2.2 port 3", 31002 + XFRM_MOVED_FORGET_MS, true },
	};
	struct tunnel t = { .name = "t", .natt = { .encap = XESP_ENCAP_UDP, .remote_port = htons(1) } };
	struct sad sad = { .tunnels_n = 1, .tunnels = &t };
	struct xfrm_moved *m = calloc(1, sizeof(*m));
	struct json_object *list = json_object_new_array();
	char name[XESP_NAME_MAX];

	addr_parse(&t.remote, "192.0.2.2", NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_EQUAL(xfrm_moved_note(m, rows[i].tunnel, rows[i].from, rows[i].to, T0 + rows[i].at_ms), rows[i].news);
	xfrm_moved_show(m, &sad, T0 + 31003 + XFRM_MOVED_FORGET_MS, list); /* "u" is forgotten */
	CU_ASSERT_STRING_EQUAL(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN),
			       "[{\"tunnel\":\"t\",\"remote\":\"192.0.2.2 port 1\",\"peer\":\"192.0.2.2 port 3\"}]");
	json_object_put(list);
	t.natt.remote_port = htons(3); /* the IKE daemon has updated it */
	list = json_object_new_array();
	xfrm_moved_show(m, &sad, T0 + 31003 + XFRM_MOVED_FORGET_MS, list);
	CU_ASSERT_EQUAL(json_object_array_length(list), 0);
	json_object_put(list);
	for (int i = 0; i < 2 * XFRM_MOVED_MAX; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		CU_ASSERT_TRUE(xfrm_moved_note(m, name, "a", "b", T0));
	}
	CU_ASSERT(m->n == XFRM_MOVED_MAX && !strcmp(m->peer[0].tunnel, "n64"));
	free(m);
}

CU_TestInfo xfrm_heard_tests[] = {
	{ "messages as the kernel makes them", test_messages },
	{ "messages cut off anywhere", test_cut },
	{ "our own questions are not the kernel's", test_own },
	{ "what the kernel asks for is shown", test_acquires_are_shown },
	{ "a peer that moved is told once", test_moved },
	CU_TEST_INFO_NULL,
};
