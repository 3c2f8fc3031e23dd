/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route.h - routes as the kernel dumps them, and the table that answers longest prefix match.
 *
 * Pure: no netlink, no threads. The mirror fills a struct route_list from a dump; the door builds
 * an immutable struct route_table of it, which any number of threads may read. One hash table for
 * all prefixes, probed once per prefix length that occurs, longest first: an ordinary router has
 * less than ten lengths, and the destination cache stands before it.
 *
 * Which route wins, as in the kernel: the tables that the rules name (rule.h) are asked in order, and
 * the first that has a route for the destination decides, unless that says `throw`. A table is a
 * space here; but IPv4 with the default rules keeps tables local and main in one trie, so the
 * longest prefix of both wins, then local before main, then the lowest metric, then the first.
 */
#ifndef XESP_FIB_ROUTE_H
#define XESP_FIB_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "xesp/steer.h"

enum route_kind {
	ROUTE_FORWARD, /* has targets */
	ROUTE_LOCAL,   /* this machine, broadcast, anycast, multicast */
	ROUTE_NONE,    /* unreachable, blackhole, prohibit */
	ROUTE_THROW,   /* the next space decides */
	ROUTE_SLOW     /* depends on more than the destination, or is of a type not known here */
};

/* Where routes are looked for, see above: those of a family in the order of their numbers. */
#define ROUTE_SPACES_MAX 32
struct route_space {
	uint8_t ip4;      /* 1: IPv4's, 0: IPv6's */
	uint8_t not_ours; /* 1: the rule passes over packets with our mark, see enum fib_from */
};

/* One next hop of a route. */
struct route_target {
	struct xesp_addr gateway; /* either family; all zero: the destination is on the link */
	uint32_t ifindex;
	uint32_t mtu;  /* RTAX_MTU in bytes, 0: that of the interface */
	uint32_t slow; /* not 0: the kernel must send it (lwtunnel, unresolved nexthop object) */
};

struct route {
	struct xesp_addr prefix;
	uint8_t len;   /* bits, in the mapped form: 96 to 128 for IPv4 */
	uint8_t space; /* index of struct route_list.space */
	uint8_t kind;  /* enum route_kind */
	uint8_t order; /* among equal prefixes: lower first, before the metric (0 local, 1 main) */
	uint32_t metric;
	uint8_t preference; /* RFC 4191 router preference, 0 high, 1 medium, 2 low; after metric */
	uint32_t target;    /* ROUTE_FORWARD: first of targets_n in a row */
	uint32_t targets_n;
};

struct route_list {
	struct route *routes;
	struct route_target *targets;
	uint32_t *weights; /* [targets_n] of the targets, 1 for a single one */
	size_t routes_n, routes_cap, targets_n, targets_cap;
	struct route_space space[ROUTE_SPACES_MAX];
	uint8_t spaces_n;
	uint32_t recent[64]; /* targets seen lately (index + 1): most routes share a few */
};

void route_list_init(struct route_list *l);
void route_list_fini(struct route_list *l);

#define ROUTE_TARGETS_MAX 64 /* next hops of one route; with more it becomes ROUTE_SLOW */

/* Appends a space; its number, or -ENOSPC. */
int route_list_add_space(struct route_list *l, struct route_space s);

/*
 * Appends `r`, with its n targets and their weights (ROUTE_FORWARD) copied; r->target is set here.
 * Bits of the prefix behind its length are cleared. -ENOMEM.
 */
int route_list_add(struct route_list *l, const struct route *r, const struct route_target *targets,
		   const uint32_t *weights, uint32_t n);

struct route_table;

/* NULL: out of memory. Keeps nothing of the list. Ended by route_table_free(). */
struct route_table *route_table_build(const struct route_list *l, uint64_t seed);
void route_table_free(struct route_table *t);
uint32_t route_table_count(const struct route_table *t);

/* The targets of all routes, which route_table_pick() gives indices of. */
const struct route_target *route_table_targets(const struct route_table *t, uint32_t *n);

/* NULL: no route. `ours`: for a packet that carries our mark. */
const struct route *route_table_lookup(const struct route_table *t, const struct xesp_addr *dst,
				       bool ours);

/*
 * The target for dst: by weight and a hash of the destination alone, so packets to one destination
 * stay in order on one path. (The kernel hashes the source too: its choice may be another one.)
 */
uint32_t route_table_pick(const struct route_table *t, const struct route *r,
			  const struct xesp_addr *dst);

#endif /* XESP_FIB_ROUTE_H */
