/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ESP tunnel mode from end to end in memory: every length, every truncation, every flipped bit, every
 * reason to drop, and what is counted and left in the frame.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/engine.h"
#include "libxesp/drops.h"
#include "sad/sa.h"
#include "esp/wire.h"
#include "tests/pair/pair.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define OVERHEAD(outer6, c) ((outer6 ? 40u : 20u) + 8 + (c)->iv_len + (c)->icv_len)

static const struct pair_opts defaults;

static uint64_t in_drops(const struct pair *p, enum xesp_drop why)
{
	return drops_of(&p->st.sa[PAIR_SA_IN].drops, why);
}

static uint64_t all_drops(const struct pair *p)
{
	uint64_t sum = 0;

	for (int i = 1; i < XESP_DROP_SLOTS; i++)
		sum += drops_of(&p->st.sa[PAIR_SA_IN].drops, (enum xesp_drop)i) +
		       drops_of(&p->st.sa[PAIR_SA_OUT].drops, (enum xesp_drop)i);
	return sum;
}

/* What the inner packet must be at the other end: one hop less. */
static void expect(uint8_t *want, const struct pkt *pkt)
{
	memcpy(want, pkt->l3, pkt->len);
	if (want[0] >> 4 == 4) {
		want[8]--;
		pair_checksum(want);
	} else {
		want[7]--;
	}
}

static void round_trips(int inner, bool outer6, bool esn, const struct pair_cipher *c)
{
	struct pair_opts o = { .outer6 = outer6, .esn = esn, PAIR_OF(c) };
	static struct frame f;
	uint8_t want[512];
	uint64_t bytes = 0, n = 0;
	struct pair p;

	pair_open(&p, &o);
	for (uint32_t len = inner == 4 ? 20 : 40; len <= 300; len++) {
		struct pkt pkt = pair_make(&f, inner, len);
		uint32_t padded = (len + 2 + c->align - 1) / c->align * c->align;

		expect(want, &pkt);
		pkt.len += len % 7; /* bytes of Ethernet padding behind it */
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		CU_ASSERT_EQUAL(pkt.len, OVERHEAD(outer6, c) + padded);
		CU_ASSERT_EQUAL(pkt.l3, f.bytes + PAIR_HEADROOM - 8 - c->iv_len - (outer6 ? 40 : 20));
		CU_ASSERT_EQUAL(pkt.seq, ++n);
		CU_ASSERT_EQUAL(wire_get32(pkt.l3 + pkt.l4_off), PAIR_SPI);
		CU_ASSERT_EQUAL(wire_get32(pkt.l3 + pkt.l4_off + 4), n);
		/* RFC 4106 section 3.1: the IV never repeats; ours is the 64-bit number. */
		if (c->iv_len == 8)
			CU_ASSERT_EQUAL(wire_get32(pkt.l3 + pkt.l4_off + 12), n);
		pair_turn(&pkt);
		pkt.len += len % 5;
		CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
		CU_ASSERT_EQUAL(pkt.len, len);
		CU_ASSERT_EQUAL(memcmp(pkt.l3, want, len), 0);
		bytes += len;
	}
	for (int i = PAIR_SA_OUT; i <= PAIR_SA_IN; i++) {
		CU_ASSERT_EQUAL(p.st.sa[i].packets, n);
		CU_ASSERT_EQUAL(p.st.sa[i].bytes, bytes);
		CU_ASSERT_NOT_EQUAL(p.st.sa[i].last_used_ns, 0);
	}
	CU_ASSERT_EQUAL(esp_worker_stats(p.w)->encap_packets, n);
	CU_ASSERT_EQUAL(esp_worker_stats(p.w)->decap_packets, n);
	CU_ASSERT_EQUAL(p.st.sa[PAIR_SA_IN].lost, 0);
	CU_ASSERT_EQUAL(all_drops(&p), 0);
	pair_close(&p);
}

static void all_lengths(void)
{
	for (int k = 0; k < PAIR_CIPHERS; k++)
		for (int i = 0; i < 8; i++)
			round_trips(i & 1 ? 6 : 4, i & 2, i & 4, &pair_ciphers[k]);
}

