/* SPDX-License-Identifier: BSD-2-Clause */
/* xfrm_source.c - see xfrm_source.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keyd/config.h"
#include "keyd/local_addrs.h"
#include "keyd/publish_maps.h"
#include "keyd/sad.h"
#include "keyd/xfrm_follow.h"
#include "keyd/xfrm_heard.h"
#include "keyd/xfrm_lent.h"
#include "keyd/xfrm_overlap.h"
#include "keyd/xfrm_refused.h"
#include "keyd/xfrm_rival.h"
#include "keyd/xfrm_source.h"
#include "keyd/xfrm_tell.h"
#include "keyd/xfrm_want.h"
#include "libxesp/addr.h"
#include "xesp/clock.h"
#include "xesp/fault.h"
#include "xesp/log.h"

#define FEED_MS 500 /* how often the kernel hears of counters and expiry */
#define STALE_MAX 5 /* readings that are given up in a row */
#define RIVAL_FEEDS 120 /* so long after the kernel has sent is it called a problem */
/*
 * Each lease above the kernel's numbers skips twice 65 536 of them, and without ESN there are 2^32: so many leases
 * at once may follow the kernel's packets, and two more between two feeds.
 */
#define RIVAL_LEASES_MAX 16

/* What the kernel was told of an SA; by SA id. */
struct told {
	uint64_t fingerprint; /* of which SA: ids are given to others */
	uint64_t top;
	bool soft, hard;
};

struct xfrm_source {
	struct xfrm_source_opts o;
	struct xfrm_follow *follow;
	struct xfrm_tell *tell;
	struct xfrm_rival *rival_heard;
	struct xfrm_heard *heard;
	struct event *feed, *unlend;
	struct xfrm_unserved_list unserved;
	struct grants_kernel kernel;
	struct told *told;
	uint32_t told_n;
	struct fault problem, rival, undecided, no_esp;
	uint32_t stale_n; /* readings in a row that the kernel had overtaken when they were applied */
	uint32_t rival_feeds, rival_leases;
	struct log_limit complain;
	struct xfrm_refused refused;
	struct xfrm_lent lent;
	struct xfrm_wants wants;
	bool reading; /* on_changed() is at work, and sees what is refused itself */
	bool applied; /* at least once */
};

/* ---- numbers: grants.h */

static struct xfrm_name name_of(const struct sad *sad, const struct sa *sa)
{
	const struct tunnel *t = &sad->tunnels[sa->tunnel];
	const bool out = sa->dir == XESP_DIR_OUT;

	return (struct xfrm_name){ .dst = out ? t->remote : t->local,
				   .src = out ? t->local : t->remote,
				   .spi = sa->spi,
				   .proto = sa->proto };
}

static void complain(struct xfrm_source *x, const struct fault *f)
{
	uint64_t suppressed;

	if (log_allowed(&x->complain, &suppressed))
		log_warn("xfrm: %s (%llu more like it)", f->text, (unsigned long long)suppressed);
}

static int ask(struct xfrm_source *x, const struct sad *sad, const struct sa *sa,
	       struct xfrm_counts *counts)
{
	const struct xfrm_name name = name_of(sad, sa);
	struct fault f = { "" };
	int err = xfrm_tell_ask(x->tell, &name, counts, &f);

	if (err && err != -ESRCH) /* gone between two readings */
		complain(x, &f);
	return err;
}

static int sent(void *ctx, const struct sad *sad, const struct sa *sa, uint64_t *last)
{
	struct xfrm_counts counts;
	int err = ask(ctx, sad, sa, &counts);

	if (!err)
		*last = counts.oseq;
	return err;
}

static int received(void *ctx, const struct sad *sad, const struct sa *sa, uint64_t *last)
{
	struct xfrm_counts counts;
	int err = ask(ctx, sad, sa, &counts);

	if (!err)
		*last = counts.seq;
	return err;
}

static int pass_over(void *ctx, const struct sad *sad, const struct sa *sa, uint64_t first,
		     uint64_t last)
{
	const struct xfrm_name name = name_of(sad, sa);
	/* Half of the margin is left for what it sends while it is told. */
	const struct xfrm_news news = { .oseq = last,
					.oseq_free = first - GRANTS_KERNEL_MARGIN / 2 };
	struct xfrm_source *x = ctx;
	struct fault f = { "" };
	int err = xfrm_tell_news(x->tell, &name, &news, &f);

	if (err && err != -ESRCH)
		complain(x, &f);
	return err;
}

