/* SPDX-License-Identifier: BSD-2-Clause */
/* dead_peer.c - see dead_peer.h. */
#include <errno.h>

#include "keyd/dead_peer.h"
#include "keyd/numbers.h"
#include "keyd/sad.h"
#include "keyd/schema.h"
#include "libxesp/addr.h"

#define INTERVAL_LEAST 50 /* ms */
#define INTERVAL_MOST 60000
#define INTERVAL_DEFAULT 200 /* with three misses a dead peer is known within a second */
#define MISSES_MOST 100
#define MISSES_DEFAULT 3

int dead_peer_take(struct tunnel *t, const struct raw_tunnel *raw, const char *path,
		   struct problems *ps)
{
	const struct number_range intervals = { INTERVAL_LEAST, INTERVAL_MOST, NULL };
	const struct number_range misses = { 1, MISSES_MOST, NULL };
	uint64_t interval = INTERVAL_DEFAULT, missed = MISSES_DEFAULT;
	char where[PROBLEMS_PATH_MAX];
	int err;

	problems_below(where, path, "dpd_interval");
	err = numbers_take(&interval, raw->dpd_interval, &intervals, where, ps);
	problems_below(where, path, "dpd_misses");
	err |= numbers_take(&missed, raw->dpd_misses, &misses, where, ps);
	if (err)
		return -EINVAL;
	if (raw->dpd != RAW_YES) {
		if (raw->dpd_interval || raw->dpd_misses)
			return problems_add(ps, path, "dpd_interval and dpd_misses need dpd: yes");
		return 0;
	}
	problems_below(where, path, "dpd");
	if (addr_is_unset(&t->probe_remote))
		return problems_add(ps, where,
				    "needs probe_remote: an address behind the peer that answers pings");
	t->dpd_ms = (uint16_t)interval;
	t->dpd_misses = (uint8_t)missed;
	return 0;
}
