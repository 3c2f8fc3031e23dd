/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine_openssl.c - AES-GCM and ChaCha20-Poly1305 by OpenSSL's EVP: the engine that every machine has.
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
#include <stdlib.h>

#include "crypto/engine.h"
#include "xesp/fault.h"

#pragma GCC poison strcpy strcat gets memcmp

/* The context is the whole of it; a struct of our own would be one more cache miss per packet. */
static EVP_CIPHER_CTX *ctx_of(struct engine_key *key)
{
	return (EVP_CIPHER_CTX *)key;
}

static const char *cipher_name(const struct engine_key_spec *spec)
{
	switch (spec->alg) {
	case XESP_ALG_AES_GCM_16:
	case XESP_ALG_AES_GCM_12:
	case XESP_ALG_AES_GCM_8:
		return spec->key_len == 16 ? "AES-128-GCM" :
		       spec->key_len == 24 ? "AES-192-GCM" :
		       spec->key_len == 32 ? "AES-256-GCM" : NULL;
	case XESP_ALG_CHACHA20_POLY1305:
		return spec->key_len == 32 ? "ChaCha20-Poly1305" : NULL;
	default:
		return NULL;
	}
}

static struct engine_key *openssl_key_open(const struct engine_key_spec *spec, struct fault *f)
{
	const char *name = cipher_name(spec);
	EVP_CIPHER_CTX *ctx = NULL;
	EVP_CIPHER *cipher;

	if (!name) {
		fault_set(f, -EINVAL, "engine openssl: no algorithm %d with a key of %zu bytes",
			  spec->alg, spec->key_len);
		return NULL;
	}
	cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	if (!cipher) {
		fault_set(f, -ENOTSUP, "engine openssl: this libcrypto has no %s", name);
		return NULL;
	}
	ctx = EVP_CIPHER_CTX_new();
	if (!ctx || EVP_CIPHER_get_iv_length(cipher) != ENGINE_NONCE_LEN ||
	    !EVP_CipherInit_ex2(ctx, cipher, spec->key, NULL, spec->dir == XESP_DIR_OUT, NULL)) {
		fault_set(f, -EIO, "engine openssl: %s refused a key: %s", name,
			  ERR_error_string(ERR_get_error(), NULL));
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_CIPHER_free(cipher);
	return (struct engine_key *)ctx;
}

static void openssl_key_close(struct engine_key *key)
{
	EVP_CIPHER_CTX_free(ctx_of(key)); /* cleanses the key schedule */
}

static bool encrypt_one(struct engine_job *j)
{
	OSSL_PARAM tag[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, j->tag, j->tag_len),
		OSSL_PARAM_END,
	};
	EVP_CIPHER_CTX *ctx = ctx_of(j->key);
	int len;

	return j->len <= INT_MAX && EVP_EncryptInit_ex2(ctx, NULL, NULL, j->nonce, NULL) &&
	       (!j->aad_len || EVP_EncryptUpdate(ctx, NULL, &len, j->aad, j->aad_len)) &&
	       (!j->len || EVP_EncryptUpdate(ctx, j->text, &len, j->text, (int)j->len)) &&
	       EVP_EncryptFinal_ex(ctx, j->text + j->len, &len) &&
	       EVP_CIPHER_CTX_get_params(ctx, tag);
}

/* OpenSSL compares as many bytes of the tag as it is given, and refuses to be given none. */
static bool decrypt_one(struct engine_job *j)
{
	const OSSL_PARAM tag[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, j->tag, j->tag_len),
		OSSL_PARAM_END,
	};
	EVP_CIPHER_CTX *ctx = ctx_of(j->key);
	int len;

	return j->len <= INT_MAX && EVP_DecryptInit_ex2(ctx, NULL, NULL, j->nonce, tag) &&
	       (!j->aad_len || EVP_DecryptUpdate(ctx, NULL, &len, j->aad, j->aad_len)) &&
	       (!j->len || EVP_DecryptUpdate(ctx, j->text, &len, j->text, (int)j->len)) &&
	       EVP_DecryptFinal_ex(ctx, j->text + j->len, &len) > 0;
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
	.key_open = openssl_key_open,
	.key_close = openssl_key_close,
	.encrypt = openssl_encrypt,
	.decrypt = openssl_decrypt,
};
