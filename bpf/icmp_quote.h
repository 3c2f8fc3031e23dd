/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * icmp_quote.h - an ICMP error that no policy names: the packet that it quotes says where it belongs.
 *
 * RFC 4301 section 6.2: a router behind this gateway is seldom in a policy's local prefixes, and
 * what it says of a packet that came out of a tunnel must go back through that tunnel. The quoted
 * packet, turned round, is looked up instead; the peer holds the quote against its own policies
 * (user/esp/icmp_quote.h has the other end). Extension headers of a quoted IPv6 packet are not
 * followed: it has no ports then.
 */
#ifndef XESP_BPF_ICMP_QUOTE_H
#define XESP_BPF_ICMP_QUOTE_H

#include "parse.h"

#define ICMP_HDR_LEN 8

static __always_inline bool quote_is_error(const struct packet *p)
{
	if (p->fragment != FRAGMENT_NONE)
		return false;
	if (p->family == 4)
		return p->proto == IPPROTO_ICMP &&
		       (p->icmp_type == 3 || p->icmp_type == 11 || p->icmp_type == 12);
	return p->proto == IPPROTO_ICMPV6 && p->icmp_type >= 1 && p->icmp_type <= 4;
}

/* Of the quoted packet what an answer to it would have otherwise than p; its destination is p's. */
struct quote {
	struct xesp_addr src;
	__be16 sport;
	__be16 dport;
	__u8 proto;
	__u8 fragment; /* enum fragment */
	bool ports_known;
};

static __always_inline void quote_ports(void *l4, void *end, struct quote *q)
{
	struct l4_start *at = l4;

	switch (q->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_UDPLITE:
		if ((void *)(at + 1) > end)
			return;
		q->sport = at->dport;
		q->dport = at->sport;
		q->ports_known = true;
	}
}

/* An error goes to the sender of what it quotes: RFC 792, RFC 4443 section 2.2. */
static __always_inline bool quote_ip4(void *at, void *end, const struct packet *p, struct quote *q)
{
	struct iphdr *ip = at;
	__u32 hdr_len;

	if ((void *)(ip + 1) > end || ip->version != 4 || ip->saddr != p->dst.w[3])
		return false;
	hdr_len = ip->ihl * 4u;
	if (hdr_len < sizeof(*ip))
		return false;
	parse_mapped(&q->src, ip->daddr);
	q->proto = ip->protocol;
	if (ip->frag_off & bpf_htons(IP4_OFFSET))
		q->fragment = FRAGMENT_LATER;
	else
		quote_ports(at + hdr_len, end, q);
	return true;
}

static __always_inline bool quote_ip6(void *at, void *end, const struct packet *p, struct quote *q)
{
	struct ipv6hdr *ip = at;
	const __be32 *to = ip->saddr.in6_u.u6_addr32;

	if ((void *)(ip + 1) > end || ip->version != 6 || to[0] != p->dst.w[0] ||
	    to[1] != p->dst.w[1] || to[2] != p->dst.w[2] || to[3] != p->dst.w[3])
		return false;
	__builtin_memcpy(&q->src, &ip->daddr, sizeof(q->src));
	if (parse_is_mapped(&q->src))
		return false;
	q->proto = ip->nexthdr;
	quote_ports(ip + 1, end, q);
	return true;
}

/* False: p, which quote_is_error() is true of, is not to the sender of what it quotes. */
static __always_inline bool quote_from(void *data, void *end, const struct packet *p,
				       struct quote *q)
{
	__u32 off = (__u32)p->l3_off + p->l4_off + ICMP_HDR_LEN;

	parse_hide(off);
	off &= PARSE_OFF_MASK;
	return p->family == 4 ? quote_ip4(data + off, end, p, q) : quote_ip6(data + off, end, p, q);
}

/* False: p is no whole ICMP error, or it is not to the sender of what it quotes. */
static __always_inline bool quote_read(struct xdp_md *ctx, const struct packet *p, struct quote *q)
{
	return quote_is_error(p) &&
	       quote_from((void *)(long)ctx->data, (void *)(long)ctx->data_end, p, q);
}

/* Makes p look so to the SPD, and *q what p was: twice, and all is as before. */
static __always_inline void quote_swap(struct packet *p, struct quote *q)
{
	const struct quote was = { .src = p->src, .sport = p->sport, .dport = p->dport,
				   .proto = p->proto, .fragment = p->fragment,
				   .ports_known = p->ports_known };

	p->src = q->src;
	p->sport = q->sport;
	p->dport = q->dport;
	p->proto = q->proto;
	p->fragment = q->fragment;
	p->ports_known = q->ports_known;
	*q = was;
}

#endif /* XESP_BPF_ICMP_QUOTE_H */
