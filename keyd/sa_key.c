/* SPDX-License-Identifier: BSD-2-Clause */
/* sa_key.c - see sa_key.h. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "keyd/algorithm.h"
#include "keyd/key_text.h"
#include "keyd/sa_key.h"
#include "keyd/sad.h"
#include "keyd/schema.h"
#include "libxesp/secret.h"
#include "xesp/fault.h"

static int digest_keys(struct sa *sa, const struct sa_key *key)
{
	const size_t all = (size_t)sa->key_len + sa->auth_key_len;
	uint8_t whole[SECRET_DIGEST_LEN];
	int err = secret_digest(whole, key->key, all, key->salt, sa->salt_len);

	if (!err) /* a salt is there exactly where the nonce is a number */
		err = secret_digest(sa->digest, key->key,
				sa->salt_len && sa->key_len ? sa->key_len : all, key->salt,
				sa->salt_len);
	memcpy(sa->fingerprint, whole, sizeof(sa->fingerprint));
	return err;
}

/* Hex of `text`, or of the file; which of the two and under which name it is, into `where`. */
struct written {
	const char *text, *file;
	const char *text_name, *file_name;
};

static int read_key(uint8_t bytes[KEY_TEXT_BYTES_MAX], size_t *len, const struct written *w,
		    const char *dir, struct fault *f)
{
	if (w->text)
		return key_text_parse(bytes, len, w->text, f);
	return key_text_read(bytes, len, dir, w->file, f);
}

static const char *name_of(const struct written *w)
{
	return w->text ? w->text_name : w->file_name;
}

/* RFC 4106 section 8.1, RFC 7634 section 2: the last bytes of the key material are the salt. */
static int take_salted(struct sa *sa, struct sa_key *key, struct algorithm *a, const uint8_t *bytes,
		       size_t len, struct fault *f)
{
	int err = algorithm_fit(a, len, f);

	if (err)
		return err;
	sa->key_len = a->key_len;
	sa->auth_key_len = a->auth_key_len;
	memcpy(key->key, bytes, len - a->salt_len);
	memcpy(key->salt, bytes + len - a->salt_len, a->salt_len);
	return 0;
}

static int take_hmac_key(const struct sa *sa, struct sa_key *key, const struct algorithm *a,
			 const uint8_t *bytes, size_t len, struct fault *f)
{
	if (len != a->auth_key_len)
		return fault_set(f, -EINVAL,
				 "the integrity key has %zu bytes: %s takes %u (RFC 4868 section 2.1.1)",
				 len, algorithm_auth_name(a), a->auth_key_len);
	memcpy(key->key + sa->key_len, bytes, len);
	return 0;
}

/* Which of the four keys of the configuration must be there. */
static int check_written(const struct algorithm *a, const struct written *cipher,
			 const struct written *auth, const char *path, struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX];

	if (a->alg == XESP_ALG_NULL || !a->alg) {
		problems_below(where, path, name_of(cipher));
		if (cipher->text || cipher->file)
			return problems_add(ps, where,
					    "nothing is encrypted: the one key is integrity_key");
	} else if (!cipher->text == !cipher->file) {
		return problems_add(ps, path, "needs key or key_file, one of the two");
	}
	if (!a->auth && (auth->text || auth->file)) {
		problems_below(where, path, name_of(auth));
		return problems_add(ps, where, "this algorithm has no integrity key of its own");
	}
	if (a->auth && !auth->text == !auth->file)
		return problems_add(ps, path,
				    "needs integrity_key or integrity_key_file, one of the two");
	return 0;
}

static int take_keys(struct sa *sa, struct sa_key *key, struct algorithm *a,
		     const struct written written[2], const char *dir, const char *path,
		     struct problems *ps)
{
	uint8_t bytes[KEY_TEXT_BYTES_MAX];
	char where[PROBLEMS_PATH_MAX];
	struct fault f = { "" };
	int err = 0;

	for (int i = 0; i < 2 && !err; i++) {
		size_t len = 0;

		if (!written[i].text && !written[i].file)
			continue;
		err = read_key(bytes, &len, &written[i], dir, &f);
		if (!err)
			err = i && a->auth != XESP_AUTH_AES_GMAC ?
				      take_hmac_key(sa, key, a, bytes, len, &f) :
				      take_salted(sa, key, a, bytes, len, &f);
		problems_below(where, path, name_of(&written[i]));
	}
	secret_wipe(bytes, sizeof(bytes));
	return err ? problems_add(ps, where, "%s", f.text) : 0;
}

static int take_algorithm(struct algorithm *a, const struct sa *sa, const struct raw_sa *raw,
			  const char *path, struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX];
	struct fault f = { "" };
	int in_integrity = 1, err;

	problems_below(where, path, "algorithm");
	if (sa->proto == IPPROTO_AH) {
		if (raw->algorithm)
			return problems_add(ps, where,
					    "AH encrypts nothing: leave it out, and say integrity: sha256");
		problems_below(where, path, "integrity");
		if (!raw->integrity)
			return problems_add(ps, where, "missing");
		err = algorithm_parse_ah(a, raw->integrity, &f);
	} else {
		if (!raw->algorithm)
			return problems_add(ps, where, "missing");
		err = algorithm_parse(a, raw->algorithm, raw->integrity, &in_integrity, &f);
	}
	if (!err)
		return 0;
	problems_below(where, path, in_integrity ? "integrity" : "algorithm");
	return problems_add(ps, where, "%s", f.text);
}

int sa_key_take(struct sa *sa, struct sa_key *key, const struct raw_sa *raw, const char *dir,
		const char *path, struct problems *ps)
{
	const struct written written[2] = {
		{ raw->key, raw->key_file, "key", "key_file" },
		{ raw->integrity_key, raw->integrity_key_file, "integrity_key",
		  "integrity_key_file" },
	};
	struct algorithm a;
	int err = take_algorithm(&a, sa, raw, path, ps);

	if (err)
		return err;
	sa->alg = a.alg;
	sa->auth = a.auth;
	sa->auth_key_len = a.auth_key_len;
	sa->salt_len = a.salt_len;
	err = check_written(&a, &written[0], &written[1], path, ps);
	if (!err)
		err = take_keys(sa, key, &a, written, dir, path, ps);
	if (!err && digest_keys(sa, key))
		err = problems_add(ps, path, "libcrypto refused to hash the key");
	return err;
}
