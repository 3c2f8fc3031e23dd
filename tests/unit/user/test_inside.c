/* SPDX-License-Identifier: BSD-2-Clause */
/* Authentic packets with anything inside: RFC 4303 sections 2.4 to 2.7, and nothing plain left over. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "libxesp/drops.h"
#include "tests/pair/pair.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct pair_opts defaults;

static uint64_t in_drops(const struct pair *p, enum xesp_drop why)
{
	return drops_of(&p->st.sa[PAIR_SA_IN].drops, why);
}

enum inside {
	GOOD, TFC, PAD_FIRST, PAD_MIDDLE, PAD_LONG, PAD_ALL, PAD_IV, PAD_255, DUMMY, NEXT_TCP, NEXT_IP6,
	VERSION, TOTAL_LONG, TOTAL_SHORT, IHL_SMALL, IHL_LONG, CHECKSUM, TINY, UNALIGNED
};

static const struct {
	const char *what;
	enum inside inside;
	enum xesp_drop want;
} insides[] = {
	{ "good", GOOD, XESP_DROP_NONE },
	{ "padded against traffic analysis", TFC, XESP_DROP_NONE },
	{ "255 bytes of padding", PAD_255, XESP_DROP_NONE },
	{ "payload not a multiple of four", UNALIGNED, XESP_DROP_NONE },
	{ "first padding byte wrong", PAD_FIRST, XESP_DROP_BAD_PADDING },
	{ "a padding byte wrong", PAD_MIDDLE, XESP_DROP_BAD_PADDING },
	{ "padding longer than the payload", PAD_LONG, XESP_DROP_BAD_PADDING },
	{ "padding that reaches into the IV", PAD_IV, XESP_DROP_BAD_PADDING },
	{ "padding and nothing else", PAD_ALL, XESP_DROP_BAD_INNER },
	{ "dummy", DUMMY, XESP_DROP_DUMMY },
	{ "next header TCP", NEXT_TCP, XESP_DROP_BAD_INNER },
	{ "next header IPv6, packet IPv4", NEXT_IP6, XESP_DROP_BAD_INNER },
	{ "version 5", VERSION, XESP_DROP_BAD_INNER },
	{ "total length above the payload", TOTAL_LONG, XESP_DROP_BAD_INNER },
	{ "total length below the header", TOTAL_SHORT, XESP_DROP_BAD_INNER },
	{ "header of 16 bytes", IHL_SMALL, XESP_DROP_BAD_INNER },
	{ "header longer than the packet", IHL_LONG, XESP_DROP_BAD_INNER },
	{ "header checksum", CHECKSUM, XESP_DROP_BAD_INNER },
	{ "shorter than a header", TINY, XESP_DROP_BAD_INNER },
};

/* Writes the text to be sealed and returns its length: 60 bytes of packet, padding, trailer. */
static uint32_t make_inside(uint8_t *text, enum inside c)
{
	static struct frame f;
	struct pkt pkt = pair_make(&f, 4, 60);
	uint32_t len = c == TFC ? 200 : c == TINY ? 12 : 60;
	uint32_t pad = c == PAD_255 ? 255 : c == UNALIGNED ? 1 : 6;

	memset(text, 0x77, 512);
	memcpy(text, pkt.l3, 60);
	switch (c) {
	case VERSION: text[0] = 0x55; break;
	case TOTAL_LONG: text[3] = 61; break;
	case TOTAL_SHORT: text[3] = 19; break;
	case IHL_SMALL: text[0] = 0x44; break;
	case IHL_LONG: text[0] = 0x4f; text[3] = 59; break;
	default: break;
	}
	if (c != CHECKSUM)
		pair_checksum(text);
	else
		text[11] ^= 1;
	if (c == PAD_ALL || c == PAD_IV)
		len = 0;
	if (c == PAD_IV)
		pad = 0;
	for (uint32_t i = 0; i < pad; i++)
		text[len + i] = (uint8_t)(i + 1);
	text[len] ^= c == PAD_FIRST;
	text[len + pad / 2] ^= (uint8_t)(c == PAD_MIDDLE ? 0x80 : 0);
	text[len + pad] = (uint8_t)(c == PAD_LONG ? 67 : c == PAD_IV ? 1 : pad);
	text[len + pad + 1] = c == DUMMY ? 59 : c == NEXT_TCP ? 6 : c == NEXT_IP6 ? 41 : 4;
	return len + pad + 2;
}

static bool all_zero(const uint8_t *p, uint32_t len)
{
	uint8_t any = 0;

	while (len--)
		any |= *p++;
	return !any;
}

static void inside_rows(void)
{
	static struct frame f;
	uint64_t good = 0;
	struct pair p;

	pair_open(&p, &defaults);
	for (uint32_t i = 0; i < LEN(insides); i++) {
		uint64_t before = in_drops(&p, insides[i].want);
		uint8_t *text = f.bytes + PAIR_TEXT;
		uint32_t len = make_inside(text, insides[i].inside);
		struct pkt pkt = pair_seal(&p, &f, i + 1, len);

		if (pair_decap(&p, &pkt) != insides[i].want)
			fprintf(stderr, "inside: %s: %d\n", insides[i].what, pkt.drop);
		CU_ASSERT_EQUAL(pkt.drop, insides[i].want);
		if (pkt.drop == XESP_DROP_NONE) {
			good++;
			CU_ASSERT_EQUAL(pkt.len, 60);
			CU_ASSERT_EQUAL(pkt.l3, text);
			continue;
		}
		CU_ASSERT_TRUE(all_zero(text, len)); /* nothing plain stays behind */
		CU_ASSERT_EQUAL(in_drops(&p, insides[i].want), before + 1);
		CU_ASSERT_EQUAL(esp_worker_stats(p.w)->drops[insides[i].want], before + 1);
		pkt = pair_seal(&p, &f, i + 1, make_inside(text, GOOD));
		/* Authentic, so its number is used up. */
		CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_REPLAY_DUPLICATE);
	}
	CU_ASSERT_EQUAL(p.st.sa[PAIR_SA_IN].packets, good);
	CU_ASSERT_EQUAL(p.st.sa[PAIR_SA_IN].bytes, good * 60);
	pair_close(&p);
}

CU_TestInfo inside_tests[] = {
	{ "authentic packets with anything inside, row by row", inside_rows },
	CU_TEST_INFO_NULL,
};
