/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine_ipsecmb.c - the engine on Intel's libipsec-mb, a shared object of its own that xespd loads when it can.
 *
 * Why an object of its own: a machine without the library must work, and the ABI of the library is that of the
 * header this was compiled with, so it is refused when another version is found at run time. Each algorithm goes
 * by the calls of the library that were measured to be its fastest (tests/bench/calls.c): AES-GCM and AES-GMAC by
 * the direct ones, one packet each; ChaCha20-Poly1305 and AES-CCM by bursts of jobs; AES-CBC, AES-CTR and NULL with
 * HMAC by bursts of ciphers and of hashes. Bursts are of the packets of a batch, whatever SAs they are of. The library never
 * compares a tag: that is done here, in constant time, and of HMAC before anything is decrypted. What it has not (AES-CCM
 * with 192-bit keys, AH with HMAC, whose pieces do not stand together) is refused by key_open() and goes to another engine.
 *
 * One MB_MGR per worker's thread; made with the worker's first key, by the main thread.
 */
#include <openssl/crypto.h>
#include <stdio.h>

#include "crypto/ipsecmb/mb_key.h"
#include "crypto/ipsecmb/mb_many.h"
#include "crypto/module.h"
#include "xesp/fault.h"

#pragma GCC poison strcpy strcat gets memcmp

#define IV_FIXED 12
#define FETCH_ROUND_KEYS 176 /* of AES-128, as nearly all keys are */
#define HASHED_BESIDE 16 /* the lengths */

static char version[64];

/* ---- one job, direct calls. `tag` is where the library writes: ours when decrypting. */

static void run_gcm(const struct mb_key *k, struct engine_job *j, uint8_t *tag)
{
	struct gcm_context_data ctx;

	k->run(&k->gcm.data, &ctx, j->text, j->text, j->len, j->nonce, j->aad, j->aad_len, tag,
		   j->tag_len);
}

static void run_gmac(const struct mb_key *k, struct engine_job *j, uint8_t *tag)
{
	struct gcm_context_data ctx;

	k->gcm.init(&k->gcm.data, &ctx, j->nonce, IV_FIXED);
	k->gcm.update(&k->gcm.data, &ctx, j->aad, j->aad_len);
	k->gcm.update(&k->gcm.data, &ctx, j->text, j->len);
	if (j->tail_len)
		k->gcm.update(&k->gcm.data, &ctx, j->tail, j->tail_len);
	k->gcm.finalize(&k->gcm.data, &ctx, tag, j->tag_len);
}

static void run_direct(struct engine_job *j, enum xesp_dir dir)
{
	const struct mb_key *k = mb_key_of(j);
	uint8_t own[MAC_MAX], *tag = dir == XESP_DIR_OUT ? j->tag : own;

	j->ok = j->tag_len && j->tag_len <= 16 && (!j->tail_len || k->kind == KIND_GMAC);
	if (!j->ok)
		return;
	if (k->kind == KIND_GCM)
		run_gcm(k, j, tag);
	else
		run_gmac(k, j, tag);
	if (dir == XESP_DIR_IN)
		j->ok = !CRYPTO_memcmp(own, j->tag, j->tag_len);
}

/* ---- batches */

static void run(struct engine_job *jobs, size_t n, enum xesp_dir dir)
{
	bool many = false;

	for (size_t i = 0; i < n; i++) {
		if (mb_key_is_direct(mb_key_of(&jobs[i])))
			run_direct(&jobs[i], dir);
		else
			many = true;
	}
	/* No more at once than mb_many() has marks for. */
	for (size_t i = 0; many && i < n; i += MB_MANY_MAX)
		mb_many(jobs + i, n - i < MB_MANY_MAX ? n - i : MB_MANY_MAX, dir);
	for (size_t i = 0; i < n; i++)
		if (!jobs[i].ok)
			OPENSSL_cleanse(jobs[i].text, jobs[i].len);
}

