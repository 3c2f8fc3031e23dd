/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * algorithm.h - the names of ESP algorithms: each with its transform and the lengths of its keys.
 *
 * Why it exists: what an engineer writes is a name of ours, of strongSwan's or of the kernel's, for a
 * cipher, for an integrity algorithm or for both in one word; what the SAD holds is two numbers. What
 * RFC 8221 forbids is known here by name, so that the answer says what to use. Constant; any thread.
 */
#ifndef XESP_KEYD_ALGORITHM_H
#define XESP_KEYD_ALGORITHM_H

#include <stddef.h>
#include <stdint.h>
#include "xesp/keymsg.h"

struct fault;

#define ALGORITHM_SALT_MAX 4 /* RFC 4106 section 4, RFC 7634 section 2 */
#define ALGORITHM_TEXT_MAX 40

struct algorithm {
	uint8_t alg;     /* enum xesp_alg */
	uint8_t auth;    /* enum xesp_auth */
	uint8_t key_len; /* bytes without the salt; 0 before algorithm_fit(): the key decides */
	uint8_t auth_key_len;
	uint8_t salt_len;
};

/*
 * What two words of the configuration mean for ESP; `integrity` may be NULL, and part of `word`
 * ("aes256-sha256"). On failure *in_integrity says which of the two is at fault.
 * -EINVAL  no such name, or one that RFC 8221 refuses, or the two do not go together
 */
int algorithm_parse(struct algorithm *a, const char *word, const char *integrity, int *in_integrity,
		    struct fault *f);

/* The same for AH, which has an integrity algorithm alone. */
int algorithm_parse_ah(struct algorithm *a, const char *integrity, struct fault *f);

/*
 * Is this the length of the one key that has the salt? Sets key_len, with AH auth_key_len. -EINVAL with
 * the lengths that are.
 */
int algorithm_fit(struct algorithm *a, size_t bytes, struct fault *f);

/* Our names: "aes-cbc-256" ("" with AH), "sha256" ("" where the cipher has its own), both in one. */
const char *algorithm_name(const struct algorithm *a);
const char *algorithm_auth_name(const struct algorithm *a);
const char *algorithm_print(const struct algorithm *a, char buf[ALGORITHM_TEXT_MAX]);

#endif /* XESP_KEYD_ALGORITHM_H */
