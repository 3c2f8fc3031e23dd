/* SPDX-License-Identifier: BSD-2-Clause */
/* spd_store.c - see spd_store.h. From top to bottom: stores, slots, what is there at the start. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/spd_store.h"
#include "libxesp/spd_memory.h"

static inline const struct xesp_spd_slot *spd_slot_at(const struct spd_memory *m, uint32_t i)
{
	return &m->slots[i];
}

static inline const struct xesp_spd_entry *spd_entry_at(const struct spd_memory *m, uint32_t i)
{
	return i < m->entries_n ? &m->entries[i] : NULL;
}

static inline const struct xesp_spd_rule *spd_rule_at(const struct spd_memory *m, uint32_t i)
{
	return i < m->rules_n ? &m->rules[i] : NULL;
}

#include "xesp/spd_search.h"

/* ---- stores: what readers load is in spd_search.h */

void spd_store_tell(struct spd_store *s)
{
	if (s->stored)
		s->stored(s->ctx);
}

static void store(struct spd_store *s, uint32_t *at, uint32_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
	spd_store_tell(s);
}

static void store_slot(struct spd_store *s, uint32_t at, uint32_t tag, uint32_t entry)
{
	const union spd_slot_word w = { .f = { .tag = tag, .entry = entry } };

	__atomic_store_n((spd_word *)&s->m->slots[at], w.word, __ATOMIC_RELEASE);
	spd_store_tell(s);
}

