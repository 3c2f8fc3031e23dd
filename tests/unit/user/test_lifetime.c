/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hard limits of an SA, RFC 4301 section 4.4.2.1: packets, bytes and time, both directions, to the
 * packet; what does not count; what stays ended.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "esp/wire.h"
#include "libxesp/drops.h"
#include "sad/lifetime.h"
#include "tests/pair/pair.h"
#include "xesp/fault.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define BATCH 64

static struct frame frames[BATCH];
static struct batch batch;

static struct xesp_sa_state *state(struct pair *p, uint32_t id)
{
	return &p->st.sa[id];
}

static void limit(struct pair *p, struct xesp_keymsg_sa *m, uint64_t packets, uint64_t bytes)
{
	struct fault f = { "" };

	m->hard_packets = packets;
	m->hard_bytes = bytes;
	m->lease_first = m->lease_last = 0;
	CU_ASSERT_EQUAL(sad_add(p->sad, m, &f), 0);
}

/* n packets of `len` bytes through encap in one batch; how many were good. */
static uint32_t send_batch(struct pair *p, uint32_t n, uint32_t len, enum xesp_drop why)
{
	uint32_t good = 0;

	batch.n = n;
	for (uint32_t i = 0; i < n; i++)
		batch.pkt[i] = pair_make(&frames[i], 4, len);
	esp_encap(p->w, &batch);
	for (uint32_t i = 0; i < n; i++) {
		if (batch.pkt[i].drop)
			CU_ASSERT_EQUAL(batch.pkt[i].drop, why);
		good += !batch.pkt[i].drop;
	}
	return good;
}

static void packets_out(void)
{
	static const uint32_t sizes[] = { 1, 7, 64 };
	const struct pair_opts o = { 0 };

	for (size_t k = 0; k < LEN(sizes); k++) {
		struct pair p;
		uint32_t good = 0;

		pair_open(&p, &o);
		limit(&p, &p.out, 100, 0);
		for (uint32_t i = 0; i < 200; i += sizes[k])
			good += send_batch(&p, sizes[k], 60, XESP_DROP_LIFETIME);
		CU_ASSERT_EQUAL(good, 100);
		CU_ASSERT_EQUAL(state(&p, PAIR_SA_OUT)->packets, 100);
		CU_ASSERT_EQUAL(state(&p, PAIR_SA_OUT)->life_packets, 100);
		CU_ASSERT_EQUAL(state(&p, PAIR_SA_OUT)->expired, XESP_EXPIRED_HARD);
		CU_ASSERT(drops_of(&state(&p, PAIR_SA_OUT)->drops, XESP_DROP_LIFETIME) >= 100);
		pair_close(&p);
	}
}

/* Bytes are those of the ciphertext: 60 of the packet, 2 of padding, 2 of the trailer. */
static void bytes_out(void)
{
	static const struct {
		uint64_t limit;
		uint32_t want;
	} rows[] = { { 63, 0 }, { 64, 1 }, { 127, 1 }, { 128, 2 }, { 64 * 30, 30 }, { 64 * 64 - 1, 63 } };
	const struct pair_opts o = { 0 };

	for (size_t i = 0; i < LEN(rows); i++) {
		struct pair p;

		pair_open(&p, &o);
		limit(&p, &p.out, 0, rows[i].limit);
		CU_ASSERT_EQUAL(send_batch(&p, 64, 60, XESP_DROP_LIFETIME), rows[i].want);
		/* It has ended, though a smaller packet would fit. */
		CU_ASSERT_EQUAL(send_batch(&p, 1, 20, XESP_DROP_LIFETIME), 0);
		CU_ASSERT_EQUAL(state(&p, PAIR_SA_OUT)->life_bytes, 64 * rows[i].want);
		pair_close(&p);
	}
}

