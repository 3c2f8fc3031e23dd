/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_xfrm_flags.c - flags, selectors and rarer attributes of states and policies: what of them is honoured, what
 * changes nothing, and what makes the kernel keep its SA. docs/ike.md has the table.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "keyd/compose.h"
#include "keyd/config.h"
#include "keyd/xfrm_entry.h"
#include "tests/unit/keyd/xfrm_world.h"

#define LOCAL XFRM_WORLD_LOCAL
#define PEER XFRM_WORLD_PEER
#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* By number, from newer kernels' linux/xfrm.h. */
#define SA_DIR 33
#define NAT_KEEPALIVE_INTERVAL 34
#define IPTFS_DROP_TIME 36
#define IPTFS_PKT_SIZE 41
#define UNKNOWN 42
#define MTIMER_THRESH 32

static void begin(struct xfrm_world_message *m, const char *src, const char *dst)
{
	xfrm_world_begin_state(m, src, dst, 0x1001);
	xfrm_world_put_aead(m, "rfc4106(gcm(aes))", 20, 128, 1);
	xfrm_world_put_esn(m, 0, 0, 64);
}

static struct xfrm_usersa_info *info_of(struct xfrm_world_message *m)
{
	return NLMSG_DATA(&m->h);
}

/* What a configuration of this one state says of its tunnel; NULL: it stays with the kernel. */
static const struct tunnel *tunnel_of(struct xfrm_world_message *m, struct config **c, char said[XFRM_REASON_MAX])
{
	struct xfrm_state_entry s;
	struct xfrm_tables t = { .states_n = 1, .states = &s };
	struct xfrm_unserved_list left_out = { 0 };

	CU_ASSERT_TRUE_FATAL(xfrm_entry_state(&m->h, &s));
	*c = xfrm_world_build(&t, &(struct xfrm_model_env){ 0 }, &left_out);
	snprintf(said, XFRM_REASON_MAX, "%.90s", left_out.n ? left_out.entry[0].reason : "");
	xfrm_unserved_fini(&left_out);
	return (*c)->sad.sas_n ? &(*c)->sad.tunnels[0] : NULL;
}

static void test_flags(void)
{
	static const struct {
		uint8_t flags;
		uint32_t extra;
		const char *said; /* NULL: served, with what follows */
		uint8_t df, ecn, dscp, dscp_in;
	} rows[] = {
		{ 0, 0, NULL, XESP_DF_COPY, XESP_ECN_NORMAL, XESP_DSCP_COPY, XESP_DSCP_IN_KEEP },
		{ XFRM_STATE_NOECN, 0, NULL, XESP_DF_COPY, XESP_ECN_COMPATIBILITY, XESP_DSCP_COPY, XESP_DSCP_IN_KEEP },
		{ XFRM_STATE_NOPMTUDISC, 0, NULL, XESP_DF_CLEAR, XESP_ECN_NORMAL, XESP_DSCP_COPY, XESP_DSCP_IN_KEEP },
		{ XFRM_STATE_DECAP_DSCP, 0, NULL, XESP_DF_COPY, XESP_ECN_NORMAL, XESP_DSCP_COPY, XESP_DSCP_IN_COPY },
		{ 0, XFRM_SA_XFLAG_DONT_ENCAP_DSCP, NULL, XESP_DF_COPY, XESP_ECN_NORMAL, XESP_DSCP_SET, XESP_DSCP_IN_KEEP },
		{ XFRM_STATE_WILDRECV | XFRM_STATE_ICMP | XFRM_STATE_AF_UNSPEC | XFRM_STATE_ALIGN4, 0, NULL, XESP_DF_COPY,
		  XESP_ECN_NORMAL, XESP_DSCP_COPY, XESP_DSCP_IN_KEEP },
		{ 0, XFRM_SA_XFLAG_OSEQ_MAY_WRAP, "oseq-may-wrap", 0, 0, 0, 0 },
		{ 0, 4, "extra flags 0x4", 0, 0, 0, 0 },
	};

	for (size_t i = 0; i < LEN(rows); i++)
		for (int out = 0; out < 2; out++) {
			struct xfrm_world_message m;
			char said[XFRM_REASON_MAX];
			const struct tunnel *t;
			struct config *c;

			begin(&m, out ? LOCAL : PEER, out ? PEER : LOCAL);
			info_of(&m)->flags |= rows[i].flags;
			xfrm_world_put(&m, XFRMA_SA_EXTRA_FLAGS, &rows[i].extra, sizeof(rows[i].extra));
			t = tunnel_of(&m, &c, said);
			CU_ASSERT_EQUAL(!t, rows[i].said != NULL);
			CU_ASSERT(!rows[i].said || strstr(said, rows[i].said));
			if (t && out)
				CU_ASSERT(t->df == rows[i].df && t->ecn == rows[i].ecn && t->marks.dscp == rows[i].dscp &&
					  !t->marks.dscp_value);
			if (t && !out)
				CU_ASSERT_EQUAL(t->marks.dscp_in, rows[i].dscp_in);
			config_free(c);
		}
}

