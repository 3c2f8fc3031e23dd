/* SPDX-License-Identifier: BSD-2-Clause */
/* Longest prefix match against a list searched from end to end, and which of equal routes wins. */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fib/route.h"
#include "libxesp/addr.h"

#define SEED   0x1234567890abcdefull
#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The spaces of these tests: as the default rules give them. */
enum { ROUTE_SPACE_4, ROUTE_SPACE_6_LOCAL, ROUTE_SPACE_6 };

static void begin(struct route_list *l)
{
	route_list_init(l);
	CU_ASSERT_EQUAL_FATAL(route_list_add_space(l, (struct route_space){ .ip4 = 1 }), ROUTE_SPACE_4);
	CU_ASSERT_EQUAL_FATAL(route_list_add_space(l, (struct route_space){ .ip4 = 0 }),
			      ROUTE_SPACE_6_LOCAL);
	CU_ASSERT_EQUAL_FATAL(route_list_add_space(l, (struct route_space){ .ip4 = 0 }), ROUTE_SPACE_6);
}

struct row {
	const char *prefix;
	uint8_t kind, order;
	uint32_t metric;
	uint8_t preference;
	uint32_t ifindex; /* what tells the routes apart */
};

static void add(struct route_list *l, const struct row *row)
{
	struct route_target t = { .ifindex = row->ifindex };
	struct route r = { .kind = row->kind,
			   .order = row->order,
			   .metric = row->metric,
			   .preference = row->preference };
	uint32_t weight = 1;

	CU_ASSERT_EQUAL_FATAL(addr_parse_prefix(&r.prefix, &r.len, row->prefix, NULL), 0);
	r.space = ROUTE_SPACE_6;
	if (addr_is_ip4(&r.prefix) && !strchr(row->prefix, ':'))
		r.space = ROUTE_SPACE_4;
	else if (row->order == 0)
		r.space = ROUTE_SPACE_6_LOCAL;
	CU_ASSERT_EQUAL_FATAL(route_list_add(l, &r, &t, &weight, r.kind == ROUTE_FORWARD), 0);
}

/* 0: no route; 1000 + kind: a route that has no target; else the target's ifindex. */
static uint32_t ask(const struct route_table *t, const char *dst)
{
	const struct route_target *targets;
	const struct route *r;
	struct xesp_addr a;
	uint32_t n;

	CU_ASSERT_EQUAL_FATAL(addr_parse(&a, dst, NULL), 0);
	r = route_table_lookup(t, &a, false);
	targets = route_table_targets(t, &n);
	if (!r)
		return 0;
	return r->kind == ROUTE_FORWARD ? targets[route_table_pick(t, r, &a)].ifindex
					: 1000u + r->kind;
}

static const struct row table[] = {
	{ "0.0.0.0/0", ROUTE_FORWARD, 1, 100, 1, 1 },
	{ "0.0.0.0/0", ROUTE_FORWARD, 1, 50, 1, 2 },
	{ "10.0.0.0/8", ROUTE_FORWARD, 1, 0, 1, 3 },
	{ "10.1.0.0/16", ROUTE_NONE, 1, 4000000000, 1, 0 },
	{ "10.1.0.0/16", ROUTE_FORWARD, 1, 100, 1, 4 },
	{ "10.2.0.0/16", ROUTE_NONE, 1, 4000000000, 1, 0 },
	{ "10.1.2.0/24", ROUTE_NONE, 1, 0, 1, 0 },
	{ "10.1.2.1/32", ROUTE_FORWARD, 1, 0, 1, 5 },
	{ "10.1.2.1/32", ROUTE_LOCAL, 0, 0, 1, 0 },
	{ "10.3.0.0/16", ROUTE_FORWARD, 1, 0, 1, 6 },
	{ "10.3.0.0/16", ROUTE_SLOW, 1, 500, 1, 0 },
	{ "10.4.0.0/16", ROUTE_FORWARD, 1, 7, 1, 7 },
	{ "10.4.0.0/16", ROUTE_FORWARD, 1, 7, 1, 8 },
	{ "::/0", ROUTE_FORWARD, 1, 1024, 2, 10 },
	{ "::/0", ROUTE_FORWARD, 1, 1024, 0, 11 },
	{ "2001:db8::/32", ROUTE_FORWARD, 1, 0, 1, 12 },
	{ "2001:db8::1/128", ROUTE_LOCAL, 0, 0, 1, 0 },
	{ "2001:db8:8000::/33", ROUTE_LOCAL, 0, 0, 1, 0 },
	{ "2001:db8:8000::/48", ROUTE_FORWARD, 1, 0, 1, 13 },
};

