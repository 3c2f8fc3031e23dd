/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The slow path whole, in a namespace, with both ends of a tunnel in one process: what the kernel
 * routes into xesp0 is encapsulated and sent by a raw socket to the tunnel's other end, which is
 * this machine too, and so comes in by the raw ESP socket and out of xesp0 again.
 *
 *   [lo 10.1.0.2, 192.0.2.1, 192.0.2.2]   10.2.0.0/24 dev xesp0   ip_forward 0
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <event2/event.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "esp/wire.h"
#include "fib/fib.h"
#include "libxesp/addr.h"
#include "slow/frag.h"
#include "slow/raw.h"
#include "slow/slow.h"
#include "tests/pair/pair.h"
#include "tests/unit/user/maps.h"
#include "tests/unit/user/namespace.h"
#include "xesp/clock.h"
#include "xesp/fault.h"

#define WITHIN_MS      2000
#define POLICY_DISCARD 4

static int wrong;
static struct event_base *base;
static struct slow *slow;
static struct pair pair;
static struct pins pins;
static struct fib *fib;
static bool outer6;

static void must(bool ok, const char *what)
{
	if (!ok)
		fprintf(stderr, "slow, outer IPv%d: failed: %s\n", outer6 ? 6 : 4, what);
	wrong += !ok;
}

/* Turns the loop until *counter has grown by n since it was `before`; it must not grow by more. */
static bool grows(const __u64 *counter, uint64_t before, uint64_t n)
{
	uint64_t until = clock_ms() + WITHIN_MS;

	while (*counter < before + n && clock_ms() < until) {
		struct timeval tv = { .tv_usec = 2000 };

		event_base_loopexit(base, &tv);
		event_base_dispatch(base);
	}
	return *counter == before + n;
}

static struct xesp_worker_stats *stats(void)
{
	return &pair.st.worker[PAIR_MAIN];
}

/* ---- what comes out of xesp0 */

static int tap;

static void open_tap(void)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex("xesp0") };

	const int bytes = 4 << 20;

	tap = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	setsockopt(tap, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	must(tap >= 0 && !bind(tap, (struct sockaddr *)&at, sizeof(at)), "tap");
}

/* The next packet that was written to xesp0; its length, 0: none. */
static ssize_t delivered(uint8_t *buf, size_t size)
{
	struct sockaddr_ll from = { 0 };
	socklen_t len = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(tap, buf, size, 0, (struct sockaddr *)&from, &len)) >= 0) {
		if (from.sll_pkttype != PACKET_OUTGOING)
			return n;
	}
	return 0;
}

/* ---- sending */

static void send_udp(const char *to, size_t bytes, bool df)
{
	const int discover = df ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;
	struct sockaddr_in from = { .sin_family = AF_INET },
			   dst = { .sin_family = AF_INET, .sin_port = htons(2000) };
	uint8_t data[4000];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	memset(data, 0x5a, sizeof(data));
	inet_pton(AF_INET, "10.1.0.2", &from.sin_addr);
	inet_pton(AF_INET, to, &dst.sin_addr);
	must(!bind(fd, (struct sockaddr *)&from, sizeof(from)), "bind");
	must(!setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof(discover)), "DF");
	must(sendto(fd, data, bytes, 0, (struct sockaddr *)&dst, sizeof(dst)) == (ssize_t)bytes,
	     "sendto");
	close(fd);
}

static void round_trip(void)
{
	const struct xesp_sa_state *out = &pair.st.sa[PAIR_SA_OUT], *in = &pair.st.sa[PAIR_SA_IN];
	uint64_t before = stats()->decap_packets, bytes = in->bytes;
	uint8_t got[4096];

	for (int i = 0; i < 100; i++)
		send_udp("10.2.0.2", 200, true);
	must(grows(&stats()->decap_packets, before, 100), "100 datagrams through the tunnel");
	must(out->packets == in->packets && in->bytes == bytes + 100 * 228, "counted in both SAs");
	for (int i = 0; i < 100; i++)
		must(delivered(got, sizeof(got)) == 228 && got[28] == 0x5a && got[227] == 0x5a,
		     "delivered whole");
	must(got[8] == 64, "the TTL is as the kernel made it");
	must(!delivered(got, sizeof(got)), "and once");
}

