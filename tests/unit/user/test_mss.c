/* SPDX-License-Identifier: BSD-2-Clause */
/* TCP's MSS in packets that open a connection: found, lowered, the checksum right; and left alone. */
#include <CUnit/CUnit.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp/inner.h"
#include "esp/mss.h"
#include "esp/wire.h"
#include "slow/check.h"
#include "tests/pair/pair.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define SYN     0x02
#define SYN_ACK 0x12
#define ACK     0x10

static const struct row {
	const char *what;
	uint8_t flags;
	const char *options; /* hex; the header is padded to words with zeroes */
	uint32_t most;
	int at;       /* of the MSS value among the options; -1: untouched */
	uint16_t was; /* there before */
} rows[] = {
	{ "SYN", SYN, "020405b4", 1400, 2, 1460 },
	{ "SYN and ACK", SYN_ACK, "020405b4", 1400, 2, 1460 },
	{ "SYN with ECN setup, RFC 3168", 0xc2, "020405b4", 1400, 2, 1460 },
	{ "behind others", SYN, "0402080a0000000100000000 0103 0307 020405b4", 1300, 18, 1460 },
	{ "at an odd offset", SYN, "01 0204 05b4", 1400, 3, 1460 },
	{ "at an odd offset, low bytes alike", SYN, "01 0204 05b4", 0x04b4, 3, 1460 },
	{ "small enough", SYN, "02040578", 1400, -1, 0 },
	{ "one more than fits", SYN, "02040579", 1400, 2, 1401 },
	{ "no SYN", ACK, "020405b4", 1400, -1, 0 },
	{ "no option at all", SYN, "", 1400, -1, 0 },
	{ "others only", SYN, "0402 0303 07", 1400, -1, 0 },
	{ "behind the end of options", SYN, "00 020405b4", 1400, -1, 0 },
	{ "MSS of a wrong length", SYN, "020305b4", 1400, -1, 0 },
	{ "an option of length 0", SYN, "0800 020405b4", 1400, -1, 0 },
	{ "an option of length 1", SYN, "0801 020405b4", 1400, -1, 0 },
	{ "an option that runs out of the header", SYN, "020405b4 08200000", 1400, -1, 0 },
	{ "a length that is cut off", SYN, "020405b4 010101 08", 1400, -1, 0 },
	{ "TCP-AO, RFC 5925, covers the options", SYN, "020405b4 1d10 0000 0000000000000000 00000000",
	  1400, -1, 0 },
	{ "twice: the first counts", SYN, "020405b4 020405b4", 1400, 2, 1460 },
};

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

static uint16_t tcp_sum(const uint8_t *ip, uint32_t off, uint32_t len)
{
	const bool ip4 = ip[0] >> 4 == 4;
	uint32_t sum = check_add(IPPROTO_TCP + (len - off), ip + (ip4 ? 12 : 8), ip4 ? 8 : 32);

	return check_fold(check_add(sum, ip + off, len - off)); /* 0 over a right one */
}

/* A packet with these options and 3 bytes of data; returns its length, *off the TCP header's. */
static uint32_t build(uint8_t *ip, int version, uint8_t flags, const char *options, uint32_t *off)
{
	uint8_t opts[40] = { 0 };
	uint32_t opts_len = (unhex(options, opts) + 3) / 4 * 4, len;
	uint8_t *tcp;

	*off = version == 4 ? 20 : version == 6 ? 40 : 48;
	len = *off + 20 + opts_len + 3;
	memset(ip, 0, len);
	if (version == 4) {
		ip[0] = 0x45;
		wire_put16(ip + 2, (uint16_t)len);
		ip[8] = 64;
		ip[9] = IPPROTO_TCP;
		memcpy(ip + 12, "\x0a\x01\x00\x02\x0a\x02\x00\x02", 8);
		pair_checksum(ip);
	} else {
		ip[0] = 0x60;
		wire_put16(ip + 4, (uint16_t)(len - 40));
		ip[6] = version == 6 ? IPPROTO_TCP : IPPROTO_DSTOPTS;
		ip[7] = 64;
		memcpy(ip + 8, "\x20\x01\x0d\xb8\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02", 16);
		memcpy(ip + 24, "\x20\x01\x0d\xb8\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02", 16);
		if (version != 6) {
			ip[40] = IPPROTO_TCP;
			memcpy(ip + 42, "\x01\x04", 2);
		}
	}
	tcp = ip + *off;
	wire_put16(tcp, 40000);
	wire_put16(tcp + 2, 80);
	tcp[12] = (uint8_t)((20 + opts_len) / 4 << 4);
	tcp[13] = flags;
	memcpy(tcp + 20, opts, opts_len);
	memcpy(tcp + 20 + opts_len, "xyz", 3);
	wire_put16(tcp + 16, tcp_sum(ip, *off, len));
	return len;
}

static void clamp_rows(void)
{
	static const int versions[] = { 4, 6, 66 /* IPv6 with destination options */ };

	for (size_t i = 0; i < LEN(rows) * LEN(versions); i++) {
		const struct row *r = &rows[i / LEN(versions)];
		uint8_t ip[160], before[160];
		uint32_t off, len = build(ip, versions[i % LEN(versions)], r->flags, r->options, &off);
		struct inner in;
		bool changed;

		CU_ASSERT_TRUE_FATAL(inner_parse(&in, ip, len));
		memcpy(before, ip, len);
		changed = mss_clamp(ip, &in, r->most);
		if (changed != (r->at >= 0) || tcp_sum(ip, off, len))
			fprintf(stderr, "mss: %s, version %d\n", r->what,
				versions[i % LEN(versions)]);
		CU_ASSERT_EQUAL(changed, r->at >= 0);
		CU_ASSERT_EQUAL(tcp_sum(ip, off, len), 0);
		if (r->at >= 0) {
			CU_ASSERT_EQUAL(wire_get16(ip + off + 20 + r->at), r->most);
			/* Nothing else changed. */
			wire_put16(ip + off + 20 + r->at, r->was);
			memcpy(ip + off + 16, before + off + 16, 2);
		}
		CU_ASSERT_EQUAL(memcmp(ip, before, len), 0);
	}
}

