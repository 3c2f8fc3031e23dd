/* SPDX-License-Identifier: BSD-2-Clause */
/* What ICMP errors quote, and which of them a tunnel lets in: RFC 4301 section 6.2. */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp/icmp_quote.h"
#include "esp/inner.h"
#include "esp/wire.h"
#include "sad/selector.h"
#include "tests/pair/pair.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static void put_addr(uint8_t *at, int version, const char *text)
{
	CU_ASSERT_EQUAL_FATAL(inet_pton(version == 4 ? AF_INET : AF_INET6, text, at), 1);
}

/* An IP header; returns its length. */
static uint32_t put_ip(uint8_t *at, int version, uint8_t proto, const char *src, const char *dst)
{
	memset(at, 0, 40);
	if (version == 4) {
		at[0] = 0x45;
		at[8] = 64;
		at[9] = proto;
		put_addr(at + 12, 4, src);
		put_addr(at + 16, 4, dst);
		return 20;
	}
	at[0] = 0x60;
	at[6] = proto;
	at[7] = 64;
	put_addr(at + 8, 6, src);
	put_addr(at + 24, 6, dst);
	return 40;
}

static void put_len(uint8_t *ip, int version, uint32_t len)
{
	if (version == 4) {
		wire_put16(ip + 2, (uint16_t)len);
		pair_checksum(ip);
	} else {
		wire_put16(ip + 4, (uint16_t)(len - 40));
	}
}

struct error {
	const char *what;
	int version;
	uint8_t type;
	const char *src, *dst;        /* of the error */
	const char *q_src, *q_dst;    /* of what it quotes */
	uint16_t q_sport, q_dport;    /* UDP */
	bool unchecked, checked;      /* is it let in without and with icmp_check? */
};

/* The error with 8 bytes of the quoted packet behind its header. Returns its length. */
static uint32_t build(uint8_t *ip, const struct error *e)
{
	uint8_t icmp = e->version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	uint32_t off = put_ip(ip, e->version, icmp, e->src, e->dst), q;

	memset(ip + off, 0, 8);
	ip[off] = e->type;
	off += 8;
	q = put_ip(ip + off, e->version, IPPROTO_UDP, e->q_src, e->q_dst);
	put_len(ip + off, e->version, q + 1000);
	wire_put16(ip + off + q, e->q_sport);
	wire_put16(ip + off + q + 2, e->q_dport);
	memset(ip + off + q + 4, 0, 4);
	put_len(ip, e->version, off + q + 8);
	return off + q + 8;
}

#define ROUTER4 "203.0.113.9"
#define ROUTER6 "2001:db8:99::9"

static const struct error errors[] = {
	{ "a router behind the peer: fragmentation needed", 4, 3, ROUTER4, "10.2.0.2", "10.2.0.2",
	  "10.1.0.2", 1000, 53, true, true },
	{ "a router behind the peer: time exceeded", 4, 11, ROUTER4, "10.2.0.2", "10.2.0.2",
	  "10.1.0.2", 1000, 53, true, true },
	{ "a router behind the peer: parameter problem", 4, 12, ROUTER4, "10.2.0.2", "10.2.0.2",
	  "10.1.0.2", 1000, 53, true, true },
	{ "packet too big", 6, 2, ROUTER6, "2001:db8:2::2", "2001:db8:2::2", "2001:db8:1::2", 1000,
	  53, true, true },
	{ "IPv6 unreachable", 6, 1, ROUTER6, "2001:db8:2::2", "2001:db8:2::2", "2001:db8:1::2", 1000,
	  53, true, true },
	{ "a port that the selectors do not have", 4, 3, ROUTER4, "10.2.0.2", "10.2.0.2", "10.1.0.2",
	  1000, 54, false, false },
	{ "quotes what never went into the tunnel", 4, 3, ROUTER4, "10.2.0.2", "10.2.0.2",
	  "198.51.100.1", 1000, 53, false, false },
	{ "quotes what another sent", 4, 3, ROUTER4, "10.2.0.2", "10.2.0.3", "10.1.0.2", 1000, 53,
	  false, false },
	{ "quotes it the wrong way round", 4, 3, ROUTER4, "10.2.0.2", "10.1.0.2", "10.2.0.2", 1000,
	  53, false, false },
	{ "no error: echo request from outside the selectors", 4, 8, ROUTER4, "10.2.0.2", "10.2.0.2",
	  "10.1.0.2", 1000, 53, false, false },
	{ "redirect is none of the errors", 4, 5, ROUTER4, "10.2.0.2", "10.2.0.2", "10.1.0.2", 1000,
	  53, false, false },
	{ "IPv6 redirect", 6, 137, ROUTER6, "2001:db8:2::2", "2001:db8:2::2", "2001:db8:1::2", 1000,
	  53, false, false },
	{ "from within the selectors, quotes what fits", 4, 3, "10.1.0.1", "10.2.0.2", "10.2.0.2",
	  "10.1.0.2", 1000, 53, true, true },
	{ "from within the selectors, quotes something else", 4, 3, "10.1.0.1", "10.2.0.2",
	  "10.2.0.2", "198.51.100.1", 1000, 53, true, false },
	{ "from within, IPv6, quotes something else", 6, 1, "2001:db8:1::1", "2001:db8:2::2",
	  "2001:db8:2::2", "2001:db8:77::1", 1000, 53, true, false },
	{ "from within the selectors, to another than the quoted sender", 4, 3, "10.1.0.1",
	  "10.2.0.2", "10.2.0.9", "10.1.0.2", 1000, 53, true, false },
	{ "from within the selectors, no error: echo reply", 4, 0, "10.1.0.1", "10.2.0.2",
	  "10.2.0.9", "10.1.0.2", 1000, 53, true, true },
};

