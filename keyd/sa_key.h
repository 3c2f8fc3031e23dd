/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sa_key.h - algorithm and keys of an SA, from the words of the configuration.
 *
 * Why it exists: here it is decided which keys count as one. Main thread.
 */
#ifndef XESP_KEYD_SA_KEY_H
#define XESP_KEYD_SA_KEY_H

#include "keyd/problems.h"

struct raw_sa;
struct sa;
struct sa_key;

/*
 * Fills alg, auth, the lengths, digest and fingerprint of the SA and its keys. `dir` is where relative
 * paths of key files start, `path` names the SA ("sas[3]"). -EINVAL with problems.
 *
 * The fingerprint is of all key material. The digest is under what the lease book remembers numbers: of
 * algorithms whose nonce is a number it leaves the integrity key out, for a counter that repeats
 * under one encryption key is as bad with another integrity key beside it.
 */
int sa_key_take(struct sa *sa, struct sa_key *key, const struct raw_sa *raw, const char *dir,
		const char *path, struct problems *ps);

#endif /* XESP_KEYD_SA_KEY_H */
