/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counters.h - `xesp counters`: read from the pinned maps, so it works when no daemon runs.
 */
#ifndef XESP_COUNTERS_H
#define XESP_COUNTERS_H

#include "xesp/command.h"

int counters_command(const struct settings *s, int argc, char **argv);

struct fault;
struct json_object;

/* The object of docs/control.md; owned by the caller. -ENOENT: not attached. Else as pins_open().
 */
int counters_read(const char *pins, int all, struct json_object **out, struct fault *f);

/* Adds up the numbers in an object such as {"bad-icv": 3}; NULL is 0. */
unsigned long long counters_sum(struct json_object *by_reason);

#endif /* XESP_COUNTERS_H */
