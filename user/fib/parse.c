/* SPDX-License-Identifier: BSD-2-Clause */
/* parse.c - see parse.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/icmpv6.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#include "fib/fib.h"
#include "fib/parse.h"
#include "libxesp/addr.h"

#define IP4_MAPPED_LEN 96

/* nlmsg_parse() of libnl takes the header without const though it only reads. */
static bool attrs_of(const struct nlmsghdr *h, size_t hdr_len, struct nlattr **tb, int max)
{
	struct nlmsghdr *msg = (struct nlmsghdr *)(uintptr_t)h;

	return nlmsg_valid_hdr(msg, (int)hdr_len) &&
	       nla_parse(tb, max, nlmsg_attrdata(msg, (int)hdr_len),
			 nlmsg_attrlen(msg, (int)hdr_len), NULL) == 0;
}

static uint32_t u32_of(const struct nlattr *a)
{
	return a && nla_len(a) >= 4 ? nla_get_u32(a) : 0;
}

static bool addr_of(const struct nlattr *a, uint8_t family, struct xesp_addr *addr)
{
	if (!a)
		return false;
	if (family == AF_INET && nla_len(a) == 4)
		addr_from_ip4(addr, nla_data(a));
	else if (family == AF_INET6 && nla_len(a) == 16)
		addr_from_ip6(addr, nla_data(a));
	else
		return false;
	return true;
}

static void parse_vlan(struct nlattr *info, struct link *k)
{
	struct nlattr *tb[IFLA_INFO_MAX + 1], *vlan[IFLA_VLAN_MAX + 1];

	if (!info || nla_parse_nested(tb, IFLA_INFO_MAX, info, NULL) || !tb[IFLA_INFO_KIND] ||
	    nla_strcmp(tb[IFLA_INFO_KIND], "vlan") || !tb[IFLA_INFO_DATA] ||
	    nla_parse_nested(vlan, IFLA_VLAN_MAX, tb[IFLA_INFO_DATA], NULL) ||
	    !vlan[IFLA_VLAN_ID] || nla_len(vlan[IFLA_VLAN_ID]) < 2)
		return;
	k->vlan_id = nla_get_u16(vlan[IFLA_VLAN_ID]);
	k->vlan_proto = htons(ETH_P_8021Q);
	if (vlan[IFLA_VLAN_PROTOCOL] && nla_len(vlan[IFLA_VLAN_PROTOCOL]) >= 2)
		k->vlan_proto = nla_get_u16(vlan[IFLA_VLAN_PROTOCOL]);
}

bool parse_link(const struct nlmsghdr *h, struct link *k)
{
	const struct ifinfomsg *i = NLMSG_DATA(h);
	struct nlattr *tb[IFLA_MAX + 1];

	if (!attrs_of(h, sizeof(*i), tb, IFLA_MAX) || i->ifi_family != AF_UNSPEC ||
	    i->ifi_index <= 0)
		return false;
	memset(k, 0, sizeof(*k));
	k->ifindex = (uint32_t)i->ifi_index;
	k->flags = i->ifi_flags;
	k->arp_type = i->ifi_type;
	k->mtu = u32_of(tb[IFLA_MTU]);
	if (tb[IFLA_ADDRESS] && nla_len(tb[IFLA_ADDRESS]) == sizeof(k->mac))
		memcpy(k->mac, nla_data(tb[IFLA_ADDRESS]), sizeof(k->mac));
	else
		k->arp_type = ARPHRD_VOID; /* whatever it is, not Ethernet */
	if (!tb[IFLA_LINK_NETNSID])
		k->parent = u32_of(tb[IFLA_LINK]);
	parse_vlan(tb[IFLA_LINKINFO], k);
	return true;
}

/* One next hop's attributes: of the route itself, or inside RTA_MULTIPATH. */
static void parse_target(struct nlattr **tb, uint8_t family, struct route_target *t)
{
	const struct rtvia *via;
	struct nlattr *v = tb[RTA_VIA];

	if (tb[RTA_GATEWAY] && !addr_of(tb[RTA_GATEWAY], family, &t->gateway))
		t->slow = 1;
	if (v && nla_len(v) > (int)sizeof(*via)) {
		via = nla_data(v);
		if (via->rtvia_family == AF_INET6 && nla_len(v) == (int)sizeof(*via) + 16)
			addr_from_ip6(&t->gateway, via->rtvia_addr);
		else if (via->rtvia_family == AF_INET && nla_len(v) == (int)sizeof(*via) + 4)
			addr_from_ip4(&t->gateway, via->rtvia_addr);
		else
			t->slow = 1;
	}
	if (tb[RTA_ENCAP] || tb[RTA_ENCAP_TYPE])
		t->slow = 1;
}

