/* SPDX-License-Identifier: BSD-2-Clause */
/* The SPD as the slow path reads it from the maps: first match, keys of packets, stale maps. */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "libxesp/addr.h"
#include "slow/check.h"
#include "slow/spd.h"
#include "esp/wire.h"
#include "tests/unit/user/maps.h"

#define LEN(a)  (sizeof(a) / sizeof((a)[0]))
#define PROTECT XESP_ACTION_PROTECT
#define BYPASS  XESP_ACTION_BYPASS
#define DISCARD XESP_ACTION_DISCARD

/* In order. */
static const struct maps_policy policies[] = {
	{ "10.1.0.0/16", "10.2.9.9/32", 11, 0, DISCARD, 0, 0, 0 },
	{ "10.1.0.0/16", "10.2.0.0/16", 12, 0, BYPASS, 443, IPPROTO_TCP, 0 },
	{ "10.1.0.0/16", "10.2.0.0/16", 17, 0, DISCARD, 0, IPPROTO_TCP, 1023 },
	{ "10.1.0.0/16", "10.2.0.0/16", 13, 7, PROTECT, 0, 0, 0 },
	{ "0.0.0.0/0", "10.0.0.0/8", 14, 0, DISCARD, 0, IPPROTO_ICMP, 0 },
	{ "::/0", "2001:db8:2::/48", 15, 8, PROTECT, 0, 0, 0 },
	{ "0.0.0.0/0", "0.0.0.0/0", 16, 9, PROTECT, 53, IPPROTO_UDP, 0 },
};

static const struct {
	const char *what, *local, *remote;
	uint8_t proto;
	uint16_t port; /* remote; 0: not known */
	uint32_t policy, tunnel, action;
} rows[] = {
	{ "protect", "10.1.0.2", "10.2.0.2", IPPROTO_UDP, 1000, 13, 7, PROTECT },
	{ "the port of a policy before it", "10.1.0.2", "10.2.0.2", IPPROTO_TCP, 443, 12, 0,
	  BYPASS },
	{ "that port, another protocol", "10.1.0.2", "10.2.0.2", IPPROTO_UDP, 443, 13, 7, PROTECT },
	{ "no ports: the policy with a port does not match", "10.1.0.2", "10.2.0.2", IPPROTO_GRE, 0,
	  13, 7, PROTECT },
	{ "a range of ports", "10.1.0.2", "10.2.0.2", IPPROTO_TCP, 1023, 17, 0, DISCARD },
	{ "behind that range", "10.1.0.2", "10.2.0.2", IPPROTO_TCP, 1024, 13, 7, PROTECT },
	{ "the first of three that match", "10.1.0.2", "10.2.9.9", IPPROTO_TCP, 443, 11, 0,
	  DISCARD },
	{ "the protocol alone", "10.9.0.2", "10.3.0.1", IPPROTO_ICMP, 0, 14, 0, DISCARD },
	{ "another local prefix", "10.9.0.2", "10.2.0.2", IPPROTO_UDP, 1, 0, 0, DISCARD },
	{ "no policy: the default", "10.1.0.2", "192.0.2.1", IPPROTO_TCP, 80, 0, 0, DISCARD },
	{ "any address, a port", "10.9.0.2", "192.0.2.1", IPPROTO_UDP, 53, 16, 9, PROTECT },
	{ "IPv6", "2001:db8:1::2", "2001:db8:2::2", IPPROTO_ICMPV6, 0, 15, 8, PROTECT },
	{ "IPv6 is not matched by 0.0.0.0/0", "2001:db8:1::2", "2001:db8:3::2", IPPROTO_UDP, 53, 0,
	  0, DISCARD },
};

