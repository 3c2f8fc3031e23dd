/* SPDX-License-Identifier: BSD-2-Clause */
/* Which engine serves what: names, what is missing, what is not an engine at all. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/choice.h"
#include "tests/pair/pair.h"
#include "xesp/fault.h"

static int rows, by_ipsecmb, measured;

static void count_row(void *ctx, const struct choice_row *r)
{
	(void)ctx;
	rows++;
	by_ipsecmb += !strcmp(r->engine, "ipsec-mb");
	measured += r->ns[0] && r->ns[1];
	CU_ASSERT_TRUE(!strcmp(r->engine, "ipsec-mb") || !strcmp(r->engine, "openssl"));
}

static void count(void)
{
	rows = by_ipsecmb = measured = 0;
	choice_each(count_row, NULL);
	CU_ASSERT_EQUAL(rows, 50 + 6); /* as tests/pair has them, and AH's */
}

static void by_name(void)
{
	struct fault f = { "" };

	CU_ASSERT_EQUAL(choice_open("fastest", NULL, &f), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "no engine is named fastest"));
	CU_ASSERT_EQUAL(choice_open("openssl", NULL, &f), 0);
	CU_ASSERT_STRING_EQUAL(choice_name(), "openssl");
	CU_ASSERT_STRING_EQUAL(choice_remark(), "");
	CU_ASSERT_PTR_EQUAL(choice_engine(), &engine_openssl);
	count();
	CU_ASSERT_EQUAL(by_ipsecmb, 0);
	choice_close();
}

/* A machine without the shared object, and one on which it is something else. */
static void not_there(const char *dir, const char *why)
{
	struct fault f = { "" };

	CU_ASSERT_EQUAL(choice_open("auto", dir, &f), 0);
	CU_ASSERT_STRING_EQUAL(choice_name(), "openssl");
	CU_ASSERT_PTR_NOT_NULL(strstr(choice_remark(), why));
	CU_ASSERT_PTR_EQUAL(choice_engine(), &engine_openssl);
	choice_close();
	CU_ASSERT_EQUAL(choice_open("ipsec-mb", dir, &f), -ENOTSUP);
	if (!strstr(f.text, why))
		fprintf(stderr, "choice: '%s'\n", f.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, why));
	choice_close();
}

static void without(void)
{
	char dir[] = "/tmp/xesp-test-choice-XXXXXX", path[64];
	FILE *file;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/" CHOICE_IPSECMB_SO, dir);
	not_there(dir, "no " CHOICE_IPSECMB_SO);
	file = fopen(path, "w");
	fputs("not an ELF object", file);
	fclose(file);
	not_there(dir, "engine ipsec-mb: ");
	unlink(path);
	/* A shared object, but no engine. */
	CU_ASSERT_EQUAL(symlink("/lib/x86_64-linux-gnu/libm.so.6", path), 0);
	if (!access(path, R_OK))
		not_there(dir, "another version of xesp");
	unlink(path);
	rmdir(dir);
}

/* An object of another version of xesp, in tests/unit: it must not so much as be asked. */
static void of_another_version(void)
{
	char dir[300];

	snprintf(dir, sizeof(dir), "%s/tests/yesterday", pair_build_dir());
	not_there(dir, "another version of xesp");
}

static void with(void)
{
	struct fault f = { "" };

	if (!pair_use_ipsecmb())
		return;
	CU_ASSERT_STRING_EQUAL(choice_name(), "ipsec-mb+openssl");
	CU_ASSERT_PTR_NOT_EQUAL(choice_engine(), &engine_openssl);
	count();
	/* All but AES-CCM with 192-bit keys and AH's HMAC. */
	CU_ASSERT_EQUAL(by_ipsecmb, 56 - 4 - 3);
	CU_ASSERT_PTR_EQUAL(choice_of(XESP_ALG_AES_CCM_16, XESP_AUTH_NONE, 24), &engine_openssl);
	CU_ASSERT_PTR_NULL(choice_of(XESP_ALG_AES_GCM_16, XESP_AUTH_HMAC_SHA2_256_128, 16));
	pair_use_openssl();

	CU_ASSERT_EQUAL(choice_open("auto", pair_build_dir(), &f), 0);
	count();
	CU_ASSERT_EQUAL(measured, 56 - 4 - 3);
	CU_ASSERT_STRING_EQUAL(choice_remark(), "");
	choice_close();
}

CU_TestInfo choice_tests[] = {
	{ "engines by name", by_name },
	{ "without ipsec-mb everything is openssl's", without },
	{ "an object of another version is left alone", of_another_version },
	{ "with ipsec-mb what it has is its", with },
	CU_TEST_INFO_NULL,
};
