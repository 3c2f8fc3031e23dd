/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.h - the workers, and the queues of attached interfaces that they serve.
 *
 * Worker q owns queue q of every attached interface. How many there are is settled when xespd
 * starts; interfaces may come and go. Which ones are attached is read from map xesp_ifaces.
 * Main thread only.
 */
#ifndef XESP_POOL_H
#define XESP_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include "port/port.h"
#include "worker/load.h"

struct esp_worker;
struct fault;
struct fib;
struct json_object;
struct pins;
struct pool;
struct sad;
struct slow;

struct pool_opts {
	const struct pins *pins;
	enum port_zero_copy zero_copy;
	uint32_t busy_poll_us;
	uint32_t batch;
	uint32_t helpers; /* threads beside the workers: at most so many, and no more than CPUs are left */
	enum load_mode spread;
};

#define POOL_HELPERS_MAX 15    /* each holds a prepared context of every key */
#define POOL_HELPERS_DEFAULT 3 /* hence no more without being asked */

/*
 * Reads which interfaces are attached and maps the packet memory for as many workers as the
 * largest of them has queues; at least one. No interface is no error: they may come.
 */
int pool_open(struct pool **out, const struct pool_opts *o, struct fault *f);

uint32_t pool_workers(const struct pool *p);

/* By which number a worker's own SAs are told, RFC 9611: the CPU that it is pinned to, else its queue's number. */
uint32_t pool_cpu(const struct pool *p, uint32_t worker);

/* Threads without a queue, which help the workers with their crypto: worker/crew.h. */
uint32_t pool_helpers(const struct pool *p);

/* Whether queues are spread over the threads there are. Any time. */
void pool_set_spread(struct pool *p, enum load_mode mode);

/* The main thread's number among the workers, for the slow path: the one after the last. */
uint32_t pool_slow_worker(const struct pool *p);

/* What the workers work with; borrowed. Before pool_start(). */
struct pool_rooms {
	struct sad *sad;
	struct fib *fib;
	struct slow *slow;
	struct esp_worker *esp; /* the main thread's own, for what the kernel lost */
};

/*
 * Opens the sockets of the interfaces attached now; needs CAP_NET_RAW. An interface that fails is
 * logged and left out, unless all do: then the first one's error.
 */
int pool_open_ports(struct pool *p, struct fault *f);

/* Starts the workers and lets XDP redirect to them. */
int pool_start(struct pool *p, const struct pool_rooms *rooms, struct fault *f);

/*
 * Reads again which interfaces are attached: opens the new ones, closes the ones detached, while
 * the workers run. *ports_n gets how many are served now. -errno when one of the new ones failed;
 * the others are served nevertheless.
 */
int pool_rescan(struct pool *p, uint32_t *ports_n, struct fault *f);

/* Once a second: counts what the kernel lost, closes interfaces that are gone. */
void pool_tick(struct pool *p);

/* Ends the workers, closes the sockets. False: frames were lost, which is logged. */
bool pool_close(struct pool *p);

/* Array "ports" and object "spread" of the status request; the caller owns them. */
struct json_object *pool_json(const struct pool *p);
struct json_object *pool_spread_json(const struct pool *p);

#endif /* XESP_POOL_H */
