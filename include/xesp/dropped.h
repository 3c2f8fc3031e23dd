/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * dropped.h - what is kept of the last packets that were dropped: who they were, never what was in them.
 *
 * Counters say how many; this says which. XDP writes map xesp_last_xdp, PERCPU_ARRAY, and xespd's threads xesp_last_wkr,
 * ARRAY (mmapable), a part each; `xesp drops` reads both. Each reason has XESP_LAST places of its own, so that a
 * flood of one reason does not wash away the one packet of another; the next place is taken by the
 * reason's own counter. A place that was written a moment ago is left alone: what a flood costs is bounded.
 *
 * A record is written under its reader's eyes: first `check`, then the rest, `number` last. A reader that reads in
 * the order of the members has a whole one when both are equal. Nothing depends on these maps: a pin
 * directory of before has none, and who writes does without.
 */
#ifndef XESP_DROPPED_H
#define XESP_DROPPED_H

#include <linux/types.h>
#include "xesp/drop.h"
#include "xesp/steer.h"

#define XESP_LAST 8 /* records of each reason, CPU or thread; a power of two */
#define XESP_LAST_RECORDS (XESP_DROP_SLOTS * XESP_LAST)

/* A worker's place stays untouched that long; XDP's for a tick of the kernel's. */
#define XESP_LAST_PAUSE_NS 4000000ull

/* Zero, of all members: not known. */
struct xesp_dropped {
	__u64 number;  /* how many of this reason this CPU or thread had dropped then, with this one */
	__u64 time_ns; /* CLOCK_BOOTTIME */
	__u64 tick;    /* XDP: the kernel's jiffies */
	struct xesp_addr src, dst; /* of the header that was last looked at: the outer one, until ESP is off */
	__be32 spi;
	__u32 seq;      /* its lower half */
	__u32 sa;       /* id */
	__u32 policy;   /* id */
	__u32 ifindex;  /* XDP */
	__u16 queue;    /* XDP */
	__u16 len;      /* bytes of the IP packet */
	__be16 sport, dport; /* ICMP: type and code */
	__u8 reason;    /* enum xesp_drop */
	__u8 proto;
	__u8 family;    /* 4 or 6; 0: no IP header that could be read */
	__u8 way;       /* enum xesp_dropped_way */
	__u8 fields;    /* 1: sport and dport are known */
	__u8 pad[7];
	__u64 check;    /* number */
};

enum xesp_dropped_way {
	XESP_DROPPED_CLEAR,    /* XDP: whatever was not ESP for us */
	XESP_DROPPED_OUTBOUND, /* xespd: to be protected, or that it made of it */
	XESP_DROPPED_INBOUND,  /* ESP for us, or what came out of it */
};

/* Where reason `why` has its record of this number, of one CPU or thread. */
#define XESP_LAST_AT(why, number) (((why) & (XESP_DROP_SLOTS - 1)) * XESP_LAST + ((number) & (XESP_LAST - 1)))

_Static_assert(sizeof(struct xesp_dropped) == 104, "layout");

#endif /* XESP_DROPPED_H */
