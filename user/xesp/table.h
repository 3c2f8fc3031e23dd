/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.h - aligned columns for people. Cells are text; nothing is wrapped or cut.
 */
#ifndef XESP_TABLE_H
#define XESP_TABLE_H

#include <stdint.h>

struct table;

/* `columns` ends with NULL and is borrowed; a column whose title begins with '>' is right-aligned.
 */
struct table *table_open(const char *const *columns);

/* The next cell of the present row; rows follow each other by themselves. Empty prints as "-". */
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prints what was added, with the titles, and frees the table; without rows it prints nothing. */
void table_close(struct table *t);

/* "1.2 GB" and so on, decimal units as network people use them; below 10 000 the number itself. */
const char *table_bytes(char buf[16], uint64_t bytes);

#endif /* XESP_TABLE_H */
