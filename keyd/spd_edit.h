/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spd_edit.h - a few policies of a long list changed where they stand.
 *
 * Why it exists: one policy of 100 000 must not cost 100 000. Policies are put in, exchanged and
 * taken out of the list in place; what went is kept, so that spd_table_commit() hears just the
 * difference, and so that all can be taken back. Main thread.
 */
#ifndef XESP_KEYD_SPD_EDIT_H
#define XESP_KEYD_SPD_EDIT_H

#include <stdbool.h>
#include <stdint.h>
#include "keyd/index.h"
#include "keyd/problems.h"
#include "keyd/spd.h"
#include "keyd/spd_diff.h"

struct raw_policy;
struct sad;

struct spd_edit {
	struct spd *spd;
	const struct sad *sad;
	const struct index *tunnels; /* their names */
	struct spd gone;  /* what was taken out or exchanged, with its ids and digests */
	uint8_t *touched; /* [spd->room] is new, exchanged or in another place */
	uint32_t *ids_before, *ranks_before, n_before;
	struct index names; /* to places; only while these hold */
	bool indexed, shifted;
	uint32_t expected; /* policies that this transaction names */
};

enum spd_edit_done { SPD_EDIT_ADDED, SPD_EDIT_REPLACED, SPD_EDIT_KEPT };

/* `expected`: how many will be put in at most. -ENOMEM; end it with spd_edit_fini() anyway. */
int spd_edit_begin(struct spd_edit *e, struct spd *spd, const struct sad *sad,
		   const struct index *tunnels, uint32_t expected);

/* Takes out those of these names that are there; *n of them. Before anything is put in. -ENOMEM */
int spd_edit_delete(struct spd_edit *e, char *const *names, uint32_t names_n, uint32_t *n);

/*
 * Puts in, or exchanges, the policy that `raw` describes: at the end, in its place, or where before
 * and after say. `only_new`: one of the name with another content is refused. -EINVAL with problems
 */
int spd_edit_put(struct spd_edit *e, const struct raw_policy *raw, const char *path, bool only_new,
		 enum spd_edit_done *done, struct problems *ps);

/*
 * Gives ranks and tells the difference: dropped are places in e->gone, added and moved in the list.
 * The ids of new policies are 0. *d is ended with spd_diff_fini(). -ENOMEM
 */
int spd_edit_diff(struct spd_edit *e, struct spd_diff *d);

/* The list is as it was before. Cannot fail but for memory: -ENOMEM, and the list is as edited. */
int spd_edit_undo(struct spd_edit *e);
void spd_edit_fini(struct spd_edit *e);

#endif /* XESP_KEYD_SPD_EDIT_H */
