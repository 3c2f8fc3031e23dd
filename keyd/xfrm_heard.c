/* SPDX-License-Identifier: BSD-2-Clause */
/* xfrm_heard.c - see xfrm_heard.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/xfrm.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "keyd/publish_maps.h"
#include "keyd/xfrm_entry.h"
#include "keyd/xfrm_heard.h"
#include "libxesp/addr.h"
#include "xesp/clock.h"
#include "xesp/fault.h"
#include "xesp/log.h"

#define RECV_BYTES 16384
#define BURST 256 /* messages a call: others wait for the main thread too */
#define OWN_MAX 16
#define ATTR_MAX 47

struct own {
	struct xfrm_want want;
	uint64_t until_ms; /* 0: none */
};

struct xfrm_heard {
	struct nl_sock *sk;
	struct event *readable;
	struct xfrm_heard_calls calls;
	struct own own[OWN_MAX];
	uint32_t own_next;
	_Alignas(struct nlmsghdr) uint8_t buf[RECV_BYTES];
};

/* ---- XFRM_MSG_ACQUIRE */

static void take_values(struct xfrm_asked *a, const struct xfrm_selector *s)
{
	const uint8_t whole = s->family == AF_INET ? 32 : 128;
	struct xesp_values *v = &a->values;

	if (s->prefixlen_s == whole) {
		v->mask |= XESP_PFP_LOCAL;
		xfrm_entry_addr(&v->local, &s->saddr, s->family);
	}
	if (s->prefixlen_d == whole) {
		v->mask |= XESP_PFP_REMOTE;
		xfrm_entry_addr(&v->remote, &s->daddr, s->family);
	}
	if (s->proto) {
		v->mask |= XESP_PFP_PROTO;
		v->proto = a->proto = s->proto;
	}
	if (s->proto && s->sport_mask == UINT16_MAX) {
		v->mask |= XESP_PFP_LOCAL_PORT;
		v->local_port = s->sport;
	}
	if (s->proto && s->dport_mask == UINT16_MAX) {
		v->mask |= XESP_PFP_REMOTE_PORT;
		v->remote_port = s->dport;
	}
}

static bool read_asked(const struct nlmsghdr *m, struct xfrm_asked *a)
{
	const struct xfrm_user_acquire *u = NLMSG_DATA(m);
	struct nlattr *tb[ATTR_MAX + 1];
	const struct xfrm_user_tmpl *t;

	if ((int)m->nlmsg_len < NLMSG_LENGTH((int)sizeof(*u)) ||
	    nlmsg_parse((struct nlmsghdr *)(uintptr_t)m, sizeof(*u), tb, ATTR_MAX, NULL) || !tb[XFRMA_TMPL] ||
	    nla_len(tb[XFRMA_TMPL]) < (int)sizeof(*t))
		return false;
	t = nla_data(tb[XFRMA_TMPL]);
	*a = (struct xfrm_asked){ .name = { .proto = u->id.proto, .reqid = t->reqid },
				  .mode = t->mode,
				  .cpu = XFRM_PCPU_ALL,
				  .policy = u->policy.index };
	xfrm_entry_addr(&a->name.dst, &u->id.daddr, t->family);
	xfrm_entry_addr(&a->name.src, &u->saddr, t->family);
	if (tb[XFRM_ATTR_SA_PCPU] && nla_len(tb[XFRM_ATTR_SA_PCPU]) >= 4)
		a->cpu = nla_get_u32(tb[XFRM_ATTR_SA_PCPU]);
	take_values(a, &u->sel);
	return true;
}

static bool is_own(const struct own *o, const struct xfrm_asked *a, uint64_t now_ms)
{
	const struct xfrm_want *w = &o->want;

	return now_ms < o->until_ms && w->cpu == a->cpu && w->mode == a->mode && w->name.reqid == a->name.reqid &&
	       w->name.proto == a->name.proto && addr_equal(&w->name.dst, &a->name.dst) &&
	       addr_equal(&w->name.src, &a->name.src);
}

void xfrm_heard_own(struct xfrm_heard *h, const struct xfrm_want *w, uint64_t now_ms)
{
	h->own[h->own_next] = (struct own){ *w, now_ms + XFRM_HEARD_OWN_MS };
	h->own_next = (h->own_next + 1) % OWN_MAX;
}