struct hops {
	struct route_target targets[ROUTE_TARGETS_MAX];
	uint32_t weights[ROUTE_TARGETS_MAX];
	uint32_t n;
	bool too_many;
};

static bool add_hop(struct hops *hops, const struct route_target *t, uint32_t weight)
{
	if (hops->n == ROUTE_TARGETS_MAX) {
		hops->too_many = true;
		return false;
	}
	hops->targets[hops->n] = *t;
	hops->weights[hops->n++] = weight;
	return true;
}

/* Dead ones are left out, as the kernel's lookup does. */
static void parse_multipath(struct nlattr *mp, uint8_t family, uint32_t mtu, struct hops *hops)
{
	const struct rtnexthop *nh = nla_data(mp);
	int left = nla_len(mp);

	while (left >= (int)sizeof(*nh) && nh->rtnh_len >= sizeof(*nh) && nh->rtnh_len <= left) {
		struct route_target t = { .ifindex = (uint32_t)nh->rtnh_ifindex, .mtu = mtu };
		struct nlattr *tb[RTA_MAX + 1];
		int step = NLMSG_ALIGN(nh->rtnh_len);

		if (nla_parse(tb, RTA_MAX, (struct nlattr *)RTNH_DATA(nh),
			      (int)(nh->rtnh_len - sizeof(*nh)), NULL))
			t.slow = 1;
		else
			parse_target(tb, family, &t);
		if (!(nh->rtnh_flags & RTNH_F_DEAD) &&
		    !add_hop(hops, &t, (uint32_t)nh->rtnh_hops + 1))
			return;
		left -= step;
		nh = (const struct rtnexthop *)((const char *)nh + step);
	}
}

static void parse_hops(const struct rtmsg *m, struct nlattr **tb, struct hops *hops)
{
	struct nlattr *metrics[RTAX_MAX + 1];
	struct route_target t = { .ifindex = u32_of(tb[RTA_OIF]) };

	if (tb[RTA_METRICS] && !nla_parse_nested(metrics, RTAX_MAX, tb[RTA_METRICS], NULL))
		t.mtu = u32_of(metrics[RTAX_MTU]);
	if (tb[RTA_MULTIPATH]) {
		parse_multipath(tb[RTA_MULTIPATH], m->rtm_family, t.mtu, hops);
		return;
	}
	if (m->rtm_flags & RTNH_F_DEAD)
		return;
	/* A nexthop object that the kernel did not spell out (nexthop_compat_mode=0) has no
	 * interface here, and so is the kernel's to follow. */
	parse_target(tb, m->rtm_family, &t);
	if (!t.ifindex)
		t.slow = 1;
	add_hop(hops, &t, 1);
}

static enum route_kind kind_of(const struct rtmsg *m)
{
	/* More than the destination decides: TOS, or the source (IPv6 source-specific routes). */
	if (m->rtm_tos || m->rtm_src_len)
		return ROUTE_SLOW;
	switch (m->rtm_type) {
	case RTN_UNICAST:
		return ROUTE_FORWARD;
	case RTN_LOCAL:
	case RTN_BROADCAST:
	case RTN_ANYCAST:
	case RTN_MULTICAST:
		return ROUTE_LOCAL;
	case RTN_BLACKHOLE:
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT:
		return ROUTE_NONE;
	case RTN_THROW:
		return ROUTE_THROW;
	default:
		return ROUTE_SLOW;
	}
}

/* RFC 4191 section 2.1: 01 high, 00 medium, 11 low. */
static uint8_t preference_of(struct nlattr *pref)
{
	uint8_t value = pref && nla_len(pref) >= 1 ? nla_get_u8(pref) : ICMPV6_ROUTER_PREF_MEDIUM;

	if (value == ICMPV6_ROUTER_PREF_HIGH)
		return 0;
	return value == ICMPV6_ROUTER_PREF_LOW ? 2 : 1;
}

