/* SPDX-License-Identifier: BSD-2-Clause */
/* transform.c - the table behind transform.h; a new algorithm begins with a row here. */
#include "crypto/transform.h"

static const struct transform transforms[XESP_ALG_MAX] = {
	/* RFC 4106: salt section 4, IV section 3.1, alignment section 3.2, ICV section 6 */
	[XESP_ALG_AES_GCM_16] = {
		.name = "aes-gcm-16",
		.iana = 20,
		.salt_len = 4,
		.iv_len = 8,
		.icv_len = 16,
		.align = 4,
		.key_len = { 16, 24, 32 },
	},
	[XESP_ALG_AES_GCM_12] = {
		.name = "aes-gcm-12",
		.iana = 19,
		.salt_len = 4,
		.iv_len = 8,
		.icv_len = 12,
		.align = 4,
		.key_len = { 16, 24, 32 },
	},
	[XESP_ALG_AES_GCM_8] = {
		.name = "aes-gcm-8",
		.iana = 18,
		.salt_len = 4,
		.iv_len = 8,
		.icv_len = 8,
		.align = 4,
		.key_len = { 16, 24, 32 },
	},
	/* RFC 7634 section 2: all of it as above, alignment by RFC 4303 section 2.4 alone */
	[XESP_ALG_CHACHA20_POLY1305] = {
		.name = "chacha20-poly1305",
		.iana = 28,
		.salt_len = 4,
		.iv_len = 8,
		.icv_len = 16,
		.align = 4,
		.key_len = { 32 },
	},
};

const struct transform *transform_find(unsigned int alg)
{
	if (alg >= XESP_ALG_MAX || !transforms[alg].name)
		return NULL;
	return &transforms[alg];
}

bool transform_fits(const struct transform *t, size_t key_len, size_t salt_len)
{
	if (salt_len != t->salt_len)
		return false;
	for (int i = 0; i < TRANSFORM_KEY_LENS && t->key_len[i]; i++)
		if (t->key_len[i] == key_len)
			return true;
	return false;
}
