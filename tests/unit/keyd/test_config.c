/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_config.c - tests/config: NN-what.yaml gives NN-what.ok (the configuration with its defaults)
 * or NN-what.err (the exact sentences); and what needs files with modes of their own.
 * Runs from the root of the source tree, as `make unit` does.
 */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keyd/config.h"

#define KEY_A "000102030405060708090a0b0c0d0e0f10111213"
#define KEY_B "202122232425262728292a2b2c2d2e2f30313233"

static char *print_problems(const struct problems *ps, const char *file)
{
	char line[FAULT_TEXT_MAX + PROBLEMS_PATH_MAX + PATH_MAX], *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	for (uint32_t i = 0; i < ps->n; i++) {
		problems_print_one(ps, i, file, line, sizeof(line));
		fprintf(out, "%s\n", line);
	}
	fclose(out);
	return text;
}

/* What `xesp-keyd --print` says, to stdout or stderr. */
static char *judge(const char *file, int *err)
{
	struct problems ps = { 0 };
	struct config *c;
	char *text = NULL;
	size_t len;
	FILE *out;

	*err = config_load(&c, file, &ps);
	if (*err)
		return print_problems(&ps, file);
	out = open_memstream(&text, &len);
	config_print(c, out);
	fclose(out);
	config_free(c);
	return text;
}

static char *read_file(const char *path)
{
	char *text = calloc(1, 1 << 20);
	FILE *in = fopen(path, "r");

	if (!in) {
		free(text);
		return NULL;
	}
	text[fread(text, 1, (1 << 20) - 1, in)] = '\0';
	fclose(in);
	return text;
}

/* Has any golden file, or sentence, eight bytes of a key? All keys here count upwards. */
static int shows_a_key(const char *text)
{
	char digits[17];

	for (unsigned int b = 0; b < 0x60; b++) {
		for (unsigned int i = 0; i < 8; i++)
			snprintf(digits + 2 * i, 3, "%02x", b + i);
		if (strcasestr(text, digits))
			return 1;
	}
	return 0;
}

static int check_golden(const char *yaml)
{
	char path[PATH_MAX];
	char *got, *want;
	int err, same;

	got = judge(yaml, &err);
	snprintf(path, sizeof(path), "%.*s%s", (int)(strlen(yaml) - strlen(".yaml")), yaml,
		 err ? ".err" : ".ok");
	want = read_file(path);
	same = want && !strcmp(got, want);
	if (!same)
		printf("  %s: got\n%s  expected %s\n%s", yaml, got, path,
		       want ? want : "(no such file)\n");
	if (shows_a_key(got)) {
		printf("  %s: a key is shown\n", yaml);
		same = 0;
	}
	free(got);
	free(want);
	return same;
}

static void test_goldens(void)
{
	glob_t found;
	int bad = 0;

	CU_ASSERT_EQUAL_FATAL(glob("tests/config/*.yaml", 0, NULL, &found), 0);
	CU_ASSERT(found.gl_pathc > 50);
	for (size_t i = 0; i < found.gl_pathc; i++)
		bad += !check_golden(found.gl_pathv[i]);
	CU_ASSERT_EQUAL(bad, 0);
	globfree(&found);
}

static void test_no_golden_is_left_over(void)
{
	char yaml[PATH_MAX];
	struct stat st;
	glob_t found;

	CU_ASSERT_EQUAL_FATAL(glob("tests/config/*.ok", 0, NULL, &found), 0);
	CU_ASSERT_EQUAL_FATAL(glob("tests/config/*.err", GLOB_APPEND, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *p = found.gl_pathv[i];

		snprintf(yaml, sizeof(yaml), "%.*s.yaml", (int)(strrchr(p, '.') - p), p);
		CU_ASSERT_EQUAL(stat(yaml, &st), 0);
	}
	globfree(&found);
}

/* ---- files of our own */

static char dir[] = "/tmp/xesp-test-config-XXXXXX";

static void remove_dir(void)
{
	char path[PATH_MAX];
	glob_t found;

	snprintf(path, sizeof(path), "%s/*", dir);
	if (!glob(path, 0, NULL, &found)) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			unlink(found.gl_pathv[i]);
		globfree(&found);
	}
	rmdir(dir);
}

static void make_dir(void)
{
	static int made;

	if (made)
		return;
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	made = !atexit(remove_dir);
}

static void put_file(const char *name, mode_t mode, const char *text)
{
	char path[PATH_MAX];
	FILE *out;

	make_dir();
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlink(path);
	out = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	fputs(text, out);
	fclose(out);
	CU_ASSERT_EQUAL_FATAL(chmod(path, mode), 0);
}

static char *judge_with_key_file(mode_t mode, const char *key)
{
	char path[PATH_MAX];
	int err;

	put_file("out.key", mode, key);
	put_file("c.yaml", 0644,
		 "version: 1\ntunnels:\n  - {name: t, local: 192.0.2.1, remote: 192.0.2.2}\nsas:\n"
		 "  - name: a\n    tunnel: t\n    direction: out\n    spi: 256\n"
		 "    algorithm: aes-gcm-128\n    key_file: out.key\n");
	snprintf(path, sizeof(path), "%s/c.yaml", dir);
	return judge(path, &err);
}

