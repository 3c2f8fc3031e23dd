/* SPDX-License-Identifier: BSD-2-Clause */
/* log.c - see log.h. One write(2) a line, so that lines of several threads do not mix. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "xesp/clock.h"
#include "xesp/log.h"

#define LOG_LINE_MAX 512

static const char *log_program = "xesp";
static enum log_level log_threshold = LOG_LEVEL_INFO;

void log_open(const char *program, enum log_level level)
{
	log_program = program;
	log_threshold = level;
}

static void write_line(enum log_level level, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void write_line(enum log_level level, const char *fmt, va_list ap)
{
	char line[LOG_LINE_MAX];
	size_t used;

	/* journald names the socket it gave a service; whoever else reads is better off without. */
	if (getenv("JOURNAL_STREAM"))
		snprintf(line, sizeof(line), "<%d>%s: ", (int)level, log_program);
	else
		snprintf(line, sizeof(line), "%s: ", log_program);
	used = strlen(line);
	vsnprintf(line + used, sizeof(line) - used - 1, fmt, ap);
	used = strlen(line);
	line[used++] = '\n';
	/* Nobody is left to tell when stderr itself fails. */
	if (write(STDERR_FILENO, line, used) < 0)
		return;
}

void log_at(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > log_threshold)
		return;
	va_start(ap, fmt);
	write_line(level, fmt, ap);
	va_end(ap);
}

void log_fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(LOG_LEVEL_ERROR, fmt, ap);
	va_end(ap);
	_exit(EX_SOFTWARE);
}

bool log_allowed(struct log_limit *limit, uint64_t *suppressed)
{
	uint64_t now = clock_ns(), next;

	next = __atomic_load_n(&limit->next_ns, __ATOMIC_RELAXED);
	/* Of several threads that see the second over, the one whose exchange succeeds speaks. */
	if (now < next ||
	    !__atomic_compare_exchange_n(&limit->next_ns, &next, now + 1000000000u, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		__atomic_fetch_add(&limit->suppressed, 1, __ATOMIC_RELAXED);
		return false;
	}
	*suppressed = __atomic_exchange_n(&limit->suppressed, 0, __ATOMIC_RELAXED);
	return true;
}
