/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mirror against a real kernel: `ip` changes links, routes, rules and neighbours in a network
 * namespace of this test's own, and the answers must follow within a second.
 *
 *   this namespace                     the peer's (a process of its own)
 *   [in0 10.9.0.1/24, port 3]----------[p0 10.9.0.2/24, 2001:db8:9::2/64]
 *        2001:db8:9::1/64
 *        02:00:00:00:00:01               02:00:00:00:00:02
 *   [out0 192.0.2.1/24, port 5]--[out1]   [far0 198.51.100.1/24, no port]--[far1]
 */
#include <CUnit/CUnit.h>
#include <event2/event.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fib/fib.h"
#include "libxesp/addr.h"
#include "tests/unit/user/namespace.h"
#include "xesp/clock.h"
#include "xesp/fault.h"

#define WITHIN_MS 5000 /* a condition is waited for: on a busy machine it may take a while */
#define LEN(a)    (sizeof(a) / sizeof((a)[0]))
#define WORKER    0 /* the main thread; 1 and 2 are threads of one test */
#define WORKERS   3

static struct event_base *base;
static struct fib *fib;
static unsigned int wrong;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "failed: %s\n", what);
	wrong++;
}

static const char *print_hop(enum fib_verdict v, const struct fib_hop *hop, char *buf, size_t size)
{
	static const char *const names[] = { "send", "slow", "tunnels", "local", "none" };
	static const char *const roles[] = { "", " by inner", " by outer", " by both" };
	int used;

	if (v != FIB_SEND) {
		snprintf(buf, size, "%s%s", names[v], v == FIB_SLOW ? roles[hop->role] : "");
		return buf;
	}
	must(hop->role == (hop->port == 5 ? XESP_ROLE_OUTER : XESP_ROLE_INNER), "the port's role");
	used = snprintf(buf, size, "port %u mtu %u ", hop->port, hop->mtu);
	for (int i = 0; i < hop->l2_len; i++)
		used += snprintf(buf + used, size - (size_t)used, "%02x", hop->l2[i]);
	return buf;
}

static const char *ask(const char *dst, char *buf, size_t size)
{
	enum fib_verdict v;
	struct xesp_addr a;
	struct fib_hop hop;

	bool ours = !strncmp(dst, "ours ", 5);

	if (addr_parse(&a, ours ? dst + 5 : dst, NULL))
		abort();
	v = fib_lookup(fib, WORKER, &a, ours ? FIB_OURS : FIB_FORWARDED, &hop);
	fib_quiescent(fib, WORKER);
	return print_hop(v, &hop, buf, size);
}

static void turn(void)
{
	struct timeval tv = { .tv_usec = 5000 };

	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
}

/* Until the answer is `want`, but not longer than a second; then it must stay for a moment. */
static void expect(const char *after, const char *dst, const char *want)
{
	uint64_t until = clock_ms() + WITHIN_MS;
	char got[128];

	while (strcmp(ask(dst, got, sizeof(got)), want) && clock_ms() < until)
		turn();
	if (strcmp(got, want)) {
		fprintf(stderr, "after '%s': %s -> %s, expected %s\n", after, dst, got, want);
		wrong++;
	}
}

#define IN      "port 3 mtu 1500 "
#define OUT     "port 5 mtu 1500 "
#define SRC_IN  "020000000001"
#define SRC_OUT "020000000011"
#define PEER    "020000000002"
#define GW      "0200000000aa"
#define GW2     "0200000000bb"

struct row {
	const char *cmd; /* run first, if any */
	const char *dst; /* "ours " before it: of a packet that xesp sends itself */
	const char *answer;
};

