/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's XFRM tables as a source: messages row by row, cut off anywhere, and what tables mean.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/config.h"
#include "keyd/xfrm_entry.h"
#include "keyd/xfrm_lent.h"
#include "keyd/xfrm_model.h"
#include "keyd/xfrm_refused.h"
#include "libxesp/addr.h"
#include "tests/unit/keyd/xfrm_world.h"
#include "xesp/fault.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define LOCAL XFRM_WORLD_LOCAL
#define PEER XFRM_WORLD_PEER

/* ---- messages */

enum spoil { NOTHING, IF_ID, MARK, SET_MARK, SET_MARK_MASK, TFCPAD, OFFLOAD, IPTFS, TCP_ENCAP, AH_ONLY_COMP, NO_SPI, LONG_KEY };

static const struct {
	enum spoil spoil;
	const char *said;
} left[] = {
	{ NOTHING, "" },
	{ IF_ID, "if_id 5" },
	{ MARK, "mark 0x10" },
	{ SET_MARK, "output-mark 0x5" },
	{ SET_MARK_MASK, "output-mark 0x0" },
	{ TFCPAD, "padding to 5 bytes" },
	{ OFFLOAD, "offloaded" },
	{ IPTFS, "IP-TFS" },
	{ TCP_ENCAP, "encapsulation of type 7" },
	{ AH_ONLY_COMP, "IP protocol 108" },
	{ NO_SPI, "not negotiated" },
	{ LONG_KEY, "odd length" },
};

static void spoil(struct xfrm_world_message *m, enum spoil what)
{
	struct xfrm_usersa_info *i = NLMSG_DATA(&m->h);
	const struct xfrm_encap_tmpl tcp = { .encap_type = 7 };
	const struct xfrm_mark mark = { .v = 0x10, .m = 0xff };
	const struct xfrm_user_offload offload = { .ifindex = 3 };
	const uint32_t if_id = 5;

	switch (what) {
	case NOTHING: break;
	case IF_ID: xfrm_world_put(m, XFRMA_IF_ID, &if_id, sizeof(if_id)); break;
	case MARK: xfrm_world_put(m, XFRMA_MARK, &mark, sizeof(mark)); break;
	case SET_MARK: xfrm_world_put(m, XFRMA_SET_MARK, &if_id, sizeof(if_id)); break;
	case SET_MARK_MASK: xfrm_world_put(m, XFRMA_SET_MARK_MASK, &if_id, sizeof(if_id)); break;
	case TFCPAD: xfrm_world_put(m, XFRMA_TFCPAD, &if_id, sizeof(if_id)); break;
	case OFFLOAD: xfrm_world_put(m, XFRMA_OFFLOAD_DEV, &offload, sizeof(offload)); break;
	case IPTFS: i->mode = 5; break;
	case TCP_ENCAP: xfrm_world_put(m, XFRMA_ENCAP, &tcp, sizeof(tcp)); break;
	case AH_ONLY_COMP: i->id.proto = IPPROTO_COMP; break;
	case NO_SPI: i->id.spi = 0; break;
	case LONG_KEY: xfrm_world_put_aead(m, "rfc4106(gcm(aes))", 20, 128, 1); break;
	}
}

static void states_row_by_row(void)
{
	for (size_t i = 0; i < LEN(left); i++) {
		struct xfrm_state_entry s;
		struct xfrm_world_message m;

		xfrm_world_begin_state(&m, LOCAL, PEER, 0xc0000001);
		if (left[i].spoil != LONG_KEY)
			xfrm_world_put_aead(&m, "rfc4106(gcm(aes))", 20, 128, 1);
		xfrm_world_put_esn(&m, 0x100000005, 0x200000007, 128);
		spoil(&m, left[i].spoil);
		if (left[i].spoil == LONG_KEY) { /* claims more key than the attribute has */
			struct nlattr *a = (struct nlattr *)(m.bytes + m.h.nlmsg_len) - 1;

			(void)a;
			for (size_t k = 0; k + 4 < m.h.nlmsg_len; k++)
				if (!strcmp((char *)m.bytes + k, "rfc4106(gcm(aes))"))
					((struct xfrm_algo_aead *)(m.bytes + k))->alg_key_len = 161 * 8;
		}
		CU_ASSERT_TRUE(xfrm_entry_state(&m.h, &s));
		if (!strstr(s.unserved, left[i].said) || !left[i].said[0] != !s.unserved[0])
			fprintf(stderr, "xfrm: '%s', expected '%s'\n", s.unserved, left[i].said);
		CU_ASSERT_PTR_NOT_NULL(strstr(s.unserved, left[i].said));
		CU_ASSERT_EQUAL(!left[i].said[0], !s.unserved[0]);
		CU_ASSERT_EQUAL(s.oseq, 0x100000005);
		CU_ASSERT_EQUAL(s.seq, 0x200000007);
		CU_ASSERT_EQUAL(s.window, 128);
	}
}

