/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traffic flow confidentiality: dummy packets (RFC 4303 section 2.6) of every size, and payloads that
 * are padded behind the inner packet (section 2.7).
 */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "esp/dummy.h"
#include "esp/wire.h"
#include "libxesp/drops.h"
#include "sad/sa.h"
#include "sad/tunnel.h"
#include "tests/pair/pair.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct pkt dummy(struct frame *f, uint32_t size)
{
	const struct dummy_room room = { f->bytes, f->bytes + PAIR_HEADROOM,
					 f->bytes + sizeof(f->bytes) };
	struct pkt p;

	memset(f, 0xee, sizeof(*f));
	CU_ASSERT_FATAL(dummy_make(&p, &room, PAIR_TUNNEL_OUT, size));
	return p;
}

/* Each has a number of its own, moves the peer's window and is absorbed there. */
static void dummies_of(bool outer6, bool esn, const struct pair_cipher *c)
{
	struct pair_opts o = { .outer6 = outer6, .esn = esn, PAIR_OF(c) };
	static struct frame f;
	struct pair p;
	uint64_t n = 0;

	pair_open(&p, &o);
	for (uint32_t size = 0; size < 300; size++) {
		struct pkt pkt = dummy(&f, size);

		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		CU_ASSERT_EQUAL(pkt.seq, ++n);
		CU_ASSERT_EQUAL(pkt.len, (outer6 ? 40u : 20u) + 8 + c->iv_len + c->icv_len +
						 (size + 1 + c->align) / c->align * c->align);
		pair_turn(&pkt);
		CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_DUMMY);
	}
	CU_ASSERT_EQUAL(p.st.sa[PAIR_SA_OUT].packets, n);
	CU_ASSERT_EQUAL(p.st.sa[PAIR_SA_OUT].bytes, 0);
	CU_ASSERT_EQUAL(p.st.sa[PAIR_SA_IN].packets, 0);
	CU_ASSERT_EQUAL(drops_of(&p.st.sa[PAIR_SA_IN].drops, XESP_DROP_DUMMY), n);
	CU_ASSERT_EQUAL(p.st.sa[PAIR_SA_IN].replay_top, n);
	pair_close(&p);
}

static void every_size(void)
{
	for (int i = 0; i < 4; i++)
		for (size_t c = 0; c < PAIR_CIPHERS; c++)
			dummies_of(i & 1, i & 2, &pair_ciphers[c]);
}

/* dummy_size() is exact: that payload fits, one alignment more does not; a probe may. */
static void sizes_and_probes(void)
{
	struct pair_opts o = { .mtu = 1280, .df = XESP_DF_CLEAR };
	static struct frame f;
	struct pair p;

	for (int outer6 = 0; outer6 < 2; outer6++) {
		const struct tunnel *t;
		const struct sa *sa;

		o.outer6 = outer6;
		pair_open(&p, &o);
		t = sad_tunnel(p.sad, PAIR_TUNNEL_OUT);
		sa = sad_find(p.sad, PAIR_SA_OUT);
		for (uint32_t outer = 0; outer < 9000; outer += outer < 100 ? 1 : 97) {
			const uint32_t over = outer6 ? 72 : 52, size = dummy_size(t, sa, outer);
			struct pkt pkt = dummy(&f, size), more;

			CU_ASSERT_EQUAL(size, outer < over + 4 ? 0 : (outer - over) / 4 * 4 - 2);
			if (outer < over + 4)
				continue;
			pkt.probe = true;
			CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
			CU_ASSERT_EQUAL(pkt.len, over + size + 2);
			CU_ASSERT(pkt.len <= outer && pkt.len + 4 > outer);
			if (!outer6) /* DF although the tunnel clears it: RFC 8899 */
				CU_ASSERT_EQUAL(wire_get16(pkt.l3 + 6), 0x4000);
			more = dummy(&f, size);
			CU_ASSERT_EQUAL(pair_encap(&p, &more),
					outer < 1280 + 4 ? XESP_DROP_NONE : XESP_DROP_TOO_BIG);
		}
		CU_ASSERT_EQUAL(p.st.sa[PAIR_SA_OUT].seq_next - 1, p.st.sa[PAIR_SA_OUT].packets);
		pair_close(&p);
	}
}