/* Not on a kernel without 802.1Q; tests/unit/user/test_link.c has the same without a kernel. */
static const struct row vlan_rows[] = {
	{ "ip link add link out0 name v100 type vlan id 100 && ip link set v100 up &&"
	  " ip addr add 10.100.0.1/24 dev v100 &&"
	  " ip neigh add 10.100.0.2 lladdr 02:00:00:00:00:aa dev v100 nud permanent",
	  "10.100.0.2", OUT GW SRC_OUT "810000640800" },
	{ "ip link set v100 mtu 1400", "10.100.0.2", "port 5 mtu 1400 " GW SRC_OUT "810000640800" },
	{ "ip link set v100 address 02:00:00:00:00:64", "10.100.0.2",
	  "port 5 mtu 1400 " GW "020000000064"
	  "810000640800" },
	{ "ip link add link out0 name s200 type vlan proto 802.1ad id 200 && ip link set s200 up &&"
	  " ip link add link s200 name c5 type vlan id 5 && ip link set c5 up &&"
	  " ip addr add 10.200.0.1/24 dev c5 &&"
	  " ip neigh add 10.200.0.2 lladdr 02:00:00:00:00:bb dev c5 nud permanent",
	  "10.200.0.2", OUT GW2 SRC_OUT "88a800c8810000050800" },
	{ "ip link add link c5 name d6 type vlan id 6 && ip link set d6 up &&"
	  " ip addr add 10.201.0.1/24 dev d6 &&"
	  " ip neigh add 10.201.0.2 lladdr 02:00:00:00:00:bb dev d6 nud permanent",
	  "10.201.0.2", "slow" }, /* three tags */
};