/* Any length, and each byte altered: read without a step outside, which ASan watches. */
static void cut_and_altered(void)
{
	struct xfrm_policy_entry p;
	struct xfrm_state_entry s;
	struct xfrm_world_message m;

	xfrm_world_begin_state(&m, LOCAL, PEER, 0xc0000001);
	xfrm_world_put_aead(&m, "rfc4106(gcm(aes))", 20, 128, 1);
	xfrm_world_put_esn(&m, 1, 2, 64);
	for (uint32_t len = sizeof(m.h); len <= m.h.nlmsg_len; len++) {
		struct nlmsghdr *cut = malloc(len);

		memcpy(cut, &m, len);
		cut->nlmsg_len = len;
		CU_ASSERT_EQUAL(xfrm_entry_state(cut, &s),
				len >= NLMSG_LENGTH(sizeof(struct xfrm_usersa_info)));
		xfrm_entry_policy(cut, &p);
		free(cut);
	}
	for (uint32_t at = sizeof(m.h); at < m.h.nlmsg_len; at++) {
		struct nlmsghdr *copy = malloc(m.h.nlmsg_len);

		for (int bit = 0; bit < 8; bit++) {
			memcpy(copy, &m, m.h.nlmsg_len);
			((uint8_t *)copy)[at] ^= (uint8_t)(1 << bit);
			xfrm_entry_state(copy, &s);
			xfrm_entry_policy(copy, &p);
			CU_ASSERT_TRUE(s.key_len <= XFRM_KEY_MAX && s.auth_key_len <= XFRM_KEY_MAX);
		}
		free(copy);
	}
}

/* ---- tables */

static struct config *build_without(struct xfrm_tables *t, const struct xfrm_refused *refused,
				    struct xfrm_unserved_list *left_out)
{
	return xfrm_world_build(t, &(struct xfrm_model_env){ .refused = refused }, left_out);
}

static struct config *build_lent(struct xfrm_tables *t, const struct xfrm_lent *lent, uint64_t now_ms,
				 struct xfrm_unserved_list *left_out)
{
	return xfrm_world_build(t, &(struct xfrm_model_env){ .lent = lent, .now_ms = now_ms }, left_out);
}

static struct config *build(struct xfrm_tables *t, struct xfrm_unserved_list *left_out)
{
	return build_without(t, NULL, left_out);
}

static void limits_of_a_state(void)
{
	static const struct {
		uint64_t kernel, ours; /* 0: none */
	} rows[] = { { 0, 0 },
		     { 1, 1 },
		     { UINT64_MAX / 2, UINT64_MAX / 2 },
		     { UINT64_MAX / 2 + 1, 0 },
		     { XFRM_INF, 0 } };

	for (size_t i = 0; i < LEN(rows); i++) {
		struct xfrm_state_entry s;
		struct xfrm_tables t = { .states_n = 1, .states = &s };
		struct xfrm_unserved_list left_out = { 0 };
		struct xfrm_usersa_info *info;
		struct xfrm_world_message m;

		xfrm_world_begin_state(&m, PEER, LOCAL, 0x2001);
		info = NLMSG_DATA(&m.h);
		info->lft.hard_byte_limit = info->lft.hard_packet_limit = rows[i].kernel;
		info->lft.soft_byte_limit = info->lft.soft_packet_limit = rows[i].kernel;
		xfrm_world_put_aead(&m, "rfc4106(gcm(aes))", 20, 128, 1);
		xfrm_world_put_esn(&m, 0, 0, 64);
		CU_ASSERT_TRUE_FATAL(xfrm_entry_state(&m.h, &s));
		CU_ASSERT_EQUAL(s.hard_bytes, rows[i].ours);
		CU_ASSERT_EQUAL(s.soft_bytes, rows[i].ours);
		CU_ASSERT_EQUAL(s.hard_packets, rows[i].ours);
		CU_ASSERT_EQUAL(s.soft_packets, rows[i].ours);
		config_free(build(&t, &left_out));
		CU_ASSERT_EQUAL(left_out.n, 0);
		xfrm_unserved_fini(&left_out);
	}
}

