/* SPDX-License-Identifier: BSD-2-Clause */
/* "Too big" about our ESP: read from the wire, at every length, with every byte altered. */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp/wire.h"
#include "libxesp/addr.h"
#include "slow/check.h"
#include "slow/icmp_in.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static uint32_t unhex(const char *text, uint8_t *out)
{
	uint32_t n = 0;
	unsigned int byte;

	for (; *text; text++) {
		if (*text == ' ')
			continue;
		sscanf(text, "%2x", &byte);
		out[n++] = (uint8_t)byte;
		text++;
	}
	return n;
}

#define IP4(proto) "4500 05dc 0000 4000 40" proto " 0000 c0000201 c0000202 "
#define IP6(next)  "6000 0000 05b4 " next " 40 20010db8ffff00000000000000000001 20010db8ffff00000000000000000002 "
#define NUMBERS    "12345678 00000009 "

static const struct row {
	const char *what;
	uint8_t version;
	const char *icmp; /* checksum 0: made here */
	bool ours, numbers;
	uint32_t mtu, quoted_len;
	uint8_t proto;
} rows[] = {
	{ "ESP", 4, "0304 0000 0000 0578" IP4("32") NUMBERS "aabb", true, true, 1400, 1500, 50 },
	{ "ESP, and no more than 8 bytes of it", 4, "0304 0000 0000 0578" IP4("32") NUMBERS, true, true,
	  1400, 1500, 50 },
	{ "the router does not say what fits", 4, "0304 0000 0000 0000" IP4("32") NUMBERS, true, true, 0,
	  1500, 50 },
	{ "ESP, cut in its number", 4, "0304 0000 0000 0578" IP4("32") "12345678 000000", true, false,
	  1400, 1500, 50 },
	{ "AH", 4, "0304 0000 0000 0578" IP4("33") "3204 0000" NUMBERS, true, true, 1400, 1500, 51 },
	{ "AH, and no more than 8 bytes of it", 4, "0304 0000 0000 0578" IP4("33") "3204 0000 12345678",
	  true, false, 1400, 1500, 51 },
	{ "ESP in UDP", 4, "0304 0000 0000 0578" IP4("11") "1194 1194 05c8 0000" NUMBERS, true, true,
	  1400, 1500, 17 },
	{ "TCP", 4, "0304 0000 0000 0578" IP4("06") NUMBERS, false, false, 0, 0, 0 },
	{ "host unreachable", 4, "0301 0000 0000 0578" IP4("32") NUMBERS, false, false, 0, 0, 0 },
	{ "time exceeded", 4, "0b00 0000 0000 0578" IP4("32") NUMBERS, false, false, 0, 0, 0 },
	{ "a later fragment is quoted", 4,
	  "0304 0000 0000 0578 4500 05dc 0000 0010 4032 0000 c0000201 c0000202" NUMBERS, false, false, 0,
	  0, 0 },
	{ "IPv6 in ICMP of IPv4", 4, "0304 0000 0000 0578" IP6("32") NUMBERS, false, false, 0, 0, 0 },
	{ "ESP over IPv6", 6, "0200 0000 0000 0578" IP6("32") NUMBERS, true, true, 1400, 1500, 50 },
	{ "behind destination options", 6, "0200 0000 0000 0578" IP6("3c") "3200 0104 0000 0000" NUMBERS,
	  true, true, 1400, 1500, 50 },
	{ "an MTU of 32 bits", 6, "0200 0000 0001 0000" IP6("32") NUMBERS, true, true, 65536, 1500, 50 },
	{ "no packet too big", 6, "0100 0000 0000 0578" IP6("32") NUMBERS, false, false, 0, 0, 0 },
};

static void put_check(uint8_t *icmp, uint32_t len, uint8_t version)
{
	if (version == 4 && len >= 4) {
		wire_put16(icmp + 2, 0);
		wire_put16(icmp + 2, check_fold(check_add(0, icmp, len)));
	}
}

static void parse_rows(void)
{
	for (size_t i = 0; i < LEN(rows); i++) {
		const struct row *r = &rows[i];
		uint8_t icmp[200];
		uint32_t len = unhex(r->icmp, icmp);
		struct icmp_in_msg m;
		bool ours;

		put_check(icmp, len, r->version);
		ours = icmp_in_parse(&m, icmp, len, r->version);
		if (ours != r->ours)
			fprintf(stderr, "icmp_in: %s: %d\n", r->what, ours);
		CU_ASSERT_EQUAL(ours, r->ours);
		if (!ours)
			continue;
		CU_ASSERT_EQUAL(m.has_numbers, r->numbers);
		CU_ASSERT_EQUAL(m.mtu, r->mtu);
		CU_ASSERT_EQUAL(m.quoted_len, r->quoted_len);
		CU_ASSERT_EQUAL(m.proto, r->proto);
		CU_ASSERT_EQUAL(addr_is_ip4(&m.local), r->version == 4);
		CU_ASSERT_EQUAL(ntohl(m.local.w[3]) & 0xff, 1);
		CU_ASSERT_EQUAL(ntohl(m.remote.w[3]) & 0xff, 2);
		if (r->numbers) {
			CU_ASSERT_EQUAL(m.spi, htonl(0x12345678));
			CU_ASSERT_EQUAL(m.seq, 9);
		}
	}
}

static void a_wrong_checksum(void)
{
	uint8_t icmp[200];
	uint32_t len = unhex(rows[0].icmp, icmp);
	struct icmp_in_msg m;

	put_check(icmp, len, 4);
	for (uint32_t bit = 0; bit < len * 8; bit++) {
		icmp[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CU_ASSERT_FALSE(icmp_in_parse(&m, icmp, len, 4));
		icmp[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	CU_ASSERT_TRUE(icmp_in_parse(&m, icmp, len, 4));
}

/* Each row cut at every length, whole and with each byte altered: AddressSanitizer watches. */
static void truncated_and_mutated(void)
{
	static const uint8_t values[] = { 0, 1, 0x3c, 0x44, 0x4f, 0x60, 0x7f, 0xff, 43, 44, 60 };

	for (size_t i = 0; i < LEN(rows); i++) {
		uint8_t whole[200];
		uint32_t len = unhex(rows[i].icmp, whole);

		for (uint32_t n = 0; n <= len; n++) {
			for (uint32_t k = 0; k <= n * LEN(values); k++) {
				uint8_t *icmp = malloc(n ? n : 1);
				struct icmp_in_msg m;

				memcpy(icmp, whole, n);
				if (k)
					icmp[(k - 1) / LEN(values)] = values[(k - 1) % LEN(values)];
				put_check(icmp, n, rows[i].version);
				if (icmp_in_parse(&m, icmp, n, rows[i].version) && m.has_numbers)
					CU_ASSERT_TRUE(n >= 8 + 20 + 8);
				free(icmp);
			}
		}
	}
}

CU_TestInfo icmp_in_tests[] = {
	{ "what routers say, row by row", parse_rows },
	{ "a wrong checksum is nobody's word", a_wrong_checksum },
	{ "what routers say, cut off and altered", truncated_and_mutated },
	CU_TEST_INFO_NULL,
};
