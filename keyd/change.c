/* SPDX-License-Identifier: BSD-2-Clause */
/* change.c - see change.h. change_apply() at the end reads as the order of steps. */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keyd/change.h"
#include "keyd/compose.h"
#include "keyd/config.h"
#include "keyd/grants.h"
#include "keyd/ids.h"
#include "keyd/natt.h"
#include "keyd/publish_inbound.h"
#include "keyd/publish_maps.h"
#include "keyd/publish_worker.h"
#include "keyd/spd_diff.h"
#include "keyd/spd_table.h"
#include "libxesp/secret.h"
#include "xesp/clock.h"
#include "xesp/fault.h"
#include "xesp/log.h"

/* So long xespd may do nothing: who takes longer starts anew. */
#define ANSWER_MS 5000

enum told { TOLD_BEFORE, TOLD_NEW, TOLD_CHANGED };

struct plan {
	struct change *c;
	struct config *now, *next; /* now may be NULL */
	struct spd_diff diff;
	struct spd_change spd;
	uint8_t *sas;     /* enum told, of next's SAs */
	uint8_t *tunnels; /* enum told, of next's tunnels */
	uint32_t *to_tell; /* indices of SAs that xespd has not, or not so */
	uint32_t to_tell_n;
};

void change_happened(struct change *c, enum change_event what, const struct sad *sad,
		     const struct sa *sa, const char *why)
{
	if (c->happened)
		c->happened(c, what, sad, sa, why);
}

/* ---- what differs */

/* Tunnels by id, for the comparison of many; ids are below max_tunnels. */
static uint32_t *index_tunnels(const struct maps *m, const struct config *c)
{
	uint32_t *at = malloc(m->max_tunnels * sizeof(*at));

	if (!at)
		return NULL;
	memset(at, 0xff, m->max_tunnels * sizeof(*at));
	for (uint32_t i = 0; c && i < c->sad.tunnels_n; i++)
		at[c->sad.tunnels[i].id] = i;
	return at;
}

/* What xespd would be told is compared, so that no field can be forgotten here. */
static bool same_tunnel(const struct config *a, const struct tunnel *ta, const struct config *b,
			const struct tunnel *tb)
{
	const uint32_t ia = (uint32_t)(ta - a->sad.tunnels), ib = (uint32_t)(tb - b->sad.tunnels);
	union {
		struct xesp_keymsg_tunnel_set tunnel;
		struct xesp_keymsg_group group;
	} x, y;
	size_t len;

	if (!ta->members_n != !tb->members_n)
		return false;
	if (ta->members_n) {
		len = compose_group(&x, a, ia);
		compose_group(&y, b, ib);
	} else {
		len = compose_tunnel(&x, a, ia, COMPOSE_OUT_CONFIGURED);
		compose_tunnel(&y, b, ib, COMPOSE_OUT_CONFIGURED);
	}
	return !memcmp(&x, &y, len); /* which stands in its header */
}

/*
 * Nothing of it differs: what a transaction copied and did not touch, which is most of 100 000. The message is made of
 * these. False says nothing.
 */
static bool is_copy(const struct config *a, uint32_t ia, const struct config *b, uint32_t ib)
{
	const struct sa_key *ka = &a->sad.keys[ia], *kb = &b->sad.keys[ib];
	struct sa x = a->sad.sas[ia], y = b->sad.sas[ib];

	if (a->sad.tunnels[x.tunnel].id != b->sad.tunnels[y.tunnel].id)
		return false;
	x.tunnel = y.tunnel;
	x.fresh = y.fresh;
	x.standing = y.standing;
	x.reason = y.reason;
	x.lease_first = y.lease_first;
	x.lease_last = y.lease_last;
	return !memcmp(&x, &y, sizeof(x)) && !CRYPTO_memcmp(ka->salt, kb->salt, sizeof(ka->salt)) &&
	       !CRYPTO_memcmp(ka->key, kb->key, (size_t)x.key_len + x.auth_key_len);
}

/* The same; its numbers are not part of what an SA is. */
static bool same_sa(const struct config *a, uint32_t ia, const struct config *b, uint32_t ib)
{
	struct xesp_keymsg_sa x, y;
	bool same;

	if (is_copy(a, ia, b, ib))
		return true;
	compose_sa(&x, a, ia);
	compose_sa(&y, b, ib);
	x.lease_first = y.lease_first = 0;
	x.lease_last = y.lease_last = 0;
	same = !CRYPTO_memcmp(&x, &y, sizeof(x));
	secret_wipe(&x, sizeof(x));
	secret_wipe(&y, sizeof(y));
	return same;
}

