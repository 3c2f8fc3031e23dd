/* SPDX-License-Identifier: BSD-2-Clause */
/* The lane: each chunk is claimed once, done chunks come back in order, whoever did them. */
#include <CUnit/CUnit.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "worker/lane.h"

#define PUSHES 200000u
#define THREADS 3

/* What stands behind the opaque pointer here. Not atomic: the lane must order these accesses. */
struct item {
	uint32_t number, claimed;
	uint32_t by;
};

struct race {
	struct lane *lane;
	struct item item[LANE_SLOTS];
	bool stop; /* atomic */
	uint32_t worked[THREADS];
};

struct racer {
	struct race *race;
	uint32_t me;
	pthread_t thread;
};

static struct chunk *opaque(struct item *i)
{
	return (struct chunk *)i;
}

static struct lane *lane_new(void)
{
	struct lane *l = aligned_alloc(64, sizeof(*l));

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	memset(l, 0, sizeof(*l));
	return l;
}

static bool do_one(struct race *r, uint32_t me)
{
	uint64_t index;
	struct item *i = (struct item *)lane_claim(r->lane, &index);

	if (!i)
		return false;
	i->claimed++;
	i->by = me;
	if (index % 7 == me)
		sched_yield(); /* others overtake */
	lane_done(r->lane, index);
	return true;
}

static void *work(void *arg)
{
	struct racer *me = arg;

	while (!__atomic_load_n(&me->race->stop, __ATOMIC_ACQUIRE))
		if (do_one(me->race, me->me))
			__atomic_fetch_add(&me->race->worked[me->me], 1, __ATOMIC_RELAXED);
		else
			sched_yield();
	return NULL;
}

/* On a busy machine the others may come late: until then the pushing thread leaves the work to them. */
static bool others_work(const struct race *r)
{
	for (uint32_t t = 0; t < THREADS; t++)
		if (__atomic_load_n(&r->worked[t], __ATOMIC_RELAXED))
			return true;
	return false;
}

static void test_race(void)
{
	struct racer racer[THREADS];
	struct race r = { .lane = lane_new() };
	uint32_t pushed = 0, popped = 0, wrong = 0;

	for (uint32_t t = 0; t < THREADS; t++) {
		racer[t] = (struct racer){ &r, t, 0 };
		CU_ASSERT_EQUAL_FATAL(pthread_create(&racer[t].thread, NULL, work, &racer[t]), 0);
	}
	while (popped < PUSHES) {
		struct item *i;

		if (pushed < PUSHES && lane_in_flight(r.lane) < LANE_SLOTS) {
			i = &r.item[pushed % LANE_SLOTS];
			*i = (struct item){ .number = pushed++ };
			lane_push(r.lane, opaque(i));
		} else if (!others_work(&r) || !do_one(&r, THREADS)) {
			sched_yield();
		}
		while ((i = (struct item *)lane_pop(r.lane))) {
			wrong += i->number != popped || i->claimed != 1;
			popped++;
		}
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELEASE);
	for (uint32_t t = 0; t < THREADS; t++)
		pthread_join(racer[t].thread, NULL);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(r.worked[0] + r.worked[1] + r.worked[2] > 0);
	CU_ASSERT_FALSE(lane_waits(r.lane));
	CU_ASSERT_EQUAL(lane_in_flight(r.lane), 0);
	free(r.lane);
}

static void test_one_thread(void)
{
	struct lane *l = lane_new();
	struct item item[LANE_SLOTS];
	uint64_t at[3];

	CU_ASSERT_PTR_NULL(lane_pop(l));
	CU_ASSERT_PTR_NULL(lane_oldest(l));
	CU_ASSERT_PTR_NULL(lane_claim(l, &at[0]));
	CU_ASSERT_FALSE(lane_waits(l));
	for (uint32_t i = 0; i < 3; i++)
		lane_push(l, opaque(&item[i]));
	CU_ASSERT(lane_waits(l));
	CU_ASSERT_EQUAL(lane_in_flight(l), 3);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_PTR_EQUAL(lane_claim(l, &at[i]), opaque(&item[i]));
	CU_ASSERT_FALSE(lane_waits(l));
	lane_done(l, at[2]);
	lane_done(l, at[1]);
	CU_ASSERT_PTR_NULL(lane_pop(l)); /* the oldest is not done */
	CU_ASSERT_PTR_EQUAL(lane_oldest(l), opaque(&item[0]));
	lane_done(l, at[0]);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_PTR_EQUAL(lane_pop(l), opaque(&item[i]));
	CU_ASSERT_PTR_NULL(lane_pop(l));
	/* Full, and round the ring: an old "done" says nothing about a new chunk. */
	for (uint32_t i = 0; i < LANE_SLOTS; i++)
		lane_push(l, opaque(&item[i]));
	CU_ASSERT_EQUAL(lane_in_flight(l), LANE_SLOTS);
	CU_ASSERT_PTR_NULL(lane_pop(l));
	free(l);
}

CU_TestInfo lane_tests[] = {
	{ "done out of order, popped in order; an old mark does not count", test_one_thread },
	{ "four threads: each chunk claimed once, popped in order", test_race },
	CU_TEST_INFO_NULL,
};
