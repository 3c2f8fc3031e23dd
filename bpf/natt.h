/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * natt.h - UDP to a tunnel's end at a port where it receives ESP in UDP: steered by what is in it.
 *
 * ESP goes the way of ESP without UDP; keepalives end here; IKE is left to whoever comes next,
 * like all other UDP to this machine. Fragments are not looked into: the kernel makes a whole of
 * them, and xespd takes the ESP out of that by a raw socket.
 */
#ifndef XESP_BPF_NATT_H
#define XESP_BPF_NATT_H

#include "maps.h"
#include "natt_parse.h"
#include "parse.h"
#include "steer.h"

#define NATT_GO_ON (-1) /* no verdict: not ESP */

static __always_inline bool natt_is_ours(const struct packet *p)
{
	return p->proto == IPPROTO_UDP && p->ports_known && p->fragment == FRAGMENT_NONE &&
	       bpf_map_lookup_elem(&xesp_natt_port, &p->dport) &&
	       bpf_map_lookup_elem(&xesp_endpoints, &p->dst);
}

/* For what natt_is_ours() names. ESP is made known in *p as if it had come without UDP. */
static __always_inline int steer_natt(struct xdp_md *ctx, struct packet *p)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	switch (natt_parse(data, end, p, &p->spi)) {
	case NATT_CONTENT_ESP:
		p->proto = IPPROTO_ESP;
		p->l4_off += NATT_UDP_LEN;
		return steer_esp_at(ctx, p, XESP_KIND_ESP_UDP);
	case NATT_CONTENT_IKE:
		return NATT_GO_ON;
	case NATT_CONTENT_KEEPALIVE:
		return steer_drop(ctx, p, XESP_DROP_NATT_KEEPALIVE, 0);
	case NATT_CONTENT_SHORT:
		return steer_drop(ctx, p, XESP_DROP_NATT_SHORT, 0);
	default:
		return steer_drop(ctx, p, XESP_DROP_MALFORMED_L4, 0);
	}
}

#endif /* XESP_BPF_NATT_H */
