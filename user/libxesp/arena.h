/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena.h - objects of one size side by side, in huge pages where there are many.
 *
 * Why it exists: with 100 000 SAs each object of the heap lies in a page of its own, and a page that the TLB does not
 * know costs more than the line. Memory is locked if the process is (secret.h), left out of cores, and
 * wiped when it is given back. One thread at a time.
 */
#ifndef XESP_ARENA_H
#define XESP_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
	size_t size; /* of an object; rounded up to cache lines */
	void *free;
	char *at, *end; /* what is left of the newest block */
	struct arena_block *blocks;
};

#define ARENA_OF(bytes) { .size = ((bytes) + 63) / 64 * 64 }

/* Zeroed, on a cache line of its own; NULL: out of memory. */
void *arena_take(struct arena *a);
/* Wipes it. NULL is allowed. */
void arena_put(struct arena *a, void *object);
/* All objects must have been given back. */
void arena_fini(struct arena *a);

#endif /* XESP_ARENA_H */
