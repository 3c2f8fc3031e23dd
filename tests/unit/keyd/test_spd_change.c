/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_spd_change.c - an SPD changed by what differs: a reader between any two stores finds the old
 * list or the new one, a keyd may die at each, and one of many policies costs one.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libxesp/addr.h"
#include "tests/spd/list.h"
#include "tests/unit/keyd/spd_world.h"
#include "xesp/fault.h"

/* ---- changed step by step */

#define LIST_MAX 24

struct edited {
	struct raw_policy raw[LIST_MAX];
	uint32_t n, names;
};

static void insert_at(struct edited *e, uint32_t at, const struct raw_policy *raw)
{
	memmove(&e->raw[at + 1], &e->raw[at], (e->n - at) * sizeof(*raw));
	e->raw[at] = *raw;
	e->n++;
}

static struct raw_policy take_out(struct edited *e, uint32_t at)
{
	struct raw_policy raw = e->raw[at];

	memmove(&e->raw[at], &e->raw[at + 1], (--e->n - at) * sizeof(raw));
	return raw;
}

/* One of the things that an administrator does to a list. */
static void edit(struct edited *e)
{
	struct raw_policy raw;
	uint32_t what = spd_world_random(4);

	if (!e->n || (what == 0 && e->n < LIST_MAX)) {
		spd_world_random_policy(&raw, e->names++);
		insert_at(e, spd_world_random(e->n + 1), &raw);
		return;
	}
	raw = take_out(e, spd_world_random(e->n));
	if (what == 1) {
		spd_world_free_policy(&raw);
		return;
	}
	if (what == 2) { /* other selectors under the same name */
		uint32_t name_no = (uint32_t)strtoul(raw.name + 1, NULL, 10);

		spd_world_free_policy(&raw);
		spd_world_random_policy(&raw, name_no);
	}
	insert_at(e, spd_world_random(e->n + 1), &raw);
}

/* What a reader finds between two stores: the old list or the new one, whole. */
struct reader {
	struct spd_world *w;
	const struct spd *next;
	uint32_t before; /* generation */
	uint64_t looks;
	int wrong;
};

static void look_between_stores(void *ctx)
{
	struct reader *r = ctx;
	struct spd_query k;

	spd_world_random_packet(&k);
	r->looks++;
	r->wrong += !spd_world_agrees(&r->w->memory, &k,
			    spd_memory_generation(&r->w->memory) == r->before ? r->w->now : r->next);
}

static void edit_for_long(bool forget, uint32_t rounds)
{
	struct edited e = { .n = 0 };
	struct reader r = { 0 };
	struct spd_world w;

	spd_world_open(&w);
	CU_ASSERT_EQUAL_FATAL(spd_world_change(&w, spd_world_make(e.raw, 0), NULL), 0);
	w.forget = forget;
	r.w = &w;
	spd_table_watch(w.table, look_between_stores, &r);
	for (uint32_t i = 0; i < rounds; i++) {
		struct spd *next;

		for (uint32_t n = 1 + spd_world_random(3); n; n--)
			edit(&e);
		next = spd_world_make(e.raw, e.n);
		r.next = next;
		r.before = spd_memory_generation(&w.memory);
		if (spd_world_change(&w, next, NULL)) /* too many tuples: the old one stays whole */
			CU_ASSERT_EQUAL(spd_memory_generation(&w.memory), r.before);
		for (int k = 0; k < 100; k++) {
			struct spd_query q;

			spd_world_random_packet(&q);
			r.wrong += !spd_world_agrees(&w.memory, &q, w.now);
		}
	}
	CU_ASSERT_EQUAL(r.wrong, 0);
	CU_ASSERT(r.looks > rounds * 10);
	spd_world_close(&w);
	for (uint32_t i = 0; i < e.n; i++)
		spd_world_free_policy(&e.raw[i]);
}

static void test_changes_step_by_step(void)
{
	srandom(1);
	edit_for_long(false, 1500);
}

static void test_changes_by_a_keyd_that_knows_nothing(void)
{
	srandom(2);
	edit_for_long(true, 500);
}

/* ---- a keyd that dies between two stores */

struct death {
	uint64_t left; /* stores until then */
	const struct spd_memory *from;
	struct spd_memory *snapshot;
};

static void copy_memory(struct spd_memory *to, const struct spd_memory *from)
{
	memcpy(to->conf, from->conf, sizeof(*to->conf));
	memcpy(to->head, from->head, 2 * sizeof(*to->head));
	memcpy(to->tuples, from->tuples,
	       (size_t)2 * XESP_DIR_MAX * XESP_TUPLES_MAX * sizeof(*to->tuples));
	memcpy(to->slots, from->slots, XESP_SPD_ROOM(to->slots_n) * sizeof(*to->slots));
	memcpy(to->entries, from->entries, to->entries_n * sizeof(*to->entries));
	memcpy(to->rules, from->rules, to->rules_n * sizeof(*to->rules));
}

static void maybe_die(void *ctx)
{
	struct death *d = ctx;

	if (d->left && !--d->left)
		copy_memory(d->snapshot, d->from);
}

