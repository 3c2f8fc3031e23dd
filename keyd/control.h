/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.h - keyd's requests of docs/control.md: status, sa, policy, reload. Main thread.
 */
#ifndef XESP_KEYD_CONTROL_H
#define XESP_KEYD_CONTROL_H

#include "libxesp/rpc.h"

/* The context of the table is a struct daemon. */
extern const struct rpc_method control_methods[];

#endif /* XESP_KEYD_CONTROL_H */
