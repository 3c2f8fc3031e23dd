/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queues.h - several queues, each with a thread of its own, in memory: all on one SA, or each on its CPU's own (RFC 9611).
 *
 * Every thread is a worker and runs esp_encap() or esp_decap() to completion, as xespd does where a NIC has spread the traffic. What
 * a NIC would write is written by each thread for itself, and counts.
 */
#ifndef XESP_BENCH_QUEUES_H
#define XESP_BENCH_QUEUES_H

#include <stdint.h>

#define QUEUES_MAX 3 /* workers of tests/pair/pair.h without the slow path */
#define QUEUES_BATCH 64
#define QUEUES_BATCHES 32 /* of one pass */

enum queues_kind {
	QUEUES_ONE_SA, /* outbound, all on the tunnel's SA for all */
	QUEUES_OWN_OUT,
	QUEUES_OWN_IN,
};

struct queues;

/* The engine is pair_engine's. Exits with a sentence when it cannot. */
struct queues *queues_open(void);
void queues_close(struct queues *q);

/* Packets of `size` bytes from now on. */
void queues_size(struct queues *q, uint32_t size);

/* Nanoseconds a packet of the whole, by `threads` queues that begin together, QUEUES_MAX at most. A pass is 2048 packets of each. */
double queues_measure(struct queues *q, enum queues_kind kind, uint32_t threads, uint32_t passes);

/* Packets that were dropped so far: there should be none. */
uint32_t queues_bad(const struct queues *q);

#endif /* XESP_BENCH_QUEUES_H */
