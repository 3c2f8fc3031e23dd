/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RFC 4303 appendix A3, RFC 4302 appendix B3: 2^32 packets and more are lost in a row, and the receiver finds back into
 * step; forged and old packets lead it nowhere, and cost a bounded number of tries.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "libxesp/drops.h"
#include "sad/resync.h"
#include "sad/sa.h"
#include "tests/pair/pair.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define LONG_AGO 1
#define SECOND RESYNC_EVERY_NS

struct fixture {
	struct pair p;
	struct resync_desk *desk;
	struct frame f;
	struct batch batch;
	uint8_t scratch[RESYNC_ROOM];
	uint64_t now; /* of the rate limit */
};

static struct fixture x;

static const struct kind {
	const char *name;
	struct pair_opts o;
} kinds[] = {
	{ "aes-gcm", { .esn = true } },
	{ "aes-gcm-iiv", { .esn = true, .alg = XESP_ALG_AES_GCM_16_IIV } },
	{ "aes-cbc", { .esn = true, .alg = XESP_ALG_AES_CBC, .auth = XESP_AUTH_HMAC_SHA2_256_128 } },
	{ "ah-sha256", { .esn = true, .ah = true, .auth = XESP_AUTH_HMAC_SHA2_256_128 } },
	{ "ah-gmac over IPv6", { .esn = true, .ah = true, .auth = XESP_AUTH_AES_GMAC, .outer6 = true } },
	{ "aes-gcm, window of 4096", { .esn = true, .window = 4096 } },
	{ "in UDP", { .esn = true, .natt = { .encap = XESP_ENCAP_UDP, .local_port = 1, .remote_port = 2,
					     .peer_port = 2 } } },
};

static void setup(const struct pair_opts *o)
{
	pair_open(&x.p, o);
	x.desk = sad_resync(x.p.sad);
	x.now = LONG_AGO;
}

/* The next number that is sent. */
static void at(uint64_t seq)
{
	x.p.st.sa[PAIR_SA_OUT].seq_next = seq;
	x.p.st.sa[PAIR_SA_OUT].lease_end = seq + 100000;
}

static uint64_t top(void)
{
	return x.p.st.sa[PAIR_SA_IN].replay_top;
}

static struct pkt seal(void)
{
	struct pkt p = pair_make(&x.f, 4, 100);

	CU_ASSERT_EQUAL(pair_encap(&x.p, &p), XESP_DROP_NONE);
	pair_turn(&p);
	return p;
}

static enum xesp_drop send_one(void)
{
	struct pkt p = seal();

	return pair_decap(&x.p, &p);
}

/* So many that do not authenticate; those that stand in the window for the receiver count as well. */
static void fail(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		CU_ASSERT_NOT_EQUAL(send_one(), XESP_DROP_NONE);
}

/* What the main thread does when a packet was left. */
static bool resync(struct esp_resync *r)
{
	struct resync_packet p;
	bool found;

	*r = (struct esp_resync){ .scratch = x.scratch, .batch = &x.batch };
	if (!resync_take(x.desk, &p))
		return false;
	found = esp_resync(x.p.w, &p, r);
	resync_done(x.desk, 0); /* no waiting here */
	__atomic_store_n(&x.desk->not_before_ns, 0, __ATOMIC_RELAXED);
	return found;
}