static const struct {
	const char *what, *dst;
	uint32_t answer;
} answers[] = {
	{ "the lower metric of two defaults", "192.0.2.1", 2 },
	{ "longer than the default", "10.200.0.1", 3 },
	{ "the first address of a prefix", "10.0.0.0", 3 },
	{ "the last address of a prefix", "10.255.255.255", 3 },
	{ "the first behind a prefix", "11.0.0.0", 2 },
	{ "unreachable with a high metric loses", "10.1.0.1", 4 },
	{ "unreachable alone holds", "10.2.0.1", 1000 + ROUTE_NONE },
	{ "blackhole inside a route", "10.1.2.9", 1000 + ROUTE_NONE },
	{ "table local before main", "10.1.2.1", 1000 + ROUTE_LOCAL },
	{ "a TOS route leaves its prefix to the kernel", "10.3.0.1", 1000 + ROUTE_SLOW },
	{ "the first of equals", "10.4.0.1", 7 },
	{ "the preferred default router", "2001:db9::1", 11 },
	{ "IPv6 prefix", "2001:db8::2", 12 },
	{ "IPv6 address of this machine", "2001:db8::1", 1000 + ROUTE_LOCAL },
	{ "IPv6 table local wins though main is longer", "2001:db8:8000::5", 1000 + ROUTE_LOCAL },
};

static void answers_of_a_table(void)
{
	struct route_list l;
	struct route_table *t;

	begin(&l);
	for (size_t i = 0; i < LEN(table); i++)
		add(&l, &table[i]);
	t = route_table_build(&l, SEED);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	for (size_t i = 0; i < LEN(answers); i++) {
		uint32_t got = ask(t, answers[i].dst);

		if (got != answers[i].answer)
			fprintf(stderr, "%s: %s -> %u, expected %u\n", answers[i].what,
				answers[i].dst, got, answers[i].answer);
		CU_ASSERT_EQUAL(got, answers[i].answer);
	}
	route_table_free(t);
	route_list_fini(&l);
}

static void empty_table(void)
{
	struct route_list l;
	struct route_table *t;

	begin(&l);
	t = route_table_build(&l, SEED);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT_EQUAL(ask(t, "10.0.0.1"), 0);
	CU_ASSERT_EQUAL(ask(t, "2001:db8::1"), 0);
	route_table_free(t);
	route_list_fini(&l);
}

static bool covers(const struct route *r, const struct xesp_addr *dst)
{
	struct xesp_addr first, last;

	addr_range(&r->prefix, r->len, &first, &last);
	return addr_cmp(&first, dst) <= 0 && addr_cmp(dst, &last) <= 0;
}

/* The definition, slowly: the longest covering route, then the lowest metric, then the first. */
static uint32_t oracle(const struct route_list *l, const struct xesp_addr *dst)
{
	const struct route *best = NULL;

	for (size_t i = 0; i < l->routes_n; i++) {
		const struct route *r = &l->routes[i];

		if ((r->space == ROUTE_SPACE_4) != addr_is_ip4(dst) || !covers(r, dst))
			continue;
		if (!best || r->len > best->len ||
		    (r->len == best->len && r->metric < best->metric))
			best = r;
	}
	return best ? l->targets[best->target].ifindex : 0;
}

/* Addresses from a small set, so that prefixes nest and collide. */
static void random_addr(struct xesp_addr *a, bool ip4, unsigned int *seed)
{
	uint8_t b[16];

	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(rand_r(seed) % 3 ? 0 : rand_r(seed) % 4 * 85);
	if (ip4)
		addr_from_ip4(a, b);
	else
		addr_from_ip6(a, b);
	if (!ip4)
		a->w[0] |= htonl(0x20000000); /* never a mapped one by chance */
}

