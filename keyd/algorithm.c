/* SPDX-License-Identifier: BSD-2-Clause */
/* algorithm.c - see algorithm.h. The words themselves are in schema.c. */
#include "keyd/algorithm.h"

static const struct algorithm algorithms[] = {
	{ RAW_ALGORITHM_GCM_128_16, "aes-gcm-128", XESP_ALG_AES_GCM_16, 16 },
	{ RAW_ALGORITHM_GCM_192_16, "aes-gcm-192", XESP_ALG_AES_GCM_16, 24 },
	{ RAW_ALGORITHM_GCM_256_16, "aes-gcm-256", XESP_ALG_AES_GCM_16, 32 },
	{ RAW_ALGORITHM_GCM_128_12, "aes-gcm-128-12", XESP_ALG_AES_GCM_12, 16 },
	{ RAW_ALGORITHM_GCM_192_12, "aes-gcm-192-12", XESP_ALG_AES_GCM_12, 24 },
	{ RAW_ALGORITHM_GCM_256_12, "aes-gcm-256-12", XESP_ALG_AES_GCM_12, 32 },
	{ RAW_ALGORITHM_GCM_128_8, "aes-gcm-128-8", XESP_ALG_AES_GCM_8, 16 },
	{ RAW_ALGORITHM_GCM_192_8, "aes-gcm-192-8", XESP_ALG_AES_GCM_8, 24 },
	{ RAW_ALGORITHM_GCM_256_8, "aes-gcm-256-8", XESP_ALG_AES_GCM_8, 32 },
	{ RAW_ALGORITHM_CHACHA20_POLY1305, "chacha20poly1305", XESP_ALG_CHACHA20_POLY1305, 32 },
};

#define ALGORITHMS (sizeof(algorithms) / sizeof(algorithms[0]))

const struct algorithm *algorithm_find(enum raw_algorithm raw, size_t bytes, const char **takes)
{
	for (size_t i = 0; i < ALGORITHMS; i++) {
		const struct algorithm *a = &algorithms[i];
		/* The kernel's name says neither key nor ICV: 16 bytes of ICV, as `ip xfrm` has without one. */
		const int meant = raw == RAW_ALGORITHM_GCM_ANY ? a->alg == XESP_ALG_AES_GCM_16 :
								 a->raw == raw;

		if (!meant)
			continue;
		if (bytes == (size_t)a->key_len + ALGORITHM_SALT_LEN)
			return a;
		*takes = raw == RAW_ALGORITHM_GCM_ANY ? "20, 28 or 36" :
			 a->key_len == 16	      ? "20" :
			 a->key_len == 24	      ? "28" :
							"36";
	}
	return NULL;
}

const char *algorithm_name(uint8_t alg, uint8_t key_len)
{
	for (size_t i = 0; i < ALGORITHMS; i++)
		if (algorithms[i].alg == alg && algorithms[i].key_len == key_len)
			return algorithms[i].name;
	return "?";
}
