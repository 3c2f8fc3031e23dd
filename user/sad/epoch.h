/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * epoch.h - when may memory that workers read without locks be freed?
 *
 * Why it exists: a worker takes no lock to look up an SA, so what the main thread has unlinked may
 * still be in use, key and all, until that worker ends its batch. Each worker says between
 * batches which epoch it has seen (quiescent-state based reclamation); what was unlinked in an
 * epoch is freed once every worker has seen it, or sleeps.
 *
 * Main thread: init, fini, retire, reclaim, wait. Workers: quiescent, idle, each only its own.
 */
#ifndef XESP_EPOCH_H
#define XESP_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

/* On a line of its own: each worker writes its own between any two batches. */
struct epoch_reader {
	uint64_t seen; /* EPOCH_IDLE: holds nothing */
} __attribute__((aligned(64)));

#define EPOCH_IDLE UINT64_MAX

/* Embedded in what is retired. */
struct epoch_item {
	struct epoch_item *next;
	uint64_t at;
	void (*free)(struct epoch_item *item);
};

struct epoch {
	uint64_t now;
	uint32_t readers_n;
	struct epoch_reader *reader;
	struct epoch_item *first, **last; /* retired, oldest first */
};

/*
 * All readers begin idle. The main thread needs no reader: what it has found it may use until it
 * calls epoch_reclaim() or epoch_fini(). -ENOMEM
 */
int epoch_init(struct epoch *e, uint32_t readers_n);
/* After all readers have ended: frees everything that is retired. */
void epoch_fini(struct epoch *e);

/*
 * Gives up an object that no reader can find any more (its pointer was replaced with a sequentially
 * consistent store). `free` is called later, from epoch_reclaim(). Returns the epoch to wait for.
 */
uint64_t epoch_retire(struct epoch *e, struct epoch_item *item,
		      void (*free)(struct epoch_item *item));
void epoch_reclaim(struct epoch *e);

/* Has every reader let go of what was retired at `at`? */
bool epoch_passed(const struct epoch *e, uint64_t at);
/* Waits for it, at most a second: batches take microseconds. -EBUSY: a reader does not report. */
int epoch_wait(const struct epoch *e, uint64_t at);

/* Between two batches: holds nothing now. No effect on an idle reader. */
void epoch_quiescent(struct epoch *e, uint32_t reader);
/*
 * The same for who holds on to some of what it found: it holds nothing that was found before
 * epoch_now() returned `at`. Ask first, then look up.
 */
uint64_t epoch_now(const struct epoch *e);
void epoch_quiescent_at(struct epoch *e, uint32_t reader, uint64_t at);
/* Idle: need not be waited for, and must not read. */
void epoch_idle(struct epoch *e, uint32_t reader, bool idle);

#endif /* XESP_EPOCH_H */
