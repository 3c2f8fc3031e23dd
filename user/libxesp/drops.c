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

/* Two that claim a place for one reason claim the same: the first that is free. */
static unsigned int place_of(struct xesp_sa_drops *d, enum xesp_drop why)
{
	for (unsigned int i = 1; i < XESP_SA_DROPS; i++) {
		__u8 has = __atomic_load_n(&d->why[i], __ATOMIC_RELAXED);

		if (!has && __atomic_compare_exchange_n(&d->why[i], &has, (__u8)why, 0, __ATOMIC_RELAXED,
							__ATOMIC_RELAXED))
			return i;
		if (has == why)
			return i;
	}
	return 0;
}

void drops_count(struct xesp_sa_drops *d, enum xesp_drop why)
{
	__atomic_fetch_add(&d->n[place_of(d, why)], 1, __ATOMIC_RELAXED);
}

__u64 drops_of(const struct xesp_sa_drops *d, enum xesp_drop why)
{
	for (unsigned int i = 1; i < XESP_SA_DROPS; i++)
		if (__atomic_load_n(&d->why[i], __ATOMIC_RELAXED) == why)
			return __atomic_load_n(&d->n[i], __ATOMIC_RELAXED);
	return 0;
}

struct json_object *drops_json_of(const struct xesp_sa_drops *d)
{
	__u64 by_reason[XESP_DROP_SLOTS] = { 0 };
	struct json_object *o;

	for (unsigned int why = XESP_DROP_NONE + 1; why < XESP_DROP_MAX; why++)
		by_reason[why] = drops_of(d, (enum xesp_drop)why);
	o = drops_json(by_reason, 0);
	if (d->n[0])
		json_object_object_add(o, DROPS_OTHERS, json_object_new_uint64(d->n[0]));
	return o;
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
