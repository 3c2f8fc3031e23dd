/* SPDX-License-Identifier: BSD-2-Clause */
/* populate.c - see populate.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "esp/icmp_quote.h"
#include "esp/inner.h"
#include "esp/populate.h"
#include "esp/stage.h"
#include "libxesp/line.h"
#include "sad/acquire.h"
#include "sad/lease.h"
#include "sad/lifetime.h"
#include "sad/sa.h"
#include "sad/sad.h"
#include "sad/selector.h"
#include "sad/tunnel.h"
#include "sad/unique.h"

#define DATAGRAMS 256 /* a power of two */

/* RFC 4301 section 7.3: what the first fragment showed holds for the later ones. */
struct datagram {
	struct xesp_values whose; /* addresses; of IPv4 the protocol */
	__be32 id;
	uint32_t tunnel;
	uint64_t seen_ns; /* 0: empty */
	struct xesp_values values;
};

struct populate {
	struct datagram datagram[DATAGRAMS];
};

int populate_open(struct populate **out)
{
	*out = line_alloc(sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void populate_close(struct populate *p)
{
	free(p);
}

/* What all fragments of one datagram show, RFC 791 and RFC 8200 section 4.5. */
static struct datagram *find_datagram(const struct esp_worker *w, const struct selector_key *k,
				      uint32_t tunnel, struct xesp_values *whose)
{
	const uint8_t mask = XESP_PFP_LOCAL | XESP_PFP_REMOTE;

	unique_values(whose, k, k->family == 4 ? mask | XESP_PFP_PROTO : mask);
	return &w->populate->datagram[unique_hash(tunnel ^ ntohl(k->frag_id), whose) &
				      (DATAGRAMS - 1)];
}

static void remember(struct esp_worker *w, const struct selector_key *k, uint32_t tunnel,
		     const struct xesp_values *v)
{
	struct xesp_values whose;
	struct datagram *d = find_datagram(w, k, tunnel, &whose);

	*d = (struct datagram){ .whose = whose,
				.id = k->frag_id,
				.tunnel = tunnel,
				.seen_ns = w->now_ns,
				.values = *v };
}

static bool recall(struct esp_worker *w, const struct selector_key *k, uint32_t tunnel,
		   struct xesp_values *v)
{
	struct xesp_values whose;
	const struct datagram *d = find_datagram(w, k, tunnel, &whose);

	if (!d->seen_ns || d->id != k->frag_id || d->tunnel != tunnel ||
	    !unique_same(&d->whose, &whose) || d->values.mask != v->mask ||
	    w->now_ns - d->seen_ns > XESP_FRAGMENT_NS)
		return false;
	*v = d->values;
	return true;
}

/* Of several, the oldest that may still send. */
static struct sa *find_live(const struct esp_worker *w, uint32_t tunnel,
			    const struct xesp_values *v)
{
	struct sa *first = NULL;
	uint32_t id = 0;

	while ((id = uniques_find(w->uniques, tunnel, v, id))) {
		struct sa *sa = sad_find(w->sad, id);

		/* An id may have gone to another SA since. */
		if (!sa || sa->dir != XESP_DIR_OUT || sa->tunnel != tunnel ||
		    !unique_same(sa_values(sa), v))
			continue;
		if (!lifetime_is_over(sa, w->now_ns) && !lease_is_spent(sa))
			return sa;
		if (!first)
			first = sa;
	}
	return first;
}

static struct sa *find_by_quote(const struct esp_worker *w, const struct pkt *p,
				const struct inner *in, uint8_t mask, bool *is_error)
{
	struct selector_key quoted;
	struct xesp_values v;

	*is_error = false;
	switch (icmp_quote_of(&quoted, p->l3, in)) {
	case ICMP_QUOTE_NONE:
		return NULL;
	case ICMP_QUOTE_BAD:
		*is_error = true;
		return NULL;
	case ICMP_QUOTE_KEY:
		break;
	}
	*is_error = true;
	/* What it quotes came out of this tunnel: its sender is at the far end. */
	selector_turn(&quoted);
	return unique_values(&v, &quoted, mask) ? find_live(w, p->id, &v) : NULL;
}

struct sa *populate_find(struct esp_worker *w, struct pkt *p, const struct tunnel *t)
{
	enum xesp_drop why = XESP_DROP_NO_SA_UNIQUE;
	struct sa *sa = NULL;
	struct selector_key k;
	struct xesp_values v;
	struct inner in;
	bool shown, is_error;

	if (p->dummy) {
		stage_drop(w, p, XESP_DROP_NO_SA_OUT);
		return NULL;
	}
	if (!inner_parse(&in, p->l3, p->len) || !inner_selector_key(&k, p->l3, &in)) {
		stage_drop(w, p, XESP_DROP_MALFORMED_IP);
		return NULL;
	}
	selector_turn(&k); /* it was made for what comes out of a tunnel */
	shown = unique_values(&v, &k, t->pfp);
	if (shown && k.first)
		remember(w, &k, p->id, &v);
	if (!shown && k.fields == XESP_FIELDS_LATER) {
		shown = recall(w, &k, p->id, &v);
		if (!shown)
			why = XESP_DROP_FRAGMENT_UNKNOWN;
	}
	if (shown)
		sa = find_live(w, p->id, &v);
	if (sa)
		return sa;
	sa = find_by_quote(w, p, &in, t->pfp, &is_error);
	if (sa)
		return sa;
	/* Nobody waits for an ICMP error, and its sender need not be one that the policy means. */
	if (shown && !is_error && !w->dry)
		acquire_ask(w->acquires, p->id, p->policy, &v);
	stage_drop(w, p, why);
	return NULL;
}
