/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * calls.c - libipsec-mb's calls held against each other, suite by suite: which should the engine use?
 *
 * Batches of 64 packets of one key, over 1024 buffers that lie as the worker's do, the tag copied out or compared in constant
 * time as the engine does. The ways of a suite (calls_mb.h) take turns within a round; a round's figure is its median batch.
 * Before that all of them must have made the same of the same packets, and taken it apart again.
 */
#include <getopt.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "libxesp/line.h"
#include "tests/bench/calls_mb.h"
#include "xesp/clock.h"

#define FRAMES 1024u
#define FRAME 4096u
#define OFF 300u
#define ROUND_NS 1500000u
#define BATCHES_MAX 1024u
#define ROUNDS_MAX 101u

static const uint32_t sizes[] = { 64, 512, 1420 };
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

struct bench {
	struct calls c;
	uint8_t *area;
	uint64_t seq;
	bool json;
	uint32_t rounds;
	struct json_object *rows;
};

/* A packet of `size` bytes with padding and trailer, in the next buffer. */
static void make_packets(struct bench *b, uint32_t at, uint32_t size)
{
	const uint32_t align = b->c.s->cipher == IMB_CIPHER_CBC ? 16 : 4;

	for (uint32_t i = 0; i < BATCH; i++) {
		struct packet *p = &b->c.packet[i];
		const uint64_t seq = b->seq + i;

		p->text = b->area + (at + i) % FRAMES * (size_t)FRAME + OFF;
		p->len = (size + 2 + align - 1) / align * align;
		p->tag = p->text + p->len;
		p->ok = false;
		memset(p->nonce, 0, sizeof(p->nonce));
		memcpy(p->nonce + 4, &seq, sizeof(seq));
		memset(p->made, 0, sizeof(p->made));
		memcpy(p->made + 4, &seq, sizeof(seq));
		p->aad = p->made;
		if (calls_cover_packet(b->c.s))
			p->aad = p->text - b->c.s->aad_len;
	}
}

static bool all_ok(const struct bench *b)
{
	for (uint32_t i = 0; i < BATCH; i++)
		if (!b->c.packet[i].ok)
			return false;
	return true;
}

/* Of what a way makes of always the same packets: texts and tags. 0: it did not take them apart again. */
static uint64_t digest(struct bench *b, enum way way, uint32_t size)
{
	uint64_t h = 0xcbf29ce484222325ull;

	b->seq = 1;
	make_packets(b, 0, size);
	for (uint32_t i = 0; i < BATCH; i++)
		memset(b->c.packet[i].text - 32, (int)i, b->c.packet[i].len + 32 + MAC_MAX);
	calls_run(&b->c, way, SEAL);
	for (uint32_t i = 0; i < BATCH; i++)
		for (uint32_t k = 0; k < b->c.packet[i].len + b->c.s->tag_len; k++)
			h = (h ^ b->c.packet[i].text[k]) * 0x100000001b3ull;
	make_packets(b, 0, size);
	calls_run(&b->c, way, OPEN);
	if (!all_ok(b))
		return 0;
	for (uint32_t i = 0; i < BATCH; i++)
		for (uint32_t k = 0; k < b->c.packet[i].len; k++)
			if (b->c.packet[i].text[k] != (uint8_t)i)
				return 0;
	return h;
}

static bool all_agree(struct bench *b, uint32_t size)
{
	const uint64_t want = digest(b, b->c.s->engine, size);

	for (enum way way = 0; way < WAYS; way++) {
		if (!calls_has_way(b->c.s, way) || (want && digest(b, way, size) == want))
			continue;
		fprintf(stderr, "calls: %s of %u bytes: %s and %s differ, or do not take apart what they made\n", b->c.s->name,
			size, call_names[way], call_names[b->c.s->engine]);
		return false;
	}
	return true;
}

