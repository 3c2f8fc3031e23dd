/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sad.c - the tables of SAs and tunnels, by id.
 *
 * One writer, the main thread: it builds an object, publishes it with one store, and retires what
 * stood there. Readers are the workers; see epoch.h for how long they may hold what they found.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/engine.h"
#include "libxesp/addr.h"
#include "sad/acquire.h"
#include "sad/epoch.h"
#include "sad/group.h"
#include "sad/lease.h"
#include "sad/peer.h"
#include "sad/resync.h"
#include "sad/sa.h"
#include "sad/sad.h"
#include "sad/table.h"
#include "sad/tunnel.h"
#include "sad/unique.h"
#include "xesp/fault.h"

#pragma GCC poison strcpy strcat gets memcmp

/* ---- workers. The loads are in total order with epoch_idle(), and acquire what they find. */

struct sa *sad_find(const struct sad *s, uint32_t id)
{
	return id < s->st.max_sas ? __atomic_load_n(&s->shared[id].sa, __ATOMIC_SEQ_CST) : NULL;
}

const struct tunnel *sad_tunnel(const struct sad *s, uint32_t id)
{
	return id < s->tunnels_max ? __atomic_load_n(&s->tunnel[id].tunnel, __ATOMIC_SEQ_CST) :
				     NULL;
}

const struct groups *sad_groups(const struct sad *s)
{
	return &s->groups;
}

const struct uniques *sad_uniques(const struct sad *s)
{
	return &s->uniques;
}

const struct sad_state *sad_mapped(const struct sad *s)
{
	return &s->st;
}

const struct engine *sad_engine(const struct sad *s)
{
	return s->engine;
}

struct lease_desk *sad_desk(struct sad *s)
{
	return &s->desk;
}

struct resync_desk *sad_resync(struct sad *s)
{
	return &s->resync;
}

struct peer_desk *sad_peers(struct sad *s)
{
	return &s->peers;
}

struct acquire_desk *sad_acquires(struct sad *s)
{
	return &s->acquires;
}

void sad_quiescent(struct sad *s, uint32_t worker)
{
	if (worker < s->epoch.readers_n)
		epoch_quiescent(&s->epoch, worker);
}

uint64_t sad_epoch(const struct sad *s)
{
	return epoch_now(&s->epoch);
}

void sad_quiescent_at(struct sad *s, uint32_t worker, uint64_t epoch)
{
	if (worker < s->epoch.readers_n)
		epoch_quiescent_at(&s->epoch, worker, epoch);
}

void sad_idle(struct sad *s, uint32_t worker, bool idle)
{
	if (worker < s->epoch.readers_n)
		epoch_idle(&s->epoch, worker, idle);
}

/* ---- main thread */

static void free_sa(struct epoch_item *item)
{
	sa_close((struct sa *)((char *)item - offsetof(struct sa, cold.retire)));
}

static void free_tunnel(struct epoch_item *item)
{
	tunnel_close((struct tunnel *)((char *)item - offsetof(struct tunnel, retire)));
}

static void put_sa(struct sad *s, uint32_t id, struct sa *sa)
{
	struct sa *old = s->shared[id].sa;

	__atomic_store_n(&s->shared[id].sa, sa, __ATOMIC_SEQ_CST);
	if (old)
		s->shared[id].retired_at = epoch_retire(&s->epoch, &old->cold.retire, free_sa);
	s->count = s->count + (sa != NULL) - (old != NULL);
}

static void put_tunnel(struct sad *s, uint32_t id, struct tunnel *t)
{
	struct tunnel *old = s->tunnel[id].tunnel;

	__atomic_store_n(&s->tunnel[id].tunnel, t, __ATOMIC_SEQ_CST);
	if (old)
		epoch_retire(&s->epoch, &old->retire, free_tunnel);
}

