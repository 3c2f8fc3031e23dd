/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * handover.h - inbound SAs that the kernel has too (`source: xfrm`), while they pass between it and xesp.
 *
 * Why it exists: each of the two has a replay window of its own, and what one has accepted the other one must refuse.
 * Towards the kernel keyd has the SA held, waits until no worker has it, and tells the kernel the highest
 * number; where keyd may be dead as well (no worker, `fallback: kernel`) the number that the workers left decides here.
 * From the kernel: what it is given is noted before it is given, so that keyd, having taken the SA from it, reads
 * a number that nothing the kernel may still accept is above. Authenticated is none of this: keyd believes a note no
 * further than the kernel's own count makes likely.
 */
#ifndef XESP_BPF_HANDOVER_H
#define XESP_BPF_HANDOVER_H

#include "maps.h"
#include "parse.h"

#define HANDOVER_TRIES 8 /* to note a number, where other CPUs note theirs; then it is dropped */

enum handover { HANDOVER_WORKER, HANDOVER_KERNEL, HANDOVER_DROP };

/* The low half, host byte order. False: the packet ends before it. */
static __always_inline bool handover_number(struct xdp_md *ctx, const struct packet *p, __u32 *seq)
{
	__be32 word;

	/* Right behind the SPI, which is the first word of ESP, and the second of AH. */
	if (bpf_xdp_load_bytes(ctx, p->l3_off + p->l4_off + (p->proto == IPPROTO_AH ? 8 : 4), &word,
			       sizeof(word)))
		return false;
	*seq = bpf_ntohl(word);
	return true;
}

/* With ESN the nearest number of this half is meant. */
static __always_inline bool is_after(const struct xesp_sa_state *st, __u32 seq, __u32 top)
{
	return st->esn ? (__s32)(seq - top) > 0 : seq > top;
}

/* Is the number above all that the workers have accepted? Without a window nobody asks. */
static __always_inline bool handover_is_new(struct xdp_md *ctx, const struct packet *p, __u32 sa_id)
{
	const struct xesp_sa_state *st = bpf_map_lookup_elem(&xesp_sa_state, &sa_id);
	__u32 seq;

	if (!st || !handover_number(ctx, p, &seq))
		return false;
	return !st->window || is_after(st, seq, (__u32)*(const volatile __u64 *)&st->replay_top);
}

/* False: it is not noted, and so may not pass. */
static __always_inline bool note_number(struct xesp_sa_state *st, __u32 seq)
{
	if (!seq) /* 0 stands for none */
		seq = 1;
	for (int i = 0; i < HANDOVER_TRIES; i++) {
		__u32 top = *(volatile __u32 *)&st->kernel_top;

		if (top && !is_after(st, seq, top))
			return true;
		if (__sync_val_compare_and_swap(&st->kernel_top, top, seq) == top)
			return true;
	}
	return false;
}

static __always_inline enum handover handover_verdict(struct xdp_md *ctx, const struct packet *p, __u32 sa_id)
{
	struct xesp_sa_state *st = bpf_map_lookup_elem(&xesp_sa_state, &sa_id);
	volatile __u32 *holder;
	__u32 seq;

	if (!st)
		return HANDOVER_DROP;
	holder = &st->holder;
	if (*holder == XESP_HOLDER_WORKERS)
		return HANDOVER_WORKER;
	if (*holder != XESP_HOLDER_KERNEL || !handover_number(ctx, p, &seq) || !note_number(st, seq))
		return HANDOVER_DROP;
	/* Again, after the note: keyd says NOBODY first and reads the note then (grants_take_over()). */
	return *holder == XESP_HOLDER_KERNEL ? HANDOVER_KERNEL : HANDOVER_DROP;
}

#endif /* XESP_BPF_HANDOVER_H */
