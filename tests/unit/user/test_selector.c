/* SPDX-License-Identifier: BSD-2-Clause */
/* The inbound check of RFC 4301 section 5.2: which inner packet may come out of which tunnel. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "esp/wire.h"
#include "tests/pair/pair.h"

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
	{ "later fragment has none, but these may be meant", 4, UDP_PORTS, FRAGMENT_LATER, OK },
	{ "later fragment, any port", 4, UDP_ANY_PORT, FRAGMENT_LATER, OK },
	{ "no room for ports", 4, UDP_PORTS, SHORT_L4, MISMATCH },
	{ "no room for ports, any port", 4, UDP_ANY_PORT, SHORT_L4, OK },
	{ "behind extension headers", 6, UDP_PORTS, EXT_CHAIN, OK },
	{ "extension header cut off", 6, ANY, EXT_CUT, BAD },
	{ "extension header longer than the packet", 6, ANY, EXT_LONG, BAD },
	{ "behind a fragment header, first", 6, UDP_PORTS, EXT_FRAGMENT_FIRST, OK },
	{ "behind a fragment header, later", 6, UDP_PORTS, EXT_FRAGMENT_LATER, OK },
	{ "behind a fragment header, later, any port", 6, UDP_ANY_PORT, EXT_FRAGMENT_LATER, OK },
	{ "behind a fragment header, later, any protocol", 6, ANY, EXT_FRAGMENT_LATER, OK },
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
	struct list_row row[] = {
		{ .local = "10.2.0.0/24", .remote = "10.1.0.0/24" },
		{ .local = "2001:db8:2::/48", .remote = "2001:db8:1::/48" },
	};

	for (int i = 0; i < 2; i++) {
		if (rows == LOW_PORTS) {
			row[i].proto = 17;
			row[i].has_local = row[i].has_remote = true;
			row[i].remote_port_last = row[i].local_port_last = 2000;
		}
		if (rows == UDP_PORTS || rows == UDP_ANY_PORT)
			row[i].proto = 17;
		if (rows == UDP_PORTS) {
			row[i].remote_port = 1000;
			row[i].local_port = 1990;
			row[i].local_port_last = 2000;
		}
	}
	pair_allow(p, PAIR_TUNNEL_IN, row, rows == NONE ? 0 : 2);
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

static enum xesp_drop through(struct pair *p, int version, void (*alter)(uint8_t *ip, int arg),
			      int arg)
{
	static struct frame f;
	struct pkt pkt = pair_make(&f, version, 400);

	if (alter)
		alter(pkt.l3, arg);
	if (version == 4)
		pair_checksum(pkt.l3);
	CU_ASSERT_EQUAL(pair_encap(p, &pkt), OK);
	pair_turn(&pkt);
	return pair_decap(p, &pkt);
}

static void set_source(uint8_t *ip, int last_byte)
{
	ip[15] = (uint8_t)last_byte;
}

static void edges_of_prefixes(void)
{
	static const struct list_row row = { .local = "10.2.0.0/24", .remote = "10.1.0.8/29" },
				     all6 = { .local = "::/0", .remote = "2000::/3" },
				     all4 = { .local = "0.0.0.0/0" };
	const struct pair_opts o = { 0 };
	struct pair p;

	pair_open(&p, &o);
	pair_allow(&p, PAIR_TUNNEL_IN, &row, 1);
	CU_ASSERT_EQUAL(through(&p, 4, set_source, 7), MISMATCH);
	CU_ASSERT_EQUAL(through(&p, 4, set_source, 8), OK);
	CU_ASSERT_EQUAL(through(&p, 4, set_source, 15), OK);
	CU_ASSERT_EQUAL(through(&p, 4, set_source, 16), MISMATCH);
	/* A family holds none of the other's addresses, however wide the prefix. */
	pair_allow(&p, PAIR_TUNNEL_IN, &all6, 1);
	CU_ASSERT_EQUAL(through(&p, 4, NULL, 0), MISMATCH);
	CU_ASSERT_EQUAL(through(&p, 6, NULL, 0), OK);
	pair_allow(&p, PAIR_TUNNEL_IN, &all4, 1);
	CU_ASSERT_EQUAL(through(&p, 4, NULL, 0), OK);
	CU_ASSERT_EQUAL(through(&p, 6, NULL, 0), MISMATCH);
	pair_close(&p);
}

