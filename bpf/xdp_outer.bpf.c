/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * xdp_outer.bpf.c - the ciphertext side of the gateway: parse -> sa_match -> steer.
 *
 * ESP for us goes to the worker; everything else is cleartext and must be allowed to be that.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <xdp/xdp_helpers.h>
#include "maps.h"
#include "natt.h"
#include "parse.h"
#include "sa_match.h"
#include "steer.h"

/* For libxdp's dispatcher: what we pass, the next program of the interface sees. */
struct {
	__uint(priority, 50);
	__uint(XDP_PASS, 1);
} XDP_RUN_CONFIG(xdp_outer);

SEC("xdp")
int xdp_outer(struct xdp_md *ctx)
{
	struct packet p = {};
	enum xesp_drop why;
	int verdict;

	why = parse_frame((void *)(long)ctx->data, (void *)(long)ctx->data_end,
			  bpf_xdp_get_buff_len(ctx), &p);
	if (why)
		return steer_drop(ctx, &p, why, 0);
	if (!p.family)
		return XDP_PASS;
	if (sa_is_ours(&p))
		return steer_esp(ctx, &p);
	if (natt_is_ours(&p)) {
		verdict = steer_natt(ctx, &p);
		if (verdict != NATT_GO_ON)
			return verdict;
	}
	if (packet_stays_on_link(&p))
		return XDP_PASS;
	return steer_inbound(ctx, &p, NULL);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
