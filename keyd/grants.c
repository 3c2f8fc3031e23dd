/* SPDX-License-Identifier: BSD-2-Clause */
/* grants.c - see grants.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "keyd/grants.h"
#include "keyd/lease.h"
#include "keyd/publish_maps.h"
#include "keyd/publish_worker.h"
#include "keyd/replay_floor.h"
#include "keyd/sad.h"

static const char spent[] = "its key has no sequence number left: give it a new key";

void grants_fini(struct grants *g)
{
	lease_close(g->book);
	free(g->wants);
	*g = (struct grants){ 0 };
}

/* The kernel's last number, 0 where it has none; -errno: it cannot be asked, so nothing is granted. */
static int ask_kernel(const struct grants *g, const struct sad *sad, const struct sa *sa,
		      uint64_t *sent)
{
	*sent = 0;
	return g->kernel ? g->kernel->sent(g->kernel->ctx, sad, sa, sent) : 0;
}

static struct lease_want want_of(const struct grants *g, const struct sa *sa, uint64_t sent)
{
	return (struct lease_want){ .digest = sa->digest,
				    .count = sa->rival && sa->lease > GRANTS_RIVAL_LEASE ? GRANTS_RIVAL_LEASE : sa->lease,
				    .max = sad_last_number(sa),
				    .above = g->kernel ? sent + GRANTS_KERNEL_MARGIN : 0 };
}

/* Before a lease is used, the kernel is past it. */
static int pass_over(const struct grants *g, const struct sad *sad, const struct sa *sa,
		     const struct lease_want *w)
{
	return g->kernel ? g->kernel->pass_over(g->kernel->ctx, sad, sa, w->first, w->last) : 0;
}

/* True: settled without the disk. `sent`: what the kernel has sent, if it stood in for xespd. */
static bool go_on_in_memory(const struct grants *g, const struct maps *m, struct sa *sa,
			    uint64_t sent)
{
	const struct xesp_sa_state *st = &m->sa[sa->id];
	uint64_t end = lease_end(g->book, sa->digest);
	/* xespd's workers may be taking numbers: their other end is user/sad/lease.c. */
	uint64_t lease_last = __atomic_load_n(&st->lease_end, __ATOMIC_ACQUIRE);
	uint64_t next = __atomic_load_n(&st->seq_next, __ATOMIC_ACQUIRE);

	if (lease_last > end) {
		sad_stand(sa, SA_REFUSED,
			  "the lease book is older than numbers already in use: it was restored or replaced; give the SA a new key");
		return true;
	}
	/* The peer's window has moved on with what the kernel sent: the rest of the lease is lost. */
	if (!end || lease_last != end || !next || next > lease_last || sent > lease_last)
		return false;
	sa->lease_first = next;
	sa->lease_last = lease_last;
	return true;
}

/* -ESRCH: the kernel has the SA no more. */
static int take_result(const struct grants *g, const struct sad *sad, struct sa *sa,
		       const struct lease_want *w)
{
	const int err = w->err ? 0 : pass_over(g, sad, sa, w);

	if (err)
		return err; /* without numbers: xespd asks again, if the SA is still there */
	if (w->err) {
		sad_stand(sa, SA_REFUSED, spent);
		return 0;
	}
	sa->lease_first = w->first;
	sa->lease_last = w->last;
	return 0;
}

/* Told without numbers, xespd asks for them itself, again and again: a full disk may have room. */
static void take_none(struct sa *sa)
{
	sa->lease_first = 0;
	sa->lease_last = 0;
}

static void raise_floor(const struct grants *g, const struct maps *m, const struct sad *sad, const struct sa *sa)
{
	uint64_t last;

	if (g->kernel && !g->kernel->received(g->kernel->ctx, sad, sa, &last))
		replay_floor_raise(m, sa, last);
}

/* So far above the kernel's own number XDP's note is believed: what is on its way, or was lost. */
#define ON_ITS_WAY 1024

/* By how much it is above `last`; 0: it is not. `passed` is a low half. */
static uint32_t ahead_of(const struct sa *sa, uint64_t last, uint32_t passed)
{
	const uint32_t ahead = passed - (uint32_t)last;

	if (!passed || (sa->esn ? (int32_t)ahead <= 0 : passed <= last))
		return 0;
	return ahead;
}

int grants_take_over(const struct grants *g, const struct maps *m, const struct sad *sad, const struct sa *sa)
{
	struct xesp_sa_state *st = &m->sa[sa->id];
	const bool held = st->holder == XESP_HOLDER_NOBODY;
	uint64_t last = 0;
	uint32_t ahead = 0;
	int err = g->kernel ? g->kernel->received(g->kernel->ctx, sad, sa, &last) : -ESRCH;

	if (err && err != -ESRCH)
		return err;
	/* First nobody has it, then the note is read; bpf/handover.h does it the other way round. */
	if (m->inbound[sa->id].handover && sa->window && !held) {
		__atomic_store_n(&st->holder, XESP_HOLDER_NOBODY, __ATOMIC_SEQ_CST);
		ahead = ahead_of(sa, last, __atomic_load_n(&st->kernel_top, __ATOMIC_SEQ_CST));
	}
	if (ahead > ON_ITS_WAY)
		return GRANTS_AGAIN;
	if (!err)
		replay_floor_raise(m, sa, last + ahead);
	__atomic_store_n(&st->holder, XESP_HOLDER_WORKERS, __ATOMIC_RELEASE);
	return 0;
}