static const struct row rows[] = {
	/* the start */
	{ NULL, "10.9.0.1", "local" },
	{ NULL, "10.9.0.255", "local" },
	{ NULL, "255.255.255.255", "local" },
	{ NULL, "224.0.0.5", "local" },
	{ NULL, "127.0.0.1", "local" },
	{ NULL, "0.0.0.0", "none" },
	{ NULL, "203.0.113.1", "none" },
	{ NULL, "2001:db8:9::1", "local" },
	{ NULL, "ff02::1", "local" },
	{ NULL, "fe80::1", "slow" },
	{ NULL, "::", "none" },
	{ NULL, "2001:db8:ffff::1", "none" },
	{ NULL, "198.51.100.2", "slow" },
	{ NULL, "192.0.2.2", "slow by outer" },
	/* xesp0: tuns0 plays it */
	{ "ip route add 203.0.113.0/24 dev tuns0", "203.0.113.1", "tunnels" },
	{ "ip route replace 203.0.113.0/24 via 198.51.100.2", "203.0.113.1", "slow" },
	{ "ip route del 203.0.113.0/24", "203.0.113.1", "none" },
	/* neighbours */
	{ "ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:aa dev out0 nud permanent", "192.0.2.2",
	  OUT GW SRC_OUT "0800" },
	{ "ip neigh change 192.0.2.2 lladdr 02:00:00:00:00:bb dev out0 nud permanent", "192.0.2.2",
	  OUT GW2 SRC_OUT "0800" },
	{ "ip neigh change 192.0.2.2 lladdr 02:00:00:00:00:aa dev out0 nud stale", "192.0.2.2",
	  OUT GW SRC_OUT "0800" },
	{ "ip neigh change 192.0.2.2 dev out0 nud failed", "192.0.2.2", "slow by outer" },
	{ "ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:aa dev out0 nud permanent", "192.0.2.2",
	  OUT GW SRC_OUT "0800" },
	{ "ip neigh add 198.51.100.2 lladdr 02:00:00:00:00:cc dev far0 nud permanent",
	  "198.51.100.2", "slow" },
	/* routes */
	{ "ip route add 203.0.113.0/24 via 192.0.2.2", "203.0.113.1", OUT GW SRC_OUT "0800" },
	{ NULL, "203.0.114.1", "none" },
	{ "ip route replace 203.0.113.0/24 via 10.9.0.2", "203.0.113.1", IN PEER SRC_IN "0800" },
	{ "ip route add 203.0.113.0/25 via 192.0.2.2 mtu 1400", "203.0.113.1",
	  "port 5 mtu 1400 " GW SRC_OUT "0800" },
	{ NULL, "203.0.113.129", IN PEER SRC_IN "0800" },
	{ "ip route add unreachable 203.0.113.0/25 metric 4000000000", "203.0.113.1",
	  "port 5 mtu 1400 " GW SRC_OUT "0800" },
	{ "ip route del 203.0.113.0/25 via 192.0.2.2", "203.0.113.1", "none" },
	{ "ip route del unreachable 203.0.113.0/25", "203.0.113.1", IN PEER SRC_IN "0800" },
	{ "ip route add blackhole 203.0.113.1", "203.0.113.1", "none" },
	{ "ip route del blackhole 203.0.113.1 && ip route add prohibit 203.0.113.1", "203.0.113.1",
	  "none" },
	{ "ip route del prohibit 203.0.113.1", "203.0.113.1", IN PEER SRC_IN "0800" },
	{ "ip route add 203.0.113.1 tos 0x10 via 192.0.2.2", "203.0.113.1", "slow" },
	{ "ip route del 203.0.113.1 tos 0x10", "203.0.113.1", IN PEER SRC_IN "0800" },
	{ "ip route replace 203.0.113.0/24 via 198.51.100.2", "203.0.113.1", "slow" },
	{ "ip route replace 203.0.113.0/24 nexthop via 192.0.2.2 nexthop via 192.0.2.2 weight 2",
	  "203.0.113.1", OUT GW SRC_OUT "0800" },
	{ "ip nexthop add id 7 via 192.0.2.2 dev out0 && ip route replace 203.0.113.0/24 nhid 7",
	  "203.0.113.1", OUT GW SRC_OUT "0800" },
	{ "ip nexthop replace id 7 via 10.9.0.2 dev in0", "203.0.113.1", IN PEER SRC_IN "0800" },
	{ "ip nexthop del id 7", "203.0.113.1", "none" },
	{ "ip route add default via 192.0.2.2", "203.0.113.1", OUT GW SRC_OUT "0800" },
	{ NULL, "2001:db8:ffff::1", "none" },
	/* addresses */
	{ "ip addr add 203.0.113.1/32 dev far0", "203.0.113.1", "local" },
	{ "ip addr del 203.0.113.1/32 dev far0", "203.0.113.1", OUT GW SRC_OUT "0800" },
	/* IPv6, and IPv4 by an IPv6 gateway (RFC 5549) */
	{ "ip neigh add fe80::aa lladdr 02:00:00:00:00:aa dev out0 nud permanent &&"
	  " ip -6 route add default via fe80::aa dev out0",
	  "2001:db8:ffff::1", OUT GW SRC_OUT "86dd" },
	{ "ip -6 route add 2001:db8:ffff::/48 via 2001:db8:9::2", "2001:db8:ffff::1",
	  IN PEER SRC_IN "86dd" },
	{ "ip -6 route add unreachable 2001:db8:ffff::/64", "2001:db8:ffff::1", "none" },
	{ NULL, "2001:db8:ffff:1::1", IN PEER SRC_IN "86dd" },
	{ "ip -6 route del unreachable 2001:db8:ffff::/64", "2001:db8:ffff::1",
	  IN PEER SRC_IN "86dd" },
	{ "ip -6 route append 2001:db8:ffff::/48 via fe80::aa dev out0 &&"
	  " ip -6 route del 2001:db8:ffff::/48 via 2001:db8:9::2",
	  "2001:db8:ffff::1", OUT GW SRC_OUT "86dd" },
	{ "ip route replace 203.0.113.0/24 via inet6 fe80::aa dev out0", "203.0.113.1",
	  OUT GW SRC_OUT "0800" },
	/* lightweight tunnels are the kernel's */
	{ "ip route replace 203.0.113.0/24 encap mpls 100 via inet 192.0.2.2 dev out0 2>/dev/null ||"
	  " ip route replace 203.0.113.0/24 via 198.51.100.2",
	  "203.0.113.1", "slow" },
	{ "ip route del 203.0.113.0/24", "203.0.113.1", OUT GW SRC_OUT "0800" },
	/* policy rules: all but what the address alone says goes to the kernel */
	{ "ip rule add from 10.9.0.9 lookup 77", "203.0.113.1", "slow" },
	{ NULL, "10.9.0.1", "slow" },
	{ NULL, "2001:db8:ffff::1", OUT GW SRC_OUT "86dd" },
	{ "ip rule del from 10.9.0.9 lookup 77", "203.0.113.1", OUT GW SRC_OUT "0800" },
	/* rules that ask a table for every packet, as IKE daemons add them, and tables beyond main */
	{ "ip route add table 220 203.0.113.1 via 10.9.0.2", "203.0.113.1", OUT GW SRC_OUT "0800" },
	{ "ip rule add pref 220 lookup 220", "203.0.113.1", IN PEER SRC_IN "0800" },
	{ NULL, "203.0.113.2", OUT GW SRC_OUT "0800" },
	{ NULL, "10.9.0.1", "local" },
	{ "ip route add table 220 throw 203.0.113.1/32 metric 0 2>/dev/null;"
	  " ip route replace table 220 throw 203.0.113.1", "203.0.113.1", OUT GW SRC_OUT "0800" },
	{ "ip route replace table 220 unreachable 203.0.113.1", "203.0.113.1", "none" },
	{ "ip route flush table 220", "203.0.113.1", OUT GW SRC_OUT "0800" },
	{ "ip route add table 100000 203.0.113.1 via 10.9.0.2 &&"
	  " ip rule add pref 100 lookup 100000", "203.0.113.1", IN PEER SRC_IN "0800" },
	{ "ip rule del pref 100", "203.0.113.1", OUT GW SRC_OUT "0800" },
	{ "ip rule del pref 220 && ip route del default && ip route add table default 1.2.3.4 via 192.0.2.2",
	  "1.2.3.4", OUT GW SRC_OUT "0800" },
	{ "ip route del table default 1.2.3.4", "1.2.3.4", "none" },
	{ "ip route add default via 192.0.2.2", "203.0.113.1", OUT GW SRC_OUT "0800" },
	/* a rule for others' marks is not about us; one against our mark parts ours from the rest */
	{ "ip -6 route add table 77 2001:db8:ffff::1 via 2001:db8:9::2 &&"
	  " ip -6 rule add fwmark 1 lookup 77", "2001:db8:ffff::1", OUT GW SRC_OUT "86dd" },
	{ "ip -6 rule del fwmark 1 lookup 77 &&"
	  " ip -6 rule add not fwmark 0x65730000/0xffff0000 pref 219 lookup 77",
	  "2001:db8:ffff::1", IN PEER SRC_IN "86dd" },
	{ NULL, "ours 2001:db8:ffff::1", OUT GW SRC_OUT "86dd" },
	{ NULL, "2001:db8:ffff::2", OUT GW SRC_OUT "86dd" },
	{ "ip -6 rule del pref 219", "2001:db8:ffff::1", OUT GW SRC_OUT "86dd" },
	/* keyd's, for the far ends of transport mode: not for what is forwarded */
	{ "ip route add table 120 blackhole 203.0.113.1 protocol 120 &&"
	  " ip rule add pref 121 nop protocol 120 &&"
	  " ip rule add pref 119 fwmark 0x65730000/0xffff0000 goto 121 protocol 120 &&"
	  " ip rule add pref 120 iif lo lookup 120 protocol 120",
	  "203.0.113.1", OUT GW SRC_OUT "0800" },
	{ "ip rule del pref 120 && ip rule add pref 120 iif lo lookup 120", "203.0.113.1", "slow" },
	{ "ip rule del pref 119 && ip rule del pref 120 && ip rule del pref 121",
	  "203.0.113.1", OUT GW SRC_OUT "0800" },
	{ "ip rule add not fwmark 0x65730000/0xffff0000 pref 219 lookup 78 &&"
	  " ip route add table 78 203.0.113.1 via 10.9.0.2", "203.0.113.1", IN PEER SRC_IN "0800" },
	{ NULL, "ours 203.0.113.1", OUT GW SRC_OUT "0800" },
	{ "ip rule del pref 219", "203.0.113.1", OUT GW SRC_OUT "0800" },
	{ "ip rule add fwmark 0x65730000/0xffff0000 lookup 78", "203.0.113.1", "slow" }, /* for ours alone */
	{ "ip rule del fwmark 0x65730000/0xffff0000", "203.0.113.1", OUT GW SRC_OUT "0800" },
	{ "ip rule add iif in0 lookup 78", "203.0.113.1", "slow" },
	{ "ip rule del iif in0 lookup 78", "203.0.113.1", OUT GW SRC_OUT "0800" },
	{ "ip rule add pref 300 blackhole", "203.0.113.1", "slow" },
	{ "ip rule del pref 300", "203.0.113.1", OUT GW SRC_OUT "0800" },
	/* links: another address, down (the kernel flushes its routes unannounced), up, gone */
	{ "ip link set out0 mtu 9000", "192.0.2.2", "port 5 mtu 9000 " GW SRC_OUT "0800" },
	{ "ip link set out0 mtu 1500", "192.0.2.2", OUT GW SRC_OUT "0800" },
	{ "ip link set out1 down", "192.0.2.2", "slow" }, /* no carrier */
	{ "ip link set out1 up", "192.0.2.2", OUT GW SRC_OUT "0800" },
	{ "ip link set out0 down", "192.0.2.2", "none" },
	{ "ip link set out0 up &&"
	  " ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:aa dev out0 nud permanent",
	  "192.0.2.2", OUT GW SRC_OUT "0800" },
	{ "ip link del out0", "192.0.2.2", "none" },
	{ NULL, "10.9.0.2", IN PEER SRC_IN "0800" },
};

