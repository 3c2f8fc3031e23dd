/* SPDX-License-Identifier: BSD-2-Clause */
/* RFC 6040: all sixteen cells of figure 4 for both inner families, and the marks of encap. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "esp/ecn.h"
#include "libxesp/drops.h"
#include "tests/pair/pair.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	uint8_t inner, outer, want;
} cells[] = {
	{ ECN_NOT_ECT, ECN_NOT_ECT, ECN_NOT_ECT }, { ECN_NOT_ECT, ECN_ECT0, ECN_NOT_ECT },
	{ ECN_NOT_ECT, ECN_ECT1, ECN_NOT_ECT },    { ECN_NOT_ECT, ECN_CE, ECN_DROP },
	{ ECN_ECT0, ECN_NOT_ECT, ECN_ECT0 },       { ECN_ECT0, ECN_ECT0, ECN_ECT0 },
	{ ECN_ECT0, ECN_ECT1, ECN_ECT1 },          { ECN_ECT0, ECN_CE, ECN_CE },
	{ ECN_ECT1, ECN_NOT_ECT, ECN_ECT1 },       { ECN_ECT1, ECN_ECT0, ECN_ECT1 },
	{ ECN_ECT1, ECN_ECT1, ECN_ECT1 },          { ECN_ECT1, ECN_CE, ECN_CE },
	{ ECN_CE, ECN_NOT_ECT, ECN_CE },           { ECN_CE, ECN_ECT0, ECN_CE },
	{ ECN_CE, ECN_ECT1, ECN_CE },              { ECN_CE, ECN_CE, ECN_CE },
};

static uint8_t get_tos(const uint8_t *ip)
{
	return (uint8_t)(ip[0] >> 4 == 4 ? ip[1] : ip[0] << 4 | ip[1] >> 4);
}

static void cells_of(int inner_version, bool outer6)
{
	const uint8_t dscp = 0xb8;
	struct pair_opts o = { .outer6 = outer6 };
	static struct frame f;
	uint8_t before[2048];
	struct pair p;

	pair_open(&p, &o);
	for (size_t i = 0; i < LEN(cells); i++) {
		struct pkt pkt = pair_make(&f, inner_version, 100);
		enum xesp_drop want = cells[i].want == ECN_DROP ? XESP_DROP_ECN_INVALID :
								  XESP_DROP_NONE;

		pair_set_tos(pkt.l3, dscp | cells[i].inner);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		pair_set_tos(pkt.l3, dscp | cells[i].outer);
		pair_turn(&pkt);
		CU_ASSERT_EQUAL(pair_decap(&p, &pkt), want);
		if (pkt.drop != want)
			fprintf(stderr, "inner %u, outer %u\n", cells[i].inner, cells[i].outer);
		if (want)
			continue;
		CU_ASSERT_EQUAL(get_tos(pkt.l3), dscp | cells[i].want);
		/* Nothing else changed, and the IPv4 checksum is what it would be anew. */
		memcpy(before, pkt.l3, 100);
		pair_set_tos(before, dscp | cells[i].want);
		CU_ASSERT_EQUAL(memcmp(before, pkt.l3, 100), 0);
	}
	CU_ASSERT_EQUAL(drops_of(&p.st.sa[PAIR_SA_IN].drops, XESP_DROP_ECN_INVALID), 1);
	pair_close(&p);
}

static void all_cells(void)
{
	for (size_t i = 0; i < LEN(cells); i++)
		CU_ASSERT_EQUAL(ecn_decap(cells[i].outer, cells[i].inner), cells[i].want);
	for (int i = 0; i < 4; i++)
		cells_of(i & 1 ? 6 : 4, i & 2);
}

static void encap_marks(void)
{
	for (uint8_t ecn = 0; ecn < 4; ecn++) {
		CU_ASSERT_EQUAL(ecn_encap(XESP_ECN_NORMAL, ecn), ecn);
		CU_ASSERT_EQUAL(ecn_encap(XESP_ECN_COMPATIBILITY, ecn), ECN_NOT_ECT);
	}
}

CU_TestInfo ecn_tests[] = {
	{ "decap: sixteen cells, four combinations of families", all_cells },
	{ "encap: normal and compatibility mode", encap_marks },
	CU_TEST_INFO_NULL,
};
