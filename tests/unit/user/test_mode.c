/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transport mode, and AH in both modes, from end to end in memory: every length, every truncation,
 * every flipped bit, where the header stands, what fits, and whose packets are taken.
 */
#include <CUnit/CUnit.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "esp/wire.h"
#include "sad/sa.h"
#include "tests/pair/pair.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* What an SA may be here: two ciphers of different alignment for ESP, all of AH. */
struct kind {
	const char *name;
	bool ah;
	uint8_t alg, auth, iv_len, icv_len, align;
};

static const struct kind kinds[] = {
	{ "aes-gcm-16", false, XESP_ALG_AES_GCM_16, 0, 8, 16, 4 },
	{ "aes-cbc+sha256", false, XESP_ALG_AES_CBC, XESP_AUTH_HMAC_SHA2_256_128, 16, 16, 16 },
	{ "ah sha256", true, 0, XESP_AUTH_HMAC_SHA2_256_128, 0, 16, 1 },
	{ "ah sha384", true, 0, XESP_AUTH_HMAC_SHA2_384_192, 0, 24, 1 },
	{ "ah sha512", true, 0, XESP_AUTH_HMAC_SHA2_512_256, 0, 32, 1 },
	{ "ah gmac", true, 0, XESP_AUTH_AES_GMAC, 8, 16, 1 },
};

static struct pair_opts opts(const struct kind *k, int version, uint8_t mode, bool esn)
{
	return (struct pair_opts){ .outer6 = version == 6, .esn = esn, .alg = k->alg,
				   .auth = k->auth, .mode = mode, .ah = k->ah };
}

/* A packet of this machine to the tunnel's far end. */
static struct pkt make_own(struct frame *f, int version, uint32_t len)
{
	static const uint8_t ends4[8] = { 192, 0, 2, 1, 192, 0, 2, 2 };
	struct pkt p = pair_make(f, version, len);

	if (version == 4) {
		memcpy(p.l3 + 12, ends4, 8);
		pair_checksum(p.l3);
	} else {
		memset(p.l3 + 8, 0, 32);
		memcpy(p.l3 + 8, "\x20\x01\x0d\xb8", 4);
		memcpy(p.l3 + 24, "\x20\x01\x0d\xb8", 4);
		p.l3[23] = 1;
		p.l3[39] = 2;
	}
	p.local = true;
	return p;
}

static struct pkt make(struct frame *f, uint8_t mode, int version, uint32_t len)
{
	struct pkt p = mode == XESP_MODE_TRANSPORT ? make_own(f, version, len) :
						      pair_make(f, version, len);

	p.local = true;
	return p;
}

/* RFC 4303 section 2, RFC 4302 section 2, in our own words. */
static uint32_t wire_len(const struct kind *k, uint8_t mode, int version, uint32_t len)
{
	uint32_t hdr = version == 6 ? 40 : 20, unit = version == 6 ? 8 : 4;
	uint32_t payload = mode == XESP_MODE_TRANSPORT ? len - hdr : len;

	if (k->ah)
		return hdr + (12u + k->iv_len + k->icv_len + unit - 1) / unit * unit + payload;
	return hdr + 8 + k->iv_len + (payload + 2u + k->align - 1) / k->align * k->align + k->icv_len;
}

static void check_wire(const struct pkt *p, const struct kind *k, int version)
{
	const uint8_t *h = p->l3 + p->l4_off;
	uint8_t proto = k->ah ? IPPROTO_AH : IPPROTO_ESP;

	CU_ASSERT_EQUAL(version == 4 ? p->l3[9] : p->l3[6], proto);
	CU_ASSERT_EQUAL(version == 4 ? wire_get16(p->l3 + 2) : 40u + wire_get16(p->l3 + 4), p->len);
	CU_ASSERT_EQUAL(wire_get32(h + (k->ah ? 4 : 0)), PAIR_SPI);
	if (k->ah) {
		CU_ASSERT_EQUAL((h[1] + 2) * 4 % (version == 6 ? 8 : 4), 0);
		CU_ASSERT_EQUAL(wire_get16(h + 2), 0);
	}
}

