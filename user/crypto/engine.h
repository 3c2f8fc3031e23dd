/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.h - the seam between ESP and a crypto library.
 *
 * An engine takes a batch of jobs across SAs. It knows nothing of ESP: a job is a text that is
 * transformed in place, with nonce, tag, and what else the tag covers. A key context belongs to one SA and one
 * worker, for library contexts are not thread-safe; it lives in memory the library allocates,
 * which secret_lock_process() has locked, and is wiped by the library when freed.
 * All jobs of one call carry keys of the same worker, so that an engine with state per thread
 * (ipsec-mb's MB_MGR) finds it through any of their keys, and may run jobs out of order.
 */
#ifndef XESP_ENGINE_H
#define XESP_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "xesp/keymsg.h"

struct engine;
struct fault;

/* One SA's key, prepared for one worker and one direction: this first, then what its engine needs. */
struct engine_key {
	const struct engine *engine;
};

#define ENGINE_NONCE_MAX 16 /* of AES-CBC and AES-CTR; AEAD algorithms have 12, AES-CCM 11 */
#define ENGINE_MADE_MAX 12  /* SPI and 64-bit sequence number */
#define ENGINE_TAIL_MAX 4   /* the upper half of a sequence number, RFC 4303 section 2.2.1 */
#define ENGINE_TAG_MAX 32   /* HMAC-SHA2-512-256 */

/* What a key is opened from. Borrowed: the engine keeps no pointer to it. */
struct engine_key_spec {
	enum xesp_alg alg; /* XESP_ALG_NONE: `auth` alone, nothing is transformed */
	enum xesp_auth auth;
	enum xesp_dir dir; /* XESP_DIR_OUT encrypts, XESP_DIR_IN decrypts */
	uint32_t worker;   /* whose thread will use it */
	const uint8_t *key; /* without the salt */
	size_t key_len;
	const uint8_t *auth_key;
	size_t auth_key_len;
};

/*
 * The tag covers aad, text and tail, in this order: of encrypted text with HMAC the ciphertext. With
 * algorithms that do not encrypt (NULL, AES-GMAC, all of AH) the text is covered and stays as it is.
 * With AES-CBC, AES-CTR and NULL the aad must stand directly before the text and the tag directly behind
 * it, where an engine may keep the tail meanwhile; the others may have them anywhere. HMAC is over something. The AEAD algorithms have no tail.
 */
struct engine_job {
	struct engine_key *key;
	uint8_t *text;
	const uint8_t *aad;
	uint8_t *tag;     /* written by encrypt, compared (constant time) by decrypt */
	uint32_t len;     /* bytes of text; AES-CBC: a multiple of 16 */
	uint16_t aad_len;
	uint8_t tail_len;
	uint8_t tag_len;  /* the transform's icv_len, never a packet's word; 0 fails the job */
	bool ok;          /* out: decryption: the tag was right; encryption: done */
	uint8_t nonce[ENGINE_NONCE_MAX]; /* AES-CBC: the IV; AES-CTR: the first counter block */
	uint8_t tail[ENGINE_TAIL_MAX];
	uint8_t made[ENGINE_MADE_MAX]; /* the caller's: room for an aad that no packet holds so */
};

struct engine {
	const char *name;
	const char *version; /* of the library, for people */
	/* Any thread, never per packet. NULL with a sentence when the library refuses. */
	struct engine_key *(*key_open)(const struct engine_key_spec *spec, struct fault *f);
	void (*key_close)(struct engine_key *key); /* wipes; NULL is allowed */
	/* Packet path. Each job stands alone: one that fails has ok = false, and its text is wiped
	 * before the call returns, for it would be plaintext that nobody vouches for. A tag of HMAC
	 * is compared before anything is decrypted. */
	void (*encrypt)(struct engine_job *jobs, size_t n);
	void (*decrypt)(struct engine_job *jobs, size_t n);
	/*
	 * Packet path, NULL: none. Asks for the memory that a text of about so many bytes will want of the key, without
	 * reading any of it; so it does no harm with another engine's key.
	 */
	void (*fetch)(const struct engine_key *key, uint32_t len);
};

extern const struct engine engine_openssl;

/*
 * Known answers of every algorithm, both directions, and forged tags, alone and in batches; see selftest.c.
 * -EBADMSG  an answer was wrong: the engine must not be used
 * -ENOTSUP  key_open() refused something, and all was asked for
 */
enum engine_selftest_of { ENGINE_SELFTEST_ALL, ENGINE_SELFTEST_WHAT_IS_THERE };
int engine_selftest(const struct engine *e, enum engine_selftest_of of, struct fault *f);

#endif /* XESP_ENGINE_H */
