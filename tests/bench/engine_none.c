/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine_none.c - no crypto at all, for the bench: what the worker costs without it.
 *
 * Only tests/bench links this. There it takes the place of engine_openssl, by the linker's --wrap,
 * in a program of its own; nothing that is installed contains it, and no option selects it.
 */
#include <stdlib.h>

#include "crypto/engine.h"

struct engine_key {
	char unused;
};

static struct engine_key *open_key(const struct engine_key_spec *spec, struct fault *f)
{
	(void)spec;
	(void)f;
	return calloc(1, sizeof(struct engine_key));
}

static void close_key(struct engine_key *key)
{
	free(key);
}

static void pass(struct engine_job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		jobs[i].ok = true;
}

extern const struct engine __wrap_engine_openssl;
const struct engine __wrap_engine_openssl = {
	.name = "none",
	.key_open = open_key,
	.key_close = close_key,
	.encrypt = pass,
	.decrypt = pass,
};

int __wrap_engine_selftest(const struct engine *e, struct fault *f);
int __wrap_engine_selftest(const struct engine *e, struct fault *f)
{
	(void)e;
	(void)f;
	return 0;
}
