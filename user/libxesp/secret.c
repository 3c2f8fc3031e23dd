/* SPDX-License-Identifier: BSD-2-Clause */
/* secret.c - see secret.h. */
#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "libxesp/secret.h"
#include "xesp/fault.h"

int secret_lock_process(struct fault *f)
{
	const struct rlimit no_core = { 0, 0 };
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	/* The limit may already be enough, so only mlockall() decides. */
	setrlimit(RLIMIT_MEMLOCK, &all);
	if (setrlimit(RLIMIT_CORE, &no_core) || prctl(PR_SET_DUMPABLE, 0))
		return fault_set(f, -errno, "cannot forbid core dumps: %s", strerror(errno));
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		return fault_set(f, -errno,
				 "cannot lock memory for keys: %s; raise RLIMIT_MEMLOCK or run with CAP_IPC_LOCK",
				 strerror(errno));
	/*
	 * glibc overwrites freed memory with the byte's complement, but not the small chunks that
	 * its per-thread cache keeps: a second net. Whoever holds key bytes wipes them.
	 */
	mallopt(M_PERTURB, 0x5a);
	return 0;
}

static size_t round_to_pages(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (len + page - 1) / page * page;
}

void *secret_alloc(size_t len)
{
	size_t size = round_to_pages(len ? len : 1);
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (mlock(p, size) || madvise(p, size, MADV_DONTDUMP)) {
		munmap(p, size);
		return NULL;
	}
	return p;
}

void secret_free(void *p, size_t len)
{
	if (!p)
		return;
	OPENSSL_cleanse(p, len);
	munmap(p, round_to_pages(len ? len : 1));
}

void secret_wipe(void *p, size_t len)
{
	OPENSSL_cleanse(p, len);
}

int secret_digest(uint8_t out[SECRET_DIGEST_LEN], const void *key, size_t key_len, const void *salt,
		  size_t salt_len)
{
	static const char domain[] = "xesp fingerprint";
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok;

	if (!ctx)
		return -EIO;
	ok = EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) &&
	     EVP_DigestUpdate(ctx, domain, sizeof(domain) - 1) &&
	     EVP_DigestUpdate(ctx, key, key_len) && EVP_DigestUpdate(ctx, salt, salt_len) &&
	     EVP_DigestFinal_ex(ctx, out, NULL);
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

int secret_fingerprint(uint8_t out[SECRET_FINGERPRINT_LEN], const void *key, size_t key_len,
		       const void *salt, size_t salt_len)
{
	uint8_t digest[SECRET_DIGEST_LEN];
	int err = secret_digest(digest, key, key_len, salt, salt_len);

	if (!err)
		memcpy(out, digest, SECRET_FINGERPRINT_LEN);
	OPENSSL_cleanse(digest, sizeof(digest));
	return err;
}
