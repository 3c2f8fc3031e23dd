/* SPDX-License-Identifier: BSD-2-Clause */
/* Which tables are asked, and in which order: what rules give, without a kernel. */
#include <CUnit/CUnit.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "fib/rule.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define R4(priority, table, use) { priority, table, use, true }
#define R6(priority, table, use) { priority, table, use, false }

static const struct {
	const char *what;
	struct rule rules[6]; /* ends at priority and table 0 */
	const char *plan;     /* table/space/order of each place; "4" and "6" of its family, ! not ours */
	bool policy;
} cases[] = {
	{ "the default of IPv4: local and main are one",
	  { R4(0, 255, RULE_ALL), R4(32766, 254, RULE_ALL), R4(32767, 253, RULE_ALL) },
	  "4:255/0/0 4:254/0/1 4:253/1/0 ", false },
	{ "with a rule of somebody's mark they are two",
	  { R4(0, 255, RULE_ALL), R4(9, 7, RULE_NEVER), R4(32766, 254, RULE_ALL),
	    R4(32767, 253, RULE_ALL) },
	  "4:255/0/0 4:254/1/0 4:253/2/0 ", false },
	{ "an IKE daemon's table",
	  { R4(0, 255, RULE_ALL), R4(220, 220, RULE_ALL), R4(32766, 254, RULE_ALL),
	    R4(32767, 253, RULE_ALL) },
	  "4:255/0/0 4:220/1/0 4:254/2/0 4:253/3/0 ", false },
	{ "one against our mark",
	  { R4(0, 255, RULE_ALL), R4(219, 9, RULE_NOT_OURS), R4(32766, 254, RULE_ALL) },
	  "4:255/0/0 4:9/1/0! 4:254/2/0 ", false },
	{ "a table twice is asked once",
	  { R4(0, 255, RULE_ALL), R4(1, 254, RULE_ALL), R4(32766, 254, RULE_ALL) },
	  "4:255/0/0 4:254/1/0 ", false },
	{ "but by all where the first was not by ours",
	  { R4(0, 255, RULE_ALL), R4(1, 254, RULE_NOT_OURS), R4(32766, 254, RULE_ALL) },
	  "4:255/0/0 4:254/1/0! 4:254/2/0 ", false },
	{ "what is not known: the kernel's, and the usual tables are read",
	  { R4(0, 255, RULE_ALL), R4(5, 9, RULE_UNKNOWN), R4(32766, 254, RULE_ALL) },
	  "4:255/0/0 4:254/0/1 4:253/1/0 ", true },
	{ "both families",
	  { R4(0, 255, RULE_ALL), R4(32766, 254, RULE_ALL), R4(32767, 253, RULE_ALL),
	    R6(0, 255, RULE_ALL), R6(32766, 254, RULE_ALL) },
	  "4:255/0/0 4:254/0/1 4:253/1/0 6:255/2/0 6:254/3/0 ", false },
};

static void plans(void)
{
	for (size_t i = 0; i < LEN(cases); i++) {
		struct rule_place places[RULE_PLACES_MAX];
		char got[256] = "";
		struct rule_book b = { 0 };
		struct route_list l;
		bool has6 = false;
		uint32_t n;

		route_list_init(&l);
		for (size_t k = 0; k < LEN(cases[i].rules); k++) {
			const struct rule *r = &cases[i].rules[k];

			if (!r->priority && !r->table)
				break;
			has6 |= !r->ip4;
			rule_book_add(&b, r);
		}
		n = rule_book_plan(&b, &l, places);
		for (uint32_t k = 0; k < n; k++)
			if (places[k].ip4 || has6) /* IPv6 without rules has its usual tables */
				snprintf(got + strlen(got), sizeof(got) - strlen(got), "%d:%u/%u/%u%s ",
					 places[k].ip4 ? 4 : 6, places[k].table, places[k].space,
					 places[k].order, l.space[places[k].space].not_ours ? "!" : "");
		if (strcmp(got, cases[i].plan))
			fprintf(stderr, "%s: %s\n", cases[i].what, got);
		CU_ASSERT_STRING_EQUAL(got, cases[i].plan);
		CU_ASSERT_EQUAL(rule_book_is_policy(&b, true), cases[i].policy);
		route_list_fini(&l);
	}
}

static void too_many(void)
{
	struct rule_place places[RULE_PLACES_MAX];
	struct rule_book b = { 0 };
	struct route_list l;

	for (uint32_t i = 0; i < 100; i++) {
		rule_book_add(&b, &(struct rule){ i, 1000 + i, RULE_ALL, true });
		rule_book_add(&b, &(struct rule){ i, 1000 + i, RULE_ALL, false });
	}
	CU_ASSERT_TRUE(rule_book_is_policy(&b, true));
	CU_ASSERT_TRUE(rule_book_is_policy(&b, false));
	route_list_init(&l);
	CU_ASSERT_EQUAL(rule_book_plan(&b, &l, places), 5);
	route_list_fini(&l);
}

CU_TestInfo rule_tests[] = {
	{ "rules: what is read, in which order", plans },
	{ "rules: more than are followed", too_many },
	CU_TEST_INFO_NULL,
};
