/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * answers.h - known answers of every algorithm and key length, for selftest.c.
 *
 * Constant. Short ICVs of AES-GCM and the algorithms with implicit IV have those of AES-GCM and
 * ChaCha20-Poly1305: engines are given the nonce, and a short tag is the beginning of the whole one.
 */
#ifndef XESP_ANSWERS_H
#define XESP_ANSWERS_H

#include <stddef.h>
#include "xesp/keymsg.h"

struct answer {
	enum xesp_alg alg;
	enum xesp_auth auth;
	/* hex; NULL is nothing; sealed: text as encrypted, then the tag */
	const char *key, *auth_key, *nonce, *aad, *tail, *text, *sealed;
};

extern const struct answer answers[];
extern const size_t answers_n;

#endif /* XESP_ANSWERS_H */
