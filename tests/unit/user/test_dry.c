/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_dry.c - what a dry run says of a packet is what encapsulation then does with it, and the dry run itself leaves
 * no trace: no number taken, nothing counted, nobody asked.
 */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "esp/dry.h"
#include "libxesp/drops.h"
#include "sad/lifetime.h"
#include "sad/sa.h"
#include "tests/pair/pair.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct dry dry_of(struct pair *p, struct frame *f, struct pkt *pkt)
{
	struct dry d = { .ip = pkt->l3, .len = pkt->len, .id = pkt->id, .policy = pkt->policy, .own = pkt->local };

	(void)f;
	CU_ASSERT_EQUAL_FATAL(dry_run(p->w, &d), 0);
	return d;
}

static const struct {
	const char *what;
	struct pair_opts o;
	int version;
	uint32_t len;
	uint32_t tunnel;       /* 0: PAIR_TUNNEL_OUT */
	uint32_t sent;         /* numbers used up before */
	uint64_t hard_packets; /* 0 none */
	uint8_t ttl;           /* 0: as made */
	enum xesp_drop why;
} rows[] = {
	{ .what = "it goes", .version = 4, .len = 100, .why = XESP_DROP_NONE },
	{ .what = "IPv6 in IPv6 goes", .o = { .outer6 = true }, .version = 6, .len = 100, .why = XESP_DROP_NONE },
	{ .what = "with ESN", .o = { .esn = true }, .version = 4, .len = 100, .why = XESP_DROP_NONE },
	{ .what = "the largest that fits", .version = 4, .len = 1446, .why = XESP_DROP_NONE },
	{ .what = "a byte more", .version = 4, .len = 1447, .why = XESP_DROP_TOO_BIG },
	{ .what = "IPv6 of 1280 bytes is cut behind", .o = { .mtu = 1280 }, .version = 6, .len = 1280, .why = XESP_DROP_NONE },
	{ .what = "no such tunnel", .version = 4, .len = 100, .tunnel = 9, .why = XESP_DROP_NO_SA_OUT },
	{ .what = "a tunnel that only receives", .version = 4, .len = 100, .tunnel = PAIR_TUNNEL_IN, .why = XESP_DROP_NO_SA_OUT },
	{ .what = "the lease's last number", .o = { .lease = 3 }, .version = 4, .len = 100, .sent = 2, .why = XESP_DROP_NONE },
	{ .what = "behind the lease", .o = { .lease = 3 }, .version = 4, .len = 100, .sent = 3, .why = XESP_DROP_NO_LEASE },
	{ .what = "the last packet of its life", .version = 4, .len = 100, .sent = 2, .hard_packets = 3, .why = XESP_DROP_NONE },
	{ .what = "one beyond", .version = 4, .len = 100, .sent = 3, .hard_packets = 3, .why = XESP_DROP_LIFETIME },
	{ .what = "TTL used up", .version = 4, .len = 100, .ttl = 1, .why = XESP_DROP_TTL_EXPIRED },
	{ .what = "AH", .o = { .ah = true, .auth = XESP_AUTH_HMAC_SHA2_256_128 }, .version = 4, .len = 100, .why = XESP_DROP_NONE },
	{ .what = "transport mode is for this machine's own", .o = { .mode = XESP_MODE_TRANSPORT }, .version = 4, .len = 100,
	  .why = XESP_DROP_NOT_OWN },
};

static void make(struct pkt *pkt, struct frame *f, size_t i)
{
	*pkt = pair_make(f, rows[i].version, rows[i].len);
	if (rows[i].version == 4) {
		pkt->l3[6] = 0x40; /* DF */
		if (rows[i].ttl)
			pkt->l3[8] = rows[i].ttl;
		pair_checksum(pkt->l3);
	}
	pkt->id = rows[i].tunnel ? rows[i].tunnel : PAIR_TUNNEL_OUT;
	pkt->policy = PAIR_POLICY;
}

