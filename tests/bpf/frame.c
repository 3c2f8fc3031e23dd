/* SPDX-License-Identifier: BSD-2-Clause */
/* frame.c - see frame.h. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_IP4 0x0800
#define ETHERTYPE_IP6 0x86dd
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8
#define PROTO_FRAGMENT 44

static void put8(struct frame *f, unsigned int v)
{
	if (f->len >= FRAME_MAX)
		abort();
	f->bytes[f->len++] = (uint8_t)v;
}

static void put16(struct frame *f, unsigned int v)
{
	put8(f, v >> 8);
	put8(f, v & 0xff);
}

static void put32(struct frame *f, uint32_t v)
{
	put16(f, v >> 16);
	put16(f, v & 0xffff);
}

static void put_fill(struct frame *f, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		put8(f, 0xa0 + i % 16);
}

static void put_addr(struct frame *f, int family, const char *text)
{
	uint8_t a[16];

	if (inet_pton(family, text, a) != 1) {
		fprintf(stderr, "frame: '%s' is no address of family %d\n", text, family);
		abort();
	}
	for (int i = 0; i < (family == AF_INET6 ? 16 : 4); i++)
		put8(f, a[i]);
}

static void put_eth(struct frame *f, const struct frame_spec *s, unsigned int type)
{
	static const uint8_t macs[12] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 };

	memcpy(f->bytes, macs, sizeof(macs));
	f->len = sizeof(macs);
	for (unsigned int i = 0; i < s->vlans; i++) {
		put16(f, i + 1 < s->vlans ? ETHERTYPE_QINQ : ETHERTYPE_VLAN);
		put16(f, 100 + i);
	}
	put16(f, type);
	f->l3_off = f->len;
}

static void put_ip4(struct frame *f, const struct frame_spec *s)
{
	static const unsigned int frag_off[] = {
		[WHOLE] = 0x4000, /* DF, which is no fragment */
		[FIRST] = 0x2000,
		[MIDDLE] = 0x2000 | 185,
		[LAST] = 370,
	};

	put8(f, 0x40 | (5 + s->options / 4u));
	put8(f, 0);
	put16(f, 0); /* length: frame_set_end() */
	put16(f, 0x1234u + s->frag_id);
	put16(f, frag_off[s->fragment]);
	put8(f, 64);
	put8(f, s->proto);
	put16(f, 0); /* the classifier does not check it */
	put_addr(f, AF_INET, s->src);
	put_addr(f, AF_INET, s->dst);
	for (unsigned int i = 0; i < s->options; i++)
		put8(f, 1); /* NOP */
}

static void put_ext(struct frame *f, unsigned int type, unsigned int next, unsigned int units)
{
	put8(f, next);
	put8(f, type == PROTO_FRAGMENT ? 0xff : units); /* reserved there, so any value is right */
	if (type == PROTO_FRAGMENT) {
		put16(f, 0);
		put32(f, 0x5678);
		return;
	}
	put_fill(f, 6 + units * 8);
}

static void put_ip6(struct frame *f, const struct frame_spec *s)
{
	static const unsigned int offset[] = {
		[FIRST] = 0x0001, [MIDDLE] = 1480 | 0x0001, [LAST] = 2960
	};
	uint8_t chain[FRAME_EXT_MAX + 3];
	unsigned int n = 0;

	memcpy(chain, s->ext, s->ext_n);
	n = s->ext_n;
	if (s->fragment != WHOLE)
		chain[n++] = PROTO_FRAGMENT;
	if (s->behind_fragment)
		chain[n++] = s->behind_fragment;
	chain[n] = s->proto;

	put32(f, 0x60000000);
	put16(f, 0); /* length: frame_set_end() */
	put8(f, chain[0]);
	put8(f, 64);
	put_addr(f, AF_INET6, s->src);
	put_addr(f, AF_INET6, s->dst);
	for (unsigned int i = 0; i < n; i++) {
		put_ext(f, chain[i], chain[i + 1], s->ext_units);
		if (s->fragment != WHOLE && i == s->ext_n) {
			f->bytes[f->len - 1] = s->frag_id;
			f->bytes[f->len - 6] = (uint8_t)(offset[s->fragment] >> 8);
			f->bytes[f->len - 5] = (uint8_t)offset[s->fragment];
		}
	}
}

static void put_l4(struct frame *f, const struct frame_spec *s)
{
	switch (s->proto) {
	case 6: /* TCP */
		put16(f, s->sport);
		put16(f, s->dport);
		put_fill(f, 8);
		put8(f, 0x50);
		put_fill(f, 7);
		break;
	case 17:  /* UDP */
	case 136: /* UDP-Lite */
		put16(f, s->sport);
		put16(f, s->dport);
		put16(f, 8 + FRAME_PAYLOAD);
		put16(f, 0);
		break;
	case 33:  /* DCCP */
	case 132: /* SCTP */
		put16(f, s->sport);
		put16(f, s->dport);
		put_fill(f, 8);
		break;
	case 1:  /* ICMP */
	case 58: /* ICMPv6 */
		put8(f, s->icmp_type);
		put8(f, s->icmp_code);
		put_fill(f, 6);
		break;
	case 135: /* mobility header */
		put8(f, 59);
		put8(f, 0);
		put8(f, s->icmp_type);
		put_fill(f, 5);
		break;
	case 50: /* ESP */
		put32(f, s->spi);
		put32(f, 1);
		break;
	case 51: /* AH, next header TCP, ICV of 16 bytes */
		put32(f, 0x06050000);
		put32(f, s->spi);
		put32(f, 1);
		put_fill(f, 16);
		break;
	default:
		break;
	}
}

void frame_set_end(struct frame *f, uint32_t len)
{
	uint8_t *l3 = f->bytes + f->l3_off;
	bool ip6 = l3[0] >> 4 == 6;
	uint32_t says;

	f->l3_len = len - f->l3_off;
	says = ip6 ? f->l3_len - 40 : f->l3_len;
	l3[ip6 ? 4 : 2] = (uint8_t)(says >> 8);
	l3[ip6 ? 5 : 3] = (uint8_t)says;
}

void frame_build(struct frame *f, const struct frame_spec *s)
{
	memset(f, 0, sizeof(*f));
	if (!s->src) {
		put_eth(f, s, ETHERTYPE_ARP);
		put_fill(f, 28);
		return;
	}
	if (strchr(s->src, ':')) {
		put_eth(f, s, ETHERTYPE_IP6);
		put_ip6(f, s);
	} else {
		put_eth(f, s, ETHERTYPE_IP4);
		put_ip4(f, s);
	}
	f->l4_off = f->len;
	/* A later fragment carries what could be taken for ports by who forgets to look. */
	put_l4(f, s);
	put_fill(f, FRAME_PAYLOAD);
	if (s->cut)
		f->len = f->l4_off + s->cut_at;
	frame_set_end(f, f->len);
	put_fill(f, s->padding);
}
