/* SPDX-License-Identifier: BSD-2-Clause */
/* Pings through a tunnel: what is sent, and which answers are ours. */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp/inner.h"
#include "esp/wire.h"
#include "libxesp/addr.h"
#include "slow/check.h"
#include "slow/echo.h"
#include "slow/frag.h"
#include "slow/frag6.h"
#include "tests/pair/pair.h"

#define SECRET 0x1122334455667788
#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct echo echo_of(int version, uint8_t kind, uint16_t seq)
{
	struct echo e = { .tunnel = 77, .seq = seq, .kind = kind };

	CU_ASSERT_FALSE_FATAL(addr_parse(&e.local, version == 4 ? "10.1.0.1" : "2001:db8:1::1", NULL));
	CU_ASSERT_FALSE_FATAL(
		addr_parse(&e.remote, version == 4 ? "10.2.0.1" : "2001:db8:2::1", NULL));
	return e;
}

static void set_icmp_check(uint8_t *ip, uint32_t len)
{
	uint8_t *icmp = ip + (ip[0] >> 4 == 4 ? 20 : 40);
	uint32_t n = len - (uint32_t)(icmp - ip), sum = 0;

	wire_put16(icmp + 2, 0);
	if (ip[0] >> 4 == 6)
		sum = check_add(IPPROTO_ICMPV6 + n, ip + 8, 32);
	wire_put16(icmp + 2, check_fold(check_add(sum, icmp, n)));
}

/* What any system makes of a request: RFC 792, RFC 4443 section 4.2. */
static void answer(uint8_t *ip, uint32_t len)
{
	uint32_t n = ip[0] >> 4 == 4 ? 4 : 16, src = n == 4 ? 12 : 8;
	uint8_t was[16];

	memcpy(was, ip + src, n);
	memcpy(ip + src, ip + src + n, n);
	memcpy(ip + src + n, was, n);
	ip[n == 4 ? 20 : 40] = n == 4 ? 0 : 129;
	set_icmp_check(ip, len);
}

static void goes_and_comes(void)
{
	static const uint32_t lens[] = { ECHO_LEN_MIN4, 64, 65, 100, 576, 1279, 1280, 1500, 9216, 65535 };
	static uint8_t ip[65536];

	for (int version = 4; version <= 6; version += 2) {
		for (size_t i = 0; i < LEN(lens); i++) {
			struct echo e = echo_of(version, ECHO_PMTU, (uint16_t)(i * 9000)), got;
			struct inner in;
			uint16_t id;

			if (lens[i] < ECHO_LEN_MIN6 && version == 6)
				continue;
			memset(ip, 0xee, sizeof(ip));
			CU_ASSERT_TRUE(echo_make(&e, SECRET, lens[i], ip));
			if (lens[i] < 65535)
				CU_ASSERT_EQUAL(ip[lens[i]], 0xee);
			CU_ASSERT_TRUE_FATAL(inner_parse(&in, ip, lens[i]));
			CU_ASSERT_EQUAL(in.len, lens[i]);
			CU_ASSERT_TRUE(in.df);
			CU_ASSERT_EQUAL(echo_look(ip, lens[i], &id), ECHO_REQUEST);
			/* Our own question is not an answer. */
			CU_ASSERT_FALSE(echo_read(ip, lens[i], SECRET, &got));
			answer(ip, lens[i]);
			CU_ASSERT_EQUAL(echo_look(ip, lens[i], &id), ECHO_REPLY);
			CU_ASSERT_TRUE(echo_read(ip, lens[i], SECRET, &got));
			CU_ASSERT_EQUAL(memcmp(&got, &e, sizeof(e)), 0);
			CU_ASSERT_FALSE(echo_read(ip, lens[i], SECRET + 1, &got));
			CU_ASSERT_FALSE(echo_read(ip, lens[i], SECRET ^ 1ull << 63, &got));
		}
	}
}

