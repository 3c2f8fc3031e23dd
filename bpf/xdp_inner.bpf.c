/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * xdp_inner.bpf.c - the cleartext side of the gateway: parse -> spd_match -> steer.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <xdp/xdp_helpers.h>
#include "maps.h"
#include "parse.h"
#include "steer.h"

/* For libxdp's dispatcher: what we pass, the next program of the interface sees. */
struct {
	__uint(priority, 50);
	__uint(XDP_PASS, 1);
} XDP_RUN_CONFIG(xdp_inner);

SEC("xdp")
int xdp_inner(struct xdp_md *ctx)
{
	struct packet p = {};
	enum xesp_drop why;

	why = parse_frame((void *)(long)ctx->data, (void *)(long)ctx->data_end,
			  bpf_xdp_get_buff_len(ctx), &p);
	if (why)
		return steer_drop(ctx, &p, why, 0);
	if (!p.family)
		return XDP_PASS;
	return steer_outbound(ctx, &p);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
