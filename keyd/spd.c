/* SPDX-License-Identifier: BSD-2-Clause */
/* spd.c - see spd.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/index.h"
#include "keyd/sad.h"
#include "keyd/schema.h"
#include "keyd/spd.h"
#include "keyd/transport.h"
#include "libxesp/addr.h"
#include "xesp/fault.h"

/* ---- text to list */

static int take_tunnel(struct policy *p, const struct raw_policy *raw, const char *path,
		       const struct index *tunnels, struct problems *ps)
{
	char name[XESP_NAME_MAX] = "", where[PROBLEMS_PATH_MAX], shown[PROBLEMS_SHOWN_MAX];

	p->tunnel = SAD_NONE;
	problems_below(where, path, "tunnel");
	if (p->action != XESP_ACTION_PROTECT)
		return raw->tunnel ? problems_add(ps, where, "only action protect has a tunnel") : 0;
	if (!raw->tunnel)
		return problems_add(ps, where, "action protect needs a tunnel");
	if (strlen(raw->tunnel) < sizeof(name))
		memcpy(name, raw->tunnel, strlen(raw->tunnel));
	p->tunnel = index_find(tunnels, name);
	if (p->tunnel == INDEX_NONE)
		return problems_add(ps, where, "no tunnel is named %s",
				    problems_shown(raw->tunnel, shown));
	return 0;
}

static int init_policy(struct policy *p, const struct raw_policy *raw, const char *path,
		       const struct sad *sad, const struct index *tunnels, struct problems *ps)
{
	static const uint8_t actions[] = { 0, XESP_ACTION_DISCARD, XESP_ACTION_BYPASS,
					   XESP_ACTION_PROTECT };
	int err;

	p->action = actions[raw->action];
	p->dirs = 1 << XESP_DIR_OUT | 1 << XESP_DIR_IN;
	if (raw->direction == RAW_DIRECTION_OUT)
		p->dirs = 1 << XESP_DIR_OUT;
	if (raw->direction == RAW_DIRECTION_IN)
		p->dirs = 1 << XESP_DIR_IN;
	err = sad_take_name(p->name, raw->name, path, ps);
	err |= take_tunnel(p, raw, path, tunnels, ps);
	err |= selector_init(&p->sel, raw, path, ps);
	if (!err && p->tunnel != SAD_NONE)
		err = transport_narrow(&p->sel, &sad->tunnels[p->tunnel], path, ps);
	return err;
}

static int init_policies(struct spd *spd, const struct raw_config *raw, const struct sad *sad,
			 const struct index *tunnels, struct index *names, struct problems *ps)
{
	int err = 0;

	for (uint32_t i = 0; i < raw->policies_count; i++) {
		struct policy *p = &spd->policies[i];
		char path[PROBLEMS_PATH_MAX];
		uint32_t found;

		spd->n = i + 1;
		snprintf(path, sizeof(path), "policies[%u]", i);
		if (init_policy(p, &raw->policies[i], path, sad, tunnels, ps)) {
			err = -EINVAL;
			continue;
		}
		if (index_add(names, p->name, i, &found))
			return problems_add(ps, path, "out of memory");
		snprintf(path, sizeof(path), "policies[%u].name", i);
		if (found != INDEX_NONE)
			err = problems_add(ps, path, "'%s' is also the name of policies[%u]",
					   p->name, found);
	}
	return err;
}

static bool is_inbound(const struct policy *p)
{
	return p->action == XESP_ACTION_PROTECT && p->dirs & 1 << XESP_DIR_IN;
}

/* The tunnels that packets of a protect policy may come by: its own, or all of its group. */
static uint32_t ways(const struct spd *spd, const struct sad *sad, uint32_t rank)
{
	const struct tunnel *t = &sad->tunnels[spd->policies[rank].tunnel];

	return t->members_n ? t->members_n : 1;
}

static struct tunnel *way(const struct spd *spd, const struct sad *sad, uint32_t rank, uint32_t k)
{
	struct tunnel *t = &sad->tunnels[spd->policies[rank].tunnel];

	return t->members_n ? &sad->tunnels[t->members[k]] : t;
}

/* Which inbound policies a tunnel has: a counting sort, for xespd is told tunnel by tunnel. */
static int group_inbound(struct spd *spd, struct sad *sad)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < spd->n; i++)
		for (uint32_t k = 0; is_inbound(&spd->policies[i]) && k < ways(spd, sad, i); k++)
			way(spd, sad, i, k)->inbound_n++;
	for (uint32_t i = 0; i < sad->tunnels_n; i++) {
		sad->tunnels[i].inbound_first = at;
		at += sad->tunnels[i].inbound_n;
		sad->tunnels[i].inbound_n = 0;
	}
	spd->inbound = calloc(at + 1u, sizeof(*spd->inbound));
	if (!spd->inbound)
		return -ENOMEM;
	for (uint32_t i = 0; i < spd->n; i++) {
		for (uint32_t k = 0; is_inbound(&spd->policies[i]) && k < ways(spd, sad, i); k++) {
			struct tunnel *t = way(spd, sad, i, k);

			spd->inbound[t->inbound_first + t->inbound_n++] = i;
		}
	}
	return 0;
}