static bool set_up(pid_t peer)
{
	return namespace_sh(
		"sysctl -qw net.ipv6.conf.default.accept_dad=0 &&"
		"ip link set lo up &&"
		"ip link add in0 address 02:00:00:00:00:01 type veth peer name p0 address"
		" 02:00:00:00:00:02 netns %d &&"
		"ip link add out0 address 02:00:00:00:00:11 type veth peer name out1 &&"
		"ip link add far0 type veth peer name far1 && ip link add tuns0 type veth peer name tuns1 &&"
		"for i in in0 out0 out1 far0 far1 tuns0 tuns1; do ip link set $i up || exit 1; done &&"
		"ip addr add 10.9.0.1/24 dev in0 && ip addr add 2001:db8:9::1/64 dev in0 nodad &&"
		"ip addr add 192.0.2.1/24 dev out0 && ip addr add 198.51.100.1/24 dev far0 &&"
		"nsenter --net=/proc/%d/ns/net sh -ec '"
		"ip link set p0 up; ip addr add 10.9.0.2/24 dev p0;"
		"ip addr add 2001:db8:9::2/64 dev p0 nodad'",
		peer, peer);
}

static bool open_fib(void)
{
	struct fault f = { "" };

	base = event_base_new();
	if (fib_open(&fib, base, WORKERS, &f) || fib_port_set(fib, if_nametoindex("in0"), 3, XESP_ROLE_INNER, &f) ||
	    fib_port_set(fib, if_nametoindex("out0"), 5, XESP_ROLE_OUTER, &f) ||
	    fib_tunnels_set(fib, if_nametoindex("tuns0"), &f)) {
		fprintf(stderr, "fib: %s\n", f.text);
		return false;
	}
	return true;
}

