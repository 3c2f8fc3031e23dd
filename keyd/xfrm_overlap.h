/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm_overlap.h - policies of the kernel that overlap and have one priority.
 *
 * Which of them a packet meets is then nobody's decision: the kernel takes what its lists have first, and
 * so do we, which need not be the same. Main thread.
 */
#ifndef XESP_KEYD_XFRM_OVERLAP_H
#define XESP_KEYD_XFRM_OVERLAP_H

#include <stddef.h>
#include <stdint.h>

struct xfrm_policy_entry;

#define XFRM_OVERLAP_MAX 256

struct xfrm_overlap {
	size_t n; /* pairs that were found, and more if there are many */
	char first[XFRM_OVERLAP_MAX]; /* "policy out 10.1.0.0/16 to 10.2.0.0/24 and ... of priority 7" */
};

/*
 * Pairs of one direction and priority whose selectors have packets in common and that do different
 * things with them. `sorted` is by priority. Where there are very many, not all pairs are looked at.
 */
void xfrm_overlap_find(const struct xfrm_policy_entry *const *sorted, size_t n,
		       struct xfrm_overlap *out);

#endif /* XESP_KEYD_XFRM_OVERLAP_H */
