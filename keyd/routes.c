/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * routes.c - see routes.h. Our routes are read from the kernel, compared with the plan, and only
 * what differs is changed, so that a sync that finds everything right does nothing.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/route.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/config.h"
#include "keyd/index.h"
#include "keyd/route_plan.h"
#include "keyd/routes.h"
#include "keyd/rules.h"
#include "libxesp/addr.h"
#include "xesp/log.h"

#define IP4_LEN 96
/*
 * To the far ends of transport mode the kernel hands whole packets, which are fragmented behind ESP
 * (RFC 4303 section 3.3.4): the route's MTU is what an IP packet can be, less room for ESP, and locked,
 * so that IPv4 packets come without DF unless their socket insists on it.
 */
#define TRANSPORT_MTU 65280

/* A route of ours as it is or should be; compared as bytes. */
struct entry {
	struct xesp_addr dst, src;
	uint32_t oif;
	uint32_t metric;
	uint8_t len; /* mapped form */
	uint8_t type;
	uint8_t has_src;
	uint8_t table;
	uint32_t mtu; /* bytes, locked; 0: the device's */
};

_Static_assert(sizeof(struct entry) == 48, "hashed as bytes");

struct entries {
	size_t n, room;
	struct entry *e;
	struct rtnl_route **route; /* of those in the kernel; NULL: none are kept */
	int err;
};

static void add_problem(void *ctx, const char *sentence)
{
	struct routes *r = ctx;

	/* A sync with every address change would say the same again and again: log at debug. */
	log_debug("routes: %s", sentence);
	if (r->problems_n == ROUTES_PROBLEMS_MAX) {
		r->problems_left_out++;
		return;
	}
	snprintf(r->problems[r->problems_n++], FAULT_TEXT_MAX, "%s", sentence);
}

static int add_entry(struct entries *es, const struct entry *e, struct rtnl_route *route)
{
	if (es->n == es->room) {
		size_t room = es->room * 2 + 64;
		struct entry *more = realloc(es->e, room * sizeof(*more));
		struct rtnl_route **routes = NULL;

		if (more) {
			es->e = more;
			routes = realloc(es->route, room * sizeof(struct rtnl_route *));
		}
		if (!routes)
			return -ENOMEM;
		es->route = routes;
		es->room = room;
	}
	es->route[es->n] = route;
	es->e[es->n++] = *e;
	return 0;
}

static void free_entries(struct entries *es)
{
	for (size_t i = 0; i < es->n; i++)
		if (es->route[i])
			rtnl_route_put(es->route[i]);
	free(es->route);
	free(es->e);
}

/* ---- what is there */

static bool take_addr(struct xesp_addr *out, uint8_t *len, struct nl_addr *a, int family)
{
	static const uint8_t zero[16];
	bool has = a && nl_addr_get_len(a);

	if (family == AF_INET)
		addr_from_ip4(out, has ? nl_addr_get_binary_addr(a) : zero);
	else
		addr_from_ip6(out, has ? nl_addr_get_binary_addr(a) : zero);
	if (len)
		*len = (uint8_t)((a ? nl_addr_get_prefixlen(a) : 0) +
				 (family == AF_INET ? IP4_LEN : 0));
	return has;
}

static void take_route(struct nl_object *object, void *arg)
{
	struct rtnl_route *route = (struct rtnl_route *)object;
	struct rtnl_nexthop *hop = rtnl_route_nexthop_n(route, 0);
	int family = rtnl_route_get_family(route);
	struct entries *es = arg;
	struct entry e = { 0 };

	if (es->err || rtnl_route_get_protocol(route) != ROUTES_PROTOCOL ||
	    (rtnl_route_get_table(route) != RT_TABLE_MAIN &&
	     rtnl_route_get_table(route) != XESP_ROUTE_TABLE) ||
	    (family != AF_INET && family != AF_INET6))
		return;
	take_addr(&e.dst, &e.len, rtnl_route_get_dst(route), family);
	e.type = rtnl_route_get_type(route);
	e.table = (uint8_t)rtnl_route_get_table(route);
	e.metric = rtnl_route_get_priority(route);
	if (e.type == RTN_UNICAST) {
		e.oif = hop ? (uint32_t)rtnl_route_nh_get_ifindex(hop) : 0;
		e.has_src = rtnl_route_get_pref_src(route) &&
			    take_addr(&e.src, NULL, rtnl_route_get_pref_src(route), family);
		if (rtnl_route_get_metric(route, RTAX_MTU, &e.mtu))
			e.mtu = 0;
	}
	nl_object_get(object);
	es->err = add_entry(es, &e, route);
	if (es->err)
		nl_object_put(object);
}

