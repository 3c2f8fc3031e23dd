/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker.h - one thread that serves one queue number on every attached interface.
 *
 * Run to completion: what it receives it encapsulates or decapsulates, routes and sends, batch by
 * batch, before it receives again. While it has work it makes no system call but the ones that
 * tell the kernel of new descriptors; without work it sleeps in poll(2).
 * The main thread opens, closes and instructs it; instructions take effect between two batches,
 * and each call returns when the worker has done its part.
 * A worker without a pool is a helper: it serves no queue, and only does crypto for the others (crew.h).
 */
#ifndef XESP_WORKER_H
#define XESP_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include "worker/crew.h"
#include "worker/load.h"

struct fault;
struct fib;
struct port;
struct sad;
struct slow;
struct umem_pool;
struct worker;

struct worker_opts {
	uint32_t index; /* its keys in the SAD; of one with a pool also its queue */
	int cpu;        /* to stay on; -1: wherever the scheduler likes */
	uint32_t batch; /* 1 .. BATCH_MAX */
	bool busy_poll; /* never sleep */
	struct crew *crew; /* NULL: each for itself */
	struct lane *lane; /* with a crew and a pool: its own, until the crew is closed */
	uint32_t members_n; /* that the crew will have */
	struct umem_pool *pool; /* its own; all of these are borrowed */
	struct sad *sad;
	struct fib *fib;
	struct slow *slow;
};

/* Starts the thread. -ENOMEM, -EAGAIN */
int worker_open(struct worker **out, const struct worker_opts *o, struct fault *f);

/*
 * Ends the thread; it must have let go of all ports. False: frames were missing from its pool or
 * were there twice, which is logged. NULL is allowed.
 */
bool worker_close(struct worker *w);

/* This port's rings are the worker's from now on. At most one per port number. */
void worker_adopt(struct worker *w, struct port *p);

/*
 * The worker sends what it can of what waits, and does not touch the port again. Returns the
 * number of frames that the kernel did not give back, which are lost to the pool.
 */
uint32_t worker_release(struct worker *w, struct port *p);

/* When the kernel can no longer write to frames of released ports: they are free again. */
void worker_reclaim(struct worker *w);

/* How its queue is served from now on; without effect where there is no crew. */
void worker_set_spread(struct worker *w, enum load_mode mode);

struct worker_spread {
	bool may, now;     /* there is a crew; it helps at present */
	uint32_t switches; /* to it */
	uint64_t given;    /* packets of its own queue that went by the lane */
	struct crew_counts helped; /* what it did for others */
};
/* Any time: each number is right by itself. */
void worker_spread(const struct worker *w, struct worker_spread *out);

#endif /* XESP_WORKER_H */
