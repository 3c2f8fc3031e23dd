/* SPDX-License-Identifier: BSD-2-Clause */
/* transform.c - the table behind transform.h; a new algorithm begins with a row here. */
#include "crypto/transform.h"

#define AES_KEYS { 16, 24, 32 }

/* Salt, IV and ICV of the AEAD algorithms that make their nonce of a salt and 64 bits. */
#define AEAD(name_, alg_, iana_, salt_, iv_, icv_, nonce_, ...)                                    \
	{                                                                                          \
		.name = name_, .alg = alg_, .iana = iana_, .salt_len = salt_, .iv_len = iv_,       \
		.icv_len = icv_, .align = 4, .nonce = nonce_, .key_len = __VA_ARGS__,              \
	}

/* RFC 4868 section 2.1.1: the integrity key is as long as the hash, the ICV half of it. */
#define HMAC_256 XESP_AUTH_HMAC_SHA2_256_128, .iana_auth = 12, .auth_key_len = 32, .icv_len = 16
#define HMAC_384 XESP_AUTH_HMAC_SHA2_384_192, .iana_auth = 13, .auth_key_len = 48, .icv_len = 24
#define HMAC_512 XESP_AUTH_HMAC_SHA2_512_256, .iana_auth = 14, .auth_key_len = 64, .icv_len = 32

/* RFC 3602: IV section 3, padding section 2.4. */
#define CBC(name_, auth_)                                                                          \
	{                                                                                          \
		.name = name_, .alg = XESP_ALG_AES_CBC, .iana = 12, .iv_len = 16, .align = 16,     \
		.nonce = TRANSFORM_RANDOM_IV, .covers_packet = true, .key_len = AES_KEYS,          \
		.auth = auth_,                                                                     \
	}
/* RFC 3686: IV section 3.1, nonce section 4. */
#define CTR(name_, auth_)                                                                          \
	{                                                                                          \
		.name = name_, .alg = XESP_ALG_AES_CTR, .iana = 13, .salt_len = 4, .iv_len = 8,    \
		.align = 4, .nonce = TRANSFORM_SALT_IV_COUNTER, .covers_packet = true,             \
		.key_len = AES_KEYS, .auth = auth_,                                                \
	}
/* RFC 2410 */
#define NO_CIPHER(name_, auth_)                                                                    \
	{                                                                                          \
		.name = name_, .alg = XESP_ALG_NULL, .iana = 11, .align = 4,                       \
		.covers_packet = true, .auth = auth_,                                              \
	}
/* RFC 4302; RFC 4543 section 4 */
#define AH(name_, auth_) { .name = name_, .covers_packet = true, .auth = auth_ }

static const struct transform transforms[] = {
	/* RFC 4106: salt section 4, IV section 3.1, alignment section 3.2, ICV section 6 */
	AEAD("aes-gcm-16", XESP_ALG_AES_GCM_16, 20, 4, 8, 16, TRANSFORM_SALT_IV, AES_KEYS),
	AEAD("aes-gcm-12", XESP_ALG_AES_GCM_12, 19, 4, 8, 12, TRANSFORM_SALT_IV, AES_KEYS),
	AEAD("aes-gcm-8", XESP_ALG_AES_GCM_8, 18, 4, 8, 8, TRANSFORM_SALT_IV, AES_KEYS),
	/* RFC 7634 section 2: all of it as above, alignment by RFC 4303 section 2.4 alone */
	AEAD("chacha20-poly1305", XESP_ALG_CHACHA20_POLY1305, 28, 4, 8, 16, TRANSFORM_SALT_IV, { 32 }),
	/* RFC 8750: as without "iiv", but for the IV, which is not sent */
	AEAD("aes-gcm-16-iiv", XESP_ALG_AES_GCM_16_IIV, 30, 4, 0, 16, TRANSFORM_SALT_SEQ, AES_KEYS),
	AEAD("chacha20-poly1305-iiv", XESP_ALG_CHACHA20_POLY1305_IIV, 31, 4, 0, 16,
	     TRANSFORM_SALT_SEQ, { 32 }),
	AEAD("aes-ccm-8-iiv", XESP_ALG_AES_CCM_8_IIV, 29, 3, 0, 8, TRANSFORM_SALT_SEQ, AES_KEYS),
	/* RFC 4309: salt section 4, IV section 3.1, alignment section 3.2, ICV section 3.3 */
	AEAD("aes-ccm-16", XESP_ALG_AES_CCM_16, 16, 3, 8, 16, TRANSFORM_SALT_IV, AES_KEYS),
	AEAD("aes-ccm-12", XESP_ALG_AES_CCM_12, 15, 3, 8, 12, TRANSFORM_SALT_IV, AES_KEYS),
	AEAD("aes-ccm-8", XESP_ALG_AES_CCM_8, 14, 3, 8, 8, TRANSFORM_SALT_IV, AES_KEYS),
	/* RFC 4543 section 3 */
	{ .name = "aes-gmac", .alg = XESP_ALG_AES_GMAC, .iana = 21, .salt_len = 4, .iv_len = 8,
	  .icv_len = 16, .align = 4, .nonce = TRANSFORM_SALT_IV, .covers_iv = true,
	  .key_len = AES_KEYS },
	NO_CIPHER("null+hmac-sha2-256-128", HMAC_256),
	NO_CIPHER("null+hmac-sha2-384-192", HMAC_384),
	NO_CIPHER("null+hmac-sha2-512-256", HMAC_512),
	CBC("aes-cbc+hmac-sha2-256-128", HMAC_256),
	CBC("aes-cbc+hmac-sha2-384-192", HMAC_384),
	CBC("aes-cbc+hmac-sha2-512-256", HMAC_512),
	CTR("aes-ctr+hmac-sha2-256-128", HMAC_256),
	CTR("aes-ctr+hmac-sha2-384-192", HMAC_384),
	CTR("aes-ctr+hmac-sha2-512-256", HMAC_512),
	AH("hmac-sha2-256-128", HMAC_256),
	AH("hmac-sha2-384-192", HMAC_384),
	AH("hmac-sha2-512-256", HMAC_512),
	{ .name = "aes-gmac (AH)", .auth = XESP_AUTH_AES_GMAC, .salt_len = 4, .iv_len = 8,
	  .icv_len = 16, .nonce = TRANSFORM_SALT_IV, .covers_packet = true, .key_len = AES_KEYS },
};

#define TRANSFORMS (sizeof(transforms) / sizeof(transforms[0]))

const struct transform *transform_at(unsigned int i)
{
	return i < TRANSFORMS ? &transforms[i] : NULL;
}

const struct transform *transform_find(unsigned int alg, unsigned int auth)
{
	for (unsigned int i = 0; i < TRANSFORMS; i++)
		if (transforms[i].alg == alg && transforms[i].auth == auth)
			return &transforms[i];
	return NULL;
}

static bool one_of(const struct transform *t, size_t len)
{
	if (!t->key_len[0])
		return !len;
	for (int i = 0; i < TRANSFORM_KEY_LENS && t->key_len[i]; i++)
		if (t->key_len[i] == len)
			return true;
	return false;
}

bool transform_fits(const struct transform *t, size_t key_len, size_t auth_key_len, size_t salt_len)
{
	if (salt_len != t->salt_len)
		return false;
	if (t->auth == XESP_AUTH_AES_GMAC)
		return !key_len && one_of(t, auth_key_len);
	return one_of(t, key_len) && auth_key_len == t->auth_key_len;
}
