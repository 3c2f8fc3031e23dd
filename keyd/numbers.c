/* SPDX-License-Identifier: BSD-2-Clause */
/* numbers.c - see numbers.h. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "keyd/numbers.h"

int numbers_parse(uint64_t *out, const char *text)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = hex ? text + 2 : text;
	char *end;

	/* strtoull() would take signs and spaces, and a leading 0 for octal. */
	if (!isxdigit((unsigned char)*digits))
		return -EINVAL;
	errno = 0;
	*out = strtoull(digits, &end, hex ? 16 : 10);
	return errno || *end || end == digits ? -EINVAL : 0;
}

int numbers_take(uint64_t *out, const char *text, const struct number_range *range,
		 const char *path, struct problems *ps)
{
	char shown[PROBLEMS_SHOWN_MAX];
	uint64_t n;

	if (!text)
		return 0;
	if (numbers_parse(&n, text))
		return problems_add(ps, path, "%s is not a whole number",
				    problems_shown(text, shown));
	if ((n < range->min || n > range->max) && range->why)
		return problems_add(ps, path, "%s is not in %s", text, range->why);
	if (n < range->min || n > range->max)
		return problems_add(ps, path, "%s is not in %" PRIu64 " to %" PRIu64, text,
				    range->min, range->max);
	*out = n;
	return 0;
}
