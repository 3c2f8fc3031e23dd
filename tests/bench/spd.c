/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spd.c - what a look-up in the SPD costs a packet, and what one changed policy costs keyd.
 *
 * For 10, 100, ... policies of one mix: the whole way of a configuration through keyd into the maps
 * of a loaded xdp_inner, then that program by BPF_PROG_TEST_RUN with the kernel's own timing, less
 * what it costs with one policy that matches nothing. "hot" runs each packet many times over, as a
 * flow that goes on (the table's "flow"); "cold" each of 4096 packets once, as the first of a new flow ("first"). Then one policy is added,
 * removed and moved in the middle, through a changed file. Prints min, median and max.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/xdp_inner.skel.h"
#include "keyd/change.h"
#include "keyd/config.h"
#include "keyd/grants.h"
#include "keyd/lease.h"
#include "keyd/publish_maps.h"
#include "keyd/spd_table.h"
#include "keyd/state_dir.h"
#include "libxesp/pins.h"
#include "xesp/clock.h"
#include "xesp/fault.h"
#include "xesp/log.h"

#define PACKETS 4096
#define HOT_PACKETS 64
#define HOT_RUNS 2000
#define ROUNDS_MAX 31
#define CHANGES 5
#define FRAME_LEN 60

struct span {
	double v[ROUNDS_MAX * HOT_PACKETS];
	uint32_t n;
};

struct result {
	uint32_t policies, tuples, entries;
	double parse_ms, load_ms;
	struct span hot, cold;
	struct span commit_us, reparse_ms, after_ms; /* of one changed policy */
};

struct bench {
	struct bpf_object *obj;
	int prog;
	struct pins pins;
	struct change change;
	struct grants grants;
	struct state_dir dir;
	char dir_path[64], file[80];
	uint8_t (*frame)[FRAME_LEN];
	uint32_t rounds;
};

static void die(const char *what, const struct fault *f)
{
	fprintf(stderr, "spd: %s: %s\n", what, f ? f->text : "failed");
	exit(70);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void add(struct span *s, double v)
{
	if (s->n < sizeof(s->v) / sizeof(s->v[0]))
		s->v[s->n++] = v;
}

static double at(struct span *s, double part)
{
	qsort(s->v, s->n, sizeof(s->v[0]), compare);
	return s->n ? s->v[(uint32_t)(part * (s->n - 1))] : 0;
}

/* ---- policies: a mix as site-to-site gateways have it */

/* Prefix lengths of the far nets, in twentieths: half of them /24. */
static const uint8_t remote_len[20] = { 24, 24, 24, 24, 24, 24, 24, 24, 24, 24,
					32, 32, 32, 32, 28, 28, 16, 22, 20, 27 };

struct shape {
	uint32_t local, remote; /* addresses within */
	uint8_t local_len, remote_len;
	uint16_t port;
	const char *proto; /* NULL any */
};

/* Policy i: nets that no other has, so that each policy is really found. */
static struct shape shape_of(uint32_t i)
{
	struct shape s = { .remote_len = remote_len[i % 20], .local_len = i % 3 ? 24 : 16 };
	uint32_t spread = i * 2654435761u;

	s.local = 0x0a000000u | (spread >> 12 & 0x00ffff00u);
	/* 2^17 blocks of 2^14 addresses: a /16 and a /20 overlap others, as they do in life. */
	s.remote = 0x20000000u + (i << 11 << (s.remote_len < 22 ? 2 : 0));
	s.local &= ~0u << (32 - s.local_len);
	s.remote &= ~0u << (32 - s.remote_len);
	if (i % 10 == 3) {
		s.proto = "tcp";
		s.port = (uint16_t)(i % 7 ? 443 : 22);
	} else if (i % 10 == 7) {
		s.proto = "udp";
	}
	return s;
}

static void print_addr(FILE *out, uint32_t a, uint8_t len)
{
	fprintf(out, "%u.%u.%u.%u/%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255, len);
}

static void print_policy(FILE *out, uint32_t i, const char *suffix)
{
	struct shape s = shape_of(i);

	fprintf(out, "- {name: p%u%s, action: %s, local: ", i, suffix, i % 4 ? "protect, tunnel: t" : "bypass");
	print_addr(out, s.local, s.local_len);
	fprintf(out, ", remote: ");
	print_addr(out, s.remote, s.remote_len);
	if (s.proto)
		fprintf(out, ", protocol: %s", s.proto);
	if (s.port)
		fprintf(out, ", remote_ports: %u", s.port);
	fprintf(out, "}\n");
}

/* change 1: one more in the middle; 2: that one gone; 3: the middle one moved near the front. */
static void write_file(const struct bench *b, uint32_t n, uint32_t change)
{
	FILE *out = fopen(b->file, "w");

	if (!out)
		die(b->file, NULL);
	fprintf(out, "version: 1\nroutes: none\ntunnels:\n"
		     "- {name: t, local: 192.0.2.1, remote: 192.0.2.2}\npolicies:\n");
	if (!n)
		fprintf(out, "- {name: none, action: discard, local: 203.0.113.1}\n");
	for (uint32_t i = 0; i < n; i++) {
		if (change == 3 && i == n / 10)
			print_policy(out, n / 2, "");
		if (change == 1 && i == n / 2)
			print_policy(out, n + 1, "-new");
		if (change != 3 || i != n / 2)
			print_policy(out, i, "");
	}
	fclose(out);
}

/* ---- packets */

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* A TCP or UDP packet that policy i is about, from somewhere in its nets. */
static void make_frame(uint8_t f[FRAME_LEN], uint32_t i)
{
	struct shape s = shape_of(i);
	uint32_t noise = (uint32_t)random();
	uint16_t port = s.port ? s.port : 8080;

	memset(f, 0, FRAME_LEN);
	f[12] = 8;
	f[14] = 0x45;
	f[17] = FRAME_LEN - 14;
	f[22] = 64;
	f[23] = s.proto && !strcmp(s.proto, "udp") ? 17 : 6;
	put32(f + 26, s.local | (noise & ~(~0u << (32 - s.local_len))));
	put32(f + 30, s.remote | (s.remote_len < 32 ? noise & ~(~0u << (32 - s.remote_len)) : 0));
	put32(f + 34, (noise & 0x7fff) << 16 | port);
}

static void make_frames(const struct bench *b, uint32_t policies)
{
	for (uint32_t i = 0; i < PACKETS; i++)
		make_frame(b->frame[i], policies ? (uint32_t)random() % policies : i);
}

/* ns a run, by the kernel's clock. */
static double run(const struct bench *b, uint32_t packet, int repeat)
{
	struct xdp_md ctx = { .data_end = FRAME_LEN };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = b->frame[packet], .data_size_in = FRAME_LEN,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = repeat);

	if (bpf_prog_test_run_opts(b->prog, &opts))
		die("BPF_PROG_TEST_RUN", NULL);
	return opts.duration;
}

/* An empty commit: answers that are kept by flow are of the generation before. */
static void forget_flows(const struct bench *b)
{
	const struct config *c = b->change.now;
	const struct spd_diff same = { .whole = false };
	const struct spd_change none = { .now = &c->spd, .next = &c->spd, .diff = &same,
					 .sad = &c->sad };
	struct fault f = { "" };

	if (spd_table_commit(b->change.maps->table, &none, &f))
		die("commit", &f);
}

static void measure(const struct bench *b, struct span *hot, struct span *cold)
{
	for (uint32_t round = 0; round < b->rounds; round++) {
		struct span once = { .n = 0 };

		forget_flows(b);

		for (uint32_t i = 0; i < PACKETS; i++) {
			double ns = run(b, i, 1);

			if (i % 4 == 0)
				add(&once, ns);
		}
		add(cold, at(&once, 0.5));
		for (uint32_t i = 0; i < HOT_PACKETS; i++)
			add(hot, run(b, i * (PACKETS / HOT_PACKETS), HOT_RUNS));
	}
}

/* ---- a gateway */

static void size_map(const struct bench *b, enum pins_map map, uint32_t n)
{
	struct bpf_map *m = bpf_object__find_map_by_name(b->obj, pins_name(map));

	if (!m || bpf_map__set_max_entries(m, n))
		die(pins_name(map), NULL);
}

static int say_warnings(enum libbpf_print_level level, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static int say_warnings(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, ap) : 0;
}

static void load_program(struct bench *b, uint32_t policies)
{
	static const enum pins_map by_policy[] = { PINS_POLICIES, PINS_POLICY_DROPS,
						   PINS_SPD_RULE };
	struct xesp_conf conf = { .abi = XESP_STEER_ABI, .spd_slots = 1024 };
	const uint32_t ids = policies + 1024, zero = 0, cpus = (uint32_t)libbpf_num_possible_cpus();
	struct bpf_map *map;
	const void *bytes;
	size_t size;

	while (conf.spd_slots < ids * 8 * 4)
		conf.spd_slots *= 2;
	bytes = xdp_inner__elf_bytes(&size);
	b->obj = bpf_object__open_mem(bytes, size, NULL);
	if (!b->obj)
		die("xdp_inner", NULL);
	bpf_object__for_each_map(map, b->obj)
		bpf_map__set_pin_path(map, NULL);
	for (size_t i = 0; i < sizeof(by_policy) / sizeof(by_policy[0]); i++)
		size_map(b, by_policy[i], ids);
	conf.max_policies = ids;
	conf.flows = XESP_FLOWS_MIN;
	size_map(b, PINS_FLOWS, cpus * conf.flows);
	size_map(b, PINS_POLICY_HITS, cpus * XESP_HITS_OF_CPU(ids));
	size_map(b, PINS_SPD_ENTRY, ids * 8);
	size_map(b, PINS_SPD_SLOT, XESP_SPD_ROOM(conf.spd_slots));
	if (bpf_object__load(b->obj))
		die("xdp_inner does not load (root?)", NULL);
	b->prog = bpf_program__fd(bpf_object__find_program_by_name(b->obj, "xdp_inner"));
	b->pins = (struct pins){ .dir = "of a bench" };
	for (int i = 0; i < PINS_MAX; i++)
		b->pins.fd[i] = dup(bpf_object__find_map_fd_by_name(b->obj,
								    pins_name((enum pins_map)i)));
	if (bpf_map_update_elem(b->pins.fd[PINS_CONF], &zero, &conf, BPF_ANY))
		die("xesp_conf", NULL);
}

static void open_gateway(struct bench *b, uint32_t policies)
{
	struct fault f = { "" };

	snprintf(b->dir_path, sizeof(b->dir_path), "/tmp/xesp-bench-spd-XXXXXX");
	if (!mkdtemp(b->dir_path))
		die(b->dir_path, NULL);
	snprintf(b->file, sizeof(b->file), "%s/xesp.yaml", b->dir_path);
	load_program(b, policies);
	if (state_dir_open(&b->dir, b->dir_path, STATE_DIR_CREATE, &f) ||
	    lease_create(&b->dir, &f) || lease_open(&b->grants.book, &b->dir, &f) ||
	    maps_adopt(&b->change.maps, &b->pins, &f))
		die("keyd", &f);
	b->change.grants = &b->grants;
}

static void close_gateway(struct bench *b)
{
	static const char *const files[] = { "xesp.yaml", "leases", "lock" };
	char path[128];

	config_free(b->change.now);
	maps_close(b->change.maps);
	lease_close(b->grants.book);
	free(b->grants.wants);
	state_dir_close(&b->dir);
	bpf_object__close(b->obj);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", b->dir_path, files[i]);
		unlink(path);
	}
	rmdir(b->dir_path);
	b->change = (struct change){ 0 };
	b->grants = (struct grants){ 0 };
}

/* What a reload of the file takes: reading it, and the rest; keyd's own figure for the commit. */
static void reload(struct bench *b, double *parse_ms, double *load_ms, uint32_t *commit_us)
{
	struct problems ps = { 0 };
	struct change_result r;
	struct config *c;
	struct fault f = { "" };
	double began = ((double)clock_ns() / 1e6), parsed;

	if (config_load(&c, b->file, &ps)) {
		problems_fault(&ps, b->file, &f);
		die("configuration", &f);
	}
	parsed = ((double)clock_ns() / 1e6);
	if (change_apply(&b->change, c, &r, &f))
		die("change", &f);
	*parse_ms = parsed - began;
	*load_ms = ((double)clock_ns() / 1e6) - parsed;
	*commit_us = r.commit_us;
}

static void measure_changes(struct bench *b, uint32_t n, struct result *r)
{
	for (uint32_t i = 0; i < CHANGES; i++) {
		for (uint32_t change = 0; change < 4; change++) {
			double parse_ms, load_ms;
			uint32_t us;

			write_file(b, n, (change + 1) % 4); /* the last takes the move back */
			reload(b, &parse_ms, &load_ms, &us);
			add(&r->commit_us, us);
			add(&r->reparse_ms, parse_ms);
			add(&r->after_ms, load_ms);
		}
	}
}

static void run_one(struct bench *b, uint32_t n, struct result *r)
{
	const struct spd_memory *m;
	uint32_t us;

	memset(r, 0, sizeof(*r));
	r->policies = n;
	open_gateway(b, n);
	write_file(b, n, 0);
	reload(b, &r->parse_ms, &r->load_ms, &us);
	m = &b->change.maps->spd;
	r->tuples = m->head[m->conf->generation & 1].tuples_n[XESP_DIR_OUT];
	r->entries = spd_table_used(b->change.maps->table);
	make_frames(b, n);
	measure(b, &r->hot, &r->cold);
	if (n)
		measure_changes(b, n, r);
	close_gateway(b);
}

/* ---- what comes out */

static void print_table(struct result *r, uint32_t n, uint32_t rounds)
{
	const double none = at(&r[0].hot, 0.5);
	double hot_first = 0, cold_first = 0;

	printf("%u rounds; flow: ns of a look-up for a flow that goes on, less the %.0f without policies;\n"
	       "first: ns of all that xdp_inner does with the first packet of a flow, caches and branches cold (%.0f without policies)\n",
	       rounds, none, at(&r[0].cold, 0.5));
	printf("%9s %6s %8s | %-19s %5s | %-22s %5s | %-16s | %s\n", "policies", "tuples",
	       "entries", "flow min median max", "of 10", "first min median max", "of 10",
	       "one policy, us", "whole file, ms: read, first load");
	for (uint32_t i = 1; i < n; i++) {
		/* Differences of the first packets would be between figures that vary by more. */
		double hot = at(&r[i].hot, 0.5) - none, cold = at(&r[i].cold, 0.5);

		if (i == 1) {
			hot_first = hot;
			cold_first = cold;
		}
		printf("%9u %6u %8u | %5.0f %6.0f %6.0f %5.2f | %6.0f %7.0f %7.0f %5.2f | %4.0f %5.0f %5.0f | %.0f %.0f\n",
		       r[i].policies, r[i].tuples, r[i].entries, at(&r[i].hot, 0) - none, hot,
		       at(&r[i].hot, 1) - none, hot / hot_first, at(&r[i].cold, 0), cold,
		       at(&r[i].cold, 1), cold / cold_first, at(&r[i].commit_us, 0),
		       at(&r[i].commit_us, 0.5), at(&r[i].commit_us, 1), r[i].parse_ms,
		       r[i].load_ms);
	}
}

static void print_span(const char *name, struct span *s)
{
	printf("\"%s\": [%.1f, %.1f, %.1f]", name, at(s, 0), at(s, 0.5), at(s, 1));
}

static void print_json(struct result *r, uint32_t n)
{
	printf("{\"spd\": [\n");
	for (uint32_t i = 0; i < n; i++) {
		printf("  {\"policies\": %u, \"tuples\": %u, \"entries\": %u, ", r[i].policies,
		       r[i].tuples, r[i].entries);
		print_span("hot_ns", &r[i].hot);
		printf(", ");
		print_span("cold_ns", &r[i].cold);
		printf(", ");
		print_span("commit_us", &r[i].commit_us);
		printf(", ");
		print_span("apply_ms", &r[i].after_ms);
		printf(", \"parse_ms\": %.1f, \"first_load_ms\": %.1f}%s\n", r[i].parse_ms,
		       r[i].load_ms, i + 1 < n ? "," : "");
	}
	printf("]}\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "policies", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	static struct result result[8];
	struct bench b = { .rounds = 5 };
	uint32_t most = 100000, n = 0;
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'j': json = true; break;
		case 'r': b.rounds = (uint32_t)atoi(optarg); break;
		case 'p': most = (uint32_t)atoi(optarg); break;
		default: return 2;
		}
	}
	if (!b.rounds || b.rounds > ROUNDS_MAX || most < 10 || most > 100000)
		return 2;
	log_open("bench", LOG_LEVEL_ERROR);
	libbpf_set_print(say_warnings);
	b.frame = calloc(PACKETS, sizeof(*b.frame));
	if (!b.frame || unshare(CLONE_NEWNET))
		die("a network namespace of its own (root?)", NULL);
	run_one(&b, 0, &result[n++]);
	for (uint32_t policies = 10; policies <= most; policies *= 10)
		run_one(&b, policies, &result[n++]);
	if (json)
		print_json(result, n);
	else
		print_table(result, n, b.rounds);
	free(b.frame);
	return 0;
}