/* The kernel's AH header over IPv4 is padded to 8 bytes without a flag, and RFC 4302's with it. */
static void test_ah(void)
{
	static const struct {
		uint16_t family;
		uint8_t flags;
		bool served;
	} rows[] = { { AF_INET, 0, false }, { AF_INET, XFRM_STATE_ALIGN4, true }, { AF_INET6, 0, true } };

	for (size_t i = 0; i < LEN(rows); i++) {
		struct xfrm_world_message m;
		struct xfrm_state_entry s;

		begin(&m, PEER, LOCAL);
		info_of(&m)->family = rows[i].family;
		info_of(&m)->id.proto = IPPROTO_AH;
		info_of(&m)->flags |= rows[i].flags;
		CU_ASSERT_TRUE(xfrm_entry_state(&m.h, &s));
		CU_ASSERT_EQUAL(!s.unserved[0], rows[i].served);
		CU_ASSERT(rows[i].served || strstr(s.unserved, "align4"));
	}
}

static void test_selectors(void)
{
	static const struct {
		uint8_t mode, src_len, dst_len, proto;
		const char *src, *dst;
		uint16_t port_mask;
		int ifindex;
		bool served;
	} rows[] = {
		{ XFRM_MODE_TUNNEL, 0, 0, 0, "0.0.0.0", "0.0.0.0", 0, 0, true },
		{ XFRM_MODE_TUNNEL, 24, 0, 0, "10.1.0.0", "0.0.0.0", 0, 0, false },
		{ XFRM_MODE_TUNNEL, 32, 32, 0, PEER, LOCAL, 0, 0, false },
		{ XFRM_MODE_TRANSPORT, 32, 32, 0, PEER, LOCAL, 0, 0, true }, /* strongSwan's */
		{ XFRM_MODE_TRANSPORT, 32, 0, 0, PEER, "0.0.0.0", 0, 0, true },
		{ XFRM_MODE_TRANSPORT, 32, 32, 0, PEER, PEER, 0, 0, false },
		{ XFRM_MODE_TRANSPORT, 24, 32, 0, PEER, LOCAL, 0, 0, false },
		{ XFRM_MODE_TRANSPORT, 32, 32, 17, PEER, LOCAL, 0, 0, false },
		{ XFRM_MODE_TUNNEL, 0, 0, 0, "0.0.0.0", "0.0.0.0", UINT16_MAX, 0, false },
		{ XFRM_MODE_TUNNEL, 0, 0, 0, "0.0.0.0", "0.0.0.0", 0, 3, false },
	};

	for (size_t i = 0; i < LEN(rows); i++) {
		struct xfrm_world_message m;
		struct xfrm_state_entry s;
		struct xfrm_selector *l;

		begin(&m, PEER, LOCAL);
		info_of(&m)->mode = rows[i].mode;
		l = &info_of(&m)->sel;
		l->family = AF_INET;
		l->prefixlen_s = rows[i].src_len;
		l->prefixlen_d = rows[i].dst_len;
		l->proto = rows[i].proto;
		l->saddr.a4 = inet_addr(rows[i].src);
		l->daddr.a4 = inet_addr(rows[i].dst);
		l->sport_mask = rows[i].port_mask;
		l->ifindex = rows[i].ifindex;
		CU_ASSERT_TRUE(xfrm_entry_state(&m.h, &s));
		CU_ASSERT_EQUAL(!s.unserved[0], rows[i].served);
		CU_ASSERT(rows[i].served || strstr(s.unserved, "selector"));
	}
}

