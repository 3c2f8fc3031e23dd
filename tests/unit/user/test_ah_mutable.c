/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of an IP header AH covers, against the tables of RFC 4302 section 3.3.3.1 and appendix A: one
 * row here for each of theirs, and headers that contradict themselves at every length and offset.
 */
#include <CUnit/CUnit.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "esp/ah_mutable.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* An IPv4 header with options of n bytes; returns its length. */
static uint32_t header4(uint8_t *ip, const uint8_t *opts, uint32_t n)
{
	static const uint8_t head[20] = { 0x45, 0xff, 1, 2, 3, 4, 0xff, 0xff, 9, 51, 7, 8,
					  10, 0, 0, 1, 10, 0, 0, 2 };

	memcpy(ip, head, 20);
	ip[0] = (uint8_t)(0x40 | (20 + n) / 4);
	if (n)
		memcpy(ip + 20, opts, n);
	return 20 + n;
}

static void test_base_header4(void)
{
	static const uint8_t want[20] = { 0x45, 0, 1, 2, 3, 4, 0, 0, 0, 51, 0, 0,
					  10, 0, 0, 1, 10, 0, 0, 2 };
	uint8_t ip[20];

	header4(ip, NULL, 0);
	CU_ASSERT(ah_mutable_clear(ip, 20, true));
	CU_ASSERT(!memcmp(ip, want, 20));
}

/* Appendix A1, by copy flag, class and number. */
static void test_options4(void)
{
	static const struct {
		uint8_t copy, class, number;
		bool immutable;
	} rows[] = {
		{ 1, 0, 2, true }, { 1, 0, 5, true }, { 1, 0, 6, true }, { 1, 0, 20, true },
		{ 1, 0, 21, true },
		{ 0, 2, 4, false }, { 0, 0, 7, false }, { 0, 2, 18, false },
		{ 1, 0, 8, false }, { 0, 0, 11, false }, { 0, 0, 12, false }, { 1, 0, 17, false },
		{ 0, 0, 10, false }, { 1, 2, 13, false }, { 1, 0, 14, false }, { 0, 0, 15, false },
		{ 1, 0, 16, false }, { 1, 0, 19, false },
		/* not in the tables: mutable, section 3.3.3.1.1.2 */
		{ 0, 0, 25, false }, { 1, 0, 30, false },
	};

	for (size_t i = 0; i < LEN(rows); i++) {
		uint8_t type = (uint8_t)(rows[i].copy << 7 | rows[i].class << 5 | rows[i].number);
		const uint8_t opts[8] = { 1, type, 4, 0xaa, 0xbb, 1, 0, 0x55 };
		static const uint8_t gone[8] = { 1, 0, 0, 0, 0, 1, 0, 0x55 };
		uint8_t ip[28];

		header4(ip, opts, 8);
		CU_ASSERT(ah_mutable_clear(ip, 28, false));
		CU_ASSERT(!memcmp(ip + 20, rows[i].immutable ? opts : gone, 8));
	}
}

/* Source routes are zero, and the destination is the one the packet will have when it arrives. */
static void test_source_routes4(void)
{
	static const uint8_t types[] = { 0x83, 0x89 };

	for (size_t i = 0; i < LEN(types); i++) {
		uint8_t opts[12] = { types[i], 11, 4, 10, 9, 9, 1, 10, 9, 9, 2, 0 };
		uint8_t ip[32], zero[11] = { 0 };

		header4(ip, opts, 12);
		CU_ASSERT(ah_mutable_clear(ip, 32, true));
		CU_ASSERT(!memcmp(ip + 16, "\x0a\x09\x09\x02", 4));
		CU_ASSERT(!memcmp(ip + 20, zero, 11));
		header4(ip, opts, 12);
		CU_ASSERT_FALSE(ah_mutable_clear(ip, 32, false)); /* not there yet */
		opts[2] = 8;
		header4(ip, opts, 12);
		CU_ASSERT(ah_mutable_clear(ip, 32, true));
		CU_ASSERT(!memcmp(ip + 16, "\x0a\x09\x09\x02", 4));
		opts[2] = 12; /* used up */
		header4(ip, opts, 12);
		CU_ASSERT(ah_mutable_clear(ip, 32, false));
		CU_ASSERT(!memcmp(ip + 16, "\x0a\x00\x00\x02", 4));
		opts[2] = 3; /* points into itself */
		header4(ip, opts, 12);
		CU_ASSERT_FALSE(ah_mutable_clear(ip, 32, true));
	}
}

static uint32_t header6(uint8_t *ip, uint8_t next, const uint8_t *ext, uint32_t n)
{
	memset(ip, 0xcd, 40);
	ip[0] = 0x6f;
	ip[6] = next;
	if (n)
		memcpy(ip + 40, ext, n);
	return 40 + n;
}

static void test_base_header6(void)
{
	uint8_t ip[40], want[40];

	header6(ip, 51, NULL, 0);
	memcpy(want, ip, 40);
	want[0] = 0x60;
	want[1] = want[2] = want[3] = want[7] = 0;
	CU_ASSERT(ah_mutable_clear(ip, 40, false));
	CU_ASSERT(!memcmp(ip, want, 40));
}

