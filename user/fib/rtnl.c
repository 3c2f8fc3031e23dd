/* SPDX-License-Identifier: BSD-2-Clause */
/* rtnl.c - see rtnl.h. */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <sys/socket.h>

#include "fib/rtnl.h"
#include "xesp/fault.h"

#define SOCKET_BYTES (8 << 20)

int rtnl_open(struct nl_sock **out, struct fault *f)
{
	struct nl_sock *sk = nl_socket_alloc();
	int one = 1, bytes = SOCKET_BYTES, err;

	if (!sk)
		return fault_set(f, -ENOMEM, "out of memory");
	nl_socket_disable_auto_ack(sk);
	err = nl_connect(sk, NETLINK_ROUTE);
	if (err) {
		nl_socket_free(sk);
		return fault_set(f, -EIO, "cannot open an rtnetlink socket: %s", nl_geterror(err));
	}
	nl_socket_set_nonblocking(sk);
	/* Beyond rmem_max where we may; what is refused means more resyncs, not wrong answers. */
	if (setsockopt(nl_socket_get_fd(sk), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		nl_socket_set_buffer_size(sk, SOCKET_BYTES, 0);
	if (setsockopt(nl_socket_get_fd(sk), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one,
		       sizeof(one))) {
		err = -errno;
		nl_socket_free(sk);
		return fault_set(f, err, "rtnetlink has no strict checking (kernel before 4.20?)");
	}
	*out = sk;
	return 0;
}

int rtnl_subscribe(struct nl_sock *sk, struct fault *f)
{
	static const int groups[] = { RTNLGRP_LINK,        RTNLGRP_NEIGH,      RTNLGRP_IPV4_IFADDR,
				      RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
				      RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE,  RTNLGRP_NEXTHOP };

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		int err = nl_socket_add_memberships(sk, groups[i], 0);

		/* Nexthop objects came with 5.3; a kernel without them never names one. */
		if (err && groups[i] != RTNLGRP_NEXTHOP)
			return fault_set(f, -EIO, "cannot follow rtnetlink group %d: %s", groups[i],
					 nl_geterror(err));
	}
	return 0;
}

ssize_t rtnl_receive(struct nl_sock *sk, void *buf, size_t size)
{
	struct sockaddr_nl from = { .nl_pid = 0 };
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1
	};
	ssize_t n = recvmsg(nl_socket_get_fd(sk), &msg, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (msg.msg_flags & MSG_TRUNC)
		return -ENOBUFS;
	return from.nl_pid ? 1 : n;
}
