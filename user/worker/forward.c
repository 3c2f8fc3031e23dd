/* SPDX-License-Identifier: BSD-2-Clause */
/* forward.c - see forward.h. */
#include <arpa/inet.h>
#include <string.h>

#include "esp/esp.h"
#include "esp/onward.h"
#include "libxesp/addr.h"
#include "port/umem.h"
#include "worker/forward.h"

#define IP4_TTL 8
#define IP4_CHECK 10
#define IP4_DST 16
#define IP4_FRAG 6
#define IP4_DF 0x40 /* in the byte at IP4_FRAG */
#define IP4_NO_OPTIONS 0x45
#define IP6_HOPS 7
#define IP6_SRC 8
#define IP6_DST 24

_Static_assert(FIB_L2_MAX <= UMEM_L2_ROOM, "an Ethernet header fits before pkt.head");

static bool is_ip4(const uint8_t *l3)
{
	return l3[0] >> 4 == 4;
}

bool forward_hop(uint8_t *l3)
{
	uint8_t *hops = l3 + (is_ip4(l3) ? IP4_TTL : IP6_HOPS);
	uint16_t check;
	uint32_t sum;

	if (*hops <= 1)
		return false;
	--*hops;
	if (!is_ip4(l3))
		return true;
	memcpy(&check, l3 + IP4_CHECK, sizeof(check));
	sum = check + (uint32_t)htons(0x0100);
	check = (uint16_t)(sum + (sum >= 0xffff));
	memcpy(l3 + IP4_CHECK, &check, sizeof(check));
	return true;
}

/* A packet in a wide buffer may have to be sent in pieces, which not every port can. */
static bool port_can(const struct forward *fw, const struct pkt *p, unsigned int need)
{
	if (__builtin_expect(p->end - p->head > UMEM_CHUNK, 0))
		need |= FORWARD_MAY_SPLIT;
	return (fw->may[fw->hop.port] & need) == need;
}

static enum fib_verdict look_up(struct forward *fw, const struct pkt *p, enum fib_from from)
{
	struct xesp_addr dst;

	if (is_ip4(p->l3))
		addr_from_ip4(&dst, p->l3 + IP4_DST);
	else
		addr_from_ip6(&dst, p->l3 + IP6_DST);
	if (!fw->known || !addr_equal(&dst, &fw->dst)) {
		fw->verdict = fib_lookup(fw->fib, fw->worker, &dst, from, &fw->hop);
		fw->dst = dst;
		fw->known = true;
	}
	return fw->verdict;
}

static struct forward_out drop(struct forward *fw, struct pkt *p, enum xesp_drop why)
{
	const bool tell = why == XESP_DROP_TTL_EXPIRED || why == XESP_DROP_TOO_BIG;

	p->drop = why;
	esp_count_drop(fw->esp, p, why);
	return (struct forward_out){ .to = tell ? FORWARD_TELL : FORWARD_FREE };
}

static struct forward_out send_to_hop(struct forward *fw, struct pkt *p)
{
	memcpy(p->l3 - fw->hop.l2_len, fw->hop.l2, fw->hop.l2_len);
	return (struct forward_out){
		.to = FORWARD_PORT,
		.port = (uint8_t)fw->hop.port,
		.l2_len = fw->hop.l2_len,
	};
}

/* What a router looks into that the fast path does not: options, and addresses of one link. */
static bool kernel_knows_better(const uint8_t *l3)
{
	if (is_ip4(l3))
		return l3[0] != IP4_NO_OPTIONS;
	return (l3[IP6_SRC] == 0xfe && (l3[IP6_SRC + 1] & 0xc0) == 0x80) ||
	       (l3[IP6_DST] == 0xfe && (l3[IP6_DST + 1] & 0xc0) == 0x80);
}

