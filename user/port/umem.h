/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * umem.h - the packet memory of the process: one area for every interface and queue.
 *
 * Why one: a frame received on one interface is transformed where it lies and sent on another
 * without a copy. The area is cut into chunks of UMEM_CHUNK bytes, and the chunks are partitioned
 * into one pool per worker, so that no pool needs a lock: all queues of a worker fill from its
 * pool, and what it sends completes back into it.
 *
 * Room in a chunk, low to high:
 *   0                  UMEM_L2_ROOM bytes for the new Ethernet header and VLAN tags
 *   UMEM_L2_ROOM       what pkt.head points to: the lowest byte encapsulation may use
 *   256                where the kernel puts a received frame (XDP_PACKET_HEADROOM), and just
 *                      before it struct xesp_meta; read once, then free to be overwritten
 *   256 + frame        tailroom for padding and ICV, up to the chunk's end (pkt.end)
 * So a frame in one chunk may have up to UMEM_CHUNK - 256 bytes; a larger one comes in several.
 *
 * The kernel takes no chunk larger than a page, and ESP wants its packet in one piece. So each pool
 * has wide buffers behind its chunks: UMEM_WIDE_CHUNKS neighbours each, which gather.h copies a
 * large frame into. The kernel never fills them. It sends from them as from any other chunks, with
 * a descriptor for each, and hands these back one by one; when all are back the buffer is free.
 *
 * Every chunk of a pool is in exactly one place, and its byte in `owner` says in which. The byte
 * costs a store per move, and is what makes it possible to take back the frames of an interface
 * that goes away, to catch a frame freed twice, and to prove at the end that none leaked.
 */
#ifndef XESP_UMEM_H
#define XESP_UMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libxesp/line.h"

struct fault;
struct umem;

#define UMEM_CHUNK 4096u
#define UMEM_CHUNK_MASK (~(uint64_t)(UMEM_CHUNK - 1))
#define UMEM_L2_ROOM 32u
#define UMEM_RX_ROOM 256u /* XDP_PACKET_HEADROOM */
#define UMEM_WIDE_CHUNKS 3u
#define UMEM_WIDE (UMEM_WIDE_CHUNKS * UMEM_CHUNK)

/* Values of `owner`. */
#define UMEM_FREE 0u        /* on the free list */
#define UMEM_HAND 1u        /* received, not yet sent or freed */
#define UMEM_QUARANTINE 2u  /* was given to a queue now closed: waits for umem_reclaim() */
#define UMEM_RETIRED 3u     /* a closed queue never completed it: the kernel may still read it */
#define UMEM_RX(port) ((uint8_t)(4u + 2u * (port))) /* fill ring, kernel, or receive ring of this port */
#define UMEM_TX(port) ((uint8_t)(5u + 2u * (port))) /* transmit ring, kernel, or completion ring */
#define UMEM_OWNERS 132u

/*
 * The frames of one worker. Visible for the packet path; only its worker touches it: on a cache line of its own, for
 * the counts change with every frame.
 */
struct umem_pool {
	uint8_t *area;   /* of the whole UMEM: an address in a descriptor is an offset into it */
	uint64_t *free;  /* stack of chunk addresses */
	uint8_t *owner;  /* by chunk of this pool, those of wide buffers too */
	uint64_t first;  /* address of its first chunk */
	uint64_t wide_first; /* address of its first wide buffer: behind all its other chunks */
	uint64_t *wide;  /* stack of addresses of free wide buffers */
	uint32_t frames_n, free_n; /* chunks that are not part of a wide buffer */
	uint32_t wides_n, wide_free_n;
} __attribute__((aligned(LINE_BYTES)));

struct umem_size {
	uint32_t pools_n;
	uint32_t frames_n, wides_n; /* of each pool */
};

/*
 * Maps and locks the memory, in huge pages if the machine has them reserved.
 * -ENOMEM with a sentence that names the size. Ended by umem_close(), after all ports.
 */
int umem_open(struct umem **out, const struct umem_size *size, struct fault *f);
void umem_close(struct umem *u);

struct umem_pool *umem_pool(struct umem *u, uint32_t worker);
void *umem_area(const struct umem *u, size_t *len);
bool umem_huge(const struct umem *u);

/* The byte that says where this chunk is. */
static inline uint8_t *umem_owner(const struct umem_pool *p, uint64_t addr)
{
	return &p->owner[(addr - p->first) / UMEM_CHUNK];
}

/* Takes a free chunk for `owner`; false: none is left. */
static inline bool umem_take(struct umem_pool *p, uint8_t owner, uint64_t *addr)
{
	if (!p->free_n)
		return false;
	*addr = p->free[--p->free_n];
	*umem_owner(p, *addr) = owner;
	return true;
}

/* A chunk that is not where its byte says: memory is no longer trustworthy, so the process ends. */
void umem_broken(uint64_t addr, unsigned int is, unsigned int should) __attribute__((noreturn, cold));

/* Moves a chunk (any address in it) from one owner to another. */
static inline void umem_move(const struct umem_pool *p, uint64_t addr, uint8_t from, uint8_t to)
{
	uint8_t *owner = umem_owner(p, addr);

	if (__builtin_expect(*owner != from, 0))
		umem_broken(addr, *owner, from);
	*owner = to;
}

static inline bool umem_is_wide(const struct umem_pool *p, uint64_t addr)
{
	return addr >= p->wide_first;
}

/* A chunk of a wide buffer has become free: so is the buffer, if it was the last. */
void umem_join(struct umem_pool *p, uint64_t addr) __attribute__((cold));

/* Gives a chunk back to the free list, or to its wide buffer. */
static inline void umem_put(struct umem_pool *p, uint64_t addr, uint8_t from)
{
	umem_move(p, addr, from, UMEM_FREE);
	if (__builtin_expect(umem_is_wide(p, addr), 0))
		umem_join(p, addr);
	else
		p->free[p->free_n++] = addr & UMEM_CHUNK_MASK;
}

/*
 * A free wide buffer, all its chunks UMEM_HAND; false: none is left. The chunks outside of a range
 * are given back by umem_trim(), which leaves at least one; all that are still in hand by
 * umem_put_wide(), for any address in the buffer.
 */
bool umem_take_wide(struct umem_pool *p, uint64_t *addr);
void umem_trim(struct umem_pool *p, uint64_t addr, uint32_t len);
void umem_put_wide(struct umem_pool *p, uint64_t addr);

/*
 * The queue of `port` is closed. What the kernel might still write to is quarantined, what it
 * might still read is retired for good. Returns the number retired.
 */
uint32_t umem_abandon(struct umem_pool *p, uint32_t port);

/* When the kernel has let go of what was abandoned: quarantined chunks are free again. */
void umem_reclaim(struct umem_pool *p);

/* All chunks, those of wide buffers too. */
static inline uint32_t umem_chunks(const struct umem_pool *p)
{
	return p->frames_n + p->wides_n * UMEM_WIDE_CHUNKS;
}

/* Counts chunks by owner; true when the free lists and the bytes agree. Debugging and tests. */
bool umem_census(struct umem_pool *p, uint32_t by_owner[UMEM_OWNERS]);

#endif /* XESP_UMEM_H */
