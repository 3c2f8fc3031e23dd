/* SPDX-License-Identifier: BSD-2-Clause */
/* The inbound check of RFC 4301 section 5.2: which inner packet may come out of which tunnel. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "esp/wire.h"
#include "tests/pair/pair.h"
#include "xesp/fault.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define OK XESP_DROP_NONE
#define MISMATCH XESP_DROP_SELECTOR_MISMATCH
#define BAD XESP_DROP_BAD_INNER

enum change {
	PLAIN, OTHER_SOURCE, OTHER_DESTINATION, OTHER_PORT, PROTO_TCP, PROTO_GRE,
	FRAGMENT_FIRST, FRAGMENT_LATER, SHORT_L4,
	EXT_CHAIN, EXT_CUT, EXT_LONG, EXT_FRAGMENT_FIRST, EXT_FRAGMENT_LATER, EXT_DEEP, EXT_ESP,
	MAPPED, MAPPED_SOURCE
};

enum rows { ANY, UDP_PORTS, LOW_PORTS, UDP_ANY_PORT, NONE };

static const struct {
	const char *what;
	int version;
	enum rows rows;
	enum change change;
	enum xesp_drop want;
} cases[] = {
	{ "inside", 4, ANY, PLAIN, OK },
	{ "inside, IPv6", 6, ANY, PLAIN, OK },
	{ "another source", 4, ANY, OTHER_SOURCE, MISMATCH },
	{ "another source, IPv6", 6, ANY, OTHER_SOURCE, MISMATCH },
	{ "another destination", 4, ANY, OTHER_DESTINATION, MISMATCH },
	{ "another destination, IPv6", 6, ANY, OTHER_DESTINATION, MISMATCH },
	{ "no rows at all", 4, NONE, PLAIN, MISMATCH },
	{ "ports", 4, UDP_PORTS, PLAIN, OK },
	{ "ports, IPv6", 6, UDP_PORTS, PLAIN, OK },
	{ "another port", 4, UDP_PORTS, OTHER_PORT, MISMATCH },
	{ "another protocol with these ports", 4, UDP_PORTS, PROTO_TCP, MISMATCH },
	{ "a protocol without ports", 4, UDP_PORTS, PROTO_GRE, MISMATCH },
	{ "any protocol", 4, ANY, PROTO_GRE, OK },
	{ "first fragment has ports", 4, UDP_PORTS, FRAGMENT_FIRST, OK },
	{ "later fragment has none", 4, UDP_PORTS, FRAGMENT_LATER, MISMATCH },
	{ "nor is none port 0", 4, LOW_PORTS, FRAGMENT_LATER, MISMATCH },
	{ "later fragment, any port", 4, UDP_ANY_PORT, FRAGMENT_LATER, OK },
	{ "no room for ports", 4, UDP_PORTS, SHORT_L4, MISMATCH },
	{ "no room for ports, any port", 4, UDP_ANY_PORT, SHORT_L4, OK },
	{ "behind extension headers", 6, UDP_PORTS, EXT_CHAIN, OK },
	{ "extension header cut off", 6, ANY, EXT_CUT, BAD },
	{ "extension header longer than the packet", 6, ANY, EXT_LONG, BAD },
	{ "behind a fragment header, first", 6, UDP_PORTS, EXT_FRAGMENT_FIRST, OK },
	{ "behind a fragment header, later", 6, UDP_PORTS, EXT_FRAGMENT_LATER, MISMATCH },
	{ "behind a fragment header, later, any port", 6, UDP_ANY_PORT, EXT_FRAGMENT_LATER, OK },
	{ "more headers than a sane sender makes", 6, ANY, EXT_DEEP, BAD },
	{ "ESP is a next layer protocol", 6, UDP_ANY_PORT, EXT_ESP, MISMATCH },
	{ "IPv6 that writes allowed IPv4 addresses", 6, ANY, MAPPED, BAD },
	{ "IPv6 from an allowed IPv4 address", 6, ANY, MAPPED_SOURCE, BAD },
};

/* Puts extension headers of 8 bytes before the UDP header of a packet of 400 bytes. */
static void put_ext(uint8_t *ip, const uint8_t *types, int n, uint8_t last)
{
	uint8_t udp[8];

	memcpy(udp, ip + 40, 8);
	ip[6] = types[0];
	for (int i = 0; i < n; i++) {
		memset(ip + 40 + 8 * i, 0, 8);
		ip[40 + 8 * i] = i + 1 < n ? types[i + 1] : last;
	}
	memcpy(ip + 40 + 8 * n, udp, 8);
}

