/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pipeline_command.c - `xesp bench pipeline`: what a packet costs in each part of the worker, without a kernel.
 *
 * Each round has laps of two kinds, in turn: timed as a whole, and with the clock read before each part,
 * whose own cost is taken off. A round's figure is its median batch: one that was interrupted says nothing.
 */
#include <getopt.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/pipeline.h"
#include "bench/steps.h"
#include "crypto/choice.h"
#include "port/ring.h"
#include "sad/sa.h"
#include "sad/tunnel.h"
#include "xesp/clock.h"
#include "xesp/fault.h"

#define ROUNDS_MAX 101u
#define LAPS 8u /* of a round, of each kind */
#define BATCHES_MAX (LAPS * PIPELINE_FRAMES)
#define LIST_MAX 8
#define PAIRS_MAX 200000u
#define BYTES_MIN 64u
#define BYTES_MAX 9000u
#define STEPS_BATCH 16u /* packets whose instructions are counted */

_Static_assert(PIPELINE_PARTS_MAX <= STEPS_PARTS_MAX, "each part is counted");

struct list {
	uint32_t n, at[LIST_MAX];
};

struct options {
	bool json, no_steps;
	const char *engine;
	uint32_t batch, rounds;
	struct list sizes, pairs;
};

/* Of one direction: nanoseconds a packet of each round, and instructions a packet. */
struct figures {
	double whole[ROUNDS_MAX], part[PIPELINE_PARTS_MAX][ROUNDS_MAX], beside[ROUNDS_MAX];
	double steps[PIPELINE_PARTS_MAX];
	bool counted;
};

struct command {
	struct options o;
	struct pipeline p;
	struct figures figures[XESP_DIR_MAX];
	double clock_ns; /* what reading it costs */
	/* of the round that runs, by batch */
	uint64_t whole[BATCHES_MAX], part[PIPELINE_PARTS_MAX][BATCHES_MAX];
	struct json_object *rows;
};

static struct command c;

static const char *const directions[XESP_DIR_MAX] = { [XESP_DIR_OUT] = "encap", [XESP_DIR_IN] = "decap" };

/* ---- marks */

static void mark_ends(struct pipeline *p, enum xesp_dir dir, uint32_t part)
{
	if (!part)
		p->at_ns = clock_ns();
	else if (part == pipeline_parts[dir].n)
		p->took[0] = clock_ns() - p->at_ns;
}

static void mark_parts(struct pipeline *p, enum xesp_dir dir, uint32_t part)
{
	const uint64_t now = clock_ns();

	(void)dir;
	if (part)
		p->took[part - 1] = now - p->at_ns;
	p->at_ns = now;
}

static void mark_steps(struct pipeline *p, enum xesp_dir dir, uint32_t part)
{
	(void)p;
	steps_part(part < pipeline_parts[dir].n ? part : STEPS_NONE);
}

static double measure_clock(void)
{
	static uint64_t took[1001];

	for (size_t i = 0; i < 1001; i++) {
		const uint64_t t = clock_ns();

		for (int k = 0; k < 16; k++)
			clock_ns();
		took[i] = clock_ns() - t;
	}
	return (double)bench_median(took, 1001) / 17;
}

/* ---- laps and rounds */

static void failed(const char *what)
{
	fprintf(stderr, "xesp: bench pipeline: %s\n", what);
	exit(BENCH_FAILED);
}

/* Both directions, and where the time went by batch: `at` on. */
static void run_lap(struct pipeline *p, bool parts, uint32_t lap, enum xesp_dir dir)
{
	const uint32_t batches = p->frames / p->batch;

	p->mark = parts ? mark_parts : mark_ends;
	pipeline_feed(p, dir);
	for (uint32_t i = 0; i < batches; i++) {
		const uint32_t at = lap * batches + i;

		if (!pipeline_batch(p, dir))
			failed("a packet was dropped");
		if (!parts)
			c.whole[at] = p->took[0];
		for (uint32_t k = 0; parts && k < pipeline_parts[dir].n; k++)
			c.part[k][at] = p->took[k];
	}
}

