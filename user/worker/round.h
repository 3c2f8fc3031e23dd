/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * round.h - a round over a worker's ports: receive, split, transform, route, send.
 *
 * Run to completion, a batch at a time; or, when load.h says so, spread over the crew by dispatch.h,
 * in the same order. Embedded in struct worker; its thread's, but for what is marked.
 */
#ifndef XESP_ROUND_H
#define XESP_ROUND_H

#include <stdbool.h>
#include <stdint.h>
#include "esp/pkt.h"
#include "port/port.h"
#include "worker/dispatch.h"
#include "worker/forward.h"
#include "worker/load.h"

struct crew;
struct esp_worker;
struct fault;
struct fib;
struct sad;
struct slow;
struct tx_list;
struct umem_pool;

struct round_opts {
	uint32_t index;
	uint32_t batch;
	struct umem_pool *pool; /* all of these are borrowed */
	struct esp_worker *esp;
	struct sad *sad;
	struct fib *fib;
	struct slow *slow;
	struct lane *lane; /* NULL: never spread */
};

struct round {
	struct round_opts o;
	struct xesp_worker_stats *stats;
	struct forward forward;
	struct port *ports[XESP_PORTS_MAX]; /* by port number, NULL where there is none */
	struct port *list[XESP_PORTS_MAX];  /* the same, without gaps */
	uint32_t list_n;
	uint32_t spins; /* in vain, for the crew */
	struct load load;
	struct dispatch dispatch;
	struct batch encap, decap;
	struct batch onward; /* of a batch that was decapsulated: what goes into another tunnel */
	struct tx_list *tx[XESP_PORTS_MAX];
};

/* Main thread, before the worker's begins. -ENOMEM; round_fini() is due in any case. */
int round_init(struct round *r, const struct round_opts *o, struct fault *f);
/* The same: from now on it may be spread over a crew of so many. -ENOMEM */
int round_join(struct round *r, struct crew *crew, uint32_t members_n, struct fault *f);
/* When no member helps any more and nothing is in flight. */
void round_fini(struct round *r);

/* One batch from each port. 0: there was nothing to do. */
uint32_t round_serve(struct round *r);

/* After each round: what it holds no longer. */
void round_quiescent(struct round *r);

/* Finishes what is under way with others: nothing is in flight then. */
void round_flush(struct round *r);

/* The port gets no more: serves what has arrived, to its end. */
void round_release(struct round *r, struct port *p);

#endif /* XESP_ROUND_H */
