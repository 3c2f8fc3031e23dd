/* SPDX-License-Identifier: BSD-2-Clause */
/* neigh.c - see neigh.h. */
#include <linux/neighbour.h>
#include <stdlib.h>
#include <string.h>

#include "fib/hash.h"
#include "fib/neigh.h"
#include "libxesp/addr.h"

#define ASK_EVERY_MS 1000
#define ASKED_SLOTS  1024 /* for neighbours that the book does not have */

#define STATES_GOOD (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)

struct book_entry {
	struct neigh_key key;
	uint64_t asked_ms; /* 0 never */
	uint32_t next;     /* of its bucket or of the free list: index + 1, 0 the end */
	uint16_t state;    /* NUD_* */
	uint8_t mac[6];
	bool has_mac;
	bool taken;
	bool seen; /* in this sweep */
};

struct neigh_book {
	uint64_t seed;
	struct book_entry *entries;
	uint32_t *buckets;              /* [mask + 1]: index + 1, 0 empty */
	uint32_t mask, used, cap, free; /* used: slots of entries[] ever taken */
	uint32_t n;
	uint64_t asked_ms[ASKED_SLOTS]; /* by hash of the neighbour: when one of it was asked for */
};

static bool key_equal(const struct neigh_key *a, const struct neigh_key *b)
{
	return a->ifindex == b->ifindex && addr_equal(&a->addr, &b->addr);
}

static uint32_t hash_key(const struct neigh_key *k, uint64_t seed)
{
	return hash_addr(&k->addr, k->ifindex, seed);
}

struct neigh_book *neigh_book_open(uint64_t seed)
{
	struct neigh_book *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->seed = seed;
	b->mask = 255;
	b->buckets = calloc(b->mask + 1, sizeof(*b->buckets));
	if (b->buckets)
		return b;
	free(b);
	return NULL;
}

void neigh_book_close(struct neigh_book *b)
{
	if (!b)
		return;
	free(b->entries);
	free(b->buckets);
	free(b);
}

static struct book_entry *find(const struct neigh_book *b, const struct neigh_key *k)
{
	uint32_t i = b->buckets[hash_key(k, b->seed) & b->mask];

	while (i && !key_equal(&b->entries[i - 1].key, k))
		i = b->entries[i - 1].next;
	return i ? &b->entries[i - 1] : NULL;
}

static void put_in_bucket(struct neigh_book *b, uint32_t i)
{
	uint32_t *head = &b->buckets[hash_key(&b->entries[i].key, b->seed) & b->mask];

	b->entries[i].next = *head;
	*head = i + 1;
}

/* Doubles the room. Out of memory, the book stays as it is. */
static bool make_room(struct neigh_book *b)
{
	uint32_t cap = b->cap ? 2 * b->cap : 128;
	struct book_entry *entries = realloc(b->entries, cap * sizeof(*entries));
	uint32_t *buckets;

	if (!entries)
		return false;
	b->entries = entries;
	buckets = calloc(2 * (size_t)cap, sizeof(*buckets));
	if (!buckets)
		return false;
	free(b->buckets);
	b->buckets = buckets;
	b->mask = 2 * cap - 1;
	b->cap = cap;
	for (uint32_t i = 0; i < b->used; i++) {
		if (b->entries[i].taken)
			put_in_bucket(b, i);
	}
	return true;
}

/* NULL: out of memory; the neighbour then stays unknown and its packets go to the kernel. */
static struct book_entry *add(struct neigh_book *b, const struct neigh_key *k)
{
	uint32_t i = b->free;

	if (i) {
		b->free = b->entries[i - 1].next;
		i--;
	} else {
		if (b->used == b->cap && !make_room(b))
			return NULL;
		i = b->used++;
	}
	memset(&b->entries[i], 0, sizeof(b->entries[i]));
	b->entries[i].key = *k;
	b->entries[i].taken = true;
	put_in_bucket(b, i);
	b->n++;
	return &b->entries[i];
}

static void del(struct neigh_book *b, struct book_entry *e)
{
	uint32_t i = (uint32_t)(e - b->entries) + 1;
	uint32_t *link = &b->buckets[hash_key(&e->key, b->seed) & b->mask];

	while (*link != i)
		link = &b->entries[*link - 1].next;
	*link = e->next;
	e->taken = false;
	e->next = b->free;
	b->free = i;
	b->n--;
}

static enum neigh_answer answer_of(const struct book_entry *e)
{
	if (!e->has_mac || !(e->state & STATES_GOOD))
		return NEIGH_FAILED;
	return e->state & NUD_STALE ? NEIGH_STALE : NEIGH_READY;
}

enum neigh_change neigh_book_set(struct neigh_book *b, const struct neigh_key *k, uint16_t state,
				 const uint8_t *mac)
{
	struct book_entry *e = find(b, k), old;

	if (e) {
		old = *e;
	} else {
		e = add(b, k);
		if (!e)
			return NEIGH_SAME;
		old = *e;
		old.state = NUD_NONE;
	}
	e->state = state;
	e->has_mac = mac != NULL;
	e->seen = true;
	if (mac)
		memcpy(e->mac, mac, sizeof(e->mac));

	if (answer_of(&old) == NEIGH_FAILED && answer_of(e) == NEIGH_FAILED)
		return old.state ? NEIGH_SAME : NEIGH_AGED;
	if (answer_of(&old) == NEIGH_FAILED || answer_of(e) == NEIGH_FAILED ||
	    memcmp(old.mac, e->mac, sizeof(e->mac)))
		return NEIGH_MOVED;
	return answer_of(&old) == answer_of(e) ? NEIGH_SAME : NEIGH_AGED;
}