/* Decapsulation needs what encapsulation made, so that both run, and one is looked at. */
static void run_laps(struct pipeline *p, bool parts, enum xesp_dir dir)
{
	for (uint32_t lap = 0; lap < LAPS; lap++) {
		run_lap(p, parts, lap, XESP_DIR_OUT);
		if (dir == XESP_DIR_IN)
			run_lap(p, parts, lap, XESP_DIR_IN);
	}
}

static double a_packet(uint64_t *by_batch, const struct pipeline *p)
{
	return (double)bench_median(by_batch, LAPS * (p->frames / p->batch)) / p->batch;
}

static void run_round(struct pipeline *p, uint32_t round)
{
	for (int dir = 0; dir < XESP_DIR_MAX; dir++) {
		struct figures *f = &c.figures[dir];

		run_laps(p, false, (enum xesp_dir)dir);
		f->whole[round] = a_packet(c.whole, p);
		run_laps(p, true, (enum xesp_dir)dir);
		for (uint32_t k = 0; k < pipeline_parts[dir].n; k++) {
			double ns = a_packet(c.part[k], p) - c.clock_ns / p->batch;

			f->part[k][round] = ns > 0 ? ns : 0;
		}
		f->beside[round] = f->whole[round] - f->part[pipeline_parts[dir].crypto][round];
	}
}

/* In a child of steps_count(). */
static void run_steps(void *ctx)
{
	const enum xesp_dir dir = *(const enum xesp_dir *)ctx;
	struct pipeline *p = &c.p;

	p->mark = mark_ends;
	pipeline_feed(p, XESP_DIR_OUT);
	for (uint32_t i = 0; dir == XESP_DIR_IN && i < p->frames / p->batch; i++)
		if (!pipeline_batch(p, XESP_DIR_OUT))
			exit(1);
	if (dir == XESP_DIR_IN)
		pipeline_feed(p, XESP_DIR_IN);
	/* Once for what is done only the first time. */
	p->batch = STEPS_BATCH;
	if (!pipeline_batch(p, dir))
		_Exit(1);
	p->mark = mark_steps;
	if (!pipeline_batch(p, dir))
		_Exit(1);
}

static void count_steps(enum xesp_dir dir)
{
	uint64_t count[STEPS_PARTS_MAX] = { 0 };
	struct figures *f = &c.figures[dir];

	f->counted = !c.o.no_steps && steps_count(run_steps, &dir, count);
	for (uint32_t k = 0; k < pipeline_parts[dir].n; k++)
		f->steps[k] = (double)count[k] / STEPS_BATCH;
}

/* ---- telling */

/* Without the engine's key schedules. */
static uint32_t bytes_of_sa(const struct ends *e, bool inbound)
{
	return (uint32_t)sa_bytes(ENDS_WORKERS, inbound ? e->st.sa[ends_in(0)].replay_words : 0);
}

static double steps_beside(const struct figures *f, enum xesp_dir dir)
{
	double sum = 0;

	for (uint32_t k = 0; k < pipeline_parts[dir].n; k++)
		sum += k == pipeline_parts[dir].crypto ? 0 : f->steps[k];
	return sum;
}

static void tell_parts(const struct figures *f, enum xesp_dir dir)
{
	const struct pipeline_parts *parts = &pipeline_parts[dir];

	printf("       ");
	for (uint32_t k = 0; k < parts->n; k++) {
		double by_round[ROUNDS_MAX];

		memcpy(by_round, f->part[k], sizeof(by_round));
		printf(" %s %.1f", parts->name[k], bench_spread(by_round, c.o.rounds).median);
		if (f->counted)
			printf("/%.0f", f->steps[k]);
	}
	printf("\n");
}

static void tell(uint32_t pairs, uint32_t size, enum xesp_dir dir)
{
	const uint32_t crypto = pipeline_parts[dir].crypto, n = c.o.rounds;
	struct figures *f = &c.figures[dir];
	struct bench_spread whole, engine, beside;

	whole = bench_spread(f->whole, n);
	engine = bench_spread(f->part[crypto], n);
	beside = bench_spread(f->beside, n);
	printf("%7u %6u  %-5s %7.1f %7.1f %7.1f  %7.1f  %7.1f", pairs, size, directions[dir], whole.min,
	       whole.median, whole.max, engine.median, beside.median);
	if (f->counted)
		printf("  %7.0f  %7.0f", steps_beside(f, dir), f->steps[crypto]);
	printf("\n");
	tell_parts(f, dir);
	fflush(stdout);
}