/* None is passed over that would change what is done with a packet. */
static void test_attributes(void)
{
	static const struct {
		uint16_t type;
		const char *said; /* "": it changes nothing */
	} rows[] = {
		{ XFRMA_ETIMER_THRESH, "" },
		{ XFRMA_REPLAY_THRESH, "" },
		{ XFRMA_LASTUSED, "" },
		{ MTIMER_THRESH, "" },
		{ NAT_KEEPALIVE_INTERVAL, "" },
		{ XFRMA_COADDR, "" },
		{ XFRMA_TFCPAD, "tfcpad" },
		{ XFRMA_SET_MARK, "output-mark" },
		{ XFRMA_SEC_CTX, "security context" },
		{ IPTFS_DROP_TIME, "IP-TFS" },
		{ IPTFS_PKT_SIZE, "IP-TFS" },
		{ UNKNOWN, "attribute 42" },
		{ 4000, "attribute 4000" },
	};
	const uint32_t value[6] = { 5, 5, 5, 5, 5, 5 };

	for (size_t i = 0; i < LEN(rows); i++) {
		struct xfrm_world_message m;
		struct xfrm_state_entry s;

		begin(&m, PEER, LOCAL);
		xfrm_world_put(&m, rows[i].type, value, sizeof(value));
		CU_ASSERT_TRUE(xfrm_entry_state(&m.h, &s));
		if (!strstr(s.unserved, rows[i].said) || !rows[i].said[0] != !s.unserved[0]) {
			printf("  attribute %u: '%s', expected '%s'\n", rows[i].type, s.unserved, rows[i].said);
			CU_FAIL("another reason");
		}
	}
}

static void test_policies(void)
{
	const struct xfrm_user_offload device = { .ifindex = 3 };
	static const struct {
		uint8_t flags;
		uint16_t type; /* an attribute; 0 none */
		const char *said;
	} rows[] = {
		{ 0, 0, "" },
		{ XFRM_POLICY_LOCALOK | XFRM_POLICY_ICMP, 0, "" },
		{ 4, 0, "" }, /* XFRM_POLICY_CPU_ACQUIRE */
		{ 8, 0, "flags 0x8" },
		{ 0, XFRMA_OFFLOAD_DEV, "offloaded" },
		{ 0, XFRMA_SEC_CTX, "security context" },
		{ 0, UNKNOWN, "attribute 42" },
	};

	for (size_t i = 0; i < LEN(rows); i++) {
		struct xfrm_userpolicy_info u = { .sel = { .family = AF_INET }, .dir = XFRM_POLICY_OUT, .flags = rows[i].flags };
		struct xfrm_world_message m = { .h = { .nlmsg_type = XFRM_MSG_NEWPOLICY, .nlmsg_len = NLMSG_LENGTH(sizeof(u)) } };
		struct xfrm_policy_entry p;

		memcpy(NLMSG_DATA(&m.h), &u, sizeof(u));
		if (rows[i].type)
			xfrm_world_put(&m, rows[i].type, &device, sizeof(device));
		CU_ASSERT_TRUE(xfrm_entry_policy(&m.h, &p));
		CU_ASSERT_PTR_NOT_NULL(strstr(p.unserved, rows[i].said));
		CU_ASSERT_EQUAL(!rows[i].said[0], !p.unserved[0]);
	}
}

/* Of one tunnel some want the outer DSCP inside, and some do not: these are told apart by nobody but the kernel. */
static void test_inbound_ones_that_differ(void)
{
	struct xfrm_state_entry states[] = { xfrm_world_state(PEER, LOCAL, 0x2001, 5), xfrm_world_state(PEER, LOCAL, 0x2002, 6),
					     xfrm_world_state(PEER, LOCAL, 0x2003, 7) };
	struct xfrm_tables t = { .states_n = 3, .states = states };
	struct xfrm_unserved_list left_out = { 0 };
	struct config *c;

	states[0].decap_dscp = states[2].decap_dscp = true;
	c = xfrm_world_build(&t, &(struct xfrm_model_env){ 0 }, &left_out);
	CU_ASSERT_EQUAL(c->sad.sas_n, 2);
	CU_ASSERT_PTR_NULL(xfrm_world_find_spi(c, 0x2002));
	CU_ASSERT_EQUAL(left_out.n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(left_out.entry[0].reason, "decap-dscp"));
	config_free(c);
	xfrm_unserved_fini(&left_out);
}

CU_TestInfo xfrm_flags_tests[] = {
	{ "flags of states", test_flags },
	{ "AH over IPv4 wants flag align4", test_ah },
	{ "selectors of states", test_selectors },
	{ "attributes that are rare", test_attributes },
	{ "flags and attributes of policies", test_policies },
	{ "inbound SAs of one tunnel that differ", test_inbound_ones_that_differ },
	CU_TEST_INFO_NULL,
};
