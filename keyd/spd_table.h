/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spd_table.h - the classifier's tables in the pinned maps, changed by what differs.
 *
 * The maps are mapped memory, so a change is stores: entries and rules hold two versions, keyd
 * writes the one that nobody reads, tagged with the coming generation, and then commits that by one
 * store to xesp_conf.generation: packets see the old SPD or the new one, whole. Only what differs
 * is written. xesp/steer.h has the layout, xesp/spd_search.h the other side.
 *
 * A keyd that dies between any two stores leaves versions of a generation that was never committed.
 * Nobody takes them; the next keyd finds and clears them when it opens the table.
 *
 * Of each key this file knows every policy that has it (its claims), so that the next one's takes
 * over when the first goes. Main thread.
 */
#ifndef XESP_KEYD_SPD_TABLE_H
#define XESP_KEYD_SPD_TABLE_H

#include <stdint.h>

struct fault;
struct sad;
struct spd;
struct spd_diff;
struct spd_memory;
struct spd_table;

/* `m` stays the caller's and must outlive the table. -ENOMEM */
int spd_table_open(struct spd_table **out, struct spd_memory *m, struct fault *f);
void spd_table_close(struct spd_table *t);

/* What a commit changes, with the ids that ids.c has given. */
struct spd_change {
	const struct spd *now; /* what was committed last, by this process; NULL: not known */
	const struct spd *next;
	const struct spd_diff *diff; /* between the two */
	const struct sad *sad;       /* next's tunnels */
};

/*
 * Writes `next` as the coming generation and commits it. Until it returns 0 the old one is in
 * force, and a failure changes nothing.
 * -E2BIG   more combinations of masks, or more entries, than there is room for
 * -ENOMEM
 */
int spd_table_commit(struct spd_table *t, const struct spd_change *c, struct fault *f);

/* Entries in use, and room for them: what the last commit left. */
uint32_t spd_table_used(const struct spd_table *t);

/* For tests: called after each store to the shared memory. */
void spd_table_watch(struct spd_table *t, void (*stored)(void *ctx), void *ctx);

#endif /* XESP_KEYD_SPD_TABLE_H */
