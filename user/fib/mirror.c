/* SPDX-License-Identifier: BSD-2-Clause */
/* mirror.c - see mirror.h. */
#include <errno.h>
#include <event2/event.h>
#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fib/mirror.h"
#include "fib/parse.h"
#include "fib/rule.h"
#include "fib/rtnl.h"
#include "libxesp/addr.h"
#include "xesp/clock.h"
#include "xesp/fault.h"
#include "xesp/log.h"

#define RECV_BYTES    65536
#define BURST         64 /* reads in one turn of the event loop */
#define GAP_MIN_MS    10
#define SETTLE_MS     2 /* changes come in groups: wait for the rest of one */
#define RETRY_MS      1000
#define FIRST_DUMP_MS 10000
#define INCONSISTENT_MAX \
	5 /* dumps in a row that changed under way before one is taken as it is \
	   */

enum step {
	STEP_LINKS,
	STEP_RULES4,
	STEP_RULES6,
	STEP_ROUTES, /* once for each place of the plan that the rules gave */
	STEP_NEIGHBOURS,
	STEPS_N /* no dump is running */
};

static const struct {
	uint16_t type;
	uint8_t family;
} steps[STEPS_N] = {
	[STEP_LINKS] = { RTM_GETLINK, AF_UNSPEC },
	[STEP_RULES4] = { RTM_GETRULE, AF_INET },
	[STEP_RULES6] = { RTM_GETRULE, AF_INET6 },
	[STEP_ROUTES] = { RTM_GETROUTE, AF_UNSPEC },
	[STEP_NEIGHBOURS] = { RTM_GETNEIGH, AF_UNSPEC },
};

struct mirror {
	struct neigh_book *book;
	struct mirror_calls calls;
	void *ctx;
	struct nl_sock *follow, *dump, *tell; /* notifications; dumps; NTF_USE */
	struct event *on_follow, *on_dump, *on_tell, *on_due;
	struct mirror_model fresh; /* of the dump that is running */
	enum step step;
	uint32_t dump_seq;
	struct rule_book rules;
	struct rule_place places[RULE_PLACES_MAX];
	uint32_t places_n, place; /* the one that is read */
	bool neigh_dump; /* neighbours are part of the running dump */
	bool neigh_lost; /* notifications were lost: the next dump has the neighbours too */
	bool changed;    /* since the running dump began */
	bool inconsistent;
	bool delivered; /* calls.routes() was made at least once */
	unsigned int inconsistent_n;
	uint64_t began_ms, ended_ms, took_ms;
	struct log_limit complain;
	uint8_t buf[RECV_BYTES];
};

void mirror_model_init(struct mirror_model *m)
{
	memset(m, 0, sizeof(*m));
}

void mirror_model_fini(struct mirror_model *m)
{
	link_list_fini(&m->links);
	route_list_fini(&m->routes);
	mirror_model_init(m);
}

static void complain(struct mirror *m, const char *what, int err)
{
	uint64_t suppressed;

	if (log_allowed(&m->complain, &suppressed))
		log_warn("fib: rtnetlink: %s: %s (%llu more like it)", what, strerror(err),
			 (unsigned long long)suppressed);
}

/* ---- asking for dumps */

static void set_due(struct mirror *m, uint64_t in_ms)
{
	struct timeval tv = { .tv_sec = (time_t)(in_ms / 1000),
			      .tv_usec = (suseconds_t)(in_ms % 1000 * 1000) };

	event_add(m->on_due, &tv);
}

/* Something is not as it was dumped: dump again, but not too soon after the last time. */
static void note_change(struct mirror *m)
{
	uint64_t gap = 4 * m->took_ms, since = clock_ms() - m->ended_ms;

	m->changed = true;
	if (m->step != STEPS_N || event_pending(m->on_due, EV_TIMEOUT, NULL))
		return;
	if (gap < GAP_MIN_MS)
		gap = GAP_MIN_MS;
	set_due(m, since + SETTLE_MS < gap ? gap - since : SETTLE_MS);
}

static int append_route_header(struct nl_msg *msg, const struct rule_place *place)
{
	struct rtmsg route = { .rtm_family = place->ip4 ? AF_INET : AF_INET6 };
	int err = nlmsg_append(msg, &route, sizeof(route), NLMSG_ALIGNTO);

	/* Not rtm_table, which has room for 255 tables. */
	return err ? err : nla_put_u32(msg, RTA_TABLE, place->table);
}

