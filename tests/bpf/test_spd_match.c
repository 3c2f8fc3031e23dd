/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SPD as bpf/spd_match.h searches it: exact first match (RFC 4301 section 4.4.1), and what
 * happens while, and when, the maps are of another generation.
 */
#include <CUnit/Basic.h>
#include <bpf/bpf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "gateway.h"
#include "libxesp/addr.h"

#define GEN GATEWAY_GENERATION
#define DISCARD(id_, ...) { .id = id_, .action = XESP_ACTION_DISCARD, __VA_ARGS__ }
#define BYPASS(id_, ...) { .id = id_, .action = XESP_ACTION_BYPASS, __VA_ARGS__ }
#define FIRST_MAX 6
#define UNCOUNTED 100 /* ids of policies without counters start here */

/* A TCP packet 10.1.0.5:1000 -> 10.2.0.9:80 meets these policies in this order. */
static const struct {
	const char *what;
	struct gateway_policy policy[FIRST_MAX];
	uint32_t match; /* its id; 0 none */
} cases[] = {
	{ "wide before narrow", { DISCARD(1, .remote = "10.0.0.0/8"),
				  BYPASS(2, .remote = "10.2.0.0/16") }, 1 },
	{ "narrow before wide", { BYPASS(2, .remote = "10.2.0.0/16"),
				  DISCARD(1, .remote = "10.0.0.0/8") }, 2 },
	{ "the same selectors twice", { BYPASS(3, .local = "10.1.0.0/16"),
					DISCARD(4, .local = "10.1.0.0/16") }, 3 },
	{ "the same selectors twice, swapped", { DISCARD(4, .local = "10.1.0.0/16"),
						 BYPASS(3, .local = "10.1.0.0/16") }, 4 },
	{ "any before all", { DISCARD(1), BYPASS(2, .local = "10.1.0.5", .remote = "10.2.0.9",
						 .proto = 6, .remote_port = 80) }, 1 },
	{ "all before any", { BYPASS(2, .local = "10.1.0.5", .remote = "10.2.0.9", .proto = 6,
				     .remote_port = 80), DISCARD(1) }, 2 },
	{ "a shared tuple's later entry against one between",
	  { DISCARD(1, .remote = "10.9.0.0/16"), BYPASS(2, .remote = "10.0.0.0/8"),
	    DISCARD(3, .remote = "10.2.0.0/16") }, 2 },
	{ "two shared tuples: what follows the match is no better",
	  { DISCARD(1, .remote = "10.9.0.0/16"), DISCARD(2, .remote = "11.0.0.0/8"),
	    BYPASS(3, .remote = "10.2.0.0/16"), DISCARD(4, .remote = "10.0.0.0/8") }, 3 },
	{ "three overlap, the middle one first",
	  { BYPASS(1, .remote = "10.3.0.0/16"), DISCARD(2, .remote = "10.2.0.0/24"),
	    BYPASS(3, .remote = "10.2.0.0/16"), DISCARD(4) }, 2 },
	{ "another local net", { DISCARD(1, .local = "10.9.0.0/16"), BYPASS(2) }, 2 },
	{ "another protocol", { DISCARD(1, .proto = 17), BYPASS(2) }, 2 },
	{ "another local port", { DISCARD(1, .proto = 6, .local_port = 1001), BYPASS(2) }, 2 },
	{ "local port", { DISCARD(1, .proto = 6, .local_port = 1000), BYPASS(2) }, 1 },
	{ "remote port", { DISCARD(1, .proto = 6, .remote_port = 80), BYPASS(2) }, 1 },
	{ "inbound policies do not count outbound", { DISCARD(1, .in_only = true), BYPASS(2) },
	  2 },
	{ "the other family", { DISCARD(1, .local = "::/0"), BYPASS(2) }, 2 },
	{ "all of IPv4", { DISCARD(1, .local = "0.0.0.0/0"), BYPASS(2) }, 1 },
	{ "full length", { DISCARD(1, .local = "10.1.0.5/32"), BYPASS(2) }, 1 },
	{ "full length, one off", { DISCARD(1, .local = "10.1.0.4/32"), BYPASS(2) }, 2 },
	{ "a /31 ends in the last bit but one", { DISCARD(1, .local = "10.1.0.4/31"), BYPASS(2) },
	  1 },
	{ "none of many", { DISCARD(1, .local = "10.3.0.0/16"), BYPASS(2, .remote = "::/0"),
			    DISCARD(3, .proto = 1) }, 0 },
	{ "no policy at all", { { 0 } }, 0 },
};