static void first_match(void)
{
	struct pins pins;
	struct spd *s;

	maps_open(&pins);
	for (__u16 i = 0; i < LEN(policies); i++)
		maps_policy(&pins, i, &policies[i]);
	maps_commit(&pins, LEN(policies), DISCARD);
	CU_ASSERT_EQUAL_FATAL(spd_open(&s, &pins, NULL), 0);
	for (size_t i = 0; i < LEN(rows); i++) {
		struct spd_key k = { .proto = rows[i].proto,
				     .remote_port = htons(rows[i].port),
				     .local_port = htons(12345),
				     .fields = rows[i].port ? XESP_FIELDS_KNOWN :
							      XESP_FIELDS_NONE };
		struct xesp_spd_val found = { 0 };
		bool ok;

		addr_parse(&k.local, rows[i].local, NULL);
		addr_parse(&k.remote, rows[i].remote, NULL);
		k.family = addr_is_ip4(&k.remote) ? 4 : 6;
		ok = spd_find(s, &k, &found) == XESP_DROP_NONE && found.policy == rows[i].policy &&
		     found.tunnel == rows[i].tunnel && found.action == rows[i].action;
		if (!ok)
			fprintf(stderr, "spd: %s: policy %u, action %u\n", rows[i].what,
				found.policy, found.action);
		CU_ASSERT_TRUE(ok);
	}
	spd_close(s);
	maps_close(&pins);
}

static void generations(void)
{
	struct xesp_spd_val found;
	const __u32 second = 1, index = (XESP_DIR_MAX + XESP_DIR_OUT) * XESP_TUPLES_MAX;
	struct xesp_spd_tuple old = { .generation = 1 };
	struct xesp_spd_head head = { .generation = 5 };
	struct spd_key k = { .proto = IPPROTO_UDP, .family = 4 };
	struct pins pins;
	struct spd *s;

	addr_parse(&k.local, "10.1.0.2", NULL);
	addr_parse(&k.remote, "10.2.0.2", NULL);
	maps_open(&pins);
	CU_ASSERT_EQUAL_FATAL(spd_open(&s, &pins, NULL), 0);
	CU_ASSERT_EQUAL(spd_find(s, &k, &found), XESP_DROP_NOT_LOADED);

	maps_policy(&pins, 0, &policies[3]);
	maps_commit(&pins, 1, DISCARD);
	CU_ASSERT_EQUAL(spd_find(s, &k, &found), XESP_DROP_NONE);
	CU_ASSERT_EQUAL(found.policy, 13);

	/* The next one, with another answer, and back to an empty one. */
	maps_policy(&pins, 0,
		    &(struct maps_policy){ "10.1.0.0/16", "10.2.0.0/16", 21, 0, DISCARD, 0, 0, 0 });
	maps_commit(&pins, 1, DISCARD);
	CU_ASSERT_EQUAL(spd_find(s, &k, &found), XESP_DROP_NONE);
	CU_ASSERT_EQUAL(found.policy, 21);
	maps_commit(&pins, 0, BYPASS);
	CU_ASSERT_EQUAL(spd_find(s, &k, &found), XESP_DROP_NONE);
	CU_ASSERT(found.policy == 0 && found.action == BYPASS);

	/* A tuple of another generation, then a count that no head can have, then a head. */
	maps_commit(&pins, 1, DISCARD);
	maps_commit(&pins, 1, DISCARD); /* generation 5 */
	CU_ASSERT_EQUAL(spd_find(s, &k, &found), XESP_DROP_NONE);
	maps_set(&pins, PINS_SPD_TUPLE, &index, &old);
	CU_ASSERT_EQUAL(spd_find(s, &k, &found), XESP_DROP_STALE_MAPS);
	head.tuples_n[XESP_DIR_OUT] = XESP_TUPLES_MAX + 1;
	maps_set(&pins, PINS_SPD_HEAD, &second, &head);
	CU_ASSERT_EQUAL(spd_find(s, &k, &found), XESP_DROP_STALE_MAPS);
	head.tuples_n[XESP_DIR_OUT] = 0;
	maps_set(&pins, PINS_SPD_HEAD, &second, &head);
	CU_ASSERT_EQUAL(spd_find(s, &k, &found), XESP_DROP_NONE);
	head.generation = 3;
	maps_set(&pins, PINS_SPD_HEAD, &second, &head);
	CU_ASSERT_EQUAL(spd_find(s, &k, &found), XESP_DROP_STALE_MAPS);
	spd_close(s);
	maps_close(&pins);
}

