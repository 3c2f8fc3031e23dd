/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * steer.h - step 3 of the walk: the verdict. To a worker, to the kernel, or a counted drop.
 *
 * Everything here fails closed. XDP_PASS is returned only for what is not ours, is for this
 * machine, or is named by a bypass policy (or a bypass default); every XDP_DROP comes out of
 * steer_drop(), which counts it.
 */
#ifndef XESP_BPF_STEER_H
#define XESP_BPF_STEER_H

#include "handover.h"
#include "icmp_quote.h"
#include "maps.h"
#include "parse.h"
#include "sa_match.h"
#include "spd_match.h"

/*
 * Who it was, for `xesp drops`: see xesp/dropped.h. The other end of the order of stores is in user/xesp/last.c. Where the
 * place was written in this tick of the clock already, a flood pays a look-up and a comparison.
 */
static __always_inline void record_drop(struct xdp_md *ctx, const struct packet *p, __u32 why,
					__u32 policy, __u64 number)
{
	__u32 at = XESP_LAST_AT(why, (__u32)number);
	struct xesp_dropped *d = bpf_map_lookup_elem(&xesp_last_xdp, &at);
	__u64 tick = bpf_jiffies64();
	__u32 seq;

	if (!d || (d->number && d->tick == tick))
		return;
	*(volatile __u64 *)&d->check = number;
	barrier();
	d->tick = tick;
	d->time_ns = bpf_ktime_get_boot_ns();
	d->src = p->src;
	d->dst = p->dst;
	d->spi = p->spi;
	d->seq = p->spi && handover_number(ctx, p, &seq) ? seq : 0;
	d->sa = 0;
	d->policy = policy;
	d->ifindex = ctx->ingress_ifindex;
	d->queue = (__u16)ctx->rx_queue_index;
	d->len = (__u16)p->l3_len;
	d->sport = p->sport;
	d->dport = p->dport;
	d->reason = (__u8)why;
	d->proto = p->proto;
	d->family = p->family;
	d->way = p->spi ? XESP_DROPPED_INBOUND : XESP_DROPPED_CLEAR;
	d->fields = p->ports_known;
	barrier();
	*(volatile __u64 *)&d->number = number;
}

/* The one place where packets are dropped. `policy` 0: none is known. *p as far as it was parsed. */
static __noinline int steer_drop(struct xdp_md *ctx, const struct packet *p, enum xesp_drop why,
				 __u32 policy)
{
	__u32 reason = why;
	struct xesp_policy_drops *drops;
	__u64 *n = bpf_map_lookup_elem(&xesp_drops, &reason);

	if (n) {
		(*n)++; /* per CPU */
		record_drop(ctx, p, reason, policy, *n);
	}
	if (!policy)
		return XDP_DROP;
	drops = bpf_map_lookup_elem(&xesp_pol_drops, &policy);
	if (!drops)
		return XDP_DROP;
	/* The bound in sight of its use: 6.1's verifier forgets it in a reload from the stack. */
	parse_hide(reason);
	/* Atomic: other CPUs and xespd's workers add to the same word. */
	__sync_fetch_and_add(&drops->by_reason[reason & (XESP_DROP_SLOTS - 1)], 1);
	return XDP_DROP;
}

static __always_inline void count_hit(const struct packet *p, __u32 policy)
{
	const __u32 zero = 0;
	const struct xesp_conf *conf = bpf_map_lookup_elem(&xesp_conf, &zero);
	struct xesp_policy_hits *hits;
	__u32 at;

	if (!policy || !conf)
		return;
	at = bpf_get_smp_processor_id() * XESP_HITS_OF_CPU(conf->max_policies) + policy;
	hits = bpf_map_lookup_elem(&xesp_pol_hits, &at);
	if (hits) {
		hits->packets++;
		hits->bytes += p->l3_len;
	}
}

static __always_inline bool is_local(const struct packet *p)
{
	return bpf_map_lookup_elem(&xesp_local, &p->dst);
}

/*
 * Lays *meta right before the frame, where an AF_XDP socket finds it. What another program of the
 * chain or the driver had put there is given up: nobody behind the socket asks for it.
 */
static __always_inline bool lay_meta(struct xdp_md *ctx, const struct xesp_meta *meta)
{
	int there = (int)(ctx->data - ctx->data_meta);
	struct xesp_meta *m;

	if (bpf_xdp_adjust_meta(ctx, there - (int)sizeof(*m)))
		return false;
	m = (void *)(long)ctx->data_meta;
	if ((void *)(m + 1) > (void *)(long)ctx->data)
		return false;
	*m = *meta;
	return true;
}

