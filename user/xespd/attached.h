/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attached.h - the interfaces that `xesp attach` has attached, as map xesp_ifaces has them, and
 * how many queues each has. Main thread only.
 */
#ifndef XESP_ATTACHED_H
#define XESP_ATTACHED_H

#include <net/if.h>
#include <stdint.h>
#include "xesp/steer.h"

struct fault;

struct attached {
	char name[IF_NAMESIZE];
	uint32_t ifindex;
	uint32_t port;
	uint32_t role; /* enum xesp_role */
	uint32_t mtu;        /* 0: not known */
	uint32_t rx_n, tx_n; /* queues in use; at most XESP_QUEUES_MAX */
};

/*
 * Fills `list` from the map `fd`, by port number. Interfaces that are no longer there are left
 * out. Returns how many, or -errno.
 */
int attached_read(int fd, struct attached list[XESP_PORTS_MAX], struct fault *f);

#endif /* XESP_ATTACHED_H */