/* ---- policy */

struct expected {
	const char *what, *to;
	enum xesp_drop drop;
	uint32_t policy; /* whose drop it is, 0: nobody's */
};

static void dropped(const struct expected *e)
{
	__u64 *counter = &stats()->drops[e->drop];
	uint64_t before = *counter, sent = stats()->encap_packets, of_policy = 0;

	if (e->policy)
		of_policy = pair.st.policy[e->policy].by_reason[e->drop];
	send_udp(e->to, 10, true);
	must(grows(counter, before, 1), e->what);
	must(stats()->encap_packets == sent, "nothing was sent");
	if (e->policy)
		must(pair.st.policy[e->policy].by_reason[e->drop] == of_policy + 1,
		     "the policy's counter");
}

static void policies(void)
{
	const struct maps_policy protect = { "10.1.0.0/16",
					     "10.2.0.0/24",
					     PAIR_POLICY,
					     PAIR_TUNNEL_OUT,
					     XESP_ACTION_PROTECT,
					     0,
					     0,
					     0 };
	const struct maps_policy discard = {
		"10.1.0.0/16", "10.2.0.9/32", POLICY_DISCARD, 0, XESP_ACTION_DISCARD, 0, 0, 0
	};
	const struct maps_policy bypass = {
		"10.1.0.0/16", "10.2.0.10/32", 5, 0, XESP_ACTION_BYPASS, 0, 0, 0
	};

	dropped(&(struct expected){ "nothing loaded", "10.2.0.2", XESP_DROP_NOT_LOADED, 0 });
	maps_policy(&pins, 0, &bypass);
	maps_policy(&pins, 1, &discard);
	maps_policy(&pins, 2, &protect);
	maps_commit(&pins, 3, XESP_ACTION_DISCARD);
	dropped(&(struct expected){ "discard", "10.2.0.9", XESP_DROP_DISCARD, POLICY_DISCARD });
	dropped(&(struct expected){ "bypass, and no way but into xesp0", "10.2.0.10",
				    XESP_DROP_NO_ROUTE, 5 });
	dropped(&(struct expected){ "no policy", "10.3.0.1", XESP_DROP_NO_POLICY, 0 });
}

/* ---- what workers hand over */

static void fragments_before_the_tunnel(void)
{
	uint64_t before = stats()->decap_packets;
	static struct frame f;
	uint32_t data = 0;
	uint8_t got[4096];
	struct pkt p = pair_make(&f, 4, 3000);

	p.id = PAIR_TUNNEL_OUT;
	p.policy = PAIR_POLICY;
	p.l3[6] = p.l3[7] = 0; /* DF clear */
	p.l3[8] = 64;
	pair_checksum(p.l3);
	must(pair_encap(&pair, &p) == XESP_DROP_TOO_BIG && p.fragment, "too big, DF clear");
	must(slow_to_tunnel(slow, &p), "slow_to_tunnel");
	must(grows(&stats()->decap_packets, before, 3), "three pieces");
	for (int i = 0; i < 3; i++) {
		ssize_t n = delivered(got, sizeof(got));

		must(n > 20 && n <= p.mtu && got[8] == 63, "a piece, with one hop less");
		must(wire_get16(got + 6) == ((i < 2 ? 0x2000u : 0u) | data / 8), "its offset");
		must(!memcmp(got + 20, p.l3 + 20 + data, (size_t)n - 20), "its data");
		data += (uint32_t)n - 20;
	}
	must(data == 2980, "all of it");
}

/* Also from xesp0: the kernel's packets with DF clear, larger than the tunnel but not than xesp0.
 */
