/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine_openssl.c - every algorithm by OpenSSL's EVP: the engine that every machine has.
 *
 * A context is prepared once per key and worker; a packet only sets the nonce. The tag goes
 * through parameters, not ctrl calls, which saves about 20 ns a packet. Never EVP_Cipher(): it
 * was seen to accept forged tags of AEAD ciphers.
 */
#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/engine.h"
#include "crypto/hmac.h"
#include "crypto/transform.h"
#include "xesp/fault.h"

#pragma GCC poison strcpy strcat gets memcmp

#define BLOCK 16 /* of AES */

enum kind {
	KIND_AEAD,   /* AES-GCM, ChaCha20-Poly1305 */
	KIND_CCM,
	KIND_GMAC,
	KIND_HMAC,   /* nothing is encrypted */
	KIND_CIPHER, /* AES-CBC, AES-CTR; HMAC over it */
};

struct openssl_key {
	struct engine_key base;
	enum kind kind;
	uint32_t block;      /* the text is a multiple of it */
	EVP_CIPHER_CTX *ctx; /* not with KIND_HMAC */
	struct hmac_key hmac; /* with KIND_HMAC and KIND_CIPHER; else no memory for it */
};

/* How libcrypto knows the algorithms. %zu: bits of the key. */
static const struct {
	enum kind kind;
	uint8_t nonce_len, tag_len; /* tag_len: of CCM, which must know it beforehand */
	uint32_t block;
	const char *name;
} ciphers[XESP_ALG_MAX] = {
	[XESP_ALG_AES_GCM_16] = { KIND_AEAD, 12, 0, 1, "AES-%zu-GCM" },
	[XESP_ALG_AES_GCM_12] = { KIND_AEAD, 12, 0, 1, "AES-%zu-GCM" },
	[XESP_ALG_AES_GCM_8] = { KIND_AEAD, 12, 0, 1, "AES-%zu-GCM" },
	[XESP_ALG_AES_GCM_16_IIV] = { KIND_AEAD, 12, 0, 1, "AES-%zu-GCM" },
	[XESP_ALG_CHACHA20_POLY1305] = { KIND_AEAD, 12, 0, 1, "ChaCha20-Poly1305" },
	[XESP_ALG_CHACHA20_POLY1305_IIV] = { KIND_AEAD, 12, 0, 1, "ChaCha20-Poly1305" },
	[XESP_ALG_AES_CCM_16] = { KIND_CCM, 11, 16, 1, "AES-%zu-CCM" },
	[XESP_ALG_AES_CCM_12] = { KIND_CCM, 11, 12, 1, "AES-%zu-CCM" },
	[XESP_ALG_AES_CCM_8] = { KIND_CCM, 11, 8, 1, "AES-%zu-CCM" },
	[XESP_ALG_AES_CCM_8_IIV] = { KIND_CCM, 11, 8, 1, "AES-%zu-CCM" },
	[XESP_ALG_AES_GMAC] = { KIND_GMAC, 12, 0, 1, "AES-%zu-GCM" },
	[XESP_ALG_NULL] = { KIND_HMAC, 0, 0, 1, NULL },
	[XESP_ALG_AES_CBC] = { KIND_CIPHER, BLOCK, 0, BLOCK, "AES-%zu-CBC" },
	[XESP_ALG_AES_CTR] = { KIND_CIPHER, BLOCK, 0, 1, "AES-%zu-CTR" },
};

/* ---- opening */

static EVP_CIPHER_CTX *open_cipher(const struct engine_key_spec *spec, const uint8_t *key,
				   size_t key_len, unsigned int alg, struct fault *f)
{
	size_t nonce_len = ciphers[alg].nonce_len;
	const OSSL_PARAM ccm[] = {
		OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, &nonce_len),
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, ciphers[alg].tag_len),
		OSSL_PARAM_END,
	};
	const bool enc = spec->dir == XESP_DIR_OUT;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	EVP_CIPHER *cipher;
	char name[32];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(name, sizeof(name), ciphers[alg].name, key_len * 8);
