/* SPDX-License-Identifier: BSD-2-Clause */
/* The crypto engine: known answers, a self-test that finds a broken engine, and batches. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "crypto/engine.h"
#include "crypto/transform.h"
#include "tests/pair/pair.h"
#include "xesp/fault.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static void selftest_passes(void)
{
	struct fault f = { "" };

	CU_ASSERT_EQUAL(engine_selftest(&engine_openssl, &f), 0);
	CU_ASSERT_STRING_EQUAL(f.text, "");
}

/* Engines with one thing wrong each: the self-test must find it. */
static void encrypt_flipped(struct engine_job *jobs, size_t n)
{
	engine_openssl.encrypt(jobs, n);
	for (size_t i = 0; i < n; i++)
		jobs[i].text[0] ^= 1;
}

static void encrypt_wrong_tag(struct engine_job *jobs, size_t n)
{
	engine_openssl.encrypt(jobs, n);
	for (size_t i = 0; i < n; i++)
		jobs[i].tag[15] ^= 1;
}

/* A tag longer than asked for: it would lie on what is behind the packet. */
static void encrypt_long_tag(struct engine_job *jobs, size_t n)
{
	engine_openssl.encrypt(jobs, n);
	for (size_t i = 0; i < n; i++)
		if (jobs[i].tag_len < ENGINE_TAG_MAX)
			jobs[i].tag[jobs[i].tag_len] = 1;
}

static void decrypt_comparing_less(struct engine_job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		jobs[i].tag_len = 4;
	engine_openssl.decrypt(jobs, n);
}

static void decrypt_accepting(struct engine_job *jobs, size_t n)
{
	engine_openssl.decrypt(jobs, n);
	for (size_t i = 0; i < n; i++)
		jobs[i].ok = true;
}

static void decrypt_leaving_text(struct engine_job *jobs, size_t n)
{
	engine_openssl.decrypt(jobs, n);
	for (size_t i = 0; i < n; i++)
		if (!jobs[i].ok)
			jobs[i].text[0] = 0x45;
}

static void decrypt_refusing(struct engine_job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		jobs[i].ok = false;
}

static const struct {
	const char *what;
	void (*encrypt)(struct engine_job *jobs, size_t n);
	void (*decrypt)(struct engine_job *jobs, size_t n);
	const char *said;
} broken[] = {
	{ "wrong ciphertext", encrypt_flipped, NULL, "encrypts to something else" },
	{ "wrong tag", encrypt_wrong_tag, NULL, "encrypts to something else" },
	{ "tag too long", encrypt_long_tag, NULL, "encrypts to something else" },
	{ "compares the beginning of a tag", NULL, decrypt_comparing_less, "accepts a forged packet" },
	{ "accepts forged tags", NULL, decrypt_accepting, "accepts a forged packet" },
	{ "leaves plaintext", NULL, decrypt_leaving_text, "leaves text behind" },
	{ "refuses good packets", NULL, decrypt_refusing, "does not decrypt" },
};

static void selftest_finds(void)
{
	for (size_t i = 0; i < LEN(broken); i++) {
		struct engine e = engine_openssl;
		struct fault f = { "" };
		int err;

		e.encrypt = broken[i].encrypt ? broken[i].encrypt : e.encrypt;
		e.decrypt = broken[i].decrypt ? broken[i].decrypt : e.decrypt;
		err = engine_selftest(&e, &f);
		if (err != -EBADMSG || !strstr(f.text, broken[i].said))
			fprintf(stderr, "%s: %d, '%s'\n", broken[i].what, err, f.text);
		CU_ASSERT_EQUAL(err, -EBADMSG);
		CU_ASSERT_PTR_NOT_NULL(strstr(f.text, broken[i].said));
	}
}

