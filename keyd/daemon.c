/* SPDX-License-Identifier: BSD-2-Clause */
/* daemon.c - see daemon.h. */
#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <linux/xfrm.h>
#include <stdio.h>
#include <string.h>

#include "keyd/config.h"
#include "keyd/daemon.h"
#include "keyd/events.h"
#include "keyd/journal.h"
#include "keyd/lease.h"
#include "keyd/lifetime.h"
#include "keyd/natt.h"
#include "keyd/netwatch.h"
#include "keyd/publish_maps.h"
#include "keyd/publish_worker.h"
#include "keyd/xfrm_model.h"
#include "keyd/xfrm_moved.h"
#include "keyd/xfrm_source.h"
#include "libxesp/addr.h"
#include "libxesp/rpc.h"
#include "xesp/clock.h"
#include "xesp/log.h"

#define ROUTES_SOON_MS 20

/* ---- the machine around us */

static void follow_addresses(struct daemon *d)
{
	struct fault f = { "" };

	if (!local_addrs_read(&d->addrs, &f))
		local_addrs_publish(&d->addrs, d->change.maps->pins.fd[PINS_LOCAL], &f);
	if (f.text[0] && strcmp(f.text, d->addrs_failed.text))
		log_error("addresses: %s", f.text);
	d->addrs_failed = f;
}

static void follow_routes(struct daemon *d)
{
	uint32_t before = d->routes.installed, problems = d->routes.problems_n;
	struct fault f = { "" };

	if (routes_sync(&d->routes, d->change.now, &d->addrs, &f))
		log_error("routes: %s", f.text);
	else if (d->routes.installed != before)
		log_info("routes: %u of %u into %s", d->routes.installed, d->routes.wanted,
			 d->routes.tun);
	if (d->routes.problems_n == problems)
		return;
	for (uint32_t i = 0; i < d->routes.problems_n; i++)
		log_warn("routes: %s", d->routes.problems[i]);
}

static void on_routes_soon(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	follow_routes(ctx);
}

void daemon_changed(struct daemon *d)
{
	const struct timeval soon = { .tv_usec = ROUTES_SOON_MS * 1000 };

	if (d->change.now->routes && !event_pending(d->routes_soon, EV_TIMEOUT, NULL))
		event_add(d->routes_soon, &soon);
}

static void on_net_changed(void *ctx)
{
	struct daemon *d = ctx;

	follow_addresses(d);
	follow_routes(d);
	if (d->xfrm) /* which end of an SA is ours may have changed */
		xfrm_source_reload(d->xfrm, d->file);
}

/* ---- the worker's requests */

static struct daemon *daemon_of(struct change *c)
{
	return (struct daemon *)((char *)c - offsetof(struct daemon, change));
}

static void on_lease_wanted(void *ctx, uint32_t sa_id)
{
	struct daemon *d = daemon_of(ctx);

	grants_want(&d->grants, sa_id);
	event_active(d->flush, 0, 0);
}

static void on_worker_came(void *ctx)
{
	struct daemon *d = daemon_of(ctx);

	change_in_step(ctx);
	events_worker(d->events, true);
	if (d->xfrm)
		xfrm_source_worker_came(d->xfrm);
}

static void on_worker_gone(void *ctx)
{
	struct daemon *d = daemon_of(ctx);

	change_gone(ctx);
	events_worker(d->events, false);
	if (d->xfrm)
		xfrm_source_worker_gone(d->xfrm);
}

static void on_happened(struct change *c, enum change_event what, const struct sad *sad,
			const struct sa *sa, const char *why)
{
	events_sa(daemon_of(c)->events, what, sad, sa, why);
}

static const struct tunnel *find_tunnel(const struct change *c, uint32_t id)
{
	for (uint32_t i = 0; c->now && i < c->now->sad.tunnels_n; i++)
		if (c->now->sad.tunnels[i].id == id)
			return &c->now->sad.tunnels[i];
	return NULL;
}

static void on_peer_alive(void *ctx, uint32_t tunnel, bool alive)
{
	const struct tunnel *t = find_tunnel(ctx, tunnel);

	if (t)
		events_peer_alive(daemon_of(ctx)->events, t, alive);
}

/* What the file says stands or falls as a whole; the kernel's tables go on without this one. */
static void on_refused(struct change *c, const struct sad *sad, const struct sa *sa)
{
	struct daemon *d = daemon_of(c);

	if (d->xfrm)
		xfrm_source_refused(d->xfrm, sad, sa);
}

