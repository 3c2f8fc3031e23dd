/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * edit.h - a transaction of the control socket: what it adds, sets and deletes, judged and made.
 *
 * Judged by the functions that judge the file (sad.h, spd.h, group.h), with the same sentences: there
 * is one model. Names are the ids: to set what is there already, or to delete what is not, changes
 * nothing, so that a transaction can be repeated. Main thread.
 */
#ifndef XESP_KEYD_EDIT_H
#define XESP_KEYD_EDIT_H

#include <stdbool.h>
#include <stdint.h>
#include "keyd/problems.h"
#include "keyd/schema_json.h"

struct config;
struct json_object;
struct spd_edit;

enum edit_kind { EDIT_TUNNELS, EDIT_GROUPS, EDIT_SAS, EDIT_POLICIES, EDIT_KINDS };

extern const char *const edit_kind_names[EDIT_KINDS]; /* "tunnels" and so on */

struct edit_counts {
	uint32_t added, replaced, kept, deleted, absent;
};

struct edit_names {
	char **names;
	unsigned int n;
};

struct edit {
	bool whole;   /* `set` is all that is to be */
	bool dry_run;
	struct schema_json add, set, del;
	struct edit_names deletes[EDIT_KINDS];
	struct edit_counts counts[EDIT_KINDS];
};

/* Reads params of the request "set"; end *e with edit_fini() anyway. -EINVAL with problems */
int edit_parse(struct edit *e, struct json_object *params, struct problems *ps);
void edit_fini(struct edit *e);

/* It names policies alone: the SAD stays, and the list is changed where it stands. */
bool edit_is_of_policies(const struct edit *e, const struct config *now);
uint32_t edit_policies_n(const struct edit *e); /* that may be put in */

/* The policies of it, into a begun spd_edit. After an error the list may be half changed. */
int edit_policies(struct edit *e, struct spd_edit *se, struct problems *ps);

/*
 * The configuration as it is to be: a new one, made of `now`, which stays as it is. The whole is
 * checked as config_load() does. -EINVAL with problems
 */
int edit_config(struct edit *e, struct config *now, struct config **out, struct problems *ps);

#endif /* XESP_KEYD_EDIT_H */
