/* SPDX-License-Identifier: BSD-2-Clause */
/* The queues from workers to the slow path: bounds, order, and nothing lost among threads. */
#include <CUnit/CUnit.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "slow/queue.h"

static bool rings(const struct queue *q)
{
	struct pollfd p = { .fd = queue_fd(q), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void bounds(void)
{
	uint8_t data[101];
	struct pkt p = { .l3 = data, .len = 100, .id = 7, .policy = 8, .mtu = 9, .fragment = true };
	struct queue_item *i;
	struct queue *q;

	memset(data, 0x5a, sizeof(data));
	p.drop = XESP_DROP_TOO_BIG;
	CU_ASSERT_EQUAL_FATAL(queue_open(&q, 4, 100, NULL), 0);
	CU_ASSERT_PTR_NULL(queue_get(q));
	for (uint8_t round = 0; round < 3; round++) {
		for (uint8_t n = 0; n < 4; n++) {
			data[0] = n;
			CU_ASSERT_TRUE(queue_put(q, n, &p, UINT32_MAX));
		}
		CU_ASSERT_FALSE(queue_put(q, 4, &p, UINT32_MAX)); /* full */
		for (uint8_t n = 0; n < 4; n++) {
			i = queue_get(q);
			CU_ASSERT_PTR_NOT_NULL_FATAL(i);
			CU_ASSERT(i->way == n && i->id == 7 && i->policy == 8 && i->mtu == 9);
			CU_ASSERT(i->drop == XESP_DROP_TOO_BIG && i->fragment);
			CU_ASSERT(i->len == 100 && i->have == 100);
			CU_ASSERT(i->data[0] == n && i->data[99] == 0x5a);
			queue_done(q);
		}
		CU_ASSERT_PTR_NULL(queue_get(q));
	}
	p.len = 101;
	CU_ASSERT_FALSE(queue_put(q, 0, &p, UINT32_MAX)); /* larger than a slot */
	CU_ASSERT_FALSE(queue_put(q, 0, &p, 101));
	CU_ASSERT_TRUE(queue_put(q, 0, &p, 40)); /* but its beginning fits */
	i = queue_get(q);
	CU_ASSERT_PTR_NOT_NULL_FATAL(i);
	CU_ASSERT(i->len == 101 && i->have == 40);
	queue_close(q);
	queue_close(NULL);
}

static void rings_once_a_sleep(void)
{
	uint8_t data[20] = { 0 };
	struct pkt p = { .l3 = data, .len = sizeof(data) };
	struct queue *q;

	CU_ASSERT_EQUAL_FATAL(queue_open(&q, 8, 100, NULL), 0);
	CU_ASSERT_FALSE(rings(q));
	CU_ASSERT_TRUE(queue_put(q, 0, &p, UINT32_MAX));
	CU_ASSERT_TRUE(rings(q));
	queue_sleep(q);
	CU_ASSERT_FALSE(rings(q));
	CU_ASSERT_TRUE(queue_put(q, 0, &p, UINT32_MAX));
	CU_ASSERT_TRUE(rings(q));
	queue_close(q);
}

#define PRODUCERS 4
#define EACH      50000u

struct producer {
	pthread_t thread;
	struct queue *q;
	uint32_t number, refused;
};

/* Puts its numbers in order; tries again what was refused. */
static void *produce(void *arg)
{
	struct producer *me = arg;
	uint32_t data[8];
	struct pkt p = { .l3 = (uint8_t *)data, .len = sizeof(data), .id = me->number };

	for (uint32_t n = 0; n < EACH;) {
		for (int i = 0; i < 8; i++)
			data[i] = n;
		if (queue_put(me->q, 0, &p, UINT32_MAX))
			n++;
		else
			me->refused++;
	}
	return NULL;
}

/* A consumer that sleeps on the descriptor whenever there is nothing: a lost ring would hang it,
 * and the time limit tells. */
static void consume(struct queue *q, uint32_t next[PRODUCERS], uint32_t *wrong)
{
	uint32_t left = PRODUCERS * EACH;

	while (left) {
		struct pollfd fd = { .fd = queue_fd(q), .events = POLLIN };
		struct queue_item *i;

		if (poll(&fd, 1, 5000) != 1) {
			++*wrong;
			return;
		}
		queue_sleep(q);
		while ((i = queue_get(q))) {
			uint32_t data[8];

			memcpy(data, i->data, sizeof(data));
			*wrong += i->id >= PRODUCERS || data[0] != next[i->id]++ ||
				  data[7] != data[0];
			queue_done(q);
			left--;
		}
	}
}

static void threads(void)
{
	struct producer p[PRODUCERS] = { 0 };
	uint32_t next[PRODUCERS] = { 0 }, wrong = 0;
	struct queue *q;

	CU_ASSERT_EQUAL_FATAL(queue_open(&q, 16, 32, NULL), 0);
	for (uint32_t n = 0; n < PRODUCERS; n++) {
		p[n].q = q;
		p[n].number = n;
		CU_ASSERT_EQUAL_FATAL(pthread_create(&p[n].thread, NULL, produce, &p[n]), 0);
	}
	consume(q, next, &wrong);
	CU_ASSERT_EQUAL(wrong, 0);
	if (wrong) /* producers may wait for ever */
		exit(1);
	for (uint32_t n = 0; n < PRODUCERS; n++) {
		pthread_join(p[n].thread, NULL);
		CU_ASSERT_EQUAL(next[n], EACH);
	}
	CU_ASSERT_PTR_NULL(queue_get(q));
	queue_close(q);
}

CU_TestInfo queue_tests[] = {
	{ "full, too large, and again", bounds },
	{ "rings when its consumer sleeps", rings_once_a_sleep },
	{ "four producers, one sleeping consumer: nothing lost, nothing out of order", threads },
	CU_TEST_INFO_NULL,
};
