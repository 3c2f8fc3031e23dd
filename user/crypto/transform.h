/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * transform.h - what an ESP transform costs in bytes and asks of its keys.
 *
 * Why it exists: encap, decap, the MTU and the check of a key message all need the same few
 * numbers, and one table keeps them from disagreeing. Constant; any thread.
 */
#ifndef XESP_TRANSFORM_H
#define XESP_TRANSFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "xesp/keymsg.h"

#define TRANSFORM_KEY_LENS 3

/* Where the nonce of a packet comes from; esp/job.c makes it. */
enum transform_nonce {
	TRANSFORM_NO_NONCE, /* NULL */
	TRANSFORM_SALT_IV,  /* the key's salt, then the packet's IV */
	TRANSFORM_SALT_SEQ, /* the key's salt, then the 64-bit sequence number: RFC 8750 section 4 */
	TRANSFORM_SALT_IV_COUNTER, /* as SALT_IV, then a block counter of 1: RFC 3686 section 4 */
	TRANSFORM_RANDOM_IV,       /* the packet's IV, which nobody can foretell: RFC 3602 section 3 */
};

struct transform {
	const char *name;
	uint8_t alg;      /* enum xesp_alg */
	uint8_t auth;     /* enum xesp_auth */
	uint8_t iana;     /* ESP transform id; AH: 0 */
	uint8_t iana_auth; /* integrity transform id; combined algorithms: 0 */
	uint8_t salt_len; /* bytes of nonce that come with the key */
	uint8_t iv_len;   /* bytes of nonce in each packet */
	uint8_t icv_len;
	uint8_t align;    /* payload, padding and the two trailer bytes fill a multiple of it */
	uint8_t nonce;    /* enum transform_nonce */
	/*
	 * What the ICV covers before the ciphertext. False: SPI and number, the upper half of an ESN
	 * between them, RFC 4106 section 5. True: the packet from the SPI on, the upper half behind
	 * everything, RFC 4303 section 2.2.1.
	 */
	bool covers_packet;
	bool covers_iv; /* with covers_packet false: the IV and what follows it are one text, RFC 4543 */
	uint8_t key_len[TRANSFORM_KEY_LENS]; /* allowed lengths in bytes; 0 ends the list */
	uint8_t auth_key_len; /* the length of the integrity key; AH with AES-GMAC: as key_len */
};

/* NULL: no such transform here. alg XESP_ALG_NONE: one of AH. */
const struct transform *transform_find(unsigned int alg, unsigned int auth);

/* Are these the lengths of the keys and salt of this transform? */
bool transform_fits(const struct transform *t, size_t key_len, size_t auth_key_len, size_t salt_len);

/* All of them, for tests and for what is the costliest. NULL behind the last. */
const struct transform *transform_at(unsigned int i);

#endif /* XESP_TRANSFORM_H */
