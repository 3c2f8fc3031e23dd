/* SPDX-License-Identifier: BSD-2-Clause */
/* natt.c - see natt.h. */
#include <netinet/in.h>
#include <string.h>

#include "esp/natt.h"
#include "esp/outer.h"
#include "esp/stage.h"
#include "esp/wire.h"
#include "libxesp/addr.h"
#include "sad/peer.h"
#include "sad/sa.h"
#include "sad/sad.h"
#include "sad/tunnel.h"

#define KEEPALIVE 0xff
#define IP4_SRC 12
#define IP6_SRC 8
#define UDP_LEN_AT 4
#define UDP_CHECK_AT 6

void natt_write_udp(uint8_t *udp, uint32_t udp_len, const struct tunnel *t)
{
	memcpy(udp, t->header + tunnel_ip_len(t), TUNNEL_UDP_LEN);
	wire_put16(udp + UDP_LEN_AT, (uint16_t)udp_len);
}

void natt_write_checksum(uint8_t *ip, uint32_t udp_off, uint32_t udp_len)
{
	bool ip4 = ip[0] >> 4 == 4;
	uint8_t *udp = ip + udp_off;
	uint16_t sum;

	/* The pseudo-header: both addresses, which lie side by side, length and protocol. */
	sum = ip4 ? wire_sum(0, ip + IP4_SRC, 8) : wire_sum(0, ip + IP6_SRC, 32);
	sum = (uint16_t)~wire_sum((uint64_t)sum + htons((uint16_t)udp_len) + htons(IPPROTO_UDP),
				   udp, udp_len);
	if (!sum)
		sum = 0xffff; /* 0 says that there is none */
	memcpy(udp + UDP_CHECK_AT, &sum, sizeof(sum));
}

void natt_write_checksums(struct esp_worker *w, struct batch *b)
{
	if (!w->udp_sums)
		return;
	w->udp_sums = false;
	for (uint32_t i = 0; i < b->n; i++) {
		struct pkt *p = &b->pkt[i];

		if (!stage_skips(p) && p->udp && w->x[i].tunnel->udp == TUNNEL_UDP_SUM)
			natt_write_checksum(p->l3, p->l4_off - TUNNEL_UDP_LEN,
					    p->len - (p->l4_off - TUNNEL_UDP_LEN));
	}
}

bool natt_parse_udp(struct outer *o, const struct pkt *p)
{
	uint32_t udp_off = p->l4_off - TUNNEL_UDP_LEN, udp_len;

	if (p->l4_off < o->hdr_len + TUNNEL_UDP_LEN)
		return false;
	udp_len = wire_get16(p->l3 + udp_off + UDP_LEN_AT);
	if (udp_len < TUNNEL_UDP_LEN || udp_len > o->len - udp_off)
		return false;
	o->len = udp_off + udp_len;
	return true;
}

/* Nobody to send to, or a loop: whoever holds the key must not make us do that. */
static bool may_be_peer(const struct xesp_addr *a, __be16 port, const struct tunnel *t)
{
	uint32_t ip4 = ntohl(a->w[3]);

	if (!port || addr_equal(a, &t->local))
		return false;
	if (addr_is_ip4(a))
		return ip4 >> 24 && ip4 >> 24 != 127 && ip4 >> 28 < 0xe;
	return ntohl(a->w[0]) >> 24 != 0xff && (a->w[0] || a->w[1] || a->w[2]);
}

void natt_note_peer(struct esp_worker *w, const struct tunnel *t, const struct pkt *p)
{
	const struct xesp_natt *n = &t->as_told.natt;
	struct xesp_addr from;
	__be16 port;

	if (!n->follow_peer || t->udp == TUNNEL_UDP_NONE)
		return;
	if (p->l3[0] >> 4 == 4)
		addr_from_ip4(&from, p->l3 + IP4_SRC);
	else
		addr_from_ip6(&from, p->l3 + IP6_SRC);
	memcpy(&port, p->l3 + p->l4_off - TUNNEL_UDP_LEN, sizeof(port));
	if (port == n->peer_port && addr_equal(&from, tunnel_peer(&t->as_told)))
		return;
	if (may_be_peer(&from, port, t))
		peer_see(sad_peers(w->sad), p->sa->tunnel, &from, port);
}

uint32_t natt_make_keepalive(const struct tunnel *t, uint8_t out[NATT_KEEPALIVE_MAX])
{
	uint32_t len = (uint32_t)t->header_len + 1, ip_len = tunnel_ip_len(t);
	bool ip4 = t->header[0] >> 4 == 4;
	uint16_t check;

	memcpy(out, t->header, t->header_len);
	out[t->header_len] = KEEPALIVE;
	if (ip4) {
		wire_put16(out + 2, (uint16_t)len);
		check = (uint16_t)~wire_sum(0, out, 20);
		memcpy(out + 10, &check, sizeof(check));
	} else {
		wire_put16(out + 4, (uint16_t)(len - 40));
	}
	natt_write_udp(out + ip_len, len - ip_len, t);
	if (t->udp == TUNNEL_UDP_SUM)
		natt_write_checksum(out, ip_len, len - ip_len);
	return len;
}
