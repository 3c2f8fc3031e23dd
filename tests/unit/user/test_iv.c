/* SPDX-License-Identifier: BSD-2-Clause */
/* IVs for AES-CBC: never twice, and none follows from another. */
#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "esp/iv.h"

#define TAKEN (16 * IV_POOL)

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, IV_LEN);
}

/* Each bit of TAKEN random numbers is set in about half of them: six standard deviations are 192. */
static void like_random(void)
{
	static uint8_t iv[TAKEN][IV_LEN];
	static struct iv_pool pool;
	int set[IV_LEN * 8] = { 0 }, alike[IV_LEN * 8] = { 0 };

	for (int i = 0; i < TAKEN; i++) {
		CU_ASSERT_TRUE_FATAL(iv_take(&pool, iv[i]));
		for (int b = 0; b < IV_LEN * 8; b++) {
			set[b] += iv[i][b / 8] >> b % 8 & 1;
			alike[b] += i && !((iv[i][b / 8] ^ iv[i - 1][b / 8]) >> b % 8 & 1);
		}
	}
	for (int b = 0; b < IV_LEN * 8; b++) {
		CU_ASSERT_TRUE(abs(set[b] - TAKEN / 2) < 192);
		CU_ASSERT_TRUE(abs(alike[b] - TAKEN / 2) < 192);
	}
	qsort(iv, TAKEN, IV_LEN, compare);
	for (int i = 1; i < TAKEN; i++)
		CU_ASSERT_NOT_EQUAL(memcmp(iv[i - 1], iv[i], IV_LEN), 0);
}

/* Two workers, or a worker and its successor. */
static void pools_differ(void)
{
	static struct iv_pool a, b;
	uint8_t x[IV_LEN], y[IV_LEN];

	CU_ASSERT_TRUE(iv_take(&a, x) && iv_take(&b, y));
	CU_ASSERT_EQUAL(a.left, IV_POOL - 1);
	CU_ASSERT_NOT_EQUAL(memcmp(x, y, IV_LEN), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(a.iv, b.iv, sizeof(a.iv)), 0);
}

CU_TestInfo iv_tests[] = {
	{ "never twice, and like random", like_random },
	{ "two pools have nothing in common", pools_differ },
	CU_TEST_INFO_NULL,
};