static const struct frame_spec web = { .src = "10.1.0.5", .dst = "10.2.0.9", .proto = 6,
				       .sport = 1000, .dport = 80 };

static void first_match(void)
{
	struct gateway g;
	struct frame f;

	gateway_open(&g, "xdp_inner");
	frame_build(&f, &web);
	for (uint32_t i = 0; i < LEN(cases); i++) {
		struct expect e = { XDP_DROP, XESP_DROP_NO_POLICY, cases[i].match };
		unsigned int n = 0;

		for (; n < FIRST_MAX && cases[i].policy[n].id; n++) {
			if (cases[i].policy[n].id != cases[i].match)
				continue;
			e.why = XESP_DROP_DISCARD;
			if (cases[i].policy[n].action == XESP_ACTION_BYPASS)
				e.verdict = XDP_PASS;
		}
		gateway_policies(&g, GEN + i, cases[i].policy, n, XESP_ACTION_DISCARD);
		CU_ASSERT_TRUE(gateway_expect(&g, cases[i].what, &f, f.len, &e));
	}
	gateway_close(&g);
}

/* Ports 0 to 1023, as keyd writes them: unknown ports must not pass for port 0. */
static const struct {
	const char *what;
	struct frame_spec frame;
	uint32_t match;
} range_cases[] = {
	{ "port 0", { .proto = 17, .dport = 0 }, 1 },
	{ "port 1023", { .proto = 17, .dport = 1023 }, 1 },
	{ "port 1024", { .proto = 17, .dport = 1024 }, 2 },
	{ "first fragment", { .proto = 17, .dport = 80, .fragment = FIRST }, 1 },
	{ "later fragment of it", { .proto = 17, .dport = 80, .fragment = LAST }, 1 },
	{ "ICMP", { .proto = 1 }, 2 },
	{ "GRE", { .proto = 47 }, 2 },
};

static void port_range(void)
{
	static const struct gateway_policy policy[] = { DISCARD(1, .proto = 17, .has_remote = true,
							       .remote_port_last = 1023),
							BYPASS(2) };
	static const struct expect match[] = { [1] = { XDP_DROP, XESP_DROP_DISCARD, 1 },
					       [2] = { XDP_PASS, 0, 2 } };
	struct gateway g;
	struct frame f;

	gateway_open(&g, "xdp_inner");
	gateway_policies(&g, GEN, policy, LEN(policy), XESP_ACTION_DISCARD);
	for (size_t i = 0; i < LEN(range_cases); i++) {
		struct frame_spec s = range_cases[i].frame;

		s.src = "10.1.0.5";
		s.dst = "10.2.0.9";
		frame_build(&f, &s);
		CU_ASSERT_TRUE(gateway_expect(&g, range_cases[i].what, &f, f.len,
					      &match[range_cases[i].match]));
	}
	gateway_close(&g);
}

/*
 * Fills policy[0..255] with 10.128.0.0/9 to /24 on both sides: 256 combinations of masks, in none
 * of which the packet above is.
 */
static void fill_tuples(struct gateway_policy policy[XESP_TUPLES_MAX])
{
	static char text[XESP_TUPLES_MAX][2][ADDR_TEXT_MAX];

	for (unsigned int i = 0; i < XESP_TUPLES_MAX; i++) {
		snprintf(text[i][0], ADDR_TEXT_MAX, "10.128.0.0/%u", 9 + i / 16);
		snprintf(text[i][1], ADDR_TEXT_MAX, "10.128.0.0/%u", 9 + i % 16);
		policy[i] = (struct gateway_policy)BYPASS(UNCOUNTED + i, .local = text[i][0],
							  .remote = text[i][1]);
	}
}