static void a_child_sa(void)
{
	struct xfrm_state_entry states[] = { xfrm_world_state(LOCAL, PEER, 0x1001, 5), xfrm_world_state(PEER, LOCAL, 0x2001, 5),
					     xfrm_world_state(LOCAL, PEER, 0x1002, 6), xfrm_world_state(PEER, LOCAL, 0x2002, 6) };
	struct xfrm_policy_entry policies[] = {
		xfrm_world_policy(XFRM_ENTRY_OUT, "10.1.0.0/24", "10.2.0.0/24", 200),
		xfrm_world_policy(XFRM_ENTRY_FWD, "10.2.0.0/24", "10.1.0.0/24", 200), /* strongSwan's order */
		xfrm_world_policy(XFRM_ENTRY_IN, "10.2.0.0/24", "10.1.0.0/24", 200),
		xfrm_world_policy(XFRM_ENTRY_OUT, "10.1.0.9/32", "10.2.0.0/24", 100), /* more important */
	};
	struct xfrm_tables t = { .states_n = 4, .states = states, .policies_n = 4, .policies = policies };
	struct xfrm_unserved_list left_out = { 0 };
	struct config *c;

	policies[3].block = 1;
	policies[3].tmpls_n = 0;
	c = build(&t, &left_out);
	CU_ASSERT_EQUAL(left_out.n, 0);
	CU_ASSERT_EQUAL(c->sad.tunnels_n, 1);
	/* Both inbound ones take what comes; of the outbound ones the newer sends. */
	CU_ASSERT_EQUAL(c->sad.sas_n, 3);
	CU_ASSERT_PTR_NULL(xfrm_world_find_spi(c, 0x1001));
	CU_ASSERT_PTR_NOT_NULL_FATAL(xfrm_world_find_spi(c, 0x1002));
	CU_ASSERT_PTR_NOT_NULL(xfrm_world_find_spi(c, 0x2001));
	CU_ASSERT_PTR_NOT_NULL(xfrm_world_find_spi(c, 0x2002));
	CU_ASSERT_EQUAL(xfrm_world_find_spi(c, 0x1002)->dir, XESP_DIR_OUT);
	/* fwd is in, once; the order is that of priorities. */
	CU_ASSERT_EQUAL(c->spd.n, 3);
	CU_ASSERT_EQUAL(c->spd.policies[0].action, XESP_ACTION_DISCARD);
	CU_ASSERT_EQUAL(c->spd.policies[1].action, XESP_ACTION_PROTECT);
	CU_ASSERT_EQUAL(c->spd.policies[2].action, XESP_ACTION_PROTECT);
	config_free(c);
	xfrm_unserved_fini(&left_out);
}

/* strongSwan's policies name the SA that is to send, and it installs the next one before. */
static void policies_name_the_sender(void)
{
	static const struct {
		const char *what;
		uint32_t first, second; /* SPIs that the two outbound policies name; 0: none */
		uint32_t sends;
	} rows[] = {
		{ "nobody names one: the newest, of one second the first", 0, 0, 0x1003 },
		{ "the old one, until the peer can receive on the new", 0x1001, 0x1001, 0x1001 },
		{ "one policy is moved already", 0x1001, 0x1002, 0x1002 },
		{ "the other way round", 0x1002, 0x1001, 0x1002 },
		{ "both are", 0x1002, 0x1002, 0x1002 },
		{ "one that is gone, or not read yet", 0x1009, 0x1009, 0x1003 },
	};

	for (size_t i = 0; i < LEN(rows); i++) {
		struct xfrm_state_entry states[] = { xfrm_world_state(LOCAL, PEER, 0x1001, 5), xfrm_world_state(LOCAL, PEER, 0x1003, 7),
						     xfrm_world_state(LOCAL, PEER, 0x1002, 7), xfrm_world_state(PEER, LOCAL, 0x2001, 5) };
		struct xfrm_policy_entry policies[] = { xfrm_world_policy(XFRM_ENTRY_OUT, "10.1.0.0/24", "10.2.0.0/24", 200),
							xfrm_world_policy(XFRM_ENTRY_OUT, "10.3.0.0/24", "10.2.0.0/24", 201),
							xfrm_world_policy(XFRM_ENTRY_IN, "10.2.0.0/24", "10.1.0.0/24", 200) };
		struct xfrm_tables t = { .states_n = 4, .states = states, .policies_n = 3, .policies = policies };
		struct xfrm_unserved_list left_out = { 0 };
		struct config *c;

		policies[0].tmpl[0].spi = rows[i].first;
		policies[1].tmpl[0].spi = rows[i].second;
		policies[2].tmpl[0].spi = 0x1003; /* of inbound policies it says nothing */
		c = build(&t, &left_out);
		CU_ASSERT_EQUAL(c->sad.sas_n, 2);
		if (!xfrm_world_find_spi(c, rows[i].sends)) {
			printf("  %s\n", rows[i].what);
			CU_FAIL("another SA sends");
		}
		config_free(c);
		xfrm_unserved_fini(&left_out);
	}
}