static void fragments_from_xesp0(void)
{
	uint64_t before = stats()->decap_packets;
	uint8_t got[4096];

	send_udp("10.2.0.2", 1472, false);
	must(grows(&stats()->decap_packets, before, 2), "two pieces of a packet from xesp0");
	must(delivered(got, sizeof(got)) > 0 && got[8] == 64, "with the kernel's TTL");
	must(delivered(got, sizeof(got)) > 0, "and the second");
}

/* RFC 1191: the sender, here a socket of this machine, learns what fits. */
static void too_big_for_the_tunnel(void)
{
	uint64_t before = stats()->drops[XESP_DROP_TOO_BIG];
	struct icmp_seen {
		uint8_t bytes[600];
	} got;
	int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMP);
	uint64_t until = clock_ms() + WITHIN_MS;
	ssize_t n = 0;

	send_udp("10.2.0.3", 1472, true);
	must(grows(&stats()->drops[XESP_DROP_TOO_BIG], before, 1), "too big, counted");
	while (n < 56 && clock_ms() < until)
		n = recv(fd, got.bytes, sizeof(got.bytes), 0);
	must(n == 576, "an ICMP error of 576 bytes");
	must(got.bytes[20] == 3 && got.bytes[21] == 4, "fragmentation needed");
	n = wire_get16(got.bytes + 26);
	must(n > 1300 && n < 1500, "with the tunnel's MTU");
	must(got.bytes[28] == 0x45 && !memcmp(got.bytes + 44, "\x0a\x02\x00\x03", 4), "quoting it");
	/* Exactly that much passes. */
	before = stats()->decap_packets;
	send_udp("10.2.0.4", (size_t)n - 28, true);
	must(grows(&stats()->decap_packets, before, 1), "that MTU fits");
	must(delivered(got.bytes, sizeof(got.bytes)) > 0, "delivered");
	before = stats()->drops[XESP_DROP_TOO_BIG];
	send_udp("10.2.0.5", (size_t)n - 27, true);
	must(grows(&stats()->drops[XESP_DROP_TOO_BIG], before, 1), "and one byte more does not");
	close(fd);
}

/* The TTL of a packet from behind a tunnel: its sender is told through the tunnel, or not. */
static void time_exceeded_through_the_tunnel(void)
{
	uint64_t before = stats()->drops[XESP_DROP_NO_POLICY], encap = stats()->encap_packets;
	static struct frame f;
	struct pkt p = pair_make(&f, 4, 100);
	uint8_t got[4096];

	memcpy(p.l3 + 12, "\x0a\x02\x00\x07", 4); /* from 10.2.0.7, behind the far end */
	memcpy(p.l3 + 16, "\x0a\x01\x00\x63", 4);
	pair_checksum(p.l3);
	p.drop = XESP_DROP_TTL_EXPIRED;
	p.policy = 0;
	slow_tell_sender(slow, &p);
	must(grows(&stats()->decap_packets, stats()->decap_packets, 1),
	     "an error through the tunnel");
	must(stats()->encap_packets == encap + 1, "encapsulated");
	must(delivered(got, sizeof(got)) == 128 && got[9] == 1 && got[20] == 11, "time exceeded");

	/* 10.3.0.7 has no policy: an error to it would carry decrypted text in clear. The kernel's
	 * route would show it to us again, before what follows it. */
	memcpy(p.l3 + 12, "\x0a\x03\x00\x07", 4);
	pair_checksum(p.l3);
	slow_tell_sender(slow, &p);
	memcpy(p.l3 + 12, "\x0a\x02\x00\x07", 4);
	pair_checksum(p.l3);
	slow_tell_sender(slow, &p);
	must(grows(&stats()->decap_packets, stats()->decap_packets, 1), "the one behind it");
	must(delivered(got, sizeof(got)) == 128, "is delivered");
	dropped(&(struct expected){ "something to see in xesp0", "10.2.0.9", XESP_DROP_DISCARD,
				    POLICY_DISCARD });
	must(stats()->drops[XESP_DROP_NO_POLICY] == before, "no error in clear");
}

/* ---- ESP in outer fragments */

