/* SPDX-License-Identifier: BSD-2-Clause */
/* The checksum of an IPv4 header without options, RFC 1071, against a sum that is folded as that says. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp/inner.h"
#include "esp/wire.h"

#define HDR 20
#define HEADERS 2000

static uint16_t sum_of(const uint8_t *ip)
{
	uint32_t sum = 0;

	for (int i = 0; i < HDR; i += 2)
		sum += wire_raw16(ip + i);
	return wire_fold(sum);
}

/* Anything but its first byte, length and checksum. */
static void make_header(uint8_t *ip, unsigned int *seed)
{
	uint16_t check;

	for (int i = 0; i < HDR; i++)
		ip[i] = (uint8_t)(rand_r(seed) >> 8);
	ip[0] = INNER_IP4_NO_OPTIONS;
	wire_put16(ip + 2, HDR);
	memset(ip + 10, 0, 2);
	check = (uint16_t)~sum_of(ip);
	memcpy(ip + 10, &check, sizeof(check));
}

static void bits_that_flip_are_seen(void)
{
	unsigned int seed = 1;
	uint8_t ip[HDR];
	struct inner in;

	for (int n = 0; n < HEADERS; n++) {
		make_header(ip, &seed);
		CU_ASSERT_TRUE_FATAL(inner_parse(&in, ip, HDR));
		for (int bit = 4 * 8; bit < HDR * 8; bit++) {
			ip[bit / 8] ^= (uint8_t)(1 << bit % 8);
			CU_ASSERT_FALSE(inner_parse(&in, ip, HDR));
			ip[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

/* Also sums that are wrong in more than one place. */
static void wrong_sums_are_refused(void)
{
	unsigned int seed = 2;
	uint8_t ip[HDR];
	struct inner in;

	for (int n = 0; n < HEADERS; n++) {
		make_header(ip, &seed);
		for (int k = 0; k < 3; k++)
			ip[4 + rand_r(&seed) % 16] = (uint8_t)(rand_r(&seed) >> 8);
		CU_ASSERT_EQUAL(inner_parse(&in, ip, HDR), sum_of(ip) == 0xffff);
	}
}

/* One's complement has two zeroes, and a header may carry either. */
static void both_zeroes_are_right(void)
{
	uint8_t ip[HDR] = { INNER_IP4_NO_OPTIONS, 0, 0, HDR };
	struct inner in;

	wire_put16(ip + 4, (uint16_t)(0xffff - 0x4500 - HDR));
	CU_ASSERT_TRUE(inner_parse(&in, ip, HDR));
	wire_put16(ip + 10, 0xffff);
	CU_ASSERT_TRUE(inner_parse(&in, ip, HDR));
	wire_put16(ip + 10, 1);
	CU_ASSERT_FALSE(inner_parse(&in, ip, HDR));
}

CU_TestInfo inner_tests[] = {
	{ "each bit counts", bits_that_flip_are_seen },
	{ "wrong sums are refused", wrong_sums_are_refused },
	{ "both zeroes are right", both_zeroes_are_right },
	CU_TEST_INFO_NULL,
};
