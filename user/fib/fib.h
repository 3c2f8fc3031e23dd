/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fib.h - where a packet goes next: the kernel's routes and neighbours, mirrored live.
 *
 * Why it exists: the fast path writes Ethernet frames itself, and asking the kernel per packet
 * would cost more than the encryption. The main thread follows rtnetlink (links, addresses,
 * routes, rules, neighbours) and publishes immutable snapshots; workers look up without locks.
 * What the mirror cannot decide (rules that look at more than our mark, routes of types it does
 * not know, no neighbour yet, an interface that is not attached) it gives to the slow path, where
 * the kernel decides. VLAN interfaces above an attached one are resolved to it and their tags.
 */
#ifndef XESP_FIB_H
#define XESP_FIB_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/steer.h"

struct event_base;
struct fault;
struct fib;

#define FIB_L2_MAX 22 /* Ethernet and two VLAN tags */

/*
 * The mark of what xesp sends itself (raw sockets: SO_MARK), so that `ip rule` can tell tunnels'
 * packets from what belongs into a tunnel: "not fwmark FIB_MARK/FIB_MARK_MASK lookup ..." leads the
 * latter into xesp0.
 */
#define FIB_MARK XESP_ROUTE_MARK
#define FIB_MARK_MASK XESP_ROUTE_MARK_MASK

enum fib_from {
	FIB_FORWARDED, /* somebody's packet, without a mark */
	FIB_OURS,      /* an outer packet: carries FIB_MARK */
};

enum fib_verdict {
	FIB_SEND,    /* the next hop is known: write l2 before the packet, send on port */
	FIB_SLOW,    /* the kernel knows better: no neighbour yet, or not an attached interface */
	FIB_TUNNELS, /* the route leads into xesp0: policy says where to */
	FIB_LOCAL,   /* an address of this machine, multicast or broadcast: through xesp0 */
	FIB_NO_ROUTE /* none, or unreachable, blackhole, prohibit */
};

struct fib_hop {
	uint32_t port;          /* struct xesp_iface.port */
	uint32_t mtu;           /* of the route or its interface, IP bytes */
	uint8_t role;           /* XESP_ROLE_* of the port the route leads to; 0: to no attached one, or not known */
	uint8_t l2_len;         /* 14, 18 or 22 */
	uint8_t l2[FIB_L2_MAX]; /* destination, source, tags, EtherType (of the packet's family) */
};

/*
 * Starts the mirror in the caller's network namespace and event loop. `workers_n` as in sad_open().
 * -errno of the netlink sockets.
 */
int fib_open(struct fib **out, struct event_base *base, uint32_t workers_n, struct fault *f);
void fib_close(struct fib *f);

/* Main thread: interface `ifindex` is attached as `port`, in this role (XESP_ROLE_*); port -1: no longer. */
int fib_port_set(struct fib *f, uint32_t ifindex, int32_t port, uint8_t role, struct fault *fault);

/* Main thread: interface `ifindex` is xesp0. -ENOMEM */
int fib_tunnels_set(struct fib *f, uint32_t ifindex, struct fault *fault);

/*
 * Any worker, packet path. Answers for the address alone (source and marks are not looked at; with
 * policy rules the answer is FIB_SLOW). With FIB_SEND *hop is whole, with FIB_SLOW its role alone is
 * good, else it is left as it was.
 * FIB_TUNNELS for a packet that has just been decapsulated is hub and spoke: esp/onward.h. Each turn
 * costs it one of its TTL, so nothing goes round for ever.
 * IPv6 link-local destinations are the kernel's (their link is not in the address).
 * A FIB_SLOW for want of a neighbour, and a neighbour that has gone stale, are noted, and the main
 * thread asks the kernel to resolve it (NTF_USE), at most once a second per neighbour.
 */
enum fib_verdict fib_lookup(struct fib *f, uint32_t worker, const struct xesp_addr *dst,
			    enum fib_from from, struct fib_hop *hop);

/*
 * As sad_quiescent() and sad_idle(): a snapshot is freed once every worker that is not idle has
 * passed a quiescent point after it was replaced. A worker begins idle; fib_lookup() by an idle
 * one ends its idleness, fib_quiescent() does not.
 */
void fib_quiescent(struct fib *f, uint32_t worker);
void fib_idle(struct fib *f, uint32_t worker, bool idle);

/*
 * Main thread: resolve this next hop before traffic needs it (a tunnel's remote address). Asks the
 * kernel only when it has no fresh answer, so it may be called from a timer.
 */
void fib_want(struct fib *f, const struct xesp_addr *dst);

/*
 * Main thread: the port that the route to dst leads through, whether its neighbour is resolved or
 * not. False: not an attached interface, or the kernel must decide.
 */
bool fib_port_of(const struct fib *f, const struct xesp_addr *dst, uint32_t *port);

/* For `xesp status`. policy_rules: rules, or a table they need, that the mirror does not follow. */
struct fib_counts {
	uint32_t routes, neighbours, rebuilds;
	bool policy_rules;
};
void fib_count(const struct fib *f, struct fib_counts *out);

/* Main thread: the address this machine would send from towards dst, for ICMP; false: none. Asks
 * the kernel, whose choice depends on more than the mirror has (scopes, policy, RFC 6724). */
bool fib_source(const struct fib *f, const struct xesp_addr *dst, struct xesp_addr *src);

#endif /* XESP_FIB_H */
