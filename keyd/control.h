/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.h - keyd's requests of docs/control.md: status, sa, policy, reload, set. Main thread.
 */
#ifndef XESP_KEYD_CONTROL_H
#define XESP_KEYD_CONTROL_H

#include "libxesp/rpc.h"

/* 100 000 SAs in one transaction have 25 MB. */
#define CONTROL_LINE_MAX (64u << 20)

/* The request "set": a transaction. control_set.c */
int control_set(void *ctx, struct json_object *params, struct json_object **result, struct fault *f);

/* The context of the table is a struct daemon. */
extern const struct rpc_method control_methods[];

#endif /* XESP_KEYD_CONTROL_H */