int spd_init(struct spd *spd, const struct raw_config *raw, struct sad *sad,
	     struct problems *ps)
{
	struct index tunnels, names;
	uint32_t found;
	int err = 0;

	*spd = (struct spd){ .default_action = raw->default_action == RAW_DEFAULT_BYPASS ?
						       XESP_ACTION_BYPASS :
						       XESP_ACTION_DISCARD };
	spd->policies = calloc(raw->policies_count + 1, sizeof(*spd->policies));
	if (!spd->policies)
		return problems_add(ps, "policies", "out of memory");
	index_init(&tunnels, XESP_NAME_MAX);
	index_init(&names, XESP_NAME_MAX);
	for (uint32_t i = 0; i < sad->tunnels_n && !err; i++)
		err = index_add(&tunnels, sad->tunnels[i].name, i, &found);
	if (err)
		problems_add(ps, "policies", "out of memory");
	else
		err = init_policies(spd, raw, sad, &tunnels, &names, ps);
	index_fini(&tunnels);
	index_fini(&names);
	if (!err && group_inbound(spd, sad))
		err = problems_add(ps, "policies", "out of memory");
	return err ? -EINVAL : 0;
}

void spd_fini(struct spd *spd)
{
	for (uint32_t i = 0; i < spd->n; i++)
		selector_fini(&spd->policies[i].sel);
	free(spd->policies);
	free(spd->inbound);
	*spd = (struct spd){ 0 };
}

/* ---- list to image */

struct builder {
	struct spd_image *image;
	size_t room;
	struct index keys; /* of entries, see make_room() */
	const struct spd *spd;
	const struct sad *sad;
};

/* Ports of one side of a policy, cut. */
struct port_cuts {
	uint32_t n;
	struct port_cut *cut;
};

static int cut_ports(struct port_cuts *out, const struct port_range *r, uint32_t n)
{
	out->n = 0;
	out->cut = calloc(n ? (size_t)n * SELECTOR_CUTS_MAX : 1, sizeof(*out->cut));
	if (!out->cut)
		return -ENOMEM;
	if (!n) {
		out->n = 1; /* any: value 0 under mask 0 */
		return 0;
	}
	for (uint32_t i = 0; i < n; i++)
		out->n += selector_cut_ports(r[i], out->cut + out->n);
	return 0;
}

static int find_tuple(struct builder *b, enum xesp_dir dir, const struct xesp_spd_tuple *want,
		      uint32_t rank)
{
	struct xesp_spd_tuple *t = b->image->tuples[dir];
	uint32_t n = b->image->tuples_n[dir];

	for (uint32_t i = 0; i < n; i++) {
		struct xesp_spd_tuple same = t[i];

		same.best_rank = want->best_rank;
		if (!memcmp(&same, want, sizeof(same)))
			return (int)i;
	}
	if (n == XESP_TUPLES_MAX)
		return -E2BIG;
	t[n] = *want;
	/* Ranks go up: the first entry is the best one, and the array is in order of best_rank, where
	 * the search ends at the first tuple that cannot beat what was found. */
	t[n].best_rank = rank;
	b->image->tuples_n[dir]++;
	return (int)n;
}

/*
 * The entries' array moves as it grows and the index borrows keys: so grow both together, and put
 * the keys in again. Doubling keeps that cheap.
 */
static int make_room(struct builder *b)
{
	struct spd_image *im = b->image;
	struct spd_entry *more;
	size_t room = b->room ? b->room * 2 : 256;
	uint32_t found;

	if (im->entries_n < b->room)
		return 0;
	if (im->entries_n >= SPD_ENTRIES_MAX)
		return -E2BIG;
	more = calloc(room, sizeof(*more));
	if (!more)
		return -ENOMEM;
	if (im->entries_n)
		memcpy(more, im->entries, im->entries_n * sizeof(*more));
	index_fini(&b->keys);
	free(im->entries);
	im->entries = more;
	b->room = room;
	for (uint32_t i = 0; i < im->entries_n; i++)
		if (index_add(&b->keys, &more[i].key, i, &found))
			return -ENOMEM;
	return 0;
}

