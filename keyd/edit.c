/* SPDX-License-Identifier: BSD-2-Clause */
/* edit.c - see edit.h. From top to bottom: what was asked, policies, the SAD, the whole. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/config.h"
#include "keyd/edit.h"
#include "keyd/edit_sad.h"
#include "keyd/pfp.h"
#include "keyd/spd_edit.h"
#include "xesp/fault.h"

const char *const edit_kind_names[EDIT_KINDS] = { "tunnels", "groups", "sas", "policies" };

/* ---- what was asked */

static int take_flag(bool *flag, struct json_object *params, const char *key, struct problems *ps)
{
	struct json_object *o;

	if (!json_object_object_get_ex(params, key, &o))
		return 0;
	if (!json_object_is_type(o, json_type_boolean))
		return problems_add(ps, key, "must be true or false");
	*flag = json_object_get_boolean(o);
	return 0;
}

static int take_deletes(struct edit *e, struct json_object *o, struct problems *ps)
{
	int err = 0;

	if (!json_object_is_type(o, json_type_object))
		return problems_add(ps, "delete", "must be a mapping");
	json_object_object_foreach(o, key, value) {
		int kind = 0;

		(void)value;
		while (kind < EDIT_KINDS && strcmp(key, edit_kind_names[kind]))
			kind++;
		if (kind == EDIT_KINDS)
			err |= problems_add(ps, "delete",
					    "unknown key; known here: tunnels, groups, sas, policies");
		else
			err |= schema_json_names(&e->del, o, key, "delete",
						 &e->deletes[kind].names, &e->deletes[kind].n, ps);
	}
	return err;
}

/* Keys of SAs come with the transaction: a file that keyd would read is another way to give them. */
static int refuse_key_files(const struct raw_config *raw, const char *section, struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX];

	for (unsigned int i = 0; i < raw->sas_count; i++) {
		if (!raw->sas[i].key_file && !raw->sas[i].integrity_key_file)
			continue;
		snprintf(where, sizeof(where), "%s.sas[%u].%s", section, i,
			 raw->sas[i].key_file ? "key_file" : "integrity_key_file");
		return problems_add(ps, where, "a transaction brings its keys with it: use key");
	}
	return 0;
}

static bool is_empty(const struct raw_config *raw)
{
	return !raw->tunnels_count && !raw->groups_count && !raw->sas_count && !raw->policies_count;
}

int edit_parse(struct edit *e, struct json_object *params, struct problems *ps)
{
	int err = 0;

	*e = (struct edit){ 0 };
	if (!params)
		return problems_add(ps, "", "nothing is added, set or deleted");
	json_object_object_foreach(params, key, value) {
		if (!strcmp(key, "add"))
			err |= schema_json_load(&e->add, value, key, ps);
		else if (!strcmp(key, "set"))
			err |= schema_json_load(&e->set, value, key, ps);
		else if (!strcmp(key, "delete"))
			err |= take_deletes(e, value, ps);
		else if (strcmp(key, "dry_run") && strcmp(key, "whole"))
			err |= problems_add(ps, "", "unknown key; known here: add, set, delete, whole, dry_run");
	}
	err |= take_flag(&e->dry_run, params, "dry_run", ps);
	err |= take_flag(&e->whole, params, "whole", ps);
	err |= refuse_key_files(&e->add.raw, "add", ps);
	err |= refuse_key_files(&e->set.raw, "set", ps);
	if (e->whole && (!is_empty(&e->add.raw) || e->del.blocks))
		err |= problems_add(ps, "whole", "what set does not name goes: add and delete have no place beside it");
	return err ? -EINVAL : 0;
}

void edit_fini(struct edit *e)
{
	schema_json_free(&e->add);
	schema_json_free(&e->set);
	schema_json_free(&e->del);
	*e = (struct edit){ 0 };
}

static bool has_pfp(const struct raw_config *raw)
{
	for (unsigned int i = 0; i < raw->policies_count; i++)
		if (raw->policies[i].pfp_count)
			return true;
	return false;
}

bool edit_is_of_policies(const struct edit *e, const struct config *now)
{
	for (int kind = 0; kind < EDIT_POLICIES; kind++)
		if (e->deletes[kind].n)
			return false;
	/* What pfp says is held against the SAs, so that it is not a matter of policies alone. */
	return !e->whole && !now->spd.has_pfp && !has_pfp(&e->add.raw) && !has_pfp(&e->set.raw) &&
	       !e->add.raw.tunnels_count && !e->add.raw.groups_count && !e->add.raw.sas_count &&
	       !e->set.raw.tunnels_count && !e->set.raw.groups_count && !e->set.raw.sas_count;
}

/* ---- policies */