/* The memory as it was then, with a new keyd that puts `last` into it: first seen, then changed. */
static int live_on(struct spd_memory *m, const struct spd *before, const struct spd *after,
		   struct raw_policy *raws, uint32_t n, uint32_t generation)
{
	struct spd_world w = { .next_id = 2000 };
	const struct spd *in_force = spd_memory_generation(m) == generation ? before : after;
	int wrong = 0;

	for (int i = 0; i < 30; i++) {
		struct spd_query k;

		spd_world_random_packet(&k);
		wrong += !spd_world_agrees(m, &k, in_force);
	}
	w.memory = *m;
	CU_ASSERT_EQUAL_FATAL(spd_table_open(&w.table, &w.memory, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(spd_world_change(&w, spd_world_make(raws, n), NULL), 0);
	for (int i = 0; i < 30; i++) {
		struct spd_query k;

		spd_world_random_packet(&k);
		wrong += !spd_world_agrees(m, &k, w.now);
	}
	spd_world_free(w.now);
	spd_table_close(w.table);
	return wrong;
}

static void test_death_between_stores(void)
{
	struct edited e = { .n = 0 };
	struct spd_memory snapshot;
	int wrong = 0, deaths = 0;

	srandom(3);
	list_memory_open(&snapshot, 4096, SPD_WORLD_IDS);
	for (int round = 0; round < 12; round++) {
		uint64_t at = 0;
		bool died = true;

		while (died) {
			struct spd_world w = { .next_id = 1 };
			struct edited next = e;
			struct death d = { .from = &w.memory, .snapshot = &snapshot };
			struct spd *after;
			long seed = random();

			list_memory_open(&w.memory, 4096, SPD_WORLD_IDS);
			CU_ASSERT_EQUAL_FATAL(spd_table_open(&w.table, &w.memory, NULL), 0);
			if (spd_world_change(&w, spd_world_make(e.raw, e.n), NULL))
				break;
			/* The list turned round, and without its last: owners and ranks change. */
			for (uint32_t i = 0; i < e.n; i++)
				next.raw[i] = e.raw[e.n - 1 - i];
			next.n -= next.n != 0;
			after = spd_world_make(next.raw, next.n);
			d.left = ++at;
			spd_table_watch(w.table, maybe_die, &d);
			CU_ASSERT_EQUAL_FATAL(spd_memory_generation(&w.memory), 1);
			{
				struct spd *before = spd_world_make(e.raw, e.n);

				memcpy(before->ids, w.now->ids, e.n * sizeof(*before->ids));
				CU_ASSERT_EQUAL(spd_world_change(&w, after, NULL), 0);
				died = d.left == 0;
				if (died)
					wrong += live_on(&snapshot, before, w.now, e.raw, e.n, 1);
				deaths += died;
				spd_world_free(before);
			}
			srandom((unsigned int)seed);
			spd_world_close(&w);
		}
		for (int k = 0; k < 1; k++)
			edit(&e);
		if (e.n > 5) {
			struct raw_policy raw = take_out(&e, 0);

			spd_world_free_policy(&raw);
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(deaths > 200);
	for (uint32_t i = 0; i < e.n; i++)
		spd_world_free_policy(&e.raw[i]);
	list_memory_close(&snapshot);
}

/* ---- many */

struct crowd {
	struct raw_policy *raws;
	char (*names)[16];
	char (*nets)[24];
	char **lists;
};

static void open_crowd(struct crowd *c, uint32_t n)
{
	c->raws = calloc(n, sizeof(*c->raws));
	c->names = calloc(n, sizeof(*c->names));
	c->nets = calloc(n, sizeof(*c->nets));
	c->lists = calloc(n, sizeof(*c->lists));
	for (uint32_t i = 0; i < n; i++) {
		snprintf(c->names[i], sizeof(c->names[i]), "p%u", i);
		snprintf(c->nets[i], sizeof(c->nets[i]), "10.%u.%u.0/24", i >> 8, i & 255);
		c->lists[i] = c->nets[i];
		c->raws[i] = (struct raw_policy){ .name = c->names[i],
						  .action = RAW_ACTION_PROTECT,
						  .tunnel = "t",
						  .remote = &c->lists[i],
						  .remote_count = 1 };
	}
}

static void close_crowd(struct crowd *c)
{
	free(c->raws);
	free(c->names);
	free(c->nets);
	free(c->lists);
}

static void test_one_of_many_changes_one(void)
{
	enum { MANY = 4000 };
	struct raw_policy moved;
	struct crowd c;
	struct spd_world w;

	open_crowd(&c, MANY);
	spd_world_open(&w);
	CU_ASSERT_EQUAL_FATAL(spd_world_change(&w, spd_world_make(c.raws, MANY), NULL), 0);
	CU_ASSERT_EQUAL(spd_table_used(w.table), 2 * MANY);
	/* One from the middle to the front. */
	moved = c.raws[2000];
	memmove(&c.raws[11], &c.raws[10], 1990 * sizeof(moved));
	c.raws[10] = moved;
	CU_ASSERT_EQUAL(spd_world_change(&w, spd_world_make(c.raws, MANY), NULL), 0);
	CU_ASSERT(w.last.dropped_n == 0 && w.last.added_n == 0 && w.last.moved_n == 1);
	/* One goes, one comes. */
	CU_ASSERT_EQUAL(spd_world_change(&w, spd_world_make(c.raws + 1, MANY - 1), NULL), 0);
	CU_ASSERT(w.last.dropped_n == 1 && w.last.added_n == 0 && w.last.moved_n == 0);
	CU_ASSERT_EQUAL(spd_world_change(&w, spd_world_make(c.raws, MANY), NULL), 0);
	CU_ASSERT(w.last.dropped_n == 0 && w.last.added_n == 1 && w.last.moved_n == 0);
	/* Another action. */
	c.raws[1000].action = RAW_ACTION_DISCARD;
	c.raws[1000].tunnel = NULL;
	CU_ASSERT_EQUAL(spd_world_change(&w, spd_world_make(c.raws, MANY), NULL), 0);
	CU_ASSERT(w.last.dropped_n == 1 && w.last.added_n == 1 && w.last.moved_n == 0);
	CU_ASSERT_EQUAL(spd_table_used(w.table), 2 * MANY);
	spd_world_close(&w);
	close_crowd(&c);
}

/* Always between the same two: a gap is used up time and again, and few have to move. */
static void test_gaps_are_made_again(void)
{
	enum { MANY = 1200, ALWAYS = 400 };
	uint64_t moved = 0;
	struct crowd c;
	struct spd_world w;

	open_crowd(&c, MANY);
	spd_world_open(&w);
	CU_ASSERT_EQUAL_FATAL(spd_world_change(&w, spd_world_make(c.raws, ALWAYS), NULL), 0);
	for (uint32_t i = ALWAYS; i < MANY; i++) {
		struct raw_policy raw = c.raws[i];

		memmove(&c.raws[ALWAYS / 2 + 1], &c.raws[ALWAYS / 2],
			(i - ALWAYS / 2) * sizeof(raw));
		c.raws[ALWAYS / 2] = raw;
		CU_ASSERT_EQUAL_FATAL(spd_world_change(&w, spd_world_make(c.raws, i + 1), NULL), 0);
		CU_ASSERT_EQUAL(w.last.added_n, 1);
		moved += w.last.moved_n;
	}
	CU_ASSERT(moved < (uint64_t)(MANY - ALWAYS) * 20);
	spd_world_close(&w);
	close_crowd(&c);
}

/* A policy for each of n nets, so that no hash is shared by very many. */
static struct spd *list_of_nets(uint32_t n)
{
	struct raw_policy raws[64] = { 0 };
	char names[64][16], nets[64][40], *lists[64];

	for (uint32_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "n%u", i);
		snprintf(nets[i], sizeof(nets[i]), "10.%u.0.0/%u", i, 16 + i % 8);
		lists[i] = nets[i];
		raws[i] = (struct raw_policy){ .name = names[i],
					       .action = RAW_ACTION_DISCARD,
					       .remote = &lists[i],
					       .remote_count = 1 };
	}
	return spd_world_make(raws, n);
}

static uint32_t filter_bits(const struct spd_memory *m)
{
	uint32_t n = 0;
	uint64_t word;

	for (uint32_t i = 0; i < m->slots_n / 64; i++) {
		memcpy(&word, &m->slots[m->slots_n + i], sizeof(word));
		n += (uint32_t)__builtin_popcountll(word);
	}
	return n;
}

/* A bit too few would hide a policy, and the other tests see that; one too many would only cost. */
static void test_the_filter_forgets(void)
{
	static const uint32_t sizes[] = { 64, 10, 50, 1, 64, 0, 3 };
	struct spd_world w;

	spd_world_open(&w);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint32_t bits;

		w.forget = i == 4; /* a keyd that counts what is there */
		CU_ASSERT_EQUAL_FATAL(spd_world_change(&w, list_of_nets(sizes[i]), NULL), 0);
		bits = filter_bits(&w.memory);
		/* Addresses, and the whole key in each direction; some of them may fall together. */
		CU_ASSERT(bits <= 3 * sizes[i]);
		CU_ASSERT(bits >= 2 * sizes[i]);
	}
	spd_world_close(&w);
}

CU_TestInfo spd_change_tests[] = {
	{ "the filter before the slots forgets what is gone", test_the_filter_forgets },
	{ "changed step by step, the old list or the new one between any two stores",
	  test_changes_step_by_step },
	{ "changed by a keyd that was restarted, likewise", test_changes_by_a_keyd_that_knows_nothing },
	{ "a keyd that dies between any two stores leaves a whole list, and the next mends it",
	  test_death_between_stores },
	{ "one of many changes one", test_one_of_many_changes_one },
	{ "ranks between the same two never run out", test_gaps_are_made_again },
	CU_TEST_INFO_NULL,
};