static void reassembled(void)
{
	uint64_t before = stats()->decap_packets, icv = stats()->drops[XESP_DROP_BAD_ICV];
	uint8_t piece[2000], got[4096];
	struct raw raw;
	struct frag cut;
	uint32_t n;

	must(raw_open(&raw, 0, true, NULL) == 0, "raw_open");
	for (int flip = 0; flip < 2; flip++) {
		static struct frame f;
		struct pkt p = pair_make(&f, 4, 1000);

		p.id = PAIR_TUNNEL_OUT;
		must(pair_encap(&pair, &p) == XESP_DROP_NONE, "encap");
		p.l3[6] = p.l3[7] = 0;
		wire_put16(p.l3 + 4, (uint16_t)(0x1234 + flip));
		p.l3[900] ^= (uint8_t)flip;
		must(frag_begin(&cut, p.l3, p.len, 300) == 0, "cut");
		while ((n = frag_next(&cut, piece)))
			must(raw_send(&raw, piece, n) == 0, "an outer fragment");
		if (!flip)
			must(grows(&stats()->decap_packets, before, 1),
			     "put together and decapsulated");
		else
			must(grows(&stats()->drops[XESP_DROP_BAD_ICV], icv, 1), "altered: refused");
	}
	must(delivered(got, sizeof(got)) == 1000, "delivered");
	must(!delivered(got, sizeof(got)), "but not the altered one");
	raw_close(&raw);
}

static void strange_esp(void)
{
	static const struct {
		const char *what, *to;
		uint32_t spi, len;
		enum xesp_drop drop;
	} rows[] = {
		{ "unknown SPI", "192.0.2.2", 0x1000, 60, XESP_DROP_NO_SA },
		{ "reserved SPI", "192.0.2.2", 255, 60, XESP_DROP_BAD_SPI },
		{ "cut off", "192.0.2.2", PAIR_SPI, 27, XESP_DROP_ESP_SHORT },
		{ "no room for an ICV", "192.0.2.2", PAIR_SPI, 40, XESP_DROP_ESP_SHORT },
	};
	uint64_t rx;
	struct raw raw;
	uint8_t ip[60];

	must(raw_open(&raw, 0, true, NULL) == 0, "raw_open");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t before = stats()->drops[rows[i].drop];

		memset(ip, 0, sizeof(ip));
		ip[0] = 0x45;
		ip[8] = 64;
		ip[9] = IPPROTO_ESP;
		wire_put32(ip + 12, 0xc0000201);
		inet_pton(AF_INET, rows[i].to, ip + 16);
		wire_put32(ip + 20, rows[i].spi);
		must(raw_send(&raw, ip, rows[i].len) == 0, "raw_send");
		must(grows(&stats()->drops[rows[i].drop], before, 1), rows[i].what);
	}
	/* To an address that is no tunnel's: not ours to count. */
	rx = stats()->rx_packets;
	inet_pton(AF_INET, "192.0.2.3", ip + 16);
	wire_put32(ip + 20, 0x1000);
	must(raw_send(&raw, ip, 60) == 0, "raw_send");
	send_udp("10.2.0.9", 10, true); /* something behind it that is counted */
	must(grows(&stats()->rx_packets, rx, 1), "somebody else's ESP is left alone");
	raw_close(&raw);
}

