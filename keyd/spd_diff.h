/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spd_diff.h - what differs between two SPDs, and where the new one's policies stand in order.
 *
 * Why it exists: a list of 100 000 policies of which one changes must cost one policy. Ranks are
 * labels with gaps between them, so that a policy that is put between two others takes a number
 * between theirs and nobody else's changes. When a gap is used up, the neighbourhood is spread out.
 * Main thread.
 */
#ifndef XESP_KEYD_SPD_DIFF_H
#define XESP_KEYD_SPD_DIFF_H

#include <stdbool.h>
#include <stdint.h>

struct spd;

struct spd_diff {
	bool whole; /* nothing is known of what was before: all of `next` is new; lists are empty */
	uint32_t *dropped; /* places in `now` of what is gone, or has other selectors or action */
	uint32_t *added;   /* places in `next` of what is new, or has other selectors or action */
	uint32_t *moved;   /* places in `next` of what has another rank only */
	uint32_t dropped_n, added_n, moved_n;
};

/*
 * Sets next->ranks, and next->ids of what has a name that `now` has. `now` may be NULL. The caller
 * ends *d with spd_diff_fini(). -ENOMEM
 */
int spd_diff(struct spd_diff *d, const struct spd *now, struct spd *next);
/*
 * Gives ranks to the policies whose rank is 0, in between those of their neighbours. Returns whether
 * a neighbour had to move. What one change of a long list does in place of spd_diff().
 */
bool spd_diff_rank(struct spd *spd);

void spd_diff_fini(struct spd_diff *d);

#endif /* XESP_KEYD_SPD_DIFF_H */
