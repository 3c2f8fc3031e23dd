/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * numbers.h - whole numbers as people write them: decimal, or hex behind 0x. Main thread.
 */
#ifndef XESP_KEYD_NUMBERS_H
#define XESP_KEYD_NUMBERS_H

#include <stdint.h>
#include "keyd/problems.h"

/* -EINVAL: not a number, or trailing characters, or more than 64 bits. */
int numbers_parse(uint64_t *out, const char *text);

struct number_range {
	uint64_t min, max;
	const char *why; /* "256 to 0xffffffff (RFC 4303 section 2.1)"; NULL: min to max */
};

/* Leaves *out alone when `text` is NULL (the default stays). -EINVAL with a problem at `path`. */
int numbers_take(uint64_t *out, const char *text, const struct number_range *range,
		 const char *path, struct problems *ps);

#endif /* XESP_KEYD_NUMBERS_H */
