/* SPDX-License-Identifier: BSD-2-Clause */
/* What XDP keeps of a dropped packet, xesp/dropped.h: who it was, under which reason; and what a flood leaves. */
#include <CUnit/Basic.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway.h"
#include "libxesp/addr.h"
#include "libxesp/drops.h"
#include "xesp/dropped.h"

#define G4 "192.0.2.1"
#define G6 "2001:db8:ffff::1"
#define PEER4 "198.51.100.2"
#define PEER6 "2001:db8:fffe::2"
#define SPI 0x10001

enum { P_NOT = 31, P_NET };

static const struct gateway_policy policies[] = {
	{ .id = P_NOT, .action = XESP_ACTION_DISCARD, .local = "10.1.0.0/16", .remote = "10.2.0.0/16", .proto = 6,
	  .remote_port = 7001 },
	{ .id = P_NET, .action = XESP_ACTION_PROTECT, .tunnel = 1, .local = "10.1.0.0/16", .remote = "10.2.0.0/16" },
};

static void set_up(struct gateway *g, const char *program)
{
	gateway_open(g, program);
	gateway_endpoint(g, G4);
	gateway_endpoint(g, G6);
	gateway_sa(g, G4, SPI, 21);
	gateway_policies(g, GATEWAY_GENERATION, policies, LEN(policies), XESP_ACTION_DISCARD);
}

static uint32_t records(const struct gateway *g, struct xesp_dropped *out, uint32_t room)
{
	struct xesp_dropped *values = calloc((size_t)g->cpus, sizeof(*values));
	uint32_t n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(values);
	for (__u32 at = 0; at < XESP_LAST_RECORDS; at++) {
		CU_ASSERT_EQUAL(bpf_map_lookup_elem(g->map[PINS_LAST_XDP], &at, values), 0);
		for (int cpu = 0; cpu < g->cpus; cpu++) {
			if (!values[cpu].number || n == room)
				continue;
			CU_ASSERT_EQUAL(values[cpu].number, values[cpu].check);
			CU_ASSERT_EQUAL(XESP_LAST_AT(values[cpu].reason, values[cpu].number), at);
			out[n++] = values[cpu];
		}
	}
	free(values);
	return n;
}

#define UDP4(...) { .src = "10.2.0.9", .dst = "10.1.0.5", .proto = 17, __VA_ARGS__ }

static const struct row {
	const char *what, *program;
	struct frame_spec frame;
	struct expect expect;
	uint32_t cut; /* 0: whole */
	struct xesp_dropped is; /* what is compared: all but times, addresses and numbers */
} rows[] = {
	{ "in clear though protected", "xdp_outer", UDP4(.sport = 53, .dport = 1024),
	  { XDP_DROP, XESP_DROP_CLEAR_PROTECTED, P_NET }, 0,
	  { .policy = P_NET, .family = 4, .proto = 17, .fields = 1, .sport = 53, .dport = 1024, .way = XESP_DROPPED_CLEAR } },
	{ "no policy, IPv6", "xdp_outer", { .src = PEER6, .dst = "2001:db8::9", .proto = 58, .icmp_type = 128, .icmp_code = 0 },
	  { XDP_DROP, XESP_DROP_NO_POLICY, 0 }, 0,
	  { .family = 6, .proto = 58, .fields = 1, .sport = 128, .dport = 0, .way = XESP_DROPPED_CLEAR } },
	{ "no SA", "xdp_outer", { .src = PEER4, .dst = G4, .proto = 50, .spi = 0xdeadbeef }, { XDP_DROP, XESP_DROP_NO_SA, 0 }, 0,
	  { .family = 4, .proto = 50, .spi = 0xdeadbeef, .way = XESP_DROPPED_INBOUND } },
	{ "no SA, IPv6 behind options", "xdp_outer", { .src = PEER6, .dst = G6, .proto = 50, .spi = 0x777, .ext = { 60, 0 }, .ext_n = 1,
	  .vlans = 1 }, { XDP_DROP, XESP_DROP_NO_SA, 0 }, 0,
	  { .family = 6, .proto = 50, .spi = 0x777, .way = XESP_DROPPED_INBOUND } },
	{ "no worker", "xdp_outer", { .src = PEER4, .dst = G4, .proto = 50, .spi = SPI }, { XDP_DROP, XESP_DROP_NO_WORKER, 0 }, 0,
	  { .family = 4, .proto = 50, .spi = SPI, .way = XESP_DROPPED_INBOUND } },
	{ "discarded", "xdp_inner", { .src = "10.1.0.5", .dst = "10.2.0.9", .proto = 6, .sport = 1024, .dport = 7001 },
	  { XDP_DROP, XESP_DROP_DISCARD, P_NOT }, 0,
	  { .policy = P_NOT, .family = 4, .proto = 6, .fields = 1, .sport = 1024, .dport = 7001, .way = XESP_DROPPED_CLEAR } },
	{ "a later fragment shows no ports", "xdp_inner", { .src = "10.1.0.5", .dst = "10.3.0.9", .proto = 17, .fragment = LAST },
	  { XDP_DROP, XESP_DROP_NO_POLICY, 0 }, 0, { .family = 4, .proto = 17, .way = XESP_DROPPED_CLEAR } },
	{ "cut within its Ethernet header", "xdp_inner", UDP4(.sport = 1), { XDP_DROP, XESP_DROP_MALFORMED_ETH, 0 }, 0,
	  { .family = 0, .way = XESP_DROPPED_CLEAR } },
};

