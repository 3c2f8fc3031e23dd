/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * source.h - the configuration file as text, before the schema sees it.
 *
 * Why it exists: libcyaml forgets line numbers once it has loaded a file, takes the last of two
 * equal keys, and cannot take "one prefix or a list of prefixes". So the text is walked first, by
 * libyaml's events: equal keys, anchors, tags and second documents are refused, a single value
 * where the schema has a list is put into brackets, and the line of any key can be asked for.
 * The text may hold keys: it lives in locked memory and is wiped. Main thread.
 */
#ifndef XESP_KEYD_SOURCE_H
#define XESP_KEYD_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "keyd/problems.h"

#define SOURCE_BYTES_MAX (64u << 20)

struct source {
	char *text; /* secret_alloc() */
	size_t len;
	mode_t mode; /* of the file */
	char *loadable; /* the text with lists in brackets; secret_alloc() */
	size_t loadable_len;
	size_t loadable_size;
};

/* Reads a file. Problems are added; -EINVAL then. End with source_close(), also on failure. */
int source_open(struct source *s, const char *path, struct problems *ps);
int source_open_text(struct source *s, const char *text, size_t len, struct problems *ps);
void source_close(struct source *s);

/*
 * Walks the text and makes `loadable`. list_paths (ending with NULL) are the keys that take one
 * value or a list, with "[]" for any index: "policies[].local". -EINVAL with problems.
 */
int source_prepare(struct source *s, const char *const *list_paths, struct problems *ps);

/* Gives each problem the line of its path, or of the nearest key above it that is in the text. */
void source_locate(const struct source *s, struct problems *ps);

/* A key's name ends up in paths that are shown: one that is not like our keys becomes "?". */
bool source_is_showable(const char *key, size_t len);

#endif /* XESP_KEYD_SOURCE_H */
