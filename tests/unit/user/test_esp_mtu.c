/* SPDX-License-Identifier: BSD-2-Clause */
/* What fits into a tunnel, to the byte, for every algorithm; and what happens to what does not. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "libxesp/drops.h"
#include "tests/pair/pair.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *what;
	uint32_t mtu;
	bool outer6;
	int inner;
	uint32_t fits, told; /* largest that fits; what a larger one is told */
} mtus[] = {
	{ "1500 over IPv4", 1500, false, 4, 1446, 1446 },
	{ "1500 over IPv6", 1500, true, 4, 1426, 1426 },
	{ "1501: no finer than four bytes", 1501, false, 4, 1446, 1446 },
	{ "1503", 1503, false, 6, 1446, 1446 },
	{ "1504", 1504, false, 6, 1450, 1450 },
	{ "9000", 9000, false, 4, 8946, 8946 },
	{ "1400: nor over IPv4 when it would be more", 1400, false, 6, 1346, 1346 },
	{ "128: IPv4 has at least 68", 128, false, 4, 74, 74 },
};

static void mtu_rows(void)
{
	static struct frame f;

	for (size_t i = 0; i < LEN(mtus); i++) {
		struct pair_opts o = { .outer6 = mtus[i].outer6, .mtu = mtus[i].mtu };
		uint8_t before[PAIR_FRAME];
		struct pkt pkt;
		struct pair p;

		pair_open(&p, &o);
		pkt = pair_make(&f, mtus[i].inner, mtus[i].fits);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		CU_ASSERT_TRUE(pkt.len <= mtus[i].mtu && pkt.len + 4 > mtus[i].mtu);
		pkt = pair_make(&f, mtus[i].inner, mtus[i].fits + 1);
		memcpy(before, f.bytes, sizeof(before));
		if (pair_encap(&p, &pkt) != XESP_DROP_TOO_BIG || pkt.mtu != mtus[i].told)
			fprintf(stderr, "mtu: %s: %d, %u\n", mtus[i].what, pkt.drop, pkt.mtu);
		CU_ASSERT_EQUAL(pkt.drop, XESP_DROP_TOO_BIG);
		CU_ASSERT_EQUAL(pkt.mtu, mtus[i].told);
		CU_ASSERT_FALSE(pkt.fragment); /* DF is set */
		CU_ASSERT_EQUAL(pkt.l3, f.bytes + PAIR_HEADROOM);
		CU_ASSERT_EQUAL(memcmp(before, f.bytes, sizeof(before)), 0);
		CU_ASSERT_EQUAL(drops_of(&p.st.sa[PAIR_SA_OUT].drops, XESP_DROP_TOO_BIG), 1);
		CU_ASSERT_EQUAL(p.st.policy[PAIR_POLICY].by_reason[XESP_DROP_TOO_BIG], 1);
		CU_ASSERT_EQUAL(esp_worker_stats(p.w)->drops[XESP_DROP_TOO_BIG], 1);
		CU_ASSERT_EQUAL(p.st.sa[PAIR_SA_OUT].seq_next, 2); /* no number was spent */
		pair_close(&p);
	}
}

/* Every path MTU from 1280 on, every algorithm: what is told fits, and one byte more does not. */
static void mtu_of(const struct pair_cipher *c, bool outer6, bool udp)
{
	static struct frame f;

	for (uint32_t mtu = 1280; mtu < 1280 + 32; mtu++) {
		const struct pair_opts o = { .outer6 = outer6, .mtu = mtu, PAIR_OF(c),
					     .natt = { .encap = udp, .local_port = 1,
						       .remote_port = 1, .peer_port = 1 } };
		uint32_t over = (outer6 ? 40u : 20u) + (udp ? 8 : 0) + 8 + c->iv_len + c->icv_len;
		uint32_t fits = (mtu - over) / c->align * c->align - 2;
		struct pkt pkt;
		struct pair p;

		pair_open(&p, &o);
		pkt = pair_make(&f, 4, fits + 1);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_TOO_BIG);
		CU_ASSERT_EQUAL(pkt.mtu, fits);
		for (uint32_t len = fits; len > fits - 2u * c->align; len--) {
			pkt = pair_make(&f, 4, len);
			CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
			CU_ASSERT_EQUAL(pkt.len,
					over + (len + 2 + c->align - 1) / c->align * c->align);
			CU_ASSERT_TRUE(len < fits || (pkt.len <= mtu && pkt.len + c->align > mtu));
		}
		pair_close(&p);
	}
}

