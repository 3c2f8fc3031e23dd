/* SPDX-License-Identifier: BSD-2-Clause */
/* set.h - the subcommand that sends a transaction to xesp-keyd: docs/control.md. */
#ifndef XESP_SET_H
#define XESP_SET_H

#include "xesp/command.h"

int set_command(const struct settings *s, int argc, char **argv);

#endif /* XESP_SET_H */