/* Turns each packet of the batch around and decapsulates all; how many were good. */
static uint32_t receive_batch(struct pair *p)
{
	uint32_t good = 0;

	for (uint32_t i = 0; i < batch.n; i++)
		pair_turn(&batch.pkt[i]);
	esp_decap(p->w, &batch);
	for (uint32_t i = 0; i < batch.n; i++)
		good += !batch.pkt[i].drop;
	return good;
}

static void packets_and_bytes_in(void)
{
	static const struct {
		uint64_t packets, bytes;
		uint32_t want;
	} rows[] = { { 1, 0, 1 }, { 63, 0, 63 }, { 64, 0, 64 }, { 0, 64, 1 }, { 0, 191, 2 },
		     { 10, 640, 10 }, { 11, 640, 10 }, { 10, 700, 10 } };
	const struct pair_opts o = { 0 };

	for (size_t i = 0; i < LEN(rows); i++) {
		struct pair p;

		pair_open(&p, &o);
		limit(&p, &p.in, rows[i].packets, rows[i].bytes);
		CU_ASSERT_EQUAL(send_batch(&p, 64, 60, XESP_DROP_NONE), 64);
		CU_ASSERT_EQUAL(receive_batch(&p), rows[i].want);
		for (uint32_t k = rows[i].want; k < 64; k++)
			CU_ASSERT_EQUAL(batch.pkt[k].drop, XESP_DROP_LIFETIME);
		CU_ASSERT_EQUAL(state(&p, PAIR_SA_IN)->packets, rows[i].want);
		CU_ASSERT_EQUAL(state(&p, PAIR_SA_IN)->life_packets, rows[i].want);
		CU_ASSERT_EQUAL(send_batch(&p, 1, 60, XESP_DROP_NONE), 1);
		CU_ASSERT_EQUAL(receive_batch(&p), 0);
		pair_close(&p);
	}
}