static void no_room(void)
{
	static struct frame f;
	const struct dummy_room room = { f.bytes, f.bytes + 100, f.bytes + 300 };
	struct pair_opts o = { 0 };
	struct pair p;
	struct pkt pkt;

	CU_ASSERT(!dummy_make(&pkt, &room, PAIR_TUNNEL_OUT, 201));
	CU_ASSERT_FATAL(dummy_make(&pkt, &room, PAIR_TUNNEL_OUT, 200));
	pair_open(&p, &o);
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NO_TAILROOM);
	CU_ASSERT_EQUAL(p.st.sa[PAIR_SA_OUT].seq_next, 1);
	pair_close(&p);
}

static const struct {
	uint32_t tfc, len, want; /* payload on the wire; outer packets of up to 1500 bytes */
} paddings[] = {
	{ 0, 100, 100 },   { 100, 99, 100 },   { 100, 100, 100 },  { 100, 101, 101 },
	{ 600, 40, 600 },  { 1446, 40, 1446 }, { 1447, 40, 1446 }, { 9000, 1000, 1446 },
	{ 9000, 1446, 1446 }, { XESP_TFC_MTU, 20, 1446 }, { XESP_TFC_MTU, 1446, 1446 },
	{ XESP_TFC_MTU, 1443, 1446 },
};

static void padded_payloads(void)
{
	static struct frame f;

	for (size_t i = 0; i < LEN(paddings); i++) {
		struct pair_opts o = { .tfc = paddings[i].tfc };
		struct pkt pkt = pair_make(&f, 4, paddings[i].len), d;
		uint8_t want[1500];
		struct pair p;

		pair_open(&p, &o);
		memcpy(want, pkt.l3, pkt.len);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		CU_ASSERT_EQUAL(pkt.len, 20 + 16 + 16 + (paddings[i].want + 5) / 4 * 4);
		if (pkt.len != 20 + 16 + 16 + (paddings[i].want + 5) / 4 * 4)
			fprintf(stderr, "row %zu: %u bytes\n", i, pkt.len);
		CU_ASSERT_EQUAL(p.st.sa[PAIR_SA_OUT].bytes, paddings[i].len);
		pair_turn(&pkt);
		CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
		CU_ASSERT_EQUAL(pkt.len, paddings[i].len);
		want[8]--;
		pair_checksum(want);
		CU_ASSERT_EQUAL(memcmp(want, pkt.l3, pkt.len), 0);
		/* A dummy cannot be told from it by its length. */
		d = dummy(&f, 20);
		CU_ASSERT_EQUAL(pair_encap(&p, &d), XESP_DROP_NONE);
		if (paddings[i].tfc >= paddings[i].len)
			CU_ASSERT_EQUAL(d.len, 20 + 16 + 16 + (paddings[i].want + 5) / 4 * 4);
		pair_close(&p);
	}
}

/* What stood in the frame before is not sent: the padding is zeroes. */
static void padding_is_clean(void)
{
	struct pair_opts o = { .tfc = 500 };
	static struct frame f;
	struct pair p;
	struct pkt pkt = pair_make(&f, 4, 100);
	const uint8_t *text;

	pair_open(&p, &o);
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
	text = pkt.l3 + 20 + 16;
	pair_turn(&pkt);
	CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
	for (uint32_t i = 100; i < 500; i++)
		CU_ASSERT_EQUAL(text[i], 0);
	CU_ASSERT_EQUAL(text[500], 1); /* 500 + 2: two octets of ESP's own padding */
	pair_close(&p);
}

CU_TestInfo dummy_tests[] = {
	{ "dummies of every size are absorbed, in each algorithm", every_size },
	{ "the size of a dummy is exact; a probe may be larger than the MTU", sizes_and_probes },
	{ "no room for a dummy", no_room },
	{ "TFC padding: to a size, to the MTU, never beyond it", padded_payloads },
	{ "TFC padding is zeroes", padding_is_clean },
	CU_TEST_INFO_NULL,
};