/* What workers note is resolved though no packet was sent: lookups alone bring the answer. */
static void wants(void)
{
	struct xesp_addr remote;

	expect("a lookup without a neighbour", "10.9.0.2", IN PEER SRC_IN "0800");
	addr_parse(&remote, "2001:db8:9::2", NULL);
	fib_want(fib, &remote);
	for (uint64_t until = clock_ms() + WITHIN_MS; clock_ms() < until;) {
		turn();
		if (namespace_sh(
			    "ip -6 neigh show 2001:db8:9::2 dev in0 | grep -q 02:00:00:00:00:02"))
			break;
	}
	must(namespace_sh("ip -6 neigh show 2001:db8:9::2 dev in0 | grep -q 02:00:00:00:00:02"),
	     "fib_want() resolves without a lookup");
	expect("fib_want", "2001:db8:9::2", IN PEER SRC_IN "86dd");
}

#define CONFIRMED  "ip neigh show 10.9.0.2 | grep -Eq 'DELAY|PROBE|REACHABLE'"
#define MAKE_STALE "ip neigh change 10.9.0.2 lladdr 02:00:00:00:00:02 dev in0 nud stale"

static bool confirmed_within(uint64_t ms)
{
	uint64_t until = clock_ms() + ms;
	char got[128];

	while (!namespace_sh(CONFIRMED) && clock_ms() < until) {
		ask("10.9.0.2", got, sizeof(got));
		turn();
	}
	return namespace_sh(CONFIRMED);
}