#pragma GCC diagnostic pop
	cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	if (!cipher)
		fault_set(f, -ENOTSUP, "engine openssl: this libcrypto has no %s", name);
	if (ctx && cipher && EVP_CipherInit_ex2(ctx, cipher, NULL, NULL, enc, NULL) &&
	    (!ciphers[alg].tag_len || EVP_CIPHER_CTX_set_params(ctx, ccm)) &&
	    (size_t)EVP_CIPHER_CTX_get_iv_length(ctx) == nonce_len &&
	    (size_t)EVP_CIPHER_CTX_get_key_length(ctx) == key_len &&
	    EVP_CipherInit_ex2(ctx, NULL, key, NULL, enc, NULL) &&
	    EVP_CIPHER_CTX_set_padding(ctx, 0)) {
		EVP_CIPHER_free(cipher);
		return ctx;
	}
	if (cipher)
		fault_set(f, -EIO, "engine openssl: %s refused a key: %s", name,
			  ERR_error_string(ERR_get_error(), NULL));
	EVP_CIPHER_free(cipher);
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

static bool has_hmac(enum kind kind)
{
	return kind == KIND_HMAC || kind == KIND_CIPHER;
}

static size_t size_of(enum kind kind)
{
	return has_hmac(kind) ? sizeof(struct openssl_key) : offsetof(struct openssl_key, hmac);
}

static void openssl_key_close(struct engine_key *key)
{
	struct openssl_key *k = (struct openssl_key *)key;

	if (!k)
		return;
	EVP_CIPHER_CTX_free(k->ctx); /* cleanses the key schedule */
	OPENSSL_cleanse(k, size_of(k->kind));
	free(k);
}

static struct engine_key *openssl_key_open(const struct engine_key_spec *spec, struct fault *f)
{
	const bool gmac_of_ah = !spec->alg && spec->auth == XESP_AUTH_AES_GMAC;
	const unsigned int alg = gmac_of_ah ? XESP_ALG_AES_GMAC :
				 spec->alg  ? spec->alg : XESP_ALG_NULL;
	const struct transform *t = transform_find(spec->alg, spec->auth);
	const enum kind kind = t ? ciphers[alg].kind : KIND_AEAD;
	struct openssl_key *k;

	if (!t || !transform_fits(t, spec->key_len, spec->auth_key_len, t->salt_len)) {
		fault_set(f, -EINVAL,
			  "engine openssl: no algorithm %d with integrity %d and keys of %zu and %zu bytes",
			  spec->alg, spec->auth, spec->key_len, spec->auth_key_len);
		return NULL;
	}
	k = calloc(1, size_of(kind));
	if (!k) {
		fault_set(f, -ENOMEM, "out of memory");
		return NULL;
	}
	k->base.engine = &engine_openssl;
	k->kind = kind;
	k->block = ciphers[alg].block;
	if (kind != KIND_HMAC)
		k->ctx = gmac_of_ah ? open_cipher(spec, spec->auth_key, spec->auth_key_len, alg, f) :
				      open_cipher(spec, spec->key, spec->key_len, alg, f);
	if ((kind != KIND_HMAC && !k->ctx) ||
	    (has_hmac(kind) && hmac_open(&k->hmac, spec->auth, spec->auth_key, spec->auth_key_len))) {
		openssl_key_close(&k->base);
		return NULL;
	}
	return &k->base;
}

/* ---- one job. `len` of Update is what it wrote: as much as it was given. */

static bool set_aad(EVP_CIPHER_CTX *ctx, const uint8_t *aad, uint32_t n)
{
	int len;

	return !n || EVP_CipherUpdate(ctx, NULL, &len, aad, (int)n);
}

static bool transform_text(EVP_CIPHER_CTX *ctx, struct engine_job *j)
{
	int len;

	return !j->len || EVP_CipherUpdate(ctx, j->text, &len, j->text, (int)j->len);
}

static bool finish(EVP_CIPHER_CTX *ctx, struct engine_job *j)
{
	int len;

	return EVP_CipherFinal_ex(ctx, j->text + j->len, &len) > 0;
}

static bool aead_body(EVP_CIPHER_CTX *ctx, struct engine_job *j, enum kind kind)
{
	if (kind == KIND_GMAC)
		return set_aad(ctx, j->aad, j->aad_len) && set_aad(ctx, j->text, j->len) &&
		       set_aad(ctx, j->tail, j->tail_len) && finish(ctx, j);
	return set_aad(ctx, j->aad, j->aad_len) && transform_text(ctx, j) && finish(ctx, j);
}

static bool seal(const struct openssl_key *k, struct engine_job *j)
{
	OSSL_PARAM tag[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, j->tag, j->tag_len),
		OSSL_PARAM_END,
	};

	return EVP_EncryptInit_ex2(k->ctx, NULL, NULL, j->nonce, NULL) &&
	       aead_body(k->ctx, j, k->kind) && EVP_CIPHER_CTX_get_params(k->ctx, tag);
}