static void round_trips(const struct kind *k, uint8_t mode, int version, bool esn)
{
	struct pair_opts o = opts(k, version, mode, esn);
	static struct frame f;
	uint8_t want[512];
	struct pair p;
	uint32_t bad = 0;

	pair_open(&p, &o);
	for (uint32_t len = version == 4 ? 20 : 40; len <= 300; len++) {
		struct pkt pkt = make(&f, mode, version, len);

		memcpy(want, pkt.l3, len);
		if (pair_encap(&p, &pkt) || pkt.len != wire_len(k, mode, version, len)) {
			bad++;
			continue;
		}
		check_wire(&pkt, k, version);
		pair_turn(&pkt);
		bad += pair_decap(&p, &pkt) || pkt.len != len || memcmp(pkt.l3, want, len);
	}
	if (bad)
		printf("  %s, mode %d, IPv%d, ESN %d\n", k->name, mode, version, esn);
	CU_ASSERT_EQUAL(bad, 0);
	pair_close(&p);
}

static void test_every_length(void)
{
	for (size_t i = 0; i < LEN(kinds); i++)
		for (int n = 0; n < 8; n++)
			round_trips(&kinds[i], n & 1 ? XESP_MODE_TRANSPORT : XESP_MODE_TUNNEL,
				    n & 2 ? 6 : 4, n & 4);
}

/* Each shorter packet, its IP header agreeing, is refused for a reason, and never read beyond. */
static void truncated(const struct kind *k, uint8_t mode, int version)
{
	struct pair_opts o = opts(k, version, mode, true);
	static struct frame f, sealed;
	struct pair p;
	struct pkt whole;

	pair_open(&p, &o);
	whole = make(&sealed, mode, version, 120);
	CU_ASSERT_EQUAL(pair_encap(&p, &whole), XESP_DROP_NONE);
	pair_turn(&whole);
	for (uint32_t len = whole.l4_off; len < whole.len; len++) {
		uint8_t *copy = f.bytes + sizeof(f.bytes) - len; /* ASan sees the end */
		struct pkt pkt = whole;

		memcpy(copy, whole.l3, len);
		pkt.l3 = copy;
		pkt.head = f.bytes;
		pkt.end = f.bytes + sizeof(f.bytes);
		pkt.len = len;
		if (version == 4) {
			wire_put16(copy + 2, (uint16_t)len);
			pair_checksum(copy);
		} else {
			wire_put16(copy + 4, (uint16_t)(len - 40));
		}
		CU_ASSERT_NOT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
	}
	pair_close(&p);
}

static void test_truncated(void)
{
	for (size_t i = 0; i < LEN(kinds); i++)
		for (int n = 0; n < 4; n++)
			truncated(&kinds[i], n & 1 ? XESP_MODE_TRANSPORT : XESP_MODE_TUNNEL,
				  n & 2 ? 6 : 4);
}

/* RFC 4302 section 3.3.3.1: what AH does not cover, and what nothing in transport mode ESP covers. */
static bool may_change(const struct kind *k, int version, uint32_t at, int bit, uint32_t l4_off)
{
	if (at >= l4_off)
		return false;
	if (!k->ah && version == 4) /* not its version, lengths, protocol, destination, fragments */
		return at == 1 || at == 4 || at == 5 || (at == 6 && bit > 5) || at == 8;
	if (!k->ah)
		return (at == 0 && bit < 4) || (at > 0 && at < 4) || at == 7;
	if (version == 4)
		return at == 1 || at == 6 || at == 7 || at == 8;
	return (at == 0 && bit < 4) || (at > 0 && at < 4) || at == 7;
}

