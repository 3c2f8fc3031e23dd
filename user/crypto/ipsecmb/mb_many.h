/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mb_many.h - jobs that libipsec-mb takes by the batch, whatever SAs they are of: ChaCha20-Poly1305, AES-CCM, and AES-CBC,
 * AES-CTR and NULL with HMAC.
 */
#ifndef XESP_MB_MANY_H
#define XESP_MB_MANY_H

#include <stddef.h>

#include "crypto/engine.h"

#define MB_MANY_MAX 256

/* Does those of the n jobs, up to MB_MANY_MAX, that are not for direct calls, and sets their `ok`. */
void mb_many(struct engine_job *jobs, size_t n, enum xesp_dir dir);

#endif /* XESP_MB_MANY_H */
