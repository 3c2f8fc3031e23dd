/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.h - the subcommand `explain`: what would happen to a packet, and why.
 *
 * xesp-keyd is asked which policy decides, and xespd what a worker would then do; both answer with the code
 * that packets meet. With --json the two answers in one object (docs/control.md).
 */
#ifndef XESP_EXPLAIN_H
#define XESP_EXPLAIN_H

#include "xesp/command.h"

int explain_command(const struct settings *s, int argc, char **argv);

/* In explain_print.c: the whole answer for people. */
struct json_object;
void explain_print(struct json_object *o);

#endif /* XESP_EXPLAIN_H */