static void fragments_are_left_alone(void)
{
	uint8_t ip[160];
	struct inner in;
	uint32_t off, len = build(ip, 4, SYN, "020405b4", &off);

	wire_put16(ip + 6, 0x2000); /* MF */
	pair_checksum(ip);
	CU_ASSERT_TRUE(inner_parse(&in, ip, len));
	CU_ASSERT_FALSE(mss_clamp(ip, &in, 1000));
	wire_put16(ip + 6, 0x0001);
	pair_checksum(ip);
	CU_ASSERT_TRUE(inner_parse(&in, ip, len));
	CU_ASSERT_FALSE(mss_clamp(ip, &in, 1000));
}

/* Cut at every length, each byte replaced by values that hurt: no step outside (AddressSanitizer). */
static void truncated_and_mutated(void)
{
	static const uint8_t values[] = { 0, 1, 2, 3, 4, 29, 0x40, 0x7f, 0x80, 0xf0, 0xff };

	for (int version = 4; version <= 8; version += 2) {
		uint8_t whole[160];
		uint32_t off, len = build(whole, version, SYN, "0402 0103 0307 020405b4", &off);

		for (uint32_t n = 0; n <= len; n++) {
			uint8_t *ip = malloc(n ? n : 1);
			struct inner in;

			memcpy(ip, whole, n);
			/* The length that IP claims is cut too, or nothing would be looked at. */
			if (version == 4 && n >= 20) {
				wire_put16(ip + 2, (uint16_t)n);
				pair_checksum(ip);
			} else if (version != 4 && n >= 40) {
				wire_put16(ip + 4, (uint16_t)(n - 40));
			}
			if (inner_parse(&in, ip, n))
				CU_ASSERT_EQUAL(mss_clamp(ip, &in, 1000), n >= off + 32);
			free(ip);
		}
		for (uint32_t i = 0; i < len * LEN(values); i++) {
			uint8_t *ip = malloc(len);
			struct inner in;

			memcpy(ip, whole, len);
			ip[i / LEN(values)] = values[i % LEN(values)];
			if (version == 4 && (ip[0] & 15u) * 4 <= len)
				pair_checksum(ip);
			if (inner_parse(&in, ip, len))
				mss_clamp(ip, &in, 1000);
			free(ip);
		}
	}
}

/* Through a tunnel, both ways: what arrives is what fits, for each algorithm. */
static void both_directions(void)
{
	static const struct {
		uint16_t mss;
		bool outer6;
		uint16_t expect; /* with AES-GCM-16, path of 1500 */
	} how[] = {
		{ XESP_MSS_AUTO, false, 1446 - 40 },
		{ XESP_MSS_AUTO, true, 1426 - 40 },
		{ XESP_MSS_OFF, false, 1460 },
		{ 1200, false, 1200 },
	};
	static struct frame f;

	for (size_t i = 0; i < LEN(how); i++) {
		const struct pair_opts o = { .outer6 = how[i].outer6 };
		uint32_t off, len;
		struct pkt pkt;
		struct pair p;

		pair_open(&p, &o);
		p.tunnel_out.mss = how[i].mss;
		CU_ASSERT_EQUAL(sad_tunnel_set(p.sad, &p.tunnel_out, NULL), 0);
		len = build(f.bytes + PAIR_HEADROOM, 4, SYN, "020405b4", &off);
		pkt = pair_clear(&f, len);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		pair_turn(&pkt);
		CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
		CU_ASSERT_EQUAL(wire_get16(pkt.l3 + off + 22), how[i].expect);
		CU_ASSERT_EQUAL(tcp_sum(pkt.l3, off, len), 0);

		/* Inbound: the tunnel that answers go back through is what counts. */
		p.tunnel_out.mss = XESP_MSS_OFF;
		p.tunnel_in.mss = how[i].mss;
		p.tunnel_in.sa_out = PAIR_SA_OUT;
		CU_ASSERT_EQUAL(sad_tunnel_set(p.sad, &p.tunnel_out, NULL), 0);
		CU_ASSERT_EQUAL(sad_tunnel_set(p.sad, &p.tunnel_in, NULL), 0);
		build(f.bytes + PAIR_HEADROOM, 4, SYN_ACK, "020405b4", &off);
		pkt = pair_clear(&f, len);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		pair_turn(&pkt);
		CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
		CU_ASSERT_EQUAL(wire_get16(pkt.l3 + off + 22), how[i].expect);
		CU_ASSERT_EQUAL(tcp_sum(pkt.l3, off, len), 0);
		pair_close(&p);
	}
}

CU_TestInfo mss_tests[] = {
	{ "MSS is lowered where it may be, and only there", clamp_rows },
	{ "MSS in fragments is left alone", fragments_are_left_alone },
	{ "MSS in packets cut off or altered", truncated_and_mutated },
	{ "MSS through a tunnel, both directions", both_directions },
	CU_TEST_INFO_NULL,
};
