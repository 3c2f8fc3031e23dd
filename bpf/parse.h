/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * parse.h - step 1 of the walk: from the first byte of a frame to what decides about it.
 *
 * parse_frame() fills a struct packet and has no side effects: counting and verdicts are
 * steer.h's. It uses no map and no BPF helper, so it compiles for the host too, where
 * tests/bpf/test_parse.c (and a fuzz target) runs it; a frame must then lie at an address that is
 * 2 modulo 4, as the kernel's do, because headers are read through their structs.
 *
 * Each header is proved to lie before `end`, the one pointer that the verifier knows as the end of
 * the bytes it may read, and, where an IP length is known, inside the IP packet: Ethernet pads short
 * frames, so that the packet may end before the frame does. A large frame goes on in fragments of
 * the driver's, behind `end`: no header is looked for there, but its length counts.
 *
 * The verifier walks every path. Where paths would multiply (tags, extension headers), lengths
 * are computed without branches and offsets are kept as masked scalars: paths then meet again.
 */
#ifndef XESP_BPF_PARSE_H
#define XESP_BPF_PARSE_H

#include <linux/types.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include "xesp/clear.h"
#include "xesp/steer.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#define PARSE_VLANS_MAX 2 /* a service and a customer tag, 802.1ad */
#define PARSE_VLAN_LEN 4
#define PARSE_EXT_MAX 8 /* IPv6 extension headers that are followed */
#define PARSE_PROTO_MH 135 /* mobility header, RFC 6275 section 6.1: its type is the third byte */
#define PARSE_OFF_MASK 0x7fff /* over 40 + PARSE_EXT_MAX * 2048, so it never changes an offset */

#define IP4_OFFSET 0x1fff /* RFC 791 section 3.1, in 8-byte units */
#define IP4_MORE 0x2000
#define IP6_OFFSET 0xfff8 /* RFC 8200 section 4.5, in bytes */
#define IP6_MORE 0x0001

enum fragment {
	FRAGMENT_NONE,  /* whole; RFC 6946's atomic fragments too */
	FRAGMENT_FIRST, /* offset 0, more to come: ports are there */
	FRAGMENT_LATER, /* no layer-4 header */
};

/* What parse_frame() found. Addresses, ports and the SPI as they stand on the wire. */
struct packet {
	struct xesp_addr src;
	struct xesp_addr dst;
	__u32 l3_len; /* bytes of the IP packet, header included */
	__u16 l3_off; /* from the start of the frame to the IP header */
	__u16 l4_off; /* from the IP header to what `proto` names */
	__be16 sport; /* 0 unless ports_known; ICMP: its type, mobility header: its type */
	__be16 dport; /* ICMP: its code */
	__be32 spi;     /* of ESP or AH that is no fragment, else 0 */
	__be32 frag_id; /* of a fragment: IPv4 16 bits, IPv6 32; else anything */
	__u8 family;    /* 4 or 6; 0: not IP, and nothing else here is set */
	__u8 proto;     /* behind the extension headers, RFC 4301 section 4.4.1.1 */
	__u8 icmp_type; /* of ICMP and ICMPv6 that are not FRAGMENT_LATER */
	__u8 fragment;  /* enum fragment */
	__u8 flaw;      /* enum xesp_drop: EXTHDR_DEPTH or MALFORMED_L4: drop if ours to judge */
	bool ports_known;
};

/* What all extension headers begin with; none is shorter, RFC 8200 section 4. */
struct ext_hdr {
	__u8 next;
	__u8 len;      /* in 8-byte units, the first not counted; FRAGMENT: reserved */
	__be16 offset; /* FRAGMENT: offset and the M flag */
	__be32 rest;
};

struct l4_start {
	__be16 sport;
	__be16 dport;
};

/* The compiler forgets what it knows of x: it would turn the shapes below back into branches. */
#define parse_hide(x) asm volatile("" : "+r"(x))

/* All ones when a == b, else 0. */
static __always_inline __u32 equal_mask(__u32 a, __u32 b)
{
	__u64 x = a ^ b;

	parse_hide(x);
	return (__u32)((x - 1) >> 32);
}

/*
 * The IP header's place and the EtherType behind the tags; NULL when the frame is too short. A
 * third tag is returned as the type: not IP, so not ours.
 */
