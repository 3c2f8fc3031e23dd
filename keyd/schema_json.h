/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * schema_json.h - the schema of the configuration, read from JSON: what the control socket gives.
 *
 * The same tables as schema.c's, so that keys, words and sentences are those of the file, and the
 * same struct raw_config comes out, so that all that follows is the same too. Numbers may be JSON
 * numbers or text, switches true and false; a list may be a single value. Main thread.
 */
#ifndef XESP_KEYD_SCHEMA_JSON_H
#define XESP_KEYD_SCHEMA_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include "keyd/schema.h"

struct json_object;

/* Everything that was made of one request; wiped as a whole. */
struct schema_json {
	struct raw_config raw; /* tunnels, groups, sas and policies */
	struct schema_json_block *blocks;
	size_t used;
};

/*
 * `o` has the lists tunnels, groups, sas and policies, each optional; policies may have the keys
 * before and after besides (raw_policy.before). `path` stands before all paths, "set". -EINVAL with
 * problems; schema_json_free() anyway.
 */
int schema_json_load(struct schema_json *j, struct json_object *o, const char *path,
		     struct problems *ps);

/* A list of names under `key`, NULL when it is not there; *n of them. Bad ones are problems. */
int schema_json_names(struct schema_json *j, struct json_object *o, const char *key,
		      const char *path, char ***names, unsigned int *n, struct problems *ps);

void schema_json_free(struct schema_json *j);

#endif /* XESP_KEYD_SCHEMA_JSON_H */
