/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue.c - see queue.h. A ring in which each slot says whose turn it is (after D. Vyukov):
 * turn == position: free for the producer that takes that position; position + 1: filled.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "slow/queue.h"
#include "xesp/fault.h"

struct slot {
	uint64_t turn;
	struct queue_item item;
};

struct queue {
	uint64_t head __attribute__((aligned(64))); /* producers: next position to fill */
	uint64_t tail __attribute__((aligned(64))); /* consumer: next position to get */
	uint32_t awake __attribute__((aligned(64)));
	uint32_t mask, bytes;
	int fd;
	struct slot *slots;
	uint8_t *data;
};

int queue_open(struct queue **out, uint32_t slots, uint32_t bytes, struct fault *f)
{
	struct queue *q = aligned_alloc(64, sizeof(*q));

	if (!q)
		return fault_set(f, -ENOMEM, "out of memory");
	memset(q, 0, sizeof(*q));
	q->mask = slots - 1;
	q->bytes = bytes;
	q->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	q->slots = calloc(slots, sizeof(*q->slots));
	q->data = calloc(slots, bytes);
	if (q->fd < 0 || !q->slots || !q->data) {
		int err = q->fd < 0 ? -errno : -ENOMEM;

		queue_close(q);
		return fault_set(f, err, "cannot make a queue of %u packets: %s", slots,
				 strerror(-err));
	}
	for (uint32_t i = 0; i < slots; i++) {
		q->slots[i].turn = i;
		q->slots[i].item.data = q->data + (size_t)i * bytes;
	}
	*out = q;
	return 0;
}

void queue_close(struct queue *q)
{
	if (!q)
		return;
	if (q->fd >= 0)
		close(q->fd);
	free(q->slots);
	free(q->data);
	free(q);
}

/* A free slot, now this producer's, or NULL. */
static struct slot *claim(struct queue *q, uint64_t *position)
{
	uint64_t at = __atomic_load_n(&q->head, __ATOMIC_RELAXED);

	for (;;) {
		struct slot *s = &q->slots[at & q->mask];
		/* Acquire with queue_done()'s release: the consumer has read the slot. */
		uint64_t turn = __atomic_load_n(&s->turn, __ATOMIC_ACQUIRE);

		if (turn < at)
			return NULL;
		if (turn > at) { /* another producer was quicker */
			at = __atomic_load_n(&q->head, __ATOMIC_RELAXED);
			continue;
		}
		/* Relaxed: the slot's turn orders its content. On failure `at` is read anew; each
		 * failure is another producer's success, so this ends. */
		if (__atomic_compare_exchange_n(&q->head, &at, at + 1, true, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED)) {
			*position = at;
			return s;
		}
	}
}

static void ring(struct queue *q)
{
	const uint64_t one = 1;

	/* Sequentially consistent, partner: queue_sleep(). Either the consumer, awake, still gets
	 * the item that was filled before this, or it has said that it sleeps and is rung. */
	if (__atomic_load_n(&q->awake, __ATOMIC_SEQ_CST) ||
	    __atomic_exchange_n(&q->awake, 1, __ATOMIC_SEQ_CST))
		return;
	/* Fails only when the counter is full of rings that were not yet heard. */
	if (write(q->fd, &one, sizeof(one)) < 0)
		return;
}

bool queue_put(struct queue *q, uint8_t way, const struct pkt *p, uint32_t most)
{
	uint32_t have = p->len < most ? p->len : most;
	uint64_t position;
	struct slot *s;

	if (have > q->bytes)
		return false;
	s = claim(q, &position);
	if (!s)
		return false;
	s->item.way = way;
	s->item.fragment = p->fragment;
	s->item.drop = p->drop;
	s->item.id = p->id;
	s->item.policy = p->policy;
	s->item.mtu = p->mtu;
	s->item.len = p->len;
	s->item.have = have;
	memcpy(s->item.data, p->l3, have);
	__atomic_store_n(&s->turn, position + 1, __ATOMIC_SEQ_CST); /* partners: get, sleep */
	ring(q);
	return true;
}

struct queue_item *queue_get(struct queue *q)
{
	struct slot *s = &q->slots[q->tail & q->mask];

	/* Partner: the store at the end of queue_put(). A producer that is still copying holds up
	 * those behind it, for as long as a copy takes; it rings when it is done. */
	if (__atomic_load_n(&s->turn, __ATOMIC_SEQ_CST) != q->tail + 1)
		return NULL;
	return &s->item;
}

void queue_done(struct queue *q)
{
	struct slot *s = &q->slots[q->tail & q->mask];

	/* Release with claim(): free for the producer of the next round. */
	__atomic_store_n(&s->turn, q->tail + q->mask + 1, __ATOMIC_RELEASE);
	q->tail++;
}

int queue_fd(const struct queue *q)
{
	return q->fd;
}

void queue_sleep(struct queue *q)
{
	uint64_t rings;

	if (read(q->fd, &rings, sizeof(rings)) < 0)
		rings = 0; /* nobody rang */
	__atomic_store_n(&q->awake, 0, __ATOMIC_SEQ_CST);
}
