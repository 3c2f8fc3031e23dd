/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hmac.c - see hmac.h.
 *
 * SHA256_Update() and its kin are deprecated since OpenSSL 3.0 in favour of EVP, for which see hmac.h; they
 * are the same code, with SHA-NI where the CPU has it.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/hmac.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "crypto/engine.h"

#pragma GCC poison strcpy strcat gets memcmp

#define BLOCK_MAX 128
#define INNER_PAD 0x36 /* RFC 2104 section 2 */
#define OUTER_PAD 0x5c

static void set_pad(uint8_t pad[BLOCK_MAX], uint8_t with, const uint8_t *key, size_t len)
{
	memset(pad, with, BLOCK_MAX);
	for (size_t i = 0; i < len; i++)
		pad[i] ^= key[i];
}

static void open_sha512(SHA512_CTX *c, bool short_one, const uint8_t *pad)
{
	if (short_one)
		SHA384_Init(c);
	else
		SHA512_Init(c);
	SHA512_Update(c, pad, SHA512_CBLOCK);
}

int hmac_open(struct hmac_key *k, enum xesp_auth auth, const uint8_t *key, size_t len)
{
	const bool short_one = auth == XESP_AUTH_HMAC_SHA2_384_192;
	uint8_t inner[BLOCK_MAX], outer[BLOCK_MAX];

	if (len > SHA256_CBLOCK || (auth != XESP_AUTH_HMAC_SHA2_256_128 && !short_one &&
				    auth != XESP_AUTH_HMAC_SHA2_512_256))
		return -EINVAL;
	k->auth = auth;
	set_pad(inner, INNER_PAD, key, len);
	set_pad(outer, OUTER_PAD, key, len);
	if (auth == XESP_AUTH_HMAC_SHA2_256_128) {
		SHA256_Init(&k->sha256.inner);
		SHA256_Update(&k->sha256.inner, inner, SHA256_CBLOCK);
		SHA256_Init(&k->sha256.outer);
		SHA256_Update(&k->sha256.outer, outer, SHA256_CBLOCK);
	} else {
		open_sha512(&k->sha512.inner, short_one, inner);
		open_sha512(&k->sha512.outer, short_one, outer);
	}
	OPENSSL_cleanse(inner, sizeof(inner));
	OPENSSL_cleanse(outer, sizeof(outer));
	return 0;
}

static void hash256(const struct hmac_key *k, const struct engine_job *j, uint8_t *mac)
{
	SHA256_CTX c = k->sha256.inner;

	SHA256_Update(&c, j->aad, j->aad_len);
	SHA256_Update(&c, j->text, j->len);
	SHA256_Update(&c, j->tail, j->tail_len);
	SHA256_Final(mac, &c);
	c = k->sha256.outer;
	SHA256_Update(&c, mac, SHA256_DIGEST_LENGTH);
	SHA256_Final(mac, &c);
}

/* The context knows which of the two it is, by the length of what it makes. */
static void hash512(const struct hmac_key *k, const struct engine_job *j, uint8_t *mac)
{
	SHA512_CTX c = k->sha512.inner;

	SHA512_Update(&c, j->aad, j->aad_len);
	SHA512_Update(&c, j->text, j->len);
	SHA512_Update(&c, j->tail, j->tail_len);
	SHA512_Final(mac, &c);
	c = k->sha512.outer;
	SHA512_Update(&c, mac, c.md_len);
	SHA512_Final(mac, &c);
}

void hmac_of_job(const struct hmac_key *k, const struct engine_job *j, uint8_t mac[HMAC_LEN_MAX])
{
	if (k->auth == XESP_AUTH_HMAC_SHA2_256_128)
		hash256(k, j, mac);
	else
		hash512(k, j, mac);
}