static struct json_object *parts_json(struct figures *f, enum xesp_dir dir)
{
	struct json_object *list = json_object_new_array();

	for (uint32_t k = 0; k < pipeline_parts[dir].n; k++) {
		struct bench_spread s = bench_spread(f->part[k], c.o.rounds);
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "part", json_object_new_string(pipeline_parts[dir].name[k]));
		json_object_object_add(o, "ns", bench_spread_json(&s));
		json_object_object_add(o, "instructions",
				       f->counted ? json_object_new_int((int)(f->steps[k] + 0.5)) : NULL);
		json_object_array_add(list, o);
	}
	return list;
}

static void tell_json(uint32_t pairs, uint32_t size, enum xesp_dir dir)
{
	struct figures *f = &c.figures[dir];
	struct bench_spread whole = bench_spread(f->whole, c.o.rounds);
	struct bench_spread beside = bench_spread(f->beside, c.o.rounds);
	struct json_object *o = json_object_new_object(), *parts = parts_json(f, dir);
	struct json_object *engine = json_object_array_get_idx(parts, pipeline_parts[dir].crypto);

	json_object_object_add(o, "tunnels", json_object_new_int((int)pairs));
	json_object_object_add(o, "bytes", json_object_new_int((int)size));
	json_object_object_add(o, "direction", json_object_new_string(directions[dir]));
	json_object_object_add(o, "whole_ns", bench_spread_json(&whole));
	json_object_object_add(o, "crypto_ns", json_object_get(json_object_object_get(engine, "ns")));
	json_object_object_add(o, "beside_ns", bench_spread_json(&beside));
	json_object_object_add(o, "instructions_beside", f->counted ?
			       json_object_new_int((int)(steps_beside(f, dir) + 0.5)) : NULL);
	json_object_object_add(o, "parts", parts);
	json_object_array_add(c.rows, o);
}

static void tell_head(void)
{
	const struct engine *e = choice_of(XESP_ALG_AES_GCM_16, XESP_AUTH_NONE, 16);

	if (c.o.json)
		return;
	bench_print_about();
	printf("Frames in memory through the worker's stages: AES-128-GCM-16 by %s %s, ESN, batch %u, %u rounds.\n"
	       "Nanoseconds a packet; of each part, the median and, behind the slash, instructions.\n\n"
	       "%7s %6s  %-5s %7s %7s %7s  %7s  %7s  %7s  %7s\n", e->name, e->version, c.o.batch, c.o.rounds,
	       "tunnels", "bytes", "", "min", "median", "max", "crypto", "beside", "instr.", "crypto");
}

static void tell_end(void)
{
	const struct engine *e = choice_of(XESP_ALG_AES_GCM_16, XESP_AUTH_NONE, 16);
	struct json_object *o;

	if (!c.o.json) {
		printf("\nBytes of an SA outside the engine's key schedules: %u outbound, %u inbound with a window of "
		       "%u packets.\n", bytes_of_sa(&c.p.ends, false), bytes_of_sa(&c.p.ends, true), ENDS_WINDOW);
		return;
	}
	o = bench_about("pipeline");
	json_object_object_add(o, "engine", json_object_new_string(e->name));
	json_object_object_add(o, "engine_version", json_object_new_string(e->version));
	json_object_object_add(o, "batch", json_object_new_int((int)c.o.batch));
	json_object_object_add(o, "rounds", json_object_new_int((int)c.o.rounds));
	json_object_object_add(o, "sa_bytes_out", json_object_new_int((int)bytes_of_sa(&c.p.ends, false)));
	json_object_object_add(o, "sa_bytes_in", json_object_new_int((int)bytes_of_sa(&c.p.ends, true)));
	json_object_object_add(o, "rows", c.rows);
	bench_print_json(o);
}

/* ---- the whole */

