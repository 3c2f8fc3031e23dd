/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rpc_json.h - lines of the control socket as JSON, without leaving keys behind in freed memory.
 *
 * Of rpc.c alone, but for rpc_wipe(), which handlers use too (rpc.h). Main thread.
 */
#ifndef XESP_RPC_JSON_H
#define XESP_RPC_JSON_H

#include <json-c/json.h>
#include <stddef.h>

/*
 * The caller's new object (rpc_wipe(), json_object_put()), or NULL when the line is anything but one
 * JSON object, no deeper than 16. `line` needs no end and is not changed.
 */
struct json_object *rpc_parse(const char *line, size_t len);

#endif