static void flipped(const struct kind *k, uint8_t mode, int version)
{
	struct pair_opts o = opts(k, version, mode, false);
	static struct frame f, sealed;
	struct pair p;
	struct pkt whole;

	pair_open(&p, &o);
	whole = make(&sealed, mode, version, 90);
	CU_ASSERT_EQUAL(pair_encap(&p, &whole), XESP_DROP_NONE);
	pair_turn(&whole);
	for (uint32_t i = 0; i < whole.len * 8; i++) {
		struct pkt pkt = whole;
		enum xesp_drop why;

		memcpy(&f, &sealed, sizeof(f));
		pkt.l3 = f.bytes + (whole.l3 - sealed.bytes);
		pkt.head = f.bytes;
		pkt.end = f.bytes + sizeof(f.bytes);
		pkt.l3[i / 8] ^= (uint8_t)(1u << i % 8);
		if (version == 4 && i / 8 != 10 && i / 8 != 11 && i / 8 < 20 && (pkt.l3[0] & 15) == 5)
			pair_checksum(pkt.l3);
		/* The window forgets what it accepted: each flip is judged by itself. */
		p.st.sa[PAIR_SA_IN].replay_top = 0;
		memset(p.st.replay, 0, 64 * 8);
		why = pair_decap(&p, &pkt);
		if (may_change(k, version, i / 8, (int)(i % 8), whole.l4_off))
			continue; /* ECN may still be wrong; what matters is below */
		if (why == XESP_DROP_NONE)
			printf("  %s, mode %d, IPv%d: byte %u bit %u\n", k->name, mode, version, i / 8,
			       i % 8);
		CU_ASSERT_NOT_EQUAL(why, XESP_DROP_NONE);
	}
	pair_close(&p);
}

static void test_flipped(void)
{
	for (size_t i = 0; i < LEN(kinds); i++) {
		if (!kinds[i].ah)
			continue; /* nobody vouches for ESP's outer header; test_esp.c has the rest */
		for (int n = 0; n < 4; n++)
			flipped(&kinds[i], n & 1 ? XESP_MODE_TRANSPORT : XESP_MODE_TUNNEL,
				n & 2 ? 6 : 4);
	}
}

/* Routers lower the TTL and mark congestion: AH must not mind, transport mode must show it. */
static void test_mutable_fields_may_change(void)
{
	static struct frame f;

	for (int version = 4; version <= 6; version += 2) {
		struct pair_opts o = opts(&kinds[2], version, XESP_MODE_TRANSPORT, true);
		struct pair p;
		struct pkt pkt;

		pair_open(&p, &o);
		pkt = make_own(&f, version, 100);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		if (version == 4) {
			pkt.l3[1] = 0xb9;
			pkt.l3[8] = 3;
			pkt.l3[6] ^= 0x40;
			pair_checksum(pkt.l3);
		} else {
			wire_put32(pkt.l3, 0x6b912345);
			pkt.l3[7] = 3;
		}
		pair_turn(&pkt);
		CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
		CU_ASSERT_EQUAL(version == 4 ? pkt.l3[8] : pkt.l3[7], 3);
		CU_ASSERT_EQUAL(version == 4 ? pkt.l3[1] : wire_get32(pkt.l3),
				version == 4 ? 0xb9 : 0x6b912345);
		pair_close(&p);
	}
}

/* The ICV, computed by somebody else over bytes laid out by hand: RFC 4302 section 3.3.3. */
static void test_icv_by_hand(void)
{
	static const struct pair_opts o = { .ah = true, .auth = XESP_AUTH_HMAC_SHA2_256_128,
					    .mode = XESP_MODE_TRANSPORT, .esn = true };
	uint8_t text[20 + 28 + 30 + 4], icv[32];
	static struct frame f;
	unsigned int n;
	struct pair p;
	struct pkt pkt;

	pair_open(&p, &o);
	p.st.sa[PAIR_SA_OUT].seq_next = 0x100000007;
	p.st.sa[PAIR_SA_OUT].lease_end = 0x100000100;
	pkt = make_own(&f, 4, 50);
	pkt.l3[1] = 0xb8;
	pair_checksum(pkt.l3);
	memcpy(text, pkt.l3, 20);
	text[1] = text[6] = text[7] = text[8] = text[10] = text[11] = 0;
	wire_put16(text + 2, 78);
	text[9] = IPPROTO_AH;
	memset(text + 20, 0, 28);
	text[20] = IPPROTO_UDP;
	text[21] = 5;
	wire_put32(text + 24, PAIR_SPI);
	wire_put32(text + 28, 7);
	memcpy(text + 48, pkt.l3 + 20, 30);
	wire_put32(text + 78, 1);
	HMAC(EVP_sha256(), p.out.key, 32, text, sizeof(text), icv, &n);
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
	CU_ASSERT_EQUAL(pkt.len, 78);
	CU_ASSERT(!memcmp(pkt.l3 + 32, icv, 16));
	CU_ASSERT_EQUAL(pkt.l3[1], 0xb8);
	CU_ASSERT_EQUAL(pkt.l3[8], 64);
	pair_close(&p);
}

