/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * index.h - finds a number by a key of fixed length: names, SPIs, fingerprints, SPD keys.
 *
 * Why it exists: 100 000 policies and SAs are compared with each other and with the maps, which
 * must not take the square of their number. Open addressing; keys are borrowed and compared as
 * bytes, so they must outlive the index and have no undefined padding. Main thread.
 */
#ifndef XESP_KEYD_INDEX_H
#define XESP_KEYD_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct index {
	size_t key_len;
	size_t slots_n; /* a power of two, at most half full */
	size_t used_n;
	struct index_slot *slots;
};

#define INDEX_NONE UINT32_MAX

/* For keys of `key_len` bytes; grows as needed. */
void index_init(struct index *ix, size_t key_len);
void index_fini(struct index *ix);

/* Room for `n` keys at once, for who knows how many will come. */
void index_expect(struct index *ix, size_t n);

/*
 * Remembers `value` (not INDEX_NONE) under `key`. *found gets the value that was there already,
 * which then stays, or INDEX_NONE. -ENOMEM
 */
int index_add(struct index *ix, const void *key, uint32_t value, uint32_t *found);

/* INDEX_NONE: not there. */
uint32_t index_find(const struct index *ix, const void *key);

#endif /* XESP_KEYD_INDEX_H */
