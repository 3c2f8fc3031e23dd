/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * group.h - equal tunnels to one place: which of them a flow takes.
 *
 * A table of buckets, each with a tunnel; a flow's hash picks the bucket, so that all its packets
 * take one tunnel and their order is kept. The tunnel of a bucket is the live one with the highest
 * hash of (bucket, tunnel), so that a tunnel that goes moves only its own flows, evenly to the
 * others, and gets the same ones back when it returns (rendezvous hashing).
 *
 * Groups have ids among those of tunnels. Built by the main thread, constant once published, read
 * by workers, who may use what they found until their sad_quiescent().
 */
#ifndef XESP_GROUP_H
#define XESP_GROUP_H

#include <stdbool.h>
#include <stdint.h>
#include "sad/epoch.h"
#include "xesp/keymsg.h"

struct fault;
struct group_slot;

#define GROUP_BUCKETS 256 /* a power of two; a tunnel of 16 has 16 of them on average */

struct group {
	struct epoch_item retire;
	uint32_t n;
	uint32_t member[XESP_GROUP_MAX]; /* tunnel ids */
	uint8_t bucket[GROUP_BUCKETS];   /* index into member */
};

/* Embedded in the SAD. */
struct groups {
	struct epoch *epoch;
	uint32_t max; /* ids are below it */
	uint32_t n;   /* atomic: how many there are */
	struct group_slot *slot;
};

/* `epoch` is borrowed. -ENOMEM */
int groups_init(struct groups *gs, struct epoch *epoch, uint32_t max);
/* After epoch_fini(). */
void groups_fini(struct groups *gs);

/* Workers. NULL: the id is no group's. */
const struct group *groups_find(const struct groups *gs, uint32_t id);

/* Workers. Most machines have none, and no slot is looked at then. */
static inline bool groups_any(const struct groups *gs)
{
	/* As groups_find(): one that is just being added is not there yet. */
	return __atomic_load_n(&gs->n, __ATOMIC_SEQ_CST);
}

/* The k-th choice for a flow: k = 0 is the bucket's, others follow when that one has no SA. */
static inline uint32_t group_pick(const struct group *g, uint32_t hash, uint32_t k)
{
	return g->member[(g->bucket[hash % GROUP_BUCKETS] + k) % g->n];
}

/* ---- main thread */

/* Adds or replaces; `sync` is the number of the present synchronisation. -EINVAL with a sentence:
 * no member, too many, one twice, or no such id; -ENOMEM. */
int groups_set(struct groups *gs, const struct xesp_keymsg_group *m, uint32_t sync,
	       struct fault *f);
/* False: there was none. */
bool groups_del(struct groups *gs, uint32_t id);
/* Deletes every group that was last set in another synchronisation. */
void groups_sweep(struct groups *gs, uint32_t sync);

/*
 * The tunnel's peer does not answer, or does again. When all of a group are down none of them counts
 * as down, for nothing is lost by trying. -ENOMEM: groups stay as they were, say it again.
 */
int groups_tunnel_down(struct groups *gs, uint32_t tunnel, bool down, struct fault *f);
bool groups_tunnel_is_down(const struct groups *gs, uint32_t tunnel);

#endif /* XESP_GROUP_H */
