/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sa.c - from a key message to the SA that workers use: every value checked, keys prepared.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/engine.h"
#include "crypto/transform.h"
#include "libxesp/arena.h"
#include "libxesp/secret.h"
#include "sad/lifetime.h"
#include "sad/sa.h"
#include "sad/unique.h"
#include "xesp/fault.h"

#pragma GCC poison strcpy strcat gets memcmp

#define SPI_RESERVED_MAX 255 /* RFC 4303 section 2.1 */
#define WINDOW_MIN 32        /* RFC 4303 section 3.4.3 */
#define WINDOW_MAX 65536
#define SPINS 1000
#define SEQ_MAX 0xffffffffull
#define SEQ_MAX_ESN (UINT64_MAX - 1) /* so that "one behind it" is still a number */

static int check_identity(const struct xesp_sa_state *st, const struct xesp_keymsg_sa *m,
			  struct fault *f)
{
	uint8_t fingerprint[SECRET_FINGERPRINT_LEN];
	uint64_t want;
	int err;

	if (m->over) {
		/* It comes without its key: what it is for must fit all the same. */
		want = st->fingerprint;
		goto compare;
	}
	err = secret_fingerprint(fingerprint, m->key, (size_t)m->key_len + m->auth_key_len,
				 m->salt, m->salt_len);
	if (err)
		return fault_set(f, err, "libcrypto refused to make a fingerprint");
	memcpy(&want, fingerprint, sizeof(want));
compare:
	if (!st->in_use || st->spi != m->spi || st->dir != m->dir || st->esn != m->esn ||
	    st->proto != m->proto ||
	    st->fingerprint != want)
		return fault_set(f, -EEXIST,
				 "the state under this id is of another SA (%.*s); restart xesp-keyd",
				 XESP_NAME_MAX, st->name);
	return 0;
}

static int check_values(const struct transform *t, const struct xesp_keymsg_sa *m, struct fault *f)
{
	/* AH has no cipher, RFC 4302, and ESP has one, if only NULL. */
	if (!t || !t->alg != (m->proto == IPPROTO_AH))
		return fault_set(f, -EINVAL, "algorithm %u with integrity %u is not known here",
				 m->alg, m->auth);
	if ((size_t)m->key_len + m->auth_key_len > sizeof(m->key) ||
	    m->salt_len > sizeof(m->salt) ||
	    !transform_fits(t, m->key_len, m->auth_key_len, m->salt_len))
		return fault_set(f, -EINVAL,
				 "%s takes no keys of %u and %u bytes with a salt of %u", t->name,
				 m->key_len, m->auth_key_len, m->salt_len);
	if (ntohl(m->spi) <= SPI_RESERVED_MAX)
		return fault_set(f, -EINVAL, "SPI %u is reserved; use 256 or more", ntohl(m->spi));
	if (m->dir >= XESP_DIR_MAX || m->esn > 1 ||
	    (m->proto != IPPROTO_ESP && m->proto != IPPROTO_AH))
		return fault_set(f, -EINVAL, "direction %u, ESN %u, protocol %u: no such value", m->dir,
				 m->esn, m->proto);
	if (!unique_is_valid(&m->values))
		return fault_set(f, -EINVAL, "values of its own under mask 0x%x: no such ones",
				 m->values.mask);
	return 0;
}

static int set_window(struct sa *sa, const struct sa_source *from, const struct xesp_keymsg_sa *m,
		      struct fault *f)
{
	uint32_t off = from->state->replay_off, words = from->state->replay_words;

	if (!m->window)
		return 0;
	if (m->window < WINDOW_MIN || m->window > WINDOW_MAX)
		return fault_set(f, -EINVAL, "a replay window of %u packets; %u to %u are possible",
				 m->window, WINDOW_MIN, WINDOW_MAX);
	if (!words || words & (words - 1) || off > from->replay_words ||
	    words > from->replay_words - off || m->window > 64 * (uint64_t)words)
		return fault_set(f, -EINVAL, "%u words at %u do not hold a window of %u packets",
				 words, off, m->window);
	sa->in = (struct sa_in){ .words = from->replay + off, .mask = words - 1,
				 .window = m->window };
	return 0;
}

