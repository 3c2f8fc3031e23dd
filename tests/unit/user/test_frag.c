/* SPDX-License-Identifier: BSD-2-Clause */
/* IPv4 fragmentation: pieces of every size, put together again by a second, simple mind. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp/wire.h"
#include "slow/check.h"
#include "slow/frag.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define DF     0x4000
#define MF     0x2000

/* An IPv4 packet of total bytes, with options, and data that differs everywhere. */
static uint32_t make(uint8_t *ip, uint32_t total, const uint8_t *opts, uint32_t opts_len,
		     uint16_t frag)
{
	uint32_t hdr_len = 20 + opts_len;

	memset(ip, 0, 20);
	ip[0] = (uint8_t)(0x40 | hdr_len / 4);
	ip[1] = 0xb8;
	wire_put16(ip + 2, (uint16_t)total);
	wire_put16(ip + 4, 0xbeef);
	wire_put16(ip + 6, frag);
	ip[8] = 17;
	ip[9] = 17;
	wire_put32(ip + 12, 0x0a010002);
	wire_put32(ip + 16, 0x0a020002);
	if (opts_len)
		memcpy(ip + 20, opts, opts_len);
	for (uint32_t i = hdr_len; i < total; i++)
		ip[i] = (uint8_t)(i * 7 + i / 256);
	wire_put16(ip + 10, check_fold(check_add(0, ip, hdr_len)));
	return total;
}

struct result {
	uint32_t pieces, data_len, wrong;
	uint8_t data[65536];
	uint8_t first_hdr[60], later_hdr[60];
};

/* Checks one piece alone and puts its data where its offset says. */
static void take(struct result *r, const uint8_t *p, uint32_t len, const uint8_t *ip, uint32_t mtu)
{
	uint32_t hdr_len = (p[0] & 0xfu) * 4, frag = wire_get16(p + 6);
	uint32_t own = wire_get16(ip + 6) & 0x1fff, at = ((frag & 0x1fff) - own) * 8;

	r->wrong += p[0] >> 4 != 4 || hdr_len < 20 || len > mtu || wire_get16(p + 2) != len;
	r->wrong += check_fold(check_add(0, p, hdr_len)) != 0;
	/* TOS, identification, TTL, protocol and addresses are the packet's. */
	r->wrong += p[1] != ip[1] || memcmp(p + 4, ip + 4, 2) || memcmp(p + 8, ip + 8, 2) ||
		    memcmp(p + 12, ip + 12, 8);
	r->wrong += (frag & DF) != 0;
	r->wrong += (frag & MF) && (len - hdr_len) % 8;
	r->wrong += at != r->data_len; /* in order, without gap or overlap */
	memcpy(r->data + at, p + hdr_len, len - hdr_len);
	r->data_len += len - hdr_len;
	memcpy(r->pieces ? r->later_hdr : r->first_hdr, p, hdr_len);
	r->pieces++;
}

static struct result cut(const uint8_t *ip, uint32_t len, uint32_t mtu)
{
	static struct result r;
	uint8_t out[65536];
	uint16_t last = 0;
	struct frag f;
	uint32_t n;

	memset(&r, 0, sizeof(r));
	CU_ASSERT_EQUAL_FATAL(frag_begin(&f, ip, len, mtu), 0);
	while ((n = frag_next(&f, out))) {
		r.wrong += r.pieces && !(last & MF); /* only the last one lacks MF */
		last = wire_get16(out + 6);
		take(&r, out, n, ip, mtu);
		if (r.pieces > 9000)
			break;
	}
	r.wrong += (last & MF) != (wire_get16(ip + 6) & MF);
	return r;
}

/* All but the last take as many whole 8-byte units as there is room for. */
static uint32_t pieces_of(uint32_t data_len, uint32_t room)
{
	uint32_t n = 1;

	for (; data_len > room; data_len -= room / 8 * 8)
		n++;
	return n;
}

