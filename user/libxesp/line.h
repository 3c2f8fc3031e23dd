/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * line.h - memory that shares no cache line with any other.
 *
 * Why it exists: what one thread writes for each packet must not lie in a line that another thread writes or reads, or
 * the line goes to and fro between their CPUs, at a hundred nanoseconds each time. The heap puts objects
 * side by side every 16 bytes, so two workers' objects share a line where they meet.
 */
#ifndef XESP_LINE_H
#define XESP_LINE_H

#include <stddef.h>

#define LINE_BYTES 64

/* Zeroed, from the begin of a line to the end of one. Given back by free(). NULL: out of memory. */
void *line_alloc(size_t bytes) __attribute__((malloc, warn_unused_result));

#endif /* XESP_LINE_H */
