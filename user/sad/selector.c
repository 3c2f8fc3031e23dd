/* SPDX-License-Identifier: BSD-2-Clause */
/* selector.c - see selector.h. */
#include <endian.h>
#include <string.h>

#include "sad/selector.h"

struct selector_addr selector_addr_of(const void *be128)
{
	uint64_t w[2];

	memcpy(w, be128, sizeof(w));
	return (struct selector_addr){ be64toh(w[0]), be64toh(w[1]) };
}

struct selector_addr selector_addr_of_ip4(const void *be32)
{
	uint32_t w;

	memcpy(&w, be32, sizeof(w));
	return (struct selector_addr){ 0, 0xffff00000000ull | be32toh(w) };
}