static __always_inline void *parse_eth(void *data, void *end, __be16 *type)
{
	__u32 type_off = offsetof(struct ethhdr, h_proto);
	__be16 *at = data + type_off;

	if ((void *)(at + 1) > end)
		return NULL;
	for (int i = 0; i < PARSE_VLANS_MAX; i++) {
		__u32 is_tag = equal_mask(*at, bpf_htons(ETH_P_8021Q)) |
			       equal_mask(*at, bpf_htons(ETH_P_8021AD));

		type_off += is_tag & PARSE_VLAN_LEN;
		at = data + type_off;
		if ((void *)(at + 1) > end)
			return NULL;
	}
	*type = *at;
	return at + 1;
}

static __always_inline void parse_mapped(struct xesp_addr *a, __be32 ip4)
{
	a->w[0] = 0;
	a->w[1] = 0;
	a->w[2] = bpf_htonl(0xffff);
	a->w[3] = ip4;
}

/* Skips options. `room`, from l3 to the frame's end, may be longer than tot_len (padding), never
 * shorter. */
static __always_inline enum xesp_drop parse_ip4(void *l3, void *end, __u64 room, struct packet *p)
{
	struct iphdr *ip = l3;
	__u32 hdr_len, tot_len;
	__u16 frag;

	if ((void *)(ip + 1) > end)
		return XESP_DROP_MALFORMED_IP;
	hdr_len = ip->ihl * 4u;
	tot_len = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || hdr_len < sizeof(*ip) || tot_len < hdr_len ||
	    tot_len > room)
		return XESP_DROP_MALFORMED_IP;

	p->family = 4;
	p->l3_len = tot_len;
	p->l4_off = (__u16)hdr_len;
	p->proto = ip->protocol;
	parse_mapped(&p->src, ip->saddr);
	parse_mapped(&p->dst, ip->daddr);
	p->frag_id = ip->id;
	frag = (__u16)bpf_ntohs(ip->frag_off);
	if (frag & IP4_OFFSET)
		p->fragment = FRAGMENT_LATER;
	else if (frag & IP4_MORE)
		p->fragment = FRAGMENT_FIRST;
	return XESP_DROP_NONE;
}

/*
 * RFC 4301 section 4.4.1.1 names these four to be skipped, and names AH as one that is not: for
 * the SPD, AH is a next layer protocol like ESP.
 */
static __always_inline bool parse_is_skipped(__u8 proto)
{
	const __u64 skipped = 1ULL << IPPROTO_HOPOPTS | 1ULL << IPPROTO_ROUTING |
			      1ULL << IPPROTO_FRAGMENT | 1ULL << IPPROTO_DSTOPTS;

	return proto < 64 && skipped >> proto & 1;
}

/* A first fragment whose chain is cut off is refused here too, RFC 7112 section 5. */
static __always_inline enum xesp_drop parse_ext_headers(void *l3, void *end, struct packet *p)
{
	__u32 off = sizeof(struct ipv6hdr);
	__u32 frag = 0; /* as on the wire; a second header only adds and so cannot hide the first */
	__u32 id = 0;
	__u8 proto = p->proto;

	for (int i = 0; i < PARSE_EXT_MAX; i++) {
		struct ext_hdr *ext = l3 + off;
		__u32 is_frag, len;

		/* Behind a later fragment's header is data, whatever `next` calls it. */
		if (!parse_is_skipped(proto) || frag & bpf_htons(IP6_OFFSET))
			break;
		if (off + sizeof(*ext) > p->l3_len || (void *)(ext + 1) > end)
			return XESP_DROP_MALFORMED_IP;
		is_frag = equal_mask(proto, IPPROTO_FRAGMENT);
		len = ((ext->len & ~is_frag) + 1) * 8;
		frag |= ext->offset & is_frag;
		id |= ext->rest & is_frag;
		proto = ext->next;
		off += len;
		parse_hide(off);
		off &= PARSE_OFF_MASK;
		if (off > p->l3_len)
			return XESP_DROP_MALFORMED_IP;
	}
	p->proto = proto;
	p->frag_id = id;
	p->l4_off = (__u16)off;
	if (frag & bpf_htons(IP6_OFFSET))
		p->fragment = FRAGMENT_LATER;
	else if (parse_is_skipped(proto))
		p->flaw = XESP_DROP_EXTHDR_DEPTH;
	else if (frag & bpf_htons(IP6_MORE))
		p->fragment = FRAGMENT_FIRST;
	return XESP_DROP_NONE;
}

/* On the wire such an address can only be meant to be taken for the IPv4 one, which our keys do. */
static __always_inline bool parse_is_mapped(const struct xesp_addr *a)
{
	return !a->w[0] && !a->w[1] && a->w[2] == bpf_htonl(0xffff);
}

