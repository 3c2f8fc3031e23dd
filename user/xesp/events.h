/* SPDX-License-Identifier: BSD-2-Clause */
/* events.h - the subcommand that prints what happens, as it happens: docs/control.md. */
#ifndef XESP_EVENTS_H
#define XESP_EVENTS_H

#include "xesp/command.h"

int events_command(const struct settings *s, int argc, char **argv);

#endif /* XESP_EVENTS_H */
