/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine_none.c - no crypto at all, for the bench: what the worker costs without it.
 *
 * Only tests/bench links this. There it takes the place of user/crypto/choice.c in a program of its own;
 * nothing that is installed contains it, and no option selects it.
 */
#include <stdlib.h>

#include "crypto/choice.h"

static const struct engine engine_none;

static struct engine_key *open_key(const struct engine_key_spec *spec, struct fault *f)
{
	struct engine_key *k = calloc(1, sizeof(*k));

	(void)spec;
	(void)f;
	if (k)
		k->engine = &engine_none;
	return k;
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

static const struct engine engine_none = {
	.name = "none",
	.version = "",
	.key_open = open_key,
	.key_close = close_key,
	.encrypt = pass,
	.decrypt = pass,
};

int choice_open(const char *wanted, const char *dir, struct fault *f)
{
	(void)wanted;
	(void)dir;
	(void)f;
	return 0;
}

void choice_close(void)
{
}

const struct engine *choice_engine(void)
{
	return &engine_none;
}

const char *choice_name(void)
{
	return engine_none.name;
}

const char *choice_version(void)
{
	return "";
}

const char *choice_remark(void)
{
	return "";
}

const struct engine *choice_of(unsigned int alg, unsigned int auth, size_t key_len)
{
	(void)alg;
	(void)auth;
	(void)key_len;
	return &engine_none;
}

void choice_each(void (*row)(void *ctx, const struct choice_row *r), void *ctx)
{
	(void)row;
	(void)ctx;
}