/* More than the raw socket holds: the kernel drops, and says so with the next packet. */
static void flood_of_esp(void)
{
	const uint64_t no_sa = stats()->drops[XESP_DROP_NO_SA];
	const uint64_t full = stats()->drops[XESP_DROP_SLOW_PATH_FULL];
	const uint32_t many = 20000;
	uint64_t rx = stats()->rx_packets;
	uint8_t ip[60] = { 0x45, [8] = 64, [9] = IPPROTO_ESP };
	struct raw raw;

	must(raw_open(&raw, 0, true, NULL) == 0, "raw_open");
	wire_put32(ip + 12, 0xc0000201);
	wire_put32(ip + 16, 0xc0000202);
	wire_put32(ip + 20, 0x1000); /* no such SPI */
	for (uint32_t i = 0; i < many; i++)
		must(raw_send(&raw, ip, sizeof(ip)) == 0, "raw_send");
	do {
		rx = stats()->rx_packets;
		grows(&stats()->rx_packets, rx, 32);
	} while (stats()->rx_packets >= rx + 32);
	must(raw_send(&raw, ip, sizeof(ip)) == 0, "raw_send");
	must(grows(&stats()->rx_packets, stats()->rx_packets, 1), "one more");
	must(stats()->drops[XESP_DROP_SLOW_PATH_FULL] > full, "some did not fit");
	must(stats()->drops[XESP_DROP_NO_SA] - no_sa + stats()->drops[XESP_DROP_SLOW_PATH_FULL] -
		     full == many + 1, "each is counted once");
	raw_close(&raw);
}

/* ---- everything */

static void endpoint(const char *text)
{
	struct xesp_addr a;
	__u32 tunnel = 1;

	addr_parse(&a, text, NULL);
	maps_set(&pins, PINS_ENDPOINTS, &a, &tunnel);
}

static bool set_up(void)
{
	struct pair_opts o = { .outer6 = outer6 };
	struct xesp_sa_in_key key = { .spi = htonl(PAIR_SPI), .proto = IPPROTO_ESP };
	struct xesp_sa_in_val val = { .sa_id = PAIR_SA_IN, .tunnel = PAIR_TUNNEL_IN };
	struct slow_opts so = { .tun_name = "xesp0", .pins = &pins, .worker = PAIR_MAIN };
	struct fault f = { "" };

	if (!namespace_sh("for a in 10.1.0.2 192.0.2.1 192.0.2.2 192.0.2.3; do"
			  " ip addr add $a/32 dev lo || exit 1; done;"
			  "for a in 2001:db8::1 2001:db8::2; do"
			  " ip addr add $a/128 dev lo nodad || exit 1; done;"
			  "sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0"))
		return false;
	pair_open(&pair, &o);
	maps_open(&pins);
	addr_parse(&key.dst, outer6 ? "2001:db8::2" : "192.0.2.2", NULL);
	maps_set(&pins, PINS_SA_IN, &key, &val);
	endpoint("192.0.2.1");
	endpoint("192.0.2.2");
	endpoint("2001:db8::1");
	endpoint("2001:db8::2");
	base = event_base_new();
	if (fib_open(&fib, base, PAIR_WORKERS, &f))
		return fprintf(stderr, "%s\n", f.text) < 0;
	so.sad = pair.sad;
	so.fib = fib;
	so.esp = pair.w;
	if (slow_open(&slow, base, &so, &f))
		return fprintf(stderr, "%s\n", f.text) < 0;
	open_tap();
	return namespace_sh("ip route add 10.2.0.0/24 dev xesp0 src 10.1.0.2 &&"
			    "ip route add 10.3.0.0/24 dev xesp0 src 10.1.0.2");
}

static int everything(void)
{
	if (!set_up()) {
		fprintf(stderr, "slow: cannot set up\n");
		return 1;
	}
	policies();
	round_trip();
	fragments_before_the_tunnel();
	fragments_from_xesp0();
	too_big_for_the_tunnel();
	time_exceeded_through_the_tunnel();
	if (!outer6) {
		reassembled();
		strange_esp();
		flood_of_esp();
	}
	slow_close(slow);
	fib_close(fib);
	event_base_free(base);
	pair_close(&pair);
	maps_close(&pins);
	return wrong;
}

static void over_ip4(void)
{
	outer6 = false;
	CU_ASSERT_TRUE(namespace_run(everything));
}

static void over_ip6(void)
{
	outer6 = true;
	CU_ASSERT_TRUE(namespace_run(everything));
}