const struct sa *grants_first(struct grants *g, const struct maps *m, struct sad *sad, const uint32_t *which,
		  size_t n)
{
	struct lease_want *wants = calloc(n + 1, sizeof(*wants));
	uint32_t *whose = calloc(n + 1, sizeof(*whose));
	const struct sa *gone = NULL;
	struct fault f = { "" };
	size_t wants_n = 0;
	int err = 0, asked;

	for (size_t i = 0; i < n; i++) {
		struct sa *sa = &sad->sas[which[i]];
		uint64_t sent;

		if (sa->dir != XESP_DIR_OUT) {
			raise_floor(g, m, sad, sa);
			continue;
		}
		take_none(sa);
		if (sa->over)
			continue;
		if (!g->book) {
			sad_stand(sa, SA_REFUSED, g->problem);
			continue;
		}
		asked = ask_kernel(g, sad, sa, &sent);
		if (asked == -ESRCH)
			gone = sa;
		if (asked || go_on_in_memory(g, m, sa, sent) || !wants || !whose)
			continue;
		whose[wants_n] = which[i];
		wants[wants_n++] = want_of(g, sa, sent);
	}
	if (g->book && wants_n)
		err = lease_grant(g->book, wants, wants_n, &f);
	if (err)
		log_error("leases: %s", f.text);
	for (size_t i = 0; i < wants_n && !err; i++)
		if (take_result(g, sad, &sad->sas[whose[i]], &wants[i]) == -ESRCH)
			gone = &sad->sas[whose[i]];
	free(wants);
	free(whose);
	return gone;
}

void grants_want(struct grants *g, uint32_t sa_id)
{
	if (g->wants_n == g->wants_room) {
		size_t room = g->wants_room * 2 + 64;
		uint32_t *more = realloc(g->wants, room * sizeof(*more));

		if (!more)
			return; /* xespd asks again */
		g->wants = more;
		g->wants_room = room;
	}
	for (size_t i = 0; i < g->wants_n && i < 64; i++)
		if (g->wants[i] == sa_id)
			return;
	g->wants[g->wants_n++] = sa_id;
}

bool grants_kernel_sent(struct grants *g, struct sa *sa, uint64_t sent)
{
	if (!g->book || sa->over || sent <= lease_end(g->book, sa->digest))
		return false;
	sa->rival = true; /* until the tables are read anew */
	grants_want(g, sa->id);
	return true;
}

/* The outbound SAs that asked, as wants; returns how many. Others are refused. */
static size_t collect(struct grants *g, struct sad *sad, struct publish_worker *w,
		      struct lease_want *wants)
{
	size_t n = 0;

	for (size_t i = 0; i < g->wants_n; i++) {
		uint32_t at = sad_find(sad, g->wants[i]);
		uint64_t sent = 0;

		if (at == SAD_NONE || sad->sas[at].dir != XESP_DIR_OUT ||
		    sad->sas[at].standing == SA_REFUSED || sad->sas[at].over || !g->book ||
		    ask_kernel(g, sad, &sad->sas[at], &sent)) {
			publish_worker_refuse(w, g->wants[i]);
			continue;
		}
		g->wants[n] = g->wants[i];
		wants[n++] = want_of(g, &sad->sas[at], sent);
	}
	return n;
}

void grants_flush(struct grants *g, struct sad *sad, struct publish_worker *w)
{
	struct lease_want *wants = calloc(g->wants_n + 1, sizeof(*wants));
	struct fault f = { "" };
	uint64_t suppressed;
	size_t n;
	int err;

	if (!wants)
		return; /* they stay collected until the next */
	n = collect(g, sad, w, wants);
	err = n ? lease_grant(g->book, wants, n, &f) : 0;
	/* xespd asks again after a refusal, as long as there is traffic: a full disk may have room. */
	if (err && log_allowed(&g->failed_log, &suppressed))
		log_error("leases: %s (%" PRIu64 " more like this)", f.text, suppressed);
	for (size_t i = 0; i < n; i++) {
		if (err || wants[i].err ||
		    pass_over(g, sad, &sad->sas[sad_find(sad, g->wants[i])], &wants[i]))
			publish_worker_refuse(w, g->wants[i]);
		else
			publish_worker_grant(w, g->wants[i], wants[i].first, wants[i].last);
	}
	g->wants_n = 0;
	free(wants);
}
