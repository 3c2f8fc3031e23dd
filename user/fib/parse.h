/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parse.h - from rtnetlink messages to the structures of this room.
 *
 * Pure functions over one message each; what they cannot express faithfully becomes ROUTE_SLOW or
 * RULE_UNKNOWN, never a guess. The messages come from the kernel, and lengths are checked
 * nevertheless.
 */
#ifndef XESP_FIB_PARSE_H
#define XESP_FIB_PARSE_H

#include <linux/netlink.h>
#include <stdbool.h>
#include "fib/link.h"
#include "fib/neigh.h"
#include "fib/route.h"
#include "fib/rule.h"

/* RTM_NEWLINK. False: not about an interface (bridge ports say so in the same message type). */
bool parse_link(const struct nlmsghdr *h, struct link *k);

/*
 * RTM_NEWROUTE of this place's table: appended to the list unless it is a cached clone or all its
 * next hops are dead. Routes of other tables are left out. -ENOMEM.
 */
int parse_route(const struct nlmsghdr *h, const struct rule_place *place, struct route_list *l);

/* RTM_NEWRULE. What cannot be read is RULE_UNKNOWN. */
void parse_rule(const struct nlmsghdr *h, struct rule *rule);

/* RTM_NEWNEIGH, RTM_DELNEIGH. False: not an IP neighbour. *has_mac: an Ethernet address was there.
 */
bool parse_neigh(const struct nlmsghdr *h, struct neigh_key *k, uint16_t *state, uint8_t mac[6],
		 bool *has_mac);

#endif /* XESP_FIB_PARSE_H */