static bool same(const struct row *r, const struct frame *f, const struct xesp_dropped *d)
{
	const struct xesp_dropped *want = &r->is;
	struct xesp_addr src, dst;
	uint32_t seq;

	if (d->reason != r->expect.why || d->policy != want->policy || d->family != want->family || d->proto != want->proto ||
	    d->fields != want->fields || d->way != want->way || ntohl(d->spi) != want->spi || d->ifindex != 1 || d->queue ||
	    (want->fields && (ntohs(d->sport) != want->sport || ntohs(d->dport) != want->dport)))
		return false;
	if (!want->family)
		return !d->len;
	CU_ASSERT_EQUAL(addr_parse(&src, r->frame.src, NULL), 0);
	CU_ASSERT_EQUAL(addr_parse(&dst, r->frame.dst, NULL), 0);
	memcpy(&seq, f->bytes + f->l4_off + 4, sizeof(seq));
	return addr_equal(&src, &d->src) && addr_equal(&dst, &d->dst) && d->len == f->l3_len &&
	       d->seq == (want->spi ? ntohl(seq) : 0) && d->number == 1 && d->time_ns;
}

static void who_was_dropped(void)
{
	for (size_t i = 0; i < LEN(rows); i++) {
		struct xesp_dropped d[2];
		struct gateway g;
		struct frame f;
		uint32_t n;

		set_up(&g, rows[i].program);
		if (rows[i].expect.why == XESP_DROP_NO_WORKER)
			gateway_iface(&g, 1, GATEWAY_PORT);
		frame_build(&f, &rows[i].frame);
		if (rows[i].expect.why == XESP_DROP_MALFORMED_ETH) { /* tags to the end of the shortest frame that the kernel runs */
			f.bytes[12] = 0x81;
			f.bytes[13] = 0;
			CU_ASSERT(gateway_expect(&g, rows[i].what, &f, 14, &rows[i].expect));
		} else {
			CU_ASSERT(gateway_expect(&g, rows[i].what, &f, f.len, &rows[i].expect));
		}
		n = records(&g, d, 2);
		if (n != 1 || !same(&rows[i], &f, d))
			fprintf(stderr, "last: %s: %u records, of %s, family %u protocol %u length %u\n", rows[i].what, n,
				n ? drops_name((enum xesp_drop)d->reason) : "-", n ? d->family : 0, n ? d->proto : 0, n ? d->len : 0);
		CU_ASSERT_EQUAL(n, 1);
		CU_ASSERT(n && same(&rows[i], &f, d));
		gateway_close(&g);
	}
}

/* A flood keeps to its own places, and all that is there is whole and of it; another reason's packet is still there. */
static void a_flood_keeps_to_its_places(void)
{
	const struct expect no_sa = { XDP_DROP, XESP_DROP_NO_SA, 0 }, no_policy = { XDP_DROP, XESP_DROP_NO_POLICY, 0 };
	const struct frame_spec esp = { .src = PEER4, .dst = G4, .proto = 50, .spi = 0xdeadbeef };
	const struct frame_spec clear = { .src = PEER4, .dst = "10.77.0.1", .proto = 17 };
	static struct xesp_dropped d[XESP_LAST * 64 + 2];
	uint32_t n, of_the_one = 0;
	struct gateway g;
	struct frame f;

	set_up(&g, "xdp_outer");
	frame_build(&f, &esp);
	CU_ASSERT(gateway_expect(&g, "one", &f, f.len, &no_sa));
	frame_build(&f, &clear);
	for (int i = 0; i < 300; i++)
		CU_ASSERT(gateway_expect(&g, "flood", &f, f.len, &no_policy));
	n = records(&g, d, (uint32_t)LEN(d));
	CU_ASSERT(n > XESP_LAST && n <= XESP_LAST * (uint32_t)g.cpus + 1);
	for (uint32_t i = 0; i < n; i++)
		of_the_one += d[i].reason == XESP_DROP_NO_SA;
	CU_ASSERT_EQUAL(of_the_one, 1);
	gateway_close(&g);
}

CU_TestInfo last_drops_tests[] = {
	{ "who was dropped, row by row", who_was_dropped },
	{ "a flood keeps to its places", a_flood_keeps_to_its_places },
	CU_TEST_INFO_NULL,
};
