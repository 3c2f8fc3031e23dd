/* SPDX-License-Identifier: BSD-2-Clause */
/* test_source.c - lists in brackets, lines of keys, and memory that libyaml frees. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "keyd/schema.h"
#include "keyd/source.h"
#include "keyd/yaml_memory.h"

static int open_text(struct source *s, const char *text, struct problems *ps)
{
	char path[] = "/tmp/xesp-test-source-XXXXXX";
	int err, fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	err = source_open(s, path, ps);
	unlink(path);
	return err;
}

static void test_single_values_become_lists(void)
{
	static const struct {
		const char *what, *in, *out;
	} rows[] = {
		{ "plain", "policies:\n- local: 10.0.0.0/8\n",
		  "policies:\n- local: ['10.0.0.0/8']\n" },
		{ "in quotes", "policies:\n- remote_ports: \"80\"\n",
		  "policies:\n- remote_ports: [\"80\"]\n" },
		{ "a list stays", "policies:\n- local: [a, b]\n", "policies:\n- local: [a, b]\n" },
		{ "IPv6, and a comment", "policies:\n- local: 2001:db8::/32 # here\n",
		  "policies:\n- local: ['2001:db8::/32'] # here\n" },
		{ "within a flow mapping", "policies: [{local: a, remote: b}]\n",
		  "policies: [{local: ['a'], remote: ['b']}]\n" },
		{ "behind characters of several bytes",
		  "# \xc3\xa4\xe2\x82\xac\npolicies:\n- local: a # \xc3\xbc\n  remote: b\n",
		  "# \xc3\xa4\xe2\x82\xac\npolicies:\n- local: ['a'] # \xc3\xbc\n  remote: ['b']\n" },
		{ "lines that end with CR LF", "policies:\r\n- local: a\r\n  remote: b\r\n",
		  "policies:\r\n- local: ['a']\r\n  remote: ['b']\r\n" },
		{ "elsewhere the key means something else", "tunnels:\n- local: 192.0.2.1\n",
		  "tunnels:\n- local: 192.0.2.1\n" },
		{ "deeper is not it either", "policies:\n- x:\n  - local: a\n",
		  "policies:\n- x:\n  - local: a\n" },
		{ "without a value", "policies:\n- local:\n  remote: b\n",
		  "policies:\n- local:\n  remote: ['b']\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct problems ps = { 0 };
		struct source s;

		CU_ASSERT_EQUAL_FATAL(open_text(&s, rows[i].in, &ps), 0);
		CU_ASSERT_EQUAL(source_prepare(&s, schema_list_paths, &ps), 0);
		if (!s.loadable || strcmp(s.loadable, rows[i].out)) {
			printf("  %s: %s\n", rows[i].what, s.loadable ? s.loadable : "(none)");
			CU_FAIL("another text");
		}
		source_close(&s);
	}
}

static void test_lines_of_keys(void)
{
	static const char text[] = "version: 1\n"     /* 1 */
				   "sas:\n"	       /* 2 */
				   "  - name: a\n"     /* 3 */
				   "    spi: 1\n"      /* 4 */
				   "  - name: b\n"     /* 5 */
				   "    spi: 2\n"      /* 6 */
				   "policies:\n"       /* 7 */
				   "  - local:\n"      /* 8 */
				   "      - x\n"       /* 9 */
				   "      - y\n";      /* 10 */
	static const struct {
		const char *path;
		uint32_t line;
	} rows[] = {
		{ "sas[0].spi", 4 },	    { "sas[1].spi", 6 },    { "sas[1].tunnel", 5 },
		{ "sas[1]", 5 },	    { "policies[0].local[1]", 10 },
		{ "policies[0].local[7]", 9 }, { "policies[0].loc", 8 }, { "tunnels[0]", 0 },
		{ "version", 1 },	    { "versions", 0 },	    { "", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct problems ps = { 0 };
		struct source s;

		CU_ASSERT_EQUAL_FATAL(open_text(&s, text, &ps), 0);
		problems_add(&ps, rows[i].path, "x");
		source_locate(&s, &ps);
		if (ps.problem[0].line != rows[i].line) {
			printf("  %s: line %u\n", rows[i].path, ps.problem[0].line);
			CU_FAIL("another line");
		}
		source_close(&s);
	}
}

static void test_structure_is_refused(void)
{
	static const struct {
		const char *what, *text;
	} rows[] = {
		{ "one key twice", "a: 1\na: 2\n" },
		{ "one key twice, far below", "a:\n- b: 1\n  c: 2\n  b: 3\n" },
		{ "a list as a key", "? [a]\n: 1\n" },
		{ "an alias as a key", "a: &x 1\n*x : 2\n" },
		{ "a tag", "a: !!str 1\n" },
		{ "too deep", "[[[[[[[[[1]]]]]]]]]\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct problems ps = { 0 };
		struct source s;

		CU_ASSERT_EQUAL_FATAL(open_text(&s, rows[i].text, &ps), 0);
		if (!source_prepare(&s, schema_list_paths, &ps) || ps.n != 1 || !ps.problem[0].line) {
			printf("  %s: %u problems\n", rows[i].what, ps.n);
			CU_FAIL("not refused with a line");
		}
		source_close(&s);
	}
}

/* Were libyaml to use its own free(), keys would stay in memory: see yaml_memory.c. */
static void test_libyaml_frees_through_us(void)
{
	size_t before = yaml_memory_wiped();
	yaml_parser_t parser;

	CU_ASSERT_FATAL(yaml_parser_initialize(&parser));
	yaml_parser_delete(&parser);
	CU_ASSERT(yaml_memory_wiped() > before);
}

static void test_problems_do_not_show_keys(void)
{
	static const struct {
		const char *value, *shown;
	} rows[] = {
		{ "outbound", "'outbound'" },
		{ "0x00001001", "'0x00001001'" },
		{ "2001:db8:1:2:3:4:5:6", "'2001:db8:1:2:3:4:5:6'" },
		{ "000102030405060708090a0b0c0d0e0f10111213", "(40 characters, not shown)" },
		{ "00 01 02 03 04 05 06 07 08 09 0a 0b", "(35 characters, not shown)" },
		{ "00:01:02:03:04:05:06:07:08:09:0a:0b", "(35 characters, not shown)" },
		{ "x0123456789abcdef01234", "(22 characters, not shown)" },
		{ "a-name-that-is-much-longer-than-anybody-would-write-it",
		  "'a-name-that-is-much-longer-than-anybody-wo...'" },
	};
	char buf[PROBLEMS_SHOWN_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_STRING_EQUAL(problems_shown(rows[i].value, buf), rows[i].shown);
}

CU_TestInfo source_tests[] = {
	{ "a single value where a list may be is put into brackets", test_single_values_become_lists },
	{ "each key's line, or its nearest parent's", test_lines_of_keys },
	{ "structure that YAML allows and we do not", test_structure_is_refused },
	{ "libyaml's memory is wiped by us", test_libyaml_frees_through_us },
	{ "values that may be keys are not shown", test_problems_do_not_show_keys },
	CU_TEST_INFO_NULL,
};
