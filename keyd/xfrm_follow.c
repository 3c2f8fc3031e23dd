/* SPDX-License-Identifier: BSD-2-Clause */
/* xfrm_follow.c - see xfrm_follow.h. */
#include <errno.h>
#include <event2/event.h>
#include <linux/xfrm.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "keyd/publish_maps.h"
#include "keyd/xfrm_follow.h"
#include "libxesp/secret.h"
#include "xesp/clock.h"
#include "xesp/fault.h"
#include "xesp/log.h"

#define RECV_BYTES (256 << 10)
#define FOLLOW_BYTES (8 << 20)
#define BURST 64
#define SETTLE_MS 2 /* the rest of a group of changes */
#define GAP_MIN_MS 4
#define RETRY_MS 500
#define INCONSISTENT_MAX 5
#define READ_NOW_NS 10000000000ull

enum step { STEP_STATES, STEP_POLICIES, STEPS_N };

struct xfrm_follow {
	struct nl_sock *follow, *dump;
	struct event *on_follow, *on_dump, *on_due;
	void (*changed)(void *ctx, struct xfrm_tables *fresh);
	void *ctx;
	struct xfrm_tables fresh; /* of the dump that runs */
	enum step step;           /* STEPS_N: none runs */
	uint32_t seq;
	bool again;               /* something changed since it began */
	bool inconsistent;
	unsigned int inconsistent_n;
	bool delivered;
	uint64_t began_ns, ended_ns, took_ns;
	struct log_limit complain;
	uint8_t *buf; /* RECV_BYTES, holds keys */
};

void xfrm_tables_fini(struct xfrm_tables *t)
{
	secret_wipe(t->states, t->states_n * sizeof(*t->states));
	free(t->states);
	free(t->policies);
	*t = (struct xfrm_tables){ 0 };
}

static void complain(struct xfrm_follow *x, const char *what, int err)
{
	uint64_t suppressed;

	if (log_allowed(&x->complain, &suppressed))
		log_warn("xfrm: %s: %s (%llu more like it)", what, strerror(err),
			 (unsigned long long)suppressed);
}