static struct xfrm_state_entry in_udp(const char *src, const char *dst, uint32_t spi, uint16_t sport, uint16_t dport)
{
	struct xfrm_state_entry s = xfrm_world_state(src, dst, spi, 5);

	s.encap = true;
	s.encap_sport = sport;
	s.encap_dport = dport;
	return s;
}

/* Seen elsewhere, the peer's SA is the kernel's for a while: until its own word, or until the time is over. */
static void lent_to_the_kernel(void)
{
	struct xfrm_state_entry states[] = { in_udp(LOCAL, PEER, 0x1001, 4500, 31000),
					     in_udp(PEER, LOCAL, 0x2001, 31000, 4500) };
	struct xfrm_policy_entry policies[] = { xfrm_world_policy(XFRM_ENTRY_OUT, "10.1.0.0/24", "10.2.0.0/24", 200) };
	struct xfrm_tables t = { .states_n = 2, .states = states, .policies_n = 1, .policies = policies };
	struct config *c = build(&t, &(struct xfrm_unserved_list){ 0 });
	struct xfrm_lent lent = { 0 };
	const struct sa *in = xfrm_world_find_spi(c, 0x2001);
	const uint64_t t0 = 5000;

	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	CU_ASSERT_EQUAL(c->sad.tunnels[0].natt.follow_peer, XESP_FOLLOW_TELL);
	CU_ASSERT_TRUE(xfrm_lent_add(&lent, &c->sad.tunnels[in->tunnel], in, t0));
	config_free(c);
	for (int lent_now = 1; lent_now >= 0; lent_now--) {
		struct xfrm_unserved_list left_out = { 0 };

		c = build_lent(&t, &lent, lent_now ? t0 + XFRM_LENT_MS - 1 : t0 + XFRM_LENT_MS, &left_out);
		CU_ASSERT_EQUAL(xfrm_world_find_spi(c, 0x2001) == NULL, lent_now);
		CU_ASSERT_PTR_NOT_NULL(xfrm_world_find_spi(c, 0x1001)); /* it sends on to where the daemon says */
		CU_ASSERT_EQUAL(left_out.n, (size_t)lent_now);
		xfrm_unserved_fini(&left_out);
		config_free(c);
	}
	xfrm_lent_fini(&lent);
}

/* What we cannot serve is the kernel's: its packets are passed to it, and the reason is listed. */
static void left_with_the_kernel(void)
{
	struct xfrm_state_entry states[] = { xfrm_world_state(LOCAL, PEER, 0x1001, 5), xfrm_world_state(PEER, LOCAL, 0x2001, 5),
					     xfrm_world_state("198.51.100.1", PEER, 0x3001, 5),
					     xfrm_world_state(LOCAL, PEER, 0x4001, 9) };
	struct xfrm_policy_entry policies[] = {
		xfrm_world_policy(XFRM_ENTRY_OUT, "10.1.0.0/24", "10.2.0.0/24", 200), /* its SA's cipher is unknown */
		xfrm_world_policy(XFRM_ENTRY_IN, "10.2.0.0/24", "10.1.0.0/24", 200),
		xfrm_world_policy(XFRM_ENTRY_OUT, "10.9.0.0/24", "10.8.0.0/24", 300), /* no SA yet */
	};
	struct xfrm_tables t = { .states_n = 4, .states = states, .policies_n = 3, .policies = policies };
	struct xfrm_unserved_list left_out = { 0 };
	struct config *c;

	snprintf(states[0].alg, sizeof(states[0].alg), "cbc(serpent)");
	states[3].reqid = 8;
	snprintf(states[3].auth, sizeof(states[3].auth), "hmac(sha256)");
	states[3].icv_bits = 96; /* the truncation before RFC 4868 */
	snprintf(states[3].alg, sizeof(states[3].alg), "cbc(aes)");
	policies[2].tmpl[0].reqid = 99;
	c = build(&t, &left_out);
	CU_ASSERT_EQUAL(c->sad.sas_n, 1);
	CU_ASSERT_EQUAL(left_out.n, 5);
	CU_ASSERT_EQUAL(c->spd.n, 3);
	for (uint32_t i = 0; i < c->spd.n; i++)
		CU_ASSERT_EQUAL(c->spd.policies[i].action,
				c->spd.policies[i].dirs == 1 << XESP_DIR_IN ? XESP_ACTION_PROTECT :
									      XESP_ACTION_BYPASS);
	for (size_t i = 0; i < left_out.n; i++)
		CU_ASSERT_TRUE(left_out.entry[i].reason[0] && left_out.entry[i].what[0]);
	config_free(c);
	xfrm_unserved_fini(&left_out);
}

