/* SPDX-License-Identifier: BSD-2-Clause */
/* xfrm_refused.c - see xfrm_refused.h. */
#include <stdio.h>
#include <stdlib.h>

#include "keyd/sad.h"
#include "keyd/xfrm_follow.h"
#include "keyd/xfrm_refused.h"
#include "libxesp/addr.h"

static bool is_about(const struct xfrm_refusal *r, const struct xfrm_state_entry *s)
{
	return r->spi == s->spi && r->proto == s->proto && r->added == s->add_time &&
	       addr_equal(&r->dst, &s->dst);
}

bool xfrm_refused_add(struct xfrm_refused *r, const struct sad *sad, const struct sa *sa)
{
	const struct tunnel *t = &sad->tunnels[sa->tunnel];
	struct xfrm_refusal fresh = { .dst = sa->dir == XESP_DIR_OUT ? t->remote : t->local,
				      .spi = sa->spi,
				      .proto = sa->proto,
				      .added = sa->kernel_added };
	const struct xfrm_state_entry like = { .dst = fresh.dst,
					       .spi = fresh.spi,
					       .proto = fresh.proto,
					       .add_time = fresh.added };

	if (xfrm_refused_find(r, &like))
		return false;
	if (r->n == r->room) {
		size_t room = r->room * 2 + 16;
		struct xfrm_refusal *more = realloc(r->list, room * sizeof(*more));

		if (!more)
			return false;
		r->list = more;
		r->room = room;
	}
	snprintf(fresh.reason, sizeof(fresh.reason), "xespd refused it: %s",
		 sa->reason ? sa->reason : "no reason given");
	r->list[r->n++] = fresh;
	return true;
}

const char *xfrm_refused_find(const struct xfrm_refused *r, const struct xfrm_state_entry *s)
{
	for (size_t i = 0; i < r->n; i++)
		if (is_about(&r->list[i], s))
			return r->list[i].reason;
	return NULL;
}

void xfrm_refused_prune(struct xfrm_refused *r, const struct xfrm_tables *t)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->n; i++) {
		bool there = false;

		for (size_t k = 0; k < t->states_n && !there; k++)
			there = is_about(&r->list[i], &t->states[k]);
		if (there)
			r->list[kept++] = r->list[i];
	}
	r->n = kept;
}

void xfrm_refused_fini(struct xfrm_refused *r)
{
	free(r->list);
	*r = (struct xfrm_refused){ 0 };
}
