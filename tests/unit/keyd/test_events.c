/* SPDX-License-Identifier: BSD-2-Clause */
/* test_events.c - what is a spike of drops, and what is not. */
#include <CUnit/CUnit.h>
#include <stdio.h>

#include "keyd/events.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Packets dropped in each second, and the seconds (from 0) in which a spike is told. */
static const struct {
	const char *what;
	uint32_t per_s[32];
	uint32_t seconds;
	uint32_t told; /* bits */
} rows[] = {
	{ "silence", { 0 }, 32, 0 },
	{ "out of silence", { 0, 0, 0, 0, 0, 5000 }, 10, 1u << 5 },
	{ "too few to speak of", { 0, 0, 0, 0, 0, 99 }, 10, 0 },
	{ "the least", { 0, 0, 0, 0, 0, 100 }, 10, 1u << 5 },
	{ "a steady rate is none", { 500, 500, 500, 500, 500, 500, 500, 500 }, 8, 0 },
	{ "twice as much as usual is none", { 500, 500, 500, 500, 500, 1000, 1000 }, 7, 0 },
	{ "ten times as much", { 500, 500, 500, 500, 500, 5100, 500 }, 7, 1u << 5 },
	{ "one that goes on is told once, then it is usual",
	  { 0, 0, 0, 0, 9000, 9000, 9000, 9000, 9000, 9000, 9000, 9000, 9000, 9000, 9000, 9000, 9000,
	    9000, 9000 }, 19, 1u << 4 },
	{ "again after ten quiet seconds",
	  { 0, 0, 0, 0, 900, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9000 }, 22, 1u << 4 | 1u << 20 },
	{ "not before", { 0, 0, 0, 0, 900, 0, 0, 0, 0, 9000 }, 12, 1u << 4 },
	{ "the first looks know nothing yet", { 9000, 0, 0 }, 3, 0 },
};

static void spike_rows(void)
{
	for (size_t i = 0; i < LEN(rows); i++) {
		struct drop_watch w = { 0 };
		uint64_t total = 0, per_s;
		uint32_t told = 0;

		for (uint32_t s = 0; s < rows[i].seconds; s++) {
			total += rows[i].per_s[s];
			if (!drop_watch_look(&w, total, &per_s))
				continue;
			told |= 1u << s;
			CU_ASSERT_EQUAL(per_s, rows[i].per_s[s]);
		}
		if (told != rows[i].told)
			fprintf(stderr, "events: %s: told 0x%x, expected 0x%x\n", rows[i].what, told,
				rows[i].told);
		CU_ASSERT_EQUAL(told, rows[i].told);
	}
}

/* Maps made anew begin at 0 again: that is no spike, and no number below zero. */
static void counters_that_begin_again(void)
{
	struct drop_watch w = { 0 };
	uint64_t per_s;

	for (int s = 0; s < 6; s++)
		CU_ASSERT_FALSE(drop_watch_look(&w, 1000000, &per_s));
	CU_ASSERT_FALSE(drop_watch_look(&w, 5, &per_s));
	CU_ASSERT_EQUAL(per_s, 0);
}

CU_TestInfo events_tests[] = {
	{ "spikes, second by second", spike_rows },
	{ "counters that begin again", counters_that_begin_again },
	CU_TEST_INFO_NULL,
};
