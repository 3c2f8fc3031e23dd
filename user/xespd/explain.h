/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.h - the request `explain`: what a worker would make of a packet given by its selectors.
 *
 * keyd knows which policy is the first to match, and asks nobody; the command takes that answer here. A packet
 * is made of the selectors and goes through the stages of encap as far as they only look (esp/dry.h), and the
 * mirror of routes is asked where it would go. docs/control.md has the members. Main thread.
 */
#ifndef XESP_XESPD_EXPLAIN_H
#define XESP_XESPD_EXPLAIN_H

#include "libxesp/rpc.h"

/* `ctx` is a struct daemon. -EINVAL: params name no packet */
int explain_request(void *ctx, struct json_object *params, struct json_object **result, struct fault *f);

#endif /* XESP_XESPD_EXPLAIN_H */