static void all_tuples(void)
{
	static const struct expect last = { XDP_DROP, XESP_DROP_DISCARD, 9 },
				   none = { XDP_DROP, XESP_DROP_NO_POLICY, 0 };
	struct gateway_policy policy[XESP_TUPLES_MAX];
	struct gateway g;
	struct frame f;

	gateway_open(&g, "xdp_inner");
	frame_build(&f, &web);
	fill_tuples(policy);
	gateway_policies(&g, GEN, policy, LEN(policy), XESP_ACTION_DISCARD);
	CU_ASSERT_TRUE(gateway_expect(&g, "256 tuples, none matches", &f, f.len, &none));
	policy[XESP_TUPLES_MAX - 1] = (struct gateway_policy)DISCARD(9, .remote = "10.2.0.9/32");
	gateway_policies(&g, GEN + 1, policy, LEN(policy), XESP_ACTION_DISCARD);
	CU_ASSERT_TRUE(gateway_expect(&g, "the last of 256", &f, f.len, &last));
	gateway_close(&g);
}

static const struct gateway_policy two[] = {
	DISCARD(1, .local = "10.1.0.0/16", .remote = "10.2.0.0/16"),
	BYPASS(2),
};

/* As a first fragment, of which no answer is kept by flow: each one is searched for. */
static const struct frame_spec searched = { .src = "10.1.0.5", .dst = "10.2.0.9", .proto = 6,
					    .sport = 1000, .dport = 80, .fragment = FIRST };

static void update(struct gateway *g, enum pins_map map, uint32_t index, const void *value)
{
	CU_ASSERT_EQUAL_FATAL(bpf_map_update_elem(g->map[map], &index, value, BPF_ANY), 0);
}

/* An answer is kept by flow, and a commit empties that memory. */
static void flows(void)
{
	static const struct expect good = { XDP_DROP, XESP_DROP_DISCARD, 1 },
				   other = { XDP_PASS, 0, 2 };
	struct frame_spec spec = web;
	struct gateway g;
	struct frame f;

	gateway_open(&g, "xdp_inner");
	gateway_policies(&g, GEN, two, LEN(two), XESP_ACTION_DISCARD);
	frame_build(&f, &web);
	CU_ASSERT_TRUE(gateway_expect(&g, "the first of a flow", &f, f.len, &good));
	g.spd.head[GEN & 1].generation = GEN - 2; /* who searches finds out */
	CU_ASSERT_TRUE(gateway_expect(&g, "the next of it", &f, f.len, &good));
	g.spd.head[GEN & 1].generation = GEN;
	/* What differs in anything that a policy may look at is another flow. */
	for (int i = 0; i < 5; i++) {
		static const char *const what[] = { "source", "destination", "protocol", "ports",
						    "family" };
		static const struct expect stale = { XDP_DROP, XESP_DROP_STALE_MAPS, 0 };

		spec = web;
		spec.src = i == 0 ? "10.1.0.6" : i == 4 ? "2001:db8::5" : spec.src;
		spec.dst = i == 1 ? "10.2.0.8" : i == 4 ? "2001:db8::9" : spec.dst;
		spec.proto = i == 2 ? 17 : spec.proto;
		spec.dport = i == 3 ? 81 : spec.dport;
		frame_build(&f, &spec);
		g.spd.head[GEN & 1].generation = GEN - 2;
		CU_ASSERT_TRUE(gateway_expect(&g, what[i], &f, f.len, &stale));
		g.spd.head[GEN & 1].generation = GEN;
	}
	gateway_policies(&g, GEN + 1, &two[1], 1, XESP_ACTION_DISCARD);
	frame_build(&f, &web);
	CU_ASSERT_TRUE(gateway_expect(&g, "after a commit", &f, f.len, &other));
	gateway_close(&g);
}

/* More flows than places, each time around, by two verdicts; and with places for none. */
static void crowded(void)
{
	static const struct expect good = { XDP_DROP, XESP_DROP_DISCARD, 1 }, other = { XDP_PASS, 0, 2 };
	static const uint32_t places[] = { GATEWAY_FLOWS, 2, 0 };
	struct gateway g;
	struct frame f;

	gateway_open(&g, "xdp_inner");
	gateway_policies(&g, GEN, two, LEN(two), XESP_ACTION_DISCARD);
	for (uint32_t k = 0; k < LEN(places); k++) {
		g.spd.conf->flows = places[k];
		for (uint32_t i = 0; i < 8 * GATEWAY_FLOWS; i++) {
			struct frame_spec spec = web;

			spec.sport = (uint16_t)(1000 + i % (4 * GATEWAY_FLOWS));
			if (i % 3)
				spec.dst = "10.3.0.9";
			frame_build(&f, &spec);
			CU_ASSERT_TRUE(gateway_expect(&g, "one of many flows", &f, f.len, i % 3 ? &other : &good));
		}
	}
	gateway_close(&g);
}