/* The bytes behind the inner packet, seen with the engine alone: 1, 2, .., length, next header. */
static void padding_is_as_rfc_says(void)
{
	static struct frame f;
	struct engine_key_spec spec = { .alg = XESP_ALG_AES_GCM_16, .dir = XESP_DIR_IN };
	struct engine_key *key;
	struct pair p;

	pair_open(&p, &defaults);
	spec.key = p.in.key;
	spec.key_len = p.in.key_len;
	key = engine_openssl.key_open(&spec, NULL);
	for (uint32_t len = 40; len < 48; len++) {
		struct pkt pkt = pair_make(&f, len & 1 ? 6 : 4, len);
		uint32_t pad = (4 - (len + 2) % 4) % 4;
		uint8_t *text = f.bytes + PAIR_HEADROOM, *trailer = text + len;
		struct engine_job j = { .key = key, .text = text, .len = len + pad + 2,
					.tag = text + len + pad + 2, .tag_len = 16, .aad_len = 8 };

		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		memcpy(j.nonce, p.in.salt, 4);
		memcpy(j.nonce + 4, text - 8, 8);
		j.aad = text - 16;
		engine_openssl.decrypt(&j, 1);
		CU_ASSERT_TRUE(j.ok);
		for (uint32_t i = 0; i < pad; i++)
			CU_ASSERT_EQUAL(trailer[i], i + 1);
		CU_ASSERT_EQUAL(trailer[pad], pad);
		CU_ASSERT_EQUAL(trailer[pad + 1], len & 1 ? 41 : 4);
	}
	engine_openssl.key_close(key);
	pair_close(&p);
}

/* Every length of an ESP packet, with the outer header saying so; the state stays as it was. */
static void truncations(bool outer6, const struct pair_cipher *cipher)
{
	const struct pair_opts o = { .outer6 = outer6, PAIR_OF(cipher) };
	uint32_t hdr_len = outer6 ? 40 : 20, full, least = 8u + cipher->iv_len + 2 + cipher->icv_len;
	static struct frame f, cut;
	struct xesp_sa_state before;
	uint64_t ring[4], shorts = 0, bad = 0;
	struct pair p;
	struct pkt pkt;

	pair_open(&p, &o);
	pkt = pair_make(&f, 4, 90);
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
	full = pkt.len;
	before = p.st.sa[PAIR_SA_IN];
	memcpy(ring, p.st.replay + 16, sizeof(ring));
	for (uint32_t len = 0; len < full; len++) {
		enum xesp_drop want = len < hdr_len       ? XESP_DROP_MALFORMED_IP :
				      len < hdr_len + least ? XESP_DROP_ESP_SHORT :
							      XESP_DROP_BAD_ICV;
		struct pkt c;

		/* A cipher of blocks: the text is some of them. */
		if (cipher->align > 4 && want == XESP_DROP_BAD_ICV &&
		    (len - hdr_len - least + 2) % cipher->align)
			want = XESP_DROP_ESP_SHORT;
		shorts += want == XESP_DROP_ESP_SHORT && len >= hdr_len + 8; /* else no SPI: not the SA's */
		bad += want == XESP_DROP_BAD_ICV;

		memset(&cut, 0xaa, sizeof(cut));
		memcpy(cut.bytes + PAIR_HEADROOM, pkt.l3, len);
		c = pair_esp(&cut, len, (uint16_t)hdr_len);
		c.end = c.l3 + len;
		if (len >= hdr_len) {
			wire_put16(c.l3 + (outer6 ? 4 : 2), (uint16_t)(outer6 ? len - 40 : len));
			if (!outer6)
				pair_checksum(c.l3);
		}
		if (pair_decap(&p, &c) != want)
			fprintf(stderr, "cut to %u: %d\n", len, c.drop);
		CU_ASSERT_EQUAL(c.drop, want);
		/* An outer header that says more than there is: malformed at every length. */
		memcpy(c.l3, pkt.l3, len < hdr_len ? len : hdr_len);
		c.drop = XESP_DROP_NONE;
		c.len = len;
		CU_ASSERT_EQUAL(pair_decap(&p, &c), XESP_DROP_MALFORMED_IP);
	}
	CU_ASSERT_EQUAL(in_drops(&p, XESP_DROP_ESP_SHORT), shorts);
	CU_ASSERT_EQUAL(in_drops(&p, XESP_DROP_BAD_ICV), bad);
	CU_ASSERT_TRUE(shorts && bad);
	memset(&p.st.sa[PAIR_SA_IN].drops, 0, sizeof(before.drops));
	CU_ASSERT_EQUAL(memcmp(&before, &p.st.sa[PAIR_SA_IN], sizeof(before)), 0);
	CU_ASSERT_EQUAL(memcmp(ring, p.st.replay + 16, sizeof(ring)), 0);
	pair_close(&p);
}