uint32_t edit_policies_n(const struct edit *e)
{
	return e->add.raw.policies_count + e->set.raw.policies_count;
}

static int put_policies(struct edit *e, struct spd_edit *se, bool only_new, struct problems *ps)
{
	const struct raw_config *raw = only_new ? &e->add.raw : &e->set.raw;
	struct edit_counts *n = &e->counts[EDIT_POLICIES];
	char path[PROBLEMS_PATH_MAX];
	int err = 0;

	for (unsigned int i = 0; i < raw->policies_count; i++) {
		enum spd_edit_done done = SPD_EDIT_KEPT;

		snprintf(path, sizeof(path), "%s.policies[%u]", only_new ? "add" : "set", i);
		err |= spd_edit_put(se, &raw->policies[i], path, only_new, &done, ps);
		n->added += done == SPD_EDIT_ADDED;
		n->replaced += done == SPD_EDIT_REPLACED;
		n->kept += done == SPD_EDIT_KEPT;
	}
	return err ? -EINVAL : 0;
}

int edit_policies(struct edit *e, struct spd_edit *se, struct problems *ps)
{
	const struct edit_names *d = &e->deletes[EDIT_POLICIES];
	struct edit_counts *n = &e->counts[EDIT_POLICIES];
	int err;

	if (spd_edit_delete(se, d->names, d->n, &n->deleted))
		return problems_add(ps, "delete.policies", "out of memory");
	n->absent = d->n - n->deleted;
	err = put_policies(e, se, true, ps);
	return put_policies(e, se, false, ps) | err ? -EINVAL : 0;
}

/* ---- the whole */

static int whole_config(struct edit *e, const struct config *now, struct config **out,
			struct problems *ps)
{
	static char version[] = CONFIG_VERSION;
	struct raw_config raw = e->set.raw;
	uint32_t *const added[] = { &e->counts[EDIT_TUNNELS].replaced,
				    &e->counts[EDIT_GROUPS].replaced,
				    &e->counts[EDIT_SAS].replaced,
				    &e->counts[EDIT_POLICIES].replaced };
	const unsigned int counts[] = { raw.tunnels_count, raw.groups_count, raw.sas_count,
					raw.policies_count };
	int err;

	raw.version = version;
	raw.source = RAW_SOURCE_CONTROL;
	raw.routes = now->routes ? RAW_ROUTES_INSTALL : RAW_ROUTES_NONE;
	raw.default_action = now->spd.default_action == XESP_ACTION_BYPASS ? RAW_DEFAULT_BYPASS :
									    RAW_DEFAULT_DISCARD;
	err = config_from_raw(out, &raw, now->file, ps);
	if (err)
		return err;
	if (config_join_file(*out, now)) {
		config_free(*out);
		*out = NULL;
		return problems_add(ps, "", "out of memory");
	}
	for (int kind = 0; kind < EDIT_KINDS; kind++)
		*added[kind] = counts[kind];
	return 0;
}

static int change_policies(struct edit *e, struct edit_sad *es, struct config *c,
			   struct problems *ps)
{
	struct spd_edit se;
	int err;

	err = spd_edit_begin(&se, &c->spd, &c->sad, &es->names, edit_policies_n(e));
	if (err)
		problems_add(ps, "policies", "out of memory");
	else
		err = edit_policies(e, &se, ps);
	if (!err)
		err = edit_sad_check_policies(es, &c->spd, se.touched, ps);
	spd_edit_fini(&se);
	return err ? -EINVAL : 0;
}

int edit_config(struct edit *e, struct config *now, struct config **out, struct problems *ps)
{
	const struct config_room more = {
		.tunnels = e->add.raw.tunnels_count + e->set.raw.tunnels_count +
			   e->add.raw.groups_count + e->set.raw.groups_count,
		.sas = e->add.raw.sas_count + e->set.raw.sas_count,
		.policies = edit_policies_n(e),
	};
	struct fault f = { "" };
	struct edit_sad es;
	struct config *c;
	int err;

	*out = NULL;
	if (e->whole)
		return whole_config(e, now, out, ps);
	c = config_clone(now, &more);
	if (!c)
		return problems_add(ps, "", "out of memory");
	err = edit_sad_begin(&es, e, c, ps);
	if (!err)
		err = edit_sad_put(&es, ps);
	if (!err)
		err = change_policies(e, &es, c, ps);
	if (!err)
		err = edit_sad_finish(&es, ps);
	if (!err)
		err = pfp_settle(&c->sad, &c->spd, true, ps);
	if (!err && spd_check(&c->spd, &f))
		err = problems_add(ps, "policies", "%s", f.text);
	edit_sad_fini(&es);
	if (err) {
		config_free(c);
		return -EINVAL;
	}
	*out = c;
	return 0;
}
