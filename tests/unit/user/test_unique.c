/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unique SAs, RFC 4301 sections 4.4.2.2, 5.1 and 5.2: which of a tunnel's SAs a packet takes by its
 * own values, what asks for one that is not there, and what may come by which.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "esp/dummy.h"
#include "esp/wire.h"
#include "libxesp/addr.h"
#include "libxesp/drops.h"
#include "sad/acquire.h"
#include "sad/epoch.h"
#include "sad/sa.h"
#include "sad/selector.h"
#include "sad/unique.h"
#include "tests/pair/pair.h"
#include "xesp/fault.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define SECOND_SA 5
#define THIRD_SA 6
#define SPI_OF(id) (0x1000u + (id))

static const struct pair_opts defaults;

/* ---- values of a packet */

enum { L = XESP_PFP_LOCAL, R = XESP_PFP_REMOTE, P = XESP_PFP_PROTO, LP = XESP_PFP_LOCAL_PORT,
       RP = XESP_PFP_REMOTE_PORT };

static const struct {
	const char *what;
	uint8_t family, fields, mask;
	bool shown;
} packets[] = {
	{ "everything", 4, XESP_FIELDS_KNOWN, XESP_PFP_ALL, true },
	{ "everything, IPv6", 6, XESP_FIELDS_KNOWN, XESP_PFP_ALL, true },
	{ "hosts", 4, XESP_FIELDS_NONE, L | R, true },
	{ "a protocol without ports", 4, XESP_FIELDS_NONE, L | R | P, true },
	{ "ports that are not there", 4, XESP_FIELDS_NONE, RP, false },
	{ "one that is not there", 6, XESP_FIELDS_NONE, L | LP, false },
	{ "hosts of a later fragment", 6, XESP_FIELDS_LATER, L | R, true },
	{ "protocol of a later fragment", 4, XESP_FIELDS_LATER, P, true },
	{ "protocol of a later IPv6 fragment", 6, XESP_FIELDS_LATER, P, false },
	{ "ports of a later fragment", 4, XESP_FIELDS_LATER, LP, false },
};

static struct selector_key key_of(uint8_t family, uint8_t fields)
{
	return (struct selector_key){
		.local = { 0, 0xffff0a010005 }, .remote = { 0, 0xffff0a020009 }, .local_port = 1000,
		.remote_port = 2000, .proto = 17, .family = family, .fields = fields,
	};
}

static void takes_values(void)
{
	for (size_t i = 0; i < LEN(packets); i++) {
		struct selector_key k = key_of(packets[i].family, packets[i].fields);
		struct xesp_values v;
		char text[ADDR_TEXT_MAX];

		if (unique_values(&v, &k, packets[i].mask) != packets[i].shown) {
			fprintf(stderr, "%s\n", packets[i].what);
			CU_FAIL("shown");
		}
		CU_ASSERT_TRUE(unique_is_valid(&v));
		if (packets[i].mask & L)
			CU_ASSERT_STRING_EQUAL(addr_print(&v.local, text), "10.1.0.5");
		if (packets[i].mask & R)
			CU_ASSERT_STRING_EQUAL(addr_print(&v.remote, text), "10.2.0.9");
		if (packets[i].mask & LP)
			CU_ASSERT_EQUAL(v.local_port, htons(1000));
		if (packets[i].mask & RP)
			CU_ASSERT_EQUAL(v.remote_port, htons(2000));
	}
}

/* What is not in the mask does not count; a later fragment is held to what it shows. */
static void admits(void)
{
	struct selector_key k = key_of(4, XESP_FIELDS_KNOWN), other;
	struct xesp_values all, hosts;

	unique_values(&all, &k, XESP_PFP_ALL);
	unique_values(&hosts, &k, L | R);
	CU_ASSERT_TRUE(unique_admits(&all, &k) && unique_admits(&hosts, &k));
	other = k;
	other.remote_port++;
	CU_ASSERT_TRUE(!unique_admits(&all, &other) && unique_admits(&hosts, &other));
	other = k;
	other.proto = 6;
	CU_ASSERT_TRUE(!unique_admits(&all, &other) && unique_admits(&hosts, &other));
	other = k;
	other.remote.lo++;
	CU_ASSERT_TRUE(!unique_admits(&all, &other) && !unique_admits(&hosts, &other));
	other = k;
	other.fields = XESP_FIELDS_NONE;
	CU_ASSERT_FALSE(unique_admits(&all, &other));
	other.fields = XESP_FIELDS_LATER;
	CU_ASSERT_TRUE(unique_admits(&all, &other));
	other.proto = 6;
	CU_ASSERT_FALSE(unique_admits(&all, &other));
	other.family = 6; /* its protocol is hearsay */
	CU_ASSERT_TRUE(unique_admits(&all, &other));
	other.local.lo++;
	CU_ASSERT_FALSE(unique_admits(&all, &other));
}