static int compare_tunnels(struct plan *p)
{
	uint32_t *now = index_tunnels(p->c->maps, p->now);

	if (!now)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->next->sad.tunnels_n; i++) {
		const struct tunnel *t = &p->next->sad.tunnels[i];
		uint32_t was = now[t->id];

		if (was == SAD_NONE)
			p->tunnels[i] = TOLD_NEW;
		else if (!same_tunnel(p->next, t, p->now, &p->now->sad.tunnels[was]))
			p->tunnels[i] = TOLD_CHANGED;
	}
	free(now);
	return 0;
}

/* An SA that xespd has just so keeps its standing. */
static void compare_sas(struct plan *p)
{
	struct sad *next = &p->next->sad;

	for (uint32_t i = 0; i < next->sas_n; i++) {
		struct sa *sa = &next->sas[i], *was;
		uint32_t at = p->now ? sad_find(&p->now->sad, sa->id) : SAD_NONE;

		p->sas[i] = TOLD_NEW;
		if (at != SAD_NONE) {
			was = &p->now->sad.sas[at];
			p->sas[i] = TOLD_CHANGED;
			if (was->over == sa->over && same_sa(p->now, at, p->next, i)) {
				p->sas[i] = TOLD_BEFORE;
				sad_stand(sa, was->standing, was->reason);
			}
		}
		/* What was refused gets another chance: the reason may be gone. */
		if (p->sas[i] == TOLD_BEFORE && sa->standing == SA_REFUSED) {
			p->sas[i] = TOLD_CHANGED;
			sad_stand(sa, SA_WAITING, NULL);
		}
		if (p->sas[i] != TOLD_BEFORE)
			p->to_tell[p->to_tell_n++] = i;
	}
}

static int open_plan(struct plan *p, struct change *c, struct config *next, struct fault *f)
{
	int err;

	*p = (struct plan){ .c = c, .now = c->now, .next = next };
	if (spd_diff(&p->diff, c->now ? &c->now->spd : NULL, &next->spd))
		return fault_set(f, -ENOMEM, "out of memory");
	p->spd = (struct spd_change){ .now = c->now ? &c->now->spd : NULL,
				      .next = &next->spd,
				      .diff = &p->diff,
				      .sad = &next->sad };
	err = ids_assign(c->maps, &next->sad, &next->spd, &p->diff, f);
	if (!err)
		natt_carry_over(c->maps, &next->sad);
	if (err)
		return err;
	p->sas = calloc(next->sad.sas_n + 1, 1);
	p->tunnels = calloc(next->sad.tunnels_n + 1, 1);
	p->to_tell = calloc(next->sad.sas_n + 1, sizeof(*p->to_tell));
	if (!p->sas || !p->tunnels || !p->to_tell || compare_tunnels(p))
		return fault_set(f, -ENOMEM, "out of memory");
	compare_sas(p);
	return 0;
}

static void close_plan(struct plan *p)
{
	spd_diff_fini(&p->diff);
	free(p->sas);
	free(p->tunnels);
	free(p->to_tell);
}

/* ---- the steps */

static bool has_worker(const struct plan *p)
{
	return p->c->worker && publish_worker_pid(p->c->worker);
}

/* The first refusal is the sentence; who can go on without such SAs hears of each. */
static int judge_answers(struct plan *p, struct fault *f)
{
	const struct sad *sad = &p->next->sad;
	int err = 0;

	for (uint32_t i = 0; i < p->to_tell_n; i++) {
		const struct sa *sa;

		if (p->to_tell[i] == SAD_NONE)
			continue;
		sa = &sad->sas[p->to_tell[i]];
		if (sa->standing != SA_REFUSED)
			continue;
		if (!err)
			err = fault_set(f, -EREMOTEIO, "xespd refused SA '%s': %s", sa->name,
					sa->reason ? sa->reason : "no reason given");
		if (p->c->refused)
			p->c->refused(p->c, sad, sa);
	}
	return err;
}