/* The fixed header of a dump request; all of them are zero but for the family and the table. */
static int append_header(struct nl_msg *msg, const struct mirror *m)
{
	struct ifinfomsg link = { .ifi_family = AF_UNSPEC };
	struct fib_rule_hdr rule = { .family = steps[m->step].family };
	struct ndmsg neigh = { .ndm_family = AF_UNSPEC };

	switch (steps[m->step].type) {
	case RTM_GETLINK:
		return nlmsg_append(msg, &link, sizeof(link), NLMSG_ALIGNTO);
	case RTM_GETRULE:
		return nlmsg_append(msg, &rule, sizeof(rule), NLMSG_ALIGNTO);
	case RTM_GETROUTE:
		return append_route_header(msg, &m->places[m->place]);
	default:
		return nlmsg_append(msg, &neigh, sizeof(neigh), NLMSG_ALIGNTO);
	}
}

/* -errno. Routes are asked for by table (the socket has NETLINK_GET_STRICT_CHK), so that other
 * tables cost nothing. */
static int request_step(struct mirror *m)
{
	struct nl_msg *msg = nlmsg_alloc_simple(steps[m->step].type, NLM_F_REQUEST | NLM_F_DUMP);
	int err;

	if (!msg)
		return -ENOMEM;
	err = append_header(msg, m);
	if (!err)
		err = nl_send_auto(m->dump, msg);
	m->dump_seq = nlmsg_hdr(msg)->nlmsg_seq;
	nlmsg_free(msg);
	return err < 0 ? -EIO : 0;
}

static void give_up(struct mirror *m, const char *what, int err)
{
	complain(m, what, err);
	mirror_model_fini(&m->fresh);
	if (m->neigh_dump)
		m->neigh_lost = true;
	m->neigh_dump = false;
	m->step = STEPS_N;
	m->changed = true;
	m->ended_ms = clock_ms();
	event_add(m->on_follow, NULL);
	set_due(m, RETRY_MS);
}

static void start_dump(struct mirror *m)
{
	int err;

	mirror_model_fini(&m->fresh);
	m->step = STEP_LINKS;
	memset(&m->rules, 0, sizeof(m->rules));
	m->places_n = m->place = 0;
	m->changed = m->inconsistent = false;
	m->neigh_dump = m->neigh_lost;
	m->neigh_lost = false;
	m->began_ms = clock_ms();
	err = request_step(m);
	if (err)
		give_up(m, "asking for a dump", -err);
}

static void finish_dump(struct mirror *m)
{
	struct mirror_model fresh = m->fresh;

	m->step = STEPS_N;
	m->ended_ms = clock_ms();
	m->took_ms = m->ended_ms - m->began_ms;
	mirror_model_init(&m->fresh);

	fresh.policy4 = rule_book_is_policy(&m->rules, true);
	fresh.policy6 = rule_book_is_policy(&m->rules, false);
	link_list_sort(&fresh.links);
	if (m->neigh_dump) {
		neigh_book_sweep_end(m->book);
		m->calls.neighbours(m->ctx, NEIGH_MOVED);
		m->neigh_dump = false;
		event_add(m->on_follow, NULL);
	}
	if (m->inconsistent && ++m->inconsistent_n < INCONSISTENT_MAX) {
		mirror_model_fini(&fresh);
		m->changed = true;
	} else {
		m->inconsistent_n = 0;
		m->delivered = true;
		m->calls.routes(m->ctx, &fresh);
	}
	if (m->changed || m->neigh_lost)
		note_change(m);
}

static void next_step(struct mirror *m)
{
	int err;

	if (m->step == STEP_ROUTES && m->place + 1 < m->places_n)
		m->place++;
	else
		m->step++;
	if (m->step == STEP_ROUTES && !m->places_n) {
		m->place = 0;
		m->places_n = rule_book_plan(&m->rules, &m->fresh.routes, m->places);
	}
	if (m->step == STEP_NEIGHBOURS && !m->neigh_dump)
		m->step++;
	if (m->step == STEPS_N) {
		finish_dump(m);
		return;
	}
	if (m->step == STEP_NEIGHBOURS) {
		/* An entry of the dump may be older than a notification that is read before it:
		 * notifications wait in their socket until the dump is through. */
		event_del(m->on_follow);
		neigh_book_sweep_begin(m->book);
	}
	err = request_step(m);
	if (err)
		give_up(m, "asking for a dump", -err);
}

