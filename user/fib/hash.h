/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash.h - the one mixing function of this room's tables: an address and a 32-bit tag.
 *
 * Keyed by a random seed, because a neighbour on the link chooses the addresses that end in the
 * neighbour table. Inlined: it runs once per packet for the destination cache. Any thread.
 */
#ifndef XESP_FIB_HASH_H
#define XESP_FIB_HASH_H

#include <stdint.h>
#include <string.h>
#include "xesp/steer.h"

static inline uint32_t hash_addr(const struct xesp_addr *a, uint32_t tag, uint64_t seed)
{
	uint64_t half[2], h;

	memcpy(half, a->w, sizeof(half));
	h = (half[0] ^ seed) * 0x9e3779b97f4a7c15ull;
	h = (h ^ (h >> 29) ^ half[1]) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ (h >> 32) ^ tag) * 0x94d049bb133111ebull;
	return (uint32_t)(h >> 32);
}

#endif /* XESP_FIB_HASH_H */