static int on_message(struct nl_msg *msg, void *arg)
{
	if (nl_msg_parse(msg, take_route, arg) < 0)
		return NL_SKIP; /* a kind of route that libnl does not know is not ours */
	return NL_OK;
}

/* With strict checking the kernel sends our protocol's routes alone, not a full table. */
static int read_table(struct nl_sock *sock, int family, uint8_t table, struct entries *es)
{
	struct rtmsg request = { .rtm_family = (unsigned char)family,
				 .rtm_protocol = ROUTES_PROTOCOL,
				 .rtm_table = table };
	const int on = 1;
	int err;

	setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_message, es);
	err = nl_send_simple(sock, RTM_GETROUTE, NLM_F_DUMP, &request, sizeof(request));
	if (err >= 0)
		err = nl_recvmsgs_default(sock);
	/* A kernel without IPv6 has none of its routes. */
	if (err == -NLE_OPNOTSUPP || err == -NLE_AF_NOSUPPORT)
		err = 0;
	/* Nor has a table that no route is in. */
	if (err == -NLE_OBJ_NOTFOUND)
		err = 0;
	return err < 0 ? err : 0;
}

static int read_ours(struct nl_sock *sock, int family, struct entries *es)
{
	int err = read_table(sock, family, RT_TABLE_MAIN, es);

	return err ? err : read_table(sock, family, XESP_ROUTE_TABLE, es);
}

/* ---- what should be there */

/* 0: not there, or down: the kernel would refuse routes, and a sync follows when it comes up. */
static uint32_t tun_index(struct routes *r, struct nl_sock *sock)
{
	char sentence[FAULT_TEXT_MAX];
	struct rtnl_link *link;
	uint32_t index;

	if (rtnl_link_get_kernel(sock, 0, r->tun, &link))
		return 0;
	index = rtnl_link_get_flags(link) & IFF_UP ? (uint32_t)rtnl_link_get_ifindex(link) : 0;
	rtnl_link_put(link);
	if (index)
		return index;
	snprintf(sentence, sizeof(sentence),
		 "%s is down: no route leads into it until `ip link set %s up`", r->tun, r->tun);
	add_problem(r, sentence);
	return 0;
}

static int plan_entries(struct routes *r, struct nl_sock *sock, const struct config *c,
			const struct local_addrs *addrs, struct entries *es)
{
	const uint32_t tun = tun_index(r, sock);
	struct route_plan plan;
	int err;

	err = route_plan_init(&plan, c, addrs, add_problem, r);
	for (size_t i = 0; i < plan.n && !err; i++) {
		const struct route_wish *w = &plan.wishes[i];
		bool ip4 = addr_is_ip4(&w->dst.addr) && w->dst.len >= IP4_LEN;
		struct entry e = { .dst = w->dst.addr, .len = w->dst.len };

		e.table = w->apart ? XESP_ROUTE_TABLE : RT_TABLE_MAIN;
		r->rules4 |= w->apart && ip4;
		r->rules6 |= w->apart && !ip4;
		r->transport4 |= w->transport && ip4;

		e.type = RTN_UNREACHABLE;
		e.metric = ROUTES_LAST_METRIC;
		err = w->alone ? 0 : add_entry(es, &e, NULL);
		if (err || !tun)
			continue;
		e.type = RTN_UNICAST;
		/* The best there is: 0 means 1024 for IPv6. */
		e.metric = ip4 ? 0 : 1;
		e.oif = tun;
		e.src = w->src;
		e.has_src = w->has_src;
		e.mtu = w->transport ? TRANSPORT_MTU : 0;
		err = add_entry(es, &e, NULL);
	}
	r->wanted = (uint32_t)plan.n;
	route_plan_fini(&plan);
	return err;
}