/* A forger, a replay and a stranger's SPI bring the end no nearer; a dummy does. */
static void only_authentic_packets_count(void)
{
	const struct pair_opts o = { 0 };
	struct pair p;
	struct pkt held;
	static struct frame copy;

	pair_open(&p, &o);
	limit(&p, &p.in, 3, 0);
	CU_ASSERT_EQUAL(send_batch(&p, 1, 60, XESP_DROP_NONE), 1);
	held = batch.pkt[0];
	copy = frames[0];
	for (int bit = 0; bit < 8 * 40; bit++) {
		frames[0] = copy;
		batch.pkt[0] = held;
		/* From the IV on: SPI and number are other tests'. */
		held.l3[20 + 8 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		CU_ASSERT_EQUAL(receive_batch(&p), 0);
		CU_ASSERT_EQUAL(batch.pkt[0].drop, XESP_DROP_BAD_ICV);
	}
	CU_ASSERT_EQUAL(state(&p, PAIR_SA_IN)->life_packets, 0);
	for (int i = 0; i < 5; i++) {
		frames[0] = copy;
		batch.pkt[0] = held;
		CU_ASSERT_EQUAL(receive_batch(&p), !i);
	}
	CU_ASSERT_EQUAL(state(&p, PAIR_SA_IN)->life_packets, 1);
	CU_ASSERT_EQUAL(send_batch(&p, 3, 60, XESP_DROP_NONE), 3);
	CU_ASSERT_EQUAL(receive_batch(&p), 2);
	CU_ASSERT_EQUAL(batch.pkt[2].drop, XESP_DROP_LIFETIME);
	/* What was decrypted and then refused is wiped. */
	for (uint32_t i = 0; i < 64; i++)
		CU_ASSERT_EQUAL(frames[2].bytes[PAIR_HEADROOM + i], 0);
	pair_close(&p);
}

static uint64_t boot_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void time_ends_both(void)
{
	const struct pair_opts o = { 0 };
	struct pair p;

	pair_open(&p, &o);
	p.out.hard_ns = p.in.hard_ns = boot_ns() + 3600000000000ull;
	limit(&p, &p.out, 0, 0);
	limit(&p, &p.in, 0, 0);
	CU_ASSERT_EQUAL(send_batch(&p, 3, 60, XESP_DROP_NONE), 3);
	CU_ASSERT_EQUAL(receive_batch(&p), 3);
	p.in.hard_ns = boot_ns();
	limit(&p, &p.in, 0, 0);
	CU_ASSERT_EQUAL(send_batch(&p, 3, 60, XESP_DROP_NONE), 3);
	CU_ASSERT_EQUAL(receive_batch(&p), 0);
	CU_ASSERT_EQUAL(drops_of(&state(&p, PAIR_SA_IN)->drops, XESP_DROP_LIFETIME), 3);
	p.out.hard_ns = boot_ns();
	limit(&p, &p.out, 0, 0);
	CU_ASSERT_EQUAL(send_batch(&p, 3, 60, XESP_DROP_LIFETIME), 0);
	/* Later limits change nothing: it has ended. */
	p.out.hard_ns = 0;
	limit(&p, &p.out, 0, 0);
	CU_ASSERT_EQUAL(send_batch(&p, 3, 60, XESP_DROP_LIFETIME), 0);
	CU_ASSERT_EQUAL(state(&p, PAIR_SA_OUT)->expired, XESP_EXPIRED_HARD);
	pair_close(&p);
}

/* keyd takes the key away: the SA is still known, so its packets have a reason of their own. */
static void over_without_a_key(void)
{
	const struct pair_opts o = { 0 };
	struct fault f = { "" };
	struct pair p;

	pair_open(&p, &o);
	CU_ASSERT_EQUAL(send_batch(&p, 2, 60, XESP_DROP_NONE), 2);
	p.out.over = p.in.over = 1;
	memset(p.out.key, 0, sizeof(p.out.key));
	memset(p.out.salt, 0, sizeof(p.out.salt));
	memset(p.in.key, 0, sizeof(p.in.key));
	memset(p.in.salt, 0, sizeof(p.in.salt));
	limit(&p, &p.out, 0, 0);
	limit(&p, &p.in, 0, 0);
	CU_ASSERT_EQUAL(receive_batch(&p), 0);
	CU_ASSERT_EQUAL(batch.pkt[1].drop, XESP_DROP_LIFETIME);
	CU_ASSERT_EQUAL(send_batch(&p, 5, 60, XESP_DROP_LIFETIME), 0);
	CU_ASSERT_EQUAL(drops_of(&state(&p, PAIR_SA_IN)->drops, XESP_DROP_LIFETIME), 2);
	CU_ASSERT_EQUAL(drops_of(&state(&p, PAIR_SA_OUT)->drops, XESP_DROP_LIFETIME), 5);
	for (uint32_t i = 0; i < PAIR_WORKERS; i++) {
		CU_ASSERT_PTR_NULL(sad_find(p.sad, PAIR_SA_OUT)->key[i]);
		CU_ASSERT_PTR_NULL(sad_find(p.sad, PAIR_SA_IN)->key[i]);
	}
	/* Of another SA's state it is refused as others are. */
	state(&p, PAIR_SA_OUT)->spi = htonl(0x999);
	CU_ASSERT_EQUAL(sad_add(p.sad, &p.out, &f), -EEXIST);
	pair_close(&p);
}

static void a_limit_set_later_counts_what_was(void)
{
	const struct pair_opts o = { 0 };
	struct pair p;

	pair_open(&p, &o);
	CU_ASSERT_EQUAL(send_batch(&p, 60, 60, XESP_DROP_NONE), 60);
	limit(&p, &p.out, 64, 0);
	CU_ASSERT_EQUAL(state(&p, PAIR_SA_OUT)->life_bytes, 60 * 60);
	CU_ASSERT_EQUAL(send_batch(&p, 60, 60, XESP_DROP_LIFETIME), 4);
	pair_close(&p);
}

/* The bound of a key is in numbers, so that a power loss does not begin it anew. */
static void last_number(void)
{
	struct pair_opts o = { .esn = true, .lease = 10 };
	struct fault f = { "" };
	struct pair p;

	pair_open(&p, &o);
	p.out.seq_max = 12;
	limit(&p, &p.out, 0, 0);
	CU_ASSERT_EQUAL(send_batch(&p, 20, 60, XESP_DROP_NO_LEASE), 10);
	p.out.lease_first = 11;
	p.out.lease_last = 13;
	CU_ASSERT_EQUAL(sad_add(p.sad, &p.out, &f), -EINVAL);
	p.out.lease_last = 12;
	CU_ASSERT_EQUAL(sad_add(p.sad, &p.out, &f), 0);
	CU_ASSERT_EQUAL(send_batch(&p, 20, 60, XESP_DROP_SEQ_EXHAUSTED), 2);
	p.out.seq_max = UINT64_MAX;
	CU_ASSERT_EQUAL(sad_add(p.sad, &p.out, &f), -EINVAL);
	pair_close(&p);
}

/* ---- several workers on one SA */

#define THREAD_LIMIT 20000

struct sender {
	struct pair *p;
	uint32_t worker, sent;
};

static void *send_all(void *ctx)
{
	struct sender *s = ctx;
	struct frame *f = calloc(BATCH, sizeof(*f));
	struct batch *b = calloc(1, sizeof(*b));
	struct esp_worker *w = NULL;
	bool over = false;

	if (!f || !b || esp_worker_open(&w, s->p->sad, s->worker, NULL))
		abort();
	while (!over) {
		b->n = 1 + s->sent % BATCH;
		for (uint32_t i = 0; i < b->n; i++)
			b->pkt[i] = pair_make(&f[i], 4, 60);
		esp_encap(w, b);
		for (uint32_t i = 0; i < b->n; i++) {
			over |= b->pkt[i].drop == XESP_DROP_LIFETIME;
			s->sent += !b->pkt[i].drop;
		}
		sad_quiescent(s->p->sad, s->worker);
	}
	esp_worker_close(w);
	free(b);
	free(f);
	return NULL;
}

static void workers_share_a_limit(void)
{
	const struct pair_opts o = { 0 };
	struct sender senders[PAIR_MAIN];
	pthread_t threads[PAIR_MAIN];
	uint64_t sent = 0;
	struct pair p;

	pair_open(&p, &o);
	limit(&p, &p.out, THREAD_LIMIT, 0);
	for (uint32_t i = 0; i < PAIR_MAIN; i++) {
		senders[i] = (struct sender){ &p, i, 0 };
		CU_ASSERT_EQUAL(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
	}
	for (uint32_t i = 0; i < PAIR_MAIN; i++) {
		pthread_join(threads[i], NULL);
		sent += senders[i].sent;
	}
	/* Never beyond; short of it by no more than what was under way when the end was met. */
	CU_ASSERT(sent <= THREAD_LIMIT && sent + PAIR_MAIN * BATCH > THREAD_LIMIT);
	CU_ASSERT_EQUAL(state(&p, PAIR_SA_OUT)->life_packets, sent);
	CU_ASSERT_EQUAL(state(&p, PAIR_SA_OUT)->packets, sent);
	pair_close(&p);
}

CU_TestInfo lifetime_tests[] = {
	{ "packets sent, to the packet", packets_out },
	{ "bytes sent, to the byte", bytes_out },
	{ "packets and bytes received", packets_and_bytes_in },
	{ "only authentic packets count", only_authentic_packets_count },
	{ "time ends an SA in both directions, for good", time_ends_both },
	{ "an SA that is over has no key, and its packets a reason", over_without_a_key },
	{ "a limit set later counts what was before", a_limit_set_later_counts_what_was },
	{ "the last number of a key", last_number },
	{ "several workers share a limit", workers_share_a_limit },
	CU_TEST_INFO_NULL,
};
