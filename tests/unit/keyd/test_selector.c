/* SPDX-License-Identifier: BSD-2-Clause */
/* test_selector.c - port ranges cut into blocks, and the ranges xespd is told. */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include "keyd/schema.h"
#include "keyd/selector.h"
#include "libxesp/addr.h"

static bool is_in_cuts(const struct port_cut *c, uint32_t n, uint32_t port, uint32_t *times)
{
	*times = 0;
	for (uint32_t i = 0; i < n; i++)
		*times += (port & c[i].mask) == c[i].value;
	return *times;
}

static void test_cuts_cover_the_range(void)
{
	static const struct port_range rows[] = {
		{ 0, 0 },	  { 65535, 65535 }, { 80, 80 },	      { 0, 65534 },
		{ 1, 65535 },	  { 1, 65534 },	    { 1024, 65535 },  { 8000, 8099 },
		{ 32767, 32768 }, { 1000, 1000 },   { 49152, 65535 }, { 3, 12 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct port_cut cuts[SELECTOR_CUTS_MAX];
		uint32_t n = selector_cut_ports(rows[i], cuts), times, wrong = 0;

		CU_ASSERT_FATAL(n >= 1 && n <= SELECTOR_CUTS_MAX);
		for (uint32_t p = 0; p <= UINT16_MAX; p++) {
			bool in = p >= rows[i].first && p <= rows[i].last;

			wrong += is_in_cuts(cuts, n, p, &times) != in || times > 1;
		}
		CU_ASSERT_EQUAL(wrong, 0);
	}
}

static void test_cuts_are_few(void)
{
	struct port_cut cuts[SELECTOR_CUTS_MAX];

	CU_ASSERT_EQUAL(selector_cut_ports((struct port_range){ 80, 80 }, cuts), 1);
	CU_ASSERT_EQUAL(selector_cut_ports((struct port_range){ 1024, 2047 }, cuts), 1);
	CU_ASSERT_EQUAL(selector_cut_ports((struct port_range){ 1024, 65535 }, cuts), 6);
	CU_ASSERT_EQUAL(selector_cut_ports((struct port_range){ 1, 65535 }, cuts), 16);
	CU_ASSERT_EQUAL(selector_cut_ports((struct port_range){ 1, 65534 }, cuts), 30);
}

static void test_any_is_of_a_family(void)
{
	char *ip4[] = { "10.1.0.0/24" }, *ip6[] = { "2001:db8::/32" }, *all6[] = { "::/0" };
	struct raw_policy rows[] = { { .local = ip4, .local_count = 1 },
				     { .remote = ip6, .remote_count = 1 },
				     { .protocol = "any" },
				     { .local = all6, .local_count = 1 } };
	static const uint8_t family[] = { 4, 6, 0, 6 }, other_len[] = { 96, 0, 0, 0 };

	for (int i = 0; i < 4; i++) {
		struct problems ps = { 0 };
		struct selector s;

		CU_ASSERT_EQUAL_FATAL(selector_init(&s, &rows[i], "policies[0]", &ps), 0);
		CU_ASSERT_EQUAL(s.family, family[i]);
		CU_ASSERT_EQUAL(i == 1 ? s.local[0].len : s.remote[0].len, other_len[i]);
		selector_fini(&s);
	}
}

CU_TestInfo selector_tests[] = {
	{ "cut ranges cover exactly the range, each port once", test_cuts_cover_the_range },
	{ "ranges are cut into the fewest blocks", test_cuts_are_few },
	{ "any is of the family of the other side", test_any_is_of_a_family },
	CU_TEST_INFO_NULL,
};
