/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * choice.h - which engine serves which algorithm on this machine.
 *
 * Why it exists: no engine is the fastest, or there at all, for everything everywhere. There is one
 * choice per process, made before the first key is opened. Main thread, but for the engine's own calls.
 */
#ifndef XESP_CHOICE_H
#define XESP_CHOICE_H

#include "crypto/engine.h"

/* Where the engine of libipsec-mb is: beside the program, as in the build tree, or in ../lib/xesp. */
#define CHOICE_IPSECMB_SO "xesp-ipsecmb.so"

/*
 * `wanted`: "auto" takes of each algorithm and key length the engine that is faster here, among those that
 * pass the self-test; "openssl" that alone; "ipsec-mb" that wherever it has the algorithm, openssl else.
 * `dir` is where to look for shared objects first, or NULL. Loads and measures: call it before rights are
 * given up.
 * -EINVAL   no such name
 * -ENOTSUP  ipsec-mb was asked for by name and cannot be had; with auto the sentence goes to the log
 * -EBADMSG  openssl failed its self-test, or ipsec-mb asked for by name did
 */
int choice_open(const char *wanted, const char *dir, struct fault *f);
/* After the last key was closed. */
void choice_close(void);

/* To be used as any other; its keys are those of the engines chosen. */
const struct engine *choice_engine(void);

/* "openssl", "ipsec-mb", or both with a '+' between them; and the sentence why one is missing, or "". */
const char *choice_name(void);
const char *choice_remark(void);
/* libipsec-mb's version and what it uses of the CPU, as "1.3.0, AVX2 and VAES"; "" where it is not used. */
const char *choice_version(void);

/* The engine of an algorithm with its key length, 0 where it has no encryption key; NULL: no such thing. */
const struct engine *choice_of(unsigned int alg, unsigned int auth, size_t key_len);

/* Each transform with each of its key lengths. */
struct choice_row {
	const char *transform;
	uint32_t key_bits;
	const char *engine;
	/* To seal and open a packet of 512 bytes in a batch of 64: openssl, ipsec-mb; 0 not measured. */
	uint32_t ns[2];
};
void choice_each(void (*row)(void *ctx, const struct choice_row *r), void *ctx);

#endif /* XESP_CHOICE_H */
