/* SPDX-License-Identifier: BSD-2-Clause */
/* mb_key.c - see mb_key.h. */
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/ipsecmb/mb_key.h"
#include "libxesp/arena.h"
#include "xesp/fault.h"
#include "xesp/steer.h"

#pragma GCC poison strcpy strcat gets memcmp

#define MGRS (XESP_WORKERS_MAX + 1) /* the slow path's too */
#define BLOCK_MAX 128

static IMB_MGR *mgrs[MGRS];
static struct arena arenas[MGRS][KINDS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of arenas */

void mb_say(struct fault *f, const char *fmt, ...)
{
	va_list args;

	if (!f)
		return;
	va_start(args, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, args);
	va_end(args);
}

/*
 * $XESP_IPSECMB_CPU: no more of the CPU than this, for who suspects some of its instructions, or has another CPU in mind.
 */
static const struct lesser_cpu {
	const char *name;
	IMB_ARCH arch;
	uint64_t needs; /* of IMB_MGR.features */
	void (*init)(IMB_MGR *m);
} lesser_cpus[] = {
	{ "sse", IMB_ARCH_SSE, IMB_FEATURE_SSE4_2 | IMB_FEATURE_AESNI, init_mb_mgr_sse },
	{ "avx", IMB_ARCH_AVX, IMB_FEATURE_AVX | IMB_FEATURE_AESNI, init_mb_mgr_avx },
	{ "avx2", IMB_ARCH_AVX2, IMB_FEATURE_AVX2 | IMB_FEATURE_AESNI, init_mb_mgr_avx2 },
	{ "avx512", IMB_ARCH_AVX512, IMB_FEATURE_AVX512_SKX | IMB_FEATURE_AESNI, init_mb_mgr_avx512 },
};

/* NULL: all that the CPU has. False: there is no such name. */
static bool find_lesser_cpu(const struct lesser_cpu **out, struct fault *f)
{
	const char *name = secure_getenv("XESP_IPSECMB_CPU");

	*out = NULL;
	if (!name || !name[0])
		return true;
	for (size_t i = 0; i < sizeof(lesser_cpus) / sizeof(lesser_cpus[0]); i++)
		if (!strcmp(lesser_cpus[i].name, name))
			*out = &lesser_cpus[i];
	if (!*out)
		mb_say(f, "engine ipsec-mb: XESP_IPSECMB_CPU is '%s': sse, avx, avx2 and avx512 are known", name);
	return *out != NULL;
}

static bool init_mgr(IMB_MGR *m, const struct lesser_cpu *cpu, IMB_ARCH *arch, struct fault *f)
{
	if (!cpu) {
		init_mb_mgr_auto(m, arch);
	} else if ((m->features & cpu->needs) != cpu->needs) { /* the library would use it all the same */
		mb_say(f, "engine ipsec-mb: XESP_IPSECMB_CPU is '%s', which this CPU does not have", cpu->name);
		return false;
	} else {
		*arch = cpu->arch;
		cpu->init(m);
	}
	if (imb_get_errno(m) || (m->features & IMB_FEATURE_SELF_TEST &&
				 !(m->features & IMB_FEATURE_SELF_TEST_PASS))) {
		mb_say(f, "engine ipsec-mb: the library's own self-test failed: %s",
		    imb_get_strerror(imb_get_errno(m)));
		return false;
	}
	return true;
}

static IMB_MGR *open_mgr(IMB_ARCH *arch, struct fault *f)
{
	const struct lesser_cpu *cpu;
	IMB_MGR *m;

	if (!find_lesser_cpu(&cpu, f))
		return NULL;
	m = alloc_mb_mgr(0);
	if (!m) {
		mb_say(f, "engine ipsec-mb: no memory for its manager");
		return NULL;
	}
	if (init_mgr(m, cpu, arch, f))
		return m;
	free_mb_mgr(m);
	return NULL;
}

IMB_MGR *mb_mgr(uint32_t worker, IMB_ARCH *arch, struct fault *f)
{
	IMB_ARCH any;

	if (worker >= MGRS) {
		mb_say(f, "engine ipsec-mb: worker %u; %d are possible", worker, MGRS);
		return NULL;
	}
	if (!mgrs[worker])
		mgrs[worker] = open_mgr(arch ? arch : &any, f);
	return mgrs[worker];
}

void mb_mgr_close_all(void)
{
	for (int i = 0; i < MGRS; i++) {
		if (mgrs[i])
			free_mb_mgr(mgrs[i]);
		mgrs[i] = NULL;
		for (int k = 0; k < KINDS; k++)
			arena_fini(&arenas[i][k]);
	}
}

static bool kind_of(enum kind *kind, const struct engine_key_spec *spec)
{
	switch (spec->alg) {
	case XESP_ALG_AES_GCM_16:
	case XESP_ALG_AES_GCM_12:
	case XESP_ALG_AES_GCM_8:
	case XESP_ALG_AES_GCM_16_IIV:
		*kind = KIND_GCM;
		return true;
	case XESP_ALG_AES_GMAC:
		*kind = KIND_GMAC;
		return true;
	case XESP_ALG_CHACHA20_POLY1305:
	case XESP_ALG_CHACHA20_POLY1305_IIV:
		*kind = KIND_CHACHA;
		return true;
	case XESP_ALG_AES_CCM_16:
	case XESP_ALG_AES_CCM_12:
	case XESP_ALG_AES_CCM_8:
	case XESP_ALG_AES_CCM_8_IIV:
		*kind = KIND_CCM;
		return spec->key_len != 24;
	case XESP_ALG_NULL:
		*kind = KIND_HMAC;
		return true;
	case XESP_ALG_AES_CBC:
	case XESP_ALG_AES_CTR:
		*kind = KIND_CIPHER;
		return true;
	case XESP_ALG_NONE:
		*kind = KIND_GMAC;
		return spec->auth == XESP_AUTH_AES_GMAC;
	case XESP_ALG_MAX:
		break;
	}
	return false;
}

static void open_gcm(struct mb_key *k, const uint8_t *key)
{
	struct gcm *g = &k->gcm;
	IMB_MGR *m = k->mgr;
	const bool out = k->dir == XESP_DIR_OUT;

	switch (k->key_len) {
	case 16:
		IMB_AES128_GCM_PRE(m, key, &g->data);
		k->run = out ? m->gcm128_enc : m->gcm128_dec;
		g->init = m->gmac128_init;
		g->update = m->gmac128_update;
		g->finalize = m->gmac128_finalize;
		return;
	case 24:
		IMB_AES192_GCM_PRE(m, key, &g->data);
		k->run = out ? m->gcm192_enc : m->gcm192_dec;
		g->init = m->gmac192_init;
		g->update = m->gmac192_update;
		g->finalize = m->gmac192_finalize;
		return;
	default:
		IMB_AES256_GCM_PRE(m, key, &g->data);
		k->run = out ? m->gcm256_enc : m->gcm256_dec;
		g->init = m->gmac256_init;
		g->update = m->gmac256_update;
		g->finalize = m->gmac256_finalize;
	}
}

static void expand_aes(struct mb_key *k, const uint8_t *key)
{
	struct blocks *b = &k->blocks;

	if (k->key_len == 16)
		IMB_AES_KEYEXP_128(k->mgr, key, b->enc, b->dec);
	else if (k->key_len == 24)
		IMB_AES_KEYEXP_192(k->mgr, key, b->enc, b->dec);
	else
		IMB_AES_KEYEXP_256(k->mgr, key, b->enc, b->dec);
}

static void hash_block(const struct mb_key *k, const uint8_t *block, uint8_t *state)
{
	switch (k->blocks.hash) {
	case IMB_AUTH_HMAC_SHA_256:
		IMB_SHA256_ONE_BLOCK(k->mgr, block, state);
		return;
	case IMB_AUTH_HMAC_SHA_384:
		IMB_SHA384_ONE_BLOCK(k->mgr, block, state);
		return;
	default:
		IMB_SHA512_ONE_BLOCK(k->mgr, block, state);
	}
}

static void open_hmac(struct mb_key *k, const struct engine_key_spec *spec)
{
	static const IMB_HASH_ALG hashes[XESP_AUTH_MAX] = {
		[XESP_AUTH_HMAC_SHA2_256_128] = IMB_AUTH_HMAC_SHA_256,
		[XESP_AUTH_HMAC_SHA2_384_192] = IMB_AUTH_HMAC_SHA_384,
		[XESP_AUTH_HMAC_SHA2_512_256] = IMB_AUTH_HMAC_SHA_512,
	};
	uint8_t block[BLOCK_MAX];

	k->blocks.hash = hashes[spec->auth];
	for (int outer = 0; outer < 2; outer++) {
		memset(block, outer ? 0x5c : 0x36, sizeof(block)); /* RFC 2104 section 2 */
		for (size_t i = 0; i < spec->auth_key_len; i++)
			block[i] ^= spec->auth_key[i];
		hash_block(k, block, outer ? k->blocks.opad : k->blocks.ipad);
	}
	OPENSSL_cleanse(block, sizeof(block));
}

static size_t size_of(enum kind kind)
{
	size_t size = offsetof(struct mb_key, gcm);

	size += kind == KIND_GCM || kind == KIND_GMAC ? sizeof(struct gcm) :
		kind == KIND_CHACHA		      ? 32 :
							sizeof(struct blocks);
	return (size + 63) / 64 * 64;
}

static bool fits(const struct engine_key_spec *spec, enum kind kind)
{
	const size_t len = spec->alg ? spec->key_len : spec->auth_key_len;
	const bool hmac = spec->auth >= XESP_AUTH_HMAC_SHA2_256_128 &&
			  spec->auth <= XESP_AUTH_HMAC_SHA2_512_256;
	static const uint8_t auth_lens[] = { 0, 32, 48, 64 };

	if (kind == KIND_HMAC || kind == KIND_CIPHER) {
		if (!hmac || spec->auth_key_len != auth_lens[spec->auth])
			return false;
	} else if (spec->alg && (spec->auth || spec->auth_key_len)) {
		return false;
	}
	if (kind == KIND_HMAC)
		return !len;
	if (kind == KIND_CHACHA)
		return len == 32;
	return len == 16 || len == 24 || len == 32;
}

void mb_key_close(struct engine_key *key)
{
	struct mb_key *k = (struct mb_key *)key;

	if (!k)
		return;
	pthread_mutex_lock(&lock);
	arena_put(&arenas[k->worker][k->kind], k); /* wipes it */
	pthread_mutex_unlock(&lock);
}

/* Each worker's side by side, for it alone reads them. */
static struct mb_key *take_key(uint32_t worker, enum kind kind)
{
	struct arena *a = &arenas[worker][kind];
	struct mb_key *k;

	pthread_mutex_lock(&lock);
	a->size = size_of(kind);
	k = arena_take(a);
	pthread_mutex_unlock(&lock);
	return k;
}

struct engine_key *mb_key_open(const struct engine_key_spec *spec, struct fault *f)
{
	struct mb_key *k;
	enum kind kind;
	IMB_MGR *m;

	if (!kind_of(&kind, spec) || !fits(spec, kind)) {
		mb_say(f, "engine ipsec-mb: no algorithm %d with integrity %d and keys of %zu and %zu bytes",
		    spec->alg, spec->auth, spec->key_len, spec->auth_key_len);
		return NULL;
	}
	m = mb_mgr(spec->worker, NULL, f);
	if (!m)
		return NULL;
	k = take_key(spec->worker, kind);
	if (!k) {
		mb_say(f, "out of memory");
		return NULL;
	}
	k->worker = (uint16_t)spec->worker;
	k->base.engine = &engine_ipsecmb;
	k->dir = spec->dir;
	k->mgr = m;
	k->kind = kind;
	k->key_len = (uint16_t)(spec->alg ? spec->key_len : spec->auth_key_len);
	k->class = (uint32_t)spec->alg << 16 | (uint32_t)spec->auth << 8 | k->key_len;
	switch (kind) {
	case KIND_GCM:
	case KIND_GMAC:
		open_gcm(k, spec->alg ? spec->key : spec->auth_key);
		break;
	case KIND_CHACHA:
		memcpy(k->chacha, spec->key, sizeof(k->chacha));
		break;
	case KIND_CCM:
		expand_aes(k, spec->key);
		break;
	case KIND_CIPHER:
		k->blocks.mode = spec->alg == XESP_ALG_AES_CBC ? IMB_CIPHER_CBC : IMB_CIPHER_CNTR;
		expand_aes(k, spec->key);
		open_hmac(k, spec);
		break;
	case KIND_HMAC:
		open_hmac(k, spec);
		break;
	}
	return &k->base;
}
