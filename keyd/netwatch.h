/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netwatch.h - says when links or addresses of this machine have changed.
 *
 * Why it exists: both local_addrs.c and routes.c compare the kernel with what it should be, whole,
 * and need only know that something happened. Notifications are gathered for a moment, and when
 * the kernel lost some (ENOBUFS) that counts as a change. Main thread.
 */
#ifndef XESP_KEYD_NETWATCH_H
#define XESP_KEYD_NETWATCH_H

struct event_base;
struct fault;
struct netwatch;

/* `changed` is called from the event loop, at most every 20 ms. -errno of the netlink socket. */
int netwatch_open(struct netwatch **out, struct event_base *base, void (*changed)(void *ctx),
		  void *ctx, struct fault *f);
void netwatch_close(struct netwatch *n);

#endif /* XESP_KEYD_NETWATCH_H */
