/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * traffic.bpf.c - the two ends of the bench: frames are sent by BPF_PROG_TEST_RUN's live frames, which
 * costs the kernel no skb, and end at a tc filter, which costs the gateway no second copy, as an XDP
 * program on a veth would.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "tests/bench/traffic.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TRAFFIC_RING);
	__type(key, __u32);
	__type(value, struct traffic_frame);
} frames SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TRAFFIC_CPUS);
	__type(key, __u32);
	__type(value, struct traffic_count);
} counts SEC(".maps");

const volatile __u32 frame_len = 64;
const volatile __u32 out_ifindex;
const volatile __be32 sink_dst;
const volatile __be32 sink_mask = 0xffffffff;
__u32 next;
__u32 top; /* highest number of ESP so far: of one SA, and not beyond 2^31 */

/* Frames come round again with what was written into them, so each is written anew. */
SEC("xdp")
int traffic_send(struct xdp_md *ctx)
{
	__u32 i = next++ & (TRAFFIC_RING - 1), len = frame_len;
	struct traffic_frame *f = bpf_map_lookup_elem(&frames, &i);

	if (!f || len < ETH_HLEN || len > TRAFFIC_FRAME_MAX)
		return XDP_ABORTED;
	if (bpf_xdp_store_bytes(ctx, 0, f->bytes, len))
		return XDP_ABORTED;
	return bpf_redirect(out_ifindex, 0);
}

/* Handshakes of IKE (its marker is zero, RFC 3948) and of WireGuard (types 1 to 3) go on. */
static __always_inline int is_handshake(void *l4, void *end)
{
	__u32 *word = l4 + sizeof(struct udphdr);
	struct udphdr *udp = l4;

	if ((void *)(word + 1) > end)
		return 1;
	return udp->dest == bpf_htons(500) || *word == 0 || *word == 1 || *word == 2 || *word == 3;
}

/* What the far end's replay window sees. CPUs that count at once may err by what both are about to write. */
static __always_inline void look_at_order(struct traffic_count *c, __u32 seq)
{
	__u32 behind = top - seq;

	if ((__s32)behind <= 0) {
		top = seq;
		return;
	}
	c->late++;
	if (behind > c->latest)
		c->latest = behind;
}

SEC("tc")
int traffic_sink(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *ip = data + ETH_HLEN;
	__u32 cpu = bpf_get_smp_processor_id(), *esp = (void *)(ip + 1);
	struct traffic_count *c;

	if (skb->protocol != bpf_htons(ETH_P_IP) || (void *)(ip + 1) > end ||
	    (ip->daddr & sink_mask) != sink_dst || ip->protocol == IPPROTO_ICMP)
		return TC_ACT_OK;
	if (ip->protocol == IPPROTO_UDP && is_handshake(ip + 1, end))
		return TC_ACT_OK;
	c = bpf_map_lookup_elem(&counts, &cpu);
	if (c) {
		c->packets++;
		c->bytes += skb->len;
		if (sink_mask == 0xffffffff && ip->protocol == IPPROTO_ESP && (void *)(esp + 2) <= end)
			look_at_order(c, bpf_ntohl(esp[1]));
	}
	return TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
