/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire.h - numbers as they stand in a packet: any alignment, network byte order; and the Internet
 * checksum. Inlined for they are one instruction each.
 */
#ifndef XESP_WIRE_H
#define XESP_WIRE_H

#include <endian.h>
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
