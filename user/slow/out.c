/* SPDX-License-Identifier: BSD-2-Clause */
/* out.c - the ways out of the slow path, and its counters: see room.h. */
#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "esp/esp.h"
#include "esp/inner.h"
#include "esp/transport.h"
#include "fib/fib.h"
#include "libxesp/addr.h"
#include "sad/tunnel.h"
#include "slow/frag.h"
#include "slow/frag6.h"
#include "slow/room.h"
#include "xesp/clock.h"

#define IP6_HDR 40

void out_count(__u64 *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

struct xesp_worker_stats *out_stats(struct slow *s)
{
	return esp_worker_stats(s->o.esp);
}

void out_drop(struct slow *s, struct pkt *p, enum xesp_drop why)
{
	esp_count_drop(s->o.esp, p, why);
}

static bool send_piece(struct slow *s, const struct raw *by, const uint8_t *ip, uint32_t len)
{
	if (raw_send(by, ip, len))
		return false;
	out_count(&out_stats(s)->tx_packets, 1);
	out_count(&out_stats(s)->tx_bytes, len);
	return true;
}

/* IPv6: what goes into every piece. A UDP header around ESP does not. */
static uint32_t head_len(const struct pkt *p)
{
	uint32_t len = p->l4_off - (p->udp ? TUNNEL_UDP_LEN : 0u);

	return p->l4_off < IP6_HDR ? IP6_HDR : len;
}

/* Raw sockets with the header included do not fragment: what esp_encap() lets be cut is cut here. */
static bool send_in_pieces(struct slow *s, const struct raw *by, const struct pkt *p)
{
	const bool ip4 = p->l3[0] >> 4 == 4;
	uint8_t *out = s->cut_buf;
	struct frag6 six;
	struct frag four;
	uint32_t n;

	if (ip4 ? frag_begin(&four, p->l3, p->len, p->mtu) :
		  frag6_begin(&six, p->l3, p->len, head_len(p), p->mtu, ++s->frag_id))
		return false;
	while ((n = ip4 ? frag_next(&four, out) : frag6_next(&six, out)))
		if (!send_piece(s, by, out, n))
			return false;
	return true;
}

static void send_by(struct slow *s, const struct raw *by, struct pkt *p)
{
	const bool cut = p->mtu && p->len > p->mtu;

	if (!(cut ? send_in_pieces(s, by, p) : send_piece(s, by, p->l3, p->len)))
		out_drop(s, p, XESP_DROP_TX_ERROR);
}

void out_to_wire(struct slow *s, struct pkt *p)
{
	send_by(s, &s->raw, p);
}

void out_in_clear(struct slow *s, struct pkt *p)
{
	struct transport_place place;
	struct xesp_addr dst;
	struct inner in;
	struct fib_hop hop;
	uint32_t port;

	if (p->l3[0] >> 4 == 4)
		addr_from_ip4(&dst, p->l3 + 16);
	else
		addr_from_ip6(&dst, p->l3 + 24);
	if (!fib_port_of(s->o.fib, &dst, &port)) {
		out_drop(s, p, XESP_DROP_NO_ROUTE);
		return;
	}
	if (inner_parse(&in, p->l3, p->len) && transport_find_place(&place, p->l3, &in) &&
	    fib_lookup(s->o.fib, s->o.worker, &dst, FIB_OURS, &hop) == FIB_SEND) {
		p->mtu = (uint16_t)hop.mtu; /* of what p->len is above */
		p->l4_off = place.len;
	}
	send_by(s, &s->clear, p);
}

int slow_send_own(struct slow *s, const uint8_t *ip, uint32_t len)
{
	int err = raw_send(&s->raw, ip, len);

	if (err)
		return err;
	out_count(&out_stats(s)->tx_packets, 1);
	out_count(&out_stats(s)->tx_bytes, len);
	return 0;
}

void out_to_tun(struct slow *s, struct pkt *p)
{
	ssize_t n;

	if (probe_takes(s, p))
		return;
	n = write(s->tun, p->l3, p->len);
	if (n < 0) {
		out_drop(s, p, errno == EAGAIN ? XESP_DROP_SLOW_PATH_FULL : XESP_DROP_TX_ERROR);
		return;
	}
	out_count(&out_stats(s)->tx_packets, 1);
	out_count(&out_stats(s)->tx_bytes, p->len);
}