static void set_due(struct xfrm_follow *x, uint64_t ms)
{
	const struct timeval tv = { .tv_sec = (time_t)(ms / 1000),
				    .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	event_add(x->on_due, &tv);
}

void xfrm_follow_again(struct xfrm_follow *x)
{
	uint64_t gap = 3 * x->took_ns / 1000000, since = (clock_ns() - x->ended_ns) / 1000000;

	x->again = true;
	if (x->step != STEPS_N || event_pending(x->on_due, EV_TIMEOUT, NULL))
		return;
	if (gap < GAP_MIN_MS)
		gap = GAP_MIN_MS;
	set_due(x, since + SETTLE_MS < gap ? gap - since : SETTLE_MS);
}

/* ---- a dump */

static int request(struct xfrm_follow *x)
{
	const bool states = x->step == STEP_STATES;
	struct nl_msg *msg = nlmsg_alloc_simple(states ? XFRM_MSG_GETSA : XFRM_MSG_GETPOLICY,
						NLM_F_REQUEST | NLM_F_DUMP);
	int err;

	if (!msg)
		return -ENOMEM;
	/* Without a body: that would be read as a filter. */
	err = nl_send_auto(x->dump, msg);
	x->seq = nlmsg_hdr(msg)->nlmsg_seq;
	nlmsg_free(msg);
	return err < 0 ? -EIO : 0;
}

static void give_up(struct xfrm_follow *x, const char *what, int err)
{
	complain(x, what, err);
	xfrm_tables_fini(&x->fresh);
	x->step = STEPS_N;
	x->ended_ns = clock_ns();
	x->again = true;
	set_due(x, RETRY_MS);
}

static void start(struct xfrm_follow *x)
{
	int err;

	xfrm_tables_fini(&x->fresh);
	x->step = STEP_STATES;
	x->again = x->inconsistent = false;
	x->began_ns = clock_ns();
	err = request(x);
	if (err)
		give_up(x, "asking for the states", -err);
}

static void finish(struct xfrm_follow *x)
{
	struct xfrm_tables fresh = x->fresh;

	x->fresh = (struct xfrm_tables){ 0 };
	x->step = STEPS_N;
	x->ended_ns = clock_ns();
	x->took_ns = x->ended_ns - x->began_ns;
	if (x->inconsistent && ++x->inconsistent_n < INCONSISTENT_MAX) {
		xfrm_tables_fini(&fresh);
		x->again = true;
	} else {
		x->inconsistent_n = 0;
		x->delivered = true;
		x->changed(x->ctx, &fresh);
		xfrm_tables_fini(&fresh);
	}
	if (x->again)
		xfrm_follow_again(x);
}

static void next_step(struct xfrm_follow *x)
{
	int err;

	if (++x->step == STEPS_N) {
		finish(x);
		return;
	}
	err = request(x);
	if (err)
		give_up(x, "asking for the policies", -err);
}

/* Room for one more; states are moved without leaving keys behind. */
static bool make_room(void **array, size_t n, size_t *room, size_t size)
{
	size_t more = *room ? *room * 2 : 64;
	void *p;

	if (n < *room)
		return true;
	p = calloc(more, size);
	if (!p)
		return false;
	if (n) {
		memcpy(p, *array, n * size);
		secret_wipe(*array, n * size);
	}
	free(*array);
	*array = p;
	*room = more;
	return true;
}

static int take_dumped(struct xfrm_follow *x, const struct nlmsghdr *h)
{
	struct xfrm_tables *t = &x->fresh;

	if (h->nlmsg_type == XFRM_MSG_NEWSA && x->step == STEP_STATES) {
		if (!make_room((void **)&t->states, t->states_n, &t->states_room, sizeof(*t->states)))
			return -ENOMEM;
		t->states_n += xfrm_entry_state(h, &t->states[t->states_n]);
	} else if (h->nlmsg_type == XFRM_MSG_NEWPOLICY && x->step == STEP_POLICIES) {
		if (!make_room((void **)&t->policies, t->policies_n, &t->policies_room,
			       sizeof(*t->policies)))
			return -ENOMEM;
		t->policies_n += xfrm_entry_policy(h, &t->policies[t->policies_n]);
	}
	return 0;
}

/* False: nothing of what is left in the buffer is of interest. */
static bool read_dumped(struct xfrm_follow *x, const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = NLMSG_DATA(h);
	int err = 0;

	if (x->step == STEPS_N || h->nlmsg_seq != x->seq)
		return true;
	if (h->nlmsg_flags & NLM_F_DUMP_INTR)
		x->inconsistent = true;
	if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
		if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(int)))
			err = -e->error;
		if (err > 0)
			give_up(x, "the kernel refused a dump", err);
		else
			next_step(x);
		return false;
	}
	err = take_dumped(x, h);
	if (err)
		give_up(x, "keeping a dump", -err);
	return !err;
}