static void take_acquire(struct xfrm_heard *h, const struct nlmsghdr *m, uint64_t now_ms)
{
	struct xfrm_asked a;

	if (!read_asked(m, &a))
		return;
	for (uint32_t i = 0; i < OWN_MAX; i++) {
		if (!is_own(&h->own[i], &a, now_ms))
			continue;
		h->own[i].until_ms = 0;
		return;
	}
	h->calls.asked(h->calls.ctx, &a);
}

/* ---- XFRM_MSG_MAPPING */

static void take_mapping(struct xfrm_heard *h, const struct nlmsghdr *m)
{
	const struct xfrm_user_mapping *u = NLMSG_DATA(m);
	struct xfrm_mapped o;

	if ((int)m->nlmsg_len < NLMSG_LENGTH((int)sizeof(*u)))
		return;
	o = (struct xfrm_mapped){ .name = { .spi = ntohl(u->id.spi), .reqid = u->reqid, .proto = u->id.proto },
				  .src_port = u->old_sport,
				  .peer_port = u->new_sport };
	xfrm_entry_addr(&o.name.dst, &u->id.daddr, u->id.family);
	xfrm_entry_addr(&o.name.src, &u->old_saddr, u->id.family);
	xfrm_entry_addr(&o.peer, &u->new_saddr, u->id.family);
	h->calls.mapped(h->calls.ctx, &o);
}

void xfrm_heard_take(struct xfrm_heard *h, const struct nlmsghdr *m, uint64_t now_ms)
{
	switch (m->nlmsg_type) {
	case XFRM_MSG_ACQUIRE:
		take_acquire(h, m, now_ms);
		break;
	case XFRM_MSG_MAPPING:
		take_mapping(h, m);
		break;
	case XFRM_MSG_REPORT:
		log_debug("xfrm: the kernel reports a packet outside Mobile IPv6's states: nothing of xesp's");
		break;
	default:
		break;
	}
}

/* ---- the socket */

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	const uint64_t now_ms = clock_ms();
	struct xfrm_heard *h = ctx;

	(void)what;
	for (int i = 0; i < BURST; i++) {
		ssize_t n = recv(fd, h->buf, sizeof(h->buf), MSG_DONTWAIT);
		int left = (int)n;

		/* Lost messages (ENOBUFS): the kernel asks again, and tells with the next packet. */
		if (!n || (n < 0 && errno != ENOBUFS))
			return;
		for (struct nlmsghdr *m = (struct nlmsghdr *)h->buf; n > 0 && nlmsg_ok(m, left); m = nlmsg_next(m, &left))
			xfrm_heard_take(h, m, now_ms);
	}
}

struct xfrm_heard *xfrm_heard_deaf(const struct xfrm_heard_calls *calls)
{
	struct xfrm_heard *h = calloc(1, sizeof(*h));

	if (h)
		h->calls = *calls;
	return h;
}

static int subscribe(struct xfrm_heard *h, struct fault *f)
{
	static const int groups[] = { XFRMNLGRP_ACQUIRE, XFRMNLGRP_MAPPING, XFRMNLGRP_REPORT };

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		int err = nl_socket_add_membership(h->sk, groups[i]);

		if (err)
			return fault_set(f, -EPERM, "cannot hear what XFRM asks and tells: %s: run xesp-keyd as root",
					 nl_geterror(err));
	}
	return 0;
}

int xfrm_heard_open(struct xfrm_heard **out, struct event_base *base, const struct xfrm_heard_calls *calls,
		    struct fault *f)
{
	struct xfrm_heard *h = xfrm_heard_deaf(calls);
	int err = 0;

	if (!h)
		return fault_set(f, -ENOMEM, "out of memory");
	h->sk = nl_socket_alloc();
	if (!h->sk || nl_connect(h->sk, NETLINK_XFRM))
		err = fault_set(f, -EPROTONOSUPPORT, "no XFRM netlink in this kernel: `source: xfrm` needs it");
	if (!err)
		err = subscribe(h, f);
	if (!err) {
		h->readable = event_new(base, nl_socket_get_fd(h->sk), EV_READ | EV_PERSIST, on_readable, h);
		if (!h->readable || event_add(h->readable, NULL))
			err = fault_set(f, -ENOMEM, "out of memory");
	}
	if (err)
		xfrm_heard_close(h);
	else
		*out = h;
	return err;
}

void xfrm_heard_close(struct xfrm_heard *h)
{
	if (!h)
		return;
	if (h->readable)
		event_free(h->readable);
	nl_socket_free(h->sk);
	free(h);
}
