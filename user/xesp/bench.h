/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench.h - `xesp bench`: what this machine can do, without touching its network.
 *
 * The command links none of the daemon's rooms. What measures them is the program xesp-bench (user/bench),
 * beside it or in ../lib/xesp, and this becomes that program.
 */
#ifndef XESP_BENCH_H
#define XESP_BENCH_H

#include "xesp/command.h"

int bench_command(const struct settings *s, int argc, char **argv);

#endif /* XESP_BENCH_H */