static void all_mtus(void)
{
	for (int k = 0; k < PAIR_CIPHERS; k++) {
		for (int udp = 0; udp < 2; udp++) {
			mtu_of(&pair_ciphers[k], false, udp);
			mtu_of(&pair_ciphers[k], true, udp);
		}
	}
}

static void too_big_without_df(void)
{
	static struct frame f;
	struct pkt pkt = pair_make(&f, 4, 1447);
	struct pair p;

	pair_open(&p, &(struct pair_opts){ 0 });
	pkt.l3[6] = 0;
	pair_checksum(pkt.l3);
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_TOO_BIG);
	CU_ASSERT_TRUE(pkt.fragment);
	CU_ASSERT_EQUAL(pkt.mtu, 1446);
	/* The slow path sends it in pieces. */
	CU_ASSERT_EQUAL(drops_of(&p.st.sa[PAIR_SA_OUT].drops, XESP_DROP_TOO_BIG), 0);
	CU_ASSERT_EQUAL(esp_worker_stats(p.w)->drops[XESP_DROP_TOO_BIG], 0);
	pair_close(&p);
}

/*
 * RFC 2473 section 7.1: IPv6 packets of up to 1280 bytes go through, whatever the path carries; the
 * outer packet is for the slow path to cut. One byte more is told 1280.
 */
static void ipv6_is_promised_1280(void)
{
	static const struct {
		uint32_t mtu, fits;
		bool outer6;
	} paths[] = { { 1280, 1206, true }, { 1300, 1246, false }, { 600, 546, false } };
	static struct frame f;

	for (size_t i = 0; i < LEN(paths); i++) {
		struct pair_opts o = { .outer6 = paths[i].outer6, .mtu = paths[i].mtu,
				       .df = XESP_DF_SET };
		struct pkt pkt;
		struct pair p;

		pair_open(&p, &o);
		for (uint32_t len = paths[i].fits - 1; len <= 1281; len++) {
			const bool fits = len <= paths[i].fits;

			pkt = pair_make(&f, 6, len);
			pair_encap(&p, &pkt);
			if (len > 1280) {
				CU_ASSERT_EQUAL(pkt.drop, XESP_DROP_TOO_BIG);
				CU_ASSERT_EQUAL(pkt.mtu, 1280);
				continue;
			}
			CU_ASSERT_EQUAL(pkt.drop, XESP_DROP_NONE);
			CU_ASSERT_EQUAL(pkt.mtu, fits ? 0 : paths[i].mtu);
			CU_ASSERT_EQUAL(pkt.len <= paths[i].mtu, fits);
			if (!paths[i].outer6) { /* DF although the tunnel sets it would forbid the cut */
				CU_ASSERT_EQUAL(pkt.l3[6], fits ? 0x40 : 0);
				CU_ASSERT_EQUAL(fits, !pkt.l3[4] && !pkt.l3[5]);
			}
			pair_turn(&pkt);
			CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
		}
		/* IPv4 with DF is told, as ever. */
		pkt = pair_make(&f, 4, paths[i].fits + 1);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_TOO_BIG);
		CU_ASSERT_EQUAL(pkt.mtu, paths[i].fits);
		pair_close(&p);
	}
}

CU_TestInfo esp_mtu_tests[] = {
	{ "the MTU to the byte", mtu_rows },
	{ "the MTU to the byte, each algorithm", all_mtus },
	{ "too big without DF is for the slow path", too_big_without_df },
	{ "IPv6 packets of 1280 bytes always go through", ipv6_is_promised_1280 },
	CU_TEST_INFO_NULL,
};
