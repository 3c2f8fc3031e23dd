/* SPDX-License-Identifier: BSD-2-Clause */
/* namespace.h - a part of a test in a process and a network namespace of its own. */
#ifndef XESP_TEST_NAMESPACE_H
#define XESP_TEST_NAMESPACE_H

#include <stdbool.h>

/*
 * Runs `body` in a child with a new network namespace, where lo is up. True: it returned 0. What
 * went wrong it says on stderr. Everything it made ends with it.
 */
bool namespace_run(int (*body)(void));

/* A shell command; true: it exited with 0. */
bool namespace_sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* XESP_TEST_NAMESPACE_H */
