/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire.h - numbers as they stand in a packet: any alignment, network byte order; and the Internet
 * checksum. Inlined for they are one instruction each.
 */
#ifndef XESP_WIRE_H
#define XESP_WIRE_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t wire_get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return be16toh(v);
}

static inline uint32_t wire_get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static inline void wire_put16(uint8_t *p, uint16_t v)
{
	v = htobe16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void wire_put32(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void wire_put64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

/* A word as it lies in memory: RFC 1071 sums need no swapping. */
static inline uint16_t wire_raw16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint16_t wire_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* RFC 1071 in memory order, eight bytes at a time: end-around carries keep their value mod 2^16-1. */
static inline uint64_t wire_add_carry(uint64_t sum, uint64_t word)
{
	bool carry = __builtin_add_overflow(sum, word, &sum);

	return sum + carry;
}

static inline uint16_t wire_sum(uint64_t sum, const uint8_t *p, uint32_t len)
{
	uint64_t word;

	for (; len >= sizeof(word); len -= (uint32_t)sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sum = wire_add_carry(sum, word);
	}
	word = 0;
	memcpy(&word, p, len); /* what is missing counts as zeroes */
	sum = wire_add_carry(sum, word);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	return wire_fold((uint32_t)sum);
}

/* Replaces the word at `at` and adjusts the checksum at `check`: RFC 1624 equation 3. */
static inline void wire_replace16(uint8_t *check, uint8_t *at, uint16_t raw)
{
	uint32_t sum = (uint16_t)~wire_raw16(check);
	uint16_t v;

	sum += (uint16_t)~wire_raw16(at) + (uint32_t)raw;
	v = (uint16_t)~wire_fold(sum);
	memcpy(at, &raw, sizeof(raw));
	memcpy(check, &v, sizeof(v));
}

#endif /* XESP_WIRE_H */