static void every_kind(void)
{
	for (size_t i = 0; i < LEN(kinds); i++)
		for (uint32_t halves = 1; halves <= RESYNC_TRIES; halves += 21) {
			const uint64_t far = ((uint64_t)halves << 32) + 70000;
			struct esp_resync r;
			uint64_t drops;

			setup(&kinds[i].o);
			at(5000);
			CU_ASSERT_EQUAL(send_one(), XESP_DROP_NONE);
			at(far);
			fail(RESYNC_AFTER);
			CU_ASSERT_FALSE(resync(&r)); /* not yet */
			fail(1);
			drops = drops_of(&x.p.st.sa[PAIR_SA_IN].drops, XESP_DROP_BAD_ICV);
			CU_ASSERT_EQUAL(drops, RESYNC_AFTER + 1);
			if (!resync(&r))
				printf("  %s, %u\n", kinds[i].name, halves);
			CU_ASSERT_EQUAL(r.was, 5000);
			CU_ASSERT_EQUAL(r.now, far + RESYNC_AFTER);
			CU_ASSERT_EQUAL(r.spi, PAIR_SPI);
			CU_ASSERT_EQUAL(top(), far + RESYNC_AFTER);
			CU_ASSERT_EQUAL(drops_of(&x.p.st.sa[PAIR_SA_IN].drops, XESP_DROP_BAD_ICV), drops);
			CU_ASSERT_EQUAL(x.p.st.sa[PAIR_SA_IN].lost > (uint64_t)halves << 31, true);
			for (int k = 0; k < 10; k++)
				CU_ASSERT_EQUAL(send_one(), XESP_DROP_NONE);
			CU_ASSERT_FALSE(resync(&r));
			pair_close(&x.p);
		}
}

/* The packet that was tried is marked as seen: it, whatever came before it, and the past are no way in. */
static void replays(void)
{
	static struct frame kept;
	struct esp_resync r;
	struct pkt first, p;

	setup(&kinds[0].o);
	at(5000);
	first = seal();
	memcpy(&kept, &x.f, sizeof(kept));
	CU_ASSERT_EQUAL(pair_decap(&x.p, &first), XESP_DROP_NONE);
	at((3ull << 32) + 9000);
	fail(RESYNC_AFTER);
	p = seal();
	CU_ASSERT_EQUAL(pair_decap(&x.p, &p), XESP_DROP_BAD_ICV);
	CU_ASSERT_TRUE(resync(&r));
	at((3ull << 32) + 9000 + RESYNC_AFTER);
	CU_ASSERT_EQUAL(send_one(), XESP_DROP_REPLAY_DUPLICATE);
	/* Old packets, over and over: nothing above the window fits them. */
	for (uint32_t i = 0; i < 3 * RESYNC_AFTER; i++) {
		struct pkt old = first;

		memcpy(&x.f, &kept, sizeof(kept));
		old.drop = XESP_DROP_NONE;
		old.l3 = x.f.bytes + PAIR_HEADROOM - 36;
		old.len = 20 + 16 + 104 + 16;
		old.l4_off = 20;
		old.id = PAIR_SA_IN;
		old.sa = NULL;
		pair_decap(&x.p, &old);
		CU_ASSERT_EQUAL(old.drop, XESP_DROP_BAD_ICV);
	}
	CU_ASSERT_FALSE(resync(&r));
	CU_ASSERT_EQUAL(r.was, (3ull << 32) + 9000 + RESYNC_AFTER);
	CU_ASSERT_EQUAL(top(), r.was);
	pair_close(&x.p);
}

static void forged(void)
{
	struct esp_resync r;

	setup(&kinds[0].o);
	at(5000);
	CU_ASSERT_EQUAL(send_one(), XESP_DROP_NONE);
	for (uint32_t i = 0; i < 4 * RESYNC_AFTER; i++) {
		struct pkt p = seal();

		p.l3[p.len - 1] ^= 1;
		CU_ASSERT_EQUAL(pair_decap(&x.p, &p), XESP_DROP_BAD_ICV);
	}
	CU_ASSERT_FALSE(resync(&r));
	CU_ASSERT_EQUAL(top(), 5000);
	CU_ASSERT_EQUAL(send_one(), XESP_DROP_NONE);
	CU_ASSERT_FALSE(resync_is_due(sad_find(x.p.sad, PAIR_SA_IN))); /* one that is right ends it */
	fail(0);
	pair_close(&x.p);
}

