/* SPDX-License-Identifier: BSD-2-Clause */
/* line.c - see line.h. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libxesp/line.h"

void *line_alloc(size_t bytes)
{
	void *p;

	if (bytes > SIZE_MAX - LINE_BYTES)
		return NULL;
	bytes = (bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
	p = aligned_alloc(LINE_BYTES, bytes ? bytes : LINE_BYTES);
	if (p)
		memset(p, 0, bytes);
	return p;
}