static void test_whose_packets(void)
{
	static const struct pair_opts o = { .mode = XESP_MODE_TRANSPORT };
	static struct frame f;
	struct pair p;
	struct pkt pkt;

	pair_open(&p, &o);
	pkt = make_own(&f, 4, 60);
	pkt.local = false; /* off the wire, with our address */
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NOT_OWN);
	for (uint32_t at = 12; at < 20; at++) {
		pkt = make_own(&f, 4, 60);
		pkt.l3[at] ^= 1;
		pair_checksum(pkt.l3);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NOT_OWN);
	}
	for (int piece = 0; piece < 2; piece++) {
		pkt = make_own(&f, 4, 60);
		pkt.l3[6] = piece ? 0 : 0x20;
		pkt.l3[7] = (uint8_t)piece;
		pair_checksum(pkt.l3);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NOT_OWN);
	}
	/* No number was taken for any of them. */
	CU_ASSERT_EQUAL(p.st.sa[PAIR_SA_OUT].seq_next, 1);
	pkt = make_own(&f, 6, 60);
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NOT_OWN); /* the tunnel is IPv4's */
	pair_close(&p);
}

/* Selectors hold in transport mode too, RFC 4301 section 5.2. */
static void test_selectors(void)
{
	static const struct pair_opts o = { .mode = XESP_MODE_TRANSPORT };
	static const struct list_row gre = { .local = "192.0.2.2/32", .remote = "192.0.2.1/32",
					     .proto = IPPROTO_GRE };
	static struct frame f;
	struct pair p;
	struct pkt pkt;

	pair_open(&p, &o);
	pair_allow(&p, PAIR_TUNNEL_IN, &gre, 1);
	for (int i = 0; i < 2; i++) {
		pkt = make_own(&f, 4, 60);
		pkt.l3[9] = i ? IPPROTO_GRE : IPPROTO_UDP;
		pair_checksum(pkt.l3);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		pair_turn(&pkt);
		CU_ASSERT_EQUAL(pair_decap(&p, &pkt), i ? XESP_DROP_NONE : XESP_DROP_SELECTOR_MISMATCH);
	}
	pair_close(&p);
}

/* What fits exactly, what is cut afterwards, and what its sender is told. */
static void test_mtu(void)
{
	static struct frame f;

	for (size_t i = 0; i < LEN(kinds); i++) {
		const struct kind *k = &kinds[i];

		for (int version = 4; version <= 6; version += 2) {
			struct pair_opts o = opts(k, version, XESP_MODE_TRANSPORT, true);
			uint32_t most = 1500, told;
			struct pair p;
			struct pkt pkt;

			while (wire_len(k, XESP_MODE_TRANSPORT, version, most) > 1500)
				most--;
			pair_open(&p, &o);
			pkt = make_own(&f, version, most);
			CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
			CU_ASSERT(pkt.len <= 1500 && !pkt.mtu);
			pkt = make_own(&f, version, most + 1);
			if (version == 6) {
				CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
				CU_ASSERT_EQUAL(pkt.mtu, 1500);
				pair_close(&p);
				continue;
			}
			CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_TOO_BIG);
			told = pkt.mtu;
			CU_ASSERT_EQUAL(told, most);
			CU_ASSERT_FALSE(pkt.fragment);
			pkt.drop = XESP_DROP_NONE;
			pkt.l3[6] = 0; /* the same without DF */
			pair_checksum(pkt.l3);
			pkt.mtu = 0;
			CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
			CU_ASSERT_EQUAL(pkt.mtu, 1500);
			CU_ASSERT(pkt.len > 1500);
			pair_close(&p);
		}
	}
}

/* AH in tunnel mode: what fits to the byte, for the sender of the inner packet. */
static void test_mtu_of_ah_tunnels(void)
{
	static struct frame f;

	for (size_t i = 2; i < LEN(kinds); i++) {
		struct pair_opts o = opts(&kinds[i], 6, XESP_MODE_TUNNEL, true);
		uint32_t most = 1500;
		struct pair p;
		struct pkt pkt;

		while (wire_len(&kinds[i], XESP_MODE_TUNNEL, 6, most) > 1500)
			most--;
		pair_open(&p, &o);
		pkt = pair_make(&f, 4, most);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		CU_ASSERT_EQUAL(pkt.len, 1500);
		pkt = pair_make(&f, 4, most + 1);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_TOO_BIG);
		CU_ASSERT_EQUAL(pkt.mtu, most);
		pair_close(&p);
	}
}

