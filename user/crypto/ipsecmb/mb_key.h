/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mb_key.h - keys of the engine on libipsec-mb, and the library's managers, one per worker's thread.
 *
 * Within the shared object alone.
 */
#ifndef XESP_MB_KEY_H
#define XESP_MB_KEY_H

#include <intel-ipsec-mb.h>
#include <stdbool.h>
#include <stdint.h>

#include "crypto/engine.h"

#define MAC_MAX 64
#define ROUND_KEYS (15 * 16)

/* Down to KIND_GMAC by direct calls, one job each; the others by mb_many(). */
enum kind { KIND_GCM, KIND_GMAC, KIND_CHACHA, KIND_CCM, KIND_HMAC, KIND_CIPHER };
#define KINDS (KIND_CIPHER + 1)

typedef void (*gcm_fn)(const struct gcm_key_data *, struct gcm_context_data *, uint8_t *, const uint8_t *,
		       uint64_t, const uint8_t *, const uint8_t *, uint64_t, uint8_t *, uint64_t);

struct gcm {
	struct gcm_key_data data;
	aes_gmac_init_t init;
	aes_gmac_update_t update;
	aes_gmac_finalize_t finalize;
};

struct blocks {
	IMB_CIPHER_MODE mode;
	IMB_HASH_ALG hash;
	uint8_t ipad[MAC_MAX], opad[MAC_MAX]; /* the hash's states after the pads */
	uint8_t enc[ROUND_KEYS] __attribute__((aligned(16)));
	uint8_t dec[ROUND_KEYS] __attribute__((aligned(16)));
};

struct mb_key {
	struct engine_key base;
	enum xesp_dir dir;
	IMB_MGR *mgr;
	enum kind kind;
	uint16_t key_len, worker;
	/* Of equal keys' jobs one call of the library takes many. */
	uint32_t class;
	gcm_fn run; /* of AES-GCM */
	union {
		struct gcm gcm;
		struct blocks blocks;
		uint8_t chacha[32];
	} __attribute__((aligned(64)));
};

extern const struct engine engine_ipsecmb;

static inline const struct mb_key *mb_key_of(const struct engine_job *j)
{
	return (const struct mb_key *)j->key;
}

static inline const struct mb_key *mb_key_at(const struct engine_key *key)
{
	return (const struct mb_key *)key;
}

static inline bool mb_key_is_direct(const struct mb_key *k)
{
	return k->kind <= KIND_GMAC;
}

/* As struct engine has them. */
struct engine_key *mb_key_open(const struct engine_key_spec *spec, struct fault *f);
void mb_key_close(struct engine_key *key);

/* The manager of a worker, made when it is not there yet; *arch (NULL allowed) is then set. NULL with a sentence. */
IMB_MGR *mb_mgr(uint32_t worker, IMB_ARCH *arch, struct fault *f);
void mb_mgr_close_all(void);

/* xespd's fault_set() is not linked here. */
void mb_say(struct fault *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif /* XESP_MB_KEY_H */
