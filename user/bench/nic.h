/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nic.h - the other side of a port's four rings, played in this process: a zero-copy NIC without a wire.
 *
 * It gives frames that lie in packet memory already, takes what is sent, and completes it at once. The port's
 * rings are plain memory, and so port/ring.c works on them as on the kernel's, without a system call.
 */
#ifndef XESP_BENCH_NIC_H
#define XESP_BENCH_NIC_H

#include <stdint.h>
#include "port/port.h"

struct fault;

struct nic {
	struct port port;
	struct umem_pool *pool;
	struct { __u32 producer, consumer, flags; } at[4];
};

/* -ENOMEM */
int nic_open(struct nic *n, struct umem_pool *pool, struct fault *f);
void nic_close(struct nic *n);

/* A frame that the port gave it to fill; false: it has given none. */
bool nic_take(struct nic *n, uint64_t *addr);
/* The frame was received: the port gets it. */
void nic_receive(struct nic *n, uint64_t addr, uint32_t len);
/* What the port sends; each is completed. False: nothing is there. */
bool nic_sent(struct nic *n, struct xdp_desc *desc);

#endif /* XESP_BENCH_NIC_H */
