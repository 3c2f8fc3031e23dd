/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drops.h - the subcommand `drops`: the last packets that were dropped, with the reason of each.
 *
 * Read from the pinned maps (xesp/dropped.h), so it works when no daemon runs.
 */
#ifndef XESP_DROPS_COMMAND_H
#define XESP_DROPS_COMMAND_H

#include "xesp/command.h"

int drops_command(const struct settings *s, int argc, char **argv);

#endif /* XESP_DROPS_COMMAND_H */
