/* SPDX-License-Identifier: BSD-2-Clause */
/* snapshot.c - see snapshot.h. */
#include <stdlib.h>

#include "fib/snapshot.h"

void snapshot_put_paths(struct paths *p)
{
	if (!p || --p->refs)
		return;
	route_table_free(p->routes);
	free(p->hops);
	free(p);
}

void snapshot_put_neighs(struct neighs *n)
{
	if (!n || --n->refs)
		return;
	neigh_table_free(n->table);
	free(n);
}

void snapshot_free(struct view *v)
{
	if (!v)
		return;
	snapshot_put_paths(v->paths);
	snapshot_put_neighs(v->neighs);
	free(v);
}

struct paths *snapshot_make_paths(const struct mirror_model *m, const struct link_ports *ports,
				  uint64_t seed)
{
	struct paths *p = calloc(1, sizeof(*p));
	const struct route_target *targets;
	uint32_t n;

	if (!p)
		return NULL;
	p->refs = 1;
	p->policy4 = m->policy4;
	p->policy6 = m->policy6;
	p->routes = route_table_build(&m->routes, seed);
	if (!p->routes) {
		snapshot_put_paths(p);
		return NULL;
	}
	targets = route_table_targets(p->routes, &n);
	p->hops = calloc((size_t)n + 1, sizeof(*p->hops));
	if (!p->hops) {
		snapshot_put_paths(p);
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++)
		nexthop_init(&p->hops[i], &targets[i], &m->links, ports);
	return p;
}

struct neighs *snapshot_make_neighs(const struct neigh_book *b)
{
	struct neighs *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->refs = 1;
	n->table = neigh_table_build(b);
	if (n->table)
		return n;
	free(n);
	return NULL;
}
