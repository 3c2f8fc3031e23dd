/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * change_policies.h - a change of policies alone, at the cost of what changes.
 *
 * change.h compares two whole configurations; this changes the one in force where it stands. Tunnels and
 * SAs have no part in it, and xespd reads policies from the maps, so nobody is told. Main thread.
 */
#ifndef XESP_KEYD_CHANGE_POLICIES_H
#define XESP_KEYD_CHANGE_POLICIES_H

struct change;
struct change_result;
struct edit;
struct fault;
struct problems;

/*
 * What `e` names, which is of policies alone, is in force; or, after an error, nothing has changed.
 * With e->dry_run nothing changes in any case, and the classifier's room is checked too.
 * -EINVAL with problems, or others as of maps_commit() with *f
 */
int change_policies(struct change *c, struct edit *e, struct change_result *r,
		    struct problems *ps, struct fault *f);

#endif /* XESP_KEYD_CHANGE_POLICIES_H */
