/* SPDX-License-Identifier: BSD-2-Clause */
/* IPv6 fragmentation of our own packets: pieces of every size, put together again by a simple mind. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "esp/wire.h"
#include "slow/frag6.h"

#define ROOM 4096

/* A packet with a hop-by-hop header of 8 bytes, then ESP: its head is 48 bytes. */
static void make(uint8_t *ip, uint32_t len)
{
	memset(ip, 0, 48);
	ip[0] = 0x60;
	wire_put16(ip + 4, (uint16_t)(len - 40));
	ip[6] = 0;
	ip[40] = 50;
	for (uint32_t i = 48; i < len; i++)
		ip[i] = (uint8_t)(i * 7);
}

static void every_mtu(void)
{
	static uint8_t ip[ROOM], out[ROOM], whole[ROOM];

	for (uint32_t len = 49; len < 900; len += 37) {
		make(ip, len);
		for (uint32_t mtu = 64; mtu < 300; mtu++) {
			uint32_t n, off, at = 0, bad = 0;
			struct frag6 f;
			bool more = true;

			CU_ASSERT_EQUAL(frag6_begin(&f, ip, len, 48, mtu, 0x01020304), 0);
			while ((n = frag6_next(&f, out))) {
				off = wire_get16(out + 50) & 0xfff8;
				more = out[51] & 1;
				bad += n > mtu || off != at || wire_get16(out + 4) != n - 40 ||
				       out[6] != 0 || out[40] != 44 || out[48] != 50 ||
				       wire_get32(out + 52) != 0x01020304 ||
				       (more && (n - 56) % 8) || n < 57;
				memcpy(whole + 48 + off, out + 56, n - 56);
				at += n - 56;
			}
			CU_ASSERT_EQUAL(bad, 0);
			CU_ASSERT_FALSE(more);
			CU_ASSERT_EQUAL(at, len - 48);
			CU_ASSERT(!memcmp(whole + 48, ip + 48, len - 48));
		}
	}
}

static void refusals(void)
{
	uint8_t ip[200];
	struct frag6 f;

	make(ip, 200);
	CU_ASSERT_EQUAL(frag6_begin(&f, ip, 199, 48, 1280, 1), -EINVAL); /* not its length */
	CU_ASSERT_EQUAL(frag6_begin(&f, ip, 200, 47, 1280, 1), -EINVAL); /* no header ends there */
	CU_ASSERT_EQUAL(frag6_begin(&f, ip, 200, 200, 1280, 1), -EINVAL);
	CU_ASSERT_EQUAL(frag6_begin(&f, ip, 200, 48, 63, 1), -EINVAL); /* not one byte of data */
	ip[0] = 0x45;
	CU_ASSERT_EQUAL(frag6_begin(&f, ip, 200, 48, 1280, 1), -EINVAL);
}

CU_TestInfo frag6_tests[] = {
	{ "every MTU, put together again", every_mtu },
	{ "what is not cut", refusals },
	CU_TEST_INFO_NULL,
};