int sad_open(struct sad **out, const struct sad_state *st, uint32_t workers_n,
	     const struct engine *e, struct fault *f)
{
	struct sad *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return fault_set(f, -ENOMEM, "out of memory");
	s->desk.fd = s->peers.fd = s->resync.fd = s->acquires.fd = -1;
	s->st = *st;
	s->engine = e;
	s->home = (struct sa_home){ .arena = ARENA_OF(sa_size(workers_n)), .engine = e, .keys_n = workers_n };
	cpus_init(&s->cpus, workers_n - 1);
	s->tunnels_max = st->max_sas; /* as many as map xesp_tunnels has entries */
	s->shared = arena_map_huge(st->max_sas * sizeof(*s->shared));
	s->tunnel = arena_map_huge(s->tunnels_max * sizeof(*s->tunnel));
	if (!s->shared || !s->tunnel || epoch_init(&s->epoch, workers_n - 1) ||
	    groups_init(&s->groups, &s->epoch, s->tunnels_max) ||
	    uniques_init(&s->uniques, &s->epoch, st->max_sas))
		err = fault_set(f, -ENOMEM, "out of memory");
	else
		err = lease_desk_open(&s->desk, st->max_sas, f);
	if (!err)
		err = peer_desk_open(&s->peers, s->tunnels_max, f);
	if (!err)
		err = resync_open(&s->resync, f);
	if (!err)
		err = acquire_desk_open(&s->acquires, f);
	if (err) {
		sad_close(s);
		return err;
	}
	*out = s;
	return 0;
}

void sad_set_helpers(struct sad *s, uint32_t helpers_n)
{
	/* No SA lies there yet: those to come have room for so many keys. */
	if (s->count)
		abort();
	s->home.keys_n += helpers_n;
	s->home.arena = (struct arena)ARENA_OF(sa_size(s->home.keys_n));
}

void sad_set_cpu(struct sad *s, uint32_t worker, uint32_t cpu)
{
	s->cpus.of[worker] = cpu;
}

uint32_t sad_cpu(const struct sad *s, uint32_t worker)
{
	return s->cpus.of[worker];
}

uint32_t sad_workers(const struct sad *s)
{
	return s->cpus.workers_n;
}

void sad_close(struct sad *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; s->shared && i < s->st.max_sas; i++)
		sa_close(s->shared[i].sa);
	for (uint32_t i = 0; s->tunnel && i < s->tunnels_max; i++)
		tunnel_close(s->tunnel[i].tunnel);
	epoch_fini(&s->epoch);
	arena_fini(&s->home.arena);
	groups_fini(&s->groups);
	uniques_fini(&s->uniques);
	lease_desk_close(&s->desk);
	peer_desk_close(&s->peers);
	resync_close(&s->resync);
	acquire_desk_close(&s->acquires);
	arena_unmap_huge(s->tunnel, s->tunnels_max * sizeof(*s->tunnel));
	arena_unmap_huge(s->shared, s->st.max_sas * sizeof(*s->shared));
	free(s);
}

void sad_sync_begin(struct sad *s)
{
	s->sync++;
	s->syncing = true;
}

void sad_sync_end(struct sad *s)
{
	if (!s->syncing)
		return;
	s->syncing = false;
	for (uint32_t i = 0; i < s->st.max_sas; i++)
		if (s->shared[i].sa && s->shared[i].sa->cold.named_in != s->sync)
			sad_del(s, i, NULL);
	for (uint32_t i = 0; i < s->tunnels_max; i++)
		if (s->tunnel[i].tunnel && s->tunnel[i].tunnel->named_in != s->sync)
			sad_tunnel_del(s, i, NULL);
	groups_sweep(&s->groups, s->sync);
	/* Another keyd, perhaps: what the former was asked, this one has not heard. */
	lease_forget_all(&s->desk);
}

static int check_tunnel_id(const struct sad *s, uint32_t id, struct fault *f)
{
	if (!id || id >= s->tunnels_max)
		return fault_set(f, -EINVAL, "tunnel id %u; 1 to %u are possible", id,
				 s->tunnels_max - 1);
	return 0;
}

