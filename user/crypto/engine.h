/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.h - the seam between ESP and a crypto library.
 *
 * An engine takes a batch of jobs across SAs. It knows nothing of ESP: a job is an AEAD call with
 * its nonce, associated data, text in place and tag. A key context belongs to one SA and one
 * worker, for library contexts are not thread-safe; it lives in memory the library allocates,
 * which secret_lock_process() has locked, and is wiped by the library when freed.
 */
#ifndef XESP_ENGINE_H
#define XESP_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "xesp/keymsg.h"

struct fault;
struct engine_key; /* one SA's key, prepared for one worker and one direction */

#define ENGINE_NONCE_LEN 12 /* salt and IV, RFC 4106 section 4 */
#define ENGINE_AAD_MAX 12   /* SPI and sequence number, with ESN */

struct engine_job {
	struct engine_key *key;
	uint8_t *text;    /* transformed in place */
	uint32_t len;     /* bytes of text */
	uint8_t aad_len;
	bool ok;          /* out: decryption: the tag was right; encryption: done */
	uint8_t *tag;     /* 16 bytes: written by encrypt, compared (constant time) by decrypt */
	uint8_t nonce[ENGINE_NONCE_LEN];
	uint8_t aad[ENGINE_AAD_MAX];
};

struct engine {
	const char *name;
	/* Any thread, never per packet. NULL with a sentence when the library refuses. */
	struct engine_key *(*key_open)(enum xesp_alg alg, enum xesp_dir dir, const uint8_t *key,
				       size_t key_len, struct fault *f);
	void (*key_close)(struct engine_key *key); /* wipes; NULL is allowed */
	/* Packet path. Each job stands alone: one that fails has ok = false. Text of a job whose
	 * tag was wrong is wiped before the call returns. */
	void (*encrypt)(struct engine_job *jobs, size_t n);
	void (*decrypt)(struct engine_job *jobs, size_t n);
};

extern const struct engine engine_openssl;

/* Known answers of every algorithm, both directions, and a forged tag; see selftest.c. */
int engine_selftest(const struct engine *e, struct fault *f);

#endif /* XESP_ENGINE_H */
