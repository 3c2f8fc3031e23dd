/* SPDX-License-Identifier: BSD-2-Clause */
/* The crypto engine: known answers, a self-test that finds a broken engine, and batches. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "crypto/engine.h"
#include "crypto/transform.h"
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
	static const size_t wrong[] = { 0, 1, 15, 17, 24, 31, 33, 64 };
	const uint8_t key[64] = { 1 };

	for (size_t i = 0; i < LEN(wrong); i++) {
		const struct engine_key_spec spec = {
			.alg = XESP_ALG_AES_GCM_16, .key = key, .key_len = wrong[i],
		};
		struct fault f = { "" };

		CU_ASSERT_PTR_NULL(engine_openssl.key_open(&spec, &f));
		CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "no algorithm"));
	}
	engine_openssl.key_close(NULL);
}

/* A batch over two keys and sizes; the tag of one job in its middle is forged. */
static void batch_stands_alone(void)
{
	uint8_t key_bytes[2][32] = { { 1 }, { 2 } }, text[8][200 + ENGINE_TAG_LEN] = { { 0 } };
	struct engine_key *out[2], *in[2];
	struct engine_job job[8];

	for (uint32_t k = 0; k < 2; k++) {
		struct engine_key_spec spec = {
			.alg = XESP_ALG_AES_GCM_16, .dir = XESP_DIR_OUT, .key = key_bytes[k],
			.key_len = k ? 32 : 16,
		};

		out[k] = engine_openssl.key_open(&spec, NULL);
		spec.dir = XESP_DIR_IN;
		in[k] = engine_openssl.key_open(&spec, NULL);
	}
	for (uint32_t i = 0; i < 8; i++) {
		memset(text[i], (int)i + 1, 200);
		job[i] = (struct engine_job){
			.key = out[i % 2], .text = text[i], .len = i * 25, .aad_len = i % 2 ? 12 : 8,
			.tag = text[i] + i * 25, .nonce = { (uint8_t)i },
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
	CU_ASSERT_FALSE(transform_fits(t, 24, 4));
	CU_ASSERT_FALSE(transform_fits(t, 16, 0));
	CU_ASSERT_FALSE(transform_fits(t, 16, 8));
}

CU_TestInfo engine_tests[] = {
	{ "known answers in both directions", selftest_passes },
	{ "a broken engine does not pass the self-test", selftest_finds },
	{ "keys of other lengths are refused", refuses_lengths },
	{ "a forged job fails alone in its batch", batch_stands_alone },
	{ "the table of transforms", transforms },
	CU_TEST_INFO_NULL,
};
