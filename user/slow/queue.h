/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue.h - packets on their way from workers to the slow path: copies, bounded, without locks.
 *
 * Many producers, one consumer. Everything is allocated when the queue is opened; a producer
 * copies its packet into a slot and never waits: when all slots are taken the packet is refused.
 * The consumer sleeps on an eventfd, which a producer writes only when the consumer has said that
 * it sleeps, so at most once per sleep.
 */
#ifndef XESP_SLOW_QUEUE_H
#define XESP_SLOW_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include "esp/pkt.h"

struct fault;
struct queue;

struct queue_item {
	uint8_t way;   /* what the producer wants done: slow.c's enum way */
	bool fragment; /* of struct pkt, as are the following */
	enum xesp_drop drop;
	uint32_t id, policy, mtu;
	uint32_t len;  /* of the packet */
	uint32_t have; /* bytes of it that are here */
	uint8_t *data;
};

/* `slots` is a power of two; `bytes` is the room for one packet. -errno. */
int queue_open(struct queue **out, uint32_t slots, uint32_t bytes, struct fault *f);
void queue_close(struct queue *q);

/*
 * Any thread. Copies p, or its first `most` bytes when it is longer than that. False: the queue is
 * full, or the packet (or `most`) larger than a slot.
 */
bool queue_put(struct queue *q, uint8_t way, const struct pkt *p, uint32_t most);

/* Consumer: the oldest item, its own until queue_done(); NULL: none. */
struct queue_item *queue_get(struct queue *q);
void queue_done(struct queue *q);

/* Consumer: readable when there is something to get after queue_sleep() was called. */
int queue_fd(const struct queue *q);
/* Consumer, before it gets what there is and goes to sleep: later items ring. */
void queue_sleep(struct queue *q);

#endif /* XESP_SLOW_QUEUE_H */
