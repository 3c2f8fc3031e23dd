/* SPDX-License-Identifier: BSD-2-Clause */
/* fault.c - see fault.h; the only place that formats an error sentence. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "xesp/fault.h"

int fault_set(struct fault *f, int err, const char *fmt, ...)
{
	va_list ap;

	if (!f)
		return err;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	return err;
}

int fault_in(struct fault *f, int err, const char *fmt, ...)
{
	char old[FAULT_TEXT_MAX];
	va_list ap;
	size_t used;
	int n;

	if (!f)
		return err;
	memcpy(old, f->text, sizeof(old));
	va_start(ap, fmt);
	n = vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	if (n < 0)
		return err;
	used = strlen(f->text);
	snprintf(f->text + used, sizeof(f->text) - used, ": %s", old);
	return err;
}
