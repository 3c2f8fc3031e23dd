/* SPDX-License-Identifier: BSD-2-Clause */
/* umem.c - see umem.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "libxesp/line.h"
#include "port/umem.h"
#include "xesp/fault.h"
#include "xesp/log.h"
#include "xesp/steer.h"

#define HUGE_PAGE ((size_t)2 << 20)

_Static_assert(UMEM_TX(XESP_PORTS_MAX - 1) < UMEM_OWNERS, "owner bytes for every port");
_Static_assert(UMEM_OWNERS <= UINT8_MAX + 1, "an owner fits a byte");

struct umem {
	uint8_t *area;
	size_t len;
	bool huge;
	uint32_t pools_n;
	struct umem_pool pools[];
};

static void *map_area(size_t len, bool *huge)
{
	const int prot = PROT_READ | PROT_WRITE;
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *area = mmap(NULL, len, prot, flags | MAP_HUGETLB, -1, 0);

	*huge = area != MAP_FAILED;
	if (!*huge)
		area = mmap(NULL, len, prot, flags, -1, 0);
	if (area == MAP_FAILED)
		return NULL;
	/* Cleartext lies here: it must not reach a core file. Huge pages are only a wish. */
	madvise(area, len, MADV_DONTDUMP);
	madvise(area, len, MADV_HUGEPAGE);
	return area;
}

static int open_pool(struct umem_pool *p, uint8_t *area, uint64_t first,
		     const struct umem_size *size)
{
	p->area = area;
	p->first = first;
	p->frames_n = size->frames_n;
	p->wides_n = size->wides_n;
	p->wide_first = first + (uint64_t)size->frames_n * UMEM_CHUNK;
	p->free = line_alloc(p->frames_n * sizeof(*p->free));
	p->wide = line_alloc(p->wides_n * sizeof(*p->wide));
	p->owner = line_alloc(umem_chunks(p) * sizeof(*p->owner));
	if (!p->free || !p->wide || !p->owner)
		return -ENOMEM;
	/* Low addresses are taken first, for the eye of who debugs. */
	for (uint32_t i = p->frames_n; i-- > 0;)
		p->free[p->free_n++] = first + (uint64_t)i * UMEM_CHUNK;
	for (uint32_t i = p->wides_n; i-- > 0;)
		p->wide[p->wide_free_n++] = p->wide_first + (uint64_t)i * UMEM_WIDE;
	return 0;
}

