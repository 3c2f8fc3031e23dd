/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nexthop.h - a route's target made ready for the packet path: port and Ethernet header.
 *
 * Made once when a snapshot is built; per packet only the destination's address is filled in from
 * the neighbour table. Immutable then, any thread.
 */
#ifndef XESP_FIB_NEXTHOP_H
#define XESP_FIB_NEXTHOP_H

#include <stdbool.h>
#include "fib/fib.h"
#include "fib/link.h"
#include "fib/neigh.h"
#include "fib/route.h"

struct nexthop {
	struct xesp_addr gateway; /* all zero: the destination itself */
	uint32_t ifindex;
	bool ready;          /* false: the kernel must send it */
	bool tunnels;        /* into xesp0; not ready then */
	uint8_t role;        /* XESP_ROLE_* of the port; 0 unless ready */
	struct link_out out; /* mtu: of the route or the link, the smaller */
};

void nexthop_init(struct nexthop *h, const struct route_target *t, const struct link_list *links,
		  const struct link_ports *ports);

/* Whose Ethernet address a packet to dst needs. */
void nexthop_neigh(const struct nexthop *h, const struct xesp_addr *dst, struct neigh_key *k);

/* The finished hop for a packet of dst's family. */
void nexthop_finish(const struct nexthop *h, const struct xesp_addr *dst, const uint8_t mac[6],
		    struct fib_hop *hop);

#endif /* XESP_FIB_NEXTHOP_H */
