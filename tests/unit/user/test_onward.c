/* SPDX-License-Identifier: BSD-2-Clause */
/* Where policy lets a packet go that came out of a tunnel: RFC 4301 section 5.2. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "esp/onward.h"
#include "sad/sa.h"
#include "tests/pair/pair.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define TO_XESP0 0 /* in place of a role */
#define FRAGMENT 0x2001 /* more of them, at 8 bytes: a later one */

static const struct pair_opts defaults;

/* The packet is pair_make()'s: 10.1.0.2 to 10.2.0.2, UDP; it came out of PAIR_TUNNEL_IN. */
static const struct list_row other = { .id = 11, .action = XESP_ACTION_PROTECT, .tunnel = PAIR_TUNNEL_OUT,
				       .local = "10.1.0.0/24", .remote = "10.2.0.0/24" };
static const struct list_row back = { .id = 12, .action = XESP_ACTION_PROTECT, .tunnel = PAIR_TUNNEL_IN,
				      .local = "10.1.0.0/24", .remote = "10.2.0.0/24" };
static const struct list_row bypass = { .id = 13, .action = XESP_ACTION_BYPASS, .remote = "10.2.0.0/24" };
static const struct list_row discard = { .id = 14, .action = XESP_ACTION_DISCARD, .remote = "10.2.0.0/24" };
static const struct list_row in_only = { .id = 15, .action = XESP_ACTION_PROTECT, .tunnel = PAIR_TUNNEL_OUT,
					 .in_only = true };
static const struct list_row udp_port = { .id = 16, .action = XESP_ACTION_PROTECT, .tunnel = PAIR_TUNNEL_OUT,
					  .proto = 17, .remote_port = 7, .has_remote = true };

static const struct {
	const char *what;
	const struct list_row *row; /* NULL: none, and the default is discard */
	uint8_t role;
	uint16_t frag;
	enum onward_to want;
	enum xesp_drop why;
	uint32_t tunnel; /* that it is given */
} rows[] = {
	{ "xesp0, another tunnel", &other, TO_XESP0, 0, ONWARD_PROTECT, 0, PAIR_TUNNEL_OUT },
	{ "xesp0, the same tunnel", &back, TO_XESP0, 0, ONWARD_PROTECT, 0, PAIR_TUNNEL_IN },
	{ "xesp0, bypass", &bypass, TO_XESP0, 0, ONWARD_CLEAR, 0, 0 },
	{ "xesp0, discard: the slow path counts it", &discard, TO_XESP0, 0, ONWARD_CLEAR, 0, 0 },
	{ "xesp0, no policy: the slow path counts it", NULL, TO_XESP0, 0, ONWARD_CLEAR, 0, 0 },
	{ "xesp0, a fragment: the slow path has the first one's verdict", &other, TO_XESP0, FRAGMENT, ONWARD_CLEAR, 0, 0 },
	{ "outer, another tunnel", &other, XESP_ROLE_OUTER, 0, ONWARD_PROTECT, 0, PAIR_TUNNEL_OUT },
	{ "outer, the same tunnel", &back, XESP_ROLE_OUTER, 0, ONWARD_PROTECT, 0, PAIR_TUNNEL_IN },
	{ "outer, bypass", &bypass, XESP_ROLE_OUTER, 0, ONWARD_CLEAR, 0, 0 },
	{ "outer, discard", &discard, XESP_ROLE_OUTER, 0, ONWARD_DROP, XESP_DROP_DISCARD, 0 },
	{ "outer, no policy", NULL, XESP_ROLE_OUTER, 0, ONWARD_DROP, XESP_DROP_NO_POLICY, 0 },
	{ "outer, a policy for what comes in", &in_only, XESP_ROLE_OUTER, 0, ONWARD_DROP, XESP_DROP_NO_POLICY, 0 },
	{ "outer, a fragment, any port", &other, XESP_ROLE_OUTER, FRAGMENT, ONWARD_PROTECT, 0, PAIR_TUNNEL_OUT },
	{ "outer, a fragment, ports decide", &udp_port, XESP_ROLE_OUTER, FRAGMENT, ONWARD_DROP,
	  XESP_DROP_FRAGMENT_UNKNOWN, 0 },
	{ "both, another tunnel", &other, XESP_ROLE_BOTH, 0, ONWARD_PROTECT, 0, PAIR_TUNNEL_OUT },
	{ "both, the same tunnel: the hosts' side", &back, XESP_ROLE_BOTH, 0, ONWARD_CLEAR, 0, 0 },
	{ "both, discard: the hosts' side", &discard, XESP_ROLE_BOTH, 0, ONWARD_CLEAR, 0, 0 },
	{ "both, no policy: the hosts' side", NULL, XESP_ROLE_BOTH, 0, ONWARD_CLEAR, 0, 0 },
};

static struct pkt came_in(struct pair *p, struct frame *f, uint16_t frag)
{
	struct pkt pkt = pair_make(f, 4, 60);

	pkt.l3[6] = (uint8_t)(frag >> 8);
	pkt.l3[7] = (uint8_t)frag;
	pair_checksum(pkt.l3);
	pkt.id = PAIR_SA_IN;
	pkt.policy = 0;
	pkt.sa = sad_find(p->sad, PAIR_SA_IN);
	return pkt;
}

static void policy_decides(void)
{
	static struct frame f;
	struct pair p;

	pair_open(&p, &defaults);
	for (uint32_t i = 0; i < LEN(rows); i++) {
		/* Twice: what is remembered is what was found. */
		list_commit(p.list, rows[i].row, rows[i].row ? 1 : 0, XESP_ACTION_DISCARD);
		for (int n = 0; n < 2; n++) {
			struct pkt pkt = came_in(&p, &f, rows[i].frag);
			uint8_t *const l3 = pkt.l3, *const head = pkt.head;
			enum xesp_drop why = XESP_DROP_NONE;
			enum onward_to to = onward_to(p.w, &pkt, !rows[i].role, rows[i].role, &why);

			if (to != rows[i].want)
				fprintf(stderr, "onward: %s: %d, %d\n", rows[i].what, to, why);
			CU_ASSERT_EQUAL(to, rows[i].want);
			if (to == ONWARD_DROP)
				CU_ASSERT_EQUAL(why, rows[i].why);
			if (to != ONWARD_PROTECT)
				continue;
			CU_ASSERT_EQUAL(pkt.id, rows[i].tunnel);
			CU_ASSERT_EQUAL(pkt.policy, rows[i].row->id);
			CU_ASSERT_PTR_NULL(pkt.sa);
			CU_ASSERT_TRUE(pkt.onward && pkt.l3 == l3 && pkt.head == head && pkt.len == 60);
		}
	}
	pair_close(&p);
}

CU_TestInfo onward_tests[] = {
	{ "where policy lets go what came out of a tunnel, row by row", policy_decides },
	CU_TEST_INFO_NULL,
};
