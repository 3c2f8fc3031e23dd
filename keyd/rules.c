/* SPDX-License-Identifier: BSD-2-Clause */
/* rules.c - see rules.h. libnl's rule objects lack flags of some actions: messages are made here. */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "keyd/rules.h"
#include "xesp/fault.h"
#include "xesp/steer.h"

struct rule {
	uint32_t priority;
	uint8_t action;
	uint32_t table, target, mark;
	bool own; /* iif lo */
};

/* In an order in which no packet of xespd's is led into the table. */
static const struct rule wanted_rules[] = {
	{ .priority = 121, .action = FR_ACT_NOP },
	{ .priority = 119, .action = FR_ACT_GOTO, .target = 121, .mark = XESP_ROUTE_MARK },
	{ .priority = 120, .action = FR_ACT_TO_TBL, .table = XESP_ROUTE_TABLE, .own = true },
};

#define RULES (sizeof(wanted_rules) / sizeof(wanted_rules[0]))

struct found {
	uint32_t as_wanted; /* bit per wanted rule */
	uint32_t n;
};

static uint32_t u32_of(struct nlattr *a)
{
	return a && nla_len(a) >= 4 ? nla_get_u32(a) : 0;
}

static bool same(const struct rule *r, const struct fib_rule_hdr *h, struct nlattr **tb)
{
	const bool own = tb[FRA_IIFNAME] && !nla_strcmp(tb[FRA_IIFNAME], "lo");

	return u32_of(tb[FRA_PRIORITY]) == r->priority && h->action == r->action &&
	       (r->action != FR_ACT_TO_TBL || u32_of(tb[FRA_TABLE]) == r->table) &&
	       u32_of(tb[FRA_GOTO]) == r->target && u32_of(tb[FRA_FWMARK]) == r->mark &&
	       own == r->own;
}

static int on_rule(struct nl_msg *msg, void *arg)
{
	struct fib_rule_hdr *h = nlmsg_data(nlmsg_hdr(msg));
	struct nlattr *tb[FRA_MAX + 1];
	struct found *f = arg;

	if (nlmsg_hdr(msg)->nlmsg_type != RTM_NEWRULE ||
	    nlmsg_parse(nlmsg_hdr(msg), sizeof(*h), tb, FRA_MAX, NULL) || !tb[FRA_PROTOCOL] ||
	    nla_get_u8(tb[FRA_PROTOCOL]) != XESP_ROUTE_PROTOCOL)
		return NL_OK;
	f->n++;
	for (uint32_t i = 0; i < RULES; i++)
		if (same(&wanted_rules[i], h, tb))
			f->as_wanted |= 1u << i;
	return NL_OK;
}

static int read_rules(struct nl_sock *sock, int family, struct found *found)
{
	struct fib_rule_hdr request = { .family = (uint8_t)family };
	int err;

	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_rule, found);
	err = nl_send_simple(sock, RTM_GETRULE, NLM_F_DUMP, &request, sizeof(request));
	if (err >= 0)
		err = nl_recvmsgs_default(sock);
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_DEFAULT, NULL, NULL);
	/* A kernel without IPv6 has none of its rules. */
	if (err == -NLE_OPNOTSUPP || err == -NLE_AF_NOSUPPORT)
		return 0;
	return err < 0 ? err : 0;
}

static int change(struct nl_sock *sock, int family, const struct rule *r, bool add)
{
	struct fib_rule_hdr h = { .family = (uint8_t)family, .action = r->action,
				  .table = (uint8_t)r->table };
	struct nl_msg *msg = nlmsg_alloc_simple(add ? RTM_NEWRULE : RTM_DELRULE,
						add ? NLM_F_CREATE | NLM_F_EXCL : 0);
	int err;

	if (!msg)
		return -NLE_NOMEM;
	err = nlmsg_append(msg, &h, sizeof(h), NLMSG_ALIGNTO);
	if (!err)
		err = nla_put_u32(msg, FRA_PRIORITY, r->priority);
	if (!err)
		err = nla_put_u8(msg, FRA_PROTOCOL, XESP_ROUTE_PROTOCOL);
	if (!err && r->table)
		err = nla_put_u32(msg, FRA_TABLE, r->table);
	if (!err && r->target)
		err = nla_put_u32(msg, FRA_GOTO, r->target);
	if (!err && r->mark)
		err = nla_put_u32(msg, FRA_FWMARK, r->mark) ? -NLE_NOMEM :
		      nla_put_u32(msg, FRA_FWMASK, XESP_ROUTE_MARK_MASK);
	if (!err && r->own)
		err = nla_put_string(msg, FRA_IIFNAME, "lo");
	if (err) {
		nlmsg_free(msg);
		return err;
	}
	return nl_send_sync(sock, msg); /* frees it */
}

int rules_sync(struct nl_sock *sock, int family, bool wanted, struct fault *f)
{
	const uint32_t all = (1u << RULES) - 1;
	struct found found = { 0 };
	int err;

	err = read_rules(sock, family, &found);
	if (!err && found.n == (wanted ? RULES : 0) && found.as_wanted == (wanted ? all : 0))
		return 0;
	/* Backwards: the table is asked for no more before anything else goes. */
	for (uint32_t i = RULES; i-- > 0 && !err;)
		if (found.as_wanted & 1u << i)
			err = change(sock, family, &wanted_rules[i], false);
	for (uint32_t i = 0; i < RULES && wanted && !err; i++)
		err = change(sock, family, &wanted_rules[i], true);
	return err ? fault_set(f, -EIO, "policy rules for this machine's own packets: %s", nl_geterror(err)) : 0;
}

/* ---- reverse path filter: the kernel takes the larger of the two values, and 2 is not strict */

static int filter_of(const char *interface)
{
	char path[64];
	FILE *in;
	int v = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", interface);
	in = fopen(path, "re");
	if (!in)
		return 0;
	if (fscanf(in, "%d", &v) != 1)
		v = 0;
	fclose(in);
	return v;
}

bool rules_are_strict(const char *interface)
{
	int all = filter_of("all"), one = filter_of(interface);

	return (all > one ? all : one) == 1;
}