static int check_sa_id(const struct sad *s, uint32_t id, struct fault *f)
{
	if (!id || id >= s->st.max_sas)
		return fault_set(f, -EINVAL, "SA id %u; 1 to %u are possible", id,
				 s->st.max_sas - 1);
	return 0;
}

/* What we saw ourselves is newer than what keyd knows. */
static void keep_peer(struct sad *s, struct xesp_keymsg_tunnel *m)
{
	struct tunnel_slot *slot = &s->tunnel[m->id];
	const struct xesp_natt *was = slot->tunnel ? &slot->tunnel->as_told.natt : NULL;

	slot->moved = false;
	if (!was || !tunnel_same_place(&slot->tunnel->as_told, m))
		return;
	slot->moved = m->natt.peer_port != was->peer_port ||
		      !addr_equal(&m->natt.peer, &was->peer);
	m->natt.peer = was->peer;
	m->natt.peer_port = was->peer_port;
	slot->seen = (struct xesp_keymsg_peer){ .tunnel = m->id, .port = was->peer_port, .addr = was->peer };
}

int sad_tunnel_set(struct sad *s, const struct xesp_keymsg_tunnel *told, struct fault *f)
{
	struct xesp_keymsg_tunnel with_peer = *told;
	const struct xesp_keymsg_tunnel *m = &with_peer;
	uint32_t *by_worker = NULL;
	struct tunnel *t;
	int err;

	err = check_tunnel_id(s, m->id, f);
	if (!err && m->sa_out)
		err = check_sa_id(s, m->sa_out, f);
	if (!err)
		err = cpus_resolve(&s->cpus, told, s->st.max_sas, &by_worker, f);
	if (!err) {
		keep_peer(s, &with_peer);
		err = tunnel_open(&t, m, f);
	}
	if (err) {
		free(by_worker);
		return fault_in(f, err, "tunnel %.*s", XESP_NAME_MAX, m->name);
	}
	tunnel_give(t, by_worker);
	t->named_in = s->sync;
	tunnel_set_path_mtu(t, s->tunnel[m->id].path_mtu);
	put_tunnel(s, m->id, t);
	return 0;
}

int sad_tunnel_del(struct sad *s, uint32_t id, struct fault *f)
{
	int err = check_tunnel_id(s, id, f);

	if (err)
		return err;
	if (groups_del(&s->groups, id))
		return 0;
	if (!s->tunnel[id].tunnel)
		return fault_set(f, -ENOENT, "no tunnel has the id %u", id);
	put_tunnel(s, id, NULL);
	s->tunnel[id].path_mtu = 0;
	return groups_tunnel_down(&s->groups, id, false, f);
}

int sad_group_set(struct sad *s, const struct xesp_keymsg_group *m, struct fault *f)
{
	return groups_set(&s->groups, m, s->sync, f);
}

int sad_tunnel_down(struct sad *s, uint32_t id, bool down, struct fault *f)
{
	return groups_tunnel_down(&s->groups, id, down, f);
}

/*
 * The id was another SA's in this process. A worker that still holds that one would take numbers
 * of the new key for packets under the old: repeated nonces. So the new one waits for it.
 */
static int give_id_away(struct sad *s, uint32_t id, struct fault *f)
{
	struct sa_shared *sh = &s->shared[id];

	put_sa(s, id, NULL);
	lease_forget(&s->desk, id);
	if (epoch_wait(&s->epoch, sh->retired_at))
		return fault_set(f, -EBUSY, "a worker still holds the SA that had this id; try again");
	sh->first = 0;
	return 0;
}

/* Nothing was accepted yet, so whatever stands in the ring was another SA's. */
static void begin_window(struct sa *sa)
{
	struct sa_shared *sh = sa->shared;

	if (!sa->in.window)
		return;
	sa_lock(sh);
	if (!__atomic_load_n(&sa->state->replay_top, __ATOMIC_RELAXED)) {
		for (uint32_t i = 0; i <= sa->in.mask; i++)
			__atomic_store_n(&sa->in.words[i], 0, __ATOMIC_RELAXED);
	} else if (!sh->first) {
		sh->first = 1; /* begun before this process: count every number that was missed */
	}
	sa_unlock(sh);
}

