/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * natt_filter.h - which UDP a raw socket shall get: to ports where tunnels receive ESP in UDP, and
 * neither IKE nor a keepalive.
 *
 * Why it exists: a raw UDP socket gets a copy of every datagram to this machine; the kernel throws
 * away what is not ours before it wakes us. Main thread.
 */
#ifndef XESP_SLOW_NATT_FILTER_H
#define XESP_SLOW_NATT_FILTER_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#define NATT_FILTER_PORTS 64

/*
 * Puts the filter on a raw UDP socket of either family. Without ports nothing passes; with more
 * than NATT_FILTER_PORTS all ports do. -errno of setsockopt().
 */
int natt_filter_attach(int fd, bool ip4, const __be16 *ports, uint32_t n);

#endif /* XESP_SLOW_NATT_FILTER_H */
