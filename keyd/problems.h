/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * problems.h - what is wrong in a configuration: several sentences, each with file, line and key.
 *
 * Why it exists: struct fault holds one sentence, and a person who edits a file wants all of them
 * at once. Whoever checks adds a problem under the path of its key ("sas[1].spi"); source.c knows
 * on which line that is. No value that could be key material may be an argument: see
 * problems_shown(). Main thread.
 */
#ifndef XESP_KEYD_PROBLEMS_H
#define XESP_KEYD_PROBLEMS_H

#include <stddef.h>
#include <stdint.h>
#include "xesp/fault.h"

#define PROBLEMS_MAX 16
#define PROBLEMS_PATH_MAX 96

struct problem {
	char path[PROBLEMS_PATH_MAX]; /* "sas[1].spi"; empty: the file as a whole */
	uint32_t line;                /* 0 not known */
	char text[FAULT_TEXT_MAX];
};

struct problems {
	uint32_t n;
	uint32_t left_out; /* found, but more than fit */
	struct problem problem[PROBLEMS_MAX];
};

/* Returns -EINVAL: return problems_add(...); */
int problems_add(struct problems *ps, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), cold));

/* The path of a key in the mapping at `path`, and of an entry in the list at `path`. */
void problems_below(char out[PROBLEMS_PATH_MAX], const char *path, const char *key);
void problems_entry(char out[PROBLEMS_PATH_MAX], const char *path, uint32_t i);

/* "xesp.yaml:12: sas[1].spi: sentence" */
void problems_print_one(const struct problems *ps, uint32_t i, const char *file, char *buf,
			size_t len);

/* The first of them as a fault; with more, says how many. Returns -EINVAL. */
int problems_fault(const struct problems *ps, const char *file, struct fault *f);

#define PROBLEMS_SHOWN_MAX 48

/*
 * A value as it may be shown: cut to fit, and left out when it could be a key that was put under
 * the wrong name (a long run of hex digits). Returns buf.
 */
const char *problems_shown(const char *value, char buf[PROBLEMS_SHOWN_MAX]);

#endif /* XESP_KEYD_PROBLEMS_H */
