/* SPDX-License-Identifier: BSD-2-Clause */
/* nexthop.c - see nexthop.h. */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>

#include "fib/nexthop.h"
#include "libxesp/addr.h"

void nexthop_init(struct nexthop *h, const struct route_target *t, const struct link_list *links,
		  const struct link_ports *ports)
{
	memset(h, 0, sizeof(*h));
	h->gateway = t->gateway;
	h->ifindex = t->ifindex;
	h->tunnels = t->ifindex && t->ifindex == ports->tunnels;
	h->ready = !t->slow && link_resolve(links, ports, t->ifindex, &h->out);
	if (h->ready)
		h->role = ports->role[h->out.port];
	if (h->ready && t->mtu && t->mtu < h->out.mtu)
		h->out.mtu = t->mtu;
}

void nexthop_neigh(const struct nexthop *h, const struct xesp_addr *dst, struct neigh_key *k)
{
	static const struct xesp_addr none;

	k->addr = addr_equal(&h->gateway, &none) ? *dst : h->gateway;
	k->ifindex = h->ifindex;
}

void nexthop_finish(const struct nexthop *h, const struct xesp_addr *dst, const uint8_t mac[6],
		    struct fib_hop *hop)
{
	/* The family of the packet, which need not be that of the gateway (RFC 5549). */
	__be16 type = htons(addr_is_ip4(dst) ? ETH_P_IP : ETH_P_IPV6);

	hop->port = h->out.port;
	hop->mtu = h->out.mtu;
	hop->role = h->role;
	hop->l2_len = h->out.l2_len;
	memcpy(hop->l2, h->out.l2, sizeof(hop->l2));
	memcpy(hop->l2, mac, ETH_ALEN);
	memcpy(hop->l2 + hop->l2_len - 2, &type, 2);
}