/* A stale neighbour that is used is confirmed; one that is not used stays stale. */
static void stale(void)
{
	uint64_t until = clock_ms() + 1100; /* it may have been asked for just now */

	must(namespace_sh(MAKE_STALE), "stale");
	while (clock_ms() < until)
		turn();
	must(!namespace_sh(CONFIRMED), "unused, it stays stale");
	must(confirmed_within(WITHIN_MS), "used, it is confirmed");
	/* It was asked for just now: lookups out of the cache have it asked for again in time. */
	must(namespace_sh(MAKE_STALE), "stale");
	must(confirmed_within(1100 + WITHIN_MS), "used and stale again, it is confirmed again");
	expect("stale", "10.9.0.2", IN PEER SRC_IN "0800");
}

static void sources(void)
{
	static const struct {
		const char *dst, *src;
	} table[] = {
		{ "10.9.0.77", "10.9.0.1" },
		{ "192.0.2.9", "192.0.2.1" },
		{ "10.9.0.1", "10.9.0.1" },
		{ "203.0.113.1", NULL },
		{ "2001:db8:9::77", "2001:db8:9::1" },
		{ "2001:db8:ffff::1", NULL },
	};

	for (size_t i = 0; i < LEN(table); i++) {
		struct xesp_addr dst, src;
		char buf[ADDR_TEXT_MAX] = "";
		bool ok;

		addr_parse(&dst, table[i].dst, NULL);
		ok = fib_source(fib, &dst, &src);
		if (ok)
			addr_print(&src, buf);
		if (ok != !!table[i].src || (ok && strcmp(buf, table[i].src))) {
			fprintf(stderr, "source towards %s: '%s'\n", table[i].dst, buf);
			wrong++;
		}
	}
}

/* More notifications than its socket holds, while the loop does not turn. */
static void overrun(void)
{
	must(namespace_sh(
		     "seq 1 60000 | awk '{ printf \"neigh replace 10.9.%%d.%%d lladdr 02:00:00:00:00:cc"
		     " dev in0 nud permanent\\n\", 4 + $1 / 250, $1 %% 250 }' | ip -batch - &&"
		     "ip route add 203.0.113.9 via 10.9.0.2 && ip neigh flush dev in0 nud permanent &&"
		     "ip neigh replace 10.9.0.77 lladdr 02:00:00:00:00:cc dev in0 nud permanent"),
	     "60000 neighbours come and go");
	expect("an overrun", "203.0.113.9", IN PEER SRC_IN "0800");
	expect("an overrun", "10.9.0.77", IN "0200000000cc" SRC_IN "0800");
}

/* One worker: each answer must be one that was true at some time; it stops when told. */
struct looker {
	pthread_t thread;
	uint32_t worker;
	uint64_t lookups, sent;
	bool stop, strange;
};

