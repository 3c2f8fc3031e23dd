/* SPDX-License-Identifier: BSD-2-Clause */
/* epoch.c - see epoch.h. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "sad/epoch.h"

#define WAIT_STEP_NS 50000
#define WAIT_STEPS 20000

int epoch_init(struct epoch *e, uint32_t readers_n)
{
	*e = (struct epoch){ .now = 1, .readers_n = readers_n };
	e->last = &e->first;
	e->reader = aligned_alloc(sizeof(*e->reader), (readers_n + 1) * sizeof(*e->reader));
	if (!e->reader)
		return -ENOMEM;
	for (uint32_t i = 0; i < readers_n; i++)
		e->reader[i].seen = EPOCH_IDLE;
	return 0;
}

static void free_first(struct epoch *e)
{
	struct epoch_item *item = e->first;

	e->first = item->next;
	if (!e->first)
		e->last = &e->first;
	item->free(item);
}

void epoch_fini(struct epoch *e)
{
	while (e->first)
		free_first(e);
	free(e->reader);
	e->reader = NULL;
}

uint64_t epoch_retire(struct epoch *e, struct epoch_item *item,
		      void (*free_item)(struct epoch_item *item))
{
	item->free = free_item;
	item->next = NULL;
	/* After the unlink. Pairs with the load in epoch_quiescent(): who sees this number, sees the
	 * unlink too. */
	item->at = __atomic_add_fetch(&e->now, 1, __ATOMIC_SEQ_CST);
	*e->last = item;
	e->last = &item->next;
	return item->at;
}

bool epoch_passed(const struct epoch *e, uint64_t at)
{
	for (uint32_t i = 0; i < e->readers_n; i++) {
		/* Pairs with the stores in epoch_quiescent() (its reads came before) and in
		 * epoch_idle() (total order with the unlink: either we see it awake here, or it
		 * does not find the object). */
		if (__atomic_load_n(&e->reader[i].seen, __ATOMIC_SEQ_CST) < at)
			return false;
	}
	return true;
}

void epoch_reclaim(struct epoch *e)
{
	while (e->first && epoch_passed(e, e->first->at))
		free_first(e);
}

int epoch_wait(const struct epoch *e, uint64_t at)
{
	const struct timespec step = { .tv_nsec = WAIT_STEP_NS };

	for (int i = 0; i < WAIT_STEPS; i++) {
		if (epoch_passed(e, at))
			return 0;
		nanosleep(&step, NULL);
	}
	return -EBUSY;
}

void epoch_quiescent(struct epoch *e, uint32_t reader)
{
	uint64_t *seen = &e->reader[reader].seen;
	uint64_t now;

	if (__atomic_load_n(seen, __ATOMIC_RELAXED) == EPOCH_IDLE)
		return;
	now = __atomic_load_n(&e->now, __ATOMIC_SEQ_CST);
	/* Release: everything this reader did with what it had found stands before it. */
	__atomic_store_n(seen, now, __ATOMIC_RELEASE);
}

uint64_t epoch_now(const struct epoch *e)
{
	return __atomic_load_n(&e->now, __ATOMIC_SEQ_CST);
}

void epoch_quiescent_at(struct epoch *e, uint32_t reader, uint64_t at)
{
	/* Release, as in epoch_quiescent(). */
	__atomic_store_n(&e->reader[reader].seen, at, __ATOMIC_RELEASE);
}

void epoch_idle(struct epoch *e, uint32_t reader, bool idle)
{
	uint64_t now = idle ? EPOCH_IDLE : __atomic_load_n(&e->now, __ATOMIC_SEQ_CST);

	/* Sequentially consistent: must be visible before the first look-up that follows. */
	__atomic_store_n(&e->reader[reader].seen, now, __ATOMIC_SEQ_CST);
}
