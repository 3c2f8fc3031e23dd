/* SPDX-License-Identifier: BSD-2-Clause */
/* When a queue is spread over the crew, and when it comes back: with a clock that the test moves. */
#include <CUnit/CUnit.h>

#include "worker/load.h"

#define BATCH 64u
#define US 1000ull
#define MS (1000 * US)

static uint64_t clock_ns;

static uint64_t told(void)
{
	return clock_ns;
}

static struct load fresh(enum load_mode mode)
{
	struct load l;

	clock_ns = 5000 * MS;
	load_init(&l, mode);
	l.now = told;
	return l;
}

/* Rounds of n packets that take so long each. */
static void rounds(struct load *l, uint32_t count, uint32_t n, uint64_t ns)
{
	while (count--) {
		clock_ns += ns;
		load_round(l, n, n == BATCH);
	}
}

/* Until it tries, at most so many rounds. */
static uint32_t rounds_to_trial(struct load *l, uint64_t ns)
{
	uint32_t n = 0;

	while (!load_is_spread(l) && n++ < 1000000)
		rounds(l, 1, BATCH, ns);
	return n;
}

static void test_quiet(void)
{
	struct load l = fresh(LOAD_AUTO);

	rounds(&l, 100000, 20, 10 * US);
	CU_ASSERT_FALSE(load_is_spread(&l));
	/* As many full ones as others: no backlog that lasts. */
	for (int i = 0; i < 10000; i++) {
		rounds(&l, 1, BATCH, 10 * US);
		rounds(&l, 1, 10, 10 * US);
	}
	CU_ASSERT_FALSE(load_is_spread(&l));
	/* A burst that one core gets through by itself. */
	rounds(&l, LOAD_FULL + LOAD_WINDOW / 2, BATCH, 10 * US);
	rounds(&l, 1, 3, 10 * US);
	CU_ASSERT_EQUAL(l.phase, LOAD_ALONE);
	CU_ASSERT_EQUAL(l.switches, 0);
}

static void test_gain(void)
{
	struct load l = fresh(LOAD_AUTO);

	CU_ASSERT_EQUAL(rounds_to_trial(&l, 40 * US), LOAD_FULL + LOAD_WINDOW);
	rounds(&l, LOAD_WINDOW, BATCH, 25 * US);
	CU_ASSERT_EQUAL(l.phase, LOAD_SPREAD);
	CU_ASSERT_EQUAL(l.alone, BATCH * 1000000000ull / (40 * US));
	/* 1.6 million a second were too many for one; 1.3 million would not be, yet it stays. */
	rounds(&l, 10000, 33, 25 * US);
	CU_ASSERT_EQUAL(l.phase, LOAD_SPREAD);
	/* 0.8 million are one core's, with a margin. */
	rounds(&l, 10000, 20, 25 * US);
	CU_ASSERT_EQUAL(l.phase, LOAD_ALONE);
	CU_ASSERT_EQUAL(l.switches, 1);
}

static void test_backlog_gone(void)
{
	struct load l = fresh(LOAD_AUTO);

	rounds_to_trial(&l, 40 * US);
	rounds(&l, 10, 0, 1 * US); /* the lane was full: nothing taken says nothing */
	CU_ASSERT_EQUAL(l.phase, LOAD_TRIAL);
	rounds(&l, 1, 50, 25 * US);
	CU_ASSERT_EQUAL(l.phase, LOAD_SPREAD);
}

static void test_no_gain(void)
{
	struct load l = fresh(LOAD_AUTO);
	uint64_t before, pause = LOAD_PAUSE_NS;

	for (int i = 0; i < 10; i++) {
		before = clock_ns;
		rounds_to_trial(&l, 40 * US);
		if (i)
			CU_ASSERT(clock_ns - before >= pause);
		if (i && pause < LOAD_PAUSE_MAX_NS)
			pause *= 2;
		rounds(&l, LOAD_WINDOW, BATCH, 39 * US); /* under 5% */
		CU_ASSERT_EQUAL(l.phase, LOAD_ALONE);
	}
	CU_ASSERT_EQUAL(l.pause_ns, LOAD_PAUSE_MAX_NS);
}

static void test_asked_again(void)
{
	struct load l = fresh(LOAD_AUTO);
	uint64_t won;

	rounds_to_trial(&l, 40 * US);
	rounds(&l, LOAD_WINDOW, BATCH, 25 * US);
	won = clock_ns;
	while (l.phase == LOAD_SPREAD && clock_ns < won + 10 * LOAD_AGAIN_NS)
		rounds(&l, 1, BATCH, 25 * US);
	CU_ASSERT(clock_ns - won >= LOAD_AGAIN_NS);
	CU_ASSERT(clock_ns - won < LOAD_AGAIN_NS + 2 * LOAD_RATE_NS);
	CU_ASSERT_EQUAL(l.phase, LOAD_MEASURE);
	CU_ASSERT_FALSE(load_is_spread(&l));
	/* This time the others are busy. */
	rounds(&l, LOAD_WINDOW, BATCH, 40 * US);
	rounds(&l, LOAD_WINDOW, BATCH, 60 * US);
	CU_ASSERT_EQUAL(l.phase, LOAD_ALONE);
}

static void test_modes(void)
{
	struct load l = fresh(LOAD_NEVER);

	rounds(&l, 10000, BATCH, 40 * US);
	CU_ASSERT_FALSE(load_is_spread(&l));
	load_set_mode(&l, LOAD_ALWAYS);
	CU_ASSERT(load_is_spread(&l));
	rounds(&l, 10000, 1, 1000 * US);
	CU_ASSERT(load_is_spread(&l));
	load_set_mode(&l, LOAD_AUTO);
	CU_ASSERT_FALSE(load_is_spread(&l));
	rounds_to_trial(&l, 40 * US);
	CU_ASSERT(load_is_spread(&l));
	load_set_mode(&l, LOAD_NEVER);
	CU_ASSERT_FALSE(load_is_spread(&l));
}

static void test_traffic_ends_in_a_trial(void)
{
	struct load l = fresh(LOAD_AUTO);

	rounds_to_trial(&l, 10 * US);
	CU_ASSERT_EQUAL_FATAL(l.phase, LOAD_TRIAL);
	rounds(&l, LOAD_WINDOW / 2, BATCH, 10 * US);
	for (int i = 0; i < 40; i++) { /* a full lane is not the end */
		rounds(&l, 1000, 0, 10 * US);
		rounds(&l, 1, BATCH, 10 * US);
	}
	CU_ASSERT_EQUAL(l.phase, LOAD_TRIAL);
	rounds(&l, 4000, 0, 10 * US);
	CU_ASSERT_EQUAL(l.phase, LOAD_ALONE);
	CU_ASSERT_FALSE(load_is_spread(&l));
}

CU_TestInfo load_tests[] = {
	{ "what one core serves stays with it", test_quiet },
	{ "a backlog and a gain spread it; much less traffic brings it back", test_gain },
	{ "a trial after which the backlog is gone is won", test_backlog_gone },
	{ "a trial without gain is not repeated soon", test_no_gain },
	{ "what won is measured again while the backlog lasts", test_asked_again },
	{ "always and never", test_modes },
	{ "traffic that ends in a trial ends the trial", test_traffic_ends_in_a_trial },
	CU_TEST_INFO_NULL,
};
