/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * detach.h - `xesp detach`: interfaces as they were before `xesp attach`; the maps stay unless
 * they are purged. Needs no daemon, and none of the maps to be of this program's ABI.
 */
#ifndef XESP_DETACH_H
#define XESP_DETACH_H

#include "xesp/command.h"

int detach_command(const struct settings *s, int argc, char **argv);

#endif /* XESP_DETACH_H */