/* The third bit of an option's type says whether its data may change, RFC 8200 section 4.2. */
static void test_options6(void)
{
	static const uint8_t headers[] = { IPPROTO_HOPOPTS, IPPROTO_DSTOPTS };

	for (size_t i = 0; i < LEN(headers); i++)
		for (unsigned int type = 1; type < 256; type++) {
			const uint8_t ext[16] = { 51, 1, 0, (uint8_t)type, 3, 0xa, 0xb, 0xc,
						  1, 6, 0, 0, 0, 0, 0, 0 };
			uint8_t ip[56];

			header6(ip, headers[i], ext, 16);
			CU_ASSERT(ah_mutable_clear(ip, 56, false));
			CU_ASSERT(!memcmp(ip + 40, ext, 5) && !memcmp(ip + 48, ext + 8, 8));
			CU_ASSERT(!memcmp(ip + 45, type & 0x20 ? (const uint8_t *)"\0\0\0" : ext + 5, 3));
		}
}

/* Appendix A2: routing type 0 as the last node will see it. */
static void test_routing6(void)
{
	uint8_t ext[8 + 3 * 16] = { 51, 6, 0, 3 }, ip[40 + sizeof(ext)];

	for (int i = 0; i < 3; i++)
		memset(ext + 8 + i * 16, 0xa1 + i, 16);
	header6(ip, IPPROTO_ROUTING, ext, sizeof(ext));
	CU_ASSERT(ah_mutable_clear(ip, sizeof(ip), true));
	CU_ASSERT(ip[43] == 0 && ip[24] == 0xa3 && ip[39] == 0xa3);
	CU_ASSERT(ip[48] == 0xcd && ip[64] == 0xa1 && ip[80] == 0xa2);
	header6(ip, IPPROTO_ROUTING, ext, sizeof(ext));
	ip[43] = 1; /* two were visited before */
	CU_ASSERT(ah_mutable_clear(ip, sizeof(ip), true));
	CU_ASSERT(ip[24] == 0xa3 && ip[48] == 0xa1 && ip[64] == 0xa2 && ip[80] == 0xcd);
	header6(ip, IPPROTO_ROUTING, ext, sizeof(ext));
	CU_ASSERT_FALSE(ah_mutable_clear(ip, sizeof(ip), false)); /* not there yet */
	header6(ip, IPPROTO_ROUTING, ext, sizeof(ext));
	ip[43] = 4; /* more than it has */
	CU_ASSERT_FALSE(ah_mutable_clear(ip, sizeof(ip), true));
	header6(ip, IPPROTO_ROUTING, ext, sizeof(ext));
	ip[43] = 0;
	CU_ASSERT(ah_mutable_clear(ip, sizeof(ip), false));
	CU_ASSERT(ip[24] == 0xcd && ip[48] == 0xa1);
	header6(ip, IPPROTO_ROUTING, ext, sizeof(ext));
	ip[42] = 4; /* a type whose last state is not known here */
	CU_ASSERT_FALSE(ah_mutable_clear(ip, sizeof(ip), true));
}

static void test_what_ah_does_not_follow(void)
{
	static const uint8_t next[] = { IPPROTO_FRAGMENT, IPPROTO_TCP, IPPROTO_ESP, 135 };
	const uint8_t ext[8] = { 51 };
	uint8_t ip[48];

	for (size_t i = 0; i < LEN(next); i++) {
		header6(ip, next[i], ext, 8);
		CU_ASSERT_FALSE(ah_mutable_clear(ip, 48, false));
	}
	CU_ASSERT_FALSE(ah_mutable_clear(ip, 0, true));
	ip[0] = 0x50;
	CU_ASSERT_FALSE(ah_mutable_clear(ip, 48, false));
}

/* Any bytes: never outside of them (each has its own allocation), and twice is the same as once. */
static void test_any_bytes(void)
{
	uint32_t seed = 1;

	for (int n = 0; n < 60000; n++) {
		uint32_t len = 1 + (seed >> 16) % AH_MUTABLE_MAX;
		uint8_t *ip = malloc(len), copy[AH_MUTABLE_MAX];

		for (uint32_t i = 0; i < len; i++) {
			seed = seed * 1664525 + 1013904223;
			ip[i] = (uint8_t)(seed >> 24);
			if (n & 1) /* small numbers: lengths that fit */
				ip[i] &= 0x0f;
		}
		ip[0] = n & 2 ? (uint8_t)(0x40 | len / 4) : 0x60;
		if (!(n & 2) && len > 6)
			ip[6] = n & 4 ? IPPROTO_HOPOPTS : IPPROTO_ROUTING;
		if (ah_mutable_clear(ip, len, n & 8)) {
			memcpy(copy, ip, len);
			CU_ASSERT(ah_mutable_clear(ip, len, n & 8));
			CU_ASSERT(!memcmp(copy, ip, len));
		}
		free(ip);
	}
}

CU_TestInfo ah_mutable_tests[] = {
	{ "IPv4: the base header", test_base_header4 },
	{ "IPv4: each option of appendix A1", test_options4 },
	{ "IPv4: source routes", test_source_routes4 },
	{ "IPv6: the base header", test_base_header6 },
	{ "IPv6: options of each type", test_options6 },
	{ "IPv6: routing headers", test_routing6 },
	{ "headers that AH does not stand behind", test_what_ah_does_not_follow },
	{ "any bytes", test_any_bytes },
	CU_TEST_INFO_NULL,
};