/* New tunnels first: an SA names its tunnel. They carry nothing yet. */
static int tell_new(struct plan *p, struct fault *f)
{
	struct publish_worker *w = p->c->worker;
	struct sad *sad = &p->next->sad;
	const struct sa *gone;

	if (!has_worker(p) || !publish_worker_drain(w, ANSWER_MS))
		return 0; /* it is told everything when it connects */
	for (uint32_t i = 0; i < sad->tunnels_n; i++)
		if (p->tunnels[i] == TOLD_NEW)
			publish_worker_tunnel(w, p->next, i, PUBLISH_NO_OUT_SA);
	gone = grants_first(p->c->grants, p->c->maps, sad, p->to_tell, p->to_tell_n);
	/* Switched to, it would cost every packet until the next reading: what is in force goes on. */
	if (gone && !p->c->grants->kernel->gone_is_fine)
		return fault_set(f, -ESTALE, "the kernel's SA '%s' is gone since its tables were read", gone->name);
	for (uint32_t i = 0; i < p->to_tell_n; i++)
		if (sad->sas[p->to_tell[i]].standing != SA_REFUSED)
			publish_worker_sa(w, p->next, p->to_tell[i]);
		else
			p->to_tell[i] = SAD_NONE; /* for want of numbers, which is no reason to stop */
	if (!publish_worker_drain(w, ANSWER_MS))
		return 0;
	return judge_answers(p, f);
}

static void grace(void)
{
	const struct timespec t = { .tv_nsec = GRANTS_GRACE_NS };

	nanosleep(&t, NULL);
}

/* From the kernel, which may have received under them while the worker was told. */
static int take_over(struct plan *p, bool *again, struct fault *f)
{
	const struct sad *sad = &p->next->sad;
	struct maps *m = p->c->maps;

	*again = false;
	for (uint32_t i = 0; i < sad->sas_n; i++) {
		const struct sa *sa = &sad->sas[i];
		int err;

		if (p->sas[i] != TOLD_NEW || sa->dir != XESP_DIR_IN)
			continue;
		err = grants_take_over(p->c->grants, m, sad, sa);
		if (err < 0)
			return fault_set(f, -ESTALE, "the kernel does not say how far its SA '%s' is: %s", sa->name,
					 strerror(-err));
		*again |= err == GRANTS_AGAIN;
	}
	return 0;
}

static int admit(struct plan *p, struct fault *f)
{
	bool again;
	int err = take_over(p, &again, f);

	if (!err && again) {
		grace();
		err = take_over(p, &again, f);
	}
	return err ? err : maps_admit(p->c->maps, &p->next->sad, f);
}

/* Outbound switches: RFC 4301's make before break. */
static void tell_switch(struct plan *p)
{
	if (!has_worker(p))
		return;
	if (p->now && p->now->spread != p->next->spread)
		publish_worker_spread(p->c->worker, p->next);
	for (uint32_t i = 0; i < p->next->sad.tunnels_n; i++)
		if (p->tunnels[i] != TOLD_BEFORE)
			publish_worker_tunnel(p->c->worker, p->next, i, PUBLISH_OUT_SA);
	publish_worker_drain(p->c->worker, ANSWER_MS);
}

/* Packets of what goes: to nobody, where the kernel has it too. */
static uint32_t hold(struct plan *p, const struct sad *stays)
{
	p->c->busy = false;
	return p->c->grants->kernel ? publish_inbound_hold(p->c->maps, stays) : 0;
}

/*
 * `last` of the SAs that xespd was told to delete (0: none) is named again, to have it answer when no worker has one of them: the kernel
 * is to hear then how far they were.
 */
static void delete_last(struct plan *p, uint32_t last)
{
	if (last && p->c->grants->kernel)
		publish_worker_sa_del_last(p->c->worker, last);
	publish_worker_drain(p->c->worker, ANSWER_MS);
}

/* Nobody has what went: the rest of the maps, and the kernel, follow. */
static void let_go(struct plan *p, const struct sad *stays, uint32_t held)
{
	struct fault f = { "" };

	if (held && !has_worker(p))
		grace(); /* a xespd that lost us works off what is in its rings */
	if (held && p->c->busy)
		log_error("worker: an SA that goes back to the kernel is still held; its packets are dropped until the next change");
	else if (maps_let_go(p->c->maps, stays, p->c->grants->kernel, &f))
		log_error("maps: %s", f.text);
}