int umem_open(struct umem **out, const struct umem_size *size, struct fault *f)
{
	const uint32_t pools_n = size->pools_n;
	const size_t pool_len = (size_t)size->frames_n * UMEM_CHUNK + (size_t)size->wides_n * UMEM_WIDE;
	size_t len = pools_n * pool_len;
	struct umem *u = line_alloc(sizeof(*u) + pools_n * sizeof(u->pools[0]));
	int err = -ENOMEM;

	if (!u)
		return fault_set(f, err, "out of memory");
	u->len = (len + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	u->area = map_area(u->len, &u->huge);
	if (!u->area) {
		fault_set(f, err, "no %zu MiB for packets: %s; free memory or raise RLIMIT_MEMLOCK",
			  u->len >> 20, strerror(errno));
		goto free_umem;
	}
	for (u->pools_n = 0; u->pools_n < pools_n; u->pools_n++) {
		uint64_t first = (uint64_t)u->pools_n * pool_len;

		if (open_pool(&u->pools[u->pools_n], u->area, first, size)) {
			u->pools_n++;
			fault_set(f, err, "out of memory");
			goto free_umem;
		}
	}
	*out = u;
	return 0;

free_umem:
	umem_close(u);
	return err;
}

void umem_close(struct umem *u)
{
	if (!u)
		return;
	for (uint32_t i = 0; i < u->pools_n; i++) {
		free(u->pools[i].free);
		free(u->pools[i].wide);
		free(u->pools[i].owner);
	}
	if (u->area)
		munmap(u->area, u->len);
	free(u);
}

struct umem_pool *umem_pool(struct umem *u, uint32_t worker)
{
	return &u->pools[worker];
}

void *umem_area(const struct umem *u, size_t *len)
{
	*len = u->len;
	return u->area;
}

bool umem_huge(const struct umem *u)
{
	return u->huge;
}

void umem_broken(uint64_t addr, unsigned int is, unsigned int should)
{
	log_fatal("umem: frame at 0x%llx has owner %u and not %u: a frame is in two places",
		  (unsigned long long)addr, is, should);
}

/* The first chunk of the wide buffer that this address is in. */
static uint64_t wide_of(const struct umem_pool *p, uint64_t addr)
{
	return p->wide_first + (addr - p->wide_first) / UMEM_WIDE * UMEM_WIDE;
}

bool umem_take_wide(struct umem_pool *p, uint64_t *addr)
{
	if (!p->wide_free_n)
		return false;
	*addr = p->wide[--p->wide_free_n];
	memset(umem_owner(p, *addr), UMEM_HAND, UMEM_WIDE_CHUNKS);
	return true;
}

static bool all_free(struct umem_pool *p, uint64_t wide)
{
	const uint8_t *owner = umem_owner(p, wide);

	for (uint32_t i = 0; i < UMEM_WIDE_CHUNKS; i++)
		if (owner[i] != UMEM_FREE)
			return false;
	return true;
}

void umem_join(struct umem_pool *p, uint64_t addr)
{
	uint64_t wide = wide_of(p, addr);

	if (all_free(p, wide))
		p->wide[p->wide_free_n++] = wide;
}

void umem_trim(struct umem_pool *p, uint64_t addr, uint32_t len)
{
	uint64_t at = wide_of(p, addr), end = at + UMEM_WIDE;

	for (; at < end; at += UMEM_CHUNK)
		if (at + UMEM_CHUNK <= addr || at >= addr + len)
			umem_move(p, at, UMEM_HAND, UMEM_FREE);
}

void umem_put_wide(struct umem_pool *p, uint64_t addr)
{
	uint64_t wide = wide_of(p, addr);
	uint8_t *owner = umem_owner(p, wide);

	if (all_free(p, wide))
		umem_broken(addr, UMEM_FREE, UMEM_HAND);
	for (uint32_t i = 0; i < UMEM_WIDE_CHUNKS; i++)
		if (owner[i] != UMEM_FREE)
			umem_move(p, wide + i * UMEM_CHUNK, UMEM_HAND, UMEM_FREE);
	umem_join(p, addr);
}

uint32_t umem_abandon(struct umem_pool *p, uint32_t port)
{
	uint32_t retired = 0;

	for (uint32_t i = 0; i < umem_chunks(p); i++) {
		if (p->owner[i] == UMEM_RX(port)) {
			p->owner[i] = UMEM_QUARANTINE;
		} else if (p->owner[i] == UMEM_TX(port)) {
			p->owner[i] = UMEM_RETIRED;
			retired++;
		}
	}
	return retired;
}

void umem_reclaim(struct umem_pool *p)
{
	for (uint32_t i = 0; i < p->frames_n; i++)
		if (p->owner[i] == UMEM_QUARANTINE)
			umem_put(p, p->first + (uint64_t)i * UMEM_CHUNK, UMEM_QUARANTINE);
}

/* Chunks of free wide buffers, and in *loose free ones of buffers that are not. */
static uint32_t count_wide_chunks(struct umem_pool *p, uint32_t *loose)
{
	uint32_t listed = 0;

	for (uint32_t i = 0; i < p->wide_free_n; i++)
		if (all_free(p, p->wide[i]))
			listed += UMEM_WIDE_CHUNKS;
	*loose = 0;
	for (uint32_t i = 0; i < p->wides_n; i++) {
		uint64_t wide = p->wide_first + (uint64_t)i * UMEM_WIDE;

		if (all_free(p, wide))
			continue;
		for (uint32_t k = 0; k < UMEM_WIDE_CHUNKS; k++)
			*loose += *umem_owner(p, wide + k * UMEM_CHUNK) == UMEM_FREE;
	}
	return listed;
}

bool umem_census(struct umem_pool *p, uint32_t by_owner[UMEM_OWNERS])
{
	uint32_t listed = 0, wide, loose;

	memset(by_owner, 0, UMEM_OWNERS * sizeof(by_owner[0]));
	for (uint32_t i = 0; i < umem_chunks(p); i++) {
		if (p->owner[i] >= UMEM_OWNERS)
			return false;
		by_owner[p->owner[i]]++;
	}
	for (uint32_t i = 0; i < p->free_n; i++)
		if (p->owner[(p->free[i] - p->first) / UMEM_CHUNK] == UMEM_FREE)
			listed++;
	wide = count_wide_chunks(p, &loose);
	return listed == p->free_n && wide == p->wide_free_n * UMEM_WIDE_CHUNKS &&
	       listed + wide + loose == by_owner[UMEM_FREE];
}