/* The version that no reader of the committed generation takes, untagged: it may be written. */
static int open_version(struct spd_store *s, uint32_t generation[2])
{
	int version = spd_newest(generation, s->committed) == 0;

	store(s, &generation[version], 0);
	/* A reader that sees what is written next must not see the old tag. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return version;
}

void spd_store_write_owner(struct spd_store *s, uint32_t entry, uint32_t owner)
{
	struct xesp_spd_entry *e = &s->m->entries[entry];
	int version = open_version(s, e->generation);

	store(s, &e->rule[version], owner);
	store(s, &e->generation[version], s->coming);
}

void spd_store_write_rule(struct spd_store *s, const struct xesp_spd_val *v)
{
	struct xesp_spd_rule *r = &s->m->rules[v->policy];
	int version = spd_newest(r->generation, s->committed);

	if (version >= 0 && !memcmp(&r->val[version], v, sizeof(*v)))
		return;
	version = open_version(s, r->generation);
	r->val[version] = *v;
	spd_store_tell(s);
	store(s, &r->generation[version], s->coming);
}

static void key_words(spd_word w[SPD_KEY_WORDS], const struct xesp_spd_key *key)
{
	memcpy(w, key, sizeof(*key));
}

/* ---- the filter behind the slots */

#define HOMES_MANY UINT8_MAX

static void store_home(struct spd_store *s, uint32_t home, bool set)
{
	spd_word *at = (spd_word *)&s->m->slots[s->m->slots_n + home / 64];
	const uint64_t bit = 1ull << (home & 63);

	__atomic_store_n(at, set ? *at | bit : *at & ~bit, __ATOMIC_RELEASE);
	spd_store_tell(s);
}

static void hold_home(struct spd_store *s, uint64_t h)
{
	const uint32_t home = (uint32_t)h & (s->m->slots_n - 1);

	if (!s->homes[home])
		store_home(s, home, true);
	if (s->homes[home] != HOMES_MANY)
		s->homes[home]++;
}

static void let_home_go(struct spd_store *s, uint64_t h)
{
	const uint32_t home = (uint32_t)h & (s->m->slots_n - 1);

	if (!s->homes[home] || s->homes[home] == HOMES_MANY)
		return;
	if (!--s->homes[home])
		store_home(s, home, false);
}

/* A bit may be set in vain, but none is clear that a reader could miss. */
static void hold_key(struct spd_store *s, const struct xesp_spd_key *key,
		     void (*task)(struct spd_store *s, uint64_t h))
{
	spd_word w[SPD_KEY_WORDS];

	key_words(w, key);
	task(s, spd_hash_addrs(w));
	task(s, spd_hash(w));
}

/* What is set and should not be is of a keyd that died, or of memory that was damaged. */
static void adopt_homes(struct spd_store *s)
{
	memset(s->homes, 0, s->m->slots_n);
	for (uint32_t i = 1; i < s->m->entries_n; i++)
		if (s->used[i])
			hold_key(s, &s->m->entries[i].key, hold_home);
	for (uint32_t i = 0; i < s->m->slots_n; i++) {
		const spd_word word = *(spd_word *)&s->m->slots[s->m->slots_n + i / 64];

		if (!word)
			i |= 63;
		else if (word >> (i & 63) & 1 && !s->homes[i])
			store_home(s, i, false);
	}
}

/* ---- slots */

/*
 * Where the key's entry is, or where it may be put: *slot; UINT32_MAX when there is no room within
 * reach. Returns the entry, 0 none.
 */
static uint32_t find_entry(const struct spd_store *s, const struct xesp_spd_key *key,
			   uint32_t *slot)
{
	const struct spd_memory *m = s->m;
	spd_word w[SPD_KEY_WORDS];
	uint64_t h;

	key_words(w, key);
	h = spd_hash(w);
	*slot = UINT32_MAX;
	for (uint32_t i = 0; i < XESP_SPD_PROBES; i++) {
		uint32_t at = ((uint32_t)h + i) & (m->slots_n - 1);
		const struct xesp_spd_slot *there = &m->slots[at];

		if (there->entry && there->entry != XESP_SPD_SLOT_GONE) {
			if (there->tag == (uint32_t)(h >> 32) &&
			    !memcmp(&m->entries[there->entry].key, key, sizeof(*key))) {
				*slot = at;
				return there->entry;
			}
			continue;
		}
		if (*slot == UINT32_MAX)
			*slot = at;
		if (!there->entry)
			break;
	}
	return 0;
}

int spd_numbers_add(struct spd_numbers *l, uint32_t value)
{
	uint32_t room = l->room ? l->room * 2 : 1024, *more;

	if (l->n == l->room) {
		more = realloc(l->at, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		l->at = more;
		l->room = room;
	}
	l->at[l->n++] = value;
	return 0;
}

uint32_t spd_store_find(const struct spd_store *s, const struct xesp_spd_key *key)
{
	uint32_t slot;

	return find_entry(s, key, &slot);
}

/* A new entry is nobody's, so no reader takes it yet. */
int spd_store_insert(struct spd_store *s, const struct xesp_spd_key *key, uint32_t *entry)
{
	spd_word w[SPD_KEY_WORDS];
	struct xesp_spd_entry *e;
	uint32_t slot;

	find_entry(s, key, &slot);
	if (slot == UINT32_MAX || !s->unused.n)
		return -E2BIG;
	*entry = s->unused.at[--s->unused.n];
	e = &s->m->entries[*entry];
	/* It was another key's, perhaps: whoever still looks at it must find nobody. */
	store(s, &e->generation[0], 0);
	store(s, &e->generation[1], 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	e->key = *key;
	spd_store_tell(s);
	hold_key(s, key, hold_home);
	key_words(w, key);
	store_slot(s, slot, (uint32_t)(spd_hash(w) >> 32), *entry);
	s->used[*entry] = 1;
	s->used_n++;
	return 0;
}

/* Behind the last one of a run a slot that is gone is as good as one never used. */
static void empty_slots(struct spd_store *s, uint32_t slot)
{
	const uint32_t mask = s->m->slots_n - 1;

	if (s->m->slots[(slot + 1) & mask].entry)
		return;
	for (; s->m->slots[slot].entry == XESP_SPD_SLOT_GONE; slot = (slot - 1) & mask)
		store_slot(s, slot, 0, 0);
}

int spd_store_remove(struct spd_store *s, uint32_t entry)
{
	const struct xesp_spd_key key = s->m->entries[entry].key;
	uint32_t slot;

	if (find_entry(s, &key, &slot) != entry)
		return 0; /* two slots led to one key, in memory that was damaged */
	store_slot(s, slot, 0, XESP_SPD_SLOT_GONE);
	empty_slots(s, slot);
	hold_key(s, &key, let_home_go);
	s->used[entry] = 0;
	s->used_n--;
	return spd_numbers_add(&s->unused, entry);
}

uint32_t spd_store_owner(const struct spd_store *s, uint32_t entry)
{
	const struct xesp_spd_entry *e = &s->m->entries[entry];
	int version = spd_newest(e->generation, s->committed);

	return version < 0 ? 0 : e->rule[version];
}

/* ---- what is there at the start */

/* Versions of a generation that was never committed. At the end of all numbers they begin anew. */
static void clear_versions(struct spd_store *s, uint32_t generation[2], bool restart)
{
	int version = spd_newest(generation, s->committed);

	for (int i = 0; i < 2; i++)
		if (generation[i] && i != version && (restart || generation[i] > s->committed))
			store(s, &generation[i], 0);
	if (restart && version >= 0)
		store(s, &generation[version], 1);
}

static void clear_uncommitted(struct spd_store *s, bool restart)
{
	for (uint32_t i = 1; i < s->m->entries_n; i++)
		clear_versions(s, s->m->entries[i].generation, restart);
	for (uint32_t i = 1; i < s->m->rules_n; i++)
		clear_versions(s, s->m->rules[i].generation, restart);
}

static void adopt_slots(struct spd_store *s)
{
	for (uint32_t i = 0; i < s->m->slots_n; i++) {
		uint32_t entry = s->m->slots[i].entry;

		if (!entry || entry == XESP_SPD_SLOT_GONE)
			continue;
		if (entry >= s->m->entries_n || s->used[entry]) {
			store_slot(s, i, 0, XESP_SPD_SLOT_GONE);
			continue;
		}
		s->used[entry] = 1;
		s->used_n++;
	}
}

int spd_store_adopt(struct spd_store *s, bool restart)
{
	int err = 0;

	memset(s->used, 0, s->m->entries_n);
	s->used_n = 0;
	s->unused.n = 0;
	clear_uncommitted(s, restart);
	adopt_slots(s);
	adopt_homes(s);
	for (uint32_t i = s->m->entries_n - 1; i > 0 && !err; i--)
		if (!s->used[i])
			err = spd_numbers_add(&s->unused, i);
	return err;
}

int spd_store_init(struct spd_store *s, struct spd_memory *m)
{
	*s = (struct spd_store){ .m = m,
				 .used = calloc(m->entries_n, 1),
				 .homes = calloc(m->slots_n, 1) };
	return s->used && s->homes ? 0 : -ENOMEM;
}

void spd_store_fini(struct spd_store *s)
{
	free(s->used);
	free(s->homes);
	free(s->unused.at);
}
