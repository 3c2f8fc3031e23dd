/* SPDX-License-Identifier: BSD-2-Clause */
/* route_plan.c - see route_plan.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/config.h"
#include "keyd/index.h"
#include "keyd/local_addrs.h"
#include "keyd/natt.h"
#include "keyd/route_plan.h"
#include "libxesp/addr.h"
#include "xesp/fault.h"

#define IP4_LEN 96 /* prefix length of all IPv4 in the mapped form */
#define SHARED_MAX 10000000ull /* comparisons of is_shared(), some tens of milliseconds */

struct planner {
	struct route_plan *plan;
	const struct config *config;
	const struct local_addrs *addrs;
	struct xesp_addr *ends; /* the tunnels' remote addresses, in order */
	size_t ends_n;
	struct index seen; /* of struct prefix */
	uint32_t *others;  /* with the kernel's policies: the outbound ones that are not ours */
	uint32_t others_n;
	route_plan_refused refused;
	void *ctx;
};

static bool is_ip4(const struct prefix *p)
{
	return addr_is_ip4(&p->addr) && p->len >= IP4_LEN;
}

static int compare_addrs(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

static bool contains(const struct prefix *p, const struct xesp_addr *a)
{
	struct xesp_addr first, last;

	addr_range(&p->addr, p->len, &first, &last);
	return addr_cmp(&first, a) <= 0 && addr_cmp(a, &last) <= 0 &&
	       is_ip4(p) == addr_is_ip4(a);
}

/* The lowest tunnel end that is not below the prefix is in it, or none is. */
static const struct xesp_addr *find_end(const struct planner *pl, const struct prefix *p)
{
	size_t low = 0, high = pl->ends_n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (addr_cmp(&pl->ends[mid], &p->addr) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	/* ::/0 and its like hold IPv4's mapped range: step over it. */
	while (low < pl->ends_n && addr_is_ip4(&pl->ends[low]) != is_ip4(p))
		low++;
	return low < pl->ends_n && contains(p, &pl->ends[low]) ? &pl->ends[low] : NULL;
}

static bool find_source(const struct planner *pl, const struct selector *s, struct xesp_addr *src)
{
	for (size_t a = 0; a < pl->addrs->n; a++) {
		const struct local_addr *l = &pl->addrs->addrs[a];

		if (l->broadcast || !l->global)
			continue;
		for (uint32_t i = 0; i < s->local_n; i++) {
			if (!contains(&s->local[i], &l->addr))
				continue;
			*src = l->addr;
			return true;
		}
	}
	return false;
}

static bool is_transport(const struct planner *pl, const struct policy *p)
{
	return pl->config->sad.tunnels[p->tunnel].mode == XESP_MODE_TRANSPORT;
}

/* A route that would lead a tunnel's own packets into the tunnel is not made. */
static bool is_possible(const struct planner *pl, const struct policy *p, const struct prefix *dst)
{
	char text[ADDR_TEXT_MAX], end[ADDR_TEXT_MAX], sentence[FAULT_TEXT_MAX];
	const struct xesp_addr *inside;

	if (is_transport(pl, p))
		return true; /* its table does not see the tunnel's own packets */
	if (dst->len == 0 || (is_ip4(dst) && dst->len == IP4_LEN)) {
		snprintf(sentence, sizeof(sentence),
			 "policy '%s': no default route into xesp0: it would catch the tunnels' own packets; only forwarded traffic is protected",
			 p->name);
		pl->refused(pl->ctx, sentence);
		return false;
	}
	inside = find_end(pl, dst);
	if (!inside)
		return true;
	snprintf(sentence, sizeof(sentence),
		 "policy '%s': no route to %s into xesp0: it holds the tunnel end %s; only forwarded traffic is protected",
		 p->name, addr_print_prefix(&dst->addr, dst->len, text), addr_print(inside, end));
	pl->refused(pl->ctx, sentence);
	return false;
}

/* What has no route the kernel protects: nothing to be told. */
static void say_nothing(void *ctx, const char *sentence)
{
	(void)ctx;
	(void)sentence;
}

static int plan_prefix(struct planner *pl, const struct policy *p, const struct prefix *dst)
{
	struct route_wish *w = &pl->plan->wishes[pl->plan->n];
	uint32_t found;
	int err;

	memset(w, 0, sizeof(*w)); /* the key is hashed with its padding */
	w->dst.addr = dst->addr;
	w->dst.len = dst->len;
	err = index_add(&pl->seen, &w->dst, (uint32_t)pl->plan->n, &found);
	if (err)
		return err;
	if (found != INDEX_NONE)
		return 0;
	/* Kept also when impossible, so that it is said once; is_possible() has the last word. */
	w->has_src = find_source(pl, &p->sel, &w->src);
	w->transport = is_transport(pl, p);
	w->apart = w->transport || pl->config->xfrm;
	w->alone = pl->config->xfrm;
	pl->plan->n++;
	return 0;
}

static bool wants_routes(const struct policy *p)
{
	return p->action == XESP_ACTION_PROTECT && p->dirs & 1 << XESP_DIR_OUT;
}

static bool overlap(const struct prefix *a, const struct prefix *b)
{
	return contains(a, &b->addr) || contains(b, &a->addr);
}

/* Some of what goes there is for the kernel to protect or to let pass, by policies that see no packet of xesp0's. */
static bool is_shared(const struct planner *pl, const struct prefix *dst)
{
	if ((uint64_t)pl->others_n * pl->config->spd.n > SHARED_MAX)
		return true;
	for (uint32_t i = 0; i < pl->others_n; i++) {
		const struct selector *s = &pl->config->spd.policies[pl->others[i]].sel;

		for (uint32_t k = 0; k < s->remote_n; k++)
			if (overlap(&s->remote[k], dst))
				return true;
	}
	return false;
}

/*
 * With the kernel's tables as the source the kernel protects what this machine sends itself. It had better
 * be xesp: the kernel's sequence numbers are ahead of ours. But IPv6's packets it protects whatever their
 * route; those of transport mode are all this machine's own, and then the numbers are the kernel's alone; and where
 * no address of ours is in the local prefixes, the policy is not for them.
 */
static bool is_better_ours(const struct planner *pl, const struct policy *p, const struct prefix *dst)
{
	struct xesp_addr src;

	return is_ip4(dst) && !is_transport(pl, p) && find_source(pl, &p->sel, &src) && !is_shared(pl, dst);
}

static size_t count_prefixes(const struct config *c)
{
	size_t n = 0;

	for (uint32_t i = 0; i < c->spd.n; i++)
		if (wants_routes(&c->spd.policies[i]))
			n += c->spd.policies[i].sel.remote_n;
	return n;
}

static int plan_policies(struct planner *pl)
{
	const struct spd *spd = &pl->config->spd;
	int err = 0;

	for (uint32_t i = 0; i < spd->n && !err; i++) {
		const struct policy *p = &spd->policies[i];

		for (uint32_t k = 0; wants_routes(p) && k < p->sel.remote_n && !err; k++)
			if ((!pl->config->xfrm || is_better_ours(pl, p, &p->sel.remote[k])) &&
			    is_possible(pl, p, &p->sel.remote[k]))
				err = plan_prefix(pl, p, &p->sel.remote[k]);
	}
	return err;
}

int route_plan_init(struct route_plan *p, const struct config *c, const struct local_addrs *addrs,
		    route_plan_refused refused, void *ctx)
{
	struct planner pl = { .plan = p, .config = c, .addrs = addrs, .refused = refused,
			      .ctx = ctx };
	int err = 0;

	*p = (struct route_plan){ 0 };
	if (!c || !c->routes)
		return 0;
	if (c->xfrm)
		pl.refused = say_nothing;
	p->wishes = calloc(count_prefixes(c) + 1, sizeof(*p->wishes));
	pl.ends = calloc(c->sad.tunnels_n + 1u, sizeof(*pl.ends));
	pl.others = calloc(c->spd.n + 1u, sizeof(*pl.others));
	if (!p->wishes || !pl.ends || !pl.others)
		err = -ENOMEM;
	for (uint32_t i = 0; c->xfrm && i < c->spd.n && !err; i++)
		if (c->spd.policies[i].dirs & 1 << XESP_DIR_OUT && !wants_routes(&c->spd.policies[i]))
			pl.others[pl.others_n++] = i;
	for (uint32_t i = 0; i < c->sad.tunnels_n && !err; i++)
		if (!c->sad.tunnels[i].members_n)
			pl.ends[pl.ends_n++] = *natt_peer(&c->sad.tunnels[i]);
	if (pl.ends_n)
		qsort(pl.ends, pl.ends_n, sizeof(*pl.ends), compare_addrs);
	index_init(&pl.seen, sizeof(struct prefix));
	if (!err)
		err = plan_policies(&pl);
	index_fini(&pl.seen);
	free(pl.ends);
	free(pl.others);
	if (err)
		route_plan_fini(p);
	return err;
}

void route_plan_fini(struct route_plan *p)
{
	free(p->wishes);
	*p = (struct route_plan){ 0 };
}
