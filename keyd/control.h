/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.h - keyd's requests of docs/control.md: status, sa, policy, reload, set. Main thread.
 */
#ifndef XESP_KEYD_CONTROL_H
#define XESP_KEYD_CONTROL_H

#include "libxesp/rpc.h"

struct daemon;
struct sa;

/* 100 000 SAs in one transaction have 25 MB. */
#define CONTROL_LINE_MAX (64u << 20)

/* The request "set": a transaction. control_set.c */
int control_set(void *ctx, struct json_object *params, struct json_object **result, struct fault *f);

/* An entry of `sa`, and of `policy`; the caller owns it. What enum xesp_action is called. */
struct json_object *control_sa_json(const struct daemon *d, const struct sa *sa);
struct json_object *control_policy_json(const struct daemon *d, uint32_t rank);
const char *control_action(uint8_t action);

/* The context of the table is a struct daemon. */
extern const struct rpc_method control_methods[];

#endif /* XESP_KEYD_CONTROL_H */
