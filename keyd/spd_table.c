/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spd_table.c - see spd_table.h. From top to bottom: what is there at the start, claims, and the
 * commit. How the memory is written is spd_store.c's.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/sad.h"
#include "keyd/spd.h"
#include "keyd/spd_cut.h"
#include "keyd/spd_diff.h"
#include "keyd/spd_store.h"
#include "keyd/spd_table.h"
#include "libxesp/spd_memory.h"
#include "xesp/fault.h"

#define RANK_NONE UINT32_MAX /* below every policy */

/* Tuples of the present and the coming generation together, each named in keys by its place here. */
#define TUPLE_IDS (2 * XESP_TUPLES_MAX)

/* A policy, or its shadow, that has the key of an entry. */
struct claim {
	uint32_t owner; /* as in xesp_spd_entry.rule */
	uint32_t next;  /* index into claims; 0 none */
};

struct entry_info {
	uint32_t claims; /* index of the first; 0 none */
	uint32_t owner;  /* as committed; 0 nobody */
	uint32_t rank;   /* the owner's, as committed */
	bool dirty;
};

struct tuple_info {
	struct xesp_spd_tuple shape; /* masks and classes */
	uint32_t owned_n; /* entries with an owner */
	uint32_t best;    /* no owner has a lower rank */
	bool loose;       /* `best` may be lower than need be */
	bool used;
};

struct spd_table {
	struct spd_store store;
	bool known;         /* claims and owners are those of the committed generation */
	struct entry_info *info; /* [entries_n] */
	uint32_t *ranks;         /* [rules_n] by policy id, as coming */
	struct tuple_info tuples[XESP_DIR_MAX][TUPLE_IDS];
	struct claim *claims;
	uint32_t claims_n, claims_room, claims_free;
	struct spd_numbers dirty;
};

static int set_dirty(struct spd_table *t, uint32_t entry)
{
	if (t->info[entry].dirty)
		return 0;
	t->info[entry].dirty = true;
	return spd_numbers_add(&t->dirty, entry);
}

/* ---- what is there at the start */

static void adopt_tuples(struct spd_table *t)
{
	const struct spd_memory *m = t->store.m;
	const struct xesp_spd_head *head = &m->head[t->store.committed & 1];

	memset(t->tuples, 0, sizeof(t->tuples));
	if (!t->store.committed || head->generation != t->store.committed)
		return;
	for (uint32_t dir = 0; dir < XESP_DIR_MAX; dir++) {
		for (uint32_t i = 0; i < head->tuples_n[dir] && i < XESP_TUPLES_MAX; i++) {
			const uint32_t half = (t->store.committed & 1) * XESP_DIR_MAX;
			struct xesp_spd_tuple shape = m->tuples[(half + dir) * XESP_TUPLES_MAX + i];
			const uint16_t id = shape.id;

			shape.generation = 0;
			shape.best_rank = 0;
			shape.id = 0;
			shape.pair = 0;
			if (id < TUPLE_IDS)
				t->tuples[dir][id] = (struct tuple_info){ .shape = shape,
									  .best = RANK_NONE,
									  .used = true };
		}
	}
}

/* Forgets claims and reads the memory anew. */
static int adopt(struct spd_table *t)
{
	struct spd_store *s = &t->store;
	int err;

	memset(t->info, 0, s->m->entries_n * sizeof(*t->info));
	t->claims_n = 1; /* 0 is none */
	t->claims_free = 0;
	t->dirty.n = 0;
	err = spd_store_adopt(s, s->coming < s->committed);
	for (uint32_t i = 1; i < s->m->entries_n && !err; i++) {
		if (!s->used[i])
			continue;
		t->info[i].owner = spd_store_owner(s, i);
		err = set_dirty(t, i);
	}
	adopt_tuples(t);
	return err;
}

int spd_table_open(struct spd_table **out, struct spd_memory *m, struct fault *f)
{
	struct spd_table *t = calloc(1, sizeof(*t));

	int err = t ? spd_store_init(&t->store, m) : -ENOMEM;

	if (!err) {
		t->info = calloc(m->entries_n, sizeof(*t->info));
		t->ranks = calloc(m->rules_n, sizeof(*t->ranks));
	}
	if (err || !t->info || !t->ranks) {
		spd_table_close(t);
		return fault_set(f, -ENOMEM, "out of memory");
	}
	*out = t;
	return 0;
}

void spd_table_close(struct spd_table *t)
{
	if (!t)
		return;
	spd_store_fini(&t->store);
	free(t->info);
	free(t->ranks);
	free(t->claims);
	free(t->dirty.at);
	free(t);
}

uint32_t spd_table_used(const struct spd_table *t)
{
	return t->store.used_n;
}