/* Bytes, 0 when there is nothing, -errno. */
static ssize_t receive(struct nl_sock *sk, uint8_t *buf)
{
	ssize_t n = recv(nl_socket_get_fd(sk), buf, RECV_BYTES, MSG_DONTWAIT | MSG_TRUNC);

	if (n >= 0)
		return n > RECV_BYTES ? -EMSGSIZE : n;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static void on_dump(evutil_socket_t fd, short what, void *ctx)
{
	struct xfrm_follow *x = ctx;

	(void)fd;
	(void)what;
	for (int i = 0; i < BURST; i++) {
		ssize_t n = receive(x->dump, x->buf);
		int left = (int)n;

		if (n < 0 && x->step != STEPS_N)
			give_up(x, "reading a dump", (int)-n);
		if (n <= 0)
			return;
		for (struct nlmsghdr *h = (struct nlmsghdr *)x->buf; nlmsg_ok(h, left);
		     h = nlmsg_next(h, &left))
			if (!read_dumped(x, h))
				break;
		secret_wipe(x->buf, (size_t)n);
	}
}

static void on_follow(evutil_socket_t fd, short what, void *ctx)
{
	struct xfrm_follow *x = ctx;
	bool any = false;

	(void)fd;
	(void)what;
	for (int i = 0; i < BURST; i++) {
		ssize_t n = receive(x->follow, x->buf);

		if (!n)
			break;
		any = true;
		if (n < 0)
			complain(x, "notifications were lost, so all is read again", (int)-n);
		else
			secret_wipe(x->buf, (size_t)n); /* it may be a state with its key */
	}
	if (any)
		xfrm_follow_again(x);
}

static void on_due(evutil_socket_t fd, short what, void *ctx)
{
	struct xfrm_follow *x = ctx;

	(void)fd;
	(void)what;
	if (x->step == STEPS_N)
		start(x);
}

/* ---- opening */

static int open_socket(struct nl_sock **out, struct fault *f)
{
	const int bytes = FOLLOW_BYTES;
	int err;

	*out = nl_socket_alloc();
	if (!*out)
		return fault_set(f, -ENOMEM, "out of memory");
	err = nl_connect(*out, NETLINK_XFRM);
	if (err)
		return fault_set(f, -EPROTONOSUPPORT,
				 "no XFRM netlink in this kernel (%s): `source: xfrm` needs it",
				 nl_geterror(err));
	nl_socket_disable_seq_check(*out);
	nl_socket_set_nonblocking(*out);
	if (setsockopt(nl_socket_get_fd(*out), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(nl_socket_get_fd(*out), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return 0;
}

static int subscribe(struct nl_sock *sk, struct fault *f)
{
	static const int groups[] = { XFRMNLGRP_SA, XFRMNLGRP_POLICY, XFRMNLGRP_EXPIRE,
				      XFRMNLGRP_MIGRATE };

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		int err = nl_socket_add_membership(sk, groups[i]);

		if (err)
			return fault_set(f, -EPERM, "cannot follow XFRM: %s: run xesp-keyd as root",
					 nl_geterror(err));
	}
	return 0;
}

static int make_events(struct xfrm_follow *x, struct event_base *base, struct fault *f)
{
	x->on_follow = event_new(base, nl_socket_get_fd(x->follow), EV_READ | EV_PERSIST, on_follow, x);
	x->on_dump = event_new(base, nl_socket_get_fd(x->dump), EV_READ | EV_PERSIST, on_dump, x);
	x->on_due = event_new(base, -1, 0, on_due, x);
	if (!x->on_follow || !x->on_dump || !x->on_due || event_add(x->on_follow, NULL) ||
	    event_add(x->on_dump, NULL))
		return fault_set(f, -ENOMEM, "out of memory");
	return 0;
}

int xfrm_follow_open(struct xfrm_follow **out, struct event_base *base,
		     void (*changed)(void *ctx, struct xfrm_tables *fresh), void *ctx,
		     struct fault *f)
{
	struct xfrm_follow *x = calloc(1, sizeof(*x));
	int err;

	if (!x)
		return fault_set(f, -ENOMEM, "out of memory");
	x->changed = changed;
	x->ctx = ctx;
	x->step = STEPS_N;
	x->buf = secret_alloc(RECV_BYTES);
	err = x->buf ? open_socket(&x->follow, f) : fault_set(f, -ENOMEM, "out of memory");
	if (!err)
		err = open_socket(&x->dump, f);
	/* Before the first dump, so that nothing falls between the two. */
	if (!err)
		err = subscribe(x->follow, f);
	if (!err)
		err = make_events(x, base, f);
	if (err) {
		xfrm_follow_close(x);
		return err;
	}
	*out = x;
	return 0;
}

int xfrm_follow_read_now(struct xfrm_follow *x, struct fault *f)
{
	struct pollfd p = { .fd = nl_socket_get_fd(x->dump), .events = POLLIN };
	const uint64_t until = clock_ns() + READ_NOW_NS;

	x->delivered = false;
	while (!x->delivered) {
		if (clock_ns() > until)
			return fault_set(f, -ETIMEDOUT, "the kernel does not answer a dump of XFRM");
		if (x->step == STEPS_N)
			start(x);
		if (poll(&p, 1, 100) > 0)
			on_dump(p.fd, EV_READ, x);
	}
	return 0;
}

static void free_event(struct event *e)
{
	if (e)
		event_free(e);
}

void xfrm_follow_close(struct xfrm_follow *x)
{
	if (!x)
		return;
	free_event(x->on_follow);
	free_event(x->on_dump);
	free_event(x->on_due);
	nl_socket_free(x->follow);
	nl_socket_free(x->dump);
	xfrm_tables_fini(&x->fresh);
	secret_free(x->buf, RECV_BYTES);
	free(x);
}
