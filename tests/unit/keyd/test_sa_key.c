/* SPDX-License-Identifier: BSD-2-Clause */
/* What becomes of an SA's keys: where they lie in the message to xespd, and which count as one. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "keyd/compose.h"
#include "keyd/config.h"
#include "libxesp/secret.h"
#include "tests/unit/keyd/fixture.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const char top[] = "version: 1\n"
			  "tunnels:\n"
			  "  - {name: t, local: 192.0.2.1, remote: 192.0.2.2}\n"
			  "sas:\n";

/* n bytes that count upwards from `first`, as hex. */
static const char *hex(char *buf, uint32_t n, uint32_t first)
{
	buf[0] = '\0';
	for (uint32_t i = 0; i < n; i++)
		snprintf(buf + 2 * i, 3, "%02x", (first + i) & 0xff);
	return buf;
}

static struct config *one_sa(const char *words, uint32_t key, uint32_t auth_key, uint32_t first)
{
	char a[200], b[200];

	if (!key)
		return fixture_config("%s  - {name: o, tunnel: t, direction: out, spi: 4097, %s, "
				      "integrity_key: %s}\n", top, words, hex(b, auth_key, first + 100));
	if (!auth_key)
		return fixture_config("%s  - {name: o, tunnel: t, direction: out, spi: 4097, %s, "
				      "key: %s}\n", top, words, hex(a, key, 1));
	return fixture_config("%s  - {name: o, tunnel: t, direction: out, spi: 4097, %s, key: %s, "
			      "integrity_key: %s}\n", top, words, hex(a, key, 1),
			      hex(b, auth_key, first + 100));
}

static const struct {
	const char *words;
	uint8_t alg, auth, key, salt, auth_key;
	bool counts; /* the nonce is a number */
} rows[] = {
	{ "algorithm: aes-gcm-256", XESP_ALG_AES_GCM_16, 0, 32, 4, 0, true },
	{ "algorithm: aes-gcm-192-iiv", XESP_ALG_AES_GCM_16_IIV, 0, 24, 4, 0, true },
	{ "algorithm: chacha20poly1305-iiv", XESP_ALG_CHACHA20_POLY1305_IIV, 0, 32, 4, 0, true },
	{ "algorithm: aes-ccm-128-12", XESP_ALG_AES_CCM_12, 0, 16, 3, 0, true },
	{ "algorithm: aes-ccm-256-8-iiv", XESP_ALG_AES_CCM_8_IIV, 0, 32, 3, 0, true },
	{ "algorithm: aes-gmac-128", XESP_ALG_AES_GMAC, 0, 16, 4, 0, true },
	{ "algorithm: aes256-sha512", XESP_ALG_AES_CBC, XESP_AUTH_HMAC_SHA2_512_256, 32, 0, 64, false },
	{ "algorithm: cbc(aes), integrity: hmac(sha384)", XESP_ALG_AES_CBC,
	  XESP_AUTH_HMAC_SHA2_384_192, 24, 0, 48, false },
	{ "algorithm: rfc3686(ctr(aes)), integrity: sha256", XESP_ALG_AES_CTR,
	  XESP_AUTH_HMAC_SHA2_256_128, 16, 4, 32, true },
	{ "algorithm: aes256ctr-sha512", XESP_ALG_AES_CTR, XESP_AUTH_HMAC_SHA2_512_256, 32, 4, 64, true },
	{ "algorithm: null-sha256", XESP_ALG_NULL, XESP_AUTH_HMAC_SHA2_256_128, 0, 0, 32, false },
	{ "protocol: ah, integrity: sha512", 0, XESP_AUTH_HMAC_SHA2_512_256, 0, 0, 64, false },
};