static void all_truncations(void)
{
	for (int k = 0; k < PAIR_CIPHERS; k++) {
		truncations(false, &pair_ciphers[k]);
		truncations(true, &pair_ciphers[k]);
	}
}

/* What a flipped bit at this byte must be refused as; NONE: it is not protected by anything. */
static enum xesp_drop wanted(uint32_t at, bool outer6)
{
	uint32_t hdr_len = outer6 ? 40 : 20;

	if (at >= hdr_len + 4)
		return XESP_DROP_BAD_ICV; /* the number too: it stays right of the fresh window */
	if (at >= hdr_len)
		return XESP_DROP_NO_SA;
	return outer6 ? XESP_DROP_NONE : XESP_DROP_MALFORMED_IP;
}

static void flips(bool outer6, bool esn, const struct pair_cipher *cipher)
{
	const struct pair_opts o = { .outer6 = outer6, .esn = esn, PAIR_OF(cipher) };
	static struct frame f, flipped;
	struct xesp_sa_state before;
	struct pair p;
	struct pkt pkt;

	pair_open(&p, &o);
	pkt = pair_make(&f, 4, 90);
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
	pair_turn(&pkt);
	before = p.st.sa[PAIR_SA_IN];
	for (uint32_t bit = 0; bit < pkt.len * 8; bit++) {
		enum xesp_drop want = wanted(bit / 8, outer6);
		struct pkt c = pkt;

		if (want == XESP_DROP_NONE)
			continue; /* IPv6 header: see outer_header_flips() */
		flipped = f;
		c.l3 = flipped.bytes + (pkt.l3 - f.bytes);
		c.l3[bit / 8] ^= (uint8_t)(1 << bit % 8);
		pair_decap(&p, &c);
		/* Bit 0 of sequence number 1 makes 0, which is never valid. */
		if (bit == ((outer6 ? 40u : 20u) + 7) * 8)
			want = XESP_DROP_REPLAY_OLD;
		if (c.drop != want)
			fprintf(stderr, "bit %u: %d\n", bit, c.drop);
		CU_ASSERT_EQUAL(c.drop, want);
	}
	memset(&p.st.sa[PAIR_SA_IN].drops, 0, sizeof(before.drops));
	CU_ASSERT_EQUAL(memcmp(&before, &p.st.sa[PAIR_SA_IN], sizeof(before)), 0);
	CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE); /* and the good one is still taken */
	pair_close(&p);
}

static void all_flips(void)
{
	for (int k = 0; k < PAIR_CIPHERS; k++)
		for (int i = 0; i < 4; i++)
			flips(i & 1, i & 2, &pair_ciphers[k]);
}

