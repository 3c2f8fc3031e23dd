/* SPDX-License-Identifier: BSD-2-Clause */
/* iv.c - see iv.h. */
#include <openssl/rand.h>
#include <string.h>

#include "esp/iv.h"

bool iv_take(struct iv_pool *p, uint8_t out[IV_LEN])
{
	if (!p->left) {
		/* libcrypto's generator of this thread: CTR_DRBG of SP 800-90A, reseeded by it. */
		if (RAND_bytes(p->iv[0], sizeof(p->iv)) != 1)
			return false;
		p->left = IV_POOL;
	}
	memcpy(out, p->iv[--p->left], IV_LEN);
	return true;
}
