/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spd_world.h - an SPD in the memory of this process, the list walked the naive way beside it, and
 * random policies and packets of a small world, in which they overlap.
 */
#ifndef XESP_TEST_KEYD_SPD_WORLD_H
#define XESP_TEST_KEYD_SPD_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include "keyd/schema.h"
#include "keyd/spd.h"
#include "keyd/spd_diff.h"
#include "keyd/spd_table.h"
#include "libxesp/spd_memory.h"

#define SPD_WORLD_ENTRIES (1u << 17)
#define SPD_WORLD_IDS 4096
#define SPD_WORLD_TUNNEL 7 /* id of tunnel "t", the only one */

struct spd_world {
	struct spd_memory memory;
	struct spd_table *table;
	struct spd *now;      /* committed */
	uint32_t next_id;
	struct spd_diff last; /* counts of the last change */
	bool forget;          /* begin each change as a keyd that knows nothing */
};

void spd_world_open(struct spd_world *w);
void spd_world_close(struct spd_world *w);

/* The SPD of these policies. What spd_world_change() does not take, spd_world_free() frees. */
struct spd *spd_world_make(struct raw_policy *raws, uint32_t n);
void spd_world_free(struct spd *spd);

/* A change to `next`, which the world then owns, also on failure. As spd_table_commit(). */
struct fault;
int spd_world_change(struct spd_world *w, struct spd *next, struct fault *f);

/* Does the memory say of the packet what the list says, walked from its start? */
bool spd_world_agrees(const struct spd_memory *m, const struct spd_query *k, const struct spd *spd);

uint32_t spd_world_random(uint32_t n); /* below n */
void spd_world_random_policy(struct raw_policy *raw, uint32_t name_no);
void spd_world_free_policy(struct raw_policy *raw);
void spd_world_random_packet(struct spd_query *k);

#endif /* XESP_TEST_KEYD_SPD_WORLD_H */
