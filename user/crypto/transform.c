/* SPDX-License-Identifier: BSD-2-Clause */
/* transform.c - the table behind transform.h; a new algorithm begins with a row here. */
#include "crypto/transform.h"

static const struct transform transforms[XESP_ALG_MAX] = {
	[XESP_ALG_AES_GCM_16] = {
		/* RFC 4106: salt section 4, IV section 3.1, alignment section 3.2, ICV section 6 */
		.name = "aes-gcm-16",
		.iana = 20,
		.salt_len = 4,
		.iv_len = 8,
		.icv_len = 16,
		.align = 4,
		.key_len = { 16, 32 },
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
