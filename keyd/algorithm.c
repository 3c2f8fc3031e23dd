/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * algorithm.c - see algorithm.h. The tables first: of each algorithm the first name is ours, then come
 * strongSwan's (ICVs in bytes or bits) and the kernel's, as `ip xfrm` spells them.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "keyd/algorithm.h"
#include "keyd/problems.h"
#include "xesp/fault.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

struct name {
	const char *word;
	uint8_t alg;
	uint8_t key_len; /* 0: the name does not say */
};

#define EACH_KEY(before, behind, alg)                                                              \
	{ before "128" behind, alg, 16 }, { before "192" behind, alg, 24 },                        \
	{ before "256" behind, alg, 32 }
/* An AEAD cipher with its three ICVs: after ours the kernel's names, with a length in bits or without. */
#define EACH_ICV(before, swan, kernel, alg)                                                        \
	EACH_KEY(before, "", alg##_16), EACH_KEY(before, "-12", alg##_12),                         \
	EACH_KEY(before, "-8", alg##_8), EACH_KEY(before, "-16", alg##_16),                        \
	EACH_KEY("aes", swan "16", alg##_16), EACH_KEY("aes", swan "128", alg##_16),               \
	EACH_KEY("aes", swan "12", alg##_12), EACH_KEY("aes", swan "96", alg##_12),                \
	EACH_KEY("aes", swan "8", alg##_8), EACH_KEY("aes", swan "64", alg##_8),                   \
	{ kernel, alg##_16, 0 }, { kernel " 128", alg##_16, 0 },                                   \
	{ kernel " 96", alg##_12, 0 }, { kernel " 64", alg##_8, 0 }

static const struct name ciphers[] = {
	EACH_ICV("aes-gcm-", "gcm", "rfc4106(gcm(aes))", XESP_ALG_AES_GCM),
	{ "chacha20poly1305", XESP_ALG_CHACHA20_POLY1305, 32 },
	{ "rfc7539esp(chacha20,poly1305)", XESP_ALG_CHACHA20_POLY1305, 32 },
	{ "rfc7539esp(chacha20,poly1305) 128", XESP_ALG_CHACHA20_POLY1305, 32 },
	EACH_KEY("aes-gcm-", "-iiv", XESP_ALG_AES_GCM_16_IIV),
	{ "chacha20poly1305-iiv", XESP_ALG_CHACHA20_POLY1305_IIV, 32 },
	EACH_KEY("aes-ccm-", "-8-iiv", XESP_ALG_AES_CCM_8_IIV),
	EACH_ICV("aes-ccm-", "ccm", "rfc4309(ccm(aes))", XESP_ALG_AES_CCM),
	EACH_KEY("aes-gmac-", "", XESP_ALG_AES_GMAC),
	EACH_KEY("aes", "gmac", XESP_ALG_AES_GMAC),
	{ "rfc4543(gcm(aes))", XESP_ALG_AES_GMAC, 0 },
	{ "rfc4543(gcm(aes)) 128", XESP_ALG_AES_GMAC, 0 },
	{ "null", XESP_ALG_NULL, 0 },
	{ "ecb(cipher_null)", XESP_ALG_NULL, 0 },
	{ "cipher_null", XESP_ALG_NULL, 0 },
	EACH_KEY("aes-cbc-", "", XESP_ALG_AES_CBC),
	EACH_KEY("aes", "", XESP_ALG_AES_CBC),
	{ "cbc(aes)", XESP_ALG_AES_CBC, 0 },
	{ "aes", XESP_ALG_AES_CBC, 0 },
	EACH_KEY("aes-ctr-", "", XESP_ALG_AES_CTR),
	EACH_KEY("aes", "ctr", XESP_ALG_AES_CTR),
	{ "rfc3686(ctr(aes))", XESP_ALG_AES_CTR, 0 },
};

static const struct name integrities[] = {
	{ "sha256", XESP_AUTH_HMAC_SHA2_256_128, 32 },
	{ "sha2_256", XESP_AUTH_HMAC_SHA2_256_128, 32 },
	{ "hmac(sha256)", XESP_AUTH_HMAC_SHA2_256_128, 32 },
	{ "hmac-sha256", XESP_AUTH_HMAC_SHA2_256_128, 32 },
	{ "sha384", XESP_AUTH_HMAC_SHA2_384_192, 48 },
	{ "sha2_384", XESP_AUTH_HMAC_SHA2_384_192, 48 },
	{ "hmac(sha384)", XESP_AUTH_HMAC_SHA2_384_192, 48 },
	{ "hmac-sha384", XESP_AUTH_HMAC_SHA2_384_192, 48 },
	{ "sha512", XESP_AUTH_HMAC_SHA2_512_256, 64 },
	{ "sha2_512", XESP_AUTH_HMAC_SHA2_512_256, 64 },
	{ "hmac(sha512)", XESP_AUTH_HMAC_SHA2_512_256, 64 },
	{ "hmac-sha512", XESP_AUTH_HMAC_SHA2_512_256, 64 },
};

/* What RFC 8221 forbids or sees leaving, and other words that people have in configurations. */
struct refusal {
	const char *word, *why;
};

#define USE_CIPHER "use aes-gcm-256, or aes-cbc-256 with integrity sha256"
#define USE_AUTH "use sha256"
#define NO_DES "RFC 8221 section 5 forbids DES: " USE_CIPHER
#define NO_3DES "RFC 8221 section 5 advises against 3DES, and it is not here: " USE_CIPHER
#define NO_BLOWFISH "RFC 8221 section 5 forbids Blowfish: " USE_CIPHER
#define NO_IDEA "RFC 8221 section 5 forbids 3IDEA: " USE_CIPHER
#define NO_CAST "RFC 8221 has no place for CAST: " USE_CIPHER
#define NO_MD5 "RFC 8221 section 6 forbids MD5: " USE_AUTH
#define NO_SHA1 "RFC 8221 section 6 sees SHA-1 leaving, and it is not here: " USE_AUTH
#define NO_XCBC "AES-XCBC is not here: RFC 8221 section 6 has it for small devices; " USE_AUTH

static const struct refusal refused_ciphers[] = {
	{ "des", NO_DES }, { "cbc(des)", NO_DES }, { "des-cbc", NO_DES },
	{ "des-iv32", NO_DES }, { "des-iv64", NO_DES },
	{ "3des", NO_3DES }, { "3des-cbc", NO_3DES }, { "cbc(des3_ede)", NO_3DES },
	{ "blowfish", NO_BLOWFISH }, { "blowfish128", NO_BLOWFISH }, { "blowfish192", NO_BLOWFISH },
	{ "blowfish256", NO_BLOWFISH }, { "cbc(blowfish)", NO_BLOWFISH },
	{ "3idea", NO_IDEA }, { "idea", NO_IDEA },
	{ "cast128", NO_CAST }, { "cbc(cast5)", NO_CAST }, { "cbc(cast128)", NO_CAST },
	{ "none", "RFC 8221 section 4 forbids ESP without integrity: use null with integrity sha256 to "
		  "authenticate only" },
};

static const struct refusal refused_integrities[] = {
	{ "none", "RFC 8221 section 6 forbids it beside a cipher that has no ICV of its own: " USE_AUTH },
	{ "digest_null", "RFC 8221 section 6 forbids it: " USE_AUTH },
	{ "md5", NO_MD5 }, { "md5_128", NO_MD5 }, { "hmac(md5)", NO_MD5 }, { "hmac-md5", NO_MD5 },
	{ "sha1", NO_SHA1 }, { "sha", NO_SHA1 }, { "sha1_160", NO_SHA1 }, { "hmac(sha1)", NO_SHA1 },
	{ "hmac-sha1", NO_SHA1 },
	{ "sha256_96", "the ICV of HMAC-SHA-256 has 128 bits (RFC 4868): " USE_AUTH " at both ends" },
	{ "sha2_256_96", "the ICV of HMAC-SHA-256 has 128 bits (RFC 4868): " USE_AUTH " at both ends" },
	{ "aesxcbc", NO_XCBC }, { "xcbc(aes)", NO_XCBC },
	{ "aescmac", "RFC 8221 has no AES-CMAC, and it is not here: " USE_AUTH },
	{ "cmac(aes)", "RFC 8221 has no AES-CMAC, and it is not here: " USE_AUTH },
};

/* ---- words */

static const struct name *find(const struct name *names, size_t n, const char *word, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(names[i].word) == len && !memcmp(names[i].word, word, len))
			return &names[i];
	return NULL;
}

static const char *find_refusal(const struct refusal *refusals, size_t n, const char *word, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(refusals[i].word) == len && !memcmp(refusals[i].word, word, len))
			return refusals[i].why;
	return NULL;
}

static int refuse(const char *word, const char *why, struct fault *f)
{
	char shown[PROBLEMS_SHOWN_MAX];

	return fault_set(f, -EINVAL, "%s: %s", problems_shown(word, shown), why);
}

/* Known, by name, as an integrity algorithm or as one that is refused. */
static bool is_integrity(const char *word)
{
	return find(integrities, LEN(integrities), word, strlen(word)) ||
	       find_refusal(refused_integrities, LEN(refused_integrities), word, strlen(word));
}

static int parse_integrity(struct algorithm *a, const char *word, struct fault *f)
{
	const struct name *i = find(integrities, LEN(integrities), word, strlen(word));
	const char *why;

	if (i) {
		a->auth = i->alg;
		a->auth_key_len = i->key_len;
		return 0;
	}
	why = find_refusal(refused_integrities, LEN(refused_integrities), word, strlen(word));
	return refuse(word, why ? why : "no such integrity algorithm; known: sha256, sha384, sha512",
		      f);
}

/* The whole word is a cipher, or its beginning up to some '-' with an integrity algorithm behind. */
static int parse_cipher(struct algorithm *a, const char *word, const char **integrity,
			struct fault *f)
{
	size_t len = strlen(word);

	while (len) {
		const struct name *c = find(ciphers, LEN(ciphers), word, len);
		const char *why = find_refusal(refused_ciphers, LEN(refused_ciphers), word, len);

		if (why)
			return refuse(word, why, f);
		if (c && (!word[len] || is_integrity(word + len + 1))) {
			a->alg = c->alg;
			a->key_len = c->key_len;
			*integrity = word[len] ? word + len + 1 : NULL;
			return 0;
		}
		do
			len--;
		while (len && word[len] != '-');
	}
	return refuse(word, "no such algorithm; known: aes-gcm-128, -192, -256 (also with -12, -8 or -iiv "
		      "behind), aes-ccm-..., chacha20poly1305, aes-gmac-...; with integrity sha256: "
		      "aes-cbc-..., aes-ctr-..., null", f);
}

static uint8_t salt_of(uint8_t alg)
{
	switch (alg) {
	case XESP_ALG_NULL:
	case XESP_ALG_AES_CBC:
		return 0;
	case XESP_ALG_AES_CCM_16: /* RFC 4309 section 4 */
	case XESP_ALG_AES_CCM_12:
	case XESP_ALG_AES_CCM_8:
	case XESP_ALG_AES_CCM_8_IIV:
		return 3;
	}
	return 4;
}

static bool needs_integrity(uint8_t alg)
{
	return alg == XESP_ALG_NULL || alg == XESP_ALG_AES_CBC || alg == XESP_ALG_AES_CTR;
}

int algorithm_parse(struct algorithm *a, const char *word, const char *integrity, int *in_integrity,
		    struct fault *f)
{
	const char *behind = NULL;
	int err;

	*a = (struct algorithm){ 0 };
	*in_integrity = 0;
	err = parse_cipher(a, word, &behind, f);
	if (!err && behind)
		err = parse_integrity(a, behind, f);
	if (err)
		return err;
	a->salt_len = salt_of(a->alg);
	*in_integrity = integrity != NULL;
	if (behind && integrity)
		return refuse(integrity, "the algorithm names an integrity algorithm already", f);
	if (!needs_integrity(a->alg) && (behind || integrity)) {
		return refuse(behind ? behind : integrity,
			      "this algorithm has an ICV of its own: leave the integrity algorithm out", f);
	}
	if (integrity)
		return parse_integrity(a, integrity, f);
	if (needs_integrity(a->alg) && !a->auth)
		return refuse(word, "RFC 8221 section 4 forbids ESP without integrity: add integrity: sha256",
			      f);
	return 0;
}

int algorithm_parse_ah(struct algorithm *a, const char *integrity, struct fault *f)
{
	const struct name *c = find(ciphers, LEN(ciphers), integrity, strlen(integrity));

	*a = (struct algorithm){ 0 };
	if (!c)
		return parse_integrity(a, integrity, f);
	if (c->alg != XESP_ALG_AES_GMAC)
		return refuse(integrity, "AH encrypts nothing: use sha256 or aes-gmac-128", f);
	a->auth = XESP_AUTH_AES_GMAC; /* RFC 4543 section 4 */
	a->auth_key_len = c->key_len;
	a->salt_len = 4;
	return 0;
}

int algorithm_fit(struct algorithm *a, size_t bytes, struct fault *f)
{
	static const uint8_t all[] = { 16, 24, 32 };
	uint8_t *key_len = a->alg ? &a->key_len : &a->auth_key_len;
	char takes[32] = "", salt[64] = "";

	for (size_t i = 0; i < LEN(all); i++) {
		const size_t used = strlen(takes);

		if (*key_len && *key_len != all[i])
			continue;
		if (bytes == (size_t)all[i] + a->salt_len) {
			*key_len = all[i];
			return 0;
		}
		snprintf(takes + used, sizeof(takes) - used, "%s%u",
			 !used ? "" : i == LEN(all) - 1 ? " or " : ", ", all[i] + a->salt_len);
	}
	if (a->salt_len)
		snprintf(salt, sizeof(salt), ", of which the last %u are the salt", a->salt_len);
	return fault_set(f, -EINVAL, "the key has %zu bytes: this algorithm takes %s%s", bytes, takes,
			 salt);
}

/* ---- names */

static const char *cipher_name(uint8_t alg, uint8_t key_len)
{
	for (size_t i = 0; i < LEN(ciphers); i++)
		if (ciphers[i].alg == alg && ciphers[i].key_len == key_len)
			return ciphers[i].word;
	return "";
}

const char *algorithm_name(const struct algorithm *a)
{
	return cipher_name(a->alg, a->key_len);
}

const char *algorithm_auth_name(const struct algorithm *a)
{
	if (a->auth == XESP_AUTH_AES_GMAC)
		return cipher_name(XESP_ALG_AES_GMAC, a->auth_key_len);
	for (size_t i = 0; i < LEN(integrities); i++)
		if (integrities[i].alg == a->auth)
			return integrities[i].word;
	return "";
}

const char *algorithm_print(const struct algorithm *a, char buf[ALGORITHM_TEXT_MAX])
{
	snprintf(buf, ALGORITHM_TEXT_MAX, "%s%s%s", algorithm_name(a), a->alg && a->auth ? "-" : "",
		 algorithm_auth_name(a));
	return buf;
}