/* ---- the table */

static void keeps_order(void)
{
	struct selector_key k = key_of(4, XESP_FIELDS_KNOWN);
	struct xesp_values v, w;
	struct uniques u;
	struct epoch e;

	unique_values(&v, &k, L | R);
	k.local.lo++;
	unique_values(&w, &k, L | R);
	CU_ASSERT_EQUAL_FATAL(epoch_init(&e, 1), 0);
	CU_ASSERT_EQUAL_FATAL(uniques_init(&u, &e, 64), 0);
	CU_ASSERT_EQUAL(uniques_find(&u, 1, &v, 0), 0);
	for (uint32_t id = 10; id < 14; id++)
		CU_ASSERT_EQUAL(uniques_put(&u, 1, &v, id), 0);
	CU_ASSERT_EQUAL(uniques_put(&u, 2, &v, 20), 0);
	CU_ASSERT_EQUAL(uniques_put(&u, 1, &w, 21), 0);
	for (uint32_t id = 0, n = 10; n < 14; n++) {
		id = uniques_find(&u, 1, &v, id);
		CU_ASSERT_EQUAL(id, n);
	}
	CU_ASSERT_EQUAL(uniques_find(&u, 1, &v, 13), 0);
	CU_ASSERT_EQUAL(uniques_find(&u, 2, &v, 0), 20);
	CU_ASSERT_EQUAL(uniques_find(&u, 1, &w, 0), 21);
	/* One that comes again keeps its place; one that goes is passed over. */
	CU_ASSERT_EQUAL(uniques_put(&u, 1, &v, 10), 0);
	CU_ASSERT_EQUAL(uniques_find(&u, 1, &v, 0), 10);
	uniques_drop(&u, 10);
	uniques_drop(&u, 10);
	uniques_drop(&u, 12);
	CU_ASSERT_EQUAL(uniques_find(&u, 1, &v, 0), 11);
	CU_ASSERT_EQUAL(uniques_find(&u, 1, &v, 11), 13);
	CU_ASSERT_EQUAL(uniques_find(&u, 1, &v, 10), 0);
	/* Other values: found by these alone. */
	CU_ASSERT_EQUAL(uniques_put(&u, 1, &w, 11), 0);
	CU_ASSERT_EQUAL(uniques_find(&u, 1, &v, 0), 13);
	CU_ASSERT_EQUAL(uniques_find(&u, 1, &w, 21), 11);
	epoch_fini(&e);
	uniques_fini(&u);
}

/* Many, so that lists have several: each finds its own. */
static void finds_each(void)
{
	enum { N = 5000 };
	struct selector_key k = key_of(4, XESP_FIELDS_KNOWN);
	struct xesp_values v;
	struct uniques u;
	struct epoch e;
	uint32_t bad = 0;

	CU_ASSERT_EQUAL_FATAL(epoch_init(&e, 1), 0);
	CU_ASSERT_EQUAL_FATAL(uniques_init(&u, &e, N), 0);
	u.mask = 255;
	for (int round = 0; round < 2; round++) {
		for (uint32_t id = 1; id < N; id++) {
			k.remote.lo = 0xffff0a020000 + id;
			unique_values(&v, &k, R);
			if (!round)
				bad += uniques_put(&u, 7, &v, id) != 0;
			else
				bad += uniques_find(&u, 7, &v, 0) != id;
		}
	}
	CU_ASSERT_EQUAL(bad, 0);
	epoch_fini(&e);
	uniques_fini(&u);
}

/* ---- through esp_encap() */

/* The values of the packet that pair_make() makes, seen from its sender. */
static struct xesp_values made_values(int version, uint8_t mask)
{
	static struct frame f;
	struct pkt p = pair_make(&f, version, 100);
	struct xesp_values v = { .mask = mask };