static bool one_round(struct bench *b, enum way way, uint32_t size, double ns[DIRS])
{
	static uint64_t took[DIRS][BATCHES_MAX];
	const uint64_t end = clock_ns() + ROUND_NS;
	uint32_t n = 0;

	for (; n < BATCHES_MAX && (n < 3 || clock_ns() < end); n++) {
		for (enum dir dir = SEAL; dir < DIRS; dir++) {
			uint64_t t0;

			make_packets(b, n * BATCH, size);
			t0 = clock_ns();
			calls_run(&b->c, way, dir);
			took[dir][n] = clock_ns() - t0;
		}
		b->seq += BATCH;
		if (!all_ok(b))
			return false;
	}
	for (enum dir dir = SEAL; dir < DIRS; dir++)
		ns[dir] = (double)bench_median(took[dir], n) / BATCH;
	return true;
}

static void tell(struct bench *b, uint32_t size, enum way way, struct bench_spread of[DIRS])
{
	struct json_object *o;

	if (!b->json) {
		printf("%-28s %5u  %-7s%c %7.0f %7.0f %7.0f  %7.0f %7.0f %7.0f\n", b->c.s->name, size, call_names[way],
		       way == b->c.s->engine ? '*' : ' ', of[SEAL].min, of[SEAL].median, of[SEAL].max,
		       of[OPEN].min, of[OPEN].median, of[OPEN].max);
		return;
	}
	o = json_object_new_object();
	json_object_object_add(o, "suite", json_object_new_string(b->c.s->name));
	json_object_object_add(o, "bytes", json_object_new_int((int)size));
	json_object_object_add(o, "call", json_object_new_string(call_names[way]));
	json_object_object_add(o, "engine", json_object_new_boolean(way == b->c.s->engine));
	json_object_object_add(o, "encrypt_ns", bench_spread_json(&of[SEAL]));
	json_object_object_add(o, "decrypt_ns", bench_spread_json(&of[OPEN]));
	json_object_array_add(b->rows, o);
}

static bool measure(struct bench *b, uint32_t size)
{
	static double ns[WAYS][DIRS][ROUNDS_MAX];

	if (!all_agree(b, size))
		return false;
	for (uint32_t r = 0; r < b->rounds; r++)
		for (enum way way = 0; way < WAYS; way++) {
			double one[DIRS] = { 0 };

			if (calls_has_way(b->c.s, way) && !one_round(b, way, size, one))
				return false;
			for (enum dir dir = SEAL; dir < DIRS; dir++)
				ns[way][dir][r] = one[dir];
		}
	for (enum way way = 0; way < WAYS; way++) {
		struct bench_spread of[DIRS];

		for (enum dir dir = SEAL; dir < DIRS; dir++)
			of[dir] = bench_spread(ns[way][dir], b->rounds);
		if (calls_has_way(b->c.s, way))
			tell(b, size, way, of);
	}
	return true;
}

static int run_all(struct bench *b)
{
	if (!b->json) {
		bench_print_about();
		printf("libipsec-mb %s: its calls, one thread, batch %u, %u rounds; ns a packet; * is what the engine uses\n\n"
		       "%-28s %5s  %-8s %7s %7s %7s  %7s %7s %7s\n", imb_get_version_str(), BATCH, b->rounds, "suite", "bytes",
		       "call", "encrypt", "median", "max", "decrypt", "median", "max");
	}
	for (uint32_t i = 0; calls_suites[i].name; i++) {
		b->c.s = &calls_suites[i];
		calls_open_key(&b->c);
		for (uint32_t k = 0; k < SIZES; k++)
			if (!measure(b, sizes[k]))
				return BENCH_FAILED;
	}
	if (b->json) {
		struct json_object *o = bench_about("calls");

		json_object_object_add(o, "library", json_object_new_string(imb_get_version_str()));
		json_object_object_add(o, "rows", b->rows);
		bench_print_json(o);
	}
	return BENCH_DONE;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "rounds", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	static struct bench b = { .rounds = 7 };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'j': b.json = true; break;
		case 'r': b.rounds = bench_number("rounds", optarg, ROUNDS_MAX); break;
		default: return BENCH_USAGE;
		}
	}
	b.rows = json_object_new_array();
	b.area = line_alloc((size_t)FRAMES * FRAME);
	b.c.mgr = alloc_mb_mgr(0);
	if (!b.area || !b.c.mgr) {
		fprintf(stderr, "calls: out of memory\n");
		return BENCH_FAILED;
	}
	init_mb_mgr_auto(b.c.mgr, NULL);
	return run_all(&b);
}
