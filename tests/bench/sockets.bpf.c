/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* sockets.bpf.c - picks one of several sockets of a queue for a UDP packet: see sockets.c. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define TURN_SHIFT 5 /* 32 packets each */

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

const volatile __u32 sockets_n = 1;
const volatile __u32 in_turn;
__u32 turn;

SEC("xdp")
int sockets_pick(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + ETH_HLEN;
	struct udphdr *udp = (void *)(ip + 1);
	__u32 at = 0;

	if ((void *)(udp + 1) > end || ip->version != 4 || ip->protocol != IPPROTO_UDP)
		return XDP_PASS;
	if (sockets_n > 1)
		at = (in_turn ? turn++ >> TURN_SHIFT : bpf_ntohs(udp->source)) % sockets_n;
	return bpf_redirect_map(&sockets, at, XDP_DROP);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