static void refuses_lengths(void)
{
	const uint8_t key[64] = { 1 };

	for (int alg = XESP_ALG_NONE; alg <= XESP_ALG_MAX; alg++) {
		for (size_t len = 0; len <= sizeof(key); len++) {
			const struct engine_key_spec spec = {
				.alg = (enum xesp_alg)alg, .key = key, .key_len = len,
			};
			struct engine_key *k;
			struct fault f = { "" };
			bool served = false;

			for (int i = 0; i < PAIR_CIPHERS; i++)
				served |= pair_ciphers[i].alg == alg && pair_ciphers[i].key_len == len;
			k = engine_openssl.key_open(&spec, &f);
			CU_ASSERT_EQUAL(k != NULL, served);
			CU_ASSERT_TRUE(served || strstr(f.text, "no algorithm"));
			engine_openssl.key_close(k);
		}
	}
	engine_openssl.key_close(NULL);
}

/* A batch over two keys and sizes; the tag of one job in its middle is forged. */
static void batch_of(const struct pair_cipher *even, const struct pair_cipher *odd)
{
	uint8_t key_bytes[2][32] = { { 1 }, { 2 } }, text[8][200 + ENGINE_TAG_MAX] = { { 0 } };
	const struct pair_cipher *c[2] = { even, odd };
	struct engine_key *out[2], *in[2];
	struct engine_job job[8];

	for (uint32_t k = 0; k < 2; k++) {
		struct engine_key_spec spec = {
			.alg = c[k]->alg, .dir = XESP_DIR_OUT, .key = key_bytes[k],
			.key_len = c[k]->key_len,
		};

		out[k] = engine_openssl.key_open(&spec, NULL);
		spec.dir = XESP_DIR_IN;
		in[k] = engine_openssl.key_open(&spec, NULL);
	}
	for (uint32_t i = 0; i < 8; i++) {
		memset(text[i], (int)i + 1, 200);
		job[i] = (struct engine_job){
			.key = out[i % 2], .text = text[i], .len = i * 25, .aad_len = i % 2 ? 12 : 8,
			.tag = text[i] + i * 25, .tag_len = c[i % 2]->icv_len,
			.nonce = { (uint8_t)i },
		};
	}
	engine_openssl.encrypt(job, 8);
	for (uint32_t i = 0; i < 8; i++) {
		CU_ASSERT_TRUE(job[i].ok);
		job[i].key = in[i % 2];
	}
	job[3].tag[0] ^= 0x80;
	engine_openssl.decrypt(job, 8);
	for (uint32_t i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(job[i].ok, i != 3);
		for (uint32_t k = 0; k < job[i].len; k++)
			CU_ASSERT_EQUAL(text[i][k], i == 3 ? 0 : i + 1);
	}
	for (uint32_t k = 0; k < 2; k++) {
		engine_openssl.key_close(out[k]);
		engine_openssl.key_close(in[k]);
	}
}

static void batch_stands_alone(void)
{
	for (int i = 0; i < PAIR_CIPHERS; i++)
		for (int k = 0; k < PAIR_CIPHERS; k++)
			batch_of(&pair_ciphers[i], &pair_ciphers[k]);
}

/*
 * Short tags: each bit of the tag and of the text counts, the right bytes at another length do not
 * help, and no tag at all is refused rather than taken for a match.
 */
static void forged_tags(const struct pair_cipher *c)
{
	struct engine_key_spec spec = { .alg = c->alg, .dir = XESP_DIR_OUT, .key_len = c->key_len,
					.key = (const uint8_t[32]){ 7 } };
	struct engine_key *out = engine_openssl.key_open(&spec, NULL), *in;
	uint8_t sealed[40 + ENGINE_TAG_MAX], buf[sizeof(sealed)];
	struct engine_job j = { .text = sealed, .len = 40, .tag = sealed + 40, .aad_len = 8,
				.tag_len = c->icv_len };

	spec.dir = XESP_DIR_IN;
	in = engine_openssl.key_open(&spec, NULL);
	memset(sealed, 0x5a, sizeof(sealed));
	j.key = out;
	engine_openssl.encrypt(&j, 1);
	CU_ASSERT_TRUE(j.ok);
	for (uint32_t i = 40u + c->icv_len; i < sizeof(sealed); i++)
		CU_ASSERT_EQUAL(sealed[i], 0x5a);
	j.key = in;
	j.text = buf;
	j.tag = buf + 40;
	for (uint32_t bit = 0; bit <= (40u + c->icv_len) * 8; bit++) {
		memcpy(buf, sealed, sizeof(buf));
		if (bit < (40u + c->icv_len) * 8) /* the last round: as it was sealed */
			buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		engine_openssl.decrypt(&j, 1);
		CU_ASSERT_EQUAL(j.ok, bit == (40u + c->icv_len) * 8);
	}
	j.tag_len = 0;
	memcpy(buf, sealed, sizeof(buf));
	engine_openssl.decrypt(&j, 1);
	CU_ASSERT_FALSE(j.ok);
	j.tag_len = ENGINE_TAG_MAX; /* with short tags: what is behind was never a tag */
	memcpy(buf, sealed, sizeof(buf));
	engine_openssl.decrypt(&j, 1);
	CU_ASSERT_EQUAL(j.ok, c->icv_len == ENGINE_TAG_MAX);
	engine_openssl.key_close(out);
	engine_openssl.key_close(in);
}

