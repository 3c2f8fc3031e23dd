/* SPDX-License-Identifier: BSD-2-Clause */
/* drops.h - the drop reasons of xesp/drop.h as text. Any thread. */
#ifndef XESP_DROPS_H
#define XESP_DROPS_H

#include <json-c/json.h>
#include <linux/types.h>
#include "xesp/drop.h"
#include "xesp/steer.h"

/* "bad-icv", ...; NULL for XESP_DROP_NONE and values out of range. */
const char *drops_name(enum xesp_drop why);

/* The sentence for an operator; NULL as above. */
const char *drops_text(enum xesp_drop why);

/*
 * A new object {"bad-icv": 3, ...} from XESP_DROP_SLOTS counters, owned by the caller; reasons
 * that never happened are in it only with `all`.
 */
struct json_object *drops_json(const __u64 *by_reason, int all);

/* Of an SA: counts one; any thread, several at once. */
void drops_count(struct xesp_sa_drops *d, enum xesp_drop why);

/* How many of this reason; 0, too, if it came when no place was left. */
__u64 drops_of(const struct xesp_sa_drops *d, enum xesp_drop why);

/* As drops_json(), of those that happened; the ones without a place under DROPS_OTHERS. */
#define DROPS_OTHERS "other-reasons"
struct json_object *drops_json_of(const struct xesp_sa_drops *d);

#endif /* XESP_DROPS_H */
