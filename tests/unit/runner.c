/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * runner.c - runs the suites that the Makefile found and says one line per test, for tests/run.
 * An argument runs only the suite of that name.
 */
#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>
#include <stdio.h>
#include <string.h>

extern CU_SuiteInfo suites[];

static void test_done(const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord failure)
{
	printf("%s %s: %s\n", failure ? "FAIL" : "PASS", suite->pName, test->pName);
	for (const CU_FailureRecord *f = failure; f; f = f->pNext)
		printf("  %s:%u: %s\n", f->strFileName, f->uiLineNumber, f->strCondition);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	unsigned int failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 70;
	for (CU_SuiteInfo *s = suites; s->pName; s++) {
		CU_SuiteInfo one[] = { *s, CU_SUITE_INFO_NULL };

		if (argc > 1 && strcmp(argv[1], s->pName))
			continue;
		if (CU_register_suites(one) != CUE_SUCCESS) {
			fprintf(stderr, "suite %s: %s\n", s->pName, CU_get_error_msg());
			return 70;
		}
	}
	CU_set_test_complete_handler(test_done);
	CU_run_all_tests();
	failed = CU_get_number_of_tests_failed();
	CU_cleanup_registry();
	return failed ? 1 : 0;
}
