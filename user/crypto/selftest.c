/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * selftest.c - known answers that an engine must give before a key is trusted to it.
 *
 * Sources: D. McGrew, draft-mcgrew-gcm-test-01 (2009), section 4: AES-GCM as ESP uses it, nonce
 * from salt and IV, associated data of 8 and 12 bytes. A shorter tag is the beginning of the whole
 * one, NIST SP 800-38D section 7.1. RFC 7634 appendix A and RFC 8439 section 2.8.2:
 * ChaCha20-Poly1305 with 8 and 12 bytes. All rows of the draft are in tests/vectors/; here is one
 * per key length and length of associated data.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "crypto/engine.h"
#include "crypto/transform.h"
#include "xesp/fault.h"

#pragma GCC poison strcpy strcat gets memcmp

#define TEXT_MAX 114

struct answer {
	enum xesp_alg alg;
	const char *key, *nonce, *aad, *text, *sealed; /* hex; sealed: ciphertext and tag */
};

static const struct answer answers[] = {
	{ XESP_ALG_AES_GCM_16, "4c80cdefbb5d10da906ac73c3613a634", "2e443b684956ed7e3b244cfe",
	  "000043218765432100000000",
	  "45000048699a000080114db7c0a80102c0a801010a9bf15638d3010000010000"
	  "00000000045f736970045f756470037369700963796265726369747902646b00"
	  "0021000101020201",
	  "fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34"
	  "cfa2436f14a3f3cf65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce"
	  "61bc17d768fd9732459018148f6cbe722fd04796562dfdb4" },
	{ XESP_ALG_AES_GCM_16, "7d773d00c144c525ac619d18c84a3f47", "d966426743457e9182443bc6",
	  "335467aeffffffff", "01020201", "437f866bcb3f699fe9b0822bac961c4504bef270" },
	{ XESP_ALG_AES_GCM_16, "abbccddef00112233445566778899aababbccddef00112233445566778899aab",
	  "112233440102030405060708", "4a2cbfe300000002",
	  "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee000000000"
	  "7002400020bf0000020405b40101040201020201",
	  "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763"
	  "748a637985771d347f0545659f14e99def842d8eb335f4eecfdbf831824b4c49"
	  "15956c96" },
	{ XESP_ALG_AES_GCM_16, "6c6567616c697a656d6172696a75616e61616e64646f69746265666f72656961",
	  "7475726e333021696765746d", "796b6963ffffffffffffffff",
	  "45000030da3a00008001df3bc0a80005c0a800010800c6cd0200070061626364"
	  "65666768696a6b6c6d6e6f707172737401020201",
	  "f97ab2aa356d8edce17644ac8c78e25dd24dedbb29ebf1b64a274b39b49c3a86"
	  "4cd3d78ca4ae68a32b42458fb57dbe821dcc63b9d0937ba2945f669368661a32"
	  "9fb4c053" },
	{ XESP_ALG_AES_GCM_16, "feffe9928665731c6d6a8f9467308308feffe9928665731c", "cafebabefacedbaddecaf888",
	  "0000a5f80000000a",
	  "45000028a4ad4000400678800a01038f0a010612802306b8cb712602dd6bb03e"
	  "501016d075680001",
	  "a5b1f8066029aea40e598b8122de02420938b3ab33f828e687b8858b5bfbdbd0"
	  "315b27452144cc7795457b9652037f5318027b5b4cd7a636" },
	{ XESP_ALG_AES_GCM_12, "7d773d00c144c525ac619d18c84a3f47", "d966426743457e9182443bc6",
	  "335467aeffffffff", "01020201", "437f866bcb3f699fe9b0822bac961c45" },
	{ XESP_ALG_AES_GCM_8, "7d773d00c144c525ac619d18c84a3f47", "d966426743457e9182443bc6",
	  "335467aeffffffff", "01020201", "437f866bcb3f699fe9b0822b" },
	{ XESP_ALG_CHACHA20_POLY1305,
	  "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
	  "a0a1a2a31011121314151617", "0102030400000005",
	  "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec10"
	  "0007362708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223"
	  "2425262728292a2b2c2d2e2f303132333435363701020204",
	  "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c6"
	  "14ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3"
	  "cbec163fac469b502773f6fb94e664da9165b82829f641e076aaa8266b7fb0f7"
	  "b11b369907e1ad43" },
	{ XESP_ALG_CHACHA20_POLY1305,
	  "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
	  "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
	  "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
	  "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
	  "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
	  "637265656e20776f756c642062652069742e",
	  "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
	  "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
	  "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
	  "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd060"
	  "0691" },
};

