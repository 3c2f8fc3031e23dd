/* SPDX-License-Identifier: BSD-2-Clause */
/* Outer headers, RFC 4301 section 5.1.2: each field for each setting of a tunnel. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "esp/inner.h"
#include "esp/wire.h"
#include "tests/pair/pair.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *what;
	struct pair_opts o;
	int inner;       /* version */
	uint8_t tos;     /* inner */
	bool df;         /* inner IPv4 */
	uint8_t want_tos, want_ttl;
	bool want_df;
} rows[] = {
	{ "defaults", { 0 }, 4, 0xb9, true, 0xb9, 64, true },
	{ "DF copied when clear", { 0 }, 4, 0, false, 0, 64, false },
	{ "DF set", { .df = XESP_DF_SET }, 4, 0, false, 0, 64, true },
	{ "DF cleared", { .df = XESP_DF_CLEAR }, 4, 0, true, 0, 64, false },
	{ "DF of IPv6 inside is set", { 0 }, 6, 0, true, 0, 64, true },
	{ "DF cleared over IPv6 inside", { .df = XESP_DF_CLEAR }, 6, 0, true, 0, 64, false },
	{ "DSCP set, ECN still copied", { .dscp = XESP_DSCP_SET, .dscp_value = 10 }, 4, 0xbb, true,
	  10 << 2 | 3, 64, true },
	{ "DSCP set to 0", { .dscp = XESP_DSCP_SET }, 6, 0xb8, true, 0, 64, true },
	{ "ECN compatibility", { .ecn = XESP_ECN_COMPATIBILITY }, 4, 0xb9, true, 0xb8, 64, true },
	{ "TTL", { .ttl = 255 }, 4, 0, true, 0, 255, true },
	{ "largest DSCP", { .dscp = XESP_DSCP_SET, .dscp_value = 63 }, 6, 0, true, 63 << 2, 64, true },
};

static void set_inner(uint8_t *ip, uint8_t tos, bool df)
{
	if (ip[0] >> 4 == 4) {
		ip[1] = tos;
		ip[6] = df ? 0x40 : 0;
		pair_checksum(ip);
	} else {
		ip[0] = (uint8_t)(0x60 | tos >> 4);
		ip[1] = (uint8_t)(tos << 4);
	}
}

static void check_ip4(const uint8_t *h, size_t i, const struct pkt *pkt)
{
	uint8_t again[20];

	CU_ASSERT_EQUAL(h[0], 0x45);
	CU_ASSERT_EQUAL(h[1], rows[i].want_tos);
	CU_ASSERT_EQUAL(wire_get16(h + 2), pkt->len);
	CU_ASSERT_EQUAL(wire_get16(h + 4), rows[i].want_df ? 0 : (uint16_t)pkt->seq);
	CU_ASSERT_EQUAL(wire_get16(h + 6), rows[i].want_df ? 0x4000 : 0);
	CU_ASSERT_EQUAL(h[8], rows[i].want_ttl);
	CU_ASSERT_EQUAL(h[9], 50);
	CU_ASSERT_EQUAL(memcmp(h + 12, "\xc0\x00\x02\x01\xc0\x00\x02\x02", 8), 0);
	memcpy(again, h, 20);
	pair_checksum(again);
	CU_ASSERT_EQUAL(memcmp(again, h, 20), 0);
}

static uint32_t check_ip6(const uint8_t *h, size_t i, const struct pkt *pkt, const struct pair *p)
{
	uint32_t word = wire_get32(h);

	CU_ASSERT_EQUAL(word >> 28, 6);
	CU_ASSERT_EQUAL(word >> 20 & 0xff, rows[i].want_tos);
	CU_ASSERT_EQUAL(wire_get16(h + 4), pkt->len - 40);
	CU_ASSERT_EQUAL(h[6], 50);
	CU_ASSERT_EQUAL(h[7], rows[i].want_ttl);
	CU_ASSERT_EQUAL(memcmp(h + 8, &p->tunnel_out.local, 16), 0);
	CU_ASSERT_EQUAL(memcmp(h + 24, &p->tunnel_out.remote, 16), 0);
	return word & 0xfffff;
}

