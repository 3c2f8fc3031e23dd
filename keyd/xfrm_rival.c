/* SPDX-License-Identifier: BSD-2-Clause */
/* xfrm_rival.c - see xfrm_rival.h. */
#include <errno.h>
#include <event2/event.h>
#include <linux/xfrm.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "keyd/xfrm_rival.h"
#include "libxesp/addr.h"
#include "xesp/fault.h"

#define RECV_BYTES 16384
#define BURST 256 /* messages a call: others wait for the main thread too */
#define STATES_MAX 16 /* of one call; what others sent is told with their next packet */

struct heard {
	struct xfrm_name name;
	uint64_t last;
};

struct xfrm_rival {
	struct nl_sock *sk;
	struct event *readable;
	void (*sent)(void *ctx, const struct xfrm_name *name, uint64_t last);
	void *ctx;
	bool on;
	_Alignas(struct nlmsghdr) uint8_t buf[RECV_BYTES];
};

static void note(struct heard *heard, size_t *n, const struct xfrm_name *name, uint64_t last)
{
	size_t i = 0;

	while (i < *n && (heard[i].name.spi != name->spi || !addr_equal(&heard[i].name.dst, &name->dst)))
		i++;
	if (i == STATES_MAX)
		return;
	heard[i] = (struct heard){ .name = *name, .last = last };
	*n += i == *n;
}

static void on_message(struct xfrm_rival *r, ssize_t len, struct heard *heard, size_t *n)
{
	int left = (int)len;

	for (struct nlmsghdr *h = (struct nlmsghdr *)r->buf; nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
		struct xfrm_counts counts;
		struct xfrm_name name;

		/* With a sender's id it is the echo of what somebody told the kernel: we do, at each lease. */
		if (!h->nlmsg_pid && xfrm_tell_read(h, &name, &counts))
			note(heard, n, &name, counts.oseq);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct heard heard[STATES_MAX];
	struct xfrm_rival *r = ctx;
	size_t n = 0;

	(void)what;
	for (int i = 0; i < BURST; i++) {
		ssize_t len = recv(fd, r->buf, sizeof(r->buf), MSG_DONTWAIT);

		/* Lost messages (ENOBUFS) are no loss: the next packet is told again. */
		if (!len || (len < 0 && errno != ENOBUFS))
			break;
		if (len > 0)
			on_message(r, len, heard, &n);
	}
	for (size_t i = 0; i < n; i++)
		r->sent(r->ctx, &heard[i].name, heard[i].last);
}

int xfrm_rival_open(struct xfrm_rival **out, struct event_base *base,
		    void (*sent)(void *ctx, const struct xfrm_name *name, uint64_t last), void *ctx,
		    struct fault *f)
{
	struct xfrm_rival *r = calloc(1, sizeof(*r));

	if (!r)
		return fault_set(f, -ENOMEM, "out of memory");
	r->sent = sent;
	r->ctx = ctx;
	r->sk = nl_socket_alloc();
	if (!r->sk || nl_connect(r->sk, NETLINK_XFRM)) {
		xfrm_rival_close(r);
		return fault_set(f, -EPROTONOSUPPORT, "no XFRM netlink in this kernel: `source: xfrm` needs it");
	}
	r->readable = event_new(base, nl_socket_get_fd(r->sk), EV_READ | EV_PERSIST, on_readable, r);
	if (!r->readable || event_add(r->readable, NULL)) {
		xfrm_rival_close(r);
		return fault_set(f, -ENOMEM, "out of memory");
	}
	*out = r;
	return 0;
}

void xfrm_rival_close(struct xfrm_rival *r)
{
	if (!r)
		return;
	if (r->readable)
		event_free(r->readable);
	nl_socket_free(r->sk);
	free(r);
}

void xfrm_rival_listen(struct xfrm_rival *r, bool on)
{
	if (r->on == on)
		return;
	/* Without it, twice a second is what there is: feed_one() in xfrm_source.c. */
	if (!(on ? nl_socket_add_membership(r->sk, XFRMNLGRP_AEVENTS) :
		   nl_socket_drop_membership(r->sk, XFRMNLGRP_AEVENTS)))
		r->on = on;
}
