/* SPDX-License-Identifier: BSD-2-Clause */
/* table.c - see table.h. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xesp/log.h"
#include "xesp/table.h"

#define TABLE_COLUMNS_MAX 16

struct table {
	const char *const *columns;
	unsigned int columns_n;
	int width[TABLE_COLUMNS_MAX];
	char **cells;
	size_t cells_n, room;
};

static bool is_right(const char *column)
{
	return column[0] == '>';
}

static const char *title_of(const char *column)
{
	return is_right(column) ? column + 1 : column;
}

/* Columns of the terminal, not bytes: names may be UTF-8. */
static int width_of(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

struct table *table_open(const char *const *columns)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		log_fatal("table: out of memory");
	t->columns = columns;
	for (; columns[t->columns_n] && t->columns_n < TABLE_COLUMNS_MAX; t->columns_n++)
		t->width[t->columns_n] = width_of(title_of(columns[t->columns_n]));
	return t;
}

void table_cell(struct table *t, const char *fmt, ...)
{
	size_t column = t->cells_n % t->columns_n;
	char *text = NULL;
	va_list ap;
	int n;

	if (t->cells_n == t->room) {
		t->room = t->room ? 2 * t->room : 64;
		t->cells = reallocarray(t->cells, t->room, sizeof(*t->cells));
	}
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n == 0) {
		free(text);
		text = strdup("-");
	}
	if (n < 0 || !text || !t->cells)
		log_fatal("table: out of memory");
	t->cells[t->cells_n++] = text;
	if (width_of(text) > t->width[column])
		t->width[column] = width_of(text);
}

static void print_cell(const struct table *t, unsigned int column, const char *text)
{
	int pad = t->width[column] - width_of(text);
	bool last = column + 1 == t->columns_n;

	if (is_right(t->columns[column]))
		printf("%*s%s", pad, "", text);
	else
		printf("%s%*s", text, last ? 0 : pad, "");
	fputs(last ? "\n" : "  ", stdout);
}

void table_close(struct table *t)
{
	if (t->cells_n)
		for (unsigned int i = 0; i < t->columns_n; i++)
			print_cell(t, i, title_of(t->columns[i]));
	for (size_t i = 0; i < t->cells_n; i++) {
		print_cell(t, (unsigned int)(i % t->columns_n), t->cells[i]);
		free(t->cells[i]);
	}
	free(t->cells);
	free(t);
}

const char *table_bytes(char buf[16], uint64_t bytes)
{
	static const char units[] = "kMGTPE";
	double value = (double)bytes;
	int unit = -1;

	if (bytes < 10000) {
		snprintf(buf, 16, "%u B", (unsigned int)bytes);
		return buf;
	}
	for (; value >= 999.95 && units[unit + 1]; unit++)
		value /= 1000;
	snprintf(buf, 16, "%.1f %cB", value, units[unit]);
	return buf;
}