/* xespd compares the fingerprint in the map with that of the keys that came: they must agree. */
static void test_message(void)
{
	uint8_t buf[XESP_KEYMSG_MAX], fingerprint[SECRET_FINGERPRINT_LEN];
	const struct xesp_keymsg_sa *m = (const void *)buf;

	for (size_t i = 0; i < LEN(rows); i++) {
		struct config *c = one_sa(rows[i].words, rows[i].key + rows[i].salt, rows[i].auth_key, 0);

		CU_ASSERT_PTR_NOT_NULL_FATAL(c);
		CU_ASSERT_EQUAL(compose_sa(buf, c, 0), sizeof(*m));
		CU_ASSERT_EQUAL(m->alg, rows[i].alg);
		CU_ASSERT_EQUAL(m->auth, rows[i].auth);
		CU_ASSERT_EQUAL(m->key_len, rows[i].key);
		CU_ASSERT_EQUAL(m->salt_len, rows[i].salt);
		CU_ASSERT_EQUAL(m->auth_key_len, rows[i].auth_key);
		for (uint32_t k = 0; k < sizeof(m->key); k++)
			CU_ASSERT_EQUAL(m->key[k], k < rows[i].key ? k + 1 :
						   k < (uint32_t)rows[i].key + rows[i].auth_key ?
						   100 + k - rows[i].key : 0);
		for (uint32_t k = 0; k < sizeof(m->salt); k++)
			CU_ASSERT_EQUAL(m->salt[k], k < rows[i].salt ? rows[i].key + k + 1 : 0);
		secret_fingerprint(fingerprint, m->key, (size_t)m->key_len + m->auth_key_len,
				   m->salt, m->salt_len);
		CU_ASSERT_EQUAL(memcmp(fingerprint, c->sad.sas[0].fingerprint, 8), 0);
		config_free(c);
	}
}

/* The lease book must not begin anew when only the integrity key is another: the counters would repeat. */
static void test_digest(void)
{
	for (size_t i = 0; i < LEN(rows); i++) {
		struct config *a = one_sa(rows[i].words, rows[i].key + rows[i].salt, rows[i].auth_key, 0);
		struct config *b = one_sa(rows[i].words, rows[i].key + rows[i].salt, rows[i].auth_key, 1);
		bool one_digest, one_print;

		CU_ASSERT_PTR_NOT_NULL_FATAL(a && b ? a : NULL);
		one_digest = !memcmp(a->sad.sas[0].digest, b->sad.sas[0].digest, SECRET_DIGEST_LEN);
		one_print = !memcmp(a->sad.sas[0].fingerprint, b->sad.sas[0].fingerprint, 8);
		CU_ASSERT_EQUAL(one_print, !rows[i].auth_key); /* what people compare tells them apart */
		CU_ASSERT_EQUAL(one_digest, rows[i].counts);
		config_free(a);
		config_free(b);
	}
}

/* A counter-mode key is one key to the book whatever it is used for, with or without the IV on the wire. */
static void test_one_key_many_names(void)
{
	static const char *const words[] = {
		"algorithm: aes-gcm-256", "algorithm: aes-gcm-256-8", "algorithm: aes-gcm-256-iiv",
		"algorithm: aes-gmac-256", "algorithm: chacha20poly1305-iiv",
	};
	struct config *first = one_sa(words[0], 36, 0, 0);
	struct config *ctr = one_sa("algorithm: aes256ctr-sha256", 36, 32, 0);

	CU_ASSERT_PTR_NOT_NULL_FATAL(first && ctr ? first : NULL);
	CU_ASSERT_EQUAL(memcmp(first->sad.sas[0].digest, ctr->sad.sas[0].digest, SECRET_DIGEST_LEN), 0);
	for (size_t i = 1; i < LEN(words); i++) {
		struct config *c = one_sa(words[i], 36, 0, 0);

		CU_ASSERT_PTR_NOT_NULL_FATAL(c);
		CU_ASSERT_EQUAL(memcmp(first->sad.sas[0].digest, c->sad.sas[0].digest, SECRET_DIGEST_LEN), 0);
		config_free(c);
	}
	config_free(first);
	config_free(ctr);
}

CU_TestInfo sa_key_tests[] = {
	{ "keys and lengths in the message to xespd", test_message },
	{ "what the lease book takes for one key", test_digest },
	{ "one key under several algorithms", test_one_key_many_names },
	CU_TEST_INFO_NULL,
};
