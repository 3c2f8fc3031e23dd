/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena.c - see arena.h. Under AddressSanitizer objects come from the heap, one by one, so that it sees what is used
 * after it was given back.
 */
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "libxesp/arena.h"

#define LINE 64u
#define FIRST_BYTES ((size_t)64 << 10) /* enough for most machines */
#define HUGE_BYTES ((size_t)2 << 20)

#if defined(__SANITIZE_ADDRESS__)
#define HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HEAP 1
#endif
#endif

/* At the beginning of each block. */
struct arena_block {
	struct arena_block *next;
	size_t len;
};

static void *map_pages(size_t len, int prot)
{
	void *p = mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

#ifdef HEAP
/* Where the leak checker finds the pointers in it. */
void *arena_map_huge(size_t len)
{
	void *p;

	len = (len + LINE - 1) & ~(size_t)(LINE - 1);
	p = aligned_alloc(LINE, len);
	return p ? memset(p, 0, len) : NULL;
}

void arena_unmap_huge(void *p, size_t len)
{
	(void)len;
	free(p);
}
#else
void *arena_map_huge(size_t len)
{
	char *p, *at;

	len = (len + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
	p = map_pages(len + HUGE_BYTES, PROT_NONE);
	if (!p)
		return NULL;
	at = (char *)(((uintptr_t)p + HUGE_BYTES - 1) & ~(uintptr_t)(HUGE_BYTES - 1));
	if (at > p)
		munmap(p, (size_t)(at - p));
	if (at < p + HUGE_BYTES)
		munmap(at + len, (size_t)(p + HUGE_BYTES - at));
	madvise(at, len, MADV_HUGEPAGE);
	madvise(at, len, MADV_DONTDUMP);
	if (!mprotect(at, len, PROT_READ | PROT_WRITE))
		return at;
	munmap(at, len);
	return NULL;
}

void arena_unmap_huge(void *p, size_t len)
{
	if (p)
		munmap(p, (len + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));
}
#endif

static bool add_block(struct arena *a)
{
	const size_t len = a->blocks ? HUGE_BYTES : FIRST_BYTES;
	struct arena_block *b = a->blocks ? arena_map_huge(len) : map_pages(len, PROT_READ | PROT_WRITE);

	if (!b)
		return false;
	madvise(b, len, MADV_DONTDUMP);
	*b = (struct arena_block){ .next = a->blocks, .len = len };
	a->blocks = b;
	a->at = (char *)b + LINE;
	a->end = (char *)b + len;
	return true;
}

static void *take(struct arena *a)
{
	void *p = a->free;

	if (p) {
		memcpy(&a->free, p, sizeof(a->free));
		memset(p, 0, sizeof(a->free));
		return p;
	}
	if ((size_t)(a->end - a->at) < a->size && !add_block(a))
		return NULL;
	p = a->at;
	a->at += a->size;
	return p;
}

void *arena_take(struct arena *a)
{
#ifdef HEAP
	void *p = aligned_alloc(LINE, a->size);

	(void)take;
	return p ? memset(p, 0, a->size) : NULL;
#else
	return take(a);
#endif
}

void arena_put(struct arena *a, void *object)
{
	if (!object)
		return;
	OPENSSL_cleanse(object, a->size);
#ifdef HEAP
	free(object);
#else
	memcpy(object, &a->free, sizeof(a->free));
	a->free = object;
#endif
}

void arena_fini(struct arena *a)
{
	for (struct arena_block *b = a->blocks, *next; b; b = next) {
		next = b->next;
		munmap(b, b->len);
	}
	*a = (struct arena){ .size = a->size };
}
