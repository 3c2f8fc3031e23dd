/* SPDX-License-Identifier: BSD-2-Clause */
/* outer.c - see outer.h. */
#include <string.h>

#include "esp/ecn.h"
#include "esp/inner.h"
#include "esp/natt.h"
#include "esp/outer.h"
#include "esp/pkt.h"
#include "esp/wire.h"
#include "sad/sa.h"
#include "sad/tunnel.h"

#define IP4_HDR 20
#define IP4_DF 0x4000
#define IP6_HDR 40

static uint8_t outer_tos(const struct tunnel *t, uint8_t inner)
{
	uint8_t dscp = inner >> 2;

	if (t->dscp == XESP_DSCP_SET)
		dscp = t->dscp_value;
	else if (t->dscp == XESP_DSCP_MAP)
		dscp = t->dscp_map[dscp];
	return (uint8_t)(dscp << 2) | ecn_encap(t->ecn, inner & ECN_MASK);
}

/* Where the tunnel copies it: as the inner packet goes on. */
static uint8_t inner_ttl(const struct pkt *p, const struct inner *in)
{
	return (uint8_t)(in->ttl - !p->local);
}

/* RFC 6437. What is copied shows which packets belong together, the others do not. */
static uint32_t outer_label(const struct pkt *p, const struct tunnel *t, const struct inner *in)
{
	switch (t->flow_label) {
	case XESP_FLOW_LABEL_ZERO:
		return 0;
	case XESP_FLOW_LABEL_COPY:
		if (in->version == 6)
			return in->label;
		break;
	case XESP_FLOW_LABEL_FLOW:
		if (in->version)
			return in->label; /* made of its flow, see encap.c */
		break;
	}
	return be32toh(p->sa->out.flow_label);
}

static bool outer_df(const struct pkt *p, const struct tunnel *t, const struct inner *in)
{
	if (p->probe)
		return true; /* what it is to find out, RFC 8899 */
	if (p->mtu)
		return false; /* it will be cut */
	switch (t->df) {
	case XESP_DF_SET:
		return true;
	case XESP_DF_CLEAR:
		return false;
	}
	return in->df;
}

/*
 * Its words are put together in registers: the checksum of what was just written by bytes would wait for
 * each of them to reach the cache.
 */
static void write_ip4(const struct pkt *p, const struct tunnel *t, const struct inner *in)
{
	uint8_t *h = p->l3;
	const uint16_t tos = (uint16_t)(t->header[0] << 8 | outer_tos(t, in->tos));
	const uint16_t len = (uint16_t)p->len;
	uint16_t id = 0, fragment = 0, ttl = (uint16_t)(t->header[8] << 8 | t->header[9]), check;
	uint32_t sum = t->sum; /* in memory order: version, TTL, protocol, addresses */

	if (!t->header[8]) {
		ttl |= (uint16_t)(inner_ttl(p, in) << 8);
		sum += htobe16((uint16_t)(ttl & 0xff00));
	}
	if (outer_df(p, t, in))
		fragment = IP4_DF; /* ID 0: RFC 6864 section 4.1 */
	else
		/* The one thing that differs per packet; for 0 the kernel would choose one a piece. */
		id = (uint16_t)p->seq ? (uint16_t)p->seq : 1;
	sum += htobe16(tos & 0xff) + (uint32_t)htobe16(len) + htobe16(id) + htobe16(fragment);
	check = (uint16_t)~wire_fold(sum);
	wire_put32(h, (uint32_t)tos << 16 | len);
	wire_put32(h + 4, (uint32_t)id << 16 | fragment);
	wire_put16(h + 8, ttl);
	memcpy(h + 10, &check, sizeof(check));
	memcpy(h + 12, t->header + 12, IP4_HDR - 12);
}

static void write_ip6(const struct pkt *p, const struct tunnel *t, const struct inner *in)
{
	uint32_t tc = outer_tos(t, in->tos);
	uint8_t *h = p->l3;

	memcpy(h, t->header, IP6_HDR);
	if (!h[7])
		h[7] = inner_ttl(p, in);
	wire_put32(h, 0x60000000u | tc << 20 | outer_label(p, t, in));
	wire_put16(h + 4, (uint16_t)(p->len - IP6_HDR));
}

static bool is_ip4(const struct tunnel *t)
{
	return t->header[0] >> 4 == 4;
}

void outer_write(const struct pkt *p, const struct tunnel *t, const struct inner *in)
{
	if (is_ip4(t))
		write_ip4(p, t, in);
	else
		write_ip6(p, t, in);
	if (t->udp != TUNNEL_UDP_NONE)
		natt_write_udp(p->l3 + tunnel_ip_len(t), p->len - tunnel_ip_len(t), t);
}
