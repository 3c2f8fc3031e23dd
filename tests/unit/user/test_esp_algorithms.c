/* SPDX-License-Identifier: BSD-2-Clause */
/* What must hold for every algorithm: no packet without a leased number, no IV twice, nothing in clear. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "esp/wire.h"
#include "tests/pair/pair.h"

#define LEASED 3
#define IV_MAX 16

static int bits_apart(const uint8_t *a, const uint8_t *b, uint32_t len)
{
	int n = 0;

	for (uint32_t i = 0; i < len; i++)
		n += __builtin_popcount((unsigned int)(a[i] ^ b[i]));
	return n;
}

/* RFC 3602 section 3: of random IVs half the bits differ; fewer than 24 of 128 do once in 10^13. */
static void unforeseen(const uint8_t iv[LEASED][IV_MAX])
{
	for (int i = 1; i < LEASED; i++)
		CU_ASSERT_TRUE(bits_apart(iv[i - 1], iv[i], IV_MAX) >= 24);
}

/* RFC 8221 section 3: what makes manual keys safe here. After the lease nothing is sent, whatever the cipher. */
static void only_leased(const struct pair_cipher *c, bool esn)
{
	const struct pair_opts o = { .esn = esn, .lease = LEASED, PAIR_OF(c) };
	uint8_t iv[LEASED][IV_MAX] = { { 0 } }, before[PAIR_FRAME];
	static struct frame f;
	struct pkt pkt;
	struct pair p;

	pair_open(&p, &o);
	for (uint32_t i = 0; i < LEASED; i++) {
		pkt = pair_make(&f, 4, 100);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		CU_ASSERT_EQUAL(wire_get32(pkt.l3 + pkt.l4_off + 4), i + 1);
		memcpy(iv[i], pkt.l3 + pkt.l4_off + 8, c->iv_len);
		for (uint32_t k = 0; k < i && c->iv_len; k++)
			CU_ASSERT_NOT_EQUAL(memcmp(iv[i], iv[k], c->iv_len), 0);
	}
	if (c->iv_len == IV_MAX)
		unforeseen(iv);
	pkt = pair_make(&f, 4, 100);
	memcpy(before, f.bytes, sizeof(before));
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NO_LEASE);
	CU_ASSERT_EQUAL(memcmp(before, f.bytes, sizeof(before)), 0);
	CU_ASSERT_EQUAL(p.st.sa[PAIR_SA_OUT].packets, LEASED);
	pair_close(&p);
}

static void lease_rows(void)
{
	for (int i = 0; i < PAIR_CIPHERS; i++) {
		only_leased(&pair_ciphers[i], false);
		only_leased(&pair_ciphers[i], true);
	}
}

/* RFC 4303 section 3.3.3: the last number, and then none. */
static void spent_rows(void)
{
	for (int i = 0; i < PAIR_CIPHERS; i++) {
		const struct pair_opts o = { .lease = UINT32_MAX, PAIR_OF(&pair_ciphers[i]) };
		static struct frame f;
		struct pkt pkt;
		struct pair p;

		pair_open(&p, &o);
		p.st.sa[PAIR_SA_OUT].seq_next = UINT32_MAX;
		pkt = pair_make(&f, 6, 100);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		CU_ASSERT_EQUAL(wire_get32(pkt.l3 + pkt.l4_off + 4), UINT32_MAX);
		pkt = pair_make(&f, 6, 100);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_SEQ_EXHAUSTED);
		pair_close(&p);
	}
}

static bool hides(const struct pair_cipher *c)
{
	return c->alg != XESP_ALG_NULL && c->alg != XESP_ALG_AES_GMAC;
}

/* Equal packets are nowhere equal on the wire where they are encrypted, and all there where they are not. */
static void text_rows(void)
{
	for (int i = 0; i < PAIR_CIPHERS; i++) {
		const struct pair_cipher *c = &pair_ciphers[i];
		const struct pair_opts o = { PAIR_OF(c) };
		static struct frame f[2];
		const uint8_t *text[2];
		struct pkt pkt;
		struct pair p;
		uint8_t want[100];

		pair_open(&p, &o);
		for (int k = 0; k < 2; k++) {
			pkt = pair_make(&f[k], 4, 100);
			memcpy(want, pkt.l3, 100);
			want[8]--;
			pair_checksum(want);
			CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
			text[k] = pkt.l3 + pkt.l4_off + 8 + c->iv_len;
			CU_ASSERT_EQUAL(!memcmp(text[k], want, 100), !hides(c));
		}
		for (int at = 0; at + 16 <= 100 && hides(c); at += 16)
			CU_ASSERT_NOT_EQUAL(memcmp(text[0] + at, text[1] + at, 16), 0);
		pair_close(&p);
	}
}

/* What was sealed with one key or integrity key opens with no other: one bit of each byte. */
static void key_rows(void)
{
	for (int i = 0; i < PAIR_CIPHERS; i++) {
		const struct pair_cipher *c = &pair_ciphers[i];
		const struct pair_opts o = { PAIR_OF(c) };
		const uint32_t keys = (uint32_t)c->key_len + c->auth_key_len;
		/* HMAC covers the ciphertext: under another cipher key it opens to something else. */
		const uint32_t from = c->auth ? c->key_len : 0;
		static struct frame f;
		struct pkt sealed, pkt;
		struct pair p;

		pair_open(&p, &o);
		sealed = pair_make(&f, 4, 100);
		CU_ASSERT_EQUAL(pair_encap(&p, &sealed), XESP_DROP_NONE);
		pair_turn(&sealed);
		for (uint32_t k = from; k < keys + c->salt_len && (!c->auth || k < keys); k++) {
			struct xesp_keymsg_sa m = p.in;

			if (k < keys)
				m.key[k] ^= 1;
			else
				m.salt[k - keys] ^= 1;
			pair_identify(&p, &m, 16, 2);
			CU_ASSERT_EQUAL(sad_add(p.sad, &m, NULL), 0);
			sad_reclaim(p.sad);
			pkt = sealed;
			CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_BAD_ICV);
			/* The refused text is gone: once more from the beginning. */
			pair_close(&p);
			pair_open(&p, &o);
			sealed = pair_make(&f, 4, 100);
			CU_ASSERT_EQUAL(pair_encap(&p, &sealed), XESP_DROP_NONE);
			pair_turn(&sealed);
		}
		CU_ASSERT_EQUAL(pair_decap(&p, &sealed), XESP_DROP_NONE);
		pair_close(&p);
	}
}

static void all_by_ipsecmb(void)
{
	if (!pair_use_ipsecmb())
		return;
	lease_rows();
	text_rows();
	key_rows();
	pair_use_openssl();
}

CU_TestInfo esp_algorithms_tests[] = {
	{ "without a lease no packet, and no IV twice", lease_rows },
	{ "behind the last number nothing", spent_rows },
	{ "equal packets differ on the wire", text_rows },
	{ "each byte of key, salt and integrity key counts", key_rows },
	{ "ipsec-mb: all of these", all_by_ipsecmb },
	CU_TEST_INFO_NULL,
};