/* ---- making it so */

static struct nl_addr *build_addr(const struct xesp_addr *a, uint8_t len)
{
	bool ip4 = addr_is_ip4(a) && len >= IP4_LEN;
	struct nl_addr *n = nl_addr_build(ip4 ? AF_INET : AF_INET6, ip4 ? &a->w[3] : &a->w[0],
					  ip4 ? 4 : 16);

	if (n)
		nl_addr_set_prefixlen(n, ip4 ? len - IP4_LEN : len);
	return n;
}

static struct rtnl_route *build_route(const struct entry *e)
{
	bool ip4 = addr_is_ip4(&e->dst) && e->len >= IP4_LEN;
	struct rtnl_route *route = rtnl_route_alloc();
	struct nl_addr *dst = build_addr(&e->dst, e->len);
	struct nl_addr *src = e->has_src ? build_addr(&e->src, 128) : NULL;
	struct rtnl_nexthop *hop = NULL;

	if (!route || !dst || (e->has_src && !src))
		goto fail;
	rtnl_route_set_family(route, ip4 ? AF_INET : AF_INET6);
	rtnl_route_set_table(route, e->table);
	rtnl_route_set_protocol(route, ROUTES_PROTOCOL);
	rtnl_route_set_priority(route, e->metric);
	if (rtnl_route_set_type(route, e->type) || rtnl_route_set_dst(route, dst) ||
	    (src && rtnl_route_set_pref_src(route, src)))
		goto fail;
	rtnl_route_set_scope(route, e->type == RTN_UNICAST && ip4 ? RT_SCOPE_LINK :
								   RT_SCOPE_UNIVERSE);
	if (e->mtu &&
	    (rtnl_route_set_metric(route, RTAX_MTU, e->mtu) ||
	     rtnl_route_set_metric(route, RTAX_LOCK, 1u << RTAX_MTU)))
		goto fail;
	if (e->type == RTN_UNICAST) {
		hop = rtnl_route_nh_alloc();
		if (!hop)
			goto fail;
		rtnl_route_nh_set_ifindex(hop, (int)e->oif);
		rtnl_route_add_nexthop(route, hop);
	}
	nl_addr_put(dst);
	nl_addr_put(src);
	return route;

fail:
	nl_addr_put(dst);
	nl_addr_put(src);
	rtnl_route_put(route);
	return NULL;
}

static void add_route(struct routes *r, struct nl_sock *sock, const struct entry *e)
{
	struct rtnl_route *route = build_route(e);
	char text[ADDR_TEXT_MAX], sentence[FAULT_TEXT_MAX];
	int err = route ? rtnl_route_add(sock, route, NLM_F_CREATE | NLM_F_EXCL) : -NLE_NOMEM;

	if (route)
		rtnl_route_put(route);
	if (!err) {
		r->installed += e->type == RTN_UNICAST;
		return;
	}
	addr_print_prefix(&e->dst, e->len, text);
	if (err == -NLE_EXIST)
		snprintf(sentence, sizeof(sentence),
			 "route to %s: there is another one, which was left alone; this machine's own packets follow that one, not the tunnel",
			 text);
	else
		snprintf(sentence, sizeof(sentence), "route to %s %s: %s", text,
			 e->type == RTN_UNICAST ? "into xesp0" : "of type unreachable",
			 nl_geterror(err));
	add_problem(r, sentence);
}