static void stale(void)
{
	static const struct expect stale = { XDP_DROP, XESP_DROP_STALE_MAPS, 0 },
				   good = { XDP_DROP, XESP_DROP_DISCARD, 1 };
	const uint32_t half = GEN & 1,
		       tuple_at = (half * XESP_DIR_MAX + XESP_DIR_OUT) * XESP_TUPLES_MAX;
	struct xesp_spd_tuple tuple = { 0 };
	struct xesp_spd_head head = { 0 };
	struct gateway g;
	struct frame f;

	gateway_open(&g, "xdp_inner");
	frame_build(&f, &searched);
	gateway_policies(&g, GEN, two, LEN(two), XESP_ACTION_BYPASS);
	CU_ASSERT_TRUE(gateway_expect(&g, "as published", &f, f.len, &good));

	gateway_generation(&g, GEN + 1);
	CU_ASSERT_TRUE(gateway_expect(&g, "half never written", &f, f.len, &stale));
	gateway_generation(&g, GEN + 2);
	CU_ASSERT_TRUE(gateway_expect(&g, "head of an older generation", &f, f.len, &stale));
	gateway_generation(&g, GEN);

	CU_ASSERT_EQUAL(bpf_map_lookup_elem(g.map[PINS_SPD_TUPLE], &tuple_at, &tuple), 0);
	tuple.generation = GEN - 2;
	update(&g, PINS_SPD_TUPLE, tuple_at, &tuple);
	CU_ASSERT_TRUE(gateway_expect(&g, "tuple of an older generation", &f, f.len, &stale));
	tuple.generation = GEN;
	update(&g, PINS_SPD_TUPLE, tuple_at, &tuple);
	CU_ASSERT_TRUE(gateway_expect(&g, "mended", &f, f.len, &good));

	CU_ASSERT_EQUAL(bpf_map_lookup_elem(g.map[PINS_SPD_HEAD], &half, &head), 0);
	head.tuples_n[XESP_DIR_OUT] = XESP_TUPLES_MAX + 1;
	update(&g, PINS_SPD_HEAD, half, &head);
	CU_ASSERT_TRUE(gateway_expect(&g, "more tuples than can be", &f, f.len, &stale));
	gateway_close(&g);
}

/*
 * What cannot beat the match is not looked up. A rule that lies about its rank shows it: it would
 * win if anybody asked.
 */
static void search_ends_by_rank(void)
{
	static const struct gateway_policy policy[] = { DISCARD(3, .remote = "10.9.0.0/16"),
							DISCARD(1, .remote = "10.2.0.0/16"),
							BYPASS(2) };
	static const struct expect good = { XDP_DROP, XESP_DROP_DISCARD, 1 };
	struct gateway g;
	struct frame f;

	gateway_open(&g, "xdp_inner");
	gateway_policies(&g, GEN, policy, LEN(policy), XESP_ACTION_DISCARD);
	g.spd.rules[2].val[0].rank = 0;
	g.spd.rules[2].val[1].rank = 0;
	frame_build(&f, &web);
	CU_ASSERT_TRUE(gateway_expect(&g, "search ended by rank", &f, f.len, &good));
	gateway_close(&g);
}

/* On the ciphertext side stale maps spare not even the gateway's own addresses: fail closed. */
static void stale_outer(void)
{
	static const struct expect stale = { XDP_DROP, XESP_DROP_STALE_MAPS, 0 };
	struct gateway g;
	struct frame f;

	gateway_open(&g, "xdp_outer");
	gateway_local(&g, "10.2.0.9");
	gateway_policies(&g, GEN, two, LEN(two), XESP_ACTION_BYPASS);
	gateway_generation(&g, GEN + 1);
	frame_build(&f, &web);
	CU_ASSERT_TRUE(gateway_expect(&g, "to the gateway", &f, f.len, &stale));
	gateway_close(&g);
}

