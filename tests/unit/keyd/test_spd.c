/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_spd.c - the classifier gives the answer of the ordered list: random policies and packets, and
 * rules by themselves. The search is the one that XDP and xespd run.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libxesp/addr.h"
#include "tests/spd/list.h"
#include "tests/unit/keyd/spd_world.h"
#include "xesp/fault.h"

/* The SPD of random policies; how many packets the two ways disagree about. */
static int compare_once(uint32_t policies, int packets, bool *refused)
{
	struct raw_policy *raws = calloc(policies + 1, sizeof(*raws));
	struct spd_world w;
	struct spd *spd;
	int wrong = 0;

	for (uint32_t i = 0; i < policies; i++)
		spd_world_random_policy(&raws[i], i);
	spd_world_open(&w);
	spd = spd_world_make(raws, policies);
	*refused = spd_check(spd, NULL) != 0;
	/* Refused by the census, refused by the table. */
	CU_ASSERT_EQUAL(spd_world_change(&w, spd, NULL) != 0, *refused);
	for (int i = 0; i < packets && !*refused; i++) {
		struct spd_query k;

		spd_world_random_packet(&k);
		wrong += !spd_world_agrees(&w.memory, &k, w.now);
	}
	spd_world_close(&w);
	for (uint32_t i = 0; i < policies; i++)
		spd_world_free_policy(&raws[i]);
	free(raws);
	return wrong;
}