/* ICMP, and UDP to port 53 behind the sending end. */
static void allow(struct pair *p)
{
	static const struct list_row row[] = {
		{ .local = "10.2.0.0/24", .remote = "10.1.0.0/24", .proto = IPPROTO_ICMP },
		{ .local = "2001:db8:2::/48", .remote = "2001:db8:1::/48", .proto = IPPROTO_ICMPV6 },
		{ .local = "10.2.0.0/24", .remote = "10.1.0.0/24", .proto = IPPROTO_UDP,
		  .remote_port = 53 },
		{ .local = "2001:db8:2::/48", .remote = "2001:db8:1::/48", .proto = IPPROTO_UDP,
		  .remote_port = 53 },
	};

	pair_allow(p, PAIR_TUNNEL_IN, row, LEN(row));
}

static void error_rows(void)
{
	static struct frame f;

	for (int check = 0; check < 2; check++) {
		struct pair p;

		pair_open(&p, &(struct pair_opts){ 0 });
		allow(&p);
		p.tunnel_in.icmp_check = (uint8_t)check;
		CU_ASSERT_EQUAL_FATAL(sad_tunnel_set(p.sad, &p.tunnel_in, NULL), 0);
		for (size_t i = 0; i < LEN(errors); i++) {
			bool want = check ? errors[i].checked : errors[i].unchecked;
			struct pkt pkt = pair_clear(&f, build(f.bytes + PAIR_HEADROOM, &errors[i]));

			CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
			pair_turn(&pkt);
			pair_decap(&p, &pkt);
			if (pkt.drop != (want ? XESP_DROP_NONE : XESP_DROP_SELECTOR_MISMATCH))
				fprintf(stderr, "icmp quote: %s, check %d: %d\n", errors[i].what,
					check, pkt.drop);
			CU_ASSERT_EQUAL(pkt.drop,
					want ? XESP_DROP_NONE : XESP_DROP_SELECTOR_MISMATCH);
		}
		pair_close(&p);
	}
}

/* The quote cut at every length; each byte altered. The walk ends inside it (AddressSanitizer). */
static void truncated_and_mutated(void)
{
	static const uint8_t values[] = { 0, 1, 0x0f, 0x3b, 0x44, 0x4f, 0x60, 0x7f, 0x80, 0xff, 43, 44, 60 };
	static const size_t picks[] = { 0, 3 };

	for (size_t k = 0; k < LEN(picks); k++) {
		const struct error *e = &errors[picks[k]];
		const uint32_t outer = e->version == 4 ? 20 : 40;
		uint8_t whole[160];
		uint32_t len = build(whole, e);

		for (uint32_t n = 0; n <= len; n++) {
			for (uint32_t m = 0; m < n * LEN(values) + 1; m++) {
				uint8_t *ip = malloc(n ? n : 1);
				struct selector_key key;
				struct icmp_quote q;
				struct inner in;

				memcpy(ip, whole, n);
				if (m)
					ip[(m - 1) / LEN(values)] = values[(m - 1) % LEN(values)];
				if (n >= outer && (e->version == 6 || (ip[0] & 15u) * 4 <= n))
					put_len(ip, e->version, n);
				if (inner_parse(&in, ip, n))
					icmp_quote_of(&key, ip, &in);
				if (n > outer + 8 &&
				    icmp_quote_parse(&q, ip + outer + 8, n - outer - 8,
						     (uint8_t)e->version)) {
					CU_ASSERT_TRUE(q.l4_off <= q.have);
					icmp_quote_key(&key, &q);
				}
				free(ip);
			}
		}
	}
}

static void cut_quotes(void)
{
	const struct error *e = &errors[0];
	uint8_t ip[160];
	uint32_t len = build(ip, e);
	struct selector_key key;
	struct inner in;

	for (uint32_t n = 21; n <= len; n++) {
		enum icmp_quote_found found;

		put_len(ip, 4, n);
		CU_ASSERT_TRUE_FATAL(inner_parse(&in, ip, n));
		found = icmp_quote_of(&key, ip, &in);
		CU_ASSERT_EQUAL(found, n < 48 ? ICMP_QUOTE_BAD : ICMP_QUOTE_KEY);
		if (found == ICMP_QUOTE_KEY)
			CU_ASSERT_EQUAL(key.fields == XESP_FIELDS_KNOWN, n >= 52);
	}
	CU_ASSERT_EQUAL(key.local_port, 1000);
	CU_ASSERT_EQUAL(key.remote_port, 53);
	/* A later fragment that is quoted has no ports. */
	wire_put16(ip + 28 + 6, 0x0010);
	CU_ASSERT_EQUAL(icmp_quote_of(&key, ip, &in), ICMP_QUOTE_KEY);
	CU_ASSERT_EQUAL(key.fields, XESP_FIELDS_LATER);
	/* A later fragment of an error is no error that could be read. */
	wire_put16(ip + 6, 0x0010);
	put_len(ip, 4, len);
	CU_ASSERT_TRUE_FATAL(inner_parse(&in, ip, len));
	CU_ASSERT_EQUAL(icmp_quote_of(&key, ip, &in), ICMP_QUOTE_NONE);
}

CU_TestInfo icmp_quote_tests[] = {
	{ "ICMP errors out of a tunnel, row by row", error_rows },
	{ "quotes cut off", cut_quotes },
	{ "quotes cut off and altered", truncated_and_mutated },
	CU_TEST_INFO_NULL,
};