/* RFC 4301 section 5.2: the tunnel's policy must be the first that matches, of the whole list. */
static void first_match_decides(void)
{
	static const struct list_row mine = { .local = "10.2.0.0/24", .remote = "10.1.0.0/24" };
	static const struct {
		const char *what;
		struct list_row before;
		enum xesp_drop want;
	} rows[] = {
		{ "a discard before it", { .action = XESP_ACTION_DISCARD, .remote = "10.1.0.2/32" },
		  MISMATCH },
		{ "a bypass before it", { .action = XESP_ACTION_BYPASS, .remote = "10.1.0.2/32" },
		  MISMATCH },
		{ "another tunnel's before it", { .tunnel = 9, .remote = "10.1.0.2/32" }, MISMATCH },
		{ "a discard of other addresses",
		  { .action = XESP_ACTION_DISCARD, .remote = "10.1.0.3/32" }, OK },
		{ "a discard of the other family",
		  { .action = XESP_ACTION_DISCARD, .remote = "::/0" }, OK },
		{ "a discard of other ports",
		  { .action = XESP_ACTION_DISCARD, .proto = 17, .remote_port = 1001 }, OK },
		{ "a discard of these ports",
		  { .action = XESP_ACTION_DISCARD, .proto = 17, .remote_port = 1000 }, MISMATCH },
	};
	const struct pair_opts o = { 0 };
	struct pair p;

	pair_open(&p, &o);
	for (size_t i = 0; i < LEN(rows); i++) {
		struct list_row both[] = { rows[i].before, mine };
		struct list_row turned[] = { mine, rows[i].before };
		enum xesp_drop got;

		pair_allow(&p, PAIR_TUNNEL_IN, both, 2);
		got = through(&p, 4, NULL, 0);
		if (got != rows[i].want)
			fprintf(stderr, "selector: %s: %d\n", rows[i].what, got);
		CU_ASSERT_EQUAL(got, rows[i].want);
		/* The same in the other order, for the flow that is remembered. */
		pair_allow(&p, PAIR_TUNNEL_IN, turned, 2);
		CU_ASSERT_EQUAL(through(&p, 4, NULL, 0), OK);
	}
	/* No SPD at all. */
	p.spd.conf->generation = 0;
	CU_ASSERT_EQUAL(through(&p, 4, NULL, 0), MISMATCH);
	pair_close(&p);
}

static void set_fragment(uint8_t *ip, int offset)
{
	wire_put16(ip + 4, 77);
	wire_put16(ip + 6, (uint16_t)offset);
}

static void set_other_fragment(uint8_t *ip, int offset)
{
	set_fragment(ip, offset);
	wire_put16(ip + 4, 78);
}

static void set_port(uint8_t *ip, int offset)
{
	set_fragment(ip, offset);
	wire_put16(ip + 20, 7);
}

/* RFC 4301 section 7.3. */
static void later_fragments_follow(void)
{
	static const struct list_row row = { .local = "10.2.0.0/24", .remote = "10.1.0.0/24",
					     .proto = 17, .remote_port = 1000 };
	const struct list_row both[] = {
		{ .action = XESP_ACTION_DISCARD, .proto = 17, .remote_port = 7 },
		{ .local = "10.2.0.0/24", .remote = "10.1.0.0/24" },
	};
	const struct pair_opts o = { 0 };
	struct pair p;

	pair_open(&p, &o);
	pair_allow(&p, PAIR_TUNNEL_IN, &row, 1);
	/* Before its first: the policy could be meant, and without the first it is of no use. */
	CU_ASSERT_EQUAL(through(&p, 4, set_fragment, 0x2001), OK);
	CU_ASSERT_EQUAL(through(&p, 4, set_fragment, 0x2000), OK);
	CU_ASSERT_EQUAL(through(&p, 4, set_fragment, 0x2001), OK);
	CU_ASSERT_EQUAL(through(&p, 4, set_fragment, 0x0002), OK);
	CU_ASSERT_EQUAL(through(&p, 4, set_other_fragment, 0x0002), OK);
	/* A first one that is refused takes its later ones along. */
	CU_ASSERT_EQUAL(through(&p, 4, set_port, 0x2000), MISMATCH);
	CU_ASSERT_EQUAL(through(&p, 4, set_fragment, 0x0002), MISMATCH);
	CU_ASSERT_EQUAL(through(&p, 4, set_fragment, 0x2000), OK);
	/* What could be meant is a discard: not without its first. */
	pair_allow(&p, PAIR_TUNNEL_IN, both, 2);
	CU_ASSERT_EQUAL(through(&p, 4, set_fragment, 0x0002), MISMATCH);
	CU_ASSERT_EQUAL(through(&p, 4, set_fragment, 0x2000), OK);
	CU_ASSERT_EQUAL(through(&p, 4, set_fragment, 0x0002), OK);
	pair_allow(&p, PAIR_TUNNEL_IN, both, 2); /* another generation */
	CU_ASSERT_EQUAL(through(&p, 4, set_fragment, 0x0002), MISMATCH);
	pair_close(&p);
}

