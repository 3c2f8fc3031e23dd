/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * selftest.c - known answers that an engine must give before a key is trusted to it.
 *
 * Each in both directions, with every byte of it forged once, and again after that.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "crypto/answers.h"
#include "crypto/engine.h"
#include "crypto/transform.h"
#include "xesp/fault.h"

#pragma GCC poison strcpy strcat gets memcmp

#define AAD_MAX 48
#define TEXT_MAX 128
#define ALIASES 4
#define BATCH 37 /* more than any CPU has lanes, and no multiple of them */
#define FORGED 18

/* An answer as one of the transforms that it is an answer of. */
struct question {
	const struct answer *a;
	const struct transform *t;
	uint8_t key[XESP_KEY_MAX], auth_key[XESP_KEY_MAX];
	uint32_t key_len, auth_key_len, aad_len, len;
};

/* As a packet has it: what is covered in clear, the text, the tag. */
struct piece {
	uint8_t bytes[AAD_MAX + TEXT_MAX + ENGINE_TAG_MAX];
};

static uint8_t hex_digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static uint32_t from_hex(uint8_t *out, const char *hex)
{
	uint32_t n = 0;

	for (; hex && hex[0] && hex[1]; hex += 2)
		out[n++] = (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
	return n;
}

static void open_question(struct question *q, const struct answer *a, unsigned int alg)
{
	uint8_t buf[AAD_MAX + TEXT_MAX];

	*q = (struct question){ .a = a, .t = transform_find(alg, a->auth) };
	q->key_len = from_hex(q->key, a->key);
	q->auth_key_len = from_hex(q->auth_key, a->auth_key);
	q->aad_len = from_hex(buf, a->aad);
	q->len = from_hex(buf, a->text);
}

/* aad and text, or what is sealed with as much of the tag as the transform has. */
static void fill(const struct question *q, struct piece *p, bool sealed)
{
	uint8_t *text = p->bytes + from_hex(p->bytes, q->a->aad);
	uint32_t n = from_hex(text, sealed ? q->a->sealed : q->a->text);

	for (; n > q->len + q->t->icv_len; n--)
		text[n - 1] = 0;
}

static void set_job(struct engine_job *j, struct engine_key *key, const struct question *q,
		    struct piece *p)
{
	*j = (struct engine_job){
		.key = key, .aad = p->bytes, .aad_len = (uint16_t)q->aad_len,
		.text = p->bytes + q->aad_len, .len = q->len,
		.tag = p->bytes + q->aad_len + q->len, .tag_len = q->t->icv_len,
	};
	from_hex(j->nonce, q->a->nonce);
	j->tail_len = (uint8_t)from_hex(j->tail, q->a->tail);
}

static bool run(const struct engine *e, struct engine_key *key, const struct question *q,
		enum xesp_dir dir, struct piece *p)
{
	struct engine_job j;

	set_job(&j, key, q, p);
	if (dir == XESP_DIR_OUT)
		e->encrypt(&j, 1);
	else
		e->decrypt(&j, 1);
	return j.ok;
}

static bool all_zero(const uint8_t *p, uint32_t len)
{
	uint8_t any = 0;

	for (uint32_t i = 0; i < len; i++)
		any |= p[i];
	return !any;
}

static const char *check_encrypt(const struct engine *e, struct engine_key *key,
				 const struct question *q)
{
	struct piece p = { { 0 } }, want = { { 0 } };

	fill(q, &p, false);
	fill(q, &want, true);
	/* All of it: nothing may be written behind a short tag. */
	if (!run(e, key, q, XESP_DIR_OUT, &p) || CRYPTO_memcmp(&p, &want, sizeof(want)))
		return "encrypts to something else than the published answer";
	return NULL;
}

static bool opens(const struct engine *e, struct engine_key *key, const struct question *q)
{
	struct piece p = { { 0 } }, want = { { 0 } };

	fill(q, &p, true);
	fill(q, &want, false);
	return run(e, key, q, XESP_DIR_IN, &p) &&
	       !CRYPTO_memcmp(p.bytes, want.bytes, q->aad_len + q->len);
}

static const char *check_decrypt(const struct engine *e, struct engine_key *key,
				 const struct question *q)
{
	if (!opens(e, key, q))
		return "does not decrypt the published answer";
	for (uint32_t i = 0; i < q->aad_len + q->len + q->t->icv_len; i++) {
		struct piece p = { { 0 } };

		fill(q, &p, true);
		p.bytes[i] ^= 1;
		if (run(e, key, q, XESP_DIR_IN, &p))
			return "accepts a forged packet";
		if (!all_zero(p.bytes + q->aad_len, q->len))
			return "leaves text behind that it did not authenticate";
	}
	/* A refusal must not spoil the context for the next packet. */
	if (!opens(e, key, q))
		return "refuses a good packet after a forged one";
	return NULL;
}

/* Many at once, as multi-buffer code works on them: one forged in the middle fails alone. */
static const char *check_batch(const struct engine *e, struct engine_key *key,
			       const struct question *q, enum xesp_dir dir)
{
	struct engine_job jobs[BATCH];
	struct piece p[BATCH] = { { { 0 } } }, want = { { 0 } };

	for (int i = 0; i < BATCH; i++) {
		fill(q, &p[i], dir == XESP_DIR_IN);
		set_job(&jobs[i], key, q, &p[i]);
	}
	if (dir == XESP_DIR_IN)
		jobs[FORGED].tag[0] ^= 1;
	if (dir == XESP_DIR_OUT)
		e->encrypt(jobs, BATCH);
	else
		e->decrypt(jobs, BATCH);
	fill(q, &want, dir == XESP_DIR_OUT);
	for (int i = 0; i < BATCH; i++) {
		const uint32_t n = q->aad_len + q->len + (dir == XESP_DIR_OUT ? q->t->icv_len : 0);
		const bool forged = dir == XESP_DIR_IN && i == FORGED;

		if (jobs[i].ok == forged || (!forged && CRYPTO_memcmp(p[i].bytes, want.bytes, n)))
			return "is wrong in a batch";
	}
	return NULL;
}

static int check(const struct engine *e, const struct question *q, enum xesp_dir dir, struct fault *f)
{
	const struct engine_key_spec spec = {
		.alg = (enum xesp_alg)q->t->alg, .auth = (enum xesp_auth)q->t->auth, .dir = dir,
		.key = q->key, .key_len = q->key_len,
		.auth_key = q->auth_key, .auth_key_len = q->auth_key_len,
	};
	struct engine_key *k = e->key_open(&spec, f);
	const char *wrong;

	if (!k)
		return -ENOTSUP;
	wrong = dir == XESP_DIR_OUT ? check_encrypt(e, k, q) : check_decrypt(e, k, q);
	if (!wrong)
		wrong = check_batch(e, k, q, dir);
	e->key_close(k);
	if (wrong)
		return fault_set(f, -EBADMSG, "engine %s: %s with a key of %u bytes %s; do not use it",
				 e->name, q->t->name, q->key_len + q->auth_key_len, wrong);
	return 0;
}

/* Of which transforms an answer is one: answers.h says why. Returns how many. */
static int transforms_of(const struct answer *a, unsigned int algs[ALIASES])
{
	algs[0] = a->alg;
	if (a->alg == XESP_ALG_AES_GCM_16) {
		algs[1] = XESP_ALG_AES_GCM_12;
		algs[2] = XESP_ALG_AES_GCM_8;
		algs[3] = XESP_ALG_AES_GCM_16_IIV;
		return 4;
	}
	algs[1] = XESP_ALG_CHACHA20_POLY1305_IIV;
	return a->alg == XESP_ALG_CHACHA20_POLY1305 ? 2 : 1;
}

int engine_selftest(const struct engine *e, enum engine_selftest_of of, struct fault *f)
{
	for (size_t i = 0; i < answers_n; i++) {
		unsigned int algs[ALIASES];
		const int n = transforms_of(&answers[i], algs);

		for (int k = 0; k < n; k++) {
			struct question q;
			int err;

			open_question(&q, &answers[i], algs[k]);
			err = check(e, &q, XESP_DIR_OUT, f);
			if (!err)
				err = check(e, &q, XESP_DIR_IN, f);
			if (err && (err != -ENOTSUP || of == ENGINE_SELFTEST_ALL))
				return err;
			if (err && f)
				f->text[0] = '\0'; /* what is not there is no fault */
		}
	}
	return 0;
}