/* IPv6 has no checksum: destination and lengths are checked, marks and hop limit are anyone's. */
static void outer_header_flips(void)
{
	const struct pair_opts o = { .outer6 = true };
	static struct frame f, flipped;
	struct pair p;
	struct pkt pkt;

	pair_open(&p, &o);
	for (uint32_t bit = 0; bit < 40 * 8; bit++) {
		enum xesp_drop want = XESP_DROP_NONE;
		struct pkt c;

		pkt = pair_make(&f, 4, 90);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
		pair_turn(&pkt);
		flipped = f;
		c = pkt;
		c.l3 = flipped.bytes + (pkt.l3 - f.bytes);
		c.l3[bit / 8] ^= (uint8_t)(1 << bit % 8);
		pair_decap(&p, &c);
		if (bit < 8 && bit % 8 >= 4)
			want = XESP_DROP_MALFORMED_IP; /* version */
		else if (bit / 8 >= 24)
			want = XESP_DROP_NO_SA; /* destination */
		if (bit / 8 == 4 || bit / 8 == 5) { /* length: longer than there is, or cut */
			CU_ASSERT_NOT_EQUAL(c.drop, XESP_DROP_NONE);
		} else {
			CU_ASSERT_EQUAL(c.drop, want);
		}
	}
	pair_close(&p);
}

/* One batch with good packets between bad ones, a duplicate inside the batch among them. */
static void batches_keep_their_places(void)
{
	static struct frame f[16];
	static struct batch b;
	static const uint32_t order[] = { 0, 1, 1, 3, 2, 5, 9, 7 };
	struct pair p;

	pair_open(&p, &defaults);
	for (uint32_t i = 0; i < 16; i++)
		b.pkt[i] = pair_make(&f[i], i & 1 ? 6 : 4, 60 + i);
	b.n = 16;
	b.pkt[4].id = 7;                     /* no such tunnel */
	b.pkt[6].l3[0] = 0;                  /* not IP */
	b.pkt[8].drop = XESP_DROP_BAD_META;  /* dropped before */
	b.pkt[10].end = b.pkt[10].l3 + b.pkt[10].len + 16; /* no room behind */
	b.pkt[12].head = b.pkt[12].l3 - 35;  /* no room before */
	esp_encap(p.w, &b);
	CU_ASSERT_EQUAL(b.pkt[4].drop, XESP_DROP_NO_SA_OUT);
	CU_ASSERT_EQUAL(b.pkt[6].drop, XESP_DROP_MALFORMED_IP);
	CU_ASSERT_EQUAL(b.pkt[8].drop, XESP_DROP_BAD_META);
	CU_ASSERT_EQUAL(b.pkt[10].drop, XESP_DROP_NO_TAILROOM);
	CU_ASSERT_EQUAL(b.pkt[12].drop, XESP_DROP_NO_TAILROOM);
	for (uint32_t i = 0, seq = 1; i < 16; i++)
		CU_ASSERT_TRUE(b.pkt[i].drop || b.pkt[i].seq == seq++);
	CU_ASSERT_EQUAL(p.st.sa[PAIR_SA_OUT].packets, 11);

	for (uint32_t i = 0; i < LEN(order); i++) {
		/* A copy of the packet in place order[i], in a frame of its own. */
		static struct frame copies[LEN(order)];
		struct pkt *from = &b.pkt[order[i]];

		copies[i] = f[order[i]];
		b.pkt[i + 16] = *from;
		b.pkt[i + 16].l3 = copies[i].bytes + (from->l3 - f[order[i]].bytes);
		pair_turn(&b.pkt[i + 16]);
	}
	memmove(b.pkt, b.pkt + 16, sizeof(b.pkt[0]) * LEN(order));
	b.n = LEN(order);
	b.pkt[3].l3[30] ^= 1;
	esp_decap(p.w, &b);
	for (uint32_t i = 0; i < LEN(order); i++) {
		enum xesp_drop want = i == 2 ? XESP_DROP_REPLAY_DUPLICATE :
				      i == 3 ? XESP_DROP_BAD_ICV : XESP_DROP_NONE;

		CU_ASSERT_EQUAL(b.pkt[i].drop, want);
		CU_ASSERT_TRUE(want || b.pkt[i].len == 60 + order[i]);
	}
	CU_ASSERT_EQUAL(p.st.sa[PAIR_SA_IN].packets, 6);
	CU_ASSERT_EQUAL(in_drops(&p, XESP_DROP_REPLAY_DUPLICATE), 1);
	pair_close(&p);
}