/* ---- what IKE daemons look at goes back */

static uint64_t used_time(uint64_t used_ns)
{
	uint64_t now = clock_boot_ns();

	return used_ns && used_ns <= now ? (uint64_t)time(NULL) - (now - used_ns) / 1000000000u : 0;
}

static bool is_beyond(uint64_t count, uint64_t limit)
{
	return limit && count >= limit;
}

/*
 * Bytes and packets are for us to see, and seconds the kernel's own. `all` is what both have carried:
 * the kernel stood in for xespd perhaps.
 */
static void tell_expiry(struct xfrm_source *x, const struct sa *sa, const struct xfrm_name *name,
			const struct xfrm_counts *all, struct told *t)
{
	const struct limits *l = &sa->limits;
	struct fault f = { "" };
	int err = 0;

	if (!t->hard &&
	    (is_beyond(all->bytes, l->hard_bytes) || is_beyond(all->packets, l->hard_packets))) {
		err = xfrm_tell_expired(x->tell, name, true, &f);
		t->hard = !err;
	} else if (!t->soft && !t->hard &&
		   (is_beyond(all->bytes, l->soft_bytes) || is_beyond(all->packets, l->soft_packets))) {
		err = xfrm_tell_expired(x->tell, name, false, &f);
		t->soft = !err;
	}
	if (err && err != -ESRCH)
		complain(x, &f);
}

/*
 * What this machine itself sends goes by the kernel's own policies and SAs: with the kernel's numbers,
 * which are ahead of ours.
 */
static void note_rival(struct xfrm_source *x, const struct sa *sa)
{
	char *text = x->rival.text;

	if (!text[0])
		log_warn("xfrm: the kernel sends under SA '%s' too: each such packet costs forwarded ones until a new lease is there",
			 sa->name);
	snprintf(text, sizeof(x->rival.text),
		 "the kernel sends under SA '%s' too, for this machine itself: each such packet costs forwarded ones of some ms; `routes: install` mends it for IPv4; or send from an address that no policy protects",
		 sa->name);
	x->rival_feeds = RIVAL_FEEDS;
}

static const struct sa *find_out(const struct sad *sad, const struct xfrm_name *name)
{
	for (uint32_t i = 0; i < sad->sas_n; i++) {
		const struct sa *sa = &sad->sas[i];

		if (sa->spi == name->spi && sa->proto == name->proto && sa->dir == XESP_DIR_OUT &&
		    sa->standing == SA_ACTIVE && addr_equal(&sad->tunnels[sa->tunnel].remote, &name->dst))
			return sa;
	}
	return NULL;
}

static void on_kernel_sent(void *ctx, const struct xfrm_name *name, uint64_t last)
{
	struct xfrm_source *x = ctx;
	const struct config *c = x->o.present(x->o.ctx);
	const struct sa *sa = c && x->rival_leases ? find_out(&c->sad, name) : NULL;

	if (!sa || !x->o.kernel_sent(x->o.ctx, sa->id, last))
		return;
	x->rival_leases--;
	note_rival(x, sa);
}

/*
 * What is new of an SA, an inbound one with `seq`; `added` as in struct xfrm_news; `all`: what the kernel has then.
 * 0, -ESRCH, -errno.
 */
static int feed(struct xfrm_source *x, const struct xfrm_name *name, uint32_t sa_id, uint64_t seq, uint64_t added,
		const struct xfrm_source_counts *now, struct xfrm_counts *all)
{
	const struct xfrm_news news = { .seq = seq,
					.added = added,
					.add_bytes = now->bytes - now->told_bytes,
					.add_packets = now->packets - now->told_packets,
					.used = used_time(now->used_ns),
					.all = all };
	struct fault f = { "" };
	int err = xfrm_tell_news(x->tell, name, &news, &f);

	if (!err)
		x->o.note_told(x->o.ctx, sa_id, now->packets, now->bytes);
	else if (err != -ESRCH)
		complain(x, &f);
	return err;
}