/* xespd has seen it, or the kernel. */
static void tell_moved(struct daemon *d, const char *tunnel, const char *from, const char *to)
{
	if (!xfrm_moved_note(&d->moved, tunnel, from, to, clock_ms()))
		return;
	log_info("xfrm: the peer of tunnel '%s' was seen at %s, not %s: the kernel tells the IKE daemon", tunnel, to, from);
	events_peer_moved(d->events, tunnel, from, to);
}

/* Of an SA that the kernel serves: the tunnel need not be ours. */
static void on_kernel_mapped(void *ctx, const struct xfrm_mapped *m)
{
	char name[XESP_NAME_MAX], from[NATT_TEXT_MAX], to[NATT_TEXT_MAX];
	struct daemon *d = ctx;
	const struct sad *sad = d->change.now ? &d->change.now->sad : NULL;

	xfrm_model_tunnel_name(name, &m->name.dst, &m->name.src, m->name.reqid, XFRM_MODE_TUNNEL);
	for (uint32_t i = 0; sad && i < sad->tunnels_n; i++) {
		const struct tunnel *t = &sad->tunnels[i];

		if (t->reqid == m->name.reqid && addr_equal(&t->local, &m->name.dst) && addr_equal(&t->remote, &m->name.src))
			snprintf(name, sizeof(name), "%s", t->name);
	}
	natt_print_place(&m->name.src, m->src_port, from);
	tell_moved(d, name, from, natt_print_place(&m->peer, m->peer_port, to));
}

static void on_kernel_asked(void *ctx, const struct xfrm_asked *asked)
{
	struct daemon *d = ctx;
	const struct acquire *a = acquires_note_kernel(&d->acquires, asked, clock_ns());

	if (a)
		events_acquire(d->events, a);
}

static void on_peer_moved(void *ctx, const struct xesp_keymsg_peer *m)
{
	const struct tunnel *t = find_tunnel(ctx, m->tunnel);
	struct daemon *d = daemon_of(ctx);
	char from[NATT_TEXT_MAX], to[NATT_TEXT_MAX];

	if (t)
		natt_print_peer(t, from);
	if (d->xfrm) {
		struct tunnel seen;

		if (!t || !xfrm_source_peer_seen(d->xfrm, t))
			return;
		seen = *t;
		seen.natt.peer = m->addr;
		seen.natt.peer_port = m->port;
		natt_print_peer(&seen, to);
		tell_moved(d, t->name, from, to);
		return;
	}
	change_peer_moved(ctx, m);
	if (t && strcmp(from, natt_print_peer(t, to)))
		events_peer_moved(d->events, t->name, from, to);
	/* A route into xesp0 must not lead our own ESP back in. */
	follow_routes(d);
}

static void on_acquire(void *ctx, const struct xesp_keymsg_acquire *m)
{
	struct change *c = ctx;
	struct daemon *d = daemon_of(c);
	const struct acquire *a;

	if (m->cpu != XESP_CPU_NONE) {
		if (d->xfrm)
			xfrm_source_cpu_wanted(d->xfrm, find_tunnel(c, m->tunnel), m);
		return;
	}
	a = acquires_note(&d->acquires, c->now, m, clock_ns());
	if (a)
		events_acquire(d->events, a);
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;

	(void)fd;
	(void)what;
	if (d->change.now)
		grants_flush(&d->grants, &d->change.now->sad, d->change.worker);
}

/* ---- opening */

/* Without a book that can be trusted keyd runs on: inbound SAs need none. */
static int open_book(struct daemon *d, struct fault *f)
{
	struct fault why = { "" };
	int err;

	err = state_dir_open(&d->state, d->o.state, STATE_DIR_EXISTS, &why);
	if (err == -ENOENT)
		fault_set(&why, err,
			  "there is no state directory %s; outbound SAs are refused: if no configured key was ever used, run `xesp-keyd --new-state`",
			  d->o.state);
	else if (err)
		return fault_set(f, err, "%s", why.text);
	if (!err)
		err = lease_open(&d->grants.book, &d->state, &why);
	if (err) {
		snprintf(d->grants.problem, sizeof(d->grants.problem), "%s", why.text);
		log_error("leases: %s", why.text);
	}
	return 0;
}