/* Where the SPD has a say, since the route leads into xesp0 or to an outer port. True: *out is its verdict. */
static bool policy_decides(struct forward *fw, struct pkt *p, struct forward_out *out)
{
	enum xesp_drop why;

	switch (onward_to(fw->esp, p, fw->verdict == FIB_TUNNELS, fw->hop.role, &why)) {
	case ONWARD_PROTECT:
		*out = (struct forward_out){ .to = FORWARD_ENCAP };
		return true;
	case ONWARD_DROP:
		*out = drop(fw, p, why);
		return true;
	case ONWARD_CLEAR:
	default:
		return false;
	}
}

static struct forward_out route_clear(struct forward *fw, struct pkt *p)
{
	const struct forward_out to_tun = { .to = FORWARD_TUN };
	const enum fib_verdict verdict = look_up(fw, p, FIB_FORWARDED);
	struct forward_out out;

	if (verdict == FIB_NO_ROUTE)
		return drop(fw, p, XESP_DROP_NO_ROUTE);
	if (__builtin_expect(verdict == FIB_TUNNELS || (verdict != FIB_LOCAL && fw->hop.role & XESP_ROLE_OUTER), 0) &&
	    policy_decides(fw, p, &out))
		return out;
	if (verdict != FIB_SEND)
		return to_tun;
	/*
	 * Cleartext that policy lets out on the ciphertext side is rare, and a matter for the
	 * machine's firewall and address translation: the kernel takes it there, or not.
	 */
	if (!port_can(fw, p, FORWARD_MAY_SEND | FORWARD_MAY_CLEAR) ||
	    kernel_knows_better(p->l3))
		return to_tun;
	if (p->len > fw->hop.mtu) {
		if (is_ip4(p->l3) && !(p->l3[IP4_FRAG] & IP4_DF))
			return to_tun;
		p->mtu = (uint16_t)fw->hop.mtu; /* p->len is above it */
		return drop(fw, p, XESP_DROP_TOO_BIG);
	}
	/* RFC 4301 section 5.1.2.1: decapsulation decrements when the packet is forwarded. */
	if (!forward_hop(p->l3))
		return drop(fw, p, XESP_DROP_TTL_EXPIRED);
	return send_to_hop(fw, p);
}

static struct forward_out route_esp(struct forward *fw, struct pkt *p)
{
	switch (look_up(fw, p, FIB_OURS)) {
	case FIB_SEND:
		/* Too large: a new route's MTU is on its way to the tunnels, or it is to be cut. */
		if (!port_can(fw, p, FORWARD_MAY_SEND) || p->len > fw->hop.mtu || p->mtu)
			break;
		return send_to_hop(fw, p);
	case FIB_NO_ROUTE:
		return drop(fw, p, XESP_DROP_NO_ROUTE);
	case FIB_SLOW:
	case FIB_LOCAL:
	default:
		break;
	}
	return (struct forward_out){ .to = FORWARD_WIRE };
}

static struct forward_out after_drop(const struct pkt *p)
{
	if (p->drop == XESP_DROP_TOO_BIG && p->fragment)
		return (struct forward_out){ .to = FORWARD_TUNNEL };
	if (p->drop == XESP_DROP_TOO_BIG || p->drop == XESP_DROP_TTL_EXPIRED)
		return (struct forward_out){ .to = FORWARD_TELL };
	return (struct forward_out){ .to = FORWARD_FREE };
}

void forward_clear(struct forward *fw, struct batch *b)
{
	fw->known = false;
	for (uint32_t i = 0; i < b->n; i++) {
		struct pkt *p = &b->pkt[i];

		fw->out[i] = p->drop ? after_drop(p) : route_clear(fw, p);
	}
}

void forward_esp(struct forward *fw, struct batch *b)
{
	fw->known = false;
	for (uint32_t i = 0; i < b->n; i++) {
		struct pkt *p = &b->pkt[i];

		fw->out[i] = p->drop ? after_drop(p) : route_esp(fw, p);
	}
}