static __always_inline enum xesp_drop parse_ip6(void *l3, void *end, __u64 room, struct packet *p)
{
	struct ipv6hdr *ip = l3;

	if ((void *)(ip + 1) > end)
		return XESP_DROP_MALFORMED_IP;
	p->l3_len = (__u32)sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (ip->version != 6 || p->l3_len > room)
		return XESP_DROP_MALFORMED_IP;

	p->family = 6;
	p->proto = ip->nexthdr;
	__builtin_memcpy(&p->src, &ip->saddr, sizeof(p->src));
	__builtin_memcpy(&p->dst, &ip->daddr, sizeof(p->dst));
	if (parse_is_mapped(&p->src) || parse_is_mapped(&p->dst))
		return XESP_DROP_MALFORMED_IP;
	return parse_ext_headers(l3, end, p);
}

/* Bytes of the shortest header of a protocol that is looked into, 0 for all others. */
static __always_inline __u32 l4_min_len(__u8 proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 20;
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return 12;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_ICMP:
	case IPPROTO_ESP:
	case PARSE_PROTO_MH:
		return 8;
	case IPPROTO_AH: /* RFC 4302 section 2 */
		return 12;
	case IPPROTO_ICMPV6: /* RFC 4443 section 2.1 promises no more */
		return 4;
	default:
		return 0;
	}
}

/*
 * Ports, ICMP type, mobility header type and SPI all lie in the first 4 bytes. What selectors may
 * look at stands in place of ports, RFC 4301 section 4.4.1.1: the protocol says which it is.
 */
static __always_inline void parse_l4(void *l3, void *end, struct packet *p)
{
	__u32 need = l4_min_len(p->proto), off = p->l4_off;
	struct l4_start *l4;

	if (!need || p->flaw || p->fragment == FRAGMENT_LATER)
		return;
	/* Of a first fragment ask only what is read, RFC 1858 section 3. */
	if (p->fragment == FRAGMENT_FIRST)
		need = sizeof(*l4);
	parse_hide(off);
	l4 = l3 + (off & PARSE_OFF_MASK);
	if (off + need > p->l3_len || (void *)(l4 + 1) > end) {
		p->flaw = XESP_DROP_MALFORMED_L4;
		return;
	}
	switch (p->proto) {
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		p->icmp_type = *(__u8 *)l4;
		p->sport = bpf_htons(p->icmp_type);
		p->dport = bpf_htons(((__u8 *)l4)[1]);
		p->ports_known = true;
		break;
	case PARSE_PROTO_MH:
		p->sport = bpf_htons(((__u8 *)l4)[2]);
		p->ports_known = true;
		break;
	case IPPROTO_ESP:
		if (p->fragment == FRAGMENT_NONE)
			p->spi = *(__be32 *)l4;
		break;
	case IPPROTO_AH: /* its SPI is the second word */
		if (p->fragment != FRAGMENT_NONE)
			break;
		if ((void *)(l4 + 2) > end)
			p->flaw = XESP_DROP_MALFORMED_L4;
		else
			p->spi = *(__be32 *)(l4 + 1);
		break;
	default:
		p->sport = l4->sport;
		p->dport = l4->dport;
		p->ports_known = true;
	}
}

/*
 * Fills *p, which the caller cleared; `frame_len` counts the driver's fragments too.
 * MALFORMED_ETH and MALFORMED_IP: drop, whoever it is for. NONE: look at p->family, then at p->flaw
 * once it is clear that the packet is ours to judge.
 */
static __always_inline enum xesp_drop parse_frame(void *data, void *data_end, __u64 frame_len,
						  struct packet *p)
{
	enum xesp_drop why;
	void *l3;
	__be16 type;
	__u64 room;

	l3 = parse_eth(data, data_end, &type);
	if (!l3)
		return XESP_DROP_MALFORMED_ETH;
	room = frame_len - (__u64)(l3 - data);
	if (type == bpf_htons(ETH_P_IP))
		why = parse_ip4(l3, data_end, room, p);
	else if (type == bpf_htons(ETH_P_IPV6))
		why = parse_ip6(l3, data_end, room, p);
	else
		return XESP_DROP_NONE;
	if (why)
		return why;
	p->l3_off = (__u16)(l3 - data);
	parse_l4(l3, data_end, p);
	return XESP_DROP_NONE;
}

static __always_inline bool packet_stays_on_link(const struct packet *p)
{
	return clear_stays_on_link(p->family, &p->dst);
}

#endif /* XESP_BPF_PARSE_H */