static int open_worker(struct daemon *d, struct fault *f)
{
	const struct publish_worker_calls calls = {
		.ctx = &d->change,
		.present = change_present,
		.lease_wanted = on_lease_wanted,
		.acked = change_acked,
		.peer_moved = on_peer_moved,
		.acquire = on_acquire,
		.in_step = on_worker_came,
		.peer_alive = on_peer_alive,
		.gone = on_worker_gone,
	};
	char path[PATH_MAX];

	d->flush = event_new(d->base, -1, 0, on_flush, d);
	d->routes_soon = event_new(d->base, -1, 0, on_routes_soon, d);
	if (!d->flush || !d->routes_soon)
		return fault_set(f, -ENOMEM, "out of memory");
	snprintf(path, sizeof(path), "%s/keymsg.sock", d->o.run);
	return publish_worker_open(&d->change.worker, d->base, path, &calls, f);
}

static void note_loaded(struct daemon *d, const struct change_result *r)
{
	const struct config *c = d->change.now;

	d->loaded_at = time(NULL);
	d->reload_failed.text[0] = '\0';
	log_info("%s: generation %u: %u tunnels, %u SAs (%u new, %u gone), %u policies", c->file,
		 r->generation, c->sad.tunnels_n, c->sad.sas_n, r->added, r->removed, c->spd.n);
	if (c->keys_exposed)
		log_warn("%s: holds keys and is open to others: chmod 600 it, and change the keys if others could read it",
			 c->file);
}

/* ---- the kernel's tables as the source: xfrm_source.h */

static int apply_xfrm(void *ctx, struct config *next, struct fault *f)
{
	struct daemon *d = ctx;
	struct change_result r;
	int err = change_apply(&d->change, next, &r, f);

	if (err)
		return err;
	d->loaded_at = time(NULL);
	log_debug("xfrm: generation %u: %u tunnels, %u SAs (%u new, %u gone), %u policies",
		  r.generation, next->sad.tunnels_n, next->sad.sas_n, r.added, r.removed, next->spd.n);
	events_changed(d->events, "xfrm", &r);
	daemon_changed(d);
	return 0;
}

static const struct config *present_config(void *ctx)
{
	return ((struct daemon *)ctx)->change.now;
}

static void counts_of(void *ctx, uint32_t sa_id, struct xfrm_source_counts *out)
{
	const struct xesp_sa_state *st = &((struct daemon *)ctx)->change.maps->sa[sa_id];

	/* Workers write them while we read: each is right by itself. */
	out->packets = __atomic_load_n(&st->packets, __ATOMIC_RELAXED);
	out->bytes = __atomic_load_n(&st->bytes, __ATOMIC_RELAXED);
	out->top = __atomic_load_n(&st->replay_top, __ATOMIC_RELAXED);
	out->used_ns = __atomic_load_n(&st->last_used_ns, __ATOMIC_RELAXED);
	out->told_packets = st->told_packets; /* nobody else writes these */
	out->told_bytes = st->told_bytes;
}

static bool kernel_sent(void *ctx, uint32_t sa_id, uint64_t last)
{
	struct daemon *d = ctx;
	struct sad *sad = &d->change.now->sad;
	const uint32_t at = sad_find(sad, sa_id);

	if (at == SAD_NONE || !grants_kernel_sent(&d->grants, &sad->sas[at], last))
		return false;
	event_active(d->flush, 0, 0);
	return true;
}

static void note_told(void *ctx, uint32_t sa_id, uint64_t packets, uint64_t bytes)
{
	struct xesp_sa_state *st = &((struct daemon *)ctx)->change.maps->sa[sa_id];

	st->told_packets = packets;
	st->told_bytes = bytes;
}

static int open_xfrm(struct daemon *d, struct config *file, struct fault *f)
{
	const struct xfrm_source_opts o = { .base = d->base,
					    .addrs = &d->addrs,
					    .file = file,
					    .apply = apply_xfrm,
					    .present = present_config,
					    .counts = counts_of,
					    .kernel_sent = kernel_sent,
					    .note_told = note_told,
					    .heard = { on_kernel_asked, on_kernel_mapped, d },
					    .ctx = d,
					    .max_sas = d->change.maps->max_sas };
	int err;

	d->file = file;
	err = xfrm_source_open(&d->xfrm, &o, f);
	if (err)
		return err;
	d->grants.kernel = xfrm_source_kernel(d->xfrm);
	err = xfrm_source_start(d->xfrm, f);
	if (!err)
		log_info("xfrm: following the kernel: %u SAs, %u policies; %zu left with it",
			 d->change.now->sad.sas_n, d->change.now->spd.n,
			 xfrm_source_unserved(d->xfrm)->n);
	return err;
}