/* Is this the kernel's, because it has the same policies and SAs? See enum xesp_kernel. */
static __always_inline bool is_kernels(enum xesp_kernel what)
{
	const __u32 zero = 0;
	const struct xesp_conf *conf = bpf_map_lookup_elem(&xesp_conf, &zero);

	return conf && conf->kernel & what;
}

#define WITHOUT_WORKER (-1) /* no verdict: none serves this queue, and the frame is as it was */

/* Frame pointers are void afterwards. */
static __always_inline int to_worker(struct xdp_md *ctx, const struct packet *p,
				     const struct xesp_meta *meta)
{
	__u32 ifindex = ctx->ingress_ifindex, queue = ctx->rx_queue_index;
	const struct xesp_iface *iface = bpf_map_lookup_elem(&xesp_ifaces, &ifindex);

	if (!iface || iface->port >= XESP_PORTS_MAX || queue >= XESP_QUEUES_MAX)
		return WITHOUT_WORKER;
	if (!lay_meta(ctx, meta))
		return steer_drop(ctx, p, XESP_DROP_NO_HEADROOM, meta->policy);
	/* With no socket at the key the helper returns its flags. */
	if (bpf_redirect_map(&xesp_xsks, iface->port * XESP_QUEUES_MAX + queue, XDP_DROP) !=
	    XDP_REDIRECT) {
		bpf_xdp_adjust_meta(ctx, sizeof(*meta)); /* who sees it next must not take it for its own */
		return WITHOUT_WORKER;
	}
	return XDP_REDIRECT;
}

/* What the workers have accepted the kernel is not to accept again. */
static __always_inline int esp_without_worker(struct xdp_md *ctx, const struct packet *p, __u32 sa_id)
{
	if (!is_kernels(XESP_KERNEL_FALLBACK))
		return steer_drop(ctx, p, XESP_DROP_NO_WORKER, 0);
	return handover_is_new(ctx, p, sa_id) ? XDP_PASS : steer_drop(ctx, p, XESP_DROP_HANDOVER, 0);
}

static __always_inline int esp_to_worker(struct xdp_md *ctx, const struct packet *p,
					 const struct xesp_meta *meta)
{
	int verdict = to_worker(ctx, p, meta);

	return verdict == WITHOUT_WORKER ? esp_without_worker(ctx, p, meta->id) : verdict;
}

/* ESP for us. Of fragments the kernel makes a whole, which reaches xespd by a raw socket. */
static __always_inline int steer_esp_at(struct xdp_md *ctx, const struct packet *p, __u8 kind)
{
	struct xesp_meta meta = {
		.magic = XESP_META_MAGIC,
		.kind = kind,
		.l3_off = p->l3_off,
		.l4_off = p->l4_off / 4,
	};
	struct xesp_sa_in_val sa = {};
	enum xesp_drop why;

	if (p->fragment)
		return XDP_PASS;
	why = sa_match(p, &sa);
	if (why == XESP_DROP_NO_SA && is_kernels(XESP_KERNEL_SPIS))
		return XDP_PASS;
	if (why)
		return steer_drop(ctx, p, why, 0);
	if (p->l4_off > 4 * 0xff) /* the metadata could not say where ESP begins */
		return steer_drop(ctx, p, XESP_DROP_EXTHDR_DEPTH, 0);
	meta.id = sa.sa_id;
	if (!sa.handover)
		return esp_to_worker(ctx, p, &meta);
	switch (handover_verdict(ctx, p, sa.sa_id)) {
	case HANDOVER_WORKER:
		return esp_to_worker(ctx, p, &meta);
	case HANDOVER_KERNEL:
		return XDP_PASS;
	default:
		return steer_drop(ctx, p, XESP_DROP_HANDOVER, 0);
	}
}

static __always_inline int steer_esp(struct xdp_md *ctx, const struct packet *p)
{
	return steer_esp_at(ctx, p, p->proto == IPPROTO_AH ? XESP_KIND_AH : XESP_KIND_ESP);
}

/* A verdict of the SPD for a packet that is not for this machine. */
static __always_inline int steer_default(struct xdp_md *ctx, const struct packet *p,
					 const struct xesp_spd_val *v)
{
	return v->action == XESP_ACTION_BYPASS ? XDP_PASS : steer_drop(ctx, p, XESP_DROP_NO_POLICY, 0);
}

static __always_inline int steer_discard(struct xdp_md *ctx, const struct packet *p,
					 const struct xesp_spd_val *v)
{
	count_hit(p, v->policy);
	return steer_drop(ctx, p, XESP_DROP_DISCARD, v->policy);
}

static __always_inline int steer_bypass(const struct packet *p, const struct xesp_spd_val *v)
{
	count_hit(p, v->policy);
	return XDP_PASS;
}