/* An inbound SA that is the kernel's from now on: what xesp has accepted the kernel is not to accept again. */
static int give(void *ctx, const struct xesp_sa_in_key *key, uint32_t sa_id)
{
	const struct xfrm_name name = { .dst = key->dst, .spi = ntohl(key->spi), .proto = key->proto };
	struct xfrm_source_counts now = { 0 };
	struct xfrm_source *x = ctx;
	const struct config *c = x->o.present(x->o.ctx);
	const uint32_t at = c ? sad_find(&c->sad, sa_id) : SAD_NONE;
	struct xfrm_counts all;

	x->o.counts(x->o.ctx, sa_id, &now);
	return feed(x, &name, sa_id, now.top, at == SAD_NONE ? 0 : c->sad.sas[at].kernel_added, &now, &all);
}

static void feed_one(struct xfrm_source *x, const struct sad *sad, const struct sa *sa)
{
	const struct xfrm_name name = name_of(sad, sa);
	struct xfrm_source_counts now = { 0 };
	struct told *t = &x->told[sa->id];
	struct xfrm_counts all;

	if (t->fingerprint != sad_fingerprint(sa))
		*t = (struct told){ .fingerprint = sad_fingerprint(sa) };
	x->o.counts(x->o.ctx, sa->id, &now);
	if (now.packets == now.told_packets && now.top == t->top)
		return;
	if (feed(x, &name, sa->id, sa->dir == XESP_DIR_IN ? now.top : 0, sa->kernel_added, &now, &all))
		return;
	t->top = now.top;
	if (sa->dir == XESP_DIR_OUT && x->o.kernel_sent(x->o.ctx, sa->id, all.oseq))
		note_rival(x, sa);
	tell_expiry(x, sa, &name, &all, t);
}

static void on_feed(evutil_socket_t fd, short what, void *ctx)
{
	struct xfrm_source *x = ctx;
	const struct config *c = x->o.present(x->o.ctx);

	(void)fd;
	(void)what;
	x->rival_leases += x->rival_leases < RIVAL_LEASES_MAX ? 2 : 0;
	if (x->rival_feeds && !--x->rival_feeds)
		x->rival.text[0] = '\0';
	for (uint32_t i = 0; c && i < c->sad.sas_n; i++)
		if (c->sad.sas[i].id && c->sad.sas[i].id < x->told_n &&
		    c->sad.sas[i].standing == SA_ACTIVE)
			feed_one(x, &c->sad, &c->sad.sas[i]);
}

/* ---- what there is becomes what we do */

static bool is_local(const void *ctx, const struct xesp_addr *a)
{
	const struct local_addrs *l = ctx;

	for (size_t i = 0; i < l->n; i++)
		if (!l->addrs[i].broadcast && addr_equal(&l->addrs[i].addr, a))
			return true;
	return false;
}

static void note_problem(struct xfrm_source *x, const struct fault *f)
{
	/* The same one is said once, and again when it had gone. */
	if (strcmp(f->text, x->problem.text))
		log_error("xfrm: %s; what was in force stays in force", f->text);
	x->problem = *f;
}

static void note_overlap(struct xfrm_source *x, const struct xfrm_overlap *o)
{
	struct fault now = { "" };

	if (o->n)
		fault_set(&now, 0, "policies of the kernel overlap and have one priority, so which of them holds is open (%zu pairs): %s",
			  o->n, o->first);
	if (o->n && strcmp(now.text, x->undecided.text))
		log_warn("xfrm: %s", now.text);
	x->undecided = now;
}

static int apply_tables(struct xfrm_source *x, const struct xfrm_tables *fresh, struct fault *f)
{
	struct xfrm_overlap overlap;
	const struct xfrm_model_env env = { .is_local = is_local,
					    .ctx = x->o.addrs,
					    .refused = &x->refused,
					    .lent = &x->lent,
					    .now_ms = clock_ns() / 1000000,
					    .file = x->o.file,
					    .overlap = &overlap,
					    .label = "the kernel's XFRM tables" };
	struct config *next;
	int err = xfrm_model_build(&next, fresh, &env, &x->unserved, f);

	if (err)
		return err;
	note_overlap(x, &overlap);
	err = x->o.apply(x->o.ctx, next, f);
	if (err)
		config_free(next);
	return err;
}

