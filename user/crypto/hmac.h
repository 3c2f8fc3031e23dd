/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hmac.h - HMAC-SHA2 (RFC 2104, RFC 4868) over an engine job, from a prepared key.
 *
 * Why it exists: of libcrypto's own HMAC each packet pays for memory of a context and for fetches
 * (75 ns of 205 at 64 bytes, OpenSSL 3.0); with the two states that a key stands for prepared, a
 * packet copies a hundred bytes. Any thread; a key is constant once open.
 */
#ifndef XESP_HMAC_H
#define XESP_HMAC_H

#include <openssl/sha.h>
#include <stddef.h>
#include <stdint.h>
#include "xesp/keymsg.h"

struct engine_job;

#define HMAC_LEN_MAX 64

/* The hash's state after the inner and the outer pad: key material. The caller wipes it. */
struct hmac_key {
	enum xesp_auth auth;
	union {
		struct {
			SHA256_CTX inner, outer;
		} sha256;
		struct {
			SHA512_CTX inner, outer; /* of SHA-384 too */
		} sha512;
	};
};

/* `len` up to 64 bytes. -EINVAL: no such algorithm */
int hmac_open(struct hmac_key *k, enum xesp_auth auth, const uint8_t *key, size_t len);

/* The whole, untruncated code over aad, text and tail of the job. */
void hmac_of_job(const struct hmac_key *k, const struct engine_job *j, uint8_t mac[HMAC_LEN_MAX]);

#endif /* XESP_HMAC_H */
