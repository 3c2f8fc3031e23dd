/* SPDX-License-Identifier: BSD-2-Clause */
/* pmtu.c - see pmtu.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "esp/size.h"
#include "libxesp/addr.h"
#include "sad/sa.h"
#include "sad/sad.h"
#include "sad/tunnel.h"
#include "slow/echo.h"
#include "slow/pmtu.h"
#include "slow/search.h"
#include "slow/sender.h"
#include "xesp/clock.h"
#include "xesp/fault.h"
#include "xesp/log.h"

/* What is known of one tunnel's path. */
struct path {
	uint32_t id;
	uint32_t link;
	uint32_t learned;   /* from ICMP; 0: nothing */
	uint64_t learned_ms;
	bool probing;
	struct search search;
	struct sender all;  /* of the SA for all workers */
	struct sender *own; /* [workers_n] of workers with SAs of their own; NULL: there is none */
};

struct pmtu {
	struct sad *sad;
	pmtu_send_fn send;
	void *ctx;
	struct path **path; /* [max], by tunnel id */
	uint32_t max;
	uint32_t workers_n;
	struct senders senders;
	uint32_t probing_n;
	uint32_t probing_cap;
	uint32_t *probing; /* ids of tunnels that probe */
	struct log_limit complain;
};

int pmtu_open(struct pmtu **out, struct sad *sad, pmtu_send_fn send, void *ctx, struct fault *f)
{
	struct pmtu *p = calloc(1, sizeof(*p));

	if (!p)
		return fault_set(f, -ENOMEM, "out of memory");
	p->sad = sad;
	p->send = send;
	p->ctx = ctx;
	p->max = sad_tunnels_max(sad);
	p->workers_n = sad_workers(sad);
	p->path = calloc(p->max, sizeof(p->path[0]));
	if (!p->path) {
		free(p);
		return fault_set(f, -ENOMEM, "out of memory");
	}
	*out = p;
	return 0;
}

void pmtu_close(struct pmtu *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->max; i++) {
		if (p->path[i])
			free(p->path[i]->own);
		free(p->path[i]);
	}
	free(p->path);
	free(p->probing);
	free(p);
}

/* ---- the SAs it sends on */

static const struct sa *find_out(const struct pmtu *p, uint32_t sa_id, uint32_t tunnel)
{
	const struct sa *sa = sa_id ? sad_find(p->sad, sa_id) : NULL;

	return sa && sa->dir == XESP_DIR_OUT && sa->tunnel == tunnel ? sa : NULL;
}

static const struct sa *sa_of(const struct pmtu *p, const struct tunnel *t)
{
	return t ? find_out(p, t->sa_out, t->as_told.id) : NULL;
}

static void follow_own(struct pmtu *p, struct path *t, const struct tunnel *tun, uint64_t now_ms)
{
	if (!t->own && tun->has_cpus)
		t->own = calloc(p->workers_n, sizeof(*t->own)); /* else tried again within a second */
	for (uint32_t w = 0; t->own && w < p->workers_n; w++) {
		const uint32_t id = tun->has_cpus ? tun->by_worker[w] : 0;

		t->own[w].tunnel = t->id;
		sender_follow(&p->senders, &t->own[w], find_out(p, id, t->id), now_ms);
	}
	if (!tun->has_cpus) {
		free(t->own);
		t->own = NULL;
	}
}

/* ---- the MTU in force */

/* What the probes have found, without the bytes that no packet of this SA would use; 0: nothing. */
static uint32_t found_by_probes(const struct path *t, const struct tunnel *tun, const struct sa *sa)
{
	uint32_t found = t->probing ? search_result(&t->search) : 0;
	struct geometry g;

	if (!found || !sa)
		return found;
	g = size_of(tun, sa->transform);
	return found - (found - size_overhead(&g)) % g.align;
}

/* Where it came from, for people. */
static enum xesp_pmtu_from source_of(const struct path *t, const struct tunnel *tun,
				     const struct sa *sa)
{
	const uint32_t mtu = tun->mtu;

	if (t->learned && t->learned == mtu)
		return XESP_PMTU_FROM_ICMP;
	if (found_by_probes(t, tun, sa) == mtu)
		return XESP_PMTU_FROM_PROBE;
	return tun->as_told.mtu && tun->as_told.mtu == mtu ? XESP_PMTU_FROM_CONFIG :
							      XESP_PMTU_FROM_LINK;
}

static void show(const struct path *t, const struct tunnel *tun, const struct sa *sa,
		 enum xesp_pmtu_from from, uint64_t now_ms)
{
	const uint32_t mtu = tun->mtu;
	const struct geometry g = size_of(tun, sa->transform);
	struct xesp_sa_state *st = sa->state;
	uint64_t ago_ms = 0;

