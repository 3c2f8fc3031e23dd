/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a tunnel shows outside and takes over inside: TTL copied (RFC 4301 section 5.1.2), DSCP mapped
 * and taken back (RFC 2983), flow labels (RFC 6437, 6438), alarms of RFC 6040 section 4.2.
 */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "esp/ecn.h"
#include "esp/wire.h"
#include "tests/pair/pair.h"
#include "xesp/fault.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static uint8_t tos_of(const uint8_t *ip)
{
	return (uint8_t)(ip[0] >> 4 == 4 ? ip[1] : ip[0] << 4 | ip[1] >> 4);
}

static uint8_t *ttl_of(uint8_t *ip)
{
	return ip + (ip[0] >> 4 == 4 ? 8 : 7);
}

static bool is_sum_right(const uint8_t *ip)
{
	uint8_t anew[20];

	if (ip[0] >> 4 == 6)
		return true;
	memcpy(anew, ip, 20);
	pair_checksum(anew);
	return !memcmp(anew, ip, 20) || wire_get16(ip + 10) == 0xffff;
}

static void ttl_is_copied(void)
{
	static struct frame f;

	for (int i = 0; i < 4; i++) {
		struct pair_opts o = { .outer6 = i & 1, .ttl_copy = true };
		struct pair p;

		pair_open(&p, &o);
		for (unsigned int ttl = 1; ttl < 256; ttl++) {
			struct pkt pkt = pair_make(&f, i & 2 ? 6 : 4, 80);

			*ttl_of(pkt.l3) = (uint8_t)ttl;
			if (!(i & 2))
				pair_checksum(pkt.l3);
			pkt.local = ttl == 1; /* else it is used up */
			CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
			/* As the inner packet goes on: one less when it was forwarded. */
			CU_ASSERT_EQUAL(*ttl_of(pkt.l3), ttl - !pkt.local);
			CU_ASSERT(is_sum_right(pkt.l3));
			*ttl_of(pkt.l3) = 3; /* what the path left of it is nothing to the inner one */
			if (!(i & 1))
				pair_checksum(pkt.l3);
			pair_turn(&pkt);
			CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
			CU_ASSERT_EQUAL(*ttl_of(pkt.l3), ttl == 1 ? 1 : ttl - 1);
		}
		pair_close(&p);
	}
}

/* Every DSCP with every ECN, through a map that moves each, and back into the inner packet. */
static void dscp_is_mapped_and_taken_back(void)
{
	static struct frame f;
	uint8_t map[64];

	for (int i = 0; i < 64; i++)
		map[i] = (uint8_t)((i * 5 + 3) % 64);
	for (int i = 0; i < 8; i++) {
		struct pair_opts o = { .outer6 = i & 1, .dscp = XESP_DSCP_MAP, .dscp_map = map,
				       .dscp_in = i & 4 ? XESP_DSCP_IN_COPY : XESP_DSCP_IN_KEEP };
		struct pair p;

		pair_open(&p, &o);
		for (unsigned int tos = 0; tos < 256; tos++) {
			struct pkt pkt = pair_make(&f, i & 2 ? 6 : 4, 80);
			uint8_t outer = (uint8_t)(map[tos >> 2] << 2 | (tos & 3)), before[80];

			pair_set_tos(pkt.l3, (uint8_t)tos);
			CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
			CU_ASSERT_EQUAL(tos_of(pkt.l3), outer);
			CU_ASSERT(is_sum_right(pkt.l3));
			pair_turn(&pkt);
			CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
			CU_ASSERT_EQUAL(tos_of(pkt.l3), i & 4 ? outer : tos);
			CU_ASSERT(is_sum_right(pkt.l3));
			memcpy(before, pkt.l3, 80);
			pair_set_tos(before, tos_of(pkt.l3));
			CU_ASSERT_EQUAL(memcmp(before, pkt.l3, 80), 0);
		}
		pair_close(&p);
	}
}

static uint32_t label_of(struct pair *p, int version, uint8_t source, uint32_t inner_label)
{
	static struct frame f;
	struct pkt pkt = pair_make(&f, version, 80);

	if (version == 6) {
		wire_put32(pkt.l3, 0x60000000 | inner_label);
		pkt.l3[23] = source;
	} else {
		pkt.l3[15] = source;
		pair_checksum(pkt.l3);
	}
	CU_ASSERT_EQUAL(pair_encap(p, &pkt), XESP_DROP_NONE);
	return wire_get32(pkt.l3) & 0xfffff;
}

