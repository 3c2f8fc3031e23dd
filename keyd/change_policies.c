/* SPDX-License-Identifier: BSD-2-Clause */
/* change_policies.c - see change_policies.h. */
#include <errno.h>
#include <stdlib.h>

#include "keyd/change.h"
#include "keyd/change_policies.h"
#include "keyd/config.h"
#include "keyd/edit.h"
#include "keyd/ids.h"
#include "keyd/publish_maps.h"
#include "keyd/spd_edit.h"
#include "keyd/spd_table.h"
#include "xesp/clock.h"
#include "xesp/fault.h"
#include "xesp/log.h"

/* Ids that this change gave out: they are free again when it fails. */
struct fresh_ids {
	uint32_t *ids;
	uint32_t n;
};

static int give_ids(struct change *c, const struct spd_diff *d, struct fresh_ids *fresh,
		    struct fault *f)
{
	struct spd *spd = &c->now->spd;
	uint32_t n = 0;
	int err;

	fresh->ids = calloc(d->added_n + 1, sizeof(*fresh->ids));
	if (!fresh->ids)
		return fault_set(f, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < d->added_n; i++)
		if (!spd->ids[d->added[i]])
			fresh->ids[n++] = d->added[i];
	err = ids_assign_policies(c->maps, spd, d, f);
	for (uint32_t i = 0; i < n && !err; i++)
		fresh->ids[fresh->n++] = spd->ids[fresh->ids[i]];
	return err;
}

static int publish(struct change *c, const struct spd_change *change, struct fault *f)
{
	struct fresh_ids fresh = { 0 };
	struct fault settled = { "" };
	int err = give_ids(c, change->diff, &fresh, f);

	if (!err)
		err = maps_prepare_policies(c->maps, change->sad, change->next, change->diff, f);
	if (!err)
		err = maps_commit(c->maps, change, f);
	if (err)
		maps_undo_policies(c->maps, fresh.ids, fresh.n);
	else if (maps_settle_policies(c->maps, change, &settled))
		log_error("maps: %s", settled.text);
	free(fresh.ids);
	return err;
}

static int make(struct change *c, struct spd_edit *se, struct change_result *r, struct fault *f)
{
	const uint64_t began_ns = clock_ns();
	struct spd_diff d;
	const struct spd_change change = { .now = &se->gone,
					   .next = &c->now->spd,
					   .diff = &d,
					   .sad = &c->now->sad };
	int err = spd_edit_diff(se, &d);

	if (err)
		return fault_set(f, err, "out of memory");
	if (d.dropped_n || d.added_n)
		err = publish(c, &change, f);
	spd_diff_fini(&d);
	r->commit_us = (uint32_t)((clock_ns() - began_ns) / 1000);
	return err;
}

int change_policies(struct change *c, struct edit *e, struct change_result *r,
		    struct problems *ps, struct fault *f)
{
	const struct index *tunnels = config_tunnel_names(c->now);
	struct spd *spd = &c->now->spd;
	struct spd_edit se;
	int err;

	*r = (struct change_result){ .kept = c->now->sad.sas_n };
	if (!tunnels)
		return fault_set(f, -ENOMEM, "out of memory");
	err = spd_edit_begin(&se, spd, &c->now->sad, tunnels, edit_policies_n(e));
	if (err)
		fault_set(f, err, "out of memory");
	else
		err = edit_policies(e, &se, ps);
	if (!err)
		err = e->dry_run ? spd_check(spd, f) : make(c, &se, r, f);
	if ((err || e->dry_run) && se.ids_before && spd_edit_undo(&se))
		log_error("policies: out of memory; what was refused stays listed until a restart");
	spd_edit_fini(&se);
	r->generation = c->maps->conf->generation;
	return err;
}
