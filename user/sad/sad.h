/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sad.h - xespd's copy of the SAD: tunnels and SAs by id, keys included; keyd owns the truth.
 *
 * The main thread changes it; workers read it without locks. What a worker has got stays valid
 * until that worker says sad_quiescent(); removed SAs are wiped and freed once every worker has.
 * Sequence numbers, windows and counters live in the pinned maps (struct xesp_sa_state), so that
 * they outlive this process.
 */
#ifndef XESP_SAD_H
#define XESP_SAD_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/keymsg.h"

struct acquire_note;
struct engine;
struct fault;
struct groups;
struct sa;
struct sad;
struct spd_memory;
struct uniques;
struct xesp_dropped;

/* The mapped state that the SAD works on; borrowed, all of it outlives the SAD. */
struct sad_state {
	struct xesp_sa_state *sa;          /* [max_sas] */
	uint64_t *replay;                  /* [replay_words] */
	struct xesp_policy_drops *policy;  /* [max_policies] */
	struct xesp_worker_stats *worker;  /* [XESP_WORKERS_MAX] */
	struct xesp_dropped *last; /* [XESP_WORKERS_MAX * XESP_LAST_RECORDS]; NULL: nobody keeps them */
	const struct spd_memory *spd;      /* the inbound check; NULL: nothing may come in */
	uint32_t max_sas, replay_words, max_policies;
};

/*
 * workers_n counts the slow path too. That one, the last, is the main thread's own: it counts as
 * idle always, and what it has got stays valid until the main thread calls sad_reclaim().
 * Ended by sad_close(), after all workers have ended.
 */
int sad_open(struct sad **out, const struct sad_state *st, uint32_t workers_n,
	     const struct engine *e, struct fault *f);
void sad_close(struct sad *s);

/*
 * Main thread, before the first SA: so many threads beside the workers use keys, though they look nothing
 * up. Their indices among an SA's keys follow the slow path's.
 */
void sad_set_helpers(struct sad *s, uint32_t helpers_n);
/* Main thread, before the first tunnel: the number by which a worker's own SAs are told, see sad/cpus.h. */
void sad_set_cpu(struct sad *s, uint32_t worker, uint32_t cpu);
uint32_t sad_cpu(const struct sad *s, uint32_t worker);
uint32_t sad_workers(const struct sad *s); /* without the slow path */

/* ---- main thread: what keyd says. Lengths were checked by the caller; values are checked here. */

/* Between the two, everything not named again is removed by sad_sync_end(). */
void sad_sync_begin(struct sad *s);
void sad_sync_end(struct sad *s);

/* m->cpus_n struct xesp_keymsg_cpu follow it. */
int sad_tunnel_set(struct sad *s, const struct xesp_keymsg_tunnel *m, struct fault *f);
int sad_tunnel_del(struct sad *s, uint32_t id, struct fault *f); /* of a group, too */
/* sad/group.h: equal tunnels, and those of them whose peer does not answer. */
int sad_group_set(struct sad *s, const struct xesp_keymsg_group *m, struct fault *f);
int sad_tunnel_down(struct sad *s, uint32_t id, bool down, struct fault *f);
/*
 * Adds or replaces. The key is copied into the engine's contexts, one per worker; the caller wipes
 * its message. An outbound SA whose xesp_sa_state still holds numbers of an earlier lease goes on
 * behind them. -EINVAL with a sentence; -EEXIST: the state's identity is of another SA.
 */
int sad_add(struct sad *s, const struct xesp_keymsg_sa *m, struct fault *f);
int sad_del(struct sad *s, uint32_t id, struct fault *f);
/* Waits until no worker holds what was deleted up to here, mostly for a batch. -EBUSY: one holds it after a second. */
int sad_wait(const struct sad *s);
int sad_lease_grant(struct sad *s, const struct xesp_keymsg_lease *m, struct fault *f);
void sad_lease_refused(struct sad *s, uint32_t id);

/* Becomes readable (an eventfd) when a worker has taken half of an SA's lease or found it empty. */
int sad_lease_fd(const struct sad *s);
/* The SAs to ask a lease for: calls `ask` once for each and for each only once until granted. */
void sad_lease_wanted(struct sad *s, void (*ask)(void *ctx, uint32_t sa_id), void *ctx);

/* Becomes readable (an eventfd) when a tunnel's remote end was seen elsewhere: sad/peer.h. */
int sad_peer_fd(const struct sad *s);
/* Then: tunnels that follow their peers send there from now on. Returns how many were seen to have moved. */
uint32_t sad_move_peers(struct sad *s);
/* Calls `tell` once for each tunnel whose peer is not where keyd believes; without a header. */
void sad_tell_peers(struct sad *s, void (*tell)(void *ctx, const struct xesp_keymsg_peer *m),
		    void *ctx);

/* Becomes readable (an eventfd) when a packet found no SA of its own: sad/acquire.h. */
int sad_acquire_fd(const struct sad *s);
/* Then: calls `tell` once for each. */
void sad_tell_acquires(struct sad *s, void (*tell)(void *ctx, const struct acquire_note *n),
		       void *ctx);

/* Frees what every worker has let go of; call from a timer. */
void sad_reclaim(struct sad *s);

uint32_t sad_count(const struct sad *s);

/* The tunnel's addresses and MTU, for the next hop watch and `xesp0`'s MTU. False: no such id. */
bool sad_tunnel_get(const struct sad *s, uint32_t id, struct xesp_keymsg_tunnel *out);
/* The path MTU that the tunnel's outer packets must fit, in bytes: the smaller of this and the
 * configured one holds. Set from the route to the remote address, whenever that changes. */
void sad_tunnel_mtu(struct sad *s, uint32_t id, uint32_t mtu);
uint32_t sad_tunnels_max(const struct sad *s); /* ids are below it */

/* ---- workers */

const struct groups *sad_groups(const struct sad *s); /* lives as long as the SAD */
const struct uniques *sad_uniques(const struct sad *s); /* likewise */

/* Between batches and before sleeping: this worker holds no SA now. */
void sad_quiescent(struct sad *s, uint32_t worker);
/*
 * The same for a worker that has batches under way: it holds nothing that it looked up before
 * sad_epoch() said `epoch`. Their keys may be in use by helpers, which are thereby waited for, too.
 */
uint64_t sad_epoch(const struct sad *s);
void sad_quiescent_at(struct sad *s, uint32_t worker, uint64_t epoch);
/* Around a sleep: a worker that is idle holds nothing, and need not be waited for. */
void sad_idle(struct sad *s, uint32_t worker, bool idle);

#endif /* XESP_SAD_H */