static void header_rows(void)
{
	static struct frame f;

	for (size_t i = 0; i < LEN(rows) * 2; i++) {
		struct pair_opts o = rows[i / 2].o;
		uint32_t label = 0;
		struct pair p;

		o.outer6 = i & 1;
		pair_open(&p, &o);
		for (int k = 0; k < 3; k++) {
			struct pkt pkt = pair_make(&f, rows[i / 2].inner, 80u + (uint32_t)k);

			set_inner(pkt.l3, rows[i / 2].tos, rows[i / 2].df);
			if (pair_encap(&p, &pkt))
				fprintf(stderr, "outer: %s: dropped\n", rows[i / 2].what);
			CU_ASSERT_EQUAL(pkt.drop, XESP_DROP_NONE);
			if (!o.outer6) {
				check_ip4(pkt.l3, i / 2, &pkt);
				continue;
			}
			/* One label for all packets of the SA, and not zero: RFC 6437. */
			CU_ASSERT_TRUE(k == 0 || label == check_ip6(pkt.l3, i / 2, &pkt, &p));
			label = check_ip6(pkt.l3, i / 2, &pkt, &p);
			CU_ASSERT_NOT_EQUAL(label, 0);
		}
		pair_close(&p);
	}
}

/* RFC 1624: every TTL and a random walk of words; the sum stays what it would be anew. */
static void incremental_checksums(void)
{
	uint8_t ip[20] = { 0x45, 0, 0, 40, 0, 0, 0, 0, 255, 6 }, anew[20];
	struct inner in;

	for (uint32_t i = 0; i < 70000; i++) {
		wire_put16(ip + 4, (uint16_t)i);
		ip[8] = (uint8_t)(i % 254 + 2);
		ip[1] = (uint8_t)(i >> 3);
		pair_checksum(ip);
		CU_ASSERT_TRUE_FATAL(inner_parse(&in, ip, 40));
		inner_decrement_ttl(ip, &in);
		inner_set_tos(ip, &in, (uint8_t)i);
		memcpy(anew, ip, 20);
		pair_checksum(anew);
		/* 0 and 0xffff are the same sum; a header is never all zero, so it is 0 anew. */
		CU_ASSERT_TRUE(inner_parse(&in, ip, 40));
		CU_ASSERT_TRUE_FATAL(!memcmp(anew, ip, 20) || wire_get16(ip + 10) == 0xffff);
		CU_ASSERT_EQUAL(ip[8], i % 254 + 1);
		CU_ASSERT_EQUAL(ip[1], (uint8_t)i);
	}
}

static const struct {
	const char *what;
	int version;
	uint32_t room;
	int at;
	uint8_t value;
	bool good;
} headers[] = {
	{ "IPv4", 4, 60, -1, 0, true },
	{ "no bytes", 4, 0, -1, 0, false },
	{ "one byte", 4, 1, -1, 0, false },
	{ "IPv4, 19 bytes", 4, 19, -1, 0, false },
	{ "IPv4, one byte less than total length", 4, 59, -1, 0, false },
	{ "IPv4, Ethernet padding", 4, 64, -1, 0, true },
	{ "IPv4, header of 16 bytes", 4, 60, 0, 0x44, false },
	{ "IPv4, header longer than the packet", 4, 24, 0, 0x4f, false },
	{ "IPv4, total length below the header", 4, 60, 3, 19, false },
	{ "IPv4, total length above the bytes", 4, 60, 3, 61, false },
	{ "version 5", 4, 60, 0, 0x55, false },
	{ "version 0", 4, 60, 0, 0x05, false },
	{ "IPv6", 6, 60, -1, 0, true },
	{ "IPv6, 39 bytes", 6, 39, -1, 0, false },
	{ "IPv6, payload above the bytes", 6, 60, 5, 21, false },
	{ "IPv6, payload length in the upper byte", 6, 60, 4, 1, false },
	{ "IPv6, no payload", 6, 60, 5, 0, true },
};

static void header_lengths(void)
{
	static struct frame f;

	for (size_t i = 0; i < LEN(headers); i++) {
		struct pkt pkt = pair_make(&f, headers[i].version, 60);
		struct inner in;
		bool got;

		if (headers[i].at >= 0)
			pkt.l3[headers[i].at] = headers[i].value;
		if (pkt.l3[0] >> 4 == 4)
			pair_checksum(pkt.l3);
		got = inner_parse(&in, pkt.l3, headers[i].room);
		if (got != headers[i].good)
			fprintf(stderr, "inner: %s: %d\n", headers[i].what, got);
		CU_ASSERT_EQUAL(got, headers[i].good);
	}
	/* A wrong header checksum; a jumbogram. */
	struct pkt pkt = pair_make(&f, 4, 60);
	struct inner in;

	pkt.l3[10] ^= 1;
	CU_ASSERT_FALSE(inner_parse(&in, pkt.l3, 60));
	pkt = pair_make(&f, 6, 60);
	pkt.l3[5] = 0;
	pkt.l3[6] = 0;
	CU_ASSERT_FALSE(inner_parse(&in, pkt.l3, 60));
}

CU_TestInfo outer_tests[] = {
	{ "fields by the tunnel's settings, row by row", header_rows },
	{ "checksums kept right by their difference", incremental_checksums },
	{ "headers that contradict themselves", header_lengths },
	CU_TEST_INFO_NULL,
};