static int begin_numbers(struct sad *s, const struct sa *sa, const struct xesp_keymsg_sa *m,
			 struct fault *f)
{
	int err = 0;

	if (m->lease_last)
		err = lease_grant(&s->desk, sa, m->lease_first, m->lease_last, f);
	if (!err)
		lease_want_if_empty(&s->desk, sa);
	return err;
}

/* What it was found by until now, if by anything else, leads to it no more before it is there. */
static int put_unique(struct sad *s, const struct xesp_keymsg_sa *m, struct sa *sa)
{
	bool wanted = m->dir == XESP_DIR_OUT && m->values.mask;

	if (!wanted || !s->shared[m->id].sa || s->shared[m->id].sa->tunnel != m->tunnel ||
	    !unique_same(sa_values(s->shared[m->id].sa), &m->values))
		uniques_drop(&s->uniques, m->id);
	put_sa(s, m->id, sa);
	return wanted ? uniques_put(&s->uniques, m->tunnel, &m->values, m->id) : 0;
}

int sad_add(struct sad *s, const struct xesp_keymsg_sa *m, struct fault *f)
{
	struct sa_source from = {
		.replay = s->st.replay,
		.replay_words = s->st.replay_words,
		.home = &s->home,
	};
	struct sa_shared *sh;
	struct sa *sa = NULL;
	int err;

	err = check_sa_id(s, m->id, f);
	if (!err)
		err = check_tunnel_id(s, m->tunnel, f);
	if (err)
		return err;
	from.state = &s->st.sa[m->id];
	sh = &s->shared[m->id];
	err = sa_open(&sa, &from, m, f);
	if (!err && sh->fingerprint != from.state->fingerprint)
		err = give_id_away(s, m->id, f);
	if (err)
		goto close_sa;
	sh->fingerprint = from.state->fingerprint;
	sa->shared = sh;
	sa->cold.named_in = s->sync;
	if (m->dir == XESP_DIR_IN)
		begin_window(sa);
	else if (!m->over)
		err = begin_numbers(s, sa, m, f);
	if (err)
		goto close_sa;
	err = put_unique(s, m, sa);
	if (err)
		return fault_in(f, fault_set(f, err, "out of memory"), "SA %u", m->id);
	return 0;

close_sa:
	sa_close(sa);
	return fault_in(f, err, "SA %u", m->id);
}

int sad_del(struct sad *s, uint32_t id, struct fault *f)
{
	int err = check_sa_id(s, id, f);

	if (err)
		return err;
	if (!s->shared[id].sa)
		return fault_set(f, -ENOENT, "no SA has the id %u", id);
	uniques_drop(&s->uniques, id);
	put_sa(s, id, NULL);
	lease_forget(&s->desk, id);
	return 0;
}

int sad_wait(const struct sad *s)
{
	return epoch_wait(&s->epoch, epoch_now(&s->epoch));
}

int sad_lease_grant(struct sad *s, const struct xesp_keymsg_lease *m, struct fault *f)
{
	int err = check_sa_id(s, m->id, f);
	struct sa *sa;

	if (err)
		return err;
	sa = s->shared[m->id].sa;
	if (!sa || sa->dir != XESP_DIR_OUT)
		return fault_set(f, -ENOENT, "no outbound SA has the id %u", m->id);
	err = lease_grant(&s->desk, sa, m->first, m->last, f);
	return err ? fault_in(f, err, "SA %u", m->id) : 0;
}

void sad_lease_refused(struct sad *s, uint32_t id)
{
	if (id < s->st.max_sas)
		lease_refuse(&s->desk, id);
}

int sad_lease_fd(const struct sad *s)
{
	return s->desk.fd;
}

struct wanted {
	struct sad *s;
	void (*ask)(void *ctx, uint32_t sa_id);
	void *ctx;
};

static const struct sa *find_wanted(void *ctx, uint32_t id)
{
	return sad_find(((struct wanted *)ctx)->s, id);
}