/* ---- reading */

static enum neigh_change take_neigh(struct mirror *m, const struct nlmsghdr *h)
{
	struct neigh_key k;
	uint16_t state;
	uint8_t mac[6];
	bool has_mac;

	if (!parse_neigh(h, &k, &state, mac, &has_mac))
		return NEIGH_SAME;
	if (h->nlmsg_type == RTM_DELNEIGH)
		return neigh_book_del(m->book, &k);
	return neigh_book_set(m->book, &k, state, has_mac ? mac : NULL);
}

static int take_dumped(struct mirror *m, const struct nlmsghdr *h)
{
	struct rule rule;
	struct link k;

	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
		return parse_link(h, &k) ? link_list_add(&m->fresh.links, &k) : 0;
	case RTM_NEWRULE:
		if (h->nlmsg_len < NLMSG_LENGTH(sizeof(struct fib_rule_hdr)))
			return 0;
		parse_rule(h, &rule);
		rule_book_add(&m->rules, &rule);
		return 0;
	case RTM_NEWROUTE:
		return parse_route(h, &m->places[m->place], &m->fresh.routes);
	case RTM_NEWNEIGH:
		take_neigh(m, h);
		return 0;
	default:
		return 0;
	}
}

/* A table that does not exist, or a family that the kernel lacks, is an empty one. */
static bool means_empty(int err)
{
	return err == ENOENT || err == EAFNOSUPPORT || err == EOPNOTSUPP;
}

/* One message of the dump socket. False: the dump was given up or went on to its next step, and
 * what is left in the buffer is of no interest. */
static bool read_dumped(struct mirror *m, const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = NLMSG_DATA(h);
	int err = 0;

	if (m->step == STEPS_N || h->nlmsg_seq != m->dump_seq)
		return true;
	if (h->nlmsg_flags & NLM_F_DUMP_INTR)
		m->inconsistent = true;
	if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
		/* DONE carries the error of a dump that ended early, as an int. */
		if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(int)))
			err = -e->error;
		if (err > 0 && !means_empty(err))
			give_up(m, "the kernel refused a dump", err);
		else
			next_step(m);
		return false;
	}
	err = take_dumped(m, h);
	if (err)
		give_up(m, "keeping a dump", -err);
	return !err;
}

static void read_notified(struct mirror *m, const struct nlmsghdr *h, enum neigh_change *most)
{
	const struct rtmsg *r = NLMSG_DATA(h);
	enum neigh_change c;

	switch (h->nlmsg_type) {
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		c = take_neigh(m, h);
		if (c > *most)
			*most = c;
		return;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(*r)) && (r->rtm_flags & RTM_F_CLONED))
			return;
		note_change(m);
		return;
	default: /* links, addresses, rules, nexthop objects */
		note_change(m);
		return;
	}
}

static ssize_t receive(struct mirror *m, struct nl_sock *sk)
{
	return rtnl_receive(sk, m->buf, sizeof(m->buf));
}

static void on_dump(evutil_socket_t fd, short what, void *ctx)
{
	struct mirror *m = ctx;

	(void)fd;
	(void)what;
	for (int i = 0; i < BURST; i++) {
		ssize_t n = receive(m, m->dump);
		int left = (int)n;

		if (n < 0 && m->step != STEPS_N)
			give_up(m, "reading a dump", (int)-n);
		if (n <= 0)
			return;
		for (struct nlmsghdr *h = (struct nlmsghdr *)m->buf; nlmsg_ok(h, left);
		     h = nlmsg_next(h, &left)) {
			if (!read_dumped(m, h))
				break;
		}
	}
}

static void on_follow(evutil_socket_t fd, short what, void *ctx)
{
	enum neigh_change most = NEIGH_SAME;
	struct mirror *m = ctx;

	(void)fd;
	(void)what;
	for (int i = 0; i < BURST; i++) {
		ssize_t n = receive(m, m->follow);
		int left = (int)n;

		if (n == 0)
			break;
		if (n < 0) {
			complain(m, "notifications were lost, so all is read again", (int)-n);
			m->neigh_lost = true;
			note_change(m);
			continue;
		}
		for (struct nlmsghdr *h = (struct nlmsghdr *)m->buf; nlmsg_ok(h, left);
		     h = nlmsg_next(h, &left))
			read_notified(m, h, &most);
	}
	if (most != NEIGH_SAME)
		m->calls.neighbours(m->ctx, most);
}