	if (from == XESP_PMTU_FROM_ICMP)
		ago_ms = now_ms - t->learned_ms;
	else if (t->probing && t->search.confirmed_ms)
		ago_ms = now_ms - t->search.confirmed_ms;
	st->path_mtu = mtu;
	st->inner_mtu = (uint16_t)size_fits(&g, mtu);
	st->path_mtu_from = (uint8_t)from;
	st->path_mtu_ns = from == XESP_PMTU_FROM_ICMP || (t->probing && t->search.confirmed_ms) ?
				  clock_boot_ns() - ago_ms * 1000000 :
				  0;
}

static uint32_t apply(struct pmtu *p, struct path *t, uint64_t now_ms)
{
	const struct tunnel *tun = sad_tunnel(p->sad, t->id);
	const struct sa *sa = sa_of(p, tun);
	uint32_t mtu = t->link, found;
	enum xesp_pmtu_from from;

	if (t->learned && (!mtu || t->learned < mtu))
		mtu = t->learned;
	found = found_by_probes(t, tun, sa);
	if (found && (!mtu || found < mtu))
		mtu = found;
	sad_tunnel_mtu(p->sad, t->id, mtu);
	from = source_of(t, tun, sa);
	if (sa)
		show(t, tun, sa, from, now_ms);
	for (uint32_t w = 0; t->own && w < p->workers_n; w++) {
		const struct sa *own = find_out(p, t->own[w].sa, t->id);

		if (own)
			show(t, tun, own, from, now_ms);
	}
	return tun->mtu;
}

static void age(struct path *t, const struct tunnel *tun, uint64_t now_ms)
{
	if (!t->learned)
		return;
	if (tun->as_told.pmtu == XESP_PMTU_LEARN &&
	    now_ms - t->learned_ms < tun->as_told.pmtu_age * UINT64_C(1000))
		return;
	log_info("tunnel %.*s: the path MTU %u that was learned is forgotten", XESP_NAME_MAX,
		 tun->as_told.name, t->learned);
	t->learned = 0;
}

static uint32_t most_of(const struct path *t, const struct tunnel *tun)
{
	uint32_t most = t->link ? t->link : TUNNEL_MTU_UNKNOWN;

	return tun->as_told.mtu && tun->as_told.mtu < most ? tun->as_told.mtu : most;
}

/* ---- probing */

static void list_prober(struct pmtu *p, struct path *t, bool probing)
{
	uint32_t i;

	if (probing == t->probing)
		return;
	if (!probing) {
		for (i = 0; p->probing[i] != t->id; i++)
			;
		p->probing[i] = p->probing[--p->probing_n];
		t->probing = false;
		return;
	}
	if (p->probing_n == p->probing_cap) {
		uint32_t cap = p->probing_cap ? 2 * p->probing_cap : 64;
		uint32_t *more = realloc(p->probing, cap * sizeof(*more));

		if (!more)
			return; /* tried again within a second */
		p->probing = more;
		p->probing_cap = cap;
	}
	p->probing[p->probing_n++] = t->id;
	t->probing = true;
	t->search = (struct search){ 0 };
}

static void steer_search(struct pmtu *p, struct path *t, const struct tunnel *tun,
			 const struct sa *sa, uint64_t now_ms)
{
	const struct xesp_keymsg_tunnel *m = &tun->as_told;
	const struct search_limits l = {
		.max = most_of(t, tun),
		.floor = m->pmtu_floor,
		.step = sa && sa->transform->align ? sa->transform->align : 4,
		.raise_s = m->pmtu_age,
	};

	list_prober(p, t, m->pmtu_probe && m->pmtu == XESP_PMTU_LEARN);
	if (!t->probing)
		return;
	if (!t->search.l.max)
		search_init(&t->search, &l, now_ms);
	else
		search_limit(&t->search, &l, now_ms);
}

static void send_probe(struct pmtu *p, const struct path *t, const struct tunnel *tun, uint32_t size)
{
	const struct sa *sa = sa_of(p, tun);
	const struct echo e = { .local = tun->as_told.probe_local,
				.remote = tun->as_told.probe_remote,
				.tunnel = t->id,
				.seq = t->search.seq,
				.kind = ECHO_PMTU };
	struct geometry g;
	uint64_t left_out;
	uint32_t fits;

	if (!sa)
		return;
	g = size_of(tun, sa->transform);
	fits = size_fits(&g, size);
	if (fits && !p->send(p->ctx, &e, fits) && log_allowed(&p->complain, &left_out))
		log_warn("tunnel %.*s: a probe of the path MTU could not be sent: is there a route to probe_remote? (%llu more like it)",
			 XESP_NAME_MAX, tun->as_told.name, (unsigned long long)left_out);
}

