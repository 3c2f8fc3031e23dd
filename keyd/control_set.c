/* SPDX-License-Identifier: BSD-2-Clause */
/* control_set.c - the request "set" of control.h: a transaction of an orchestrator. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>

#include "keyd/change_policies.h"
#include "keyd/config.h"
#include "keyd/control.h"
#include "keyd/daemon.h"
#include "keyd/edit.h"
#include "keyd/events.h"
#include "keyd/journal.h"
#include "keyd/publish_maps.h"
#include "xesp/clock.h"
#include "xesp/log.h"

static int change_all(struct daemon *d, struct edit *e, struct change_result *r,
		      struct problems *ps, struct fault *f)
{
	struct config *next;
	int err = edit_config(e, d->change.now, &next, ps);

	*r = (struct change_result){ .kept = d->change.now->sad.sas_n,
				     .generation = d->change.maps->conf->generation };
	if (err)
		return err;
	if (!e->dry_run)
		err = change_apply(&d->change, next, r, f);
	if (err || e->dry_run)
		config_free(next);
	return err;
}

static struct json_object *counts_json(const struct edit_counts *n)
{
	const struct {
		const char *key;
		uint32_t n;
	} all[] = { { "added", n->added },	 { "replaced", n->replaced }, { "kept", n->kept },
		    { "deleted", n->deleted }, { "absent", n->absent } };
	struct json_object *o = json_object_new_object();

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		json_object_object_add(o, all[i].key, json_object_new_uint64(all[i].n));
	return o;
}

static struct json_object *result_json(const struct edit *e, const struct change_result *r,
				       uint64_t began_ns)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "generation", json_object_new_uint64(r->generation));
	json_object_object_add(o, "dry_run", json_object_new_boolean(e->dry_run));
	for (int kind = 0; kind < EDIT_KINDS; kind++)
		json_object_object_add(o, edit_kind_names[kind], counts_json(&e->counts[kind]));
	json_object_object_add(o, "commit_us", json_object_new_uint64(r->commit_us));
	json_object_object_add(o, "took_us",
			       json_object_new_uint64((clock_ns() - began_ns) / 1000));
	return o;
}

static bool has_changed(const struct edit *e)
{
	uint32_t n = 0;

	for (int kind = 0; kind < EDIT_KINDS; kind++)
		n += e->counts[kind].added + e->counts[kind].replaced + e->counts[kind].deleted;
	return n || e->whole;
}

static int make(struct daemon *d, struct edit *e, struct json_object *params,
		struct change_result *r, struct problems *ps, struct fault *f)
{
	int err = edit_is_of_policies(e, d->change.now) ? change_policies(&d->change, e, r, ps, f) :
					   change_all(d, e, r, ps, f);

	if (err || e->dry_run || !has_changed(e))
		return err;
	journal_add(d->journal, params, d->change.now);
	d->loaded_at = time(NULL);
	events_changed(d->events, "set", r);
	daemon_changed(d);
	return 0;
}

/* All that fit: who sends a transaction wants to mend it in one go. */
static void list_problems(const struct problems *ps, struct fault *f)
{
	size_t used = 0;
	uint32_t i = 0;

	for (; i < ps->n && used < sizeof(f->text) - 32; i++) {
		const struct problem *p = &ps->problem[i];
		int n = snprintf(f->text + used, sizeof(f->text) - used, "%s%s%s%s", used ? "; " : "",
				 p->path, p->path[0] ? ": " : "", p->text);

		used += n > 0 ? (size_t)n : 0;
	}
	if (i < ps->n || ps->left_out)
		snprintf(f->text + (used < sizeof(f->text) - 24 ? used : sizeof(f->text) - 24), 24,
			 "; and %u more", ps->n - i + ps->left_out);
}

int control_set(void *ctx, struct json_object *params, struct json_object **result, struct fault *f)
{
	const uint64_t began_ns = clock_ns();
	struct problems ps = { 0 };
	struct daemon *d = ctx;
	struct change_result r;
	struct edit e;
	int err;

	if (!d->journal)
		return fault_set(f, -EPERM,
				 "tunnels, SAs and policies are %s: they come this way with `source: control` in %s",
				 d->xfrm ? "the kernel's" : "the file's", d->o.config);
	err = edit_parse(&e, params, &ps);
	if (!err)
		err = make(d, &e, params, &r, &ps, f);
	if (err && ps.n)
		list_problems(&ps, f);
	if (err)
		log_warn("control: a transaction was refused: %s", f->text);
	else
		*result = result_json(&e, &r, began_ns);
	edit_fini(&e);
	return err;
}
