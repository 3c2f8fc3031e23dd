/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * algorithm.h - the names of ESP algorithms: each with its transform and the length of its key.
 *
 * One table for the schema (what may be written), the SAD (what key it takes) and whoever prints it.
 * The first name of an algorithm is ours; the others are strongSwan's and the kernel's. Constant.
 */
#ifndef XESP_KEYD_ALGORITHM_H
#define XESP_KEYD_ALGORITHM_H

#include <stddef.h>
#include <stdint.h>
#include "keyd/schema.h"
#include "xesp/keymsg.h"

#define ALGORITHM_SALT_LEN 4 /* RFC 4106 section 4, RFC 7634 section 2 */

struct algorithm {
	enum raw_algorithm raw;
	const char *name;
	uint8_t alg;     /* enum xesp_alg */
	uint8_t key_len; /* bytes without the salt */
};

/*
 * The algorithm that is meant by a configuration's word with so many bytes of key and salt.
 * NULL: it takes another number of them; `takes` then says which ("20, 28 or 36").
 */
const struct algorithm *algorithm_find(enum raw_algorithm raw, size_t bytes, const char **takes);

/* Our name. */
const char *algorithm_name(uint8_t alg, uint8_t key_len);

#endif /* XESP_KEYD_ALGORITHM_H */
