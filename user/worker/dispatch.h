/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dispatch.h - one queue over many cores: its owner's side.
 *
 * The receiving thread prepares batches (look-up, checks, sequence numbers, headers: all that must be
 * done in the order of the queue) and pushes them into its lane; any member of the crew runs the engine
 * over them, the owner too when it has nothing better to do; and the owner finishes them in the order in
 * which it prepared them (window, padding, selectors, next hop, send). So what leaves has the order
 * of what came, whoever did the work, and with it each inner flow.
 *
 * A chunk under way keeps what it has found in the SAD: dispatch_epoch() says up to where the owner
 * may call itself quiescent. Nothing but the lane is shared with other threads; nothing allocates.
 */
#ifndef XESP_DISPATCH_H
#define XESP_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>
#include "esp/pkt.h"
#include "worker/lane.h"
#include "xesp/steer.h"

struct crew;
struct esp_worker;
struct fault;
struct sad;

/* Visible for who fills it and for crew.c. */
struct chunk {
	struct esp_worker *esp; /* its own, beside the owner's */
	uint64_t epoch;         /* in which its SAs were looked up */
	enum xesp_dir dir;
	struct batch batch;
};

/* The owner's counters: it alone writes, others read by atomic loads. */
struct dispatch_counts {
	uint64_t chunks, packets; /* given to the lane */
	uint64_t own;             /* chunks of them that the owner did itself */
};

struct dispatch {
	struct lane *lane;
	struct crew *crew;
	struct sad *sad;
	uint32_t keys;     /* as of struct crew_member_opts */
	uint32_t chunks_n, free_n;
	struct chunk *chunk[LANE_SLOTS]; /* all of them */
	struct chunk *free[LANE_SLOTS];
	struct dispatch_counts counts;
};

struct dispatch_opts {
	struct crew *crew;
	struct sad *sad;
	struct esp_worker *esp; /* the owner's; borrowed */
	struct lane *lane;      /* a member's of the crew */
	uint32_t keys;
	uint32_t chunks_n; /* 2 .. LANE_SLOTS */
};

/* -ENOMEM. Ended by dispatch_fini() when nothing is in flight, and no member helps any more. */
int dispatch_init(struct dispatch *d, const struct dispatch_opts *o, struct fault *f);
void dispatch_fini(struct dispatch *d);

/* An empty chunk to be filled: its batch and its dir. NULL: all are under way. */
struct chunk *dispatch_take(struct dispatch *d);

/* Prepares the chunk and gives it away. */
void dispatch_submit(struct dispatch *d, struct chunk *c);

/*
 * The oldest chunk, finished, if the engine is done with it: its packets are as esp_encap() or
 * esp_decap() leave them. NULL: not yet. The caller gives it back when it has sent them.
 */
struct chunk *dispatch_finish(struct dispatch *d);
void dispatch_put(struct dispatch *d, struct chunk *c);

/* The owner does one chunk of its own. False: there is none that nobody has begun. */
bool dispatch_work(struct dispatch *d);

/* Nothing to be done but to wait for another thread: briefly, or by giving up the CPU. */
void dispatch_wait(uint32_t *spins);

static inline uint32_t dispatch_in_flight(const struct dispatch *d)
{
	return lane_in_flight(d->lane);
}

/* With chunks in flight: the epoch of the oldest. */
static inline uint64_t dispatch_epoch(const struct dispatch *d)
{
	return lane_oldest(d->lane)->epoch;
}

#endif /* XESP_DISPATCH_H */