void spd_table_watch(struct spd_table *t, void (*stored)(void *ctx), void *ctx)
{
	t->store.stored = stored;
	t->store.ctx = ctx;
}

/* ---- claims */

static int add_claim(struct spd_table *t, uint32_t entry, uint32_t owner)
{
	uint32_t at = t->claims_free;

	if (at) {
		t->claims_free = t->claims[at].next;
	} else {
		if (t->claims_n >= t->claims_room) {
			uint32_t room = t->claims_room ? t->claims_room * 2 : 1024;
			struct claim *more = realloc(t->claims, room * sizeof(*more));

			if (!more)
				return -ENOMEM;
			t->claims = more;
			t->claims_room = room;
		}
		at = t->claims_n++;
	}
	t->claims[at] = (struct claim){ .owner = owner, .next = t->info[entry].claims };
	t->info[entry].claims = at;
	return set_dirty(t, entry);
}

static int drop_claim(struct spd_table *t, uint32_t entry, uint32_t owner)
{
	uint32_t *link = &t->info[entry].claims;

	while (*link && t->claims[*link].owner != owner)
		link = &t->claims[*link].next;
	if (*link) {
		uint32_t at = *link;

		*link = t->claims[at].next;
		t->claims[at].next = t->claims_free;
		t->claims_free = at;
	}
	return set_dirty(t, entry);
}

/* RFC 4301 section 4.4.1: of those that have the key the first in order. */
static uint32_t first_claim(const struct spd_table *t, uint32_t entry)
{
	uint32_t owner = 0, best = RANK_NONE;

	for (uint32_t at = t->info[entry].claims; at; at = t->claims[at].next) {
		uint32_t rank = t->ranks[t->claims[at].owner & ~XESP_RULE_FRAGMENT];

		if (rank < best) {
			best = rank;
			owner = t->claims[at].owner;
		}
	}
	return owner;
}

static int find_tuple(struct spd_table *t, uint32_t dir, const struct xesp_spd_tuple *shape,
		      bool make)
{
	struct tuple_info *all = t->tuples[dir];
	int unused = -ENOENT;

	for (int i = 0; i < TUPLE_IDS; i++) {
		if (all[i].used && !memcmp(&all[i].shape, shape, sizeof(*shape)))
			return i;
		if (!all[i].used && unused < 0)
			unused = i;
	}
	if (!make)
		return -ENOENT;
	if (unused < 0)
		return -E2BIG;
	all[unused] = (struct tuple_info){ .shape = *shape, .best = RANK_NONE, .used = true };
	return unused;
}

enum task { TASK_ADD, TASK_DROP, TASK_LOOK };

struct visit {
	struct spd_table *t;
	uint32_t id; /* of the policy */
	enum task task;
};

static int visit_piece(void *ctx, const struct spd_piece *piece)
{
	struct visit *v = ctx;
	const uint32_t owner = v->id | (piece->fragment ? XESP_RULE_FRAGMENT : 0);
	struct xesp_spd_key key = piece->key;
	struct spd_table *t = v->t;
	uint32_t entry;
	int tuple, err = 0;

	tuple = find_tuple(t, key.dir, &piece->tuple, v->task == TASK_ADD);
	if (tuple < 0)
		return tuple;
	key.tuple = (uint16_t)tuple;
	entry = spd_store_find(&t->store, &key);
	if (!entry && v->task != TASK_ADD)
		return -ENOENT;
	if (!entry)
		err = spd_store_insert(&t->store, &key, &entry);
	if (err)
		return err;
	if (v->task == TASK_ADD)
		return add_claim(t, entry, owner);
	return v->task == TASK_DROP ? drop_claim(t, entry, owner) : set_dirty(t, entry);
}

static int visit_policy(struct spd_table *t, const struct spd *spd, uint32_t i, enum task task)
{
	struct visit v = { .t = t, .id = spd->ids[i], .task = task };

	if (task != TASK_DROP)
		t->ranks[v.id] = spd->ranks[i];
	return spd_cut(&spd->policies[i], visit_piece, &v);
}

static int change_claims(struct spd_table *t, const struct spd_change *c)
{
	const struct spd_diff *d = c->diff;
	int err = 0;

	if (!t->known) {
		for (uint32_t i = 0; i < c->next->n && !err; i++)
			err = visit_policy(t, c->next, i, TASK_ADD);
		return err;
	}
	for (uint32_t i = 0; i < d->dropped_n && !err; i++)
		err = visit_policy(t, c->now, d->dropped[i], TASK_DROP);
	for (uint32_t i = 0; i < d->added_n && !err; i++)
		err = visit_policy(t, c->next, d->added[i], TASK_ADD);
	for (uint32_t i = 0; i < d->moved_n && !err; i++)
		err = visit_policy(t, c->next, d->moved[i], TASK_LOOK);
	return err;
}

/* ---- the commit */

