/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limits.h - how long an SA may be used, RFC 4301 section 4.4.2.1: seconds, bytes and packets, soft
 * (somebody should rekey) and hard (it stops). As configured; keyd/lifetime.h has what becomes of it.
 */
#ifndef XESP_KEYD_LIMITS_H
#define XESP_KEYD_LIMITS_H

#include <stdint.h>
#include <stdio.h>

struct problems;
struct raw_sa;
struct sa;

/* Of struct sa; 0 none; compared as bytes. */
struct limits {
	uint64_t soft_seconds, hard_seconds;
	uint64_t soft_bytes, hard_bytes;
	uint64_t soft_packets, hard_packets;
	uint64_t warn_seconds; /* say so when it will be used up within this time; 0: never */
};

/*
 * AES in any mode: no more packets than this under one key. Encrypting s blocks lets an observer tell the
 * cipher from a random one with an advantage of about s^2 / 2^129 (the PRP/PRF bound of a 128-bit
 * block; for CBC the odds that two blocks of ciphertext are equal), and 2^40 packets of 1500 bytes are
 * 2^46.6 blocks: below 2^-35. CCM encrypts twice as many.
 */
#define LIMITS_AES_PACKETS (1ull << 40)
#define LIMITS_CCM_PACKETS (1ull << 39)
/*
 * GCM with an ICV of 8 bytes: NIST SP 800-38D appendix C bounds how often a key may verify, for each
 * forgery that is let through helps to the next. So many as there are numbers without ESN.
 */
#define LIMITS_GCM_8_PACKETS ((1ull << 32) - 1)

int limits_take(struct sa *sa, const struct raw_sa *raw, const char *path, struct problems *ps);
void limits_print(const struct sa *sa, FILE *out);

/*
 * The last sequence number that may be used under this algorithm's key; UINT64_MAX: no bound, as for
 * ChaCha20, which is no permutation of blocks, and for HMAC.
 */
uint64_t limits_key_bound(const struct sa *sa);

#endif /* XESP_KEYD_LIMITS_H */
