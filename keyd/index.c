/* SPDX-License-Identifier: BSD-2-Clause */
/* index.c - see index.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/index.h"

#define FIRST_SLOTS 64

struct index_slot {
	const void *key; /* NULL: free */
	uint32_t hash;
	uint32_t value;
};

void index_init(struct index *ix, size_t key_len)
{
	*ix = (struct index){ .key_len = key_len };
}

void index_fini(struct index *ix)
{
	free(ix->slots);
	ix->slots = NULL;
	ix->slots_n = 0;
	ix->used_n = 0;
}

/*
 * A word at a time, as FNV-1a takes bytes, with a mix so that the upper bits come down too: the keys come from
 * the administrator, not from the network.
 */
static uint32_t hash_key(const void *key, size_t len)
{
	const uint8_t *b = key;
	uint64_t h = 0xcbf29ce484222325u, w;

	for (; len >= sizeof(w); len -= sizeof(w), b += sizeof(w)) {
		memcpy(&w, b, sizeof(w));
		h = (h ^ w) * 0x9e3779b97f4a7c15u;
		h ^= h >> 32;
	}
	for (; len; len--, b++)
		h = (h ^ *b) * 0x100000001b3u;
	h *= 0x9e3779b97f4a7c15u;
	return (uint32_t)(h >> 32);
}

static struct index_slot *probe(const struct index *ix, const void *key, uint32_t hash)
{
	size_t at = hash & (ix->slots_n - 1);

	while (ix->slots[at].key &&
	       (ix->slots[at].hash != hash || memcmp(ix->slots[at].key, key, ix->key_len)))
		at = (at + 1) & (ix->slots_n - 1);
	return &ix->slots[at];
}

static int resize(struct index *ix, size_t slots_n)
{
	struct index bigger = *ix;

	bigger.slots_n = slots_n;
	bigger.slots = calloc(bigger.slots_n, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < ix->slots_n; i++) {
		const struct index_slot *s = &ix->slots[i];

		if (s->key)
			*probe(&bigger, s->key, s->hash) = *s;
	}
	free(ix->slots);
	*ix = bigger;
	return 0;
}

static int grow(struct index *ix)
{
	return resize(ix, ix->slots_n ? ix->slots_n * 2 : FIRST_SLOTS);
}

void index_expect(struct index *ix, size_t n)
{
	size_t slots_n = FIRST_SLOTS;

	while (slots_n < 2 * (n + 1))
		slots_n *= 2;
	/* Without the memory now it grows as it is filled, and says so then. */
	if (slots_n > ix->slots_n)
		resize(ix, slots_n);
}

int index_add(struct index *ix, const void *key, uint32_t value, uint32_t *found)
{
	uint32_t hash = hash_key(key, ix->key_len);
	struct index_slot *s;

	if (ix->used_n * 2 >= ix->slots_n) {
		int err = grow(ix);

		if (err)
			return err;
	}
	s = probe(ix, key, hash);
	*found = s->key ? s->value : INDEX_NONE;
	if (s->key)
		return 0;
	*s = (struct index_slot){ .key = key, .hash = hash, .value = value };
	ix->used_n++;
	return 0;
}

uint32_t index_find(const struct index *ix, const void *key)
{
	const struct index_slot *s;

	if (!ix->slots_n)
		return INDEX_NONE;
	s = probe(ix, key, hash_key(key, ix->key_len));
	return s->key ? s->value : INDEX_NONE;
}