/* xespd does not take one: that one is the kernel's, with its policy, and the others go on. */
static void refused_by_xespd(void)
{
	struct xfrm_state_entry states[] = { xfrm_world_state(LOCAL, PEER, 0x1001, 5), xfrm_world_state(PEER, LOCAL, 0x2001, 5) };
	struct xfrm_policy_entry policies[] = {
		xfrm_world_policy(XFRM_ENTRY_OUT, "10.1.0.0/24", "10.2.0.0/24", 200),
		xfrm_world_policy(XFRM_ENTRY_IN, "10.2.0.0/24", "10.1.0.0/24", 200),
	};
	struct xfrm_tables t = { .states_n = 2, .states = states, .policies_n = 2, .policies = policies };
	struct xfrm_unserved_list left_out = { 0 };
	struct xfrm_refused refused = { 0 };
	struct config *c = build(&t, &left_out);
	struct sa *sa = (struct sa *)xfrm_world_find_spi(c, 0x1001);

	CU_ASSERT_EQUAL(left_out.n, 0);
	sad_stand(sa, SA_REFUSED, "no such engine");
	CU_ASSERT_TRUE(xfrm_refused_add(&refused, &c->sad, sa));
	CU_ASSERT_FALSE(xfrm_refused_add(&refused, &c->sad, sa)); /* so that a retry ends */
	config_free(c);
	c = build_without(&t, &refused, &left_out);
	CU_ASSERT_PTR_NULL(xfrm_world_find_spi(c, 0x1001));
	CU_ASSERT_PTR_NOT_NULL(xfrm_world_find_spi(c, 0x2001));
	CU_ASSERT_EQUAL_FATAL(left_out.n, 2); /* and the policy that has no SA now */
	CU_ASSERT_PTR_NOT_NULL(strstr(left_out.entry[0].what, "1001"));
	CU_ASSERT_STRING_EQUAL(left_out.entry[0].reason, "xespd refused it: no such engine");
	for (uint32_t i = 0; i < c->spd.n; i++)
		CU_ASSERT_EQUAL(c->spd.policies[i].action,
				c->spd.policies[i].dirs == 1 << XESP_DIR_IN ? XESP_ACTION_PROTECT :
									      XESP_ACTION_BYPASS);
	config_free(c);
	/* Another state under this SPI is another SA. */
	states[0].add_time++;
	c = build_without(&t, &refused, &left_out);
	CU_ASSERT_PTR_NOT_NULL(xfrm_world_find_spi(c, 0x1001));
	config_free(c);
	xfrm_refused_prune(&refused, &t);
	CU_ASSERT_EQUAL(refused.n, 0);
	xfrm_refused_fini(&refused);
	xfrm_unserved_fini(&left_out);
}

/* A responder that gives virtual addresses: a peer, two SAs and three policies a client. */
enum { CLIENTS = 1000 };