static void test_random_policies(void)
{
	int wrong = 0, compared = 0;

	srandom(4301);
	for (int round = 0; round < 300; round++) {
		bool refused;

		wrong += compare_once(1 + spd_world_random(14), 400, &refused);
		compared += !refused;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(compared > 200); /* the others need more than XESP_TUPLES_MAX tuples */
}

/* ---- rules by themselves */

#define LOCAL(list_) .local = list_, .local_count = 1
#define REMOTE_PORTS(list_) .protocol = "tcp", .remote_ports = list_, .remote_ports_count = 1

static struct spd_query tcp_packet(uint8_t fields)
{
	struct spd_query k = { .proto = 6, .family = 4, .fields = fields, .remote_port = htons(80) };

	addr_parse(&k.local, "10.1.0.1", NULL);
	addr_parse(&k.remote, "10.0.0.2", NULL);
	return k;
}

static void begin(struct spd_world *w, struct raw_policy *raws, uint32_t n)
{
	spd_world_open(w);
	CU_ASSERT_EQUAL_FATAL(spd_world_change(w, spd_world_make(raws, n), NULL), 0);
}

static uint32_t tuples_n(const struct spd_world *w, enum xesp_dir dir)
{
	return w->memory.head[w->memory.conf->generation & 1].tuples_n[dir];
}

static const struct xesp_spd_tuple *tuple_at(const struct spd_world *w, enum xesp_dir dir, uint32_t i)
{
	uint32_t half = w->memory.conf->generation & 1;

	return &w->memory.tuples[(half * XESP_DIR_MAX + dir) * XESP_TUPLES_MAX + i];
}

static void test_equal_keys_keep_the_first(void)
{
	static char *net[] = { "10.1.0.0/24" };
	struct raw_policy raw[] = { { .name = "a", .action = RAW_ACTION_BYPASS, LOCAL(net) },
				    { .name = "b", .action = RAW_ACTION_DISCARD, LOCAL(net) } };
	struct spd_query k = tcp_packet(XESP_FIELDS_KNOWN);
	struct xesp_spd_val v;
	struct spd_world w;
	uint32_t g;

	begin(&w, raw, 2);
	CU_ASSERT_EQUAL(spd_table_used(w.table), 2); /* one a direction */
	CU_ASSERT_EQUAL(spd_memory_find(&w.memory, &k, &v, &g), XESP_DROP_NONE);
	CU_ASSERT(v.action == XESP_ACTION_BYPASS && v.policy == w.now->ids[0]);
	/* The first goes: the other had the key all along. */
	CU_ASSERT_EQUAL(spd_world_change(&w, spd_world_make(&raw[1], 1), NULL), 0);
	CU_ASSERT_EQUAL(spd_table_used(w.table), 2);
	CU_ASSERT_EQUAL(spd_memory_find(&w.memory, &k, &v, &g), XESP_DROP_NONE);
	CU_ASSERT(v.action == XESP_ACTION_DISCARD && v.policy == w.now->ids[0]);
	spd_world_close(&w);
}

static void test_tuples_are_in_order_of_rank(void)
{
	static char *nets[] = { "10.1.0.0/24", "10.0.0.0/8", "10.1.0.0/16" };
	struct raw_policy raw[] = {
		{ .name = "a", .action = RAW_ACTION_BYPASS, LOCAL(&nets[0]),
		  .direction = RAW_DIRECTION_IN },
		{ .name = "b", .action = RAW_ACTION_PROTECT, .tunnel = "t", LOCAL(&nets[1]) },
		{ .name = "c", .action = RAW_ACTION_DISCARD, LOCAL(&nets[2]),
		  .direction = RAW_DIRECTION_OUT },
	};
	const uint32_t *ranks;
	struct spd_world w;

	begin(&w, raw, 3);
	ranks = w.now->ranks;
	CU_ASSERT_EQUAL(tuples_n(&w, XESP_DIR_OUT), 2);
	CU_ASSERT_EQUAL(tuples_n(&w, XESP_DIR_IN), 2);
	CU_ASSERT_EQUAL(tuple_at(&w, XESP_DIR_OUT, 0)->best_rank, ranks[1]);
	CU_ASSERT_EQUAL(tuple_at(&w, XESP_DIR_OUT, 1)->best_rank, ranks[2]);
	CU_ASSERT_EQUAL(tuple_at(&w, XESP_DIR_IN, 0)->best_rank, ranks[0]);
	CU_ASSERT_EQUAL(tuple_at(&w, XESP_DIR_IN, 1)->best_rank, ranks[1]);
	CU_ASSERT_EQUAL(w.memory.rules[w.now->ids[1]].val[0].tunnel, SPD_WORLD_TUNNEL);
	spd_world_close(&w);
}

static void test_ports_and_fragments(void)
{
	static char *ports[] = { "80" }, *all[] = { "0-65535" }, *opaque[] = { "opaque" };
	struct raw_policy raw[] = {
		{ .name = "a", .action = RAW_ACTION_BYPASS, REMOTE_PORTS(ports) },
		{ .name = "o", .action = RAW_ACTION_DISCARD, REMOTE_PORTS(opaque) },
		{ .name = "b", .action = RAW_ACTION_DISCARD, REMOTE_PORTS(all) },
	};
	struct spd_query known = tcp_packet(XESP_FIELDS_KNOWN), later = tcp_packet(XESP_FIELDS_LATER);
	struct xesp_spd_val v;
	struct spd_world w;
	uint32_t g;

	begin(&w, raw, 3);
	CU_ASSERT_EQUAL(spd_memory_find(&w.memory, &known, &v, &g), XESP_DROP_NONE);
	CU_ASSERT(v.policy == w.now->ids[0] && v.action == XESP_ACTION_BYPASS);
	/* Not the opaque one: the policy before it may be meant. */
	CU_ASSERT_EQUAL(spd_memory_find(&w.memory, &later, &v, &g), XESP_DROP_NONE);
	CU_ASSERT(v.policy == w.now->ids[0] && v.action == XESP_ACTION_FRAGMENT);
	CU_ASSERT_EQUAL(w.memory.head[1].fragments, 3);
	/* The opaque one first: then it is. */
	{
		struct raw_policy turned[] = { raw[1], raw[0], raw[2] };

		CU_ASSERT_EQUAL(spd_world_change(&w, spd_world_make(turned, 3), NULL), 0);
	}
	CU_ASSERT_EQUAL(spd_memory_find(&w.memory, &later, &v, &g), XESP_DROP_NONE);
	CU_ASSERT(v.policy == w.now->ids[0] && v.action == XESP_ACTION_DISCARD);
	/* All ports is any port: of nothing that is left must a fragment be in doubt in IPv4. */
	CU_ASSERT_EQUAL(spd_world_change(&w, spd_world_make(&raw[2], 1), NULL), 0);
	CU_ASSERT_EQUAL(spd_memory_find(&w.memory, &later, &v, &g), XESP_DROP_NONE);
	CU_ASSERT(v.policy == w.now->ids[0] && v.action == XESP_ACTION_DISCARD);
	spd_world_close(&w);
}

static void test_too_many_tuples(void)
{
	static char *all[] = { "1-65534" }, *net[] = { "10.1.0.0/24" };
	struct raw_policy raw[] = {
		{ .name = "a", .action = RAW_ACTION_BYPASS, .protocol = "tcp", .local_ports = all,
		  .local_ports_count = 1, .remote_ports = all, .remote_ports_count = 1, LOCAL(net) },
		{ .name = "b", .action = RAW_ACTION_BYPASS },
	};
	struct fault f = { "" };
	struct spd *spd;
	struct spd_world w;

	begin(&w, raw, 2); /* 15 masks a side: 225 tuples, one of shadows, one of "b" */
	CU_ASSERT_EQUAL(tuples_n(&w, XESP_DIR_OUT), 227);
	all[0] = "1-65535"; /* 16 masks a side: 256 */
	spd = spd_world_make(raw, 2);
	CU_ASSERT_EQUAL(spd_check(spd, &f), -E2BIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "policies[0] 'a' is too much"));
	CU_ASSERT_EQUAL(spd_world_change(&w, spd, &f), -E2BIG);
	CU_ASSERT_EQUAL(w.memory.conf->generation, 1);
	/* What failed is mended by the next. */
	all[0] = "80";
	CU_ASSERT_EQUAL(spd_world_change(&w, spd_world_make(raw, 2), &f), 0);
	CU_ASSERT_EQUAL(tuples_n(&w, XESP_DIR_OUT), 3);
	CU_ASSERT_EQUAL(spd_table_used(w.table), 6);
	all[0] = "1-65534";
	spd_world_close(&w);
}