static uint64_t all_counted(const struct pair *p)
{
	const __u64 *row = (const __u64 *)&p->st.worker[PAIR_MAIN];
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(p->st.worker[0]) / sizeof(*row); i++)
		sum += row[i];
	for (size_t i = 0; i < XESP_DROP_SLOTS; i++)
		sum += p->st.policy[PAIR_POLICY].by_reason[i];
	return sum;
}

static void dry_is_what_happens(void)
{
	static struct frame f;

	for (size_t i = 0; i < LEN(rows); i++) {
		struct xesp_sa_state before;
		uint64_t counted;
		struct pair p;
		struct pkt pkt;
		struct dry d;

		pair_open(&p, &rows[i].o);
		if (rows[i].hard_packets) {
			p.out.hard_packets = rows[i].hard_packets;
			CU_ASSERT_EQUAL(sad_add(p.sad, &p.out, NULL), 0);
		}
		for (uint32_t n = 0; n < rows[i].sent; n++) {
			make(&pkt, &f, i);
			CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		}
		make(&pkt, &f, i);
		before = p.st.sa[PAIR_SA_OUT];
		counted = all_counted(&p);
		d = dry_of(&p, &f, &pkt);
		CU_ASSERT_EQUAL(memcmp(&before, &p.st.sa[PAIR_SA_OUT], sizeof(before)), 0);
		CU_ASSERT_EQUAL(all_counted(&p), counted);
		if (d.why != rows[i].why)
			fprintf(stderr, "dry: %s: %s\n", rows[i].what, d.why ? drops_name(d.why) : "goes");
		CU_ASSERT_EQUAL(d.why, rows[i].why);
		if (d.sa) {
			CU_ASSERT_EQUAL(d.sa, PAIR_SA_OUT);
			CU_ASSERT_EQUAL(d.spi, PAIR_SPI);
			CU_ASSERT_EQUAL(d.next, rows[i].sent + 1);
		}
		/* And now it is sent. */
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), rows[i].why);
		if (!pkt.drop)
			CU_ASSERT_EQUAL(pkt.len, d.outer_len);
		CU_ASSERT_EQUAL(pkt.drop == XESP_DROP_NONE && pkt.mtu, d.cut_after);
		pair_close(&p);
	}
}

/* Of a group the tunnel that the flow takes, flow by flow. */
static void dry_picks_as_flows_do(void)
{
	const struct xesp_keymsg_group g = { .id = 20, .n = 2, .member = { PAIR_TUNNEL_OUT, 3 }, .name = "g" };
	static const struct pair_opts o;
	static struct frame f;
	uint32_t seen[2] = { 0 };
	struct pair p;

	pair_open(&p, &o);
	p.tunnel_out.id = 3;
	p.tunnel_out.sa_out = 5;
	p.out.id = 5;
	p.out.tunnel = 3;
	p.out.spi = PAIR_SPI + 1;
	pair_identify(&p, &p.out, 0, 0);
	CU_ASSERT_EQUAL_FATAL(sad_tunnel_set(p.sad, &p.tunnel_out, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(sad_add(p.sad, &p.out, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(sad_group_set(p.sad, &g, NULL), 0);
	for (uint8_t port = 0; port < 64; port++) {
		struct pkt pkt = pair_make(&f, 4, 100);
		struct dry d;

		pkt.l3[20] = port;
		pkt.id = g.id;
		d = dry_of(&p, &f, &pkt);
		CU_ASSERT_EQUAL(d.why, XESP_DROP_NONE);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		CU_ASSERT_EQUAL(pkt.id, d.tunnel);
		CU_ASSERT_EQUAL(pkt.sa->id, d.sa);
		seen[d.tunnel == 3]++;
	}
	CU_ASSERT(seen[0] && seen[1]);
	pair_close(&p);
}

CU_TestInfo dry_tests[] = {
	{ "a dry run says what then happens, and leaves no trace", dry_is_what_happens },
	{ "of a group it names the flow's tunnel", dry_picks_as_flows_do },
	CU_TEST_INFO_NULL,
};
