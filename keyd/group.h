/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * group.h - several tunnels to one place, among which the inner flows are balanced.
 *
 * A group stands in the SAD's list of tunnels, behind them, with a name and an id of their kind:
 * a policy names either. It has no ends and no SA; its members have. Main thread.
 */
#ifndef XESP_KEYD_GROUP_H
#define XESP_KEYD_GROUP_H

#include "keyd/problems.h"

struct index;
struct raw_config;
struct sad;

/*
 * Appends the configuration's groups to sad->tunnels, which has room for them; `names` holds those
 * of the tunnels and gets those of the groups. -EINVAL with problems: a member that is no tunnel,
 * is named twice, or is a group; none, or more than XESP_GROUP_MAX; a name that a tunnel has.
 */
int group_init(struct sad *sad, const struct raw_config *raw, struct index *names,
	       struct problems *ps);

/* One group, whose members are named in `names`; the caller frees g->members, also after an error. */
struct raw_group;
struct tunnel;
int group_take(const struct sad *sad, struct tunnel *g, const struct raw_group *raw,
	       const struct index *names, const char *path, struct problems *ps);

#endif /* XESP_KEYD_GROUP_H */