static void leases_end(void)
{
	struct pair_opts o = { .lease = 3 };
	static struct frame f[5];
	static struct batch b;
	struct xesp_keymsg_lease m = { .id = PAIR_SA_OUT, .first = 0xfffffffe, .last = 0xffffffff };
	struct pair p;

	pair_open(&p, &o);
	for (int round = 0; round < 2; round++) {
		uint64_t first = round ? 0xfffffffe : 1, n = round ? 2 : 3;
		enum xesp_drop want = round ? XESP_DROP_SEQ_EXHAUSTED : XESP_DROP_NO_LEASE;

		b.n = 5;
		for (uint32_t i = 0; i < 5; i++)
			b.pkt[i] = pair_make(&f[i], 4, 60);
		esp_encap(p.w, &b);
		for (uint32_t i = 0; i < 5; i++) {
			CU_ASSERT_EQUAL(b.pkt[i].drop, i < n ? XESP_DROP_NONE : want);
			CU_ASSERT_TRUE(i >= n || b.pkt[i].seq == first + i);
		}
		CU_ASSERT_EQUAL(drops_of(&p.st.sa[PAIR_SA_OUT].drops, want), 5 - n);
		CU_ASSERT_EQUAL(sad_lease_grant(p.sad, &m, NULL), 0);
	}
	/* Dropped for want of a number: untouched, TTL and all. */
	CU_ASSERT_EQUAL(b.pkt[4].l3[8], 64);
	pair_close(&p);
}

static void refused_before_numbers(void)
{
	static struct frame f;
	struct pkt pkt;
	struct pair p;

	pair_open(&p, &defaults);
	for (uint8_t ttl = 0; ttl < 3; ttl++) {
		for (int i = 0; i < 4; i++) {
			pkt = pair_make(&f, i & 1 ? 6 : 4, 60);
			pkt.l3[i & 1 ? 7 : 8] = ttl;
			if (!(i & 1))
				pair_checksum(pkt.l3);
			pkt.local = i & 2;
			CU_ASSERT_EQUAL(pair_encap(&p, &pkt), ttl > 1 || pkt.local ?
							      XESP_DROP_NONE :
							      XESP_DROP_TTL_EXPIRED);
			CU_ASSERT_TRUE(!pkt.drop || pkt.l3[i & 1 ? 7 : 8] == ttl);
		}
	}
	/* The tunnel names an SA of another tunnel, or an inbound one. */
	p.tunnel_out.sa_out = PAIR_SA_IN;
	CU_ASSERT_EQUAL(sad_tunnel_set(p.sad, &p.tunnel_out, NULL), 0);
	pkt = pair_make(&f, 4, 60);
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NO_SA_OUT);
	p.tunnel_in.sa_out = PAIR_SA_OUT;
	CU_ASSERT_EQUAL(sad_tunnel_set(p.sad, &p.tunnel_in, NULL), 0);
	pkt = pair_make(&f, 4, 60);
	pkt.id = PAIR_TUNNEL_IN;
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NO_SA_OUT);
	CU_ASSERT_EQUAL(p.st.policy[PAIR_POLICY].by_reason[XESP_DROP_NO_SA_OUT], 2);
	pair_close(&p);
}

static void wrong_sa_for_the_packet(void)
{
	static struct frame f;
	struct pkt pkt, c;
	struct pair p;

	pair_open(&p, &defaults);
	pkt = pair_make(&f, 4, 60);
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
	pair_turn(&pkt);
	for (uint32_t id = 0; id < 70; id++) {
		c = pkt;
		c.id = id == PAIR_SA_IN ? UINT32_MAX : id;
		CU_ASSERT_EQUAL(pair_decap(&p, &c), XESP_DROP_NO_SA);
		CU_ASSERT_PTR_NULL(c.sa);
	}
	c = pkt;
	c.l4_off = 19; /* inside the IP header */
	CU_ASSERT_EQUAL(pair_decap(&p, &c), XESP_DROP_MALFORMED_IP);
	c = pkt;
	c.l4_off = (uint16_t)(pkt.len + 1);
	CU_ASSERT_EQUAL(pair_decap(&p, &c), XESP_DROP_MALFORMED_IP);
	CU_ASSERT_EQUAL(all_drops(&p), 0); /* none of these is an SA's */
	CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
	pair_close(&p);
}

