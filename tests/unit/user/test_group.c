/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several tunnels to one place: which of them a flow takes, whose flows move when one goes, and
 * that the order of a flow is kept.
 */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "esp/flow.h"
#include "esp/inner.h"
#include "esp/wire.h"
#include "sad/group.h"
#include "sad/tunnel.h"
#include "tests/pair/pair.h"
#include "xesp/fault.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define GROUP 20
#define OTHER_TUNNEL 3 /* beside PAIR_TUNNEL_OUT; its SA is OTHER_SA */
#define OTHER_SA 5
#define OTHER_SPI 0x0badcafe

static const struct pair_opts defaults;

static struct xesp_keymsg_group group_of(uint32_t n, const uint32_t *members)
{
	struct xesp_keymsg_group m = { .id = GROUP, .n = n, .name = "both" };

	memcpy(m.member, members, n * sizeof(*members));
	return m;
}

static void open_groups(struct groups *gs, struct epoch *e)
{
	CU_ASSERT_EQUAL_FATAL(epoch_init(e, 1), 0);
	CU_ASSERT_EQUAL_FATAL(groups_init(gs, e, 64), 0);
}

static void close_groups(struct groups *gs, struct epoch *e)
{
	epoch_fini(e);
	groups_fini(gs);
}

static void take_buckets(const struct groups *gs, uint32_t picked[GROUP_BUCKETS])
{
	const struct group *g = groups_find(gs, GROUP);

	CU_ASSERT_PTR_NOT_NULL_FATAL(g);
	for (uint32_t b = 0; b < GROUP_BUCKETS; b++)
		picked[b] = group_pick(g, b, 0);
}

static const struct {
	const char *said;
	uint32_t id, n, member[3];
} refused[] = {
	{ "0 tunnels", GROUP, 0, { 1 } },
	{ "17 tunnels", GROUP, 17, { 1 } },
	{ "tunnel id 0", GROUP, 2, { 1, 0 } },
	{ "tunnel id 64", GROUP, 2, { 1, 64 } },
	{ "tunnel id 20", GROUP, 2, { 1, GROUP } },
	{ "there twice", GROUP, 3, { 1, 2, 1 } },
	{ "id 0; 1 to 63", 0, 1, { 1 } },
	{ "id 64; 1 to 63", 64, 1, { 1 } },
};

static void refuses(void)
{
	struct groups gs;
	struct epoch e;

	open_groups(&gs, &e);
	for (size_t i = 0; i < LEN(refused); i++) {
		struct xesp_keymsg_group m = { .id = refused[i].id, .n = refused[i].n, .name = "g" };
		struct fault f = { "" };

		memcpy(m.member, refused[i].member, sizeof(refused[i].member));
		CU_ASSERT_EQUAL(groups_set(&gs, &m, 1, &f), -EINVAL);
		if (!strstr(f.text, refused[i].said))
			fprintf(stderr, "%s: '%s'\n", refused[i].said, f.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(f.text, refused[i].said));
		CU_ASSERT_PTR_NULL(groups_find(&gs, refused[i].id));
	}
	close_groups(&gs, &e);
}

/* Of n tunnels one goes down: only its buckets move, to all of the others; then it comes back. */
static void moves_little(void)
{
	for (uint32_t n = 2; n <= XESP_GROUP_MAX; n++) {
		uint32_t members[XESP_GROUP_MAX], before[GROUP_BUCKETS], during[GROUP_BUCKETS];
		uint32_t share[64] = { 0 }, gained[64] = { 0 }, after[GROUP_BUCKETS];
		struct xesp_keymsg_group m;
		struct groups gs;
		struct epoch e;

		for (uint32_t i = 0; i < n; i++)
			members[i] = i + 1;
		m = group_of(n, members);
		open_groups(&gs, &e);
		CU_ASSERT_EQUAL_FATAL(groups_set(&gs, &m, 1, NULL), 0);
		take_buckets(&gs, before);
		CU_ASSERT_EQUAL(groups_tunnel_down(&gs, 2, true, NULL), 0);
		take_buckets(&gs, during);
		for (uint32_t b = 0; b < GROUP_BUCKETS; b++) {
			share[before[b]]++;
			CU_ASSERT_NOT_EQUAL(during[b], 2);
			if (before[b] != 2)
				CU_ASSERT_EQUAL(during[b], before[b]);
			gained[during[b]] += before[b] == 2;
		}
		for (uint32_t i = 1; i <= n; i++) {
			/* Half to twice an equal share: 256 buckets are not many for 16. */
			if (share[i] * n < GROUP_BUCKETS / 2 || share[i] * n > GROUP_BUCKETS * 2)
				fprintf(stderr, "tunnel %u of %u: %u buckets\n", i, n, share[i]);
			CU_ASSERT_TRUE(share[i] * n >= GROUP_BUCKETS / 2 &&
				       share[i] * n <= GROUP_BUCKETS * 2);
			if (i != 2 && n <= 4)
				CU_ASSERT_TRUE(gained[i] > 0);
		}
		CU_ASSERT_EQUAL(groups_tunnel_down(&gs, 2, false, NULL), 0);
		take_buckets(&gs, after);
		CU_ASSERT_EQUAL(memcmp(before, after, sizeof(before)), 0);
		close_groups(&gs, &e);
	}
}