	if (version == 4) {
		addr_from_ip4(&v.local, p.l3 + 12);
		addr_from_ip4(&v.remote, p.l3 + 16);
	} else {
		addr_from_ip6(&v.local, p.l3 + 8);
		addr_from_ip6(&v.remote, p.l3 + 24);
	}
	if (!(mask & L))
		memset(&v.local, 0, sizeof(v.local));
	if (!(mask & R))
		memset(&v.remote, 0, sizeof(v.remote));
	v.proto = mask & P ? 17 : 0;
	v.local_port = mask & LP ? htons(1000) : 0;
	v.remote_port = mask & RP ? htons(2000) : 0;
	return v;
}

static void add_sa(struct pair *p, uint32_t id, const struct xesp_values *v)
{
	struct xesp_keymsg_sa sa = p->out;

	sa.id = id;
	sa.spi = htonl(SPI_OF(id));
	sa.key[0] ^= (uint8_t)id;
	sa.values = *v;
	pair_identify(p, &sa, 0, 0);
	CU_ASSERT_EQUAL_FATAL(sad_add(p->sad, &sa, NULL), 0);
}

/* The pair's tunnel takes its SAs by these selectors; the pair's own SA is found by nothing then. */
static void open_unique(struct pair *p, uint8_t mask)
{
	pair_open(p, &defaults);
	p->tunnel_out.pfp = mask;
	CU_ASSERT_EQUAL_FATAL(sad_tunnel_set(p->sad, &p->tunnel_out, NULL), 0);
}

/* The SPI that the packet leaves under; 0: dropped as `why`. */
static uint32_t sent_under(struct pair *p, struct pkt *pkt, enum xesp_drop why)
{
	enum xesp_drop got;

	if (pkt->l3[0] >> 4 == 4)
		pair_checksum(pkt->l3);
	got = pair_encap(p, pkt);
	if (got != why)
		fprintf(stderr, "dropped as %d, not as %d\n", got, why);
	CU_ASSERT_EQUAL(got, why);
	return got ? 0 : wire_get32(pkt->l3 + pkt->l4_off);
}

static void count_note(void *ctx, const struct acquire_note *n)
{
	struct acquire_note *out = ctx;

	out->state++;
	out->tunnel = n->tunnel;
	out->policy = n->policy;
	out->values = n->values;
}

/* How many notes there are; *last gets the last one. */
static uint32_t take_notes(struct pair *p, struct acquire_note *last)
{
	struct pollfd fd = { .fd = sad_acquire_fd(p->sad), .events = POLLIN };

	*last = (struct acquire_note){ 0 };
	if (poll(&fd, 1, 0) == 1)
		sad_tell_acquires(p->sad, count_note, last);
	return last->state;
}

static void by_host(void)
{
	struct xesp_values v = made_values(4, R), other = v;
	struct acquire_note note;
	static struct frame f;
	struct pair p;
	struct pkt pkt;

	open_unique(&p, R);
	((uint8_t *)&other.remote)[15] ^= 1;
	add_sa(&p, SECOND_SA, &v);
	add_sa(&p, THIRD_SA, &other);
	for (int i = 0; i < 20; i++) {
		pkt = pair_make(&f, 4, 100);
		pkt.l3[19] ^= i & 1;
		CU_ASSERT_EQUAL(sent_under(&p, &pkt, XESP_DROP_NONE),
				i & 1 ? SPI_OF(THIRD_SA) : SPI_OF(SECOND_SA));
	}
	CU_ASSERT_EQUAL(p.st.sa[SECOND_SA].packets, 10);
	CU_ASSERT_EQUAL(p.st.sa[THIRD_SA].packets, 10);
	CU_ASSERT_EQUAL(take_notes(&p, &note), 0);
	/* A third host: dropped, counted and asked for, once. */
	for (int i = 0; i < 5; i++) {
		pkt = pair_make(&f, 4, 100);
		pkt.l3[19] ^= 2;
		CU_ASSERT_EQUAL(sent_under(&p, &pkt, XESP_DROP_NO_SA_UNIQUE), 0);
	}
	CU_ASSERT_EQUAL(esp_worker_stats(p.w)->drops[XESP_DROP_NO_SA_UNIQUE], 5);
	CU_ASSERT_EQUAL(p.st.policy[PAIR_POLICY].by_reason[XESP_DROP_NO_SA_UNIQUE], 5);
	((uint8_t *)&v.remote)[15] ^= 2;
	CU_ASSERT_EQUAL(take_notes(&p, &note), 1);
	CU_ASSERT_EQUAL(note.tunnel, PAIR_TUNNEL_OUT);
	CU_ASSERT_EQUAL(note.policy, PAIR_POLICY);
	CU_ASSERT_TRUE(unique_same(&note.values, &v));
	/* Not again before a second has passed. */
	sad_reclaim(p.sad);
	pkt = pair_make(&f, 4, 100);
	pkt.l3[19] ^= 2;
	sent_under(&p, &pkt, XESP_DROP_NO_SA_UNIQUE);
	CU_ASSERT_EQUAL(take_notes(&p, &note), 0);
	for (int i = 0; i < ACQUIRE_PLACES; i++)
		sad_acquires(p.sad)->note[i].read_ns -= ACQUIRE_PAUSE_NS;
	sad_reclaim(p.sad);
	pkt = pair_make(&f, 4, 100);
	pkt.l3[19] ^= 2;
	sent_under(&p, &pkt, XESP_DROP_NO_SA_UNIQUE);
	CU_ASSERT_EQUAL(take_notes(&p, &note), 1);
	/* Its SA comes: it sends. */
	add_sa(&p, 7, &v);
	pkt = pair_make(&f, 4, 100);
	pkt.l3[19] ^= 2;
	CU_ASSERT_EQUAL(sent_under(&p, &pkt, XESP_DROP_NONE), SPI_OF(7));
	pair_close(&p);
}

