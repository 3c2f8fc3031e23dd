/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.h - the seam between ESP and a crypto library.
 *
 * An engine takes a batch of jobs across SAs. It knows nothing of ESP: a job is an AEAD call with
 * its nonce, associated data, text in place and tag. A key context belongs to one SA and one
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

struct fault;
struct engine_key; /* one SA's key, prepared for one worker and one direction */

#define ENGINE_NONCE_LEN 12 /* salt and IV, RFC 4106 section 4, RFC 7634 section 2 */
#define ENGINE_AAD_MAX 12   /* SPI and sequence number, with ESN */
#define ENGINE_TAG_MAX 16

/* What a key is opened from. Borrowed: the engine keeps no pointer to it. */
struct engine_key_spec {
	enum xesp_alg alg;
	enum xesp_dir dir; /* XESP_DIR_OUT encrypts, XESP_DIR_IN decrypts */
	uint32_t worker;   /* whose thread will use it */
	const uint8_t *key; /* without the salt */
	size_t key_len;
};

struct engine_job {
	struct engine_key *key;
	uint8_t *text;    /* transformed in place */
	uint32_t len;     /* bytes of text */
	uint8_t aad_len;
	uint8_t tag_len;  /* the transform's icv_len, never a packet's word; 0 fails the job */
	bool ok;          /* out: decryption: the tag was right; encryption: done */
	uint8_t *tag;     /* written by encrypt, compared (constant time) by decrypt */
	uint8_t nonce[ENGINE_NONCE_LEN];
	uint8_t aad[ENGINE_AAD_MAX];
};

struct engine {
	const char *name;
	/* Any thread, never per packet. NULL with a sentence when the library refuses. */
	struct engine_key *(*key_open)(const struct engine_key_spec *spec, struct fault *f);
	void (*key_close)(struct engine_key *key); /* wipes; NULL is allowed */
	/* Packet path. Each job stands alone: one that fails has ok = false, and its text is wiped
	 * before the call returns, for it would be plaintext that nobody vouches for. */
	void (*encrypt)(struct engine_job *jobs, size_t n);
	void (*decrypt)(struct engine_job *jobs, size_t n);
};

extern const struct engine engine_openssl;

/*
 * Known answers of every algorithm, both directions, and forged tags; see selftest.c.
 * -EBADMSG  an answer was wrong: the engine must not be used
 * -ENOTSUP  key_open() refused
 */
int engine_selftest(const struct engine *e, struct fault *f);

#endif /* XESP_ENGINE_H */