static void on_changed(void *ctx, struct xfrm_tables *fresh)
{
	struct xfrm_source *x = ctx;
	struct fault f = { "" };
	size_t refused_n;
	int err;

	xfrm_refused_prune(&x->refused, fresh);
	x->reading = true;
	do { /* without those that xespd refused: each round leaves out one at least */
		refused_n = x->refused.n;
		err = apply_tables(x, fresh, &f);
	} while (err == -EREMOTEIO && x->refused.n > refused_n);
	x->reading = false;
	if (err == -ESTALE) {
		/* The next reading does without it; for ever it is not put off. */
		x->kernel.gone_is_fine = ++x->stale_n >= STALE_MAX;
		xfrm_follow_again(x->follow);
		return;
	}
	x->stale_n = 0;
	x->kernel.gone_is_fine = false;
	if (err) {
		note_problem(x, &f);
		return;
	}
	x->problem.text[0] = '\0';
	x->applied = true;
}

void xfrm_source_refused(struct xfrm_source *x, const struct sad *sad, const struct sa *sa)
{
	if (!xfrm_refused_add(&x->refused, sad, sa))
		return;
	log_warn("xfrm: SA '%s' stays with the kernel: xespd refused it: %s", sa->name,
		 sa->reason ? sa->reason : "no reason given");
	if (!x->reading)
		xfrm_follow_again(x->follow);
}

/* ---- a peer that has moved */

static void on_unlend(evutil_socket_t fd, short what, void *ctx)
{
	struct xfrm_source *x = ctx;

	(void)fd;
	(void)what;
	xfrm_follow_again(x->follow);
}

bool xfrm_source_peer_seen(struct xfrm_source *x, const struct tunnel *t)
{
	const struct timeval over = { .tv_sec = XFRM_LENT_MS / 1000, .tv_usec = XFRM_LENT_MS % 1000 * 1000 + 1000 };
	const struct config *c = x->o.present(x->o.ctx);
	bool any = false;

	for (uint32_t i = 0; i < c->sad.sas_n; i++) {
		const struct sa *sa = &c->sad.sas[i];

		if (sa->dir != XESP_DIR_IN || sa->standing != SA_ACTIVE || &c->sad.tunnels[sa->tunnel] != t ||
		    !xfrm_lent_add(&x->lent, t, sa, clock_ns() / 1000000))
			continue;
		any = true;
	}
	if (!any)
		return false;
	event_add(x->unlend, &over);
	xfrm_follow_again(x->follow);
	return true;
}

/* ---- SAs of single CPUs */

static const struct policy *find_policy(const struct spd *spd, uint32_t id)
{
	for (uint32_t i = 0; i < spd->n; i++)
		if (spd->ids[i] == id)
			return &spd->policies[i];
	return NULL;
}

void xfrm_source_cpu_wanted(struct xfrm_source *x, const struct tunnel *t, const struct xesp_keymsg_acquire *m)
{
	const struct config *c = x->o.present(x->o.ctx);
	const struct policy *p = c ? find_policy(&c->spd, m->policy) : NULL;
	struct xfrm_want w = { .cpu = m->cpu };
	struct fault f = { "" };

	/* A policy of the kernel's has one prefix a side. */
	if (!t || !t->cpu_acquire || t->sa_out == SAD_NONE || !p || !p->sel.local_n || !p->sel.remote_n ||
	    !xfrm_want_is_due(&x->wants, m->tunnel, m->cpu, clock_ns() / 1000000))
		return;
	w.name = name_of(&c->sad, &c->sad.sas[t->sa_out]);
	w.name.reqid = t->reqid;
	w.mode = t->mode == XESP_MODE_TRANSPORT ? XFRM_MODE_TRANSPORT : XFRM_MODE_TUNNEL;
	w.family = p->sel.family;
	w.proto = p->sel.proto;
	w.src = p->sel.local[0].addr;
	w.src_len = p->sel.local[0].len;
	w.dst = p->sel.remote[0].addr;
	w.dst_len = p->sel.remote[0].len;
	if (xfrm_tell_want(x->tell, &w, &f)) {
		complain(x, &f);
		return;
	}
	xfrm_heard_own(x->heard, &w, clock_ms());
	log_info("xfrm: tunnel '%s' has no SA of CPU %u: the IKE daemon was asked for one", t->name, m->cpu);
}