/* However many flows ask, there are no more notes than places. */
static void asks_within_bounds(void)
{
	struct acquire_note note;
	static struct frame f;
	struct pair p;

	open_unique(&p, R | RP);
	for (uint32_t i = 0; i < 20000; i++) {
		struct pkt pkt = pair_make(&f, 4, 100);

		wire_put16(pkt.l3 + 22, (uint16_t)i);
		sent_under(&p, &pkt, XESP_DROP_NO_SA_UNIQUE);
	}
	CU_ASSERT_EQUAL(take_notes(&p, &note), ACQUIRE_PLACES);
	CU_ASSERT_EQUAL(esp_worker_stats(p.w)->drops[XESP_DROP_NO_SA_UNIQUE], 20000);
	pair_close(&p);
}

static void every_selector(void)
{
	static struct frame f;

	for (int version = 4; version <= 6; version += 2) {
		const uint32_t at[] = { version == 4 ? 15 : 23, version == 4 ? 19 : 39,
					version == 4 ? 9 : 6, version == 4 ? 21 : 41,
					version == 4 ? 23 : 43 };

		for (uint8_t mask = 1; mask <= XESP_PFP_ALL; mask++) {
			struct xesp_values v = made_values(version, mask);
			struct pair p;
			struct pkt pkt;

			open_unique(&p, mask);
			add_sa(&p, SECOND_SA, &v);
			pkt = pair_make(&f, version, 100);
			CU_ASSERT_EQUAL(sent_under(&p, &pkt, XESP_DROP_NONE), SPI_OF(SECOND_SA));
			for (int bit = 0; bit < 5; bit++) {
				pkt = pair_make(&f, version, 100);
				pkt.l3[at[bit]] ^= bit == 2 ? 17 ^ 6 : 1;
				sent_under(&p, &pkt, mask >> bit & 1 ? XESP_DROP_NO_SA_UNIQUE :
								       XESP_DROP_NONE);
			}
			pair_close(&p);
		}
	}
}

/* Two SAs of the same values: the older one sends until it is gone, or can send no more. */
static void make_before_break(void)
{
	struct xesp_values v = made_values(4, L | R | RP);
	static struct frame f;
	struct pair p;
	struct pkt pkt;

	open_unique(&p, L | R | RP);
	add_sa(&p, SECOND_SA, &v);
	add_sa(&p, THIRD_SA, &v);
	pkt = pair_make(&f, 4, 100);
	CU_ASSERT_EQUAL(sent_under(&p, &pkt, XESP_DROP_NONE), SPI_OF(SECOND_SA));
	/* Replaced by itself, it keeps its place. */
	add_sa(&p, SECOND_SA, &v);
	pkt = pair_make(&f, 4, 100);
	CU_ASSERT_EQUAL(sent_under(&p, &pkt, XESP_DROP_NONE), SPI_OF(SECOND_SA));
	CU_ASSERT_EQUAL(sad_del(p.sad, SECOND_SA, NULL), 0);
	pkt = pair_make(&f, 4, 100);
	CU_ASSERT_EQUAL(sent_under(&p, &pkt, XESP_DROP_NONE), SPI_OF(THIRD_SA));
	/* Used up: the next one. */
	add_sa(&p, 7, &v);
	p.st.sa[THIRD_SA].seq_next = UINT64_C(0x100000000);
	p.st.sa[THIRD_SA].lease_end = 0xffffffff;
	pkt = pair_make(&f, 4, 100);
	CU_ASSERT_EQUAL(sent_under(&p, &pkt, XESP_DROP_NONE), SPI_OF(7));
	/* Other values under the same id: the former ones lead nowhere. */
	v.remote_port = htons(2001);
	add_sa(&p, 7, &v);
	pkt = pair_make(&f, 4, 100);
	sent_under(&p, &pkt, XESP_DROP_SEQ_EXHAUSTED);
	CU_ASSERT_EQUAL(sad_del(p.sad, THIRD_SA, NULL), 0);
	pkt = pair_make(&f, 4, 100);
	sent_under(&p, &pkt, XESP_DROP_NO_SA_UNIQUE);
	pkt = pair_make(&f, 4, 100);
	wire_put16(pkt.l3 + 22, 2001);
	CU_ASSERT_EQUAL(sent_under(&p, &pkt, XESP_DROP_NONE), SPI_OF(7));
	pair_close(&p);
}

