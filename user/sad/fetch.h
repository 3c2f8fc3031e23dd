/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch.h - what a batch of many SAs will read is asked for ahead, level by level.
 *
 * Why it exists: with 100 000 SAs nothing of one is in the cache, and the way to its key leads from line to line: slot,
 * SA, tunnel, key. One after the other these cost several hundred nanoseconds a packet; asked for a
 * whole batch at a time, they arrive while the next packet's are asked for. Nothing here changes anything.
 */
#ifndef XESP_SAD_FETCH_H
#define XESP_SAD_FETCH_H

#include <stdint.h>

struct sad;

/*
 * Reads one byte, and nothing waits for it: unlike a prefetch, which CPUs let go of when the TLB does not know the
 * page, it always comes.
 */
static inline void fetch_line(const void *p)
{
	char byte = __atomic_load_n((const char *)p, __ATOMIC_RELAXED);

	__asm__ volatile("" : : "r"(byte));
}

/* Asks for a line, not into the first cache but into the second, whose misses are many more at a time. */
static inline void fetch_ahead(const void *p)
{
	__builtin_prefetch(p, 0, 2);
}

#define FETCH_MAX 256u

/* Packets of one inbound SA, or to one tunnel. */
struct fetch_run {
	uint32_t id;  /* may be anything */
	uint32_t len; /* about so many bytes of text has one of them */
};

/* Workers: up to FETCH_MAX inbound SAs, and tunnels that will be sent to. */
void fetch_inbound(const struct sad *s, uint32_t worker, const struct fetch_run *r, uint32_t n);
void fetch_outbound(const struct sad *s, uint32_t worker, const struct fetch_run *r, uint32_t n);

#endif /* XESP_SAD_FETCH_H */
