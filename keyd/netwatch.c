/* SPDX-License-Identifier: BSD-2-Clause */
/* netwatch.c - see netwatch.h. */
#include <errno.h>
#include <event2/event.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdlib.h>

#include "keyd/netwatch.h"
#include "xesp/fault.h"
#include "xesp/log.h"

#define GATHER_US 20000
#define BUFFER_BYTES (1 << 20)

struct netwatch {
	struct nl_sock *sock;
	struct event *readable, *gather;
	void (*changed)(void *ctx);
	void *ctx;
};

static void gather(struct netwatch *n)
{
	const struct timeval tv = { .tv_usec = GATHER_US };

	if (!event_pending(n->gather, EV_TIMEOUT, NULL))
		event_add(n->gather, &tv);
}

static int on_message(struct nl_msg *msg, void *arg)
{
	(void)msg;
	gather(arg);
	return NL_OK;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct netwatch *n = arg;
	int err = nl_recvmsgs_default(n->sock);

	(void)fd;
	(void)what;
	/* Whatever went wrong, looking at the whole puts it right. */
	if (err < 0 && err != -NLE_AGAIN)
		gather(n);
}

static void on_gathered(evutil_socket_t fd, short what, void *arg)
{
	struct netwatch *n = arg;

	(void)fd;
	(void)what;
	n->changed(n->ctx);
}

static int open_socket(struct netwatch *n, struct fault *f)
{
	int err;

	n->sock = nl_socket_alloc();
	if (!n->sock)
		return fault_set(f, -ENOMEM, "out of memory");
	nl_socket_disable_seq_check(n->sock); /* notifications have no request */
	nl_socket_modify_cb(n->sock, NL_CB_VALID, NL_CB_CUSTOM, on_message, n);
	err = nl_connect(n->sock, NETLINK_ROUTE);
	if (!err)
		err = nl_socket_set_nonblocking(n->sock);
	if (!err)
		err = nl_socket_add_memberships(n->sock, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR,
						RTNLGRP_IPV6_IFADDR, 0);
	if (err)
		return fault_set(f, -EIO, "cannot follow links and addresses: %s",
				 nl_geterror(err));
	if (nl_socket_set_buffer_size(n->sock, BUFFER_BYTES, 0))
		log_debug("netwatch: the socket keeps its usual buffer");
	return 0;
}

int netwatch_open(struct netwatch **out, struct event_base *base, void (*changed)(void *ctx),
		  void *ctx, struct fault *f)
{
	struct netwatch *n = calloc(1, sizeof(*n));
	int err;

	if (!n)
		return fault_set(f, -ENOMEM, "out of memory");
	n->changed = changed;
	n->ctx = ctx;
	err = open_socket(n, f);
	if (err)
		goto close;
	n->readable = event_new(base, nl_socket_get_fd(n->sock), EV_READ | EV_PERSIST, on_readable,
				n);
	n->gather = event_new(base, -1, 0, on_gathered, n);
	if (!n->readable || !n->gather || event_add(n->readable, NULL)) {
		err = fault_set(f, -ENOMEM, "out of memory");
		goto close;
	}
	*out = n;
	return 0;

close:
	netwatch_close(n);
	return err;
}

void netwatch_close(struct netwatch *n)
{
	if (!n)
		return;
	if (n->readable)
		event_free(n->readable);
	if (n->gather)
		event_free(n->gather);
	nl_socket_free(n->sock);
	free(n);
}