/* The route to the tunnel's far end leads into xesp0: no packet in a packet in a packet. */
static int loop(void)
{
	const struct maps_policy all = {
		"0.0.0.0/0", "0.0.0.0/0", PAIR_POLICY, PAIR_TUNNEL_OUT, XESP_ACTION_PROTECT, 0, 0, 0
	};

	if (!set_up() ||
	    !namespace_sh("ip addr del 192.0.2.2/32 dev lo && ip route add 192.0.2.2 dev xesp0"))
		return 1;
	maps_policy(&pins, 0, &all);
	maps_commit(&pins, 1, XESP_ACTION_DISCARD);
	send_udp("10.2.0.2", 10, true);
	must(grows(&stats()->drops[XESP_DROP_NO_ROUTE], 0, 1), "our own ESP came back: no-route");
	must(stats()->encap_packets == 1, "encapsulated once");
	slow_close(slow);
	fib_close(fib);
	event_base_free(base);
	pair_close(&pair);
	maps_close(&pins);
	return wrong;
}

static void route_into_itself(void)
{
	outer6 = false;
	CU_ASSERT_TRUE(namespace_run(loop));
}

/*
 * An inner host gives a source address that lies behind the ciphertext side, whose next hop is not
 * resolved: the error quotes what policy protects, and stays here. Seen by the kernel's ARP.
 */
static int sender_outside(void)
{
	struct xesp_iface iface = { .port = 7, .role = XESP_ROLE_INNER };
	uint64_t until = clock_ms() + WITHIN_MS;
	struct xesp_addr sender;
	struct frame f;
	struct pkt p;
	uint32_t port = 0;
	__u32 ifindex;

	if (!set_up() ||
	    !namespace_sh("ip link add out0 type veth peer name out1 && ip link set out0 up &&"
			  " ip link set out1 up arp off && ip addr add 198.51.100.1/24 dev out0 &&"
			  " ip route add 203.0.113.0/24 via 198.51.100.2"))
		return 1;
	ifindex = if_nametoindex("out0");
	addr_parse(&sender, "203.0.113.7", NULL);
	must(!fib_port_set(fib, ifindex, 7, XESP_ROLE_OUTER, NULL), "fib_port_set");
	while (!(fib_port_of(fib, &sender, &port) && port == 7) && clock_ms() < until) {
		struct timeval tv = { .tv_usec = 2000 };

		event_base_loopexit(base, &tv);
		event_base_dispatch(base);
	}
	must(port == 7, "the mirror has the route");

	p = pair_make(&f, 4, 100);
	memcpy(p.l3 + 12, "\xcb\0\x71\7", 4);
	pair_checksum(p.l3);
	p.drop = XESP_DROP_TTL_EXPIRED;
	p.policy = PAIR_POLICY;
	for (int role = XESP_ROLE_OUTER; role >= XESP_ROLE_INNER; role--) {
		uint64_t rx = stats()->rx_packets;

		iface.role = (__u32)role;
		maps_set(&pins, PINS_IFACES, &ifindex, &iface);
		slow_tell_sender(slow, &p);
		/* Something behind it that is counted. */
		send_udp("10.2.0.9", 10, true);
		must(grows(&stats()->rx_packets, rx, 1), "the error had its turn");
		must(namespace_sh("[ -%s \"$(ip neigh show 198.51.100.2)\" ]",
				  role == XESP_ROLE_OUTER ? "z" : "n"),
		     role == XESP_ROLE_OUTER ? "not told outside" : "told inside");
	}
	slow_close(slow);
	fib_close(fib);
	event_base_free(base);
	pair_close(&pair);
	maps_close(&pins);
	return wrong;
}

static void error_stays_inside(void)
{
	outer6 = false;
	CU_ASSERT_TRUE(namespace_run(sender_outside));
}

CU_TestInfo slow_tests[] = {
	{ "all ways in and out, outer IPv4", over_ip4 },
	{ "all ways in and out, outer IPv6", over_ip6 },
	{ "a tunnel routed into itself", route_into_itself },
	{ "an error about protected text does not leave outside", error_stays_inside },
	CU_TEST_INFO_NULL,
};
