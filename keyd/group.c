/* SPDX-License-Identifier: BSD-2-Clause */
/* group.c - see group.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/group.h"
#include "keyd/index.h"
#include "keyd/sad.h"
#include "keyd/schema.h"
#include "xesp/keymsg.h"

static int take_member(const struct sad *sad, struct tunnel *g, const char *text,
		       const struct index *names, const char *path, struct problems *ps)
{
	char name[XESP_NAME_MAX] = "", where[PROBLEMS_PATH_MAX], shown[PROBLEMS_SHOWN_MAX];
	uint32_t found;

	problems_below(where, path, "tunnels");
	if (strlen(text) < sizeof(name))
		memcpy(name, text, strlen(text));
	found = index_find(names, name);
	if (found == INDEX_NONE)
		return problems_add(ps, where, "no tunnel is named %s", problems_shown(text, shown));
	if (sad->tunnels[found].members_n)
		return problems_add(ps, where, "%s is a group: name its tunnels here", name);
	if (sad->tunnels[found].mode == XESP_MODE_TRANSPORT)
		return problems_add(ps, where, "%s is of transport mode: its packets have one way", name);
	for (uint32_t i = 0; i < g->members_n; i++)
		if (g->members[i] == found)
			return problems_add(ps, where, "%s is named twice", name);
	g->members[g->members_n++] = found;
	return 0;
}

int group_take(const struct sad *sad, struct tunnel *g, const struct raw_group *raw,
	       const struct index *names, const char *path, struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX];
	int err;

	g->sa_out = g->sa_cpu = SAD_NONE;
	err = sad_take_name(g->name, raw->name, path, ps);
	problems_below(where, path, "tunnels");
	if (!raw->tunnels_count || raw->tunnels_count > XESP_GROUP_MAX)
		return problems_add(ps, where, "a group has 1 to %d tunnels", XESP_GROUP_MAX);
	g->members = calloc(raw->tunnels_count, sizeof(*g->members));
	if (!g->members)
		return problems_add(ps, path, "out of memory");
	for (unsigned int i = 0; i < raw->tunnels_count; i++)
		err |= take_member(sad, g, raw->tunnels[i], names, path, ps);
	return err ? -EINVAL : 0;
}

int group_init(struct sad *sad, const struct raw_config *raw, struct index *names,
	       struct problems *ps)
{
	int err = 0;

	for (uint32_t i = 0; i < raw->groups_count; i++) {
		struct tunnel *g = &sad->tunnels[sad->tunnels_n];
		char path[PROBLEMS_PATH_MAX];
		uint32_t found;

		snprintf(path, sizeof(path), "groups[%u]", i);
		if (group_take(sad, g, &raw->groups[i], names, path, ps))
			err = -EINVAL;
		sad->tunnels_n++;
		if (!g->name[0])
			continue;
		if (index_add(names, g->name, sad->tunnels_n - 1, &found))
			return problems_add(ps, path, "out of memory");
		snprintf(path, sizeof(path), "groups[%u].name", i);
		if (found != INDEX_NONE)
			err = problems_add(ps, path, "'%s' is also the name of a %s", g->name,
					   sad->tunnels[found].members_n ? "group" : "tunnel");
	}
	return err;
}
