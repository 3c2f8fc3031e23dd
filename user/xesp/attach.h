/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attach.h - `xesp attach`: load, attach, pin, and exit; all of it or nothing.
 */
#ifndef XESP_ATTACH_H
#define XESP_ATTACH_H

#include "xesp/command.h"

int attach_command(const struct settings *s, int argc, char **argv);

/* Tells a running xespd that interfaces came or went; warns when it cannot serve them. */
void attach_tell_worker(const struct settings *s);

#endif /* XESP_ATTACH_H */
