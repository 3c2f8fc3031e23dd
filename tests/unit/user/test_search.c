/* SPDX-License-Identifier: BSD-2-Clause */
/* The search for a path's MTU against simulated paths: RFC 8899 section 5. */
#include <CUnit/CUnit.h>
#include <stdio.h>

#include "slow/search.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define TICK 100

static struct search s;
static uint64_t now;
static uint32_t path;  /* what it carries; 0: nobody answers */
static uint32_t rtt;   /* ms, until the answer */
static uint32_t probes, too_large; /* sent */

/* Runs the clock for so long; answers come after the round-trip time. */
static void run(uint64_t ms)
{
	static struct { uint64_t at; uint16_t seq; } due[64];
	static uint32_t n;

	n = 0;
	for (uint64_t end = now + ms; now < end; now += TICK) {
		uint32_t size = search_next(&s, now);

		if (size) {
			probes++;
			too_large += size > path;
			if (size <= path && n < LEN(due)) {
				due[n].at = now + rtt;
				due[n++].seq = s.seq;
			}
		}
		for (uint32_t i = 0; i < n; i++) {
			if (due[i].at > now)
				continue;
			search_answered(&s, due[i].seq, now);
			due[i--] = due[--n];
		}
	}
}

static void begin(uint32_t max, uint32_t floor, uint32_t carries)
{
	const struct search_limits l = { .max = max, .floor = floor, .step = 4, .raise_s = 600 };

	now = 1000;
	probes = too_large = 0;
	rtt = 20;
	path = carries;
	search_init(&s, &l, now);
}

static void finds_each_size(void)
{
	for (uint32_t carries = 576; carries <= 1500; carries += 7) {
		uint32_t got;

		begin(1500, 576, carries);
		run(120000);
		got = search_result(&s);
		CU_ASSERT_EQUAL(s.state, SEARCH_COMPLETE);
		if (!(carries >= 1500 ? got == 0 : got <= carries && got + 4 > carries))
			fprintf(stderr, "search: a path of %u: %u\n", carries, got);
		CU_ASSERT(carries >= 1500 ? got == 0 : got <= carries && got + 4 > carries);
		/* Binary: ten steps at most, each lost MAX_PROBES times at most. */
		CU_ASSERT(too_large <= 10 * SEARCH_PROBES + 2 * SEARCH_PROBES);
	}
}

static void a_wide_path_costs_one_probe(void)
{
	begin(1500, 576, 1500);
	run(SEARCH_CONFIRM_MS - 1000);
	CU_ASSERT_EQUAL(probes, 1);
	CU_ASSERT_EQUAL(search_result(&s), 0);
	run(SEARCH_CONFIRM_MS);
	CU_ASSERT_EQUAL(probes, 2); /* confirmed */
}

static void nobody_there_tells_nothing(void)
{
	begin(1500, 576, 0);
	run(300000);
	CU_ASSERT_EQUAL(s.state, SEARCH_SILENT);
	CU_ASSERT_EQUAL(search_result(&s), 0);
	/* Somebody comes: found within a retry, the search, and some. */
	path = 1300;
	run(SEARCH_RETRY_MS + 60000);
	CU_ASSERT(search_result(&s) <= 1300 && search_result(&s) > 1296);
}

static void a_black_hole_that_opens_later(void)
{
	begin(1500, 576, 1500);
	run(100000);
	path = 1400;
	run(SEARCH_CONFIRM_MS + 2 * SEARCH_PROBES * SEARCH_PROBE_MS);
	CU_ASSERT(search_result(&s) >= SEARCH_BASE && search_result(&s) <= 1400); /* out of it */
	run(60000);
	CU_ASSERT(search_result(&s) > 1396 && search_result(&s) <= 1400);
	/* The peer goes away: what was found holds. */
	path = 0;
	run(200000);
	CU_ASSERT_EQUAL(s.state, SEARCH_SILENT);
	CU_ASSERT(search_result(&s) > 1396 && search_result(&s) <= 1400);
}

static void raised_when_the_path_widens(void)
{
	begin(1500, 576, 1400);
	run(100000);
	CU_ASSERT(search_result(&s) <= 1400 && search_result(&s) > 1396);
	path = 1500;
	run(601000 - 100000);
	CU_ASSERT(search_result(&s) != 0);
	run(100000);
	CU_ASSERT_EQUAL(search_result(&s), 0);
}

/* Tried again more often than confirmed: a path that narrows is found all the same. */
static void raised_often(void)
{
	const struct search_limits l = { .max = 1500, .floor = 576, .step = 4, .raise_s = 5 };

	begin(1500, 576, 1404);
	search_limit(&s, &l, now);
	run(60000);
	CU_ASSERT(search_result(&s) <= 1404 && search_result(&s) > 1400);
	path = 1380;
	run(120000);
	CU_ASSERT(search_result(&s) <= 1380 && search_result(&s) > 1376);
}

static void a_slow_path(void)
{
	begin(1500, 576, 1450);
	rtt = 2500; /* above PROBE_TIMER, below MAX_PROBES of them */
	run(200000);
	CU_ASSERT(search_result(&s) <= 1450 && search_result(&s) > 1446);
}

static void icmp_shortens_it(void)
{
	begin(1500, 576, 1404);
	now += TICK;
	CU_ASSERT_EQUAL(search_next(&s, now), 1500);
	search_too_big(&s, 1404, now);
	CU_ASSERT_EQUAL(search_next(&s, now), 1404); /* at once, and only that */
	search_answered(&s, s.seq, now);
	CU_ASSERT_EQUAL(search_result(&s), 1404);
	CU_ASSERT_EQUAL(s.state, SEARCH_COMPLETE);
}

static void limits_change(void)
{
	const struct search_limits wider = { .max = 9000, .floor = 576, .step = 4, .raise_s = 600 };
	const struct search_limits lower = { .max = 1200, .floor = 576, .step = 4, .raise_s = 600 };

	begin(1500, 576, 1400);
	run(100000);
	search_limit(&s, &wider, now);
	CU_ASSERT(search_result(&s) <= 1400 && search_result(&s)); /* until there is evidence */
	path = 9000;
	run(10000);
	CU_ASSERT_EQUAL(search_result(&s), 0);
	search_limit(&s, &lower, now);
	run(10000);
	CU_ASSERT_EQUAL(search_result(&s), 0);
	CU_ASSERT_EQUAL(s.low, 1200);
}

static void late_answers_of_another_size(void)
{
	uint16_t old;

	begin(1500, 576, 0);
	search_next(&s, now);
	old = s.seq;
	run(SEARCH_PROBES * SEARCH_PROBE_MS + TICK);
	CU_ASSERT_EQUAL(s.state, SEARCH_FLOOR);
	search_answered(&s, old, now); /* 1500 after all, but too late */
	CU_ASSERT_EQUAL(s.low, 0);
}

CU_TestInfo search_tests[] = {
	{ "a search finds what the path carries", finds_each_size },
	{ "a path as wide as its link costs one probe", a_wide_path_costs_one_probe },
	{ "silence is no evidence", nobody_there_tells_nothing },
	{ "a black hole that opens later is found", a_black_hole_that_opens_later },
	{ "larger sizes are tried again", raised_when_the_path_widens },
	{ "tried again more often than confirmed", raised_often },
	{ "answers that take longer than the timer", a_slow_path },
	{ "an ICMP error shortens the search", icmp_shortens_it },
	{ "limits change", limits_change },
	{ "a late answer says nothing of another size", late_answers_of_another_size },
	CU_TEST_INFO_NULL,
};
