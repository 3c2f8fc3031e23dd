/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.h - one line to stderr per event, for people and journald.
 *
 * "<room>: <thing>: <what>", with the level as a "<N>" prefix under journald (sd-daemon(3),
 * $JOURNAL_STREAM). Never call it per packet; lines that traffic can trigger go through a struct
 * log_limit. Key material has no printer and must never be an argument. Any thread.
 */
#ifndef XESP_LOG_H
#define XESP_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* Lines above `level` are left out; LOG_LEVEL_INFO until called. */
void log_open(const char *program, enum log_level level);

void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* An invariant of our own is broken: says which, and exits with 70. Never for input. */
void log_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn, cold));

/* At most one line a second per limit; *suppressed says how many were left out before this one. */
struct log_limit {
	uint64_t next_ns;
	uint64_t suppressed;
};
bool log_allowed(struct log_limit *limit, uint64_t *suppressed);

#endif /* XESP_LOG_H */
