/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* traffic.h - what traffic.bpf.c and traffic.c share. */
#ifndef XESP_BENCH_TRAFFIC_H
#define XESP_BENCH_TRAFFIC_H

#include <linux/types.h>

#define TRAFFIC_RING 1024u      /* frames that wait to be sent, a power of two */
#define TRAFFIC_FRAME_MAX 3072u /* of the live-frames generator: they must lie in a page */
#define TRAFFIC_CPUS 256u

struct traffic_frame {
	__u8 bytes[TRAFFIC_FRAME_MAX];
};

/* By CPU, each on a cache line of its own. */
struct traffic_count {
	__u64 packets, bytes;
	__u64 late, latest; /* ESP behind a higher number; by how many at most */
	__u64 pad[4];
};

#endif /* XESP_BENCH_TRAFFIC_H */