enum field { F_NONE, F_SOURCE, F_DESTINATION, F_SOURCE_PORT, F_DESTINATION_PORT, F_PROTO, FIELDS };

static void set_field(uint8_t *ip, int field)
{
	switch (field) {
	case F_SOURCE:
		ip[15] ^= 1;
		break;
	case F_DESTINATION:
		ip[19] ^= 1;
		break;
	case F_SOURCE_PORT:
		ip[21] ^= 1;
		break;
	case F_DESTINATION_PORT:
		ip[23] ^= 1;
		break;
	case F_PROTO:
		ip[9] = 6;
		break;
	default:
		break;
	}
}

static void set_source_port(uint8_t *ip, int port)
{
	wire_put16(ip + 20, (uint16_t)port);
}

/* Answers are remembered by flow: what differs in one field only is another flow. */
static void flows_are_told_apart(void)
{
	static const struct list_row one = { .local = "10.2.0.2/32", .remote = "10.1.0.2/32",
					     .proto = 17, .remote_port = 1000, .local_port = 2000 };
	const struct pair_opts o = { 0 };
	struct pair p;

	pair_open(&p, &o);
	pair_allow(&p, PAIR_TUNNEL_IN, &one, 1);
	for (int round = 0; round < 3; round++)
		for (int f = F_NONE; f < FIELDS; f++)
			CU_ASSERT_EQUAL(through(&p, 4, set_field, f), f == F_NONE ? OK : MISMATCH);
	pair_close(&p);
}

/* More flows than are remembered, each again after the others: none has another's answer. */
static void more_flows_than_places(void)
{
	static const struct list_row ports = { .local = "10.2.0.0/24", .remote = "10.1.0.0/24",
					       .proto = 17, .has_remote = true,
					       .remote_port_last = 3000, .local_port = 2000 };
	const struct pair_opts o = { 0 };
	int wrong = 0;
	struct pair p;

	pair_open(&p, &o);
	pair_allow(&p, PAIR_TUNNEL_IN, &ports, 1);
	for (int round = 0; round < 2; round++)
		for (int port = 0; port < 6000; port++)
			wrong += through(&p, 4, set_source_port, port) != (port <= 3000 ? OK : MISMATCH);
	CU_ASSERT_EQUAL(wrong, 0);
	/* Answers of a list that is no more in force are none. */
	pair_allow(&p, PAIR_TUNNEL_IN, &ports, 0);
	for (int port = 0; port < 6000; port++)
		wrong += through(&p, 4, set_source_port, port) != MISMATCH;
	CU_ASSERT_EQUAL(wrong, 0);
	pair_close(&p);
}

CU_TestInfo selector_tests[] = {
	{ "inner packets against selectors, row by row", case_rows },
	{ "edges of prefixes, and families", edges_of_prefixes },
	{ "the first match of the whole list decides", first_match_decides },
	{ "later fragments follow their first one", later_fragments_follow },
	{ "remembered flows are told apart by every field", flows_are_told_apart },
	{ "more flows than can be remembered", more_flows_than_places },
	CU_TEST_INFO_NULL,
};