static void all_down_is_none_down(void)
{
	const uint32_t members[] = { 1, 2, 3 };
	struct xesp_keymsg_group m = group_of(3, members);
	uint32_t before[GROUP_BUCKETS], after[GROUP_BUCKETS];
	struct groups gs;
	struct epoch e;

	open_groups(&gs, &e);
	CU_ASSERT_EQUAL_FATAL(groups_set(&gs, &m, 1, NULL), 0);
	take_buckets(&gs, before);
	for (uint32_t i = 1; i <= 3; i++)
		CU_ASSERT_EQUAL(groups_tunnel_down(&gs, i, true, NULL), 0);
	take_buckets(&gs, after);
	CU_ASSERT_EQUAL(memcmp(before, after, sizeof(before)), 0);
	CU_ASSERT_TRUE(groups_tunnel_is_down(&gs, 2));
	close_groups(&gs, &e);
}

static void sweeps(void)
{
	const uint32_t members[] = { 1 };
	struct xesp_keymsg_group m = group_of(1, members);
	struct groups gs;
	struct epoch e;

	open_groups(&gs, &e);
	CU_ASSERT_EQUAL_FATAL(groups_set(&gs, &m, 1, NULL), 0);
	groups_sweep(&gs, 1);
	CU_ASSERT_PTR_NOT_NULL(groups_find(&gs, GROUP));
	groups_sweep(&gs, 2);
	CU_ASSERT_PTR_NULL(groups_find(&gs, GROUP));
	CU_ASSERT_FALSE(groups_del(&gs, GROUP));
	close_groups(&gs, &e);
}

/* ---- what is one flow */

enum change { SAME, PAYLOAD, SPORT, DPORT, SRC, DST, FIRST_FRAGMENT, LATER_FRAGMENT };

static uint32_t hash_of(int version, enum change c)
{
	struct frame f;
	struct pkt p = pair_make(&f, version, 400);
	uint8_t *ip = p.l3, *l4 = ip + (version == 4 ? 20 : 48);
	struct inner in;

	if (version == 6) { /* a fragment header, whole unless said otherwise (RFC 6946) */
		memmove(ip + 48, ip + 40, 8);
		memset(ip + 40, 0, 8);
		ip[40] = ip[6];
		ip[6] = 44;
	}
	switch (c) {
	case SAME: break;
	case PAYLOAD: l4[30] ^= 1; break;
	case SPORT: l4[1] ^= 1; break;
	case DPORT: l4[3] ^= 1; break;
	case SRC: ip[version == 4 ? 15 : 23] ^= 1; break;
	case DST: ip[version == 4 ? 19 : 39] ^= 1; break;
	case FIRST_FRAGMENT: ip[version == 4 ? 6 : 43] |= version == 4 ? 0x20 : 1; break;
	case LATER_FRAGMENT: ip[version == 4 ? 7 : 43] |= 8; break;
	}
	if (version == 4)
		pair_checksum(ip);
	CU_ASSERT_TRUE_FATAL(inner_parse(&in, ip, p.len));
	return flow_hash(ip, &in);
}

static void knows_flows(void)
{
	CU_ASSERT_EQUAL(hash_of(4, SAME), hash_of(4, PAYLOAD));
	for (int c = SPORT; c <= DST; c++)
		CU_ASSERT_NOT_EQUAL(hash_of(4, SAME), hash_of(4, (enum change)c));
	for (int c = SRC; c <= DST; c++)
		CU_ASSERT_NOT_EQUAL(hash_of(6, SAME), hash_of(6, (enum change)c));
	/* All fragments of a datagram take one tunnel, though the later ones have no ports. */
	for (int v = 4; v <= 6; v += 2)
		CU_ASSERT_EQUAL(hash_of(v, FIRST_FRAGMENT), hash_of(v, LATER_FRAGMENT));
}

/* ---- through esp_encap() */

