/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secret.h - memory for key material: locked, left out of cores, wiped.
 *
 * Any thread. There is no printer on purpose.
 */
#ifndef XESP_SECRET_H
#define XESP_SECRET_H

#include <stddef.h>
#include <stdint.h>

struct fault;

/*
 * Call first in main() of a program that will hold keys: locks all present and future memory
 * (so nothing is swapped), forbids core dumps and ptrace by others (PR_SET_DUMPABLE), and makes
 * free() overwrite most of what it frees (not small chunks): whoever holds key bytes wipes them.
 * -EPERM, -ENOMEM  memory cannot be locked: raise RLIMIT_MEMLOCK or run with CAP_IPC_LOCK
 */
int secret_lock_process(struct fault *f);

/* Zeroed, locked memory outside core dumps; NULL when there is none. Owned by the caller. */
void *secret_alloc(size_t len);

/* Wipes and frees; len as allocated. NULL is allowed. */
void secret_free(void *p, size_t len);

/* Wipes memory that is not ours to free, a message buffer for example. */
void secret_wipe(void *p, size_t len);

#define SECRET_DIGEST_LEN 32
#define SECRET_FINGERPRINT_LEN 8

/*
 * SHA-256("xesp fingerprint" || key || salt): tells whether two keys are one when neither may be kept.
 * -EIO  libcrypto refused
 */
int secret_digest(uint8_t out[SECRET_DIGEST_LEN], const void *key, size_t key_len, const void *salt,
		  size_t salt_len);

/*
 * A name for a key that two ends can compare: the first 8 bytes of its digest. It says nothing about
 * the key's bytes. -EIO as above.
 */
int secret_fingerprint(uint8_t out[SECRET_FINGERPRINT_LEN], const void *key, size_t key_len,
		       const void *salt, size_t salt_len);

#endif /* XESP_SECRET_H */