static void tell_gone(struct plan *p)
{
	struct publish_worker *w = p->c->worker;
	uint32_t *tunnels, last = 0;

	if (!p->now)
		return;
	for (uint32_t i = 0; i < p->now->sad.sas_n; i++) {
		const struct sa *sa = &p->now->sad.sas[i];

		if (sad_find(&p->next->sad, sa->id) != SAD_NONE)
			continue;
		change_happened(p->c, CHANGE_SA_DELETED, &p->now->sad, sa, NULL);
		if (has_worker(p))
			publish_worker_sa_del(w, sa->id);
		last = sa->id;
	}
	if (!has_worker(p))
		return;
	tunnels = index_tunnels(p->c->maps, p->next);
	for (uint32_t i = 0; tunnels && i < p->now->sad.tunnels_n; i++)
		if (tunnels[p->now->sad.tunnels[i].id] == SAD_NONE)
			publish_worker_tunnel_del(w, p->now->sad.tunnels[i].id);
	free(tunnels);
	delete_last(p, last);
}

static void tell_as_before(struct plan *p, uint32_t id)
{
	uint32_t at = sad_find(&p->now->sad, id);
	struct sa *sa = &p->now->sad.sas[at];

	if (sa->standing == SA_REFUSED)
		return;
	/* It has its numbers in the mapped memory; those of its first lease are long gone. */
	sa->lease_first = 0;
	sa->lease_last = 0;
	publish_worker_sa(p->c->worker, p->now, at);
}

static void tell_taken_back(struct plan *p)
{
	struct publish_worker *w = p->c->worker;
	uint32_t last = 0;

	if (!has_worker(p))
		return;
	for (uint32_t i = 0; i < p->next->sad.sas_n; i++) {
		uint32_t id = p->next->sad.sas[i].id;

		if (p->sas[i] == TOLD_NEW)
			publish_worker_sa_del(w, last = id);
		else if (p->sas[i] == TOLD_CHANGED)
			tell_as_before(p, id);
	}
	for (uint32_t i = 0; i < p->next->sad.tunnels_n; i++)
		if (p->tunnels[i] == TOLD_NEW)
			publish_worker_tunnel_del(w, p->next->sad.tunnels[i].id);
	delete_last(p, last);
}

static void take_back(struct plan *p)
{
	static const struct sad none;
	const struct sad *stays = p->now ? &p->now->sad : &none;
	const uint32_t held = hold(p, stays);

	maps_undo(p->c->maps, p->now ? stays : NULL, p->now ? &p->now->spd : NULL);
	tell_taken_back(p);
	let_go(p, stays, held);
}

static void count(const struct plan *p, struct change_result *r)
{
	*r = (struct change_result){ .generation = p->c->maps->conf->generation };
	for (uint32_t i = 0; i < p->next->sad.sas_n; i++) {
		r->added += p->sas[i] == TOLD_NEW;
		r->kept += p->sas[i] != TOLD_NEW;
	}
	r->removed = p->now ? p->now->sad.sas_n - r->kept : 0;
}

static void log_refusals(const struct sad *sad)
{
	for (uint32_t i = 0; i < sad->sas_n; i++)
		if (sad->sas[i].standing == SA_REFUSED)
			log_error("SA '%s': refused: %s", sad->sas[i].name, sad->sas[i].reason);
}

int change_apply(struct change *c, struct config *next, struct change_result *r, struct fault *f)
{
	const uint64_t began_ns = clock_ns();
	struct fault settled = { "" };
	uint64_t committed_ns;
	uint32_t held;
	struct plan p;
	int err;

	err = open_plan(&p, c, next, f);
	if (err)
		goto close;
	c->next = next;
	err = maps_prepare(c->maps, &next->sad, &next->spd, &p.diff, f);
	if (!err && c->grants->kernel)
		err = publish_inbound_watch(c->maps, &next->sad, f);
	if (!err)
		err = tell_new(&p, f);
	if (!err)
		err = admit(&p, f);
	if (!err)
		err = maps_commit(c->maps, &p.spd, f);
	if (err) {
		take_back(&p);
		c->next = NULL;
		goto close;
	}
	committed_ns = clock_ns();
	/* From here on there is no way back, and none is needed: both ends agree on `next`. */
	maps_set_kernel(c->maps, (next->xfrm ? XESP_KERNEL_SPIS : 0u) |
					 (next->fallback ? XESP_KERNEL_FALLBACK : 0u));
	tell_switch(&p);
	held = hold(&p, &next->sad);
	if (maps_settle(c->maps, &p.spd, &settled))
		log_error("maps: %s", settled.text);
	tell_gone(&p);
	let_go(&p, &next->sad, held);
	count(&p, r);
	r->commit_us = (uint32_t)((committed_ns - began_ns) / 1000);
	log_refusals(&next->sad);
	c->next = NULL;
	c->now = next;
	config_free(p.now);
close:
	close_plan(&p);
	return err;
}

