/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects of one size: zeroed, apart, wiped, and used again. */
#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "libxesp/arena.h"

#define N 40000 /* of 192 bytes: the small block, and more than one of 2 MiB */

struct thing {
	uint64_t number;
	uint8_t secret[150];
};

static bool is_zero(const void *p, size_t len)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < len; i++)
		if (b[i])
			return false;
	return true;
}

static void many_stand_apart(void)
{
	static struct thing *thing[N];
	struct arena a = ARENA_OF(sizeof(struct thing));
	uint32_t wrong = 0;

	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < N; i++) {
			thing[i] = arena_take(&a);
			CU_ASSERT_PTR_NOT_NULL_FATAL(thing[i]);
			wrong += (uintptr_t)thing[i] % 64 != 0 || !is_zero(thing[i], a.size);
			memset(thing[i], 0xa5, sizeof(*thing[i]));
			thing[i]->number = i;
		}
		for (uint32_t i = 0; i < N; i++)
			wrong += thing[i]->number != i || thing[i]->secret[149] != 0xa5;
		for (uint32_t i = 0; i < N; i++)
			arena_put(&a, thing[i]);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	arena_fini(&a);
}

/* What is given back is taken next, and holds nothing but the way to the one before. */
static void given_back_is_wiped(void)
{
#if !defined(__SANITIZE_ADDRESS__)
	struct arena a = ARENA_OF(sizeof(struct thing));
	struct thing *t = arena_take(&a), *again;

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	memset(t, 0xa5, sizeof(*t));
	arena_put(&a, t);
	CU_ASSERT_TRUE(is_zero(t->secret, sizeof(t->secret)));
	again = arena_take(&a);
	CU_ASSERT_PTR_EQUAL(again, t);
	CU_ASSERT_TRUE(is_zero(again, a.size));
	arena_put(&a, again);
	arena_fini(&a);
#endif
}

CU_TestInfo arena_tests[] = {
	{ "many objects stand apart, zeroed, twice", many_stand_apart },
	{ "what is given back is wiped", given_back_is_wiped },
	CU_TEST_INFO_NULL,
};
