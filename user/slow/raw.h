/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * raw.h - whole IP packets to the kernel, which routes them, resolves neighbours, and sends.
 *
 * For encapsulated packets whose next hop the fast path does not know, and for our own ICMP.
 * Packets pass the OUTPUT hooks, not FORWARD: they are this machine's. Main thread.
 */
#ifndef XESP_SLOW_RAW_H
#define XESP_SLOW_RAW_H

#include <stdbool.h>
#include <stdint.h>

struct fault;

struct raw {
	int fd4, fd6; /* -1: the kernel lacks the family */
};

/*
 * `mark` (SO_MARK, 0: none) tells the kernel's policy rules whose packets these are. With `protected`
 * they are protected already, or need no protection by our own word: the kernel's IPsec policies, where
 * there are such (`source: xfrm`), are not asked.
 */
int raw_open(struct raw *r, uint32_t mark, bool protected, struct fault *f);
void raw_close(struct raw *r);

/*
 * Sends an IPv4 or IPv6 packet of len bytes. Learned path MTUs are not looked at, as the fast path
 * does not: the tunnel's MTU has taken care of the size, and what does not fit its interface is
 * refused, not cut up. -errno: EMSGSIZE, ENOBUFS, ENETUNREACH, EPERM (a firewall), ...
 */
int raw_send(const struct raw *r, const uint8_t *ip, uint32_t len);

#endif /* XESP_SLOW_RAW_H */