static void open_two(struct pair *p)
{
	const uint32_t members[] = { PAIR_TUNNEL_OUT, OTHER_TUNNEL };
	struct xesp_keymsg_group m = group_of(2, members);
	struct xesp_keymsg_tunnel t;
	struct xesp_keymsg_sa sa;

	pair_open(p, &defaults);
	t = p->tunnel_out;
	t.id = OTHER_TUNNEL;
	t.sa_out = OTHER_SA;
	sa = p->out;
	sa.id = OTHER_SA;
	sa.tunnel = OTHER_TUNNEL;
	sa.spi = htobe32(OTHER_SPI);
	sa.key[0] ^= 1;
	pair_identify(p, &sa, 0, 0);
	CU_ASSERT_EQUAL_FATAL(sad_tunnel_set(p->sad, &t, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(sad_add(p->sad, &sa, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(sad_group_set(p->sad, &m, NULL), 0);
}

/* The SPI that a packet from this source port leaves under, 0 when it is dropped. */
static uint32_t sent_under(struct pair *p, uint16_t sport)
{
	struct frame f;
	struct pkt pkt = pair_make(&f, 4, 200);

	wire_put16(pkt.l3 + 20, sport);
	pkt.id = GROUP;
	if (pair_encap(p, &pkt))
		return 0;
	return wire_get32(pkt.l3 + pkt.l4_off);
}

static uint32_t count_under(struct pair *p, uint32_t spi)
{
	uint32_t n = 0;

	for (uint16_t port = 1; port <= 256; port++)
		n += sent_under(p, port) == spi;
	return n;
}

static void balances(void)
{
	struct pair p;
	uint32_t here;

	open_two(&p);
	here = count_under(&p, PAIR_SPI);
	CU_ASSERT_TRUE(here > 64 && here < 192);
	CU_ASSERT_EQUAL(count_under(&p, OTHER_SPI), 256 - here);
	for (uint16_t port = 1; port <= 64; port++)
		CU_ASSERT_EQUAL(sent_under(&p, port), sent_under(&p, port));

	/* A peer that does not answer: its flows take the other. */
	CU_ASSERT_EQUAL(sad_tunnel_down(p.sad, OTHER_TUNNEL, true, NULL), 0);
	CU_ASSERT_EQUAL(count_under(&p, PAIR_SPI), 256);
	CU_ASSERT_EQUAL(sad_tunnel_down(p.sad, OTHER_TUNNEL, false, NULL), 0);
	CU_ASSERT_EQUAL(count_under(&p, PAIR_SPI), here);

	/* An SA that is gone: the very next packet takes the other. */
	CU_ASSERT_EQUAL(sad_del(p.sad, OTHER_SA, NULL), 0);
	CU_ASSERT_EQUAL(count_under(&p, PAIR_SPI), 256);
	/* Both gone: dropped and counted, never sent otherwise. */
	CU_ASSERT_EQUAL(sad_del(p.sad, PAIR_SA_OUT, NULL), 0);
	CU_ASSERT_EQUAL(count_under(&p, 0), 256);
	CU_ASSERT_EQUAL(esp_worker_stats(p.w)->drops[XESP_DROP_NO_SA_OUT], 256);
	pair_close(&p);
}

/* An SA whose numbers are used up for good is as good as none. */
static void leaves_a_spent_sa(void)
{
	struct pair p;

	open_two(&p);
	p.st.sa[OTHER_SA].seq_next = UINT64_C(0x100000000);
	p.st.sa[OTHER_SA].lease_end = 0xffffffff;
	CU_ASSERT_EQUAL(count_under(&p, PAIR_SPI), 256);
	pair_close(&p);
}

/* A member that does not exist (yet) is passed over; a deleted group sends nothing. */
static void unknown_members(void)
{
	const uint32_t members[] = { 9, PAIR_TUNNEL_OUT };
	struct xesp_keymsg_group m = group_of(2, members);
	struct pair p;

	pair_open(&p, &defaults);
	CU_ASSERT_EQUAL(sad_group_set(p.sad, &m, NULL), 0);
	CU_ASSERT_EQUAL(count_under(&p, PAIR_SPI), 256);
	CU_ASSERT_EQUAL(sad_tunnel_del(p.sad, GROUP, NULL), 0);
	CU_ASSERT_EQUAL(sad_tunnel_del(p.sad, GROUP, NULL), -ENOENT);
	CU_ASSERT_EQUAL(count_under(&p, 0), 256);
	pair_close(&p);
}

CU_TestInfo group_tests[] = {
	{ "group: messages that are refused", refuses },
	{ "group: a tunnel that goes moves only its flows", moves_little },
	{ "group: when all are down none is", all_down_is_none_down },
	{ "group: one that a synchronisation does not name goes", sweeps },
	{ "flow: what belongs to one", knows_flows },
	{ "group: flows are spread, and moved from the dead", balances },
	{ "group: a spent SA is left", leaves_a_spent_sa },
	{ "group: members that do not exist", unknown_members },
	CU_TEST_INFO_NULL,
};