/* Makes it a fragment: of IPv6 a header is put in. */
static struct pkt make_fragment(struct frame *f, int version, bool first, uint16_t id)
{
	struct pkt pkt = pair_make(f, version, 400);
	uint8_t *ip = pkt.l3;

	if (version == 4) {
		wire_put16(ip + 4, id);
		wire_put16(ip + 6, first ? 0x2000 : 0x2001);
	} else {
		memmove(ip + 48, ip + 40, 8);
		memset(ip + 40, 0, 8);
		ip[40] = ip[6];
		ip[6] = 44;
		ip[43] = first ? 1 : 9;
		wire_put16(ip + 46, id);
	}
	return pkt;
}

static void fragments_follow_their_first(void)
{
	static struct frame f;

	for (int version = 4; version <= 6; version += 2) {
		struct xesp_values v = made_values(version, RP);
		struct acquire_note note;
		struct pair p;
		struct pkt pkt;

		open_unique(&p, RP);
		add_sa(&p, SECOND_SA, &v);
		pkt = make_fragment(&f, version, false, 77);
		sent_under(&p, &pkt, XESP_DROP_FRAGMENT_UNKNOWN);
		pkt = make_fragment(&f, version, true, 77);
		CU_ASSERT_EQUAL(sent_under(&p, &pkt, XESP_DROP_NONE), SPI_OF(SECOND_SA));
		pkt = make_fragment(&f, version, false, 77);
		CU_ASSERT_EQUAL(sent_under(&p, &pkt, XESP_DROP_NONE), SPI_OF(SECOND_SA));
		pkt = make_fragment(&f, version, false, 78);
		sent_under(&p, &pkt, XESP_DROP_FRAGMENT_UNKNOWN);
		/* Whose first one found no SA, asked for one: its later ones ask for none. */
		pkt = make_fragment(&f, version, true, 79);
		wire_put16(pkt.l3 + (version == 4 ? 22 : 50), 2001);
		sent_under(&p, &pkt, XESP_DROP_NO_SA_UNIQUE);
		CU_ASSERT_EQUAL(take_notes(&p, &note), 1);
		pkt = make_fragment(&f, version, false, 79);
		sent_under(&p, &pkt, XESP_DROP_NO_SA_UNIQUE);
		CU_ASSERT_EQUAL(take_notes(&p, &note), 0);
		pair_close(&p);
	}
}

/* RFC 4301 section 6.2: from a router, about a packet that came by the SA's counterpart. */
static void errors_go_with_what_they_quote(void)
{
	struct xesp_values v = made_values(4, L | R | RP);
	static const uint8_t quoted_ports[4] = { 2000 >> 8, 2000 & 0xff, 1000 >> 8, 1000 & 0xff };
	struct acquire_note note;
	static struct frame f;
	struct pair p;

	open_unique(&p, L | R | RP);
	add_sa(&p, SECOND_SA, &v);
	for (int i = 0; i < 3; i++) {
		struct pkt pkt = pair_make(&f, 4, 20 + 8 + 28);
		uint8_t *icmp = pkt.l3 + 20, *quote = icmp + 8;

		memset(icmp, 0, 36);
		icmp[0] = i == 2 ? 8 : 3; /* an echo request is about nothing */
		icmp[1] = i != 2;
		quote[0] = 0x45;
		quote[3] = 100;
		quote[9] = 17;
		memcpy(quote + 12, pkt.l3 + 16, 4); /* the far host to this side's */
		memcpy(quote + 16, pkt.l3 + 12, 4);
		memcpy(quote + 20, quoted_ports, 4);
		quote[21] ^= i == 1; /* of another flow */
		pkt.l3[9] = 1;
		pkt.l3[14] ^= 0x70; /* a router's own address */
		CU_ASSERT_EQUAL(sent_under(&p, &pkt, i ? XESP_DROP_NO_SA_UNIQUE : XESP_DROP_NONE),
				i ? 0 : SPI_OF(SECOND_SA));
	}
	CU_ASSERT_EQUAL(take_notes(&p, &note), 1); /* the echo request alone */
	CU_ASSERT_EQUAL(note.values.remote_port, 0); /* its code */
	pair_close(&p);
}

