/* SPDX-License-Identifier: BSD-2-Clause */
/* xfrm_lent.c - see xfrm_lent.h. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "keyd/sad.h"
#include "keyd/xfrm_lent.h"
#include "libxesp/addr.h"

static const struct xfrm_loan *find(const struct xfrm_lent *l, const struct xfrm_loan *like)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct xfrm_loan *a = &l->list[i];

		if (a->spi == like->spi && a->sport == like->sport && addr_equal(&a->dst, &like->dst) &&
		    addr_equal(&a->src, &like->src))
			return a;
	}
	return NULL;
}

bool xfrm_lent_add(struct xfrm_lent *l, const struct tunnel *t, const struct sa *sa, uint64_t now_ms)
{
	const struct xfrm_loan fresh = { .src = t->remote,
					 .dst = t->local,
					 .spi = sa->spi,
					 .sport = ntohs(t->natt.remote_port),
					 .began_ms = now_ms };

	xfrm_lent_prune(l, now_ms);
	if (find(l, &fresh))
		return false;
	if (l->n == l->room) {
		size_t room = l->room * 2 + 16;
		struct xfrm_loan *more = realloc(l->list, room * sizeof(*more));

		if (!more)
			return false;
		l->list = more;
		l->room = room;
	}
	l->list[l->n++] = fresh;
	return true;
}

bool xfrm_lent_has(const struct xfrm_lent *l, const struct xfrm_state_entry *s, uint64_t now_ms)
{
	const struct xfrm_loan like = { .src = s->src, .dst = s->dst, .spi = s->spi, .sport = s->encap_sport };
	const struct xfrm_loan *loan = find(l, &like);

	return loan && now_ms < loan->began_ms + XFRM_LENT_MS;
}

void xfrm_lent_prune(struct xfrm_lent *l, uint64_t now_ms)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++)
		if (now_ms < l->list[i].began_ms + XFRM_QUIET_MS)
			l->list[kept++] = l->list[i];
	l->n = kept;
}

void xfrm_lent_fini(struct xfrm_lent *l)
{
	free(l->list);
	*l = (struct xfrm_lent){ 0 };
}
