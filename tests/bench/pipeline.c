/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pipeline.c - what ESP costs a packet without rings and kernel, beside the engine alone.
 *
 * Encapsulates batches of packets and decapsulates them again, and has the engine seal and open the
 * same lengths, all in turn within each round: what the machine does meanwhile hits them alike, and
 * the ratio holds where the figures wander. Prints min, median and max over the rounds.
 */
#include <getopt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "crypto/choice.h"
#include "tests/pair/pair.h"
#include "xesp/fault.h"

#define SIZES 3
#define ROUNDS_MAX 101
#define BATCHES 400 /* in a round, of each kind */

enum kind { ENCAP, DECAP, SEAL, OPEN, KINDS };

static const uint32_t sizes[SIZES] = { 64, 512, 1420 };

struct bench {
	struct pair pair;
	struct batch batch;
	struct frame *frame; /* [batch.n] */
	struct engine_key *seal, *open;
	struct engine_job job[BATCH_MAX];
	uint32_t packets, rounds;
	uint64_t took[KINDS][BATCHES];       /* ns a batch, of one round */
	double ns[SIZES][KINDS][ROUNDS_MAX]; /* a packet, the median batch of each round */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void open_engine(struct bench *b)
{
	struct engine_key_spec spec = {
		.alg = XESP_ALG_AES_GCM_16, .dir = XESP_DIR_OUT, .key = b->pair.out.key,
		.key_len = b->pair.out.key_len,
	};

	b->seal = pair_engine->key_open(&spec, NULL);
	spec.dir = XESP_DIR_IN;
	b->open = pair_engine->key_open(&spec, NULL);
	if (!b->seal || !b->open)
		exit(70);
}

/* Clear packets again: the headers; what is behind them may be anything. */
static void refill(struct bench *b, const struct frame *model, uint32_t size)
{
	b->batch.n = b->packets;
	for (uint32_t i = 0; i < b->packets; i++) {
		memcpy(b->frame[i].bytes + PAIR_HEADROOM, model->bytes + PAIR_HEADROOM, 64);
		b->batch.pkt[i] = pair_clear(&b->frame[i], size);
	}
}

static void run_pipeline(struct bench *b, const struct frame *model, uint32_t size, int at)
{
	uint64_t t0, t1, t2, t3;

	refill(b, model, size);
	t0 = now_ns();
	esp_encap(b->pair.w, &b->batch);
	t1 = now_ns();
	for (uint32_t i = 0; i < b->packets; i++)
		pair_turn(&b->batch.pkt[i]);
	t2 = now_ns();
	esp_decap(b->pair.w, &b->batch);
	t3 = now_ns();
	for (uint32_t i = 0; i < b->packets; i++) {
		if (b->batch.pkt[i].drop || b->batch.pkt[i].len != size) {
			fprintf(stderr, "packet dropped: %d\n", b->batch.pkt[i].drop);
			exit(70);
		}
	}
	b->took[ENCAP][at] = t1 - t0;
	b->took[DECAP][at] = t3 - t2;
}

static void run_engine(struct bench *b, uint32_t size, int at)
{
	uint32_t len = (size + 2 + 3) / 4 * 4; /* the text that the packet becomes */
	uint64_t t0, t1, t2, t3;

	for (uint32_t i = 0; i < b->packets; i++) {
		uint8_t *text = b->frame[i].bytes + PAIR_HEADROOM;

		b->job[i] = (struct engine_job){ .key = b->seal, .text = text, .len = len,
						 .aad = text - 8, .aad_len = 8, .tag_len = 16,
						 .tag = text + len };
		b->job[i].nonce[11] = (uint8_t)i;
	}
	t0 = now_ns();
	pair_engine->encrypt(b->job, b->packets);
	t1 = now_ns();
	for (uint32_t i = 0; i < b->packets; i++)
		b->job[i].key = b->open;
	t2 = now_ns();
	pair_engine->decrypt(b->job, b->packets);
	t3 = now_ns();
	for (uint32_t i = 0; i < b->packets; i++) {
		if (!b->job[i].ok) {
			fprintf(stderr, "engine: packet refused\n");
			exit(70);
		}
	}
	b->took[SEAL][at] = t1 - t0;
	b->took[OPEN][at] = t3 - t2;
}

static int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void run_round(struct bench *b, uint32_t s, uint32_t round)
{
	static struct frame model;

	pair_make(&model, 4, sizes[s]);
	/* The numbers never run out: nothing here leaves this process. */
	b->pair.st.sa[PAIR_SA_OUT].lease_end = UINT32_MAX;
	for (int i = 0; i < BATCHES; i++) {
		run_pipeline(b, &model, sizes[s], i);
		run_engine(b, sizes[s], i);
	}
	/* The median batch: one during which another process had the CPU says nothing. */
	for (int k = 0; k < KINDS; k++) {
		qsort(b->took[k], BATCHES, sizeof(b->took[k][0]), by_time);
		b->ns[s][k][round] = (double)b->took[k][BATCHES / 2] / b->packets;
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static const char *const names[KINDS] = { "encap", "decap", "seal", "open" };

static const char *engine_name(void)
{
	return choice_of(XESP_ALG_AES_GCM_16, XESP_AUTH_NONE, 16)->name;
}

static void print_table(const struct bench *b)
{
	printf("ESP without rings and kernel: AES-128-GCM by %s, one SA, batch %u, %u rounds, ns a packet\n\n",
	       engine_name(), b->packets, b->rounds);
	printf("%6s  %-6s %7s %7s %7s   %-12s %7s %7s   %7s %6s\n", "bytes", "", "min", "median",
	       "max", "engine alone", "min", "median", "beside", "ratio");
	for (uint32_t s = 0; s < SIZES; s++) {
		for (int k = ENCAP; k <= DECAP; k++) {
			const double *whole = b->ns[s][k], *engine = b->ns[s][k + SEAL];
			uint32_t mid = b->rounds / 2;

			printf("%6u  %-6s %7.1f %7.1f %7.1f   %-12s %7.1f %7.1f   %7.1f %6.2f\n",
			       sizes[s], names[k], whole[0], whole[mid], whole[b->rounds - 1],
			       names[k + SEAL], engine[0], engine[mid], whole[mid] - engine[mid],
			       whole[mid] / engine[mid]);
		}
	}
}

static void print_json(const struct bench *b)
{
	struct utsname u;

	uname(&u);
	printf("{\"bench\":\"pipeline\",\"machine\":\"%s\",\"kernel\":\"%s\",\"crypto\":\"%s, %s\","
	       "\"version\":\"%s\",\"batch\":%u,\"rounds\":%u,\"rows\":[",
	       u.machine, u.release, engine_name(),
	       choice_of(XESP_ALG_AES_GCM_16, XESP_AUTH_NONE, 16)->version, XESP_VERSION, b->packets,
	       b->rounds);
	for (uint32_t s = 0; s < SIZES; s++) {
		for (int k = 0; k < KINDS; k++) {
			const double *v = b->ns[s][k];

			printf("%s{\"bytes\":%u,\"what\":\"%s\",\"min_ns\":%.1f,\"median_ns\":%.1f,"
			       "\"max_ns\":%.1f}", s || k ? "," : "", sizes[s], names[k], v[0],
			       v[b->rounds / 2], v[b->rounds - 1]);
		}
	}
	printf("]}\n");
}

static uint32_t number(const char *text, uint32_t max, const char *option)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end || !*text || v < 1 || v > max) {
		fprintf(stderr, "--%s %s: 1 to %u are possible\n", option, text, max);
		exit(2);
	}
	return (uint32_t)v;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "batch", required_argument, NULL, 'b' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "engine", required_argument, NULL, 'e' },
		{ NULL, 0, NULL, 0 },
	};
	const struct pair_opts o = { .lease = UINT32_MAX };
	static struct bench b = { .packets = 64, .rounds = 11 };
	const char *engine = "auto";
	struct fault f = { "" };
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'j': json = true; break;
		case 'b': b.packets = number(optarg, BATCH_MAX, "batch"); break;
		case 'r': b.rounds = number(optarg, ROUNDS_MAX, "rounds"); break;
		case 'e': engine = optarg; break;
		default: return 2;
		}
	}
	if (choice_open(engine, pair_build_dir(), &f)) {
		fprintf(stderr, "%s\n", f.text);
		return 2;
	}
	pair_engine = choice_engine();
	pair_open(&b.pair, &o);
	open_engine(&b);
	b.frame = calloc(b.packets, sizeof(*b.frame));
	if (!b.frame)
		return 70;
	for (uint32_t s = 0; s < SIZES; s++)
		run_round(&b, s, 0); /* warm up: overwritten below */
	for (uint32_t r = 0; r < b.rounds; r++)
		for (uint32_t s = 0; s < SIZES; s++)
			run_round(&b, s, r);
	for (uint32_t s = 0; s < SIZES; s++)
		for (int k = 0; k < KINDS; k++)
			qsort(b.ns[s][k], b.rounds, sizeof(double), by_value);
	if (json)
		print_json(&b);
	else
		print_table(&b);
	pair_engine->key_close(b.seal);
	pair_engine->key_close(b.open);
	pair_close(&b.pair);
	choice_close();
	free(b.frame);
	return 0;
}
