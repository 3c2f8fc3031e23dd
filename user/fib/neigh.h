/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * neigh.h - neighbours: who has which Ethernet address, and which of them the kernel must ask.
 *
 * Two structures. The book is the main thread's: it follows every change. The table is what
 * workers read: immutable but for `used`, built from the book when something that matters to them
 * has changed. The kernel does not see packets sent by AF_XDP, so to it every neighbour of the
 * fast path soon looks idle and goes STALE; workers mark those they use, and the main thread has
 * the kernel probe them (NTF_USE).
 */
#ifndef XESP_FIB_NEIGH_H
#define XESP_FIB_NEIGH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "xesp/steer.h"

struct neigh_key {
	struct xesp_addr addr;
	uint32_t ifindex;
};

/* ---- the book: main thread */

struct neigh_book;

struct neigh_book *neigh_book_open(uint64_t seed); /* NULL: out of memory */
void neigh_book_close(struct neigh_book *b);

enum neigh_change {
	NEIGH_SAME,  /* nothing that a worker would notice */
	NEIGH_AGED,  /* went stale, or was confirmed: the table may follow later */
	NEIGH_MOVED, /* came, went, or has another address: the table must follow */
};

/* From the kernel: state is NUD_*; mac is NULL when the message had none. */
enum neigh_change neigh_book_set(struct neigh_book *b, const struct neigh_key *k, uint16_t state,
				 const uint8_t *mac);
enum neigh_change neigh_book_del(struct neigh_book *b, const struct neigh_key *k);

/* Around a full dump: what was not set in between is gone. */
void neigh_book_sweep_begin(struct neigh_book *b);
void neigh_book_sweep_end(struct neigh_book *b);

/*
 * May the kernel be asked about this neighbour now? True at most once a second for each, and never
 * for permanent ones; neighbours that the book does not have are remembered for that second.
 */
bool neigh_book_may_ask(struct neigh_book *b, const struct neigh_key *k, uint64_t now_ms);

uint32_t neigh_book_count(const struct neigh_book *b);

/* ---- the table: built by the main thread, read by all */

enum neigh_answer {
	NEIGH_READY,   /* mac is good */
	NEIGH_STALE,   /* mac is good, but have the kernel confirm it */
	NEIGH_FAILED,  /* known and not resolved */
	NEIGH_UNKNOWN, /* the kernel does not have it */
};

struct neigh_entry {
	struct neigh_key key;
	uint8_t mac[6];
	uint8_t answer; /* enum neigh_answer */
	uint8_t in_use; /* this slot of the hash table is taken */
};

struct neigh_table;

struct neigh_table *neigh_table_build(const struct neigh_book *b); /* NULL: out of memory */
void neigh_table_free(struct neigh_table *t);

/* *index is for neigh_table_use(); it is written unless the answer is NEIGH_UNKNOWN. */
enum neigh_answer neigh_table_lookup(const struct neigh_table *t, const struct neigh_key *k,
				     uint8_t mac[6], uint32_t *index);

/* Any worker: somebody sends to this one, and it is not NEIGH_READY. */
void neigh_table_use(struct neigh_table *t, uint32_t index);

/* Main thread: calls `ask` for each entry marked since the last call. */
void neigh_table_used(struct neigh_table *t, void (*ask)(void *ctx, const struct neigh_key *k),
		      void *ctx);

#endif /* XESP_FIB_NEIGH_H */