static void *look(void *arg)
{
	struct looker *me = arg;
	struct xesp_addr dst;
	struct fib_hop hop;

	addr_parse(&dst, "10.9.0.2", NULL);
	while (!__atomic_load_n(&me->stop, __ATOMIC_RELAXED)) {
		enum fib_verdict v = fib_lookup(fib, me->worker, &dst, FIB_OURS, &hop);

		me->strange |= v != FIB_SLOW && (v != FIB_SEND || hop.port < 3 || hop.port > 4);
		me->sent += v == FIB_SEND;
		if (++me->lookups % 64 == 0)
			fib_quiescent(fib, me->worker);
		if (me->lookups % 5000 == 0) {
			fib_idle(fib, me->worker, true);
			sched_yield();
		}
	}
	fib_idle(fib, me->worker, true);
	return NULL;
}

/* Snapshots change and are freed under workers that look up: ASan and TSan watch. */
static void threads(void)
{
	struct looker l[2] = { { .worker = 1 }, { .worker = 2 } };
	uint32_t in0 = if_nametoindex("in0");
	uint64_t until = clock_ms() + 1000;

	for (int i = 0; i < 2; i++)
		must(!pthread_create(&l[i].thread, NULL, look, &l[i]), "pthread_create");
	for (int32_t n = 0; clock_ms() < until; n++) {
		must(!fib_port_set(fib, in0, n % 3 ? 3 + n % 2 : -1, XESP_ROLE_INNER, NULL), "fib_port_set");
		if (n % 16 == 0)
			turn();
	}
	for (int i = 0; i < 2; i++) {
		__atomic_store_n(&l[i].stop, true, __ATOMIC_RELAXED);
		pthread_join(l[i].thread, NULL);
		must(!l[i].strange, "only answers that were true");
		must(l[i].sent > 1000 && l[i].lookups > l[i].sent, "both answers were seen");
	}
	must(!fib_port_set(fib, in0, 3, XESP_ROLE_INNER, NULL), "fib_port_set");
	expect("threads", "10.9.0.2", IN PEER SRC_IN "0800");
}

static void follow(const struct row *row, size_t n)
{
	for (; n--; row++) {
		if (row->cmd)
			must(namespace_sh("%s", row->cmd), row->cmd);
		expect(row->cmd ? row->cmd : "the above", row->dst, row->answer);
	}
}

static void vlans(void)
{
	if (!namespace_sh(
		    "ip link add link out0 name probe type vlan id 1 2>/dev/null && ip link del probe"))
		printf("SKIP fib: VLAN devices: this kernel has none (CONFIG_VLAN_8021Q)\n");
	else
		follow(vlan_rows, LEN(vlan_rows));
}

static int in_namespace(void)
{
	pid_t peer = fork();
	int status;

	if (peer == 0) { /* holds the peer's namespace until this test ends */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET))
			_exit(1);
		for (;;)
			pause();
	}
	for (int i = 0; i < 200; i++) {
		if (namespace_sh("[ /proc/%d/ns/net -ef /proc/%d/ns/net ]", peer, getpid()))
			usleep(10000);
	}
	if (!set_up(peer) || !open_fib()) {
		fprintf(stderr, "cannot set up the test's namespaces\n");
		wrong++;
	} else {
		wants();
		stale();
		sources();
		vlans();
		follow(rows, LEN(rows));
		threads();
		overrun();
		fib_close(fib);
		event_base_free(base);
	}
	kill(peer, SIGKILL);
	waitpid(peer, &status, 0);
	return wrong ? 1 : 0;
}

static void follows_the_kernel(void)
{
	CU_ASSERT_TRUE(namespace_run(in_namespace));
}

CU_TestInfo fib_tests[] = {
	{ "answers follow ip link, addr, route, rule and neigh within a second",
	  follows_the_kernel },
	CU_TEST_INFO_NULL,
};