static int set_outbound(struct sa *sa, const struct sa_source *from,
			const struct xesp_keymsg_sa *m, struct fault *f)
{
	uint64_t max = sa->esn ? SEQ_MAX_ESN : SEQ_MAX;
	uint32_t spi = ntohl(sa->spi);

	/* One label per SA, RFC 6437 section 2, made of what an observer sees in the SPI anyway:
	 * one of each inner flow would tell which packets belong together. */
	if (m->seq_max > max)
		return fault_set(f, -EINVAL, "a last number of %llu; it has none beyond %llu",
				 (unsigned long long)m->seq_max, (unsigned long long)max);
	sa->out.seq_max = m->seq_max ? m->seq_max : max;
	sa->out.flow_label = htonl((spi * 0x9e3779b1u) >> 12);
	/* Atomic: when this SA replaces itself, workers go on taking numbers. */
	if (__atomic_load_n(&from->state->seq_next, __ATOMIC_RELAXED) > max + 1 ||
	    __atomic_load_n(&from->state->lease_end, __ATOMIC_RELAXED) > max)
		return fault_set(f, -EINVAL, "its sequence numbers are past their end; rekey");
	return 0;
}

static int open_keys(struct sa *sa, const struct engine *engine, const struct xesp_keymsg_sa *m,
		     struct fault *f)
{
	struct engine_key_spec spec = {
		.alg = m->alg,
		.auth = m->auth,
		.dir = m->dir,
		.key = m->key,
		.key_len = m->key_len,
		.auth_key = m->key + m->key_len,
		.auth_key_len = m->auth_key_len,
	};

	for (uint32_t i = 0; i < sa->cold.home->keys_n; i++) {
		spec.worker = i;
		sa->key[i] = engine->key_open(&spec, f);
		if (!sa->key[i])
			return -ENOMEM;
	}
	return 0;
}

size_t sa_size(uint32_t keys_n)
{
	return offsetof(struct sa, key) + keys_n * sizeof(struct engine_key *) + sizeof(struct xesp_values);
}

size_t sa_bytes(uint32_t keys_n, uint32_t replay_words)
{
	const struct arena a = ARENA_OF(sa_size(keys_n));

	return a.size + sizeof(struct sa_shared) + sizeof(struct xesp_sa_state) + replay_words * sizeof(uint64_t);
}

int sa_open(struct sa **out, const struct sa_source *from, const struct xesp_keymsg_sa *m,
	    struct fault *f)
{
	const struct transform *t = transform_find(m->alg, m->auth);
	struct sa *sa;
	int err;

	err = check_values(t, m, f);
	if (!err)
		err = check_identity(from->state, m, f);
	if (err)
		return err;

	sa = arena_take(&from->home->arena);
	if (!sa)
		return fault_set(f, -ENOMEM, "out of memory");
	sa->state = from->state;
	sa->transform = t;
	sa->id = m->id;
	sa->tunnel = m->tunnel;
	sa->spi = m->spi;
	sa->dir = m->dir;
	sa->esn = m->esn;
	sa->proto = m->proto;
	sa->unique = m->values.mask;
	memcpy(sa->salt, m->salt, sizeof(sa->salt));
	sa->cold.home = from->home;
	*sa_values(sa) = m->values;

	err = m->dir == XESP_DIR_IN ? set_window(sa, from, m, f) : set_outbound(sa, from, m, f);
	lifetime_set(sa, m);
	if (!err && !m->over)
		err = open_keys(sa, from->home->engine, m, f);
	if (err) {
		sa_close(sa);
		return err;
	}
	*out = sa;
	return 0;
}

void sa_close(struct sa *sa)
{
	if (!sa)
		return;
	for (uint32_t i = 0; i < sa->cold.home->keys_n; i++)
		sa->cold.home->engine->key_close(sa->key[i]);
	arena_put(&sa->cold.home->arena, sa); /* wipes it */
}

void sa_wait(struct sa_shared *sh)
{
	uint32_t spins = 0;

	do {
		while (__atomic_load_n(&sh->lock, __ATOMIC_RELAXED)) {
			if (++spins % SPINS == 0)
				sched_yield();
		}
	} while (__atomic_exchange_n(&sh->lock, 1, __ATOMIC_ACQUIRE));
}