static void test_replay(void)
{
	static struct frame f, again;
	struct pair_opts o = opts(&kinds[2], 4, XESP_MODE_TUNNEL, true);
	struct pair p;
	struct pkt pkt, copy;

	pair_open(&p, &o);
	pkt = pair_make(&f, 4, 60);
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
	pair_turn(&pkt);
	memcpy(&again, &f, sizeof(again));
	copy = pkt;
	copy.l3 = again.bytes + (pkt.l3 - f.bytes);
	CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
	CU_ASSERT_EQUAL(pair_decap(&p, &copy), XESP_DROP_REPLAY_DUPLICATE);
	pair_close(&p);
}

/* RFC 4303 section 3.1.1: behind hop-by-hop options, routing header and the options before that. */
static void test_place_in_ip6(void)
{
	static const struct {
		uint8_t chain[4]; /* extension headers of 8 bytes each, 0xff ends it */
		uint32_t before;  /* how many of them stand before ESP */
		bool ok;
	} rows[] = {
		{ { 0xff }, 0, true },
		{ { IPPROTO_HOPOPTS, 0xff }, 1, true },
		{ { IPPROTO_DSTOPTS, 0xff }, 0, true },
		{ { IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, 0xff }, 1, true },
		{ { IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS }, 3, true },
		{ { IPPROTO_ROUTING, 0xff }, 1, true },
		{ { IPPROTO_FRAGMENT, 0xff }, 0, false },
		{ { IPPROTO_HOPOPTS, IPPROTO_FRAGMENT, 0xff }, 0, false },
	};
	static struct frame f;

	for (int ah = 0; ah < 2; ah++)
		for (size_t i = 0; i < LEN(rows); i++) {
			struct pair_opts o = opts(&kinds[ah * 2], 6, XESP_MODE_TRANSPORT, false);
			uint8_t want[200], *next;
			uint32_t n = 0;
			struct pair p;
			struct pkt pkt;

			pair_open(&p, &o);
			pkt = make_own(&f, 6, 120);
			next = pkt.l3 + 6;
			for (; n < 4 && rows[i].chain[n] != 0xff; n++) {
				uint8_t *ext = pkt.l3 + 40 + n * 8;

				*next = rows[i].chain[n];
				memset(ext, 0, 8);
				if (rows[i].chain[n] == IPPROTO_ROUTING)
					ext[2] = 4;
				next = ext;
			}
			*next = IPPROTO_UDP;
			memcpy(want, pkt.l3, 120);
			CU_ASSERT_EQUAL(pair_encap(&p, &pkt), rows[i].ok ? XESP_DROP_NONE :
									  XESP_DROP_NOT_OWN);
			if (rows[i].ok) {
				CU_ASSERT_EQUAL(pkt.l4_off, 40 + rows[i].before * 8);
				pair_turn(&pkt);
				pkt.l4_off = (uint16_t)(40 + rows[i].before * 8);
				CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
				CU_ASSERT_EQUAL(pkt.len, 120);
				CU_ASSERT(!memcmp(pkt.l3, want, 120));
			}
			pair_close(&p);
		}
}

CU_TestInfo mode_tests[] = {
	{ "transport mode and AH: every length, both families and modes, ESN", test_every_length },
	{ "every truncation is refused", test_truncated },
	{ "AH covers every bit that may not change", test_flipped },
	{ "AH lets routers change what they may", test_mutable_fields_may_change },
	{ "the ICV of AH with ESN, computed by hand", test_icv_by_hand },
	{ "AH: a replayed packet", test_replay },
	{ "transport mode takes this machine's own whole packets alone", test_whose_packets },
	{ "transport mode: selectors hold", test_selectors },
	{ "transport mode: what fits, what is cut, what its sender is told", test_mtu },
	{ "AH in tunnel mode: what fits, to the byte", test_mtu_of_ah_tunnels },
	{ "where ESP and AH stand in IPv6", test_place_in_ip6 },
	CU_TEST_INFO_NULL,
};