static void ask_wanted(void *ctx, uint32_t id)
{
	struct wanted *w = ctx;

	w->ask(w->ctx, id);
}

void sad_lease_wanted(struct sad *s, void (*ask)(void *ctx, uint32_t sa_id), void *ctx)
{
	struct wanted w = { s, ask, ctx };
	const struct lease_asker asker = { &w, find_wanted, ask_wanted };

	lease_ask(&s->desk, &asker);
}

int sad_peer_fd(const struct sad *s)
{
	return s->peers.fd;
}

/* Make before break: workers have the old tunnel until they let go of it. */
static bool move_peer(struct sad *s, uint32_t id, const struct xesp_addr *addr, __be16 port)
{
	struct tunnel_slot *slot = &s->tunnel[id];
	struct xesp_keymsg_tunnel m;
	uint32_t *by_worker = NULL;
	struct tunnel *t;

	if (!slot->tunnel || !slot->tunnel->as_told.natt.follow_peer)
		return false;
	m = slot->tunnel->as_told;
	if (m.natt.peer_port == port && addr_equal(tunnel_peer(&m), addr))
		return false;
	slot->seen = (struct xesp_keymsg_peer){ .tunnel = id, .port = port, .addr = *addr };
	if (m.natt.follow_peer == XESP_FOLLOW_TELL)
		return slot->moved = true;
	m.natt.peer = *addr;
	m.natt.peer_port = port;
	/* Of another family, or no memory: its next packet says so again. */
	if (cpus_copy(&s->cpus, slot->tunnel->by_worker, &by_worker) || tunnel_open(&t, &m, NULL)) {
		free(by_worker);
		return false;
	}
	tunnel_give(t, by_worker);
	t->named_in = slot->tunnel->named_in;
	tunnel_set_path_mtu(t, slot->path_mtu);
	put_tunnel(s, id, t);
	slot->moved = true;
	return true;
}

uint32_t sad_move_peers(struct sad *s)
{
	struct xesp_addr addr;
	uint32_t n = 0;
	uint64_t count;
	__be16 port;

	if (read(s->peers.fd, &count, sizeof(count)) < 0)
		return 0;
	for (uint32_t id = 0; id < s->tunnels_max; id++)
		n += peer_take(&s->peers, id, &addr, &port) && move_peer(s, id, &addr, port);
	return n;
}

void sad_tell_peers(struct sad *s, void (*tell)(void *ctx, const struct xesp_keymsg_peer *m),
		    void *ctx)
{
	for (uint32_t id = 0; id < s->tunnels_max; id++) {
		struct tunnel_slot *slot = &s->tunnel[id];

		if (slot->moved && slot->tunnel)
			tell(ctx, &slot->seen);
		slot->moved = false;
	}
}

int sad_acquire_fd(const struct sad *s)
{
	return s->acquires.fd;
}

void sad_tell_acquires(struct sad *s, void (*tell)(void *ctx, const struct acquire_note *n), void *ctx)
{
	acquire_take(&s->acquires, tell, ctx);
}

void sad_reclaim(struct sad *s)
{
	epoch_reclaim(&s->epoch);
	peer_free_places(&s->peers);
	acquire_free_places(&s->acquires);
	lease_retry_refused(&s->desk);
}

uint32_t sad_count(const struct sad *s)
{
	return s->count;
}

bool sad_tunnel_get(const struct sad *s, uint32_t id, struct xesp_keymsg_tunnel *out)
{
	if (id >= s->tunnels_max || !s->tunnel[id].tunnel)
		return false;
	*out = s->tunnel[id].tunnel->as_told;
	return true;
}

void sad_tunnel_mtu(struct sad *s, uint32_t id, uint32_t mtu)
{
	if (id >= s->tunnels_max)
		return;
	s->tunnel[id].path_mtu = mtu;
	if (s->tunnel[id].tunnel)
		tunnel_set_path_mtu(s->tunnel[id].tunnel, mtu);
}

uint32_t sad_tunnels_max(const struct sad *s)
{
	return s->tunnels_max;
}
