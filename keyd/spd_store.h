/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spd_store.h - stores to the SPD's shared memory: entries by key, versions, rules.
 *
 * The lower half of spd_table.c, which says what is written; here is how, so that a reader between
 * any two stores finds the committed generation whole. Main thread.
 */
#ifndef XESP_KEYD_SPD_STORE_H
#define XESP_KEYD_SPD_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/steer.h"

struct spd_memory;

/* A list of numbers that grows. */
struct spd_numbers {
	uint32_t *at;
	uint32_t n, room;
};

int spd_numbers_add(struct spd_numbers *l, uint32_t value); /* -ENOMEM */

/* Visible because spd_table.c has one. */
struct spd_store {
	struct spd_memory *m;
	uint32_t committed, coming; /* generations: what readers take, and what is being written */
	uint8_t *used;              /* [entries_n] a slot leads to it */
	uint8_t *homes;             /* [slots_n] hashes that keep its bit set, HOMES_MANY: forever */
	uint32_t used_n;
	struct spd_numbers unused;  /* entries */
	void (*stored)(void *ctx);  /* for tests: after each store */
	void *ctx;
};

int spd_store_init(struct spd_store *s, struct spd_memory *m); /* -ENOMEM */
void spd_store_fini(struct spd_store *s);

/* For stores that spd_table.c makes itself: nothing that readers take yet. */
void spd_store_tell(struct spd_store *s);

/*
 * Reads the memory anew, at the start and after a change that failed: clears versions of a
 * generation that was never committed (all but one version of each when `restart`, which becomes
 * generation 1's), and finds which entries are used. -ENOMEM
 */
int spd_store_adopt(struct spd_store *s, bool restart);

/* The entry with this key; 0 none. */
uint32_t spd_store_find(const struct spd_store *s, const struct xesp_spd_key *key);

/* A new entry, nobody's, with a key that none has. -E2BIG: no room, or none within reach; -ENOMEM */
int spd_store_insert(struct spd_store *s, const struct xesp_spd_key *key, uint32_t *entry);

/* An entry that nobody owns in the committed generation. -ENOMEM: it stays out of use */
int spd_store_remove(struct spd_store *s, uint32_t entry);

/* Whose the entry is in the committed generation; 0 nobody's. */
uint32_t spd_store_owner(const struct spd_store *s, uint32_t entry);

/* Of the coming generation. A rule that says the same already is left alone. */
void spd_store_write_owner(struct spd_store *s, uint32_t entry, uint32_t owner);
void spd_store_write_rule(struct spd_store *s, const struct xesp_spd_val *v);

#endif /* XESP_KEYD_SPD_STORE_H */