void pmtu_tick(struct pmtu *p, uint64_t now_ms)
{
	for (uint32_t i = 0; i < p->probing_n; i++) {
		struct path *t = p->path[p->probing[i]];
		const struct tunnel *tun = sad_tunnel(p->sad, t->id);
		uint32_t before = t->search.found, size;

		if (!tun) {
			list_prober(p, t, false);
			i--;
			continue;
		}
		if (!t->search.l.max || !t->link)
			continue;
		size = search_next(&t->search, now_ms);
		if (t->search.found != before)
			apply(p, t, now_ms);
		if (size)
			send_probe(p, t, tun, size);
	}
}

void pmtu_answered(struct pmtu *p, const struct echo *e, uint64_t now_ms)
{
	struct path *t = e->tunnel < p->max ? p->path[e->tunnel] : NULL;
	const struct tunnel *tun = sad_tunnel(p->sad, e->tunnel);
	uint32_t before;

	if (!t || !tun || !t->probing)
		return;
	before = t->search.found;
	search_answered(&t->search, e->seq, now_ms);
	if (t->search.state == SEARCH_COMPLETE && t->search.low >= t->search.l.max)
		t->learned = 0; /* what a router said is history */
	if (t->search.found != before)
		log_info("tunnel %.*s: probes of up to %u bytes are answered", XESP_NAME_MAX,
			 tun->as_told.name, t->search.low);
	apply(p, t, now_ms);
}

/* ---- */

static struct path *path_of(struct pmtu *p, uint32_t id)
{
	if (!p->path[id]) {
		p->path[id] = calloc(1, sizeof(*p->path[id]));
		if (p->path[id])
			p->path[id]->id = p->path[id]->all.tunnel = id;
	}
	return p->path[id];
}

uint32_t pmtu_refresh(struct pmtu *p, uint32_t id, uint32_t link, uint64_t now_ms)
{
	const struct tunnel *tun = sad_tunnel(p->sad, id);
	const struct sa *sa = sa_of(p, tun);
	struct path *t;

	if (!tun)
		return 0;
	t = path_of(p, id);
	if (!t) {
		sad_tunnel_mtu(p->sad, id, link);
		return tun->mtu;
	}
	if (link) /* else the next hop is not resolved just now; what was known still is likely */
		t->link = link;
	sender_follow(&p->senders, &t->all, sa, now_ms);
	follow_own(p, t, tun, now_ms);
	age(t, tun, now_ms);
	steer_search(p, t, tun, sa, now_ms);
	return apply(p, t, now_ms);
}

/* RFC 1191 section 7: what a router of old meant that did not say what fits. */
static uint32_t guess_mtu(uint32_t quoted_len)
{
	static const uint32_t plateaus[] = { 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296 };

	for (size_t i = 0; i < sizeof(plateaus) / sizeof(plateaus[0]); i++)
		if (plateaus[i] < quoted_len)
			return plateaus[i];
	return 68;
}

static bool is_about(const struct tunnel *tun, const struct icmp_in_msg *m)
{
	return tun && addr_equal(&tun->as_told.local, &m->local) &&
	       addr_equal(tunnel_peer(&tun->as_told), &m->remote) && addr_equal(&m->to, &m->local);
}

static enum pmtu_verdict hear(struct pmtu *p, struct path *t, const struct tunnel *tun,
			      const struct icmp_in_msg *m, uint64_t now_ms)
{
	uint32_t mtu = m->mtu ? m->mtu : guess_mtu(m->quoted_len);

	if (tun->as_told.pmtu != XESP_PMTU_LEARN)
		return PMTU_OLD_NEWS;
	/* It cannot be that a packet was too big for what it would have fitted. */
	if (mtu < tun->as_told.pmtu_floor || mtu >= m->quoted_len)
		return PMTU_UNBELIEVED;
	if (t->probing)
		search_too_big(&t->search, mtu, now_ms);
	if (mtu >= tun->mtu)
		return PMTU_OLD_NEWS;
	log_info("tunnel %.*s: a router says that its path carries %u bytes", XESP_NAME_MAX,
		 tun->as_told.name, mtu);
	t->learned = mtu;
	t->learned_ms = now_ms;
	apply(p, t, now_ms);
	return PMTU_LEARNED;
}

enum pmtu_verdict pmtu_hear(struct pmtu *p, const struct icmp_in_msg *m, uint64_t now_ms)
{
	for (const struct sender *s = m->has_numbers ? sender_first(&p->senders, m->spi) : NULL; s;
	     s = s->next) {
		const struct tunnel *tun = sad_tunnel(p->sad, s->tunnel);
		const struct sa *sa = find_out(p, s->sa, s->tunnel);

		if (sa && sa->spi == m->spi && is_about(tun, m) && sender_sent_lately(s, sa, m->seq))
			return hear(p, p->path[s->tunnel], tun, m, now_ms);
	}
	return PMTU_NOT_OURS;
}