static void change_ip6(uint8_t *ip, enum change c)
{
	static const uint8_t chain[] = { 0, 43, 60 }, fragment[] = { 44 }, esp[] = { 60 };
	uint8_t deep[20];

	memset(deep, 60, sizeof(deep));
	switch (c) {
	case EXT_CHAIN:
		put_ext(ip, chain, 3, 17);
		break;
	case EXT_CUT:
		ip[6] = 60;
		wire_put16(ip + 4, 7);
		break;
	case EXT_LONG:
		put_ext(ip, chain, 1, 17);
		ip[41] = 255;
		break;
	case EXT_FRAGMENT_FIRST:
		put_ext(ip, fragment, 1, 17);
		ip[43] = 1; /* more to come */
		break;
	case EXT_FRAGMENT_LATER:
		put_ext(ip, fragment, 1, 17);
		ip[43] = 8;
		break;
	case EXT_DEEP:
		put_ext(ip, deep, 20, 17);
		break;
	case EXT_ESP:
		put_ext(ip, esp, 1, 50);
		break;
	case MAPPED: /* RFC 4291 section 2.5.5.2: never on the wire */
		memcpy(ip + 24, (uint8_t[16]){ [10] = 0xff, 0xff, 10, 2, 0, 5 }, 16);
		/* fall through */
	case MAPPED_SOURCE:
		memcpy(ip + 8, (uint8_t[16]){ [10] = 0xff, 0xff, 10, 1, 0, 5 }, 16);
		break;
	default:
		break;
	}
}

static void change(uint8_t *ip, enum change c)
{
	bool ip4 = ip[0] >> 4 == 4;

	switch (c) {
	case OTHER_SOURCE:
		ip[ip4 ? 14 : 13] ^= 0x80;
		break;
	case OTHER_DESTINATION:
		ip[ip4 ? 18 : 29] ^= 0x80;
		break;
	case OTHER_PORT:
		ip[20 + 3] ^= 1;
		break;
	case PROTO_TCP:
		ip[9] = 6;
		break;
	case PROTO_GRE:
		ip[9] = 47;
		break;
	case FRAGMENT_FIRST:
		wire_put16(ip + 6, 0x2000);
		break;
	case FRAGMENT_LATER:
		wire_put16(ip + 6, 0x2001);
		break;
	case SHORT_L4:
		wire_put16(ip + 2, 23);
		break;
	default:
		change_ip6(ip, c);
	}
	if (ip4)
		pair_checksum(ip);
}

static void set_rows(struct pair *p, enum rows rows)
{
	struct xesp_selector s[] = {
		pair_selector("10.2.0.0/24", "10.1.0.0/24"),
		pair_selector("2001:db8:2::/48", "2001:db8:1::/48"),
	};

	for (int i = 0; i < 2; i++) {
		if (rows == LOW_PORTS)
			s[i].remote_port_last = s[i].local_port_last = 2000;
		if (rows == UDP_PORTS || rows == UDP_ANY_PORT)
			s[i].proto = 17;
		if (rows == UDP_PORTS) {
			s[i].remote_port_first = 1000;
			s[i].remote_port_last = 1000;
			s[i].local_port_first = 1990;
			s[i].local_port_last = 2000;
		}
	}
	CU_ASSERT_EQUAL(pair_allow(p, PAIR_TUNNEL_IN, s, rows == NONE ? 0 : 2), 0);
}

/* The packet was changed before the sending end sealed it, so it is authentic. */
static void case_rows(void)
{
	const struct pair_opts o = { 0 };
	static struct frame f;
	struct pair p;

	pair_open(&p, &o);
	for (size_t i = 0; i < LEN(cases); i++) {
		struct pkt pkt = pair_make(&f, cases[i].version, 400);
		enum xesp_drop got;

		set_rows(&p, cases[i].rows);
		change(pkt.l3, cases[i].change);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), OK);
		pair_turn(&pkt);
		got = pair_decap(&p, &pkt);
		if (got != cases[i].want)
			fprintf(stderr, "selector: %s: %d\n", cases[i].what, got);
		CU_ASSERT_EQUAL(got, cases[i].want);
	}
	pair_close(&p);
}