static void add_random(struct route_list *l, uint32_t ifindex, unsigned int *seed)
{
	struct route_target t = { .ifindex = ifindex };
	struct route r = { .kind = ROUTE_FORWARD, .order = 1 };
	bool ip4 = rand_r(seed) % 2;
	uint32_t weight = 1;

	random_addr(&r.prefix, ip4, seed);
	r.len = (uint8_t)(ip4 ? 96 + rand_r(seed) % 33 : 3 + rand_r(seed) % 126);
	r.space = ip4 ? ROUTE_SPACE_4 : ROUTE_SPACE_6;
	r.metric = (uint32_t)rand_r(seed) % 3;
	CU_ASSERT_EQUAL_FATAL(route_list_add(l, &r, &t, &weight, 1), 0);
}

static void random_tables(void)
{
	unsigned int seed = 20260724, wrong = 0, found = 0;

	for (int round = 0; round < 60; round++) {
		struct route_list l;
		struct route_table *t;
		const struct route_target *targets;
		uint32_t n;

		begin(&l);
		for (uint32_t i = 0; i < 1u + (uint32_t)round * 8; i++)
			add_random(&l, i + 1, &seed);
		t = route_table_build(&l, seed);
		CU_ASSERT_PTR_NOT_NULL_FATAL(t);
		targets = route_table_targets(t, &n);
		for (int i = 0; i < 500; i++) {
			struct xesp_addr dst;
			const struct route *r;
			uint32_t want, got;

			random_addr(&dst, rand_r(&seed) % 2, &seed);
			want = oracle(&l, &dst);
			r = route_table_lookup(t, &dst, false);
			got = r ? targets[r->target].ifindex : 0;
			wrong += got != want;
			found += got != 0;
		}
		route_table_free(t);
		route_list_fini(&l);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(found > 10000); /* else the addresses miss the prefixes and nothing was tested */
}

static void multipath_by_weight(void)
{
	struct route_target hops[] = { { .ifindex = 1 }, { .ifindex = 2 }, { .ifindex = 3 } };
	uint32_t weights[] = { 1, 0, 3 }, hit[4] = { 0 };
	const struct route_target *targets;
	struct route r = { .kind = ROUTE_FORWARD, .space = ROUTE_SPACE_4, .order = 1 };
	struct route_list l;
	struct route_table *t;
	uint32_t n;

	begin(&l);
	CU_ASSERT_EQUAL_FATAL(addr_parse_prefix(&r.prefix, &r.len, "10.0.0.0/8", NULL), 0);
	CU_ASSERT_EQUAL_FATAL(route_list_add(&l, &r, hops, weights, 3), 0);
	t = route_table_build(&l, SEED);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	targets = route_table_targets(t, &n);
	CU_ASSERT_EQUAL(n, 3);
	for (uint32_t i = 0; i < 4000; i++) {
		__be32 ip = htonl(0x0a000000 + i);
		const struct route *got;
		struct xesp_addr dst;
		uint32_t pick;

		addr_from_ip4(&dst, &ip);
		got = route_table_lookup(t, &dst, false);
		CU_ASSERT_PTR_NOT_NULL_FATAL(got);
		pick = route_table_pick(t, got, &dst);
		CU_ASSERT_EQUAL(pick, route_table_pick(t, got, &dst));
		hit[targets[pick].ifindex]++;
	}
	CU_ASSERT(hit[1] > 850 && hit[1] < 1150);
	CU_ASSERT_EQUAL(hit[2], 0);
	CU_ASSERT_EQUAL(hit[1] + hit[3], 4000);
	route_table_free(t);
	route_list_fini(&l);
}

static void shared_targets(void)
{
	struct route_target t = { .ifindex = 7 };
	struct route r = { .kind = ROUTE_FORWARD, .space = ROUTE_SPACE_4, .len = 128 };
	struct route_list l;
	uint32_t weight = 1;

	begin(&l);
	for (uint32_t i = 0; i < 1000; i++) {
		r.prefix.w[2] = htonl(0xffff);
		r.prefix.w[3] = htonl(i);
		CU_ASSERT_EQUAL_FATAL(route_list_add(&l, &r, &t, &weight, 1), 0);
	}
	CU_ASSERT_EQUAL(l.routes_n, 1000);
	CU_ASSERT_EQUAL(l.targets_n, 1);
	route_list_fini(&l);
}

CU_TestInfo route_tests[] = {
	{ "the kernel's order among routes", answers_of_a_table },
	{ "an empty table knows nothing", empty_table },
	{ "random tables agree with a list searched from end to end", random_tables },
	{ "multipath goes by weight and stays", multipath_by_weight },
	{ "equal next hops are kept once", shared_targets },
	CU_TEST_INFO_NULL,
};
