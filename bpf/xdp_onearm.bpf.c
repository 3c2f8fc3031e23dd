/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * xdp_onearm.bpf.c - both sides on one interface: chooses between the two.
 *
 * Nothing tells from which side cleartext comes, so it must satisfy both SPDs: what the outbound
 * one protects or discards is that; what it bypasses or does not know must be allowed to arrive
 * in clear by the inbound one.
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
} XDP_RUN_CONFIG(xdp_onearm);

SEC("xdp")
int xdp_onearm(struct xdp_md *ctx)
{
	struct xesp_spd_val out, by_quote;
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
	if (is_local(&p)) /* nothing outbound about it */
		return steer_inbound(ctx, &p, NULL);

	why = spd_match(&p, XESP_DIR_OUT, &out);
	if (!why)
		why = p.flaw;
	if (why)
		return steer_drop(ctx, &p, why, 0);
	if (out.policy && out.action == XESP_ACTION_PROTECT)
		return steer_protect(ctx, &p, &out);
	if (out.policy && out.action != XESP_ACTION_BYPASS)
		return steer_discard(ctx, &p, &out);
	if (!out.policy && out.action != XESP_ACTION_BYPASS && match_quoted(ctx, &p, &by_quote))
		return steer_protect(ctx, &p, &by_quote);
	return steer_inbound(ctx, &p, &out);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