static void write_policy(struct spd_table *t, const struct spd_change *c, uint32_t i)
{
	const struct policy *p = &c->next->policies[i];
	const struct xesp_spd_val v = {
		.rank = c->next->ranks[i],
		.policy = c->next->ids[i],
		.tunnel = p->tunnel == SAD_NONE ? 0 : c->sad->tunnels[p->tunnel].id,
		.action = p->action,
	};

	spd_store_write_rule(&t->store, &v);
}

static void write_rules(struct spd_table *t, const struct spd_change *c)
{
	if (!t->known) {
		for (uint32_t i = 0; i < c->next->n; i++)
			write_policy(t, c, i);
		return;
	}
	for (uint32_t i = 0; i < c->diff->added_n; i++)
		write_policy(t, c, c->diff->added[i]);
	for (uint32_t i = 0; i < c->diff->moved_n; i++)
		write_policy(t, c, c->diff->moved[i]);
}

/* When the first one of a tuple goes, `best` is lower than need be until find_best(): still right. */
static void count_owner(struct spd_table *t, uint32_t entry, uint32_t owner)
{
	const uint32_t rank = owner ? t->ranks[owner & ~XESP_RULE_FRAGMENT] : RANK_NONE;
	const struct xesp_spd_key *key = &t->store.m->entries[entry].key;
	struct entry_info *info = &t->info[entry];
	struct tuple_info *tuple;

	if (key->dir >= XESP_DIR_MAX || key->tuple >= TUPLE_IDS)
		return; /* in memory that was damaged; no tuple leads to it */
	tuple = &t->tuples[key->dir][key->tuple];
	if (t->known && info->owner) {
		tuple->owned_n--;
		tuple->loose |= info->rank == tuple->best && rank > info->rank;
	}
	info->rank = rank;
	if (!owner)
		return;
	tuple->owned_n++;
	if (rank < tuple->best)
		tuple->best = rank;
}

static void write_entries(struct spd_table *t)
{
	for (uint32_t i = 0; i < t->dirty.n; i++) {
		const uint32_t entry = t->dirty.at[i];
		uint32_t owner = first_claim(t, entry);

		count_owner(t, entry, owner);
		if (owner != t->info[entry].owner)
			spd_store_write_owner(&t->store, entry, owner);
		t->info[entry].owner = owner;
	}
}

struct ordered {
	uint32_t best, id;
};

static int compare_best(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;

	return x->best < y->best ? -1 : x->best > y->best;
}

/* The number of the tuple's address masks among those of the tuples in order: readers look once for all. */
static uint8_t number_pair(const struct spd_table *t, uint32_t dir, const struct ordered *order,
			   uint32_t i, const uint8_t *pairs, uint8_t *pairs_n)
{
	const struct xesp_spd_tuple *shape = &t->tuples[dir][order[i].id].shape;

	for (uint32_t k = 0; k < i; k++) {
		const struct xesp_spd_tuple *other = &t->tuples[dir][order[k].id].shape;

		if (!memcmp(&shape->local_mask, &other->local_mask, sizeof(shape->local_mask)) &&
		    !memcmp(&shape->remote_mask, &other->remote_mask, sizeof(shape->remote_mask)))
			return pairs[k];
	}
	return *pairs_n < XESP_SPD_PAIRS ? (*pairs_n)++ : XESP_SPD_PAIRS;
}

static int write_tuples(struct spd_table *t, uint32_t dir, uint32_t *n, struct fault *f)
{
	const uint32_t first = ((t->store.coming & 1) * XESP_DIR_MAX + dir) * XESP_TUPLES_MAX;
	struct ordered order[TUPLE_IDS];
	uint8_t pairs[XESP_TUPLES_MAX], pairs_n = 0;

	*n = 0;
	for (uint32_t id = 0; id < TUPLE_IDS; id++)
		if (t->tuples[dir][id].used && t->tuples[dir][id].owned_n)
			order[(*n)++] = (struct ordered){ t->tuples[dir][id].best, id };
	if (*n > XESP_TUPLES_MAX)
		return fault_set(f, -E2BIG,
				 "the policies have %u combinations of prefix lengths and port masks in one direction: the classifier holds %d",
				 *n, XESP_TUPLES_MAX);
	qsort(order, *n, sizeof(order[0]), compare_best);
	for (uint32_t i = 0; i < *n; i++) {
		struct xesp_spd_tuple tuple = t->tuples[dir][order[i].id].shape;

		tuple.generation = t->store.coming;
		tuple.best_rank = order[i].best;
		tuple.id = (uint16_t)order[i].id;
		pairs[i] = number_pair(t, dir, order, i, pairs, &pairs_n);
		tuple.pair = pairs[i];
		t->store.m->tuples[first + i] = tuple;
		spd_store_tell(&t->store);
	}
	return 0;
}