void xfrm_source_worker_came(struct xfrm_source *x)
{
	xfrm_rival_listen(x->rival_heard, true);
	if (!x->refused.n)
		return;
	xfrm_refused_fini(&x->refused);
	xfrm_follow_again(x->follow);
}

void xfrm_source_worker_gone(struct xfrm_source *x)
{
	xfrm_rival_listen(x->rival_heard, false);
}

/* Said once, and again when it had gone: a module may come later. */
static void look_for_esp(struct xfrm_source *x)
{
	static const struct {
		int family;
		const char *module, *ip;
	} of[] = { { AF_INET, "esp4", "IPv4" }, { AF_INET6, "esp6", "IPv6" } };
	struct fault now = { "" };

	for (size_t i = 0; i < sizeof(of) / sizeof(of[0]) && !now.text[0]; i++)
		if (xfrm_tell_esp(x->tell, of[i].family))
			fault_set(&now, 0, "this kernel has no ESP for %s: no IKE daemon can install an SA of it here; load the module %s, then `xesp reload`",
				  of[i].ip, of[i].module);
	if (now.text[0] && strcmp(now.text, x->no_esp.text))
		log_warn("xfrm: %s", now.text);
	x->no_esp = now;
}

void xfrm_source_reload(struct xfrm_source *x, const struct config *file)
{
	look_for_esp(x);
	x->o.file = file;
	xfrm_follow_again(x->follow);
}

/* ---- opening */

int xfrm_source_open(struct xfrm_source **out, const struct xfrm_source_opts *o, struct fault *f)
{
	const struct timeval tv = { .tv_usec = FEED_MS * 1000 };
	struct xfrm_source *x = calloc(1, sizeof(*x));
	int err;

	if (!x)
		return fault_set(f, -ENOMEM, "out of memory");
	*out = x; /* what is applied on the way asks for our counters */
	x->o = *o;
	x->kernel = (struct grants_kernel){ .ctx = x, .sent = sent, .pass_over = pass_over, .received = received,
					   .give = give };
	x->told_n = o->max_sas;
	x->told = calloc(x->told_n, sizeof(*x->told));
	x->feed = event_new(o->base, -1, EV_PERSIST, on_feed, x);
	x->unlend = event_new(o->base, -1, 0, on_unlend, x);
	err = x->told && x->feed && x->unlend ? xfrm_tell_open(&x->tell, f) : fault_set(f, -ENOMEM, "out of memory");
	if (!err)
		err = xfrm_follow_open(&x->follow, o->base, on_changed, x, f);
	if (!err)
		err = xfrm_heard_open(&x->heard, o->base, &o->heard, f);
	if (!err)
		err = xfrm_rival_open(&x->rival_heard, o->base, on_kernel_sent, x, f);
	if (!err && event_add(x->feed, &tv))
		err = fault_set(f, -ENOMEM, "out of memory");
	if (!err)
		look_for_esp(x);
	return err;
}

int xfrm_source_start(struct xfrm_source *x, struct fault *f)
{
	int err = xfrm_follow_read_now(x->follow, f);

	if (!err && !x->applied)
		err = fault_set(f, -EINVAL, "%s", x->problem.text);
	return err;
}

void xfrm_source_close(struct xfrm_source *x)
{
	if (!x)
		return;
	xfrm_follow_close(x->follow);
	xfrm_rival_close(x->rival_heard);
	xfrm_heard_close(x->heard);
	xfrm_tell_close(x->tell);
	if (x->feed)
		event_free(x->feed);
	if (x->unlend)
		event_free(x->unlend);
	xfrm_lent_fini(&x->lent);
	xfrm_unserved_fini(&x->unserved);
	xfrm_refused_fini(&x->refused);
	free(x->told);
	free(x);
}

const struct grants_kernel *xfrm_source_kernel(const struct xfrm_source *x)
{
	return &x->kernel;
}

const struct xfrm_unserved_list *xfrm_source_unserved(const struct xfrm_source *x)
{
	return &x->unserved;
}

const char *xfrm_source_undecided(const struct xfrm_source *x)
{
	return x->undecided.text;
}

const char *xfrm_source_rival(const struct xfrm_source *x)
{
	return x->rival.text;
}

const char *xfrm_source_no_esp(const struct xfrm_source *x)
{
	return x->no_esp.text;
}

const char *xfrm_source_problem(const struct xfrm_source *x)
{
	return x->problem.text;
}
