/* SPDX-License-Identifier: BSD-2-Clause */
/* The drop counters of an SA: a place for each reason that happens, by order, and one for all that find none. */
#include <CUnit/CUnit.h>
#include <json-c/json.h>
#include <pthread.h>

#include "libxesp/drops.h"

#define PLACES (XESP_SA_DROPS - 1)
#define EACH 20000u

static void places_by_order(void)
{
	struct xesp_sa_drops d = { 0 };
	struct json_object *o, *other;

	for (unsigned int round = 1; round <= 3; round++) {
		for (unsigned int why = 1; why <= PLACES + 2; why++) {
			drops_count(&d, (enum xesp_drop)why);
			CU_ASSERT_EQUAL(drops_of(&d, (enum xesp_drop)why), why <= PLACES ? round : 0);
		}
		CU_ASSERT_EQUAL(d.n[0], 2 * round);
	}
	CU_ASSERT_EQUAL(drops_of(&d, XESP_DROP_LIFETIME), 0);
	o = drops_json_of(&d);
	CU_ASSERT_EQUAL(json_object_object_length(o), PLACES + 1);
	CU_ASSERT_TRUE(json_object_object_get_ex(o, DROPS_OTHERS, &other));
	CU_ASSERT_EQUAL(json_object_get_int(other), 6);
	json_object_put(o);
}

static void nothing_happened(void)
{
	const struct xesp_sa_drops d = { 0 };
	struct json_object *o = drops_json_of(&d);

	CU_ASSERT_EQUAL(json_object_object_length(o), 0);
	json_object_put(o);
}

static void *count_all(void *arg)
{
	for (unsigned int i = 0; i < EACH; i++)
		drops_count(arg, (enum xesp_drop)(1 + i % PLACES));
	return NULL;
}

/* Several workers see a reason for the first time at once: it gets one place, and none is forgotten. */
static void several_claim_at_once(void)
{
	for (int round = 0; round < 20; round++) {
		struct xesp_sa_drops d = { 0 };
		pthread_t other;
		uint64_t sum = 0;

		CU_ASSERT_EQUAL_FATAL(pthread_create(&other, NULL, count_all, &d), 0);
		count_all(&d);
		pthread_join(other, NULL);
		for (unsigned int why = 1; why <= PLACES; why++)
			sum += drops_of(&d, (enum xesp_drop)why);
		CU_ASSERT_EQUAL(sum, 2 * EACH);
		CU_ASSERT_EQUAL(d.n[0], 0);
	}
}

CU_TestInfo drops_tests[] = {
	{ "a place for each reason, one for the rest", places_by_order },
	{ "nothing happened, nothing is shown", nothing_happened },
	{ "several claim places at once", several_claim_at_once },
	CU_TEST_INFO_NULL,
};