/* RFC 4301 section 7.3, for what the kernel routed here in pieces. */
static void later_fragments(void)
{
	struct spd_key first = { .proto = IPPROTO_UDP, .family = 4, .fields = XESP_FIELDS_KNOWN,
				 .remote_port = htons(53), .first = true, .frag_id = 77 };
	struct spd_key later = { .proto = IPPROTO_UDP, .family = 4, .fields = XESP_FIELDS_LATER,
				 .frag_id = 77 };
	struct xesp_spd_val found;
	struct pins pins;
	struct spd *s;

	addr_parse(&first.local, "10.1.0.2", NULL);
	addr_parse(&first.remote, "10.9.0.2", NULL);
	later.local = first.local;
	later.remote = first.remote;
	maps_open(&pins);
	CU_ASSERT_EQUAL_FATAL(spd_open(&s, &pins, NULL), 0);
	maps_policy(&pins, 0, &policies[6]);
	maps_policy(&pins, 1,
		    &(struct maps_policy){ "10.1.0.0/16", "10.0.0.0/8", 22, 0, BYPASS, 0, 0, 0 });
	maps_commit(&pins, 2, DISCARD);
	CU_ASSERT_EQUAL(spd_find(s, &later, &found), XESP_DROP_FRAGMENT_UNKNOWN);
	CU_ASSERT_EQUAL(spd_find(s, &first, &found), XESP_DROP_NONE);
	CU_ASSERT_EQUAL(found.policy, 16);
	CU_ASSERT_EQUAL(spd_find(s, &later, &found), XESP_DROP_NONE);
	CU_ASSERT(found.policy == 16 && found.tunnel == 9 && found.action == PROTECT);
	/* Another datagram's, whose first went the other way. */
	first.frag_id = later.frag_id = 78;
	first.remote_port = htons(54);
	CU_ASSERT_EQUAL(spd_find(s, &later, &found), XESP_DROP_FRAGMENT_UNKNOWN);
	CU_ASSERT_EQUAL(spd_find(s, &first, &found), XESP_DROP_NONE);
	CU_ASSERT_EQUAL(spd_find(s, &later, &found), XESP_DROP_NONE);
	CU_ASSERT(found.policy == 22 && found.action == BYPASS);
	/* Of another protocol it is another datagram. */
	later.proto = IPPROTO_TCP;
	CU_ASSERT_EQUAL(spd_find(s, &later, &found), XESP_DROP_NONE);
	CU_ASSERT_EQUAL(found.policy, 22);
	/* Of another generation nothing is known: its tunnel may be gone. */
	later.proto = IPPROTO_UDP;
	maps_commit(&pins, 2, DISCARD);
	CU_ASSERT_EQUAL(spd_find(s, &later, &found), XESP_DROP_FRAGMENT_UNKNOWN);
	spd_close(s);
	maps_close(&pins);
}

/* 10.1.0.2:1000 -> 10.2.0.2:443, and the same in IPv6. */
static uint32_t make(uint8_t *ip, int version, uint8_t proto, uint16_t frag)
{
	uint8_t *l4 = ip + (version == 4 ? 20 : frag ? 48 : 40);

	memset(ip, 0, 100);
	if (version == 4) {
		ip[0] = 0x45;
		wire_put16(ip + 2, 60);
		wire_put16(ip + 6, frag);
		ip[9] = proto;
		wire_put32(ip + 12, 0x0a010002);
		wire_put32(ip + 16, 0x0a020002);
		wire_put16(ip + 10, check_fold(check_add(0, ip, 20)));
	} else {
		ip[0] = 0x60;
		wire_put16(ip + 4, 40);
		ip[6] = frag ? IPPROTO_FRAGMENT : proto;
		memcpy(ip + 8, "\x20\x01\x0d\xb8\0\1\0\0\0\0\0\0\0\0\0\2", 16);
		memcpy(ip + 24, "\x20\x01\x0d\xb8\0\2\0\0\0\0\0\0\0\0\0\2", 16);
		ip[40] = proto;
		wire_put16(ip + 42, frag);
	}
	wire_put16(l4, 1000);
	wire_put16(l4 + 2, 443);
	return version == 4 ? 60 : 80;
}