static void beyond_the_tries(void)
{
	struct esp_resync r;

	setup(&kinds[0].o);
	at(5000);
	CU_ASSERT_EQUAL(send_one(), XESP_DROP_NONE);
	at(((uint64_t)RESYNC_TRIES + 1) << 32 | 70000);
	fail(RESYNC_AFTER + 1);
	CU_ASSERT_FALSE(resync(&r));
	CU_ASSERT_EQUAL(top(), 5000);
	/* At the end of all numbers there is nothing above: no wrap. */
	x.p.st.sa[PAIR_SA_IN].replay_top = 0xfffffffdull << 32 | 5000;
	fail(RESYNC_AFTER + 1);
	CU_ASSERT_FALSE(resync(&r));
	pair_close(&x.p);
}

/* One copy waits, whoever fails; the next one not before a second after the last was tried. */
static void seldom(void)
{
	static uint8_t packet[RESYNC_ROOM + 1];
	struct resync_packet p = { .at = packet, .len = 100, .sa = 7 }, out;

	setup(&kinds[0].o);
	CU_ASSERT_FALSE(resync_take(x.desk, &out));
	packet[99] = 0x55;
	CU_ASSERT_TRUE(resync_offer(x.desk, &p, SECOND));
	CU_ASSERT_FALSE(resync_offer(x.desk, &p, 2 * SECOND));
	packet[99] = 0;
	CU_ASSERT_TRUE(resync_take(x.desk, &out));
	CU_ASSERT_EQUAL(out.at[99], 0x55); /* a copy */
	CU_ASSERT_EQUAL(out.sa, 7);
	CU_ASSERT_FALSE(resync_take(x.desk, &out));
	CU_ASSERT_FALSE(resync_offer(x.desk, &p, 3 * SECOND)); /* it is being tried */
	resync_done(x.desk, 3 * SECOND);
	CU_ASSERT_FALSE(resync_offer(x.desk, &p, 4 * SECOND - 1));
	CU_ASSERT_TRUE(resync_offer(x.desk, &p, 4 * SECOND));
	CU_ASSERT_TRUE(resync_take(x.desk, &out));
	resync_done(x.desk, 0);
	p.len = RESYNC_ROOM + 1;
	CU_ASSERT_FALSE(resync_offer(x.desk, &p, 9 * SECOND));
	pair_close(&x.p);
}

static void without_esn(void)
{
	struct resync_packet out;

	setup(&(struct pair_opts){ 0 });
	for (uint32_t i = 0; i < 3 * RESYNC_AFTER; i++) {
		struct pkt p = seal();

		p.l3[p.len - 1] ^= 1;
		CU_ASSERT_EQUAL(pair_decap(&x.p, &p), XESP_DROP_BAD_ICV);
	}
	CU_ASSERT_FALSE(resync_take(x.desk, &out));
	pair_close(&x.p);
}

/* What was left may be of an SA that is no more, or that found its step meanwhile. */
static void gone(void)
{
	struct esp_resync r;

	setup(&kinds[0].o);
	at(5000);
	CU_ASSERT_EQUAL(send_one(), XESP_DROP_NONE);
	at((1ull << 32) + 70000);
	fail(RESYNC_AFTER + 1);
	resync_authentic(sad_find(x.p.sad, PAIR_SA_IN));
	CU_ASSERT_FALSE(resync(&r));
	CU_ASSERT_EQUAL(top(), 5000);
	fail(RESYNC_AFTER + 1);
	CU_ASSERT_EQUAL(sad_del(x.p.sad, PAIR_SA_IN, NULL), 0);
	CU_ASSERT_FALSE(resync(&r));
	CU_ASSERT_EQUAL(esp_worker_stats(x.p.w)->drops[XESP_DROP_NO_SA], 0);
	pair_close(&x.p);
}

CU_TestInfo resync_tests[] = {
	{ "every kind of SA finds back", every_kind },
	{ "replayed packets are no way in", replays },
	{ "forged packets are tried and lead nowhere", forged },
	{ "bounded tries, and no wrap", beyond_the_tries },
	{ "one packet a second", seldom },
	{ "not without ESN", without_esn },
	{ "of an SA that is gone", gone },
	CU_TEST_INFO_NULL,
};
