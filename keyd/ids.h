/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ids.h - which element of the maps a policy, tunnel or SA has.
 *
 * Why it exists: counters, sequence numbers and replay windows live under these numbers in memory
 * that outlives keyd, so what is the same thing must keep its number, over a reload and over a
 * restart. Policies and tunnels are the same by name. An SA is the same by key, SPI, direction and
 * ESN: under another name its window still counts, and under another key nothing of it does.
 *
 * An SA id is given to another SA only when no worker can still hold the old one, for a worker that
 * did would take the new SA's numbers and use them under the old key. Main thread.
 */
#ifndef XESP_KEYD_IDS_H
#define XESP_KEYD_IDS_H

#include <stdbool.h>
#include "keyd/sad.h"
#include "keyd/spd.h"

struct fault;
struct maps;
struct spd_diff;

/* So long after xespd's acknowledgement no batch can still be under way with an SA. */
#define IDS_RETIRED_NS 10000000000ull

/* Parked, and given up by every worker long enough ago: its id and words may be taken. */
bool ids_is_retired(const struct maps *m, uint32_t sa_id);

/*
 * Sets every id of `sad` and `spd` (those that spd_diff() has not set), sa.fresh, and the replay
 * ranges; writes no map.
 * -E2BIG   more policies, tunnels, SAs or replay words than the maps have
 * -EBUSY   all SA ids are taken or not yet given up by xespd: try again later
 * -EINVAL  a replay window grew beyond the words its SA has: needs a new key
 */
int ids_assign(const struct maps *m, struct sad *sad, struct spd *spd, const struct spd_diff *d,
	       struct fault *f);

/* Those of added policies that have none: the part of ids_assign() for a change of policies alone. */
int ids_assign_policies(const struct maps *m, struct spd *spd, const struct spd_diff *d,
			struct fault *f);

#endif /* XESP_KEYD_IDS_H */