/* Entries of `a` that are not in `b`, marked; -ENOMEM. */
static int mark_missing(const struct entries *a, const struct entries *b, bool *missing)
{
	struct index in_b;
	uint32_t found;
	int err = 0;

	index_init(&in_b, sizeof(struct entry));
	for (size_t i = 0; i < b->n && !err; i++)
		err = index_add(&in_b, &b->e[i], (uint32_t)i, &found);
	for (size_t i = 0; i < a->n && !err; i++)
		missing[i] = index_find(&in_b, &a->e[i]) == INDEX_NONE;
	index_fini(&in_b);
	return err;
}

static int apply(struct routes *r, struct nl_sock *sock, const struct entries *want,
		 const struct entries *have)
{
	bool *surplus = calloc(have->n + 1, sizeof(bool));
	bool *lacking = calloc(want->n + 1, sizeof(bool));
	int err = surplus && lacking ? 0 : -ENOMEM;

	if (!err)
		err = mark_missing(have, want, surplus);
	if (!err)
		err = mark_missing(want, have, lacking);
	/* Unreachable ones come first in the plan: at no time does a prefix have no route of ours,
	 * but for the moment in which one into xesp0 is exchanged, and then that one stops it. */
	for (size_t i = 0; i < want->n && !err; i++)
		if (lacking[i] && want->e[i].type == RTN_UNREACHABLE)
			add_route(r, sock, &want->e[i]);
	for (size_t i = 0; i < have->n && !err; i++)
		if (surplus[i])
			rtnl_route_delete(sock, have->route[i], 0);
	for (size_t i = 0; i < want->n && !err; i++) {
		if (want->e[i].type != RTN_UNICAST)
			continue;
		if (lacking[i])
			add_route(r, sock, &want->e[i]);
		else
			r->installed++;
	}
	free(surplus);
	free(lacking);
	return err;
}

static void check_filters(struct routes *r, const struct config *c)
{
	char sentence[FAULT_TEXT_MAX];

	for (uint32_t i = 0; c && r->transport4 && i < c->interfaces_n; i++) {
		if (!(c->interfaces[i].role & XESP_ROLE_OUTER) ||
		    !rules_are_strict(c->interfaces[i].name))
			continue;
		snprintf(sentence, sizeof(sentence),
			 "transport mode: %s has rp_filter 1, which drops fragments and IKE from the far end: sysctl net.ipv4.conf.%s.rp_filter=2",
			 c->interfaces[i].name, c->interfaces[i].name);
		add_problem(r, sentence);
	}
}

int routes_sync(struct routes *r, const struct config *c, const struct local_addrs *addrs,
		struct fault *f)
{
	struct entries want = { 0 }, have = { 0 };
	struct nl_sock *sock = nl_socket_alloc();
	int err;

	r->problems_n = r->problems_left_out = r->wanted = r->installed = 0;
	r->rules4 = r->rules6 = r->transport4 = false;
	if (!sock)
		return fault_set(f, -ENOMEM, "out of memory");
	err = nl_connect(sock, NETLINK_ROUTE);
	if (!err)
		err = read_ours(sock, AF_INET, &have);
	if (!err)
		err = read_ours(sock, AF_INET6, &have);
	if (err) {
		err = fault_set(f, -EIO, "cannot read the kernel's routes: %s", nl_geterror(err));
		goto free_all;
	}
	err = have.err;
	/* As libnl makes a new socket: its callback is not for the answers to what follows. */
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_DEFAULT, NULL, NULL);
	if (!err)
		err = plan_entries(r, sock, c, addrs, &want);
	if (!err)
		err = apply(r, sock, &want, &have);
	if (err) {
		fault_set(f, err, "out of memory");
		goto free_all;
	}
	check_filters(r, c);
	err = rules_sync(sock, AF_INET, r->rules4, f);
	if (!err)
		err = rules_sync(sock, AF_INET6, r->rules6, f);
free_all:
	free_entries(&want);
	free_entries(&have);
	nl_socket_free(sock);
	return err;
}