static void mb_encrypt(struct engine_job *jobs, size_t n)
{
	run(jobs, n, XESP_DIR_OUT);
}

static void mb_decrypt(struct engine_job *jobs, size_t n)
{
	run(jobs, n, XESP_DIR_IN);
}

/*
 * Where in struct gcm_key_data the powers of the hash key lie, of which a packet of n blocks takes the n lowest, or all
 * there are: with AVX-512 and VAES the first power is the last of 48, else the first of 8.
 */
static struct {
	size_t first, len;
	bool backwards;
} hash_keys;

static void find_hash_keys(IMB_ARCH arch, uint64_t features)
{
	const struct gcm_key_data *d = NULL;

	hash_keys.first = offsetof(struct gcm_key_data, ghash_keys);
	hash_keys.len = sizeof(d->ghash_keys.sse_avx);
	hash_keys.backwards = arch >= IMB_ARCH_AVX512 && features & IMB_FEATURE_VAES;
	if (hash_keys.backwards) {
		hash_keys.first = sizeof(*d) - 1;
		hash_keys.len = sizeof(d->ghash_keys.vaes_avx512);
	}
}

/* Into the second cache, see sad/fetch.h. */
static inline void fetch(const char *at)
{
	__builtin_prefetch(at, 0, 2);
}

/* AES-GCM's: the round keys, and as many hash keys as there are blocks. */
static void mb_fetch(const struct engine_key *key, uint32_t len)
{
	const char *k = (const char *)key, *data = (const char *)&mb_key_at(key)->gcm.data;
	size_t hashed = (size_t)len + HASHED_BESIDE;

	if (hashed > hash_keys.len)
		hashed = hash_keys.len;
	fetch(k);
	for (size_t i = 0; i < FETCH_ROUND_KEYS; i += 64)
		fetch(data + i);
	for (size_t i = 0; i < hashed; i += 64)
		fetch(data + hash_keys.first + (hash_keys.backwards ? -i : i));
}

const struct engine engine_ipsecmb = {
	.name = "ipsec-mb",
	.version = version,
	.key_open = mb_key_open,
	.key_close = mb_key_close,
	.encrypt = mb_encrypt,
	.decrypt = mb_decrypt,
	.fetch = mb_fetch,
};

/* ---- the module */

static const struct engine *open_module(struct fault *f)
{
	static const char *const archs[IMB_ARCH_NUM] = {
		[IMB_ARCH_NONE] = "?",	   [IMB_ARCH_NOAESNI] = "no AES-NI", [IMB_ARCH_SSE] = "SSE",
		[IMB_ARCH_AVX] = "AVX",	   [IMB_ARCH_AVX2] = "AVX2",	     [IMB_ARCH_AVX512] = "AVX-512",
	};
	IMB_ARCH arch = IMB_ARCH_NONE;
	IMB_MGR *m;

	/* Layouts change between minor versions. */
	if (imb_get_version() >> 8 != IMB_VERSION_NUM >> 8) {
		mb_say(f, "engine ipsec-mb: the library is %s, this was built for %s", imb_get_version_str(),
		    IMB_VERSION_STR);
		return NULL;
	}
	m = mb_mgr(0, &arch, f);
	if (!m)
		return NULL;
	if (arch <= IMB_ARCH_NOAESNI) {
		mb_say(f, "engine ipsec-mb: this CPU has no AES instructions");
		return NULL;
	}
	find_hash_keys(arch, m->features);
	snprintf(version, sizeof(version), "%s, %s%s", imb_get_version_str(), archs[arch],
		 arch == IMB_ARCH_AVX512 && m->features & IMB_FEATURE_VAES ? " and VAES" : "");
	return &engine_ipsecmb;
}

__attribute__((visibility("default"))) const struct engine_module xesp_engine_module = {
	.abi = ENGINE_MODULE_ABI,
	.open = open_module,
	.close = mb_mgr_close_all,
};
