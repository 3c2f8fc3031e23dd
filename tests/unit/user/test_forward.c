/* SPDX-License-Identifier: BSD-2-Clause */
/* TTL and hop limit of forwarded packets: RFC 4301 section 5.1.2.1, RFC 1624 for the checksum. */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <string.h>

#include "worker/forward.h"

static uint16_t checksum(const uint8_t *header)
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)header[i] << 8 | header[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Every TTL, with identifications that bring the checksum through its carries. */
static void ip4_ttl_and_checksum(void)
{
	for (unsigned int ttl = 0; ttl <= 255; ttl++) {
		for (unsigned int id = 0; id <= 0xffff; id += 0x101) {
			uint8_t h[20] = { 0x45, 0, 0, 84, (uint8_t)(id >> 8), (uint8_t)id, 0x40, 0,
					  (uint8_t)ttl, 1, 0, 0, 10, 1, 0, 2, 10, 2, 0, 2 };
			uint16_t sum = htons(checksum(h));

			memcpy(h + 10, &sum, 2);
			CU_ASSERT_EQUAL(forward_hop(h), ttl > 1);
			CU_ASSERT_EQUAL(h[8], ttl > 1 ? ttl - 1 : ttl);
			CU_ASSERT_EQUAL(checksum(h), 0);
		}
	}
}

static void ip6_hop_limit(void)
{
	uint8_t h[40] = { 0x60 }, before[40];

	for (unsigned int hops = 0; hops <= 255; hops++) {
		h[7] = (uint8_t)hops;
		memcpy(before, h, sizeof(h));
		CU_ASSERT_EQUAL(forward_hop(h), hops > 1);
		CU_ASSERT_EQUAL(h[7], hops > 1 ? hops - 1 : hops);
		h[7] = (uint8_t)hops;
		CU_ASSERT_EQUAL(memcmp(h, before, sizeof(h)), 0);
	}
}

CU_TestInfo forward_tests[] = {
	{ "IPv4: TTL less one, checksum still right", ip4_ttl_and_checksum },
	{ "IPv6: hop limit less one, nothing else", ip6_hop_limit },
	CU_TEST_INFO_NULL,
};