/*
 * RFC 1812 section 5.3.4: what came to all routers of the link none of them forwards; else each
 * would make its own copy, and its own ICMP error.
 */
static __always_inline bool is_link_group(const struct xdp_md *ctx)
{
	const __u8 *mac = (void *)(long)ctx->data;

	return (void *)(mac + 1) > (void *)(long)ctx->data_end || *mac & 1;
}

static __always_inline int steer_protect(struct xdp_md *ctx, const struct packet *p,
					 const struct xesp_spd_val *v)
{
	struct xesp_meta meta = {
		.magic = XESP_META_MAGIC,
		.kind = XESP_KIND_CLEAR,
		.id = v->tunnel,
		.policy = v->policy,
		.l3_off = p->l3_off,
	};
	int verdict;

	count_hit(p, v->policy);
	if (is_link_group(ctx))
		return steer_drop(ctx, p, XESP_DROP_LINK_GROUP, v->policy);
	verdict = to_worker(ctx, p, &meta);
	if (verdict != WITHOUT_WORKER)
		return verdict;
	/* The kernel's own policies protect it then, or drop it. */
	if (is_kernels(XESP_KERNEL_FALLBACK))
		return XDP_PASS;
	return steer_drop(ctx, p, XESP_DROP_NO_WORKER, v->policy);
}

/*
 * RFC 4301 section 6.2: an ICMP error that no entry of the SPD would carry goes into the tunnel that
 * carries the answers to the packet it is about. *found is that entry; false: there is none.
 */
static __always_inline bool match_quoted(struct xdp_md *ctx, struct packet *p,
				    struct xesp_spd_val *found)
{
	struct quote q = {};
	enum xesp_drop why;

	if (!quote_read(ctx, p, &q))
		return false;
	quote_swap(p, &q);
	why = spd_match(p, XESP_DIR_OUT, found);
	quote_swap(p, &q);
	return !why && found->policy && found->action == XESP_ACTION_PROTECT;
}

/* Cleartext that came from the cleartext side. */
static __always_inline int steer_outbound(struct xdp_md *ctx, struct packet *p)
{
	struct xesp_spd_val found, by_quote;
	enum xesp_drop why;

	if (packet_stays_on_link(p) || is_local(p))
		return XDP_PASS;
	why = spd_match(p, XESP_DIR_OUT, &found);
	if (!why)
		why = p->flaw;
	if (why)
		return steer_drop(ctx, p, why, 0);
	if (!found.policy) {
		if (found.action != XESP_ACTION_BYPASS && match_quoted(ctx, p, &by_quote))
			return steer_protect(ctx, p, &by_quote);
		return steer_default(ctx, p, &found);
	}
	switch (found.action) {
	case XESP_ACTION_PROTECT:
		return steer_protect(ctx, p, &found);
	case XESP_ACTION_BYPASS:
		return steer_bypass(p, &found);
	default:
		return steer_discard(ctx, p, &found);
	}
}

/* An address of ours gets this in clear whatever policy says: see xesp/clear.h. */
static __always_inline bool is_exempt(const struct packet *p)
{
	return clear_is_exempt(p->family, p->proto, p->fragment == FRAGMENT_LATER, p->dport, p->icmp_type) ||
	       (p->proto == IPPROTO_UDP && bpf_map_lookup_elem(&xesp_natt_port, &p->dport));
}

/*
 * Cleartext that came from the ciphertext side, RFC 4301 section 5.2. `out` is what the outbound
 * SPD said on a one-armed gateway (bypass or no match), NULL elsewhere. An address of ours must
 * stay reachable before policies are loaded; afterwards policies hold for it too.
 */
static __always_inline int steer_inbound(struct xdp_md *ctx, const struct packet *p,
					 const struct xesp_spd_val *out)
{
	struct xesp_spd_val found;
	bool local = is_local(p);
	enum xesp_drop why;

	why = spd_match(p, XESP_DIR_IN, &found);
	if (why == XESP_DROP_NOT_LOADED && local)
		return XDP_PASS;
	if (!why)
		why = p->flaw;
	if (why)
		return steer_drop(ctx, p, why, 0);
	if (!found.policy && out && out->policy)
		return steer_bypass(p, out);
	if (!found.policy)
		return local ? XDP_PASS : steer_default(ctx, p, &found);
	switch (found.action) {
	case XESP_ACTION_PROTECT:
		if (local && is_exempt(p))
			return steer_bypass(p, &found);
		count_hit(p, found.policy);
		return steer_drop(ctx, p, XESP_DROP_CLEAR_PROTECTED, found.policy);
	case XESP_ACTION_BYPASS:
		return steer_bypass(p, &found);
	default:
		return steer_discard(ctx, p, &found);
	}
}

#endif /* XESP_BPF_STEER_H */
