/* SPDX-License-Identifier: BSD-2-Clause */
/* check.c - see check.h. */
#include "esp/wire.h"
#include "slow/check.h"

uint32_t check_add(uint32_t sum, const uint8_t *p, size_t n)
{
	uint64_t wide = sum;

	for (; n > 1; n -= 2, p += 2)
		wide += wire_get16(p);
	if (n)
		wide += (uint32_t)*p << 8;
	while (wide >> 32)
		wide = (wide & UINT32_MAX) + (wide >> 32);
	return (uint32_t)wide;
}

uint16_t check_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}
