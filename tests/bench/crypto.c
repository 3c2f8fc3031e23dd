/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crypto.c - the engine alone, over buffers that lie as the worker's do: the ceiling of ESP.
 *
 * Each packet has its own chunk of packet memory, and these are taken in turn, so that the cache is as
 * cold or warm as behind a ring. The time is the thread's own: who else has the CPU does not count.
 * Prints a line of JSON for each size and direction.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/choice.h"
#include "port/umem.h"
#include "xesp/fault.h"

#define BATCH 64u
#define FRAMES 1024u
#define WIDES 512u
#define OFF 300u /* where ESP's text begins in a chunk, about */

static const uint32_t sizes[] = { 64, 512, 1420, 9000 };

struct bench {
	struct umem_pool *pool;
	uint64_t addr[FRAMES];
	uint32_t addrs_n;
	struct engine_key *key[2]; /* seal, open */
	struct engine_job job[BATCH];
	uint64_t seq;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void take_buffers(struct bench *b, uint32_t size)
{
	b->addrs_n = 0;
	if (size + OFF + 64 > UMEM_CHUNK)
		while (b->addrs_n < WIDES && umem_take_wide(b->pool, &b->addr[b->addrs_n]))
			b->addrs_n++;
	else
		while (b->addrs_n < FRAMES && umem_take(b->pool, UMEM_HAND, &b->addr[b->addrs_n]))
			b->addrs_n++;
}

static void give_buffers(struct bench *b)
{
	for (uint32_t i = 0; i < b->addrs_n; i++) {
		if (umem_is_wide(b->pool, b->addr[i]))
			umem_put_wide(b->pool, b->addr[i]);
		else
			umem_put(b->pool, b->addr[i], UMEM_HAND);
	}
}

/* What a packet's IV and number are set to is part of its cost. */
static void make_jobs(struct bench *b, uint32_t at, uint64_t seq, uint32_t len, int open)
{
	for (uint32_t i = 0; i < BATCH; i++, seq++) {
		uint8_t *text = b->pool->area + b->addr[(at + i) % b->addrs_n] + OFF;
		struct engine_job *j = &b->job[i];

		*j = (struct engine_job){ .key = b->key[open], .text = text, .len = len,
					  .aad = j->made, .aad_len = 12, .tag = text + len,
					  .tag_len = 16 };
		memcpy(j->nonce + 4, &seq, sizeof(seq));
		memcpy(j->made + 4, &seq, sizeof(seq));
	}
}

static void fail(const char *what)
{
	fprintf(stderr, "crypto: %s\n", what);
	exit(70);
}

static void run_batch(struct bench *b, uint32_t at, uint32_t len, uint64_t took[2])
{
	uint64_t t0, t1, t2;

	t0 = now_ns();
	make_jobs(b, at, b->seq, len, 0);
	choice_engine()->encrypt(b->job, BATCH);
	t1 = now_ns();
	make_jobs(b, at, b->seq, len, 1);
	choice_engine()->decrypt(b->job, BATCH);
	t2 = now_ns();
	for (uint32_t i = 0; i < BATCH; i++)
		if (!b->job[i].ok)
			fail("a packet did not come back");
	b->seq += BATCH;
	took[0] = t1 - t0;
	took[1] = t2 - t1;
}

static int by_time(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The median batch: one that was interrupted says nothing. */
static void run_size(struct bench *b, uint32_t size, uint32_t batches)
{
	uint64_t *took[2] = { calloc(batches, 8), calloc(batches, 8) };
	const uint32_t len = (size + 2 + 3) / 4 * 4;

	if (!took[0] || !took[1])
		fail("out of memory");
	take_buffers(b, size);
	for (uint32_t i = 0; i < batches; i++) {
		uint64_t t[2];

		run_batch(b, i * BATCH, len, t);
		took[0][i] = t[0];
		took[1][i] = t[1];
	}
	for (int d = 0; d < 2; d++) {
		qsort(took[d], batches, sizeof(uint64_t), by_time);
		printf("{\"label\":\"crypto\",\"engine\":\"%s\",\"direction\":\"%s\",\"size\":%u,"
		       "\"cpu_ns\":%.1f}\n", choice_of(XESP_ALG_AES_GCM_16, XESP_AUTH_NONE, 16)->name,
		       d ? "decap" : "encap", size,
		       (double)took[d][batches / 2] / BATCH);
		free(took[d]);
	}
	give_buffers(b);
}

int main(int argc, char **argv)
{
	static const uint8_t key[16] = "a key of a bench";
	const struct umem_size size = { .pools_n = 1, .frames_n = FRAMES, .wides_n = WIDES };
	struct engine_key_spec spec = { .alg = XESP_ALG_AES_GCM_16, .key = key, .key_len = 16 };
	static struct bench b = { .seq = 1 };
	uint32_t batches = 400;
	struct fault f = { "" };
	struct umem *umem;

	if (argc == 2)
		batches = (uint32_t)strtoul(argv[1], NULL, 10);
	if (argc > 2 || batches < 1 || batches > 100000) {
		fprintf(stderr, "usage: crypto [BATCHES], 1 to 100000\n");
		return 2;
	}
	/* As the gateway's xespd chooses, which has the objects beside it. */
	if (choice_open("auto", getenv("XESP_BUILD"), &f) || umem_open(&umem, &size, &f))
		fail(f.text);
	b.pool = umem_pool(umem, 0);
	for (int d = 0; d < 2; d++) {
		spec.dir = d ? XESP_DIR_IN : XESP_DIR_OUT;
		b.key[d] = choice_engine()->key_open(&spec, &f);
		if (!b.key[d])
			fail(f.text);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		run_size(&b, sizes[i], batches);
	choice_engine()->key_close(b.key[0]);
	choice_engine()->key_close(b.key[1]);
	umem_close(umem);
	choice_close();
	return 0;
}
