/* SPDX-License-Identifier: BSD-2-Clause */
/* problems.c - see problems.h. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "keyd/problems.h"

/* The shortest key we know has 40 digits; an SPI has 8, a prefix has dots or colons. */
#define KEY_LIKE_DIGITS 20

int problems_add(struct problems *ps, const char *path, const char *fmt, ...)
{
	struct problem *p;
	va_list ap;

	if (ps->n == PROBLEMS_MAX) {
		ps->left_out++;
		return -EINVAL;
	}
	p = &ps->problem[ps->n++];
	p->line = 0;
	snprintf(p->path, sizeof(p->path), "%s", path);
	va_start(ap, fmt);
	vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

void problems_below(char out[PROBLEMS_PATH_MAX], const char *path, const char *key)
{
	const size_t path_len = strnlen(path, PROBLEMS_PATH_MAX - 2);
	const size_t key_len = strnlen(key, PROBLEMS_PATH_MAX - 2 - path_len);

	/* Cut off as snprintf() does it: ten times an SA, whether or not anything is wrong with it. */
	memmove(out, path, path_len);
	out[path_len] = '.';
	memcpy(out + path_len + 1, key, key_len);
	out[path_len + 1 + key_len] = '\0';
}

void problems_entry(char out[PROBLEMS_PATH_MAX], const char *path, uint32_t i)
{
	snprintf(out, PROBLEMS_PATH_MAX, "%s[%u]", path, i);
}

void problems_print_one(const struct problems *ps, uint32_t i, const char *file, char *buf,
			size_t len)
{
	const struct problem *p = &ps->problem[i];
	char where[32] = "";

	if (p->line)
		snprintf(where, sizeof(where), ":%u", p->line);
	snprintf(buf, len, "%s%s: %s%s%s", file, where, p->path, p->path[0] ? ": " : "", p->text);
}

int problems_fault(const struct problems *ps, const char *file, struct fault *f)
{
	uint32_t more = ps->n ? ps->n - 1 + ps->left_out : 0;
	char line[FAULT_TEXT_MAX + PROBLEMS_PATH_MAX + 128];

	if (!ps->n)
		return fault_set(f, -EINVAL, "%s: refused", file);
	problems_print_one(ps, 0, file, line, sizeof(line));
	if (more)
		return fault_set(f, -EINVAL, "%.200s (and %u more: see `xesp-keyd --check`)", line,
				 more);
	return fault_set(f, -EINVAL, "%s", line);
}

const char *problems_shown(const char *value, char buf[PROBLEMS_SHOWN_MAX])
{
	size_t run = 0;

	for (const char *c = value; *c; c++) {
		/* Separators that people put into keys do not end a run. */
		if (isxdigit((unsigned char)*c))
			run++;
		else if (!strchr(" :-_", *c) || strchr(c, '/'))
			run = 0;
		if (run >= KEY_LIKE_DIGITS && !strchr(value, '/')) {
			snprintf(buf, PROBLEMS_SHOWN_MAX, "(%zu characters, not shown)",
				 strlen(value));
			return buf;
		}
	}
	if (strlen(value) < PROBLEMS_SHOWN_MAX - 2)
		snprintf(buf, PROBLEMS_SHOWN_MAX, "'%s'", value);
	else
		snprintf(buf, PROBLEMS_SHOWN_MAX, "'%.*s...'", PROBLEMS_SHOWN_MAX - 6, value);
	return buf;
}
