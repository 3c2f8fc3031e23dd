/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * iv.h - IVs that nobody can foretell, for AES-CBC: RFC 3602 section 3.
 *
 * Why from a buffer: a generator asked for each packet costs more than the packet's first cipher
 * blocks; asked for 256 IVs at once it costs 5 ns an IV, and enters the kernel only to reseed. Why not the encrypted
 * sequence number (NIST SP 800-38A appendix C, first method): that needs a second key schedule
 * per SA and a call of the library per packet, and under the SA's own key an attacker who has packets of his
 * choice encrypted could undo it. One pool per worker, one thread.
 */
#ifndef XESP_IV_H
#define XESP_IV_H

#include <stdbool.h>
#include <stdint.h>

#define IV_LEN 16
#define IV_POOL 256

struct iv_pool {
	uint32_t left; /* IVs not yet used: the first ones of the array */
	uint8_t iv[IV_POOL][IV_LEN];
};

/* False: the library has no random numbers; then no packet may be sent. */
bool iv_take(struct iv_pool *p, uint8_t out[IV_LEN]);

#endif /* XESP_IV_H */