/* Two workers are given the same packets: each is accepted by one of them. */
#define SHARED_PKTS 3000
#define SHARED_BATCH 20

struct receiver {
	struct pair *p;
	uint32_t worker;
	const struct pkt *pkt;
	uint64_t accepted;
	pthread_t thread;
};

static void *receive_all(void *arg)
{
	struct receiver *r = arg;
	struct frame *f = calloc(SHARED_BATCH, sizeof(*f));
	struct batch *b = calloc(1, sizeof(*b));
	struct esp_worker *w;

	if (esp_worker_open(&w, r->p->sad, r->worker, NULL))
		abort();
	for (uint32_t i = 0; i < SHARED_PKTS; i += SHARED_BATCH) {
		b->n = SHARED_BATCH;
		for (uint32_t k = 0; k < SHARED_BATCH; k++) {
			const struct pkt *from = &r->pkt[i + k];

			memcpy(f[k].bytes, from->l3, from->len);
			b->pkt[k] = *from;
			b->pkt[k].l3 = f[k].bytes;
		}
		esp_decap(w, b);
		for (uint32_t k = 0; k < SHARED_BATCH; k++)
			r->accepted += b->pkt[k].drop == XESP_DROP_NONE;
		sad_quiescent(r->p->sad, r->worker);
	}
	esp_worker_close(w);
	free(b);
	free(f);
	return NULL;
}

static void two_share_a_window(void)
{
	const struct pair_opts o = { .window = 4096 };
	struct pkt *pkt = calloc(SHARED_PKTS, sizeof(*pkt));
	uint8_t *copies = calloc(SHARED_PKTS, 128);
	struct receiver r[2] = { 0 };
	static struct frame f;
	struct pair p;

	pair_open(&p, &o);
	for (uint32_t i = 0; i < SHARED_PKTS; i++) {
		pkt[i] = pair_make(&f, 4, 60);
		CU_ASSERT_EQUAL(pair_encap(&p, &pkt[i]), XESP_DROP_NONE);
		memcpy(copies + 128 * i, pkt[i].l3, pkt[i].len);
		pair_turn(&pkt[i]);
		pkt[i].l3 = copies + 128 * i;
	}
	for (uint32_t i = 0; i < 2; i++) {
		r[i] = (struct receiver){ .p = &p, .worker = i, .pkt = pkt };
		pthread_create(&r[i].thread, NULL, receive_all, &r[i]);
	}
	for (uint32_t i = 0; i < 2; i++)
		pthread_join(r[i].thread, NULL);
	CU_ASSERT_EQUAL(r[0].accepted + r[1].accepted, SHARED_PKTS);
	CU_ASSERT_EQUAL(p.st.sa[PAIR_SA_IN].packets, SHARED_PKTS);
	CU_ASSERT_EQUAL(in_drops(&p, XESP_DROP_REPLAY_DUPLICATE) +
			in_drops(&p, XESP_DROP_REPLAY_OLD), SHARED_PKTS);
	pair_close(&p);
	free(copies);
	free(pkt);
}

static void all_by_ipsecmb(void)
{
	if (!pair_use_ipsecmb())
		return;
	all_lengths();
	all_truncations();
	all_flips();
	pair_use_openssl();
}

CU_TestInfo esp_tests[] = {
	{ "every length, both families in both, ESN, each algorithm and key length", all_lengths },
	{ "padding and trailer", padding_is_as_rfc_says },
	{ "an ESP packet cut at every length", all_truncations },
	{ "an ESP packet with any bit flipped", all_flips },
	{ "ipsec-mb: every length, cut at every length, any bit flipped", all_by_ipsecmb },
	{ "an outer IPv6 header with any bit flipped", outer_header_flips },
	{ "a batch keeps its places", batches_keep_their_places },
	{ "leases and number spaces end", leases_end },
	{ "refused before a number is taken", refused_before_numbers },
	{ "an SA that is not the packet's", wrong_sa_for_the_packet },
	{ "two workers share a window: nothing twice", two_share_a_window },
	CU_TEST_INFO_NULL,
};