static void keys_of_packets(void)
{
	static const struct {
		int version;
		uint8_t proto;
		uint16_t frag;
		enum xesp_fields fields;
		uint16_t local, remote;
		bool first;
	} packets[] = {
		{ 4, IPPROTO_TCP, 0, XESP_FIELDS_KNOWN, 1000, 443, false },
		{ 4, IPPROTO_UDP, 0x2000, XESP_FIELDS_KNOWN, 1000, 443, true },
		{ 4, IPPROTO_UDP, 0x2001, XESP_FIELDS_LATER, 0, 0, false },
		{ 4, IPPROTO_UDP, 0x0001, XESP_FIELDS_LATER, 0, 0, false },
		{ 4, IPPROTO_ICMP, 0, XESP_FIELDS_KNOWN, 1000 >> 8, 1000 & 255, false },
		{ 4, IPPROTO_ESP, 0, XESP_FIELDS_NONE, 0, 0, false },
		{ 6, IPPROTO_TCP, 0, XESP_FIELDS_KNOWN, 1000, 443, false },
		{ 6, IPPROTO_UDP, 0x0001, XESP_FIELDS_KNOWN, 1000, 443, true },
		{ 6, IPPROTO_UDP, 0x0009, XESP_FIELDS_LATER, 0, 0, false },
		{ 6, IPPROTO_ICMPV6, 0, XESP_FIELDS_KNOWN, 1000 >> 8, 1000 & 255, false },
		{ 6, IPPROTO_MH, 0, XESP_FIELDS_KNOWN, 443 >> 8, 0, false },
	};
	struct xesp_addr local[2], remote[2];
	struct spd_key k;
	uint8_t ip[100];

	addr_parse(&local[0], "10.1.0.2", NULL);
	addr_parse(&remote[0], "10.2.0.2", NULL);
	addr_parse(&local[1], "2001:db8:1::2", NULL);
	addr_parse(&remote[1], "2001:db8:2::2", NULL);
	for (size_t i = 0; i < LEN(packets); i++) {
		uint32_t len = make(ip, packets[i].version, packets[i].proto, packets[i].frag);
		int six = packets[i].version == 6;

		CU_ASSERT_EQUAL(spd_key(&k, ip, len), XESP_DROP_NONE);
		CU_ASSERT(k.family == packets[i].version && k.proto == packets[i].proto);
		CU_ASSERT(addr_equal(&k.local, &local[six]) && addr_equal(&k.remote, &remote[six]));
		CU_ASSERT(k.fields == packets[i].fields && k.first == packets[i].first);
		CU_ASSERT(ntohs(k.local_port) == packets[i].local &&
			  ntohs(k.remote_port) == packets[i].remote);
		for (uint32_t cut = 0; cut < len; cut++)
			CU_ASSERT_EQUAL(spd_key(&k, ip, cut), XESP_DROP_MALFORMED_IP);
	}
}

/* Its key would be that of an IPv4 packet. */
static void mapped_addresses(void)
{
	struct spd_key k;
	uint8_t ip[100];

	for (int at = 8; at <= 24; at += 16) {
		uint32_t len = make(ip, 6, IPPROTO_TCP, 0);

		memcpy(ip + at, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\1\0\2", 16);
		CU_ASSERT_EQUAL(spd_key(&k, ip, len), XESP_DROP_MALFORMED_IP);
	}
}

CU_TestInfo slow_spd_tests[] = {
	{ "first match by rank, protocol, ports and family", first_match },
	{ "a generation is seen whole or not at all", generations },
	{ "later fragments follow their first one", later_fragments },
	{ "what a policy sees of a packet", keys_of_packets },
	{ "IPv6 with IPv4-mapped addresses", mapped_addresses },
	CU_TEST_INFO_NULL,
};