static uint8_t hex_digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static uint32_t from_hex(uint8_t *out, const char *hex)
{
	uint32_t n = 0;

	for (; hex[0] && hex[1]; hex += 2)
		out[n++] = (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
	return n;
}

static uint8_t tag_len(const struct answer *a)
{
	return transform_find(a->alg, XESP_AUTH_NONE)->icv_len;
}

/* One job over buf, which holds text and then the tag. */
static bool run(const struct engine *e, struct engine_key *key, const struct answer *a,
		enum xesp_dir dir, uint8_t *buf, uint32_t len)
{
	struct engine_job j = { .key = key, .text = buf, .len = len, .tag = buf + len,
				.tag_len = tag_len(a) };

	from_hex(j.nonce, a->nonce);
	j.aad = j.made;
	j.aad_len = (uint16_t)from_hex(j.made, a->aad);
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
				 const struct answer *a)
{
	uint8_t buf[TEXT_MAX + ENGINE_TAG_MAX] = { 0 }, want[sizeof(buf)] = { 0 };
	uint32_t len = from_hex(buf, a->text);

	from_hex(want, a->sealed);
	/* All of it: nothing may be written behind a short tag. */
	if (!run(e, key, a, XESP_DIR_OUT, buf, len) || CRYPTO_memcmp(buf, want, sizeof(want)))
		return "encrypts to something else than the published answer";
	return NULL;
}

static const char *check_decrypt(const struct engine *e, struct engine_key *key,
				 const struct answer *a)
{
	uint8_t buf[TEXT_MAX + ENGINE_TAG_MAX], text[TEXT_MAX];
	uint32_t len = from_hex(text, a->text);

	from_hex(buf, a->sealed);
	if (!run(e, key, a, XESP_DIR_IN, buf, len) || CRYPTO_memcmp(buf, text, len))
		return "does not decrypt the published answer";
	for (uint32_t i = 0; i < len + tag_len(a); i++) {
		from_hex(buf, a->sealed);
		buf[i] ^= 1;
		if (run(e, key, a, XESP_DIR_IN, buf, len))
			return "accepts a forged packet";
		if (!all_zero(buf, len))
			return "leaves text behind that it did not authenticate";
	}
	/* A refusal must not spoil the context for the next packet. */
	from_hex(buf, a->sealed);
	if (!run(e, key, a, XESP_DIR_IN, buf, len) || CRYPTO_memcmp(buf, text, len))
		return "refuses a good packet after a forged one";
	return NULL;
}

static int check(const struct engine *e, const struct answer *a, enum xesp_dir dir,
		 struct fault *f)
{
	uint8_t key[XESP_KEY_MAX];
	struct engine_key_spec spec = { .alg = a->alg, .dir = dir, .key = key };
	struct engine_key *k;
	const char *wrong;

	spec.key_len = from_hex(key, a->key);
	k = e->key_open(&spec, f);
	if (!k)
		return -ENOTSUP;
	wrong = dir == XESP_DIR_OUT ? check_encrypt(e, k, a) : check_decrypt(e, k, a);
	e->key_close(k);
	if (wrong)
		return fault_set(f, -EBADMSG,
				 "engine %s: algorithm %d with a key of %zu bytes %s; do not use it",
				 e->name, a->alg, spec.key_len, wrong);
	return 0;
}

int engine_selftest(const struct engine *e, struct fault *f)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		int err = check(e, &answers[i], XESP_DIR_OUT, f);

		if (!err)
			err = check(e, &answers[i], XESP_DIR_IN, f);
		if (err)
			return err;
	}
	return 0;
}