static void edges_of_ranges(void)
{
	static const struct {
		uint8_t last_byte;
		enum xesp_drop want;
	} edges[] = { { 9, MISMATCH }, { 10, OK }, { 15, OK }, { 20, OK }, { 21, MISMATCH } };
	struct xesp_selector s = pair_selector("10.2.0.0/24", "10.1.0.10");
	const struct pair_opts o = { 0 };
	static struct frame f;
	struct pair p;

	((uint8_t *)&s.remote_last)[15] = 20;
	pair_open(&p, &o);
	CU_ASSERT_EQUAL(pair_allow(&p, PAIR_TUNNEL_IN, &s, 1), 0);
	for (size_t i = 0; i < LEN(edges); i++) {
		struct pkt pkt = pair_make(&f, 4, 60);

		pkt.l3[15] = edges[i].last_byte;
		pair_checksum(pkt.l3);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), OK);
		pair_turn(&pkt);
		CU_ASSERT_EQUAL(pair_decap(&p, &pkt), edges[i].want);
	}
	/* IPv4 is not within a range of IPv6, however wide. */
	s = pair_selector("::/0", "2000::/3");
	CU_ASSERT_EQUAL(pair_allow(&p, PAIR_TUNNEL_IN, &s, 1), 0);
	struct pkt pkt = pair_make(&f, 4, 60);

	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), OK);
	pair_turn(&pkt);
	CU_ASSERT_EQUAL(pair_decap(&p, &pkt), MISMATCH);
	pair_close(&p);
}

/* "::/0" is every IPv6 address, and as numbers the IPv4 ones lie within. */
static void row_of_a_family(void)
{
	static const struct {
		uint8_t family;
		int version;
		enum xesp_drop want;
	} rows[] = { { 6, 4, MISMATCH }, { 6, 6, OK }, { 4, 4, OK },
		     { 4, 6, MISMATCH }, { 0, 4, OK }, { 0, 6, OK } };
	struct xesp_selector s = pair_selector("::/0", "::/0");
	const struct pair_opts o = { 0 };
	static struct frame f;
	struct pair p;

	pair_open(&p, &o);
	for (size_t i = 0; i < LEN(rows); i++) {
		struct pkt pkt = pair_make(&f, rows[i].version, 60);

		s.family = rows[i].family;
		CU_ASSERT_EQUAL(pair_allow(&p, PAIR_TUNNEL_IN, &s, 1), 0);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), OK);
		pair_turn(&pkt);
		CU_ASSERT_EQUAL(pair_decap(&p, &pkt), rows[i].want);
	}
	s.family = 5;
	CU_ASSERT_EQUAL(pair_allow(&p, PAIR_TUNNEL_IN, &s, 1), -EINVAL);
	pair_close(&p);
}

static void message_rows(void)
{
	struct xesp_selector s = pair_selector("10.2.0.0/24", "10.1.0.0/24"), wrong;
	struct xesp_keymsg_selectors *m = (void *)(uint64_t[64]){ 0 };
	const struct pair_opts o = { 0 };
	struct fault f = { "" };
	struct pair p;

	pair_open(&p, &o);
	wrong = s;
	wrong.local_port_first = 7;
	wrong.local_port_last = 6;
	CU_ASSERT_EQUAL(pair_allow(&p, PAIR_TUNNEL_IN, &wrong, 1), -EINVAL);
	wrong = s;
	wrong.remote_first = s.remote_last;
	wrong.remote_last = s.remote_first;
	CU_ASSERT_EQUAL(pair_allow(&p, PAIR_TUNNEL_IN, &wrong, 1), -EINVAL);
	CU_ASSERT_EQUAL(pair_allow(&p, 0, &s, 1), -EINVAL);
	CU_ASSERT_EQUAL(pair_allow(&p, PAIR_SAS, &s, 1), -EINVAL);
	/* Rows that go on need rows that began, of the same tunnel. */
	*m = (struct xesp_keymsg_selectors){ .tunnel = PAIR_TUNNEL_IN, .n = 1, .last = 1 };
	m->sel[0] = s;
	CU_ASSERT_EQUAL(sad_selectors(p.sad, m, &f), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "without a beginning"));
	m->first = 1;
	m->last = 0;
	CU_ASSERT_EQUAL(sad_selectors(p.sad, m, &f), 0);
	m->first = 0;
	m->last = 1;
	CU_ASSERT_EQUAL(sad_selectors(p.sad, m, &f), 0);
	CU_ASSERT_EQUAL(sad_selectors(p.sad, m, &f), -EINVAL);
	pair_close(&p);
}

CU_TestInfo selector_tests[] = {
	{ "inner packets against selectors, row by row", case_rows },
	{ "edges of an address range", edges_of_ranges },
	{ "rows of one family, however wide", row_of_a_family },
	{ "messages: empty ranges, rows without a beginning", message_rows },
	CU_TEST_INFO_NULL,
};
