/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sa.h - an SA as a worker sees it, RFC 4301 section 4.4.2.
 *
 * The structs are visible because encap and decap read them per run of packets. A worker gets one
 * by sad_find() and may use it until its sad_quiescent(). All of struct sa is constant once
 * published; what changes is in struct xesp_sa_state (mapped, outlives the process) and in struct
 * sa_shared (of this process). Both are reached by atomic operations only, for several workers may
 * serve one SA, and while an SA is replaced by itself two objects work on one state.
 */
#ifndef XESP_SA_H
#define XESP_SA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libxesp/arena.h"
#include "sad/epoch.h"
#include "xesp/keymsg.h"

struct acquire_desk;
struct engine;
struct engine_key;
struct fault;
struct lease_desk;
struct peer_desk;
struct resync_desk;
struct sad;
struct sad_state;
struct transform;

/* What all objects of one SA id share in this process; lives as long as the SAD. */
struct sa_shared {
	uint32_t lock;        /* of the replay window: esp/replay.c */
	uint32_t pad;
	uint64_t first;       /* inbound: first number this process accepted; 0 none. Under lock */
	uint64_t ask_at;      /* outbound: ask for a lease when seq_next passes it: sad/lease.c */
	struct sa *sa;        /* published: what sad_find() finds */
	/* main thread only */
	uint64_t fingerprint; /* of the latest key */
	uint64_t retired_at;  /* epoch of the latest object taken away */
	uint32_t failed;      /* inbound, ESN: packets in a row that did not authenticate: sad/resync.h */
	uint32_t pad2;
	uint64_t reserved;
} __attribute__((aligned(64)));

/* Hot, inbound: its window, RFC 6479. See esp/replay.h. */
struct sa_in {
	uint64_t *words;
	uint32_t mask;   /* words - 1; words is a power of two */
	uint32_t window; /* packets; 0: no anti-replay */
};

/* Hot, outbound. */
struct sa_out {
	uint64_t seq_max; /* last number that may ever be sent, RFC 4303 section 3.3.3 */
	__be32 flow_label; /* of outer IPv6 headers, the upper 12 bits clear */
	uint32_t pad;
};

enum sa_life { SA_LIFE_UNLIMITED, SA_LIFE_LIMITED, SA_LIFE_OVER };

/* Hard limits, see sad/lifetime.h; 0 none. Workers read them when `life` says so. */
struct sa_limits {
	uint64_t packets, bytes, until_ns;
};

/* Where all SAs of a SAD lie, and whose keys they have. Main thread. */
struct sa_home {
	struct arena arena; /* of objects of sa_size(keys_n) */
	const struct engine *engine;
	uint32_t keys_n; /* contexts of each key: the workers', the slow path's, the helpers' */
};

/* Cold: but for `limits`, the main thread's only. */
struct sa_cold {
	struct epoch_item retire;
	struct sa_home *home;
	uint32_t named_in; /* number of the last synchronisation that named it */
	uint32_t pad;
	struct sa_limits limits;
};

struct sa {
	struct sa_cold cold;
	/* one cache line that every packet reads, and of the next one its key */
	struct xesp_sa_state *state;
	struct sa_shared *shared;
	const struct transform *transform;
	union {
		struct sa_in in;
		struct sa_out out;
	};
	uint32_t id;
	uint32_t tunnel;
	__be32 spi;
	uint8_t salt[4]; /* key material */
	uint8_t dir; /* enum xesp_dir */
	uint8_t esn;
	uint8_t life; /* enum sa_life */
	uint8_t proto; /* IPPROTO_ESP or IPPROTO_AH */
	uint8_t unique; /* sa_values() are looked at: bits of enum xesp_pfp */
	uint8_t pad[3];
	struct engine_key *key[]; /* by worker; behind them sa_values() */
} __attribute__((aligned(64)));

/* Of a unique SA, RFC 4301 section 4.4.2.2. */
static inline struct xesp_values *sa_values(const struct sa *sa)
{
	return (struct xesp_values *)(uintptr_t)&sa->key[sa->cold.home->keys_n];
}

_Static_assert(sizeof(struct sa_shared) == 64, "a cache line");
_Static_assert(sizeof(struct sa_in) == 16 && sizeof(struct sa_out) == 16, "half of the hot line");
_Static_assert(offsetof(struct sa, state) == 64 && offsetof(struct sa, key) == 128,
	       "what packets read is one cache line, and the beginning of the next");

/* Workers. NULL: no such SA. The pointer is good until the caller's sad_quiescent(). */
struct sa *sad_find(const struct sad *s, uint32_t id);

/* What esp/ needs of the SAD once: all live as long as it. */
const struct sad_state *sad_mapped(const struct sad *s);
const struct engine *sad_engine(const struct sad *s);
struct lease_desk *sad_desk(struct sad *s);
struct peer_desk *sad_peers(struct sad *s);
struct resync_desk *sad_resync(struct sad *s);
struct acquire_desk *sad_acquires(struct sad *s);

/*
 * A spin lock: held for the few writes of a run's commit, and wanted by two threads only while
 * they serve one SA. A holder that lost its CPU is waited for by giving up ours.
 */
void sa_wait(struct sa_shared *sh);

static inline void sa_lock(struct sa_shared *sh)
{
	/* Acquire, with the release in sa_unlock(). */
	if (__builtin_expect(__atomic_exchange_n(&sh->lock, 1, __ATOMIC_ACQUIRE), 0))
		sa_wait(sh);
}

static inline void sa_unlock(struct sa_shared *sh)
{
	__atomic_store_n(&sh->lock, 0, __ATOMIC_RELEASE);
}

/*
 * Checks the message against the state's identity and builds the object; the caller publishes it.
 * Main thread. -EINVAL, -EEXIST, -ENOMEM, as sad_add().
 */
struct sa_source {
	struct xesp_sa_state *state;
	uint64_t *replay; /* [replay_words] */
	uint32_t replay_words;
	struct sa_home *home;
};
size_t sa_size(uint32_t keys_n);

/*
 * Bytes of an SA in memory, without the engine's key schedules: the object with so many keys, struct sa_shared, the
 * element of the map, and `replay_words` of a window.
 */
size_t sa_bytes(uint32_t keys_n, uint32_t replay_words);
int sa_open(struct sa **out, const struct sa_source *from, const struct xesp_keymsg_sa *m,
	    struct fault *f);
/* Wipes. NULL is allowed. */
void sa_close(struct sa *sa);

#endif /* XESP_SA_H */