/* The file's, with what transactions of former runs wrote; the file's own ends here. */
static int open_control(struct daemon *d, struct config *file, struct config **next,
			struct fault *f)
{
	int err = journal_open(&d->journal, d->o.run, file, next, f);

	config_free(file);
	return err;
}

/* The configuration is what the file says; it is d's in any case. */
static int open_file(struct daemon *d, struct config *next, struct fault *f)
{
	struct change_result r;
	int err = 0;

	if (next->control)
		err = open_control(d, next, &next, f);
	if (err)
		return err;
	err = change_apply(&d->change, next, &r, f);
	if (err) {
		config_free(next);
		return fault_in(f, err, "%s", d->o.config);
	}
	note_loaded(d, &r);
	return 0;
}

int daemon_open(struct daemon *d, struct event_base *base, struct config *next, struct fault *f)
{
	int err;

	d->base = base;
	d->state.fd = d->state.lock_fd = -1;
	d->routes.tun = d->o.tun;
	d->change.grants = &d->grants;
	d->change.refused = on_refused;
	d->change.happened = on_happened;
	/* The lock first: two keyds would lease the same numbers. */
	err = open_book(d, f);
	if (!err)
		err = maps_open(&d->change.maps, d->o.pins, f);
	if (!err)
		err = open_worker(d, f);
	if (err) {
		config_free(next);
		return err;
	}
	follow_addresses(d);
	err = next->xfrm ? open_xfrm(d, next, f) : open_file(d, next, f);
	if (err)
		return err;
	follow_routes(d);
	err = lifetime_open(&d->lifetime, base, &d->change, f);
	if (!err)
		err = events_open(&d->events, d, f);
	if (err)
		return err;
	return netwatch_open(&d->netwatch, base, on_net_changed, d, f);
}

void daemon_close(struct daemon *d)
{
	events_close(d->events);
	d->events = NULL;
	rpc_server_close(d->control);
	d->control = NULL;
	netwatch_close(d->netwatch);
	lifetime_close(d->lifetime);
	xfrm_source_close(d->xfrm);
	d->xfrm = NULL; /* the worker, which goes below, is told of no more */
	config_free(d->file);
	if (d->change.worker)
		publish_worker_close(d->change.worker);
	if (d->flush)
		event_free(d->flush);
	if (d->routes_soon)
		event_free(d->routes_soon);
	journal_close(d->journal);
	config_free(d->change.now);
	d->change.now = NULL;
	maps_close(d->change.maps);
	local_addrs_fini(&d->addrs);
	grants_fini(&d->grants);
	if (d->state.fd >= 0)
		state_dir_close(&d->state);
}

/* With `source: control` the file is interfaces, default and routes: the rest stays. */
static int apply_file(struct daemon *d, struct config *file, struct change_result *r,
		      struct fault *f)
{
	const struct config_room none = { 0 };
	struct config *next = file;
	int err;

	if (d->journal) {
		next = config_clone(d->change.now, &none);
		err = next ? config_join_file(next, file) : -ENOMEM;
		config_free(file);
		if (err) {
			config_free(next);
			return fault_set(f, err, "out of memory");
		}
	}
	err = change_apply(&d->change, next, r, f);
	if (err)
		config_free(next);
	return err;
}

int daemon_reload(struct daemon *d, const char *file, struct change_result *r, struct fault *f)
{
	struct problems ps = { 0 };
	struct config *next;
	int err;

	if (!file)
		file = d->o.config;
	err = config_load(&next, file, &ps);
	if (err) {
		problems_fault(&ps, file, f);
	} else if (next->xfrm != (d->xfrm != NULL) || next->control != (d->journal != NULL)) {
		config_free(next);
		err = fault_set(f, -EINVAL, "%s: another source takes effect with a restart of xesp-keyd",
				file);
	} else if (d->xfrm) {
		config_free(d->file);
		d->file = next;
		*r = (struct change_result){ .kept = d->change.now->sad.sas_n,
					     .generation = d->change.maps->conf->generation };
		xfrm_source_reload(d->xfrm, next);
		return 0;
	} else {
		err = apply_file(d, next, r, f);
		if (err)
			fault_in(f, err, "%s", file);
	}
	if (err) {
		d->reload_failed = *f;
		log_error("reload: %s; the old configuration stays in force", f->text);
		return err;
	}
	note_loaded(d, r);
	events_changed(d->events, "reload", r);
	follow_routes(d);
	return 0;
}