static void sizes_that_cannot_be(void)
{
	static uint8_t ip[65536];
	struct echo e4 = echo_of(4, ECHO_DPD, 1), e6 = echo_of(6, ECHO_DPD, 1);

	CU_ASSERT_FALSE(echo_make(&e4, SECRET, ECHO_LEN_MIN4 - 1, ip));
	CU_ASSERT_TRUE(echo_make(&e4, SECRET, ECHO_LEN_MIN4, ip));
	CU_ASSERT_FALSE(echo_make(&e6, SECRET, ECHO_LEN_MIN6 - 1, ip));
	CU_ASSERT_TRUE(echo_make(&e6, SECRET, ECHO_LEN_MIN6, ip));
	CU_ASSERT_FALSE(echo_make(&e4, SECRET, 65536, ip));
}

/* Cut anywhere it is no answer; and with any bit flipped it is none, or one about the same. */
static void damaged(void)
{
	uint8_t ip[ECHO_LEN_MIN6 + 8], copy[sizeof(ip)];

	for (int version = 4; version <= 6; version += 2) {
		struct echo e = echo_of(version, ECHO_DPD, 3), got;

		CU_ASSERT_TRUE_FATAL(echo_make(&e, SECRET, sizeof(ip), ip));
		answer(ip, sizeof(ip));
		for (uint32_t len = 0; len < sizeof(ip); len++) {
			uint8_t *cut = malloc(len + 1); /* so that ASan sees a read behind it */

			memcpy(cut, ip, len);
			CU_ASSERT_FALSE(echo_read(cut, len, SECRET, &got));
			free(cut);
		}
		for (uint32_t bit = 0; bit < sizeof(ip) * 8; bit++) {
			memcpy(copy, ip, sizeof(ip));
			copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (bit / 8 >= (version == 4 ? 20u : 40u) && echo_read(copy, sizeof(copy), SECRET, &got)) {
				fprintf(stderr, "IPv%d: bit %u flipped: still an answer\n", version, bit);
				CU_FAIL("taken");
			}
		}
		/* A kind that we do not have, with everything else right. */
		memcpy(copy, ip, sizeof(ip));
		copy[(version == 4 ? 28 : 48) + 14] = ECHO_KINDS;
		set_icmp_check(copy, sizeof(copy));
		CU_ASSERT_FALSE(echo_read(copy, sizeof(copy), SECRET, &got));
	}
}

/* Who answers may have a smaller MTU: the first fragment is an answer, the others are nobody's. */
static void answers_in_fragments(void)
{
	static uint8_t ip[1400], piece[1400];

	for (int version = 4; version <= 6; version += 2) {
		struct echo e = echo_of(version, ECHO_PMTU, 3), got;
		struct frag6 six;
		struct frag four;
		uint32_t n, pieces = 0;

		CU_ASSERT_TRUE_FATAL(echo_make(&e, SECRET, sizeof(ip), ip));
		answer(ip, sizeof(ip));
		if (version == 4) {
			ip[6] = 0; /* not DF */
			pair_checksum(ip);
			CU_ASSERT_EQUAL_FATAL(frag_begin(&four, ip, sizeof(ip), 600), 0);
		} else {
			CU_ASSERT_EQUAL_FATAL(frag6_begin(&six, ip, sizeof(ip), 40, 600, 7), 0);
		}
		while ((n = version == 4 ? frag_next(&four, piece) : frag6_next(&six, piece))) {
			CU_ASSERT_EQUAL(echo_read(piece, n, SECRET, &got), !pieces);
			if (!pieces++) {
				CU_ASSERT_EQUAL(memcmp(&got, &e, sizeof(e)), 0);
				CU_ASSERT_FALSE(echo_read(piece, n, SECRET + 1, &got));
			}
		}
		CU_ASSERT_EQUAL(pieces, 3);
	}
}

CU_TestInfo echo_tests[] = {
	{ "echo: to the far end and back, every size", goes_and_comes },
	{ "echo: sizes that cannot be", sizes_that_cannot_be },
	{ "echo: answers in fragments", answers_in_fragments },
	{ "echo: answers cut off, with a bit flipped, of no kind", damaged },
	CU_TEST_INFO_NULL,
};