static void test_too_many_entries(void)
{
	static char *list[300];
	static char text[300][24];
	struct raw_policy raw = { .name = "a", .action = RAW_ACTION_BYPASS, .remote = list };
	struct fault f = { "" };
	struct spd_world w = { .next_id = 1 };

	for (int i = 0; i < 300; i++) {
		snprintf(text[i], sizeof(text[i]), "10.%d.%d.0/24", i >> 8, i & 255);
		list[i] = text[i];
	}
	list_memory_open(&w.memory, 256, 16);
	CU_ASSERT_EQUAL_FATAL(spd_table_open(&w.table, &w.memory, NULL), 0);
	raw.remote_count = 127;
	CU_ASSERT_EQUAL(spd_world_change(&w, spd_world_make(&raw, 1), &f), 0);
	CU_ASSERT_EQUAL(spd_table_used(w.table), 254);
	raw.remote_count = 128;
	CU_ASSERT_EQUAL(spd_world_change(&w, spd_world_make(&raw, 1), &f), -E2BIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "--max-policies"));
	CU_ASSERT_EQUAL(w.memory.conf->generation, 1);
	raw.remote_count = 1;
	CU_ASSERT_EQUAL(spd_world_change(&w, spd_world_make(&raw, 1), &f), 0);
	CU_ASSERT_EQUAL(spd_table_used(w.table), 2);
	spd_world_close(&w);
}

static void test_the_end_of_generations(void)
{
	static char *net[] = { "10.1.0.0/24" };
	struct raw_policy raw[] = { { .name = "a", .action = RAW_ACTION_BYPASS, LOCAL(net) },
				    { .name = "b", .action = RAW_ACTION_DISCARD } };
	struct spd_query k = tcp_packet(XESP_FIELDS_KNOWN);
	struct xesp_spd_val v;
	struct spd_world w;
	uint32_t g;

	begin(&w, raw, 2);
	/* As if so many had been committed. */
	w.memory.conf->generation = UINT32_MAX;
	w.memory.head[1].generation = UINT32_MAX;
	for (uint32_t dir = 0; dir < XESP_DIR_MAX; dir++)
		for (uint32_t i = 0; i < 2; i++)
			w.memory.tuples[(XESP_DIR_MAX + dir) * XESP_TUPLES_MAX + i].generation =
				UINT32_MAX;
	CU_ASSERT_EQUAL(spd_memory_find(&w.memory, &k, &v, &g), XESP_DROP_NONE);
	for (uint32_t round = 0; round < 4; round++) {
		uint32_t first = round & 1;

		CU_ASSERT_EQUAL(spd_world_change(&w, spd_world_make(&raw[first], 2 - first), NULL), 0);
		CU_ASSERT_EQUAL(w.memory.conf->generation, 2 + round);
		CU_ASSERT_EQUAL(spd_memory_find(&w.memory, &k, &v, &g), XESP_DROP_NONE);
		CU_ASSERT_EQUAL(v.policy, w.now->ids[0]);
	}
	spd_world_close(&w);
}

CU_TestInfo spd_tests[] = {
	{ "random policies: the classifier says what the list says", test_random_policies },
	{ "of equal keys the first policy's counts, and then the next one's",
	  test_equal_keys_keep_the_first },
	{ "tuples are in order of their best rank, per direction", test_tuples_are_in_order_of_rank },
	{ "ports, opaque ports and later fragments", test_ports_and_fragments },
	{ "more mask combinations than fit are refused", test_too_many_tuples },
	{ "more entries than fit are refused", test_too_many_entries },
	{ "behind the last generation they begin anew", test_the_end_of_generations },
	CU_TEST_INFO_NULL,
};