static void add_client(struct xfrm_tables *t, uint32_t i)
{
	char peer[32], inner[32];
	const uint32_t spi = 0x10000 + i;

	snprintf(peer, sizeof(peer), "198.51.%u.%u", 100 + i / 250, 1 + i % 250);
	snprintf(inner, sizeof(inner), "10.99.%u.%u/32", i / 250, 1 + i % 250);
	for (uint32_t out = 0; out < 2; out++) {
		struct xfrm_state_entry *s = &t->states[t->states_n++];

		*s = xfrm_world_state(out ? LOCAL : peer, out ? peer : LOCAL, spi + (out << 16), 5);
		s->reqid = i + 1;
		memcpy(s->key, &s->spi, sizeof(s->spi));
	}
	for (uint8_t dir = XFRM_ENTRY_IN; dir <= XFRM_ENTRY_FWD; dir++) {
		struct xfrm_policy_entry *p = &t->policies[t->policies_n++];
		const bool out = dir == XFRM_ENTRY_OUT;

		*p = xfrm_world_policy(dir, out ? "0.0.0.0/0" : inner, out ? inner : "0.0.0.0/0", 300);
		p->index = 8 * i + dir;
		p->tmpl[0].reqid = i + 1;
		addr_parse(out ? &p->tmpl[0].dst : &p->tmpl[0].src, peer, NULL);
	}
}

static struct config *build_clients(uint32_t without, struct xfrm_unserved_list *left_out)
{
	struct xfrm_tables t = { .states = calloc(2 * CLIENTS, sizeof(*t.states)),
				 .policies = calloc(3 * CLIENTS, sizeof(*t.policies)) };
	struct config *c;

	CU_ASSERT_FATAL(t.states && t.policies);
	for (uint32_t i = 0; i < CLIENTS; i++)
		if (i != without)
			add_client(&t, i);
	c = build(&t, left_out);
	free(t.states);
	free(t.policies);
	return c;
}

static void remote_access(void)
{
	struct xfrm_unserved_list left_out = { 0 };
	struct config *all = build_clients(CLIENTS, &left_out), *less;

	CU_ASSERT_EQUAL(left_out.n, 0);
	CU_ASSERT_EQUAL(all->sad.tunnels_n, CLIENTS);
	CU_ASSERT_EQUAL(all->sad.sas_n, 2 * CLIENTS);
	CU_ASSERT_EQUAL(all->spd.n, 2 * CLIENTS); /* fwd is in */
	less = build_clients(500, &left_out);
	CU_ASSERT_EQUAL(left_out.n, 0);
	CU_ASSERT_EQUAL(less->sad.sas_n, 2 * CLIENTS - 2);
	CU_ASSERT_EQUAL(less->spd.n, 2 * CLIENTS - 2);
	/* One has gone: the others are who they were, by name and key, so that nothing of theirs is touched. */
	for (uint32_t i = 0; i < all->sad.sas_n; i++) {
		const struct sa *was = &all->sad.sas[i], *is = xfrm_world_find_spi(less, was->spi);

		if ((was->spi & 0xffff) == 500) {
			CU_ASSERT_PTR_NULL(is);
			continue;
		}
		CU_ASSERT_PTR_NOT_NULL_FATAL(is);
		CU_ASSERT_STRING_EQUAL(is->name, was->name);
		CU_ASSERT_FALSE(memcmp(is->fingerprint, was->fingerprint, sizeof(is->fingerprint)));
		CU_ASSERT_STRING_EQUAL(less->sad.tunnels[is->tunnel].name, all->sad.tunnels[was->tunnel].name);
	}
	config_free(all);
	config_free(less);
	xfrm_unserved_fini(&left_out);
}

static void nothing_there(void)
{
	struct xfrm_unserved_list left_out = { 0 };
	struct xfrm_tables t = { 0 };
	struct config *c = build(&t, &left_out);

	CU_ASSERT_EQUAL(c->sad.sas_n, 0);
	CU_ASSERT_EQUAL(c->spd.n, 0);
	CU_ASSERT_EQUAL(c->spd.default_action, XESP_ACTION_BYPASS);
	config_free(c);
}

CU_TestInfo xfrm_tests[] = {
	{ "xfrm: states, and why one stays with the kernel", states_row_by_row },
	{ "xfrm: messages cut off and altered anywhere", cut_and_altered },
	{ "limits, and what means that there is none", limits_of_a_state },
	{ "xfrm: a child SA with its rekeyed successor", a_child_sa },
	{ "xfrm: of several outbound SAs the one that policies name sends", policies_name_the_sender },
	{ "xfrm: a peer that moved, and what the kernel gets for it", lent_to_the_kernel },
	{ "xfrm: what cannot be served is left and listed", left_with_the_kernel },
	{ "what xespd refuses stays with the kernel, alone", refused_by_xespd },
	{ "1 000 clients of a remote access gateway, and one that goes", remote_access },
	{ "xfrm: empty tables", nothing_there },
	CU_TEST_INFO_NULL,
};