/* ---- what the worker says */

struct config *change_present(void *ctx)
{
	struct change *c = ctx;
	struct sad *sad = c->now ? &c->now->sad : NULL;
	uint32_t *all = sad ? calloc(sad->sas_n + 1, sizeof(*all)) : NULL;

	c->marker_id = 0;
	if (!all)
		return NULL; /* out of memory: it is told that there is nothing, and drops all */
	for (uint32_t i = 0; i < sad->sas_n; i++) {
		sad_stand(&sad->sas[i], SA_WAITING, NULL);
		all[i] = i;
	}
	grants_first(c->grants, c->maps, sad, all, sad->sas_n);
	log_refusals(sad);
	for (uint32_t i = 0; i < sad->tunnels_n; i++)
		maps_show_tunnel(c->maps, sad, &sad->tunnels[i]);
	free(all);
	return c->now;
}

static void retire_parked(struct maps *m)
{
	for (uint32_t id = 1; id < m->max_sas; id++)
		if (!m->sa[id].in_use && m->sa[id].fingerprint && !m->retired_ns[id])
			m->retired_ns[id] = clock_ns();
}

/* An id that no SA has now may still be held by xespd from before: its next answer says not. */
void change_in_step(void *ctx)
{
	struct change *c = ctx;

	for (uint32_t id = 1; id < c->maps->max_sas; id++) {
		if (c->maps->sa[id].in_use || !c->maps->sa[id].fingerprint)
			continue;
		c->marker_id = id;
		publish_worker_sa_del(c->worker, id);
		return;
	}
}

void change_acked(void *ctx, enum xesp_keymsg_type type, uint32_t id, int error,
		  const char *text)
{
	struct change *c = ctx;
	struct config *config = c->next ? c->next : c->now;
	uint32_t at;

	if (type == XESP_KEYMSG_SA_DEL) {
		c->busy |= error == -EBUSY;
		/* Whether it had the SA or not: it has it no more. */
		if (!c->maps->sa[id].in_use)
			c->maps->retired_ns[id] = clock_ns();
		if (id == c->marker_id)
			retire_parked(c->maps);
		return;
	}
	if (type != XESP_KEYMSG_SA_ADD) {
		if (error)
			log_error("worker: xespd refused %s %u: %s",
				  type == XESP_KEYMSG_LEASE_GRANT ? "a lease of SA" : "tunnel", id,
				  text);
		return;
	}
	at = config ? sad_find(&config->sad, id) : SAD_NONE;
	if (at == SAD_NONE)
		return;
	if (error)
		log_error("worker: xespd refused SA '%s': %s", config->sad.sas[at].name, text);
	sad_stand(&config->sad.sas[at], error ? SA_REFUSED : SA_ACTIVE, error ? text : NULL);
	/* One whose lifetime has ended is told again without its key: that is no coming up. */
	if (error || !config->sad.sas[at].over)
		change_happened(c, error ? CHANGE_SA_REFUSED : CHANGE_SA_UP, &config->sad,
				&config->sad.sas[at], error ? text : NULL);
	if (error && !c->next && c->refused)
		c->refused(c, &config->sad, &config->sad.sas[at]);
}

void change_peer_moved(void *ctx, const struct xesp_keymsg_peer *m)
{
	struct change *c = ctx;
	struct config *both[] = { c->now, c->next };

	/* A change in progress has compared and told already: both must know. */
	for (size_t k = 0; k < 2; k++)
		if (both[k] && natt_peer_moved(&both[k]->sad, m) && !k)
			for (uint32_t i = 0; i < c->now->sad.tunnels_n; i++)
				if (c->now->sad.tunnels[i].id == m->tunnel)
					maps_show_tunnel(c->maps, &c->now->sad,
							 &c->now->sad.tunnels[i]);
}

void change_gone(void *ctx)
{
	struct change *c = ctx;
	struct config *both[] = { c->now, c->next };

	c->marker_id = 0;
	for (size_t k = 0; k < 2; k++)
		for (uint32_t i = 0; both[k] && i < both[k]->sad.sas_n; i++)
			if (both[k]->sad.sas[i].standing == SA_ACTIVE)
				sad_stand(&both[k]->sad.sas[i], SA_WAITING, NULL);
}