static void test_key_file(void)
{
	static const struct {
		const char *what;
		mode_t mode;
		const char *text, *says;
	} rows[] = {
		{ "digits and a newline", 0600, KEY_A "\n", "# key fingerprint: 12576e6507327f71" },
		{ "0x before them", 0400, " 0x" KEY_A, "# key fingerprint: 12576e6507327f71" },
		{ "readable by the group", 0640, KEY_A, "has mode 0640 and so is open to others" },
		{ "readable by all", 0604, KEY_A, "has mode 0604 and so is open to others" },
		{ "empty", 0600, "", "has 0 hex digits" },
		{ "not hex", 0600, KEY_A "xy", "character 41 of the key is not a hex digit" },
		{ "two keys", 0600, KEY_A " " KEY_B, "character 41 of the key is not a hex digit" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got = judge_with_key_file(rows[i].mode, rows[i].text);

		if (!strstr(got, rows[i].says)) {
			printf("  %s: %s\n", rows[i].what, got);
			CU_FAIL("another sentence");
		}
		CU_ASSERT_FALSE(shows_a_key(got));
		free(got);
	}
}

/* It has no keys in it, so that nobody runs with published ones. */
static void test_shipped_example(void)
{
	char path[PATH_MAX], *text = read_file("keyd/xesp.yaml");
	struct problems ps = { 0 };
	struct config *c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_PTR_NULL(strstr(text, " key:"));
	put_file("xesp.yaml", 0600, text);
	put_file("site-b-out.key", 0600, KEY_A "\n");
	put_file("site-b-in.key", 0600, KEY_B "\n");
	snprintf(path, sizeof(path), "%s/xesp.yaml", dir);
	CU_ASSERT_EQUAL_FATAL(config_load(&c, path, &ps), 0);
	CU_ASSERT(c->sad.sas_n == 2 && c->spd.n == 1 && c->interfaces_n == 2);
	config_free(c);
	free(text);
}

static void test_exposed_keys(void)
{
	char path[PATH_MAX];
	struct problems ps = { 0 };
	struct config *c;
	char *text = read_file("tests/config/01-one-tunnel.yaml");

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	put_file("exposed.yaml", 0644, text);
	snprintf(path, sizeof(path), "%s/exposed.yaml", dir);
	CU_ASSERT_EQUAL_FATAL(config_load(&c, path, &ps), 0);
	CU_ASSERT(c->keys_exposed);
	config_free(c);
	put_file("exposed.yaml", 0600, text);
	CU_ASSERT_EQUAL_FATAL(config_load(&c, path, &ps), 0);
	CU_ASSERT_FALSE(c->keys_exposed);
	config_free(c);
	free(text);
}

static void test_unreadable(void)
{
	static const struct {
		const char *path, *says;
	} rows[] = {
		{ "/tmp/xesp-no-such-file.yaml", "cannot open: No such file or directory" },
		{ "/tmp", "not a regular file" },
		{ "/dev/zero", "not a regular file" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int err;
		char *got = judge(rows[i].path, &err);

		CU_ASSERT_EQUAL(err, -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(got, rows[i].says));
		free(got);
	}
}

/* Every prefix of a good file is refused or loads, and nothing breaks (seen by the sanitizers). */
static void test_truncated_at_every_length(void)
{
	char path[PATH_MAX], *text = read_file("tests/config/03-everything.yaml");
	size_t len;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	len = strlen(text);
	make_dir();
	snprintf(path, sizeof(path), "%s/cut.yaml", dir);
	for (size_t n = len; n-- > 0;) {
		int err;

		text[n] = '\0';
		put_file("cut.yaml", 0600, text);
		free(judge(path, &err));
	}
	free(text);
}

static void test_bytes_that_are_not_text(void)
{
	static const char *const rows[] = { "\xff\xfev\0e\0", "\xef\xbb\xbfversion: 1\n",
					    "version: 1 \x01\n", "\x80\x80", "version: \"\xc3\"\n" };
	char path[PATH_MAX];

	make_dir();
	snprintf(path, sizeof(path), "%s/bytes.yaml", dir);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int err;
		char *got;

		put_file("bytes.yaml", 0600, rows[i]);
		got = judge(path, &err);
		CU_ASSERT_EQUAL(err, -EINVAL);
		CU_ASSERT(strlen(got) > 0);
		free(got);
	}
}

CU_TestInfo config_tests[] = {
	{ "each golden file is what comes out, and none shows a key", test_goldens },
	{ "no golden file without its configuration", test_no_golden_is_left_over },
	{ "the shipped example loads, and has no keys", test_shipped_example },
	{ "key_file: white space, modes, contents", test_key_file },
	{ "keys in a file that others can read are noticed", test_exposed_keys },
	{ "what cannot be read is refused", test_unreadable },
	{ "a configuration cut off anywhere", test_truncated_at_every_length },
	{ "bytes that are not text", test_bytes_that_are_not_text },
	CU_TEST_INFO_NULL,
};