/* Errors of NTF_USE: the neighbour's interface went, or so; the next packet asks again. */
static void on_tell(evutil_socket_t fd, short what, void *ctx)
{
	struct mirror *m = ctx;

	(void)fd;
	(void)what;
	for (int i = 0; i < BURST && receive(m, m->tell) > 0; i++)
		;
}

static void on_due(evutil_socket_t fd, short what, void *ctx)
{
	struct mirror *m = ctx;

	(void)fd;
	(void)what;
	if (m->step == STEPS_N)
		start_dump(m);
}

void mirror_ask(struct mirror *m, const struct neigh_key *k)
{
	bool ip4 = addr_is_ip4(&k->addr);
	struct ndmsg nd = { .ndm_family = ip4 ? AF_INET : AF_INET6,
			    .ndm_ifindex = (int)k->ifindex,
			    .ndm_flags = NTF_USE };
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWNEIGH, NLM_F_REQUEST | NLM_F_CREATE);

	if (!msg)
		return;
	if (!nlmsg_append(msg, &nd, sizeof(nd), NLMSG_ALIGNTO) &&
	    !nla_put(msg, NDA_DST, ip4 ? 4 : 16, ip4 ? &k->addr.w[3] : &k->addr.w[0]))
		nl_send_auto(m->tell, msg); /* lost when the socket is full: asked again */
	nlmsg_free(msg);
}

/* ---- opening */

static int make_events(struct mirror *m, struct event_base *base)
{
	m->on_follow =
		event_new(base, nl_socket_get_fd(m->follow), EV_READ | EV_PERSIST, on_follow, m);
	m->on_dump = event_new(base, nl_socket_get_fd(m->dump), EV_READ | EV_PERSIST, on_dump, m);
	m->on_tell = event_new(base, nl_socket_get_fd(m->tell), EV_READ | EV_PERSIST, on_tell, m);
	m->on_due = event_new(base, -1, 0, on_due, m);
	if (!m->on_follow || !m->on_dump || !m->on_tell || !m->on_due)
		return -ENOMEM;
	event_add(m->on_follow, NULL);
	event_add(m->on_dump, NULL);
	event_add(m->on_tell, NULL);
	return 0;
}

/* The first dump, waited for: a worker that started before it would find no routes. */
static int dump_at_once(struct mirror *m, struct fault *f)
{
	struct pollfd p = { .fd = nl_socket_get_fd(m->dump), .events = POLLIN };
	uint64_t began = clock_ms();

	m->neigh_lost = true;
	while (!m->delivered) {
		if (clock_ms() - began > FIRST_DUMP_MS)
			return fault_set(f, -ETIMEDOUT,
					 "rtnetlink does not answer a dump of routes");
		if (m->step == STEPS_N)
			start_dump(m);
		if (poll(&p, 1, 100) > 0)
			on_dump(p.fd, EV_READ, m);
	}
	return 0;
}

int mirror_open(struct mirror **out, struct event_base *base, struct neigh_book *book,
		const struct mirror_calls *calls, void *ctx, struct fault *f)
{
	struct mirror *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return fault_set(f, -ENOMEM, "out of memory");
	m->book = book;
	m->calls = *calls;
	m->ctx = ctx;
	m->step = STEPS_N;
	err = rtnl_open(&m->follow, f);
	if (!err)
		err = rtnl_open(&m->dump, f);
	if (!err)
		err = rtnl_open(&m->tell, f);
	/* Subscribed before the first dump, so that nothing falls between the two. */
	if (!err)
		err = rtnl_subscribe(m->follow, f);
	if (!err)
		err = make_events(m, base);
	if (!err)
		err = dump_at_once(m, f);
	if (err) {
		mirror_close(m);
		return err;
	}
	*out = m;
	return 0;
}

static void free_event(struct event *e)
{
	if (e)
		event_free(e);
}

void mirror_close(struct mirror *m)
{
	if (!m)
		return;
	free_event(m->on_follow);
	free_event(m->on_dump);
	free_event(m->on_tell);
	free_event(m->on_due);
	nl_socket_free(m->follow);
	nl_socket_free(m->dump);
	nl_socket_free(m->tell);
	mirror_model_fini(&m->fresh);
	free(m);
}
