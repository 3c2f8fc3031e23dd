/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parse.h - from rtnetlink messages to the structures of this room.
 *
 * Pure functions over one message each; what they cannot express faithfully becomes ROUTE_SLOW or
 * a "not default" rule, never a guess. The messages come from the kernel, and lengths are checked
 * nevertheless.
 */
#ifndef XESP_FIB_PARSE_H
#define XESP_FIB_PARSE_H

#include <linux/netlink.h>
#include <stdbool.h>
#include "fib/link.h"
#include "fib/neigh.h"
#include "fib/route.h"

/* RTM_NEWLINK. False: not about an interface (bridge ports say so in the same message type). */
bool parse_link(const struct nlmsghdr *h, struct link *k);

/*
 * RTM_NEWROUTE of tables local and main: appended to the list unless it is a cached clone or all
 * its next hops are dead. A route in any other table: *policy is set. -ENOMEM.
 */
int parse_route(const struct nlmsghdr *h, struct route_list *l, bool *policy);

/* RTM_NEWRULE: is it one of the three that every machine has (local, main, default)? */
bool parse_rule_is_default(const struct nlmsghdr *h);

/* RTM_NEWNEIGH, RTM_DELNEIGH. False: not an IP neighbour. *has_mac: an Ethernet address was there.
 */
bool parse_neigh(const struct nlmsghdr *h, struct neigh_key *k, uint16_t *state, uint8_t mac[6],
		 bool *has_mac);

#endif /* XESP_FIB_PARSE_H */
