/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * confine.h - a daemon gives up, for good, what it does not need: capabilities and system calls.
 *
 * Why it exists: both daemons hold keys and parse what others send. Who takes one over should not
 * get the machine as well. Each daemon's own privilege.c says what it keeps, and why; how that is
 * done, and what every daemon may or may never do, is here.
 */
#ifndef XESP_CONFINE_H
#define XESP_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fault;

/* A system call that is allowed by what it asks for: (argument & mask) == value. */
struct confine_rule {
	int call;
	unsigned int arg;
	uint64_t mask, value;
};

#define CONFINE_WHOLE UINT32_MAX /* mask of a whole argument of which the kernel looks at 32 bits */

struct confine {
	const char *program;              /* for the sentence */
	const int *caps;                  /* capabilities kept; CAP_IPC_LOCK is added where needed */
	const int *calls;                 /* allowed beside those that every daemon makes */
	const struct confine_rule *rules; /* allowed by their arguments, likewise */
	const int *deadly;                /* end the process, beside those that always do */
	size_t caps_n, calls_n, rules_n, deadly_n;
};

/*
 * From the main thread, before any other thread exists: they inherit it. Everything not named is
 * answered with ENOSYS, so that libraries fall back to an older way. With `verbose` the kernel logs
 * what the filter refuses. -EPERM, or -errno of seccomp(2): then better not run.
 */
int confine_apply(const struct confine *c, bool verbose, struct fault *f);

#endif /* XESP_CONFINE_H */
