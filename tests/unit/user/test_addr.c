/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses and prefixes as text: what is taken, what is refused, and how it is printed again. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "libxesp/addr.h"
#include "xesp/fault.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *text;
	int err;
	const char *printed; /* or, refused, a part of the sentence */
} prefixes[] = {
	{ "10.1.0.0/24", 0, "10.1.0.0/24" },
	{ "10.1.0.7", 0, "10.1.0.7/32" },
	{ "0.0.0.0/0", 0, "0.0.0.0/0" },
	{ "255.255.255.255/32", 0, "255.255.255.255/32" },
	{ "2001:db8::/32", 0, "2001:db8::/32" },
	{ "::/0", 0, "::/0" },
	{ "2001:db8::1", 0, "2001:db8::1/128" },
	{ "10.1.0.1/24", -EINVAL, "did you mean 10.1.0.0/24?" },
	{ "2001:db8::1/64", -EINVAL, "did you mean 2001:db8::/64?" },
	{ "10.1.0.0/33", -EINVAL, "0 to 32" },
	{ "2001:db8::/129", -EINVAL, "0 to 128" },
	{ "10.1.0.0/", -EINVAL, "prefix length" },
	{ "10.1.0.0/-1", -EINVAL, "prefix length" },
	{ "10.1.0.0/ 8", -EINVAL, "prefix length" },
	{ "10.1.0.0/8x", -EINVAL, "prefix length" },
	{ "10.1.0.0/99999999999999999999", -EINVAL, "prefix length" },
	{ "10.1.0/24", -EINVAL, "is not a prefix" },
	{ "", -EINVAL, "is not a prefix" },
	{ "/24", -EINVAL, "is not a prefix" },
	{ "host", -EINVAL, "is not a prefix" },
	{ "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee", -EINVAL,
	  "is not a prefix" },
};

static void prefix_rows(void)
{
	for (size_t i = 0; i < LEN(prefixes); i++) {
		struct fault f = { "" };
		char buf[ADDR_TEXT_MAX];
		struct xesp_addr a;
		uint8_t len;
		int err = addr_parse_prefix(&a, &len, prefixes[i].text, &f);
		const char *got = err ? f.text : addr_print_prefix(&a, len, buf);

		if (err != prefixes[i].err || !strstr(got, prefixes[i].printed))
			fprintf(stderr, "prefix '%s': %d, '%s'\n", prefixes[i].text, err, got);
		CU_ASSERT_EQUAL(err, prefixes[i].err);
		CU_ASSERT_PTR_NOT_NULL(strstr(got, prefixes[i].printed));
		if (!err)
			CU_ASSERT_STRING_EQUAL(got, prefixes[i].printed);
	}
}

static void ranges(void)
{
	struct xesp_addr prefix, first, last, want;
	uint8_t len;

	CU_ASSERT_EQUAL(addr_parse_prefix(&prefix, &len, "10.1.4.0/22", NULL), 0);
	CU_ASSERT_EQUAL(len, 96 + 22);
	addr_range(&prefix, len, &first, &last);
	CU_ASSERT_TRUE(addr_equal(&first, &prefix));
	CU_ASSERT_EQUAL(addr_parse(&want, "10.1.7.255", NULL), 0);
	CU_ASSERT_TRUE(addr_equal(&last, &want));
	CU_ASSERT_TRUE(addr_cmp(&first, &last) < 0);
	CU_ASSERT_TRUE(addr_cmp(&last, &first) > 0);
	CU_ASSERT_EQUAL(addr_cmp(&last, &want), 0);
	CU_ASSERT_TRUE(addr_is_ip4(&last));

	CU_ASSERT_EQUAL(addr_parse_prefix(&prefix, &len, "::/0", NULL), 0);
	addr_range(&prefix, len, &first, &last);
	CU_ASSERT_FALSE(addr_is_ip4(&last));
	CU_ASSERT_EQUAL(last.w[0], UINT32_MAX);
	CU_ASSERT_EQUAL(last.w[3], UINT32_MAX);
}

CU_TestInfo addr_tests[] = {
	{ "prefixes, row by row", prefix_rows },
	{ "first and last address of a prefix", ranges },
	CU_TEST_INFO_NULL,
};
