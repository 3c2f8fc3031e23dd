/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtnl.h - the mirror's rtnetlink sockets: large, not blocking, and deaf to all but the kernel.
 *
 * Main thread. Sockets are libnl's; they are ended by nl_socket_free().
 */
#ifndef XESP_FIB_RTNL_H
#define XESP_FIB_RTNL_H

#include <netlink/socket.h>
#include <stddef.h>
#include <sys/types.h>

struct fault;

int rtnl_open(struct nl_sock **out, struct fault *f);

/* To everything that can change a next hop: links, neighbours, addresses, routes, rules. */
int rtnl_subscribe(struct nl_sock *sk, struct fault *f);

/*
 * Bytes read; 0: nothing there. -ENOBUFS: the kernel dropped notifications. Messages of other
 * processes come back as too few bytes for a header, and so are looked at by nobody.
 */
ssize_t rtnl_receive(struct nl_sock *sk, void *buf, size_t size);

#endif /* XESP_FIB_RTNL_H */
