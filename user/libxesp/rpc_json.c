/* SPDX-License-Identifier: BSD-2-Clause */
/* rpc_json.c - see rpc_json.h. */
#include <json-c/printbuf.h>
#include <stddef.h>
#include <stdint.h>

#include "libxesp/rpc.h"
#include "libxesp/rpc_json.h"
#include "libxesp/secret.h"

#define DEPTH     16
#define TEXT_ROOM 4096 /* bytes: longer than any key in text */

/* Requests may carry keys, and json-c frees without wiping. */
void rpc_wipe(struct json_object *o)
{
	if (json_object_is_type(o, json_type_string)) {
		/* The object's own bytes. */
		secret_wipe((char *)(uintptr_t)json_object_get_string(o),
			    (size_t)json_object_get_string_len(o));
	} else if (json_object_is_type(o, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(o); i++)
			rpc_wipe(json_object_array_get_idx(o, i));
	} else if (json_object_is_type(o, json_type_object)) {
		json_object_object_foreach(o, key, value) {
			(void)key;
			rpc_wipe(value);
		}
	}
}

struct json_object *rpc_parse(const char *line, size_t len)
{
	struct json_tokener *tok = json_tokener_new_ex(DEPTH);
	struct json_object *o = NULL;

	if (!tok)
		return NULL;
	/* Strings pass through json-c's buffer: as large as it gets, so that it leaves no copies behind. */
	printbuf_memset(tok->pb, -1, 0, TEXT_ROOM);
	printbuf_reset(tok->pb);
	/* Strict: also refuses what follows the object, and comments. */
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(tok, line, (int)len);
	/* A zero byte ends json-c's reading early, and must not hide what follows it. */
	if (o &&
	    (json_tokener_get_parse_end(tok) != len || !json_object_is_type(o, json_type_object))) {
		rpc_wipe(o);
		json_object_put(o);
		o = NULL;
	}
	secret_wipe(tok->pb->buf, (size_t)tok->pb->size);
	json_tokener_free(tok);
	return o;
}