static void all_forged_tags(void)
{
	for (int i = 0; i < PAIR_CIPHERS; i++)
		forged_tags(&pair_ciphers[i]);
}

/* IANA, "Transform Type 1 - Encryption Algorithm Transform IDs". */
static void transform_rows(void)
{
	static const struct {
		enum xesp_alg alg;
		uint16_t iana;
	} ids[] = { { XESP_ALG_AES_GCM_8, 18 }, { XESP_ALG_AES_GCM_12, 19 },
		    { XESP_ALG_AES_GCM_16, 20 }, { XESP_ALG_CHACHA20_POLY1305, 28 } };

	CU_ASSERT_EQUAL(LEN(ids), XESP_ALG_MAX - 1);
	for (size_t i = 0; i < LEN(ids); i++) {
		const struct transform *t = transform_find(ids[i].alg);

		CU_ASSERT_PTR_NOT_NULL_FATAL(t);
		CU_ASSERT_EQUAL(t->iana, ids[i].iana);
		CU_ASSERT_EQUAL(t->salt_len, 4);
		CU_ASSERT_EQUAL(t->iv_len, 8);
		CU_ASSERT_EQUAL(t->align, 4);
		for (size_t len = 0; len <= XESP_KEY_MAX; len++) {
			bool fits = false;

			for (int k = 0; k < PAIR_CIPHERS; k++) {
				if (pair_ciphers[k].alg != ids[i].alg)
					continue;
				CU_ASSERT_EQUAL(t->icv_len, pair_ciphers[k].icv_len);
				fits |= pair_ciphers[k].key_len == len;
			}
			CU_ASSERT_EQUAL(transform_fits(t, len, 4), fits);
		}
	}
}

static void transforms(void)
{
	const struct transform *t = transform_find(XESP_ALG_AES_GCM_16);

	CU_ASSERT_PTR_NULL(transform_find(XESP_ALG_NONE));
	CU_ASSERT_PTR_NULL(transform_find(XESP_ALG_MAX));
	CU_ASSERT_PTR_NULL(transform_find(255));
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT_EQUAL(t->iana, 20);
	CU_ASSERT_TRUE(transform_fits(t, 16, 4));
	CU_ASSERT_TRUE(transform_fits(t, 32, 4));
	CU_ASSERT_FALSE(transform_fits(t, 0, 4));
	CU_ASSERT_FALSE(transform_fits(t, 20, 4));
	CU_ASSERT_FALSE(transform_fits(t, 16, 0));
	CU_ASSERT_FALSE(transform_fits(t, 16, 8));
}

CU_TestInfo engine_tests[] = {
	{ "known answers in both directions", selftest_passes },
	{ "a broken engine does not pass the self-test", selftest_finds },
	{ "keys of other lengths are refused", refuses_lengths },
	{ "a forged job fails alone in its batch", batch_stands_alone },
	{ "each bit of a tag counts, short or long", all_forged_tags },
	{ "the table of transforms", transforms },
	{ "each transform's number and lengths", transform_rows },
	CU_TEST_INFO_NULL,
};
