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

/*
 * Zeroed memory of its own that begins where a huge page may; whether it is of them is the kernel's matter. Left out of
 * cores. Not readable before the kernel knows that it may be huge: a process that locks all its memory would have got it
 * in small pages at once. NULL: out of memory.
 */
void *arena_map_huge(size_t len);
void arena_unmap_huge(void *p, size_t len); /* NULL is allowed */

#endif /* XESP_ARENA_H */
