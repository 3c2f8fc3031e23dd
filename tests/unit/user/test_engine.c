/* SPDX-License-Identifier: BSD-2-Clause */
/* The crypto engine: known answers, a self-test that finds a broken engine, and batches. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "crypto/choice.h"
#include "crypto/transform.h"
#include "tests/pair/pair.h"
#include "xesp/fault.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static void selftest_passes(void)
{
	struct fault f = { "" };

	CU_ASSERT_EQUAL(engine_selftest(&engine_openssl, ENGINE_SELFTEST_ALL, &f), 0);
	CU_ASSERT_STRING_EQUAL(f.text, "");
}

/* What the self-test opens keys of: everything there is, in both directions. */
static uint8_t asked[XESP_ALG_MAX][XESP_AUTH_MAX][33 + 32][2];

static struct engine_key *open_noting(const struct engine_key_spec *spec, struct fault *f)
{
	asked[spec->alg][spec->auth][spec->alg ? spec->key_len : spec->auth_key_len][spec->dir] = 1;
	return engine_openssl.key_open(spec, f);
}

static void selftest_is_complete(void)
{
	struct engine e = engine_openssl;
	int kinds = 0;

	e.key_open = open_noting;
	memset(asked, 0, sizeof(asked));
	CU_ASSERT_EQUAL(engine_selftest(&e, ENGINE_SELFTEST_ALL, NULL), 0);
	for (int i = 0; i < PAIR_CIPHERS; i++) {
		const struct pair_cipher *c = &pair_ciphers[i];
		const uint8_t *there = asked[c->alg][c->auth][c->key_len];

		if (!there[XESP_DIR_OUT] || !there[XESP_DIR_IN])
			fprintf(stderr, "no known answer: %s, key of %u\n",
				transform_find(c->alg, c->auth)->name, c->key_len);
		CU_ASSERT_TRUE(there[XESP_DIR_OUT] && there[XESP_DIR_IN]);
	}
	for (int auth = 0; auth < XESP_AUTH_MAX; auth++)
		for (int len = 0; len <= 64; len++)
			kinds += asked[XESP_ALG_NONE][auth][len][XESP_DIR_IN];
	CU_ASSERT_EQUAL(kinds, 6); /* AH: three of HMAC, three of AES-GMAC */
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
		err = engine_selftest(&e, ENGINE_SELFTEST_ALL, &f);
		if (err != -EBADMSG || !strstr(f.text, broken[i].said))
			fprintf(stderr, "%s: %d, '%s'\n", broken[i].what, err, f.text);
		CU_ASSERT_EQUAL(err, -EBADMSG);
		CU_ASSERT_PTR_NOT_NULL(strstr(f.text, broken[i].said));
	}
}