static int add_entry(struct builder *b, const struct xesp_spd_key *key, uint32_t rank)
{
	const struct policy *p = &b->spd->policies[rank];
	struct spd_entry *e;
	uint32_t found;
	int err;

	/* RFC 4301 section 4.4.1: the first of the list wins; ranks come in order. */
	if (index_find(&b->keys, key) != INDEX_NONE)
		return 0;
	err = make_room(b);
	if (err)
		return err;
	e = &b->image->entries[b->image->entries_n];
	e->key = *key;
	e->val = (struct xesp_spd_val){
		.rank = rank,
		.policy = p->id,
		.tunnel = p->tunnel == SAD_NONE ? 0 : b->sad->tunnels[p->tunnel].id,
		.action = p->action,
	};
	err = index_add(&b->keys, &e->key, b->image->entries_n, &found);
	if (!err)
		b->image->entries_n++;
	return err;
}

struct side {
	const struct prefix *prefix;
	struct port_cut port;
};

static int add_combination(struct builder *b, uint32_t rank, const struct side *local,
			   const struct side *remote)
{
	const struct policy *p = &b->spd->policies[rank];
	struct xesp_spd_tuple tuple = { .family = p->sel.family,
					.proto_mask = p->sel.proto ? 0xff : 0,
					.local_port_mask = htons(local->port.mask),
					.remote_port_mask = htons(remote->port.mask) };
	struct xesp_spd_key key = { .proto = p->sel.proto,
				    .local = local->prefix->addr,
				    .remote = remote->prefix->addr,
				    .local_port = htons(local->port.value),
				    .remote_port = htons(remote->port.value) };

	addr_mask(&tuple.local_mask, local->prefix->len);
	addr_mask(&tuple.remote_mask, remote->prefix->len);
	for (int dir = 0; dir < XESP_DIR_MAX; dir++) {
		int t, err;

		if (!(p->dirs & 1 << dir))
			continue;
		t = find_tuple(b, (enum xesp_dir)dir, &tuple, rank);
		if (t < 0)
			return t;
		key.dir = (uint8_t)dir;
		key.tuple = (uint16_t)t;
		err = add_entry(b, &key, rank);
		if (err)
			return err;
	}
	return 0;
}

static int add_ports(struct builder *b, uint32_t rank, const struct port_cuts *lp,
		     const struct port_cuts *rp)
{
	const struct selector *s = &b->spd->policies[rank].sel;
	const uint64_t prefixes = (uint64_t)s->local_n * s->remote_n;
	int err = 0;

	if (prefixes * lp->n * rp->n > SPD_ENTRIES_MAX)
		return -E2BIG;
	for (uint64_t i = 0; i < prefixes && !err; i++) {
		struct side local = { .prefix = &s->local[i / s->remote_n] };
		struct side remote = { .prefix = &s->remote[i % s->remote_n] };

		for (uint32_t l = 0; l < lp->n && !err; l++) {
			local.port = lp->cut[l];
			for (uint32_t r = 0; r < rp->n && !err; r++) {
				remote.port = rp->cut[r];
				err = add_combination(b, rank, &local, &remote);
			}
		}
	}
	return err;
}

static int add_policy(struct builder *b, uint32_t rank)
{
	const struct selector *s = &b->spd->policies[rank].sel;
	struct port_cuts lp = { 0 }, rp = { 0 };
	int err;

	err = cut_ports(&lp, s->local_ports, s->local_ports_n);
	if (!err)
		err = cut_ports(&rp, s->remote_ports, s->remote_ports_n);
	if (!err)
		err = add_ports(b, rank, &lp, &rp);
	free(lp.cut);
	free(rp.cut);
	return err;
}

int spd_compile(const struct spd *spd, const struct sad *sad, struct spd_image **out,
		struct fault *f)
{
	struct builder b = { .spd = spd, .sad = sad };
	int err = 0;

	b.image = calloc(1, sizeof(*b.image));
	if (!b.image)
		return fault_set(f, -ENOMEM, "out of memory");
	index_init(&b.keys, sizeof(struct xesp_spd_key));
	for (uint32_t i = 0; i < spd->n && !err; i++) {
		err = add_policy(&b, i);
		if (err == -E2BIG)
			fault_set(f, err,
				  "policies[%u] '%s' is too much for the classifier: at most %d combinations of prefix lengths and port masks in one direction (ranges that are powers of two need fewest), and %u entries",
				  i, spd->policies[i].name, XESP_TUPLES_MAX, SPD_ENTRIES_MAX);
		else if (err)
			fault_set(f, err, "policies[%u]: out of memory", i);
	}
	index_fini(&b.keys);
	if (err) {
		spd_image_free(b.image);
		return err;
	}
	*out = b.image;
	return 0;
}

void spd_image_free(struct spd_image *image)
{
	if (!image)
		return;
	free(image->entries);
	free(image);
}
