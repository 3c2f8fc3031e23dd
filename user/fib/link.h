/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * link.h - network interfaces as the kernel names them, and which of them lead to a port.
 *
 * A packet for a VLAN interface leaves through the attached interface below it with that VLAN's
 * tag, two levels deep (802.1ad over 802.1Q). Tags carry priority 0: egress maps of priorities
 * are the kernel's and nothing sets a priority here. Main thread only.
 */
#ifndef XESP_FIB_LINK_H
#define XESP_FIB_LINK_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "fib/fib.h"
#include "xesp/steer.h"

struct link {
	uint32_t ifindex;
	uint32_t flags;    /* IFF_* */
	uint32_t mtu;      /* bytes of an IP packet */
	uint32_t parent;   /* VLAN: interface below; 0: none, or in another namespace */
	uint16_t arp_type; /* ARPHRD_* */
	uint16_t vlan_id;
	__be16 vlan_proto; /* EtherType of its tag, 0: not a VLAN */
	uint8_t mac[6];
};

struct link_list {
	struct link *links; /* sorted by ifindex once link_list_sort() was called */
	size_t n, cap;
};

void link_list_init(struct link_list *l);
void link_list_fini(struct link_list *l);
int link_list_add(struct link_list *l, const struct link *k); /* -ENOMEM */
void link_list_sort(struct link_list *l);
const struct link *link_list_find(const struct link_list *l, uint32_t ifindex); /* NULL: none */

/* The interfaces that XDP is attached to: port -> ifindex, 0 for none; and their roles, XESP_ROLE_*. */
struct link_ports {
	uint32_t ifindex[XESP_PORTS_MAX];
	uint8_t role[XESP_PORTS_MAX];
	uint32_t tunnels; /* ifindex of xesp0, 0 not known */
};

/* What a packet to an interface gets in front of it, without the destination address. */
struct link_out {
	uint32_t port;
	uint32_t mtu;
	uint8_t l2_len;
	uint8_t l2[FIB_L2_MAX]; /* bytes 0 to 5 and the last two (EtherType) are still zero */
};

/*
 * False: the kernel must send it, because the interface is down, is not Ethernet, does no ARP,
 * or leads to no attached one.
 */
bool link_resolve(const struct link_list *l, const struct link_ports *ports, uint32_t ifindex,
		  struct link_out *out);

#endif /* XESP_FIB_LINK_H */