static struct engine_key *open_key(const struct pair_cipher *c, enum xesp_dir dir,
				   const uint8_t *key)
{
	const struct engine_key_spec spec = {
		.alg = c->alg, .auth = c->auth, .dir = dir, .key = key, .key_len = c->key_len,
		.auth_key = key + c->key_len, .auth_key_len = c->auth_key_len,
	};
	struct engine_key *k = pair_engine->key_open(&spec, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(k);
	return k;
}

static bool served(int alg, int auth, size_t len, size_t auth_len)
{
	for (int i = 0; i < PAIR_CIPHERS; i++)
		if (pair_ciphers[i].alg == alg && pair_ciphers[i].auth == auth &&
		    pair_ciphers[i].key_len == len && pair_ciphers[i].auth_key_len == auth_len)
			return true;
	if (alg == XESP_ALG_NONE && auth == XESP_AUTH_AES_GMAC) /* AH */
		return !len && (auth_len == 16 || auth_len == 24 || auth_len == 32);
	return alg == XESP_ALG_NONE && served(XESP_ALG_NULL, auth, len, auth_len);
}

static void refuses_lengths(void)
{
	static const size_t lens[] = { 0, 1, 15, 16, 17, 20, 24, 31, 32, 33, 36, 48, 64 };
	const uint8_t key[64] = { 1 };
	int kinds = 0;

	for (uint32_t i = 0; i < XESP_ALG_MAX * XESP_AUTH_MAX * LEN(lens) * LEN(lens); i++) {
		const struct engine_key_spec spec = {
			.alg = (enum xesp_alg)(i % XESP_ALG_MAX),
			.auth = (enum xesp_auth)(i / XESP_ALG_MAX % XESP_AUTH_MAX),
			.key = key, .key_len = lens[i / (XESP_ALG_MAX * XESP_AUTH_MAX) % LEN(lens)],
			.auth_key = key,
			.auth_key_len = lens[i / (XESP_ALG_MAX * XESP_AUTH_MAX * LEN(lens))],
		};
		bool want = served(spec.alg, spec.auth, spec.key_len, spec.auth_key_len);
		struct fault f = { "" };
		struct engine_key *k = engine_openssl.key_open(&spec, &f);

		CU_ASSERT_EQUAL(k != NULL, want);
		CU_ASSERT_TRUE(want || strstr(f.text, "no algorithm"));
		engine_openssl.key_close(k);
		kinds += want;
	}
	CU_ASSERT_EQUAL(kinds, PAIR_CIPHERS + 6);
	engine_openssl.key_close(NULL);
}

#define AAD_MAX 24

/* As a packet has it: what is covered in clear, the text, the tag. */
struct piece {
	uint8_t bytes[AAD_MAX + 256 + ENGINE_TAG_MAX];
};

static struct engine_job job_of(struct piece *p, struct engine_key *k, const struct pair_cipher *c,
				uint32_t len, uint8_t number)
{
	struct engine_job j = {
		.key = k, .aad = p->bytes, .text = p->bytes + 8 + c->iv_len, .len = len,
		.aad_len = 8, .nonce = { number }, .tag_len = c->icv_len,
	};

	if (c->auth) {
		j.aad_len = (uint16_t)(8 + c->iv_len);
		j.tail_len = number % 2 ? 4 : 0;
	}
	j.tag = j.text + len;
	return j;
}

/* A batch over two keys and sizes; the tag of one job in its middle is forged. */
static void batch_of(const struct pair_cipher *even, const struct pair_cipher *odd)
{
	const uint8_t key_bytes[2][XESP_KEY_MAX] = { { 1 }, { 2 } };
	const struct pair_cipher *c[2] = { even, odd };
	struct engine_key *out[2], *in[2];
	struct engine_job job[8];
	struct piece piece[8];

	for (uint32_t k = 0; k < 2; k++) {
		out[k] = open_key(c[k], XESP_DIR_OUT, key_bytes[k]);
		in[k] = open_key(c[k], XESP_DIR_IN, key_bytes[k]);
	}
	for (uint32_t i = 0; i < 8; i++) {
		memset(&piece[i], (int)i + 1, sizeof(piece[i]));
		job[i] = job_of(&piece[i], out[i % 2], c[i % 2], i * 32, (uint8_t)i);
	}
	pair_engine->encrypt(job, 8);
	for (uint32_t i = 0; i < 8; i++) {
		CU_ASSERT_TRUE(job[i].ok);
		job[i].key = in[i % 2];
	}
	job[3].tag[0] ^= 0x80;
	pair_engine->decrypt(job, 8);
	for (uint32_t i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(job[i].ok, i != 3);
		for (uint32_t k = 0; k < job[i].len; k++)
			CU_ASSERT_EQUAL(job[i].text[k], i == 3 ? 0 : i + 1);
	}
	for (uint32_t k = 0; k < 2; k++) {
		pair_engine->key_close(out[k]);
		pair_engine->key_close(in[k]);
	}
}

static void batch_stands_alone(void)
{
	for (int i = 0; i < PAIR_CIPHERS; i++)
		for (int k = 0; k < PAIR_CIPHERS; k++)
			batch_of(&pair_ciphers[i], &pair_ciphers[k]);
}

/* Opens what was sealed, with one bit of it inverted; `bit` behind the end: as it was. */
static bool opens(struct engine_job j, const struct piece *sealed, uint32_t bit)
{
	struct piece p = *sealed;

	j.text = p.bytes + (j.text - j.aad);
	j.tag = j.text + j.len;
	j.aad = p.bytes;
	if (bit < 8 * sizeof(p.bytes))
		p.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	pair_engine->decrypt(&j, 1);
	return j.ok;
}

/*
 * Short tags: each bit of the tag, the text and what else is covered counts, the right bytes at
 * another length do not help, and no tag at all is refused rather than taken for a match.
 */
static void forged_tags(const struct pair_cipher *c)
{
	const uint8_t key[XESP_KEY_MAX] = { 7 };
	struct engine_key *out = open_key(c, XESP_DIR_OUT, key), *in = open_key(c, XESP_DIR_IN, key);
	struct piece sealed;
	struct engine_job j = job_of(&sealed, out, c, 48, 1);
	uint32_t from, to;

	memset(&sealed, 0x5a, sizeof(sealed));
	pair_engine->encrypt(&j, 1);
	CU_ASSERT_TRUE(j.ok);
	from = (uint32_t)(j.text - sealed.bytes);
	to = from + 48 + c->icv_len;
	for (uint32_t i = to; i < sizeof(sealed); i++)
		CU_ASSERT_EQUAL(sealed.bytes[i], 0x5a);
	j.key = in;
	for (uint32_t bit = 0; bit < j.aad_len * 8u; bit++)
		CU_ASSERT_FALSE(opens(j, &sealed, bit));
	for (uint32_t bit = from * 8; bit < to * 8; bit++)
		CU_ASSERT_FALSE(opens(j, &sealed, bit));
	CU_ASSERT_TRUE(opens(j, &sealed, UINT32_MAX));
	for (uint32_t i = 0; i < j.tail_len; i++) {
		struct engine_job other = j;

		other.tail[i] ^= 1;
		CU_ASSERT_FALSE(opens(other, &sealed, UINT32_MAX));
	}
	j.tag_len = 0;
	CU_ASSERT_FALSE(opens(j, &sealed, UINT32_MAX));
	/* What is behind a short tag was never one. */
	j.tag_len = c->auth ? ENGINE_TAG_MAX : 16;
	CU_ASSERT_EQUAL(opens(j, &sealed, UINT32_MAX), c->icv_len == j.tag_len);
	pair_engine->key_close(out);
	pair_engine->key_close(in);
}

static void all_forged_tags(void)
{
	for (int i = 0; i < PAIR_CIPHERS; i++)
		forged_tags(&pair_ciphers[i]);
}

/* A cipher of blocks takes whole ones: else it would write behind the text, or leave some of it. */
static void parts_of_blocks(void)
{
	const uint8_t key[XESP_KEY_MAX] = { 9 };

	for (int i = 0; i < PAIR_CIPHERS; i++) {
		const struct pair_cipher *c = &pair_ciphers[i];
		struct engine_key *out = open_key(c, XESP_DIR_OUT, key);

		for (uint32_t len = 0; len <= 33; len++) {
			struct piece p = { { 0 } };
			struct engine_job j = job_of(&p, out, c, len, 0);

			pair_engine->encrypt(&j, 1);
			CU_ASSERT_EQUAL(j.ok, c->align < 16 || len % 16 == 0);
		}
		pair_engine->key_close(out);
	}
}

/* AH: the tag alone over pieces that do not stand together; nothing is changed. */
static void integrity_alone(void)
{
	const uint8_t key[XESP_KEY_MAX] = { 3 };
	int kinds = 0;

	for (unsigned int i = 0; transform_at(i); i++) {
		const struct transform *t = transform_at(i);
		const struct pair_cipher c = {
			.auth = t->auth,
			.auth_key_len = t->auth == XESP_AUTH_AES_GMAC ? 32 : t->auth_key_len,
		};
		uint8_t head[40] = { 0x45 }, text[100] = { 1 }, same[100] = { 1 }, tag[ENGINE_TAG_MAX];
		struct engine_job j = { .aad = head, .aad_len = 40, .text = text, .len = 100,
					.tag = tag, .tag_len = t->icv_len, .tail_len = 4,
					.tail = { 0, 0, 0, 5 }, .nonce = { 6 } };

		if (t->alg)
			continue;
		j.key = open_key(&c, XESP_DIR_OUT, key);
		pair_engine->encrypt(&j, 1);
		pair_engine->key_close(j.key);
		CU_ASSERT_TRUE(j.ok);
		CU_ASSERT_EQUAL(memcmp(text, same, 100), 0);
		j.key = open_key(&c, XESP_DIR_IN, key);
		pair_engine->decrypt(&j, 1);
		CU_ASSERT_TRUE(j.ok);
		j.tail[3] ^= 1;
		pair_engine->decrypt(&j, 1);
		CU_ASSERT_FALSE(j.ok);
		pair_engine->key_close(j.key);
		kinds++;
	}
	CU_ASSERT_EQUAL(kinds, 4);
}

/* IANA, "Transform Type 1 - Encryption Algorithm Transform IDs" and "Type 3 - Integrity ...". */
static void transform_rows(void)
{
	static const uint16_t ids[XESP_ALG_MAX] = {
		[XESP_ALG_AES_GCM_8] = 18, [XESP_ALG_AES_GCM_12] = 19, [XESP_ALG_AES_GCM_16] = 20,
		[XESP_ALG_CHACHA20_POLY1305] = 28, [XESP_ALG_AES_CCM_8] = 14,
		[XESP_ALG_AES_CCM_12] = 15, [XESP_ALG_AES_CCM_16] = 16, [XESP_ALG_AES_GMAC] = 21,
		[XESP_ALG_AES_CCM_8_IIV] = 29, [XESP_ALG_AES_GCM_16_IIV] = 30,
		[XESP_ALG_CHACHA20_POLY1305_IIV] = 31, [XESP_ALG_NULL] = 11,
		[XESP_ALG_AES_CBC] = 12, [XESP_ALG_AES_CTR] = 13,
	};
	static const uint16_t auth_ids[XESP_AUTH_MAX] = { 0, 12, 13, 14, 0 };

	for (int alg = 1; alg < XESP_ALG_MAX; alg++) {
		int rows = 0;

		for (int auth = 0; auth < XESP_AUTH_MAX; auth++) {
			const struct transform *t = transform_find(alg, auth);

			if (!t)
				continue;
			rows++;
			CU_ASSERT_EQUAL(t->iana, ids[alg]);
			CU_ASSERT_EQUAL(t->iana_auth, auth_ids[auth]);
		}
		CU_ASSERT_EQUAL(rows, alg >= XESP_ALG_NULL ? 3 : 1);
	}
	for (int i = 0; i < PAIR_CIPHERS; i++) {
		const struct pair_cipher *c = &pair_ciphers[i];
		const struct transform *t = transform_find(c->alg, c->auth);

		CU_ASSERT_PTR_NOT_NULL_FATAL(t);
		CU_ASSERT_EQUAL(t->salt_len, c->salt_len);
		CU_ASSERT_EQUAL(t->iv_len, c->iv_len);
		CU_ASSERT_EQUAL(t->icv_len, c->icv_len);
		CU_ASSERT_EQUAL(t->align, c->align);
		for (size_t len = 0; len <= 64; len++) {
			CU_ASSERT_EQUAL(transform_fits(t, len, c->auth_key_len, c->salt_len),
					served(c->alg, c->auth, len, c->auth_key_len));
			CU_ASSERT_EQUAL(transform_fits(t, c->key_len, len, c->salt_len),
					len == c->auth_key_len);
			CU_ASSERT_EQUAL(transform_fits(t, c->key_len, c->auth_key_len, len),
					len == c->salt_len);
		}
	}
}

static void transforms(void)
{
	CU_ASSERT_PTR_NULL(transform_find(XESP_ALG_NONE, XESP_AUTH_NONE));
	CU_ASSERT_PTR_NULL(transform_find(XESP_ALG_NULL, XESP_AUTH_NONE)); /* RFC 8221 section 5 */
	CU_ASSERT_PTR_NULL(transform_find(XESP_ALG_AES_CBC, XESP_AUTH_NONE));
	CU_ASSERT_PTR_NULL(transform_find(XESP_ALG_AES_CTR, XESP_AUTH_NONE));
	CU_ASSERT_PTR_NULL(transform_find(XESP_ALG_AES_CTR, XESP_AUTH_AES_GMAC));
	CU_ASSERT_PTR_NULL(transform_find(XESP_ALG_AES_GCM_16, XESP_AUTH_HMAC_SHA2_256_128));
	CU_ASSERT_PTR_NULL(transform_find(XESP_ALG_MAX, XESP_AUTH_NONE));
	CU_ASSERT_PTR_NULL(transform_find(255, XESP_AUTH_NONE));
	CU_ASSERT_PTR_NULL(transform_find(XESP_ALG_NULL, 255));
}

static void on_ipsecmb(void (*test)(void))
{
	if (!pair_use_ipsecmb())
		return;
	CU_ASSERT_PTR_EQUAL(choice_of(XESP_ALG_AES_GCM_16, XESP_AUTH_NONE, 16)->name[0], 'i');
	test();
	pair_use_openssl();
}

static void batch_by_ipsecmb(void)
{
	on_ipsecmb(batch_stands_alone);
}

static void forged_tags_by_ipsecmb(void)
{
	on_ipsecmb(all_forged_tags);
}

static void parts_of_blocks_by_ipsecmb(void)
{
	on_ipsecmb(parts_of_blocks);
}

static void integrity_by_ipsecmb(void)
{
	on_ipsecmb(integrity_alone);
}

/* One batch of every algorithm at once, more than the multi-buffer calls take, in an order without any. */
static void mixed_batch(void)
{
	enum { N = 5 * PAIR_CIPHERS };
	static const uint8_t key[XESP_KEY_MAX] = { 5 };
	static struct engine_key *out[PAIR_CIPHERS], *in[PAIR_CIPHERS];
	static struct engine_job job[N];
	static struct piece piece[N];

	for (int i = 0; i < PAIR_CIPHERS; i++) {
		out[i] = open_key(&pair_ciphers[i], XESP_DIR_OUT, key);
		in[i] = open_key(&pair_ciphers[i], XESP_DIR_IN, key);
	}
	for (int i = 0; i < N; i++) {
		const int c = i * 17 % PAIR_CIPHERS;

		memset(&piece[i], i, sizeof(piece[i]));
		job[i] = job_of(&piece[i], out[c], &pair_ciphers[c], (uint32_t)(i % 17) * 16, (uint8_t)i);
	}
	pair_engine->encrypt(job, N);
	for (int i = 0; i < N; i++) {
		CU_ASSERT_TRUE(job[i].ok);
		job[i].key = in[i * 17 % PAIR_CIPHERS];
		if (i % 7 == 3)
			job[i].tag[job[i].tag_len - 1] ^= 1;
	}
	pair_engine->decrypt(job, N);
	for (int i = 0; i < N; i++) {
		CU_ASSERT_EQUAL(job[i].ok, i % 7 != 3);
		for (uint32_t k = 0; k < job[i].len; k++)
			CU_ASSERT_EQUAL(job[i].text[k], i % 7 == 3 ? 0 : (uint8_t)i);
	}
	for (int i = 0; i < PAIR_CIPHERS; i++) {
		pair_engine->key_close(out[i]);
		pair_engine->key_close(in[i]);
	}
}

static void mixed_batch_by_ipsecmb(void)
{
	on_ipsecmb(mixed_batch);
}

/* What one engine seals the other opens. */
static void engines_agree(void)
{
	static const uint8_t key[XESP_KEY_MAX] = { 8 };

	if (!pair_use_ipsecmb())
		return;
	for (int i = 0; i < PAIR_CIPHERS; i++) {
		const struct pair_cipher *c = &pair_ciphers[i];

		for (uint32_t len = c->align; len <= 256; len += c->align) {
			struct piece a, b;
			struct engine_job j;
			struct engine_key *k = open_key(c, XESP_DIR_OUT, key);

			memset(&a, (int)len, sizeof(a));
			b = a;
			j = job_of(&a, k, c, len, (uint8_t)len);
			pair_engine->encrypt(&j, 1);
			CU_ASSERT_TRUE(j.ok);
			pair_engine->key_close(k);
			pair_engine = &engine_openssl;
			k = open_key(c, XESP_DIR_OUT, key);
			j = job_of(&b, k, c, len, (uint8_t)len);
			pair_engine->encrypt(&j, 1);
			CU_ASSERT_EQUAL(memcmp(&a, &b, sizeof(a)), 0);
			pair_engine->key_close(k);
			pair_engine = choice_engine();
		}
	}
	pair_use_openssl();
}

CU_TestInfo engine_tests[] = {
	{ "known answers in both directions", selftest_passes },
	{ "every algorithm and key length has a known answer", selftest_is_complete },
	{ "a broken engine does not pass the self-test", selftest_finds },
	{ "keys of other lengths are refused", refuses_lengths },
	{ "a forged job fails alone in its batch", batch_stands_alone },
	{ "each bit of a tag counts, short or long", all_forged_tags },
	{ "parts of blocks are refused", parts_of_blocks },
	{ "a tag alone, over what does not stand together", integrity_alone },
	{ "every algorithm in one batch", mixed_batch },
	{ "ipsec-mb: every algorithm in one batch", mixed_batch_by_ipsecmb },
	{ "ipsec-mb: a forged job fails alone in its batch", batch_by_ipsecmb },
	{ "ipsec-mb: each bit of a tag counts, short or long", forged_tags_by_ipsecmb },
	{ "ipsec-mb: parts of blocks are refused", parts_of_blocks_by_ipsecmb },
	{ "ipsec-mb: a tag alone, over what does not stand together", integrity_by_ipsecmb },
	{ "both engines make the same packets, each length", engines_agree },
	{ "the table of transforms", transforms },
	{ "each transform's number and lengths", transform_rows },
	CU_TEST_INFO_NULL,
};
