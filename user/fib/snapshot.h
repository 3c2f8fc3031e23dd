/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot.h - what a worker sees at one moment: routes with their next hops, and neighbours.
 *
 * Both halves are immutable and shared between consecutive views, so a new neighbour costs no new
 * routes. References are counted by the main thread alone; workers hold none, for they say when
 * they are done with a view (fib_quiescent()).
 */
#ifndef XESP_FIB_SNAPSHOT_H
#define XESP_FIB_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>
#include "fib/link.h"
#include "fib/mirror.h"
#include "fib/neigh.h"
#include "fib/nexthop.h"
#include "fib/route.h"

struct paths {
	uint32_t refs; /* views that hold it; main thread */
	bool policy4, policy6;
	struct route_table *routes;
	struct nexthop *hops; /* by index of route_table_targets() */
};

struct neighs {
	uint32_t refs;
	struct neigh_table *table;
};

struct view {
	uint64_t generation;
	struct paths *paths;
	struct neighs *neighs;
	uint64_t epoch; /* once replaced */
	struct view *next;
};

/* With one reference; NULL: out of memory. */
struct paths *snapshot_make_paths(const struct mirror_model *m, const struct link_ports *ports,
				  uint64_t seed);
struct neighs *snapshot_make_neighs(const struct neigh_book *b);

/* Give up a reference; NULL is allowed. */
void snapshot_put_paths(struct paths *p);
void snapshot_put_neighs(struct neighs *n);
void snapshot_free(struct view *v);

#endif /* XESP_FIB_SNAPSHOT_H */