enum neigh_change neigh_book_del(struct neigh_book *b, const struct neigh_key *k)
{
	struct book_entry *e = find(b, k);

	if (!e)
		return NEIGH_SAME;
	del(b, e);
	return NEIGH_MOVED;
}

void neigh_book_sweep_begin(struct neigh_book *b)
{
	for (uint32_t i = 0; i < b->used; i++)
		b->entries[i].seen = false;
}

void neigh_book_sweep_end(struct neigh_book *b)
{
	for (uint32_t i = 0; i < b->used; i++) {
		if (b->entries[i].taken && !b->entries[i].seen)
			del(b, &b->entries[i]);
	}
}

static bool second_has_passed(uint64_t *asked_ms, uint64_t now_ms)
{
	if (*asked_ms && now_ms - *asked_ms < ASK_EVERY_MS)
		return false;
	*asked_ms = now_ms;
	return true;
}

bool neigh_book_may_ask(struct neigh_book *b, const struct neigh_key *k, uint64_t now_ms)
{
	struct book_entry *e = find(b, k);
	uint32_t i = hash_key(k, b->seed) % ASKED_SLOTS;

	if (e) {
		/* NTF_USE would make a permanent entry an ordinary one. */
		if (e->state & (NUD_PERMANENT | NUD_NOARP))
			return false;
		return second_has_passed(&e->asked_ms, now_ms);
	}
	/* Neighbours with the same hash share the second: that loses a question now and then, and
	 * the packets that go the slow way make the kernel ask by itself. */
	return second_has_passed(&b->asked_ms[i], now_ms);
}

uint32_t neigh_book_count(const struct neigh_book *b)
{
	return b->n;
}

struct neigh_table {
	uint64_t seed;
	uint32_t mask;
	struct neigh_entry *entries; /* [mask + 1], open addressing, at most half full */
	uint8_t *used;               /* [mask + 1]: set by workers, taken by the main thread */
};

void neigh_table_free(struct neigh_table *t)
{
	if (!t)
		return;
	free(t->entries);
	free(t->used);
	free(t);
}

static void table_add(struct neigh_table *t, const struct book_entry *e)
{
	uint32_t at = hash_key(&e->key, t->seed);

	while (t->entries[at & t->mask].in_use)
		at++;
	t->entries[at & t->mask] = (struct neigh_entry){
		.key = e->key,
		.answer = (uint8_t)answer_of(e),
		.in_use = 1,
	};
	memcpy(t->entries[at & t->mask].mac, e->mac, sizeof(e->mac));
}

struct neigh_table *neigh_table_build(const struct neigh_book *b)
{
	struct neigh_table *t = calloc(1, sizeof(*t));
	uint32_t slots = 64;

	if (!t)
		return NULL;
	while (slots < 2 * b->n)
		slots *= 2;
	t->seed = b->seed;
	t->mask = slots - 1;
	t->entries = calloc(slots, sizeof(*t->entries));
	t->used = calloc(slots, sizeof(*t->used));
	if (!t->entries || !t->used) {
		neigh_table_free(t);
		return NULL;
	}
	for (uint32_t i = 0; i < b->used; i++) {
		if (b->entries[i].taken)
			table_add(t, &b->entries[i]);
	}
	return t;
}

enum neigh_answer neigh_table_lookup(const struct neigh_table *t, const struct neigh_key *k,
				     uint8_t mac[6], uint32_t *index)
{
	for (uint32_t at = hash_key(k, t->seed);; at++) {
		const struct neigh_entry *e = &t->entries[at & t->mask];

		if (!e->in_use)
			return NEIGH_UNKNOWN;
		if (!key_equal(&e->key, k))
			continue;
		memcpy(mac, e->mac, sizeof(e->mac));
		*index = at & t->mask;
		return (enum neigh_answer)e->answer;
	}
}

void neigh_table_use(struct neigh_table *t, uint32_t index)
{
	/* Looked at before it is written, so that workers do not pass the line around; partner is
	 * the exchange in neigh_table_used(). Nothing is ordered by it: a mark is only a hint. */
	if (!__atomic_load_n(&t->used[index], __ATOMIC_RELAXED))
		__atomic_store_n(&t->used[index], 1, __ATOMIC_RELAXED);
}

void neigh_table_used(struct neigh_table *t, void (*ask)(void *ctx, const struct neigh_key *k),
		      void *ctx)
{
	for (uint32_t i = 0; i <= t->mask; i++) {
		if (!__atomic_load_n(&t->used[i], __ATOMIC_RELAXED))
			continue;
		__atomic_exchange_n(&t->used[i], 0, __ATOMIC_RELAXED);
		ask(ctx, &t->entries[i].key);
	}
}