/* OpenSSL compares as many bytes of the tag as it is given, and refuses to be given none. */
static bool open_sealed(const struct openssl_key *k, struct engine_job *j)
{
	const OSSL_PARAM tag[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, j->tag, j->tag_len),
		OSSL_PARAM_END,
	};

	return EVP_DecryptInit_ex2(k->ctx, NULL, NULL, j->nonce, tag) &&
	       aead_body(k->ctx, j, k->kind);
}

/* CCM must be told the text's length first, and takes all of the text at once, also none. */
static bool ccm_body(EVP_CIPHER_CTX *ctx, struct engine_job *j)
{
	int len;

	return EVP_CipherUpdate(ctx, NULL, &len, NULL, (int)j->len) &&
	       set_aad(ctx, j->aad, j->aad_len) &&
	       EVP_CipherUpdate(ctx, j->text, &len, j->text, (int)j->len) > 0;
}

static bool seal_ccm(const struct openssl_key *k, struct engine_job *j)
{
	OSSL_PARAM tag[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, j->tag, j->tag_len),
		OSSL_PARAM_END,
	};

	return EVP_EncryptInit_ex2(k->ctx, NULL, NULL, j->nonce, NULL) && ccm_body(k->ctx, j) &&
	       EVP_CIPHER_CTX_get_params(k->ctx, tag);
}

static bool open_ccm(const struct openssl_key *k, struct engine_job *j)
{
	const OSSL_PARAM tag[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, j->tag, j->tag_len),
		OSSL_PARAM_END,
	};

	return EVP_DecryptInit_ex2(k->ctx, NULL, NULL, j->nonce, tag) && ccm_body(k->ctx, j);
}

static bool run_cipher(const struct openssl_key *k, struct engine_job *j)
{
	return k->kind == KIND_HMAC ||
	       (EVP_CipherInit_ex2(k->ctx, NULL, NULL, j->nonce, -1, NULL) &&
		transform_text(k->ctx, j));
}

static bool encrypt_and_mac(const struct openssl_key *k, struct engine_job *j)
{
	uint8_t mac[HMAC_LEN_MAX];

	if (j->len % k->block || !j->tag_len || j->tag_len > ENGINE_TAG_MAX || !run_cipher(k, j))
		return false;
	hmac_of_job(&k->hmac, j, mac);
	for (uint32_t i = 0; i < j->tag_len; i++)
		j->tag[i] = mac[i];
	return true;
}

static bool verify_and_decrypt(const struct openssl_key *k, struct engine_job *j)
{
	uint8_t mac[HMAC_LEN_MAX];

	if (!j->tag_len || j->tag_len > ENGINE_TAG_MAX)
		return false;
	hmac_of_job(&k->hmac, j, mac);
	return !CRYPTO_memcmp(mac, j->tag, j->tag_len) && !(j->len % k->block) && run_cipher(k, j);
}

/* ---- batches */

static bool encrypt_one(struct engine_job *j)
{
	const struct openssl_key *k = (const struct openssl_key *)j->key;

	if (j->len > INT_MAX)
		return false;
	switch (k->kind) {
	case KIND_AEAD:
	case KIND_GMAC:
		return seal(k, j);
	case KIND_CCM:
		return seal_ccm(k, j);
	case KIND_HMAC:
	case KIND_CIPHER:
		return encrypt_and_mac(k, j);
	}
	return false;
}

static bool decrypt_one(struct engine_job *j)
{
	const struct openssl_key *k = (const struct openssl_key *)j->key;

	if (j->len > INT_MAX)
		return false;
	switch (k->kind) {
	case KIND_AEAD:
	case KIND_GMAC:
		return open_sealed(k, j);
	case KIND_CCM:
		return open_ccm(k, j);
	case KIND_HMAC:
	case KIND_CIPHER:
		return verify_and_decrypt(k, j);
	}
	return false;
}

static void openssl_encrypt(struct engine_job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		jobs[i].ok = encrypt_one(&jobs[i]);
		if (!jobs[i].ok)
			OPENSSL_cleanse(jobs[i].text, jobs[i].len);
	}
}

static void openssl_decrypt(struct engine_job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		jobs[i].ok = decrypt_one(&jobs[i]);
		if (!jobs[i].ok)
			OPENSSL_cleanse(jobs[i].text, jobs[i].len);
	}
}

const struct engine engine_openssl = {
	.name = "openssl",
	.version = OPENSSL_VERSION_TEXT,
	.key_open = openssl_key_open,
	.key_close = openssl_key_close,
	.encrypt = openssl_encrypt,
	.decrypt = openssl_decrypt,
};
