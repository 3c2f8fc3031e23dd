/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gather.h - frames of several descriptors: received in pieces, handed on in one.
 *
 * A frame larger than a chunk comes as several descriptors, all but the last with XDP_PKT_CONTD.
 * ESP works in place on contiguous bytes, so the pieces are copied together into a wide buffer
 * (umem.h); from there the frame is sent without another copy, a descriptor for each chunk. A frame
 * of one descriptor that leaves too little room behind it for padding and ICV is copied, too. All
 * others stay where they are and never come here.
 * A frame may go on in the next batch, so each port keeps its state. Workers only.
 */
#ifndef XESP_GATHER_H
#define XESP_GATHER_H

#include <linux/if_xdp.h>
#include <stdbool.h>
#include <stdint.h>
#include "port/umem.h"
#include "xesp/steer.h"

/* Newer than Debian 12's headers. */
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif

#define GATHER_TAIL 64u /* padding, trailer and ICV of any transform */
#define GATHER_FRAME_MAX (14u + 2u * 4u + XESP_MTU_MAX) /* Ethernet and two VLAN tags */

/* Of one port. All zero: nothing has begun. */
struct gather {
	uint64_t wide;      /* the buffer, unless `why` is set */
	uint32_t len;       /* bytes in it */
	bool going;         /* a frame has begun and not ended */
	enum xesp_drop why; /* it is lost, for want of a buffer or for its size */
};

enum gather_state {
	GATHER_GOES_ON,
	GATHER_WHOLE, /* the frame of `len` bytes is at gather_frame(), its buffer in hand */
	GATHER_LOST,  /* `why` */
};

/* Does this descriptor take the detour? */
static inline bool gather_wants(const struct gather *g, const struct xdp_desc *d)
{
	return ((d->options & XDP_PKT_CONTD) | g->going) ||
	       (d->addr & ~UMEM_CHUNK_MASK) + d->len > UMEM_CHUNK - GATHER_TAIL;
}

/* Takes the bytes and the metadata of a descriptor in hand, and puts its chunk back. */
enum gather_state gather_add(struct gather *g, struct umem_pool *p, const struct xdp_desc *d);

/* Address of the frame that gather_add() called whole. */
static inline uint64_t gather_frame(const struct gather *g)
{
	return g->wide + UMEM_RX_ROOM;
}

/* What has begun will not be ended. */
void gather_abandon(struct gather *g, struct umem_pool *p);

/*
 * The descriptors of `len` bytes at addr in a wide buffer in hand: at most UMEM_WIDE_CHUNKS.
 * Returns how many. The chunks that they do not touch are given back.
 */
uint32_t gather_scatter(struct umem_pool *p, uint64_t addr, uint32_t len, struct xdp_desc *out);

#endif /* XESP_GATHER_H */