static bool has_shadows(const struct spd_table *t, uint32_t dir)
{
	const unsigned int later = XESP_CLASS(4, XESP_FIELDS_LATER) | XESP_CLASS(6, XESP_FIELDS_LATER);

	/* A tuple for later fragments alone is one of shadows, or of the protocol opaque, which asks for
	 * nothing to be remembered: then it is, in vain. */
	for (uint32_t id = 0; id < TUPLE_IDS; id++) {
		const struct tuple_info *i = &t->tuples[dir][id];

		if (i->used && i->owned_n && !(i->shape.classes & ~later))
			return true;
	}
	return false;
}

static int write_head(struct spd_table *t, const struct spd *next, struct fault *f)
{
	struct xesp_spd_head head = { .generation = t->store.coming,
				      .default_action = next->default_action,
				      .kernel = next->kernel };
	int err = 0;

	for (uint32_t dir = 0; dir < XESP_DIR_MAX && !err; dir++) {
		err = write_tuples(t, dir, &head.tuples_n[dir], f);
		head.fragments |= (uint32_t)has_shadows(t, dir) << dir;
	}
	if (!err) {
		t->store.m->head[t->store.coming & 1] = head;
		spd_store_tell(&t->store);
	}
	return err;
}

/* What the next commit writes; entries without an owner are in no list then. */
static void find_best(struct spd_table *t)
{
	bool loose = false;

	for (uint32_t dir = 0; dir < XESP_DIR_MAX; dir++) {
		for (uint32_t id = 0; id < TUPLE_IDS; id++) {
			struct tuple_info *tuple = &t->tuples[dir][id];

			tuple->used &= tuple->owned_n != 0;
			if (tuple->loose)
				tuple->best = RANK_NONE;
			loose |= tuple->loose;
		}
	}
	for (uint32_t i = 1; loose && i < t->store.m->entries_n; i++) {
		const struct xesp_spd_key *key = &t->store.m->entries[i].key;
		struct tuple_info *tuple;

		if (!t->info[i].owner || key->dir >= XESP_DIR_MAX || key->tuple >= TUPLE_IDS)
			continue;
		tuple = &t->tuples[key->dir][key->tuple];
		if (tuple->loose && t->info[i].rank < tuple->best)
			tuple->best = t->info[i].rank;
	}
	for (uint32_t dir = 0; dir < XESP_DIR_MAX; dir++)
		for (uint32_t id = 0; id < TUPLE_IDS; id++)
			t->tuples[dir][id].loose = false;
}

/* After the commit: nobody reads these any more. */
static int sweep(struct spd_table *t)
{
	int err = 0;

	for (uint32_t i = 0; i < t->dirty.n; i++) {
		const uint32_t entry = t->dirty.at[i];

		t->info[entry].dirty = false;
		if (t->info[entry].owner || err)
			continue;
		err = spd_store_remove(&t->store, entry);
		t->info[entry] = (struct entry_info){ 0 };
	}
	t->dirty.n = 0;
	find_best(t);
	return err;
}

static int say_why(const struct spd_table *t, int err, struct fault *f)
{
	if (err == -E2BIG)
		return fault_set(f, err,
				 "the policies need more entries than the maps have room for (%u): attach with a larger --max-policies",
				 t->store.m->entries_n - 1);
	return fault_set(f, err, "out of memory");
}

int spd_table_commit(struct spd_table *t, const struct spd_change *c, struct fault *f)
{
	int err = 0;

	t->store.committed = __atomic_load_n(&t->store.m->conf->generation, __ATOMIC_ACQUIRE);
	/* 0 says that nothing was ever loaded; the half of the arrays must change too. */
	t->store.coming = t->store.committed == UINT32_MAX ? 2 : t->store.committed + 1;
	if (!c->now || c->diff->whole || t->store.coming < t->store.committed)
		t->known = false;
	if (!t->known)
		err = adopt(t);
	if (!err)
		err = change_claims(t, c);
	if (err == -ENOENT) { /* not what this process wrote: then all of it anew */
		t->known = false;
		err = adopt(t);
		if (!err)
			err = change_claims(t, c);
	}
	if (err) {
		t->known = false;
		return say_why(t, err, f);
	}
	write_rules(t, c);
	write_entries(t);
	err = write_head(t, c->next, f);
	if (err) {
		t->known = false;
		return err;
	}
	/* Release: who reads the new generation finds all of it. Other ends: bpf/spd_match.h and
	 * libxesp/spd_memory.c. */
	__atomic_store_n(&t->store.m->conf->generation, t->store.coming, __ATOMIC_RELEASE);
	spd_store_tell(&t->store);
	/* A sweep that fails for want of memory leaves entries that nobody owns. */
	t->known = sweep(t) == 0;
	return 0;
}