/* 254 tuples before the discard make a search long enough to be overtaken by a commit. */
#define SLOW_DISCARD (XESP_TUPLES_MAX - 2)

static const struct gateway_policy slow[] = {
	DISCARD(1, .local = "10.1.0.5", .remote = "10.2.0.9"),
	BYPASS(2),
};

struct committer {
	struct gateway *g;
	struct gateway_policy policy[XESP_TUPLES_MAX];
	atomic_bool stop;
	uint32_t commits;
};

/*
 * Every other time the discard is another policy's, at the other end of the list, and what stands
 * between has changed places: each commit writes new owners, ranks and tuples.
 */
static void shuffle(struct committer *c, uint32_t generation)
{
	const unsigned int at = generation & 1 ? 0 : SLOW_DISCARD, last = XESP_TUPLES_MAX - 1;

	fill_tuples(c->policy);
	for (unsigned int i = 0; generation & 1 && i < XESP_TUPLES_MAX / 2; i++) {
		struct gateway_policy kept = c->policy[i];

		c->policy[i] = c->policy[last - i];
		c->policy[last - i] = kept;
	}
	c->policy[at] = slow[0];
	c->policy[at].id = 1 + 2 * (generation & 1);
	c->policy[last] = slow[1];
}

static void *commit_forever(void *arg)
{
	struct committer *c = arg;
	uint32_t generation = GEN;

	while (!atomic_load(&c->stop)) {
		shuffle(c, ++generation);
		gateway_policies(c->g, generation, c->policy, LEN(c->policy), XESP_ACTION_BYPASS);
		c->commits++;
	}
	return NULL;
}

static uint64_t drops(const struct gateway *g, uint32_t why)
{
	uint64_t n[256], sum = 0;

	CU_ASSERT_FATAL(g->cpus > 0 && (size_t)g->cpus <= LEN(n));
	CU_ASSERT_EQUAL(bpf_map_lookup_elem(g->map[PINS_DROPS], &why, n), 0);
	for (int cpu = 0; cpu < g->cpus; cpu++)
		sum += n[cpu];
	return sum;
}

#define ROUNDS 60
#define PACKETS 2000 /* a round */

/*
 * Reload after reload while packets come: the policy is the same in each generation, so none may
 * ever get past it to the bypass behind it, or to the bypass by default behind that.
 */
static void commits_under_traffic(void)
{
	struct xdp_md ctx = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx),
		    .repeat = PACKETS);
	struct committer c = { 0 };
	pthread_t thread;
	struct gateway g;
	struct frame f;

	gateway_open(&g, "xdp_inner");
	shuffle(&c, GEN);
	gateway_policies(&g, GEN, c.policy, LEN(c.policy), XESP_ACTION_BYPASS);
	frame_build(&f, &searched);
	ctx.data_end = f.len;
	opts.data_in = f.bytes;
	opts.data_size_in = f.len;
	c.g = &g;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, commit_forever, &c), 0);
	for (int i = 0; i < ROUNDS; i++) {
		CU_ASSERT_EQUAL(bpf_prog_test_run_opts(g.prog, &opts), 0);
		CU_ASSERT_EQUAL(opts.retval, XDP_DROP);
	}
	atomic_store(&c.stop, true);
	pthread_join(thread, NULL);
	fprintf(stderr, "spd_match: %u commits, %llu packets met two in a row\n", c.commits,
		(unsigned long long)drops(&g, XESP_DROP_STALE_MAPS));
	CU_ASSERT_TRUE(c.commits > 10);
	CU_ASSERT_EQUAL(drops(&g, XESP_DROP_DISCARD) + drops(&g, XESP_DROP_STALE_MAPS),
			(uint64_t)ROUNDS * PACKETS);
	gateway_close(&g);
}

CU_TestInfo spd_match_tests[] = {
	{ "first match, row by row", first_match },
	{ "a range of ports, and packets without ports", port_range },
	{ "as many tuples as there can be", all_tuples },
	{ "the search ends by rank", search_ends_by_rank },
	{ "answers kept by flow", flows },
	{ "more flows than places", crowded },
	{ "maps of another generation", stale },
	{ "maps of another generation, ciphertext side", stale_outer },
	{ "commits under traffic let nothing slip", commits_under_traffic },
	CU_TEST_INFO_NULL,
};