int parse_route(const struct nlmsghdr *h, const struct rule_place *place, struct route_list *l)
{
	const struct rtmsg *m = NLMSG_DATA(h);
	struct nlattr *tb[RTA_MAX + 1];
	struct hops hops = { .n = 0 };
	struct route r = { .len = 0 };
	uint32_t table;

	if (!attrs_of(h, sizeof(*m), tb, RTA_MAX) || (m->rtm_flags & RTM_F_CLONED))
		return 0;
	table = tb[RTA_TABLE] ? u32_of(tb[RTA_TABLE]) : m->rtm_table;
	if (m->rtm_family != (place->ip4 ? AF_INET : AF_INET6) || table != place->table)
		return 0;
	if (m->rtm_dst_len > (m->rtm_family == AF_INET ? 32 : 128))
		return 0;
	if (!addr_of(tb[RTA_DST], m->rtm_family, &r.prefix) && m->rtm_family == AF_INET)
		r.prefix.w[2] = htonl(0xffff); /* 0.0.0.0/0 has no RTA_DST */
	r.len = (uint8_t)(m->rtm_dst_len + (m->rtm_family == AF_INET ? IP4_MAPPED_LEN : 0));
	r.space = place->space;
	r.kind = (uint8_t)kind_of(m);
	r.order = place->order;
	r.metric = u32_of(tb[RTA_PRIORITY]);
	r.preference = preference_of(tb[RTA_PREF]);
	if (r.kind == ROUTE_FORWARD) {
		parse_hops(m, tb, &hops);
		if (hops.too_many)
			r.kind = ROUTE_SLOW;
		else if (!hops.n)
			return 0;
	}
	return route_list_add(l, &r, hops.targets, hops.weights,
			      r.kind == ROUTE_FORWARD ? hops.n : 0);
}

/* What a rule says of marks: a packet of somebody else has none, ours has FIB_MARK. */
static enum rule_use use_of_mark(uint32_t mark, uint32_t mask, bool invert)
{
	const bool others = ((0 & mask) == mark) != invert;
	const bool ours = ((FIB_MARK & mask) == mark) != invert;

	if (others == ours)
		return others ? RULE_ALL : RULE_NEVER;
	/* For our packets alone: nobody needs that, and the table's routes are not kept apart so. */
	return others ? RULE_NOT_OURS : RULE_UNKNOWN;
}

static enum rule_use use_of(const struct fib_rule_hdr *r, struct nlattr **tb)
{
	uint32_t mark = u32_of(tb[FRA_FWMARK]);
	/* Without a mask all bits count; without a mark none. */
	uint32_t mask = tb[FRA_FWMASK] ? u32_of(tb[FRA_FWMASK]) : tb[FRA_FWMARK] ? UINT32_MAX : 0;

	/* keyd/rules.h: for what this machine sends itself, never for what is forwarded. */
	if (tb[FRA_PROTOCOL] && nla_len(tb[FRA_PROTOCOL]) >= 1 &&
	    nla_get_u8(tb[FRA_PROTOCOL]) == XESP_ROUTE_PROTOCOL)
		return RULE_NEVER;
	for (int i = 1; i <= FRA_MAX; i++) {
		if (!tb[i] || i == FRA_PRIORITY || i == FRA_TABLE || i == FRA_PROTOCOL ||
		    i == FRA_FWMARK || i == FRA_FWMASK)
			continue;
		if ((i != FRA_SUPPRESS_PREFIXLEN && i != FRA_SUPPRESS_IFGROUP) ||
		    u32_of(tb[i]) != UINT32_MAX)
			return RULE_UNKNOWN;
	}
	if (r->action != FR_ACT_TO_TBL || r->src_len || r->dst_len || r->tos ||
	    ((r->flags & FIB_RULE_INVERT) && !mask))
		return RULE_UNKNOWN;
	return use_of_mark(mark, mask, r->flags & FIB_RULE_INVERT);
}

void parse_rule(const struct nlmsghdr *h, struct rule *rule)
{
	const struct fib_rule_hdr *r = NLMSG_DATA(h);
	struct nlattr *tb[FRA_MAX + 1];

	*rule = (struct rule){ .use = RULE_UNKNOWN, .ip4 = r->family == AF_INET };
	if (!attrs_of(h, sizeof(*r), tb, FRA_MAX))
		return;
	rule->table = tb[FRA_TABLE] ? u32_of(tb[FRA_TABLE]) : r->table;
	rule->priority = u32_of(tb[FRA_PRIORITY]);
	rule->use = (uint8_t)use_of(r, tb);
}

bool parse_neigh(const struct nlmsghdr *h, struct neigh_key *k, uint16_t *state, uint8_t mac[6],
		 bool *has_mac)
{
	const struct ndmsg *m = NLMSG_DATA(h);
	struct nlattr *tb[NDA_MAX + 1], *lladdr;

	if (!attrs_of(h, sizeof(*m), tb, NDA_MAX) || (m->ndm_flags & NTF_PROXY) ||
	    m->ndm_ifindex <= 0 || !addr_of(tb[NDA_DST], m->ndm_family, &k->addr))
		return false;
	k->ifindex = (uint32_t)m->ndm_ifindex;
	*state = m->ndm_state;
	lladdr = tb[NDA_LLADDR];
	*has_mac = lladdr && nla_len(lladdr) == 6;
	if (*has_mac)
		memcpy(mac, nla_data(lladdr), 6);
	return true;
}