static void flow_labels(void)
{
	struct pair_opts o = { .outer6 = true };
	uint32_t of_sa, first;
	struct pair p, other;

	pair_open(&p, &o);
	of_sa = label_of(&p, 6, 2, 0x12345);
	CU_ASSERT(of_sa && of_sa == label_of(&p, 4, 9, 0));
	pair_close(&p);

	o.flow_label = XESP_FLOW_LABEL_ZERO;
	pair_open(&p, &o);
	CU_ASSERT_EQUAL(label_of(&p, 6, 2, 0x12345), 0);
	pair_close(&p);

	o.flow_label = XESP_FLOW_LABEL_COPY;
	pair_open(&p, &o);
	CU_ASSERT_EQUAL(label_of(&p, 6, 2, 0xabcde), 0xabcde);
	CU_ASSERT_EQUAL(label_of(&p, 6, 2, 0), 0);
	CU_ASSERT_EQUAL(label_of(&p, 4, 2, 0), of_sa); /* IPv4 has none to copy */
	pair_close(&p);

	o.flow_label = XESP_FLOW_LABEL_FLOW;
	pair_open(&p, &o);
	pair_open(&other, &o);
	for (int version = 4; version <= 6; version += 2) {
		uint32_t differ = 0, same = 0;

		first = label_of(&p, version, 2, 0x11111);
		for (int i = 0; i < 100; i++) {
			/* The same flow has the same label whatever its own one is. */
			same += label_of(&p, version, 2, (uint32_t)i) == first;
			differ += label_of(&p, version, (uint8_t)(i + 3), 0x11111) != first;
		}
		CU_ASSERT(first && same == 100 && differ >= 99);
		/* Another tunnel has another secret: nobody can make the label of a guess. */
		CU_ASSERT(label_of(&other, version, 2, 0x11111) != first ||
			  label_of(&other, version, 3, 0) != label_of(&p, version, 3, 0));
	}
	pair_close(&other);
	pair_close(&p);
}

/* RFC 6040 figure 4: (!!!) and (!) */
static const struct {
	uint8_t inner, outer;
} alarms[] = {
	{ ECN_NOT_ECT, ECN_ECT0 }, { ECN_NOT_ECT, ECN_ECT1 }, { ECN_NOT_ECT, ECN_CE },
	{ ECN_ECT1, ECN_ECT0 },	   { ECN_CE, ECN_ECT1 },
};

static void alarms_are_counted(void)
{
	static struct frame f;

	for (int i = 0; i < 4; i++) {
		struct pair_opts o = { .outer6 = i & 1 };
		uint64_t want = 0;
		struct pair p;

		pair_open(&p, &o);
		for (uint8_t cell = 0; cell < 16; cell++) {
			struct pkt pkt = pair_make(&f, i & 2 ? 6 : 4, 80);
			const uint8_t inner = cell & 3, outer = cell >> 2;
			bool alarm = false;

			for (size_t k = 0; k < LEN(alarms); k++)
				alarm |= alarms[k].inner == inner && alarms[k].outer == outer;
			CU_ASSERT_EQUAL(ecn_is_alarming(outer, inner), alarm);
			pair_set_tos(pkt.l3, inner);
			pair_encap(&p, &pkt);
			pair_set_tos(pkt.l3, outer);
			pair_turn(&pkt);
			pair_decap(&p, &pkt);
			want += alarm;
			CU_ASSERT_EQUAL(p.st.sa[PAIR_SA_IN].ecn_alarms, want);
		}
		pair_close(&p);
	}
}

static void refuses_values(void)
{
	const struct pair_opts o = { .outer6 = true };
	struct fault f = { "" };
	struct pair p;

	pair_open(&p, &o);
	p.tunnel_out.dscp_in = 2;
	CU_ASSERT(sad_tunnel_set(p.sad, &p.tunnel_out, &f) && strstr(f.text, "DSCP inwards 2"));
	p.tunnel_out.dscp_in = 0;
	p.tunnel_out.flow_label = 4;
	CU_ASSERT(sad_tunnel_set(p.sad, &p.tunnel_out, &f) && strstr(f.text, "flow label 4"));
	p.tunnel_out.flow_label = 0;
	p.tunnel_out.dscp_map[7] = 64;
	CU_ASSERT_EQUAL(sad_tunnel_set(p.sad, &p.tunnel_out, &f), 0); /* nothing looks at it */
	p.tunnel_out.dscp = XESP_DSCP_MAP;
	CU_ASSERT(sad_tunnel_set(p.sad, &p.tunnel_out, &f) && strstr(f.text, "DSCP 7 is mapped to 64"));
	pair_close(&p);
}

CU_TestInfo marks_tests[] = {
	{ "TTL copied outside, untouched inside", ttl_is_copied },
	{ "each DSCP mapped, kept or taken back", dscp_is_mapped_and_taken_back },
	{ "flow labels of SA, packet, flow, and none", flow_labels },
	{ "ECN alarms: sixteen cells, four combinations of families", alarms_are_counted },
	{ "values that are none", refuses_values },
	CU_TEST_INFO_NULL,
};
