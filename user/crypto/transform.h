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

struct transform {
	const char *name;
	uint16_t iana;    /* IKEv2 encryption transform id */
	uint8_t salt_len; /* bytes of nonce that come with the key */
	uint8_t iv_len;   /* bytes of nonce in each packet */
	uint8_t icv_len;
	uint8_t align;    /* payload, padding and the two trailer bytes fill a multiple of it */
	uint8_t key_len[TRANSFORM_KEY_LENS]; /* allowed lengths in bytes; 0 ends the list */
};

/* NULL: no such transform here. */
const struct transform *transform_find(unsigned int alg);

/* Are these the lengths of a key and salt of this transform? */
bool transform_fits(const struct transform *t, size_t key_len, size_t salt_len);

#endif /* XESP_TRANSFORM_H */
