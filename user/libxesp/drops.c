/* SPDX-License-Identifier: BSD-2-Clause */
/* drops.c - see drops.h. */
#include <stddef.h>

#include "libxesp/drops.h"

static const struct {
	const char *name, *text;
} reasons[XESP_DROP_MAX] = {
#define X(reason, counter, sentence) [XESP_DROP_##reason] = { counter, sentence },
	XESP_DROP_REASONS(X)
#undef X
};

const char *drops_name(enum xesp_drop why)
{
	return (unsigned int)why < XESP_DROP_MAX ? reasons[why].name : NULL;
}

const char *drops_text(enum xesp_drop why)
{
	return (unsigned int)why < XESP_DROP_MAX ? reasons[why].text : NULL;
}

struct json_object *drops_json(const __u64 *by_reason, int all)
{
	struct json_object *o = json_object_new_object();

	for (unsigned int i = XESP_DROP_NONE + 1; i < XESP_DROP_MAX; i++)
		if (all || by_reason[i])
			json_object_object_add(o, reasons[i].name,
					       json_object_new_uint64(by_reason[i]));
	return o;
}
