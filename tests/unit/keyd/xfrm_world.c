/* SPDX-License-Identifier: BSD-2-Clause */
/* xfrm_world.c - see xfrm_world.h. */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "keyd/config.h"
#include "libxesp/addr.h"
#include "tests/unit/keyd/xfrm_world.h"
#include "xesp/fault.h"

/* ---- messages */

void xfrm_world_put(struct xfrm_world_message *m, uint16_t type, const void *data, size_t len)
{
	struct nlattr *a = (struct nlattr *)(m->bytes + NLMSG_ALIGN(m->h.nlmsg_len));

	a->nla_type = type;
	a->nla_len = (uint16_t)(sizeof(*a) + len);
	memcpy(a + 1, data, len);
	m->h.nlmsg_len = (uint32_t)((uint8_t *)a - m->bytes) + NLMSG_ALIGN(a->nla_len);
}

void xfrm_world_begin_state(struct xfrm_world_message *m, const char *src, const char *dst, uint32_t spi)
{
	struct xfrm_usersa_info i = { .id = { .spi = htonl(spi), .proto = IPPROTO_ESP },
				      .family = AF_INET,
				      .mode = XFRM_MODE_TUNNEL,
				      .reqid = 7,
				      .flags = XFRM_STATE_ESN };

	inet_pton(AF_INET, src, &i.saddr);
	inet_pton(AF_INET, dst, &i.id.daddr);
	i.lft.soft_byte_limit = i.lft.hard_byte_limit = XFRM_INF;
	i.lft.soft_packet_limit = i.lft.hard_packet_limit = XFRM_INF;
	memset(m, 0, sizeof(*m));
	m->h.nlmsg_type = XFRM_MSG_NEWSA;
	m->h.nlmsg_len = NLMSG_LENGTH(sizeof(i));
	memcpy(NLMSG_DATA(&m->h), &i, sizeof(i));
}

void xfrm_world_put_aead(struct xfrm_world_message *m, const char *name, uint32_t key_bytes, uint32_t icv, uint8_t seed)
{
	struct {
		struct xfrm_algo_aead a;
		uint8_t key[128];
	} aead = { .a = { .alg_key_len = key_bytes * 8, .alg_icv_len = icv } };

	snprintf(aead.a.alg_name, sizeof(aead.a.alg_name), "%s", name);
	for (uint32_t i = 0; i < key_bytes; i++)
		aead.key[i] = (uint8_t)(seed + i);
	xfrm_world_put(m, XFRMA_ALG_AEAD, &aead, sizeof(aead.a) + key_bytes);
}

void xfrm_world_put_esn(struct xfrm_world_message *m, uint64_t oseq, uint64_t seq, uint32_t window)
{
	struct {
		struct xfrm_replay_state_esn e;
		uint32_t bitmap[4];
	} esn = { .e = { .bmp_len = 4,
			 .oseq = (uint32_t)oseq,
			 .oseq_hi = (uint32_t)(oseq >> 32),
			 .seq = (uint32_t)seq,
			 .seq_hi = (uint32_t)(seq >> 32),
			 .replay_window = window } };

	xfrm_world_put(m, XFRMA_REPLAY_ESN_VAL, &esn, sizeof(esn));
}

/* ---- tables */

static bool is_local(const void *ctx, const struct xesp_addr *a)
{
	struct xesp_addr mine;

	(void)ctx;
	addr_parse(&mine, XFRM_WORLD_LOCAL, NULL);
	return addr_equal(a, &mine);
}

struct xfrm_state_entry xfrm_world_state(const char *src, const char *dst, uint32_t spi, uint64_t added)
{
	struct xfrm_state_entry s;
	struct xfrm_world_message m;

	xfrm_world_begin_state(&m, src, dst, spi);
	xfrm_world_put_aead(&m, "rfc4106(gcm(aes))", 20, 128, (uint8_t)(spi ^ spi >> 8));
	xfrm_world_put_esn(&m, 9, 11, 64);
	CU_ASSERT_TRUE_FATAL(xfrm_entry_state(&m.h, &s));
	s.add_time = added;
	return s;
}

struct xfrm_policy_entry xfrm_world_policy(uint8_t dir, const char *src, const char *dst, uint32_t priority)
{
	struct xfrm_policy_entry p = { .index = 8 * priority + dir,
				       .priority = priority,
				       .dir = dir,
				       .family = 4,
				       .sport_last = UINT16_MAX,
				       .dport_last = UINT16_MAX,
				       .tmpls_n = 1,
				       .tmpl = { { .reqid = 7,
						   .proto = IPPROTO_ESP,
						   .mode = XFRM_MODE_TUNNEL } } };
	const bool out = dir == XFRM_ENTRY_OUT;

	CU_ASSERT_FALSE_FATAL(addr_parse_prefix(&p.src, &p.src_len, src, NULL));
	CU_ASSERT_FALSE_FATAL(addr_parse_prefix(&p.dst, &p.dst_len, dst, NULL));
	addr_parse(&p.tmpl[0].src, out ? XFRM_WORLD_LOCAL : XFRM_WORLD_PEER, NULL);
	addr_parse(&p.tmpl[0].dst, out ? XFRM_WORLD_PEER : XFRM_WORLD_LOCAL, NULL);
	return p;
}

struct config *xfrm_world_build(struct xfrm_tables *t, const struct xfrm_model_env *with, struct xfrm_unserved_list *left_out)
{
	struct config file = { .routes = true, .xfrm = true,
			       .spd = { .default_action = XESP_ACTION_BYPASS } };
	const struct xfrm_model_env env = { .is_local = is_local, .refused = with->refused, .lent = with->lent,
					    .now_ms = with->now_ms, .file = &file, .label = "kernel" };
	struct fault f = { "" };
	struct config *c = NULL;

	if (xfrm_model_build(&c, t, &env, left_out, &f))
		fprintf(stderr, "xfrm: %s\n", f.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

const struct sa *xfrm_world_find_spi(const struct config *c, uint32_t spi)
{
	for (uint32_t i = 0; i < c->sad.sas_n; i++)
		if (c->sad.sas[i].spi == spi)
			return &c->sad.sas[i];
	return NULL;
}