static void dummies_have_none(void)
{
	static struct frame f;
	struct pair p;
	struct pkt pkt;

	open_unique(&p, R);
	pkt = pair_clear(&f, 100);
	pkt.dummy = true;
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NO_SA_OUT);
	pkt = pair_make(&f, 4, 100);
	pkt.l3[0] = 0x55;
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_MALFORMED_IP);
	pair_close(&p);
}

/* ---- inbound */

/* RFC 4301 section 5.2: by the very SA it came by, though its policy would let it through. */
static void inbound_only_its_own(void)
{
	static struct frame f;
	struct pair p;

	pair_open(&p, &defaults);
	p.in.values = made_values(4, L | R | P | LP | RP);
	/* Seen from its receiver. */
	p.in.values.local = made_values(4, R).remote;
	p.in.values.remote = made_values(4, L).local;
	p.in.values.local_port = htons(2000);
	p.in.values.remote_port = htons(1000);
	CU_ASSERT_EQUAL_FATAL(sad_add(p.sad, &p.in, NULL), 0);
	for (int i = 0; i < 6; i++) {
		static const uint8_t at[] = { 0, 15, 19, 21, 23, 9 };
		struct pkt pkt = pair_make(&f, 4, 100);

		if (i)
			pkt.l3[at[i]] ^= i == 5 ? 17 ^ 6 : 1;
		pair_checksum(pkt.l3);
		CU_ASSERT_EQUAL_FATAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		pair_turn(&pkt);
		CU_ASSERT_EQUAL(pair_decap(&p, &pkt),
				i ? XESP_DROP_SELECTOR_MISMATCH : XESP_DROP_NONE);
	}
	CU_ASSERT_EQUAL(drops_of(&p.st.sa[PAIR_SA_IN].drops, XESP_DROP_SELECTOR_MISMATCH), 5);
	pair_close(&p);
}

/* ---- messages */

static void refuses(void)
{
	struct xesp_values bad[6] = { { .mask = 32 }, { .mask = R, .proto = 17 },
				      { .mask = P, .local_port = 1 }, { .mask = P, .remote_port = 1 },
				      { .mask = P, .proto = 6, .pad = { 0, 1 } }, { .mask = R } };
	struct fault f;
	struct pair p;

	bad[5].local.w[3] = 1;
	pair_open(&p, &defaults);
	for (size_t i = 0; i < LEN(bad); i++) {
		struct xesp_keymsg_sa sa = p.out;

		f.text[0] = '\0';
		sa.values = bad[i];
		CU_ASSERT_EQUAL(sad_add(p.sad, &sa, &f), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "values of its own"));
	}
	p.tunnel_out.pfp = 32;
	CU_ASSERT_EQUAL(sad_tunnel_set(p.sad, &p.tunnel_out, &f), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "populate from packet 0x20"));
	pair_close(&p);
}

CU_TestInfo unique_tests[] = {
	{ "values of a packet, and of one that does not show them", takes_values },
	{ "what comes by an SA has its values; of a later fragment what it shows", admits },
	{ "several of the same values: the oldest first", keeps_order },
	{ "each of thousands is found by its own", finds_each },
	{ "hosts of one policy have each its SA; a third is dropped, counted and asked for", by_host },
	{ "a scan of ports asks no more often than there are places", asks_within_bounds },
	{ "every combination of selectors, each holds", every_selector },
	{ "the older SA sends until it is gone or used up", make_before_break },
	{ "later fragments take the SA of their first", fragments_follow_their_first },
	{ "ICMP errors take the SA of what they quote", errors_go_with_what_they_quote },
	{ "dummies and malformed packets take none", dummies_have_none },
	{ "inbound, the packet has the values of the very SA it came by", inbound_only_its_own },
	{ "messages with values that cannot be are refused", refuses },
	CU_TEST_INFO_NULL,
};