static void every_size(void)
{
	uint32_t wrong = 0, sizes = 0;
	uint8_t ip[4096];

	for (uint32_t total = 20; total <= 3000; total += total < 700 ? 1 : 13) {
		for (uint32_t mtu = 68; mtu < 1600; mtu += mtu < 100 ? 1 : 57) {
			struct result r;

			make(ip, total, NULL, 0, 0);
			r = cut(ip, total, mtu);
			wrong += r.wrong || r.data_len != total - 20 ||
				 memcmp(r.data, ip + 20, total - 20);
			wrong += r.pieces != pieces_of(total - 20, mtu - 20);
			sizes++;
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(sizes > 10000);
}

static void the_largest(void)
{
	uint8_t *ip = malloc(65535);
	struct result r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(ip);
	make(ip, 65535, NULL, 0, 0);
	r = cut(ip, 65535, 1410);
	CU_ASSERT_EQUAL(r.wrong, 0);
	CU_ASSERT_EQUAL(r.pieces, 48); /* 1384 bytes a piece */
	CU_ASSERT_EQUAL(r.data_len, 65515);
	CU_ASSERT_EQUAL(memcmp(r.data, ip + 20, 65515), 0);
	free(ip);
}

static const struct {
	const char *what;
	uint8_t opts[40];
	uint32_t opts_len;
	uint8_t later[40]; /* what later pieces carry */
	uint32_t later_len;
} options[] = {
	{ "none", { 0 }, 0, { 0 }, 0 },
	{ "record route is not copied", { 7, 7, 4, 1, 2, 3, 4, 0 }, 8, { 0 }, 0 },
	{ "loose source route is copied",
	  { 131, 7, 4, 1, 2, 3, 4, 0 },
	  8,
	  { 131, 7, 4, 1, 2, 3, 4, 0 },
	  8 },
	{ "router alert behind no-ops and a timestamp",
	  { 1, 1, 68, 6, 5, 0, 9, 9, 148, 4, 0, 0 },
	  12,
	  { 148, 4, 0, 0 },
	  4 },
	{ "security, not a whole number of words",
	  { 130, 5, 1, 2, 3, 0, 148, 4 },
	  8,
	  { 130, 5, 1, 2, 3, 0, 0, 0 },
	  8 },
	{ "behind the end of options", { 0, 131, 3, 4 }, 4, { 0 }, 0 },
	{ "a length of 0", { 131, 0, 4, 0 }, 4, { 0 }, 0 },
	{ "a length of 1", { 148, 1, 4, 0 }, 4, { 0 }, 0 },
	{ "a length behind the header", { 131, 9, 4, 0 }, 4, { 0 }, 0 },
	{ "a type without length", { 1, 1, 1, 131 }, 4, { 0 }, 0 },
	{ "all 40 bytes",
	  { 131, 39, 4, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
	    9,   9,  9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 0 },
	  40,
	  { 131, 39, 4, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
	    9,   9,  9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 0 },
	  40 },
};

/* RFC 791 section 3.1: the first piece has all options, the others those with the copied flag. */
static void options_rows(void)
{
	uint8_t ip[1500];

	for (size_t i = 0; i < LEN(options); i++) {
		struct result r;
		bool ok;

		make(ip, 500, options[i].opts, options[i].opts_len, 0);
		r = cut(ip, 500, 140);
		ok = !r.wrong && r.pieces > 3 && r.data_len == 500 - 20 - options[i].opts_len &&
		     !memcmp(r.data, ip + 20 + options[i].opts_len, r.data_len) &&
		     !memcmp(r.first_hdr + 20, options[i].opts, options[i].opts_len) &&
		     r.later_hdr[0] == (0x40 | (20 + options[i].later_len) / 4) &&
		     !memcmp(r.later_hdr + 20, options[i].later, options[i].later_len);
		if (!ok)
			fprintf(stderr, "options: %s\n", options[i].what);
		CU_ASSERT_TRUE(ok);
	}
}

/* Pieces of a fragment go on from its offset, and all say "more" unless it was the last. */
static void fragments_of_fragments(void)
{
	uint8_t ip[1500];
	struct result r;

	make(ip, 1020, NULL, 0, MF | 100);
	r = cut(ip, 1020, 300);
	CU_ASSERT_EQUAL(r.wrong, 0);
	CU_ASSERT_EQUAL(r.pieces, 4);
	CU_ASSERT_EQUAL(wire_get16(r.first_hdr + 6), MF | 100);
	CU_ASSERT_EQUAL(wire_get16(r.later_hdr + 6), MF | (100 + 3 * 35));
	make(ip, 1020, NULL, 0, 100);
	r = cut(ip, 1020, 300);
	CU_ASSERT_EQUAL(r.wrong, 0);
	CU_ASSERT_EQUAL(wire_get16(r.later_hdr + 6), 100 + 3 * 35);
}

static void refused(void)
{
	uint8_t ip[1500];
	struct frag f;

	make(ip, 1000, NULL, 0, DF);
	CU_ASSERT_EQUAL(frag_begin(&f, ip, 1000, 500), -EMSGSIZE);
	make(ip, 1000, NULL, 0, 0);
	CU_ASSERT_EQUAL(frag_begin(&f, ip, 1000, 67), -EINVAL);
	CU_ASSERT_EQUAL(frag_begin(&f, ip, 999, 500), -EINVAL);
	CU_ASSERT_EQUAL(frag_begin(&f, ip, 19, 500), -EINVAL);
	CU_ASSERT_EQUAL(frag_begin(&f, ip, 0, 500), -EINVAL);
	ip[0] = 0x44;
	CU_ASSERT_EQUAL(frag_begin(&f, ip, 1000, 500), -EINVAL);
	ip[0] = 0x65;
	CU_ASSERT_EQUAL(frag_begin(&f, ip, 1000, 500), -EINVAL);
	make(ip, 1000, NULL, 0, 0);
	wire_put16(ip + 2, 19);
	CU_ASSERT_EQUAL(frag_begin(&f, ip, 1000, 500), -EINVAL);
	make(ip, 1000, NULL, 0, 8190); /* ends behind 65535 */
	CU_ASSERT_EQUAL(frag_begin(&f, ip, 1000, 500), -EINVAL);
}

CU_TestInfo frag_tests[] = {
	{ "every size at every MTU is put together again", every_size },
	{ "the largest packet", the_largest },
	{ "options as RFC 791 has them", options_rows },
	{ "fragments of fragments", fragments_of_fragments },
	{ "refused", refused },
	CU_TEST_INFO_NULL,
};
