/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * local_addrs.h - this machine's addresses, and map xesp_local kept equal to them.
 *
 * The classifier passes packets to these addresses instead of matching policies, so a missing one
 * would cut the gateway off and a stale one would let a packet by. IPv4 broadcast addresses are in
 * it too. Main thread.
 */
#ifndef XESP_KEYD_LOCAL_ADDRS_H
#define XESP_KEYD_LOCAL_ADDRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "xesp/steer.h"

struct fault;

struct local_addr {
	struct xesp_addr addr;
	uint32_t ifindex;
	bool broadcast;
	bool global; /* not of this host or this link alone: fit for a source address */
};

struct local_addrs {
	size_t n;
	struct local_addr *addrs;
};

/* Asks the kernel anew; what was in *l is freed. *l is zeroes at first. -errno; *l is unchanged */
int local_addrs_read(struct local_addrs *l, struct fault *f);
void local_addrs_fini(struct local_addrs *l);

/* Makes the map equal. -E2BIG it is too small; -errno of bpf(2) */
int local_addrs_publish(const struct local_addrs *l, int map_fd, struct fault *f);

#endif /* XESP_KEYD_LOCAL_ADDRS_H */