static bool run_size(uint32_t size, struct fault *f)
{
	const struct pipeline_opts o = { .size = size, .batch = c.o.batch,
					 .frames = PIPELINE_FRAMES / c.o.batch * c.o.batch };
	bool good = !pipeline_open(&c.p, &o, f);

	/* Each tunnel has had a packet before the first that counts. */
	for (uint32_t n = 0; good && n < c.p.ends.pairs; n += o.frames)
		for (int dir = 0; dir < XESP_DIR_MAX; dir++)
			run_lap(&c.p, false, 0, (enum xesp_dir)dir);
	if (good)
		run_round(&c.p, 0); /* warm up: overwritten below */
	for (uint32_t r = 0; good && r < c.o.rounds; r++)
		run_round(&c.p, r);
	for (int dir = 0; good && dir < XESP_DIR_MAX; dir++) {
		count_steps((enum xesp_dir)dir);
		if (c.o.json)
			tell_json(c.p.ends.pairs, size, (enum xesp_dir)dir);
		else
			tell(c.p.ends.pairs, size, (enum xesp_dir)dir);
	}
	pipeline_close(&c.p);
	return good;
}

static bool run_pairs(uint32_t pairs, bool last, struct fault *f)
{
	bool good = !ends_open(&c.p.ends, pairs, choice_engine(), f);

	c.p.next_pair = 0;
	for (uint32_t i = 0; good && i < c.o.sizes.n; i++)
		good = run_size(c.o.sizes.at[i], f);
	if (good && last)
		tell_end();
	ends_close(&c.p.ends);
	return good;
}

static int misused(const char *what)
{
	fprintf(stderr, "xesp: bench pipeline: %s; see `xesp help bench`\n", what);
	return BENCH_USAGE;
}

static bool take_list(struct list *l, const char *option, char *text, uint32_t min, uint32_t max)
{
	l->n = 0;
	for (char *save, *one = strtok_r(text, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
		const uint32_t v = bench_number(option, one, max);

		if (v < min || l->n == LIST_MAX)
			return false;
		l->at[l->n++] = v;
	}
	return l->n > 0;
}

static int take_options(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "engine", required_argument, NULL, 'e' },
		{ "sizes", required_argument, NULL, 'z' },
		{ "tunnels", required_argument, NULL, 't' },
		{ "batch", required_argument, NULL, 'b' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "no-instructions", no_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'j': o->json = true; break;
		case 'n': o->no_steps = true; break;
		case 'e': o->engine = optarg; break;
		case 'b': o->batch = bench_number("batch", optarg, BATCH_MAX); break;
		case 'r': o->rounds = bench_number("rounds", optarg, ROUNDS_MAX); break;
		case 'z':
			if (!take_list(&o->sizes, "sizes", optarg, BYTES_MIN, BYTES_MAX))
				return misused("--sizes takes 1 to 8 sizes of 64 to 9000 bytes");
			break;
		case 't':
			if (!take_list(&o->pairs, "tunnels", optarg, 1, PAIRS_MAX))
				return misused("--tunnels takes 1 to 8 numbers up to 200000");
			break;
		default: return BENCH_USAGE;
		}
	}
	return optind < argc ? misused("options alone are taken") : BENCH_DONE;
}

int bench_pipeline(int argc, char **argv)
{
	struct fault f = { "" };
	bool good;

	c.o = (struct options){ .engine = "auto", .batch = 64, .rounds = 5,
				.sizes = { 4, { 64, 512, 1420, 9000 } }, .pairs = { 3, { 1, 1000, 100000 } } };
	if (take_options(&c.o, argc, argv))
		return BENCH_USAGE;
	if (choice_open(c.o.engine, NULL, &f)) {
		fprintf(stderr, "xesp: bench pipeline: %s\n", f.text);
		return BENCH_FAILED;
	}
	pipeline_name_parts();
	c.clock_ns = measure_clock();
	c.rows = json_object_new_array();
	tell_head();
	good = true;
	for (uint32_t i = 0; good && i < c.o.pairs.n; i++)
		good = run_pairs(c.o.pairs.at[i], i + 1 == c.o.pairs.n, &f);
	choice_close();
	if (good)
		return BENCH_DONE;
	fprintf(stderr, "xesp: bench pipeline: %s\n", f.text);
	return BENCH_FAILED;
}
