/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vector.h - the files of tests/vectors: rows of fields between blanks, '#' comments.
 */
#ifndef XESP_TEST_VECTOR_H
#define XESP_TEST_VECTOR_H

#include <stddef.h>
#include <stdint.h>

/*
 * Calls `row` for each row of `path` (from the root of the source tree) with its `fields` fields.
 * Returns how many rows there were; -1: no such file, or a row of another number of fields.
 */
int vector_each(const char *path, int fields, void (*row)(char **field, void *ctx), void *ctx);

/* Bytes of the hex digits; exits when they do not fit. */
uint32_t vector_hex(uint8_t *out, size_t room, const char *hex);

#endif /* XESP_TEST_VECTOR_H */
