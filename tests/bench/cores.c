/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cores.c - one tunnel over 1 to N threads, in memory: what a queue gains when it is spread.
 *
 * "engine" is the bound: so many threads, each encrypting packets of its own. "encap" and "decap" are a
 * queue's: with one thread esp_encap() and esp_decap() to completion, with more the dispatcher of
 * user/worker, whose owner prepares and finishes all packets in order. What a NIC would write is
 * written by the owner before each batch (headers before encap, the whole packet before decap), and
 * counts. "owner" is the time the owner spends for a packet beside the engine: its inverse is
 * what one queue can do however many cores there are.
 * "queues" are the other way to more cores, where the NIC spreads the traffic (queues.h): as many queues as threads, all
 * on one SA or each on its CPU's own.
 * All is measured in turn within each round, and a ratio is between two figures of one round.
 */
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "crypto/choice.h"
#include "tests/bench/cores.h"
#include "tests/bench/queues.h"
#include "tests/pair/pair.h"
#include "worker/crew.h"
#include "worker/dispatch.h"
#include "xesp/clock.h"
#include "xesp/fault.h"

#define THREADS_MAX 16
#define ROUNDS_MAX 101
#define SIZES 4
#define BATCH 64
#define BATCHES 32 /* of one pass: their packets are all different, and stay in order */
#define PACKETS (BATCH * BATCHES)
#define CHUNKS 16
#define IDLE_LOOKS 20000

enum kind { ENGINE, ENCAP, DECAP, ONE_SA, OWN_OUT, OWN_IN, KINDS };

static const char *const names[KINDS] = { "engine", "encap", "decap", "encap, queues", "encap, own SAs",
					  "decap, own SAs" };
static const uint32_t sizes[SIZES] = { 64, 512, 1420, 9000 };
static const uint32_t passes[SIZES] = { 16, 12, 8, 3 };

struct helper {
	struct bench *b;
	uint32_t member;
	int wake_fd;
	pthread_t thread;
};

struct figure {
	double ns;    /* a packet, of the whole */
	double owner; /* a packet */
};

struct bench {
	struct pair pair;
	uint32_t threads, rounds;
	struct esp_worker *esp;
	struct crew *crew;
	struct lane *lane;
	struct dispatch d;
	struct queues *queues;
	struct helper helper[THREADS_MAX];
	bool stop; /* atomic */
	struct frame *frame, *sealed; /* [PACKETS] */
	struct frame model;
	uint32_t sealed_len;
	uint16_t sealed_l4;
	uint64_t owner_ns;
	uint32_t bad;
	struct batch alone;
	/* the engine's bound */
	pthread_barrier_t start;
	uint32_t s; /* index into sizes */
	struct figure of[SIZES][KINDS][THREADS_MAX][ROUNDS_MAX];
};

static cpu_set_t all_cpus;

static cpu_set_t cpu_of(uint32_t index)
{
	uint32_t seen = 0;
	cpu_set_t one;

	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET((size_t)cpu, &all_cpus) &&
		    seen++ == index % (uint32_t)CPU_COUNT(&all_cpus))
			CPU_SET((size_t)cpu, &one);
	return one;
}

void cores_start_thread(pthread_t *thread, uint32_t index, void *(*run)(void *), void *arg)
{
	const cpu_set_t cpu = cpu_of(index);
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(cpu), &cpu);
	if (pthread_create(thread, &attr, run, arg))
		exit(70);
	pthread_attr_destroy(&attr);
}

/* ---- the engine alone, on each thread's own packets */

struct engine_run {
	struct bench *b;
	uint32_t index;
	uint64_t from, to;
	pthread_t thread;
};

static void run_engine(struct engine_run *r)
{
	struct bench *b = r->b;
	struct engine_key_spec spec = {
		.alg = XESP_ALG_AES_GCM_16, .dir = XESP_DIR_OUT, .key = b->pair.out.key,
		.key_len = b->pair.out.key_len, .worker = r->index,
	};
	const uint32_t len = (sizes[b->s] + 2 + 3) / 4 * 4;
	struct engine_key *key = pair_engine->key_open(&spec, NULL);
	struct frame *frame = calloc(BATCH * 4, sizeof(*frame));
	struct engine_job *job = calloc(BATCH, sizeof(*job));

	if (!key || !frame || !job)
		exit(70);
	pthread_barrier_wait(&b->start);
	r->from = clock_ns();
	for (uint32_t n = 0; n < passes[b->s] * BATCHES; n++) {
		for (uint32_t i = 0; i < BATCH; i++) {
			uint8_t *text = frame[n % 4 * BATCH + i].bytes + PAIR_HEADROOM;

			job[i] = (struct engine_job){ .key = key, .text = text, .len = len,
						      .aad = text - 8, .aad_len = 8, .tag_len = 16,
						      .tag = text + len };
			memcpy(job[i].nonce, &n, sizeof(n));
		}
		pair_engine->encrypt(job, BATCH);
	}
	r->to = clock_ns();
	pair_engine->key_close(key);
	free(frame);
	free(job);
}

static void *engine_thread(void *arg)
{
	run_engine(arg);
	return NULL;
}

static struct figure measure_engine(struct bench *b, uint32_t threads)
{
	struct engine_run run[THREADS_MAX];
	uint64_t from = UINT64_MAX, to = 0;

	pthread_barrier_init(&b->start, NULL, threads);
	for (uint32_t i = 0; i < threads; i++) {
		run[i] = (struct engine_run){ .b = b, .index = i };
		cores_start_thread(&run[i].thread, i, engine_thread, &run[i]);
	}
	for (uint32_t i = 0; i < threads; i++) {
		pthread_join(run[i].thread, NULL);
		from = run[i].from < from ? run[i].from : from;
		to = run[i].to > to ? run[i].to : to;
	}
	pthread_barrier_destroy(&b->start);
	return (struct figure){ (double)(to - from) / (passes[b->s] * PACKETS * threads), 0 };
}

/* ---- helpers */

static void *help(void *arg)
{
	struct helper *h = arg;
	struct pollfd p = { .fd = h->wake_fd, .events = POLLIN };
	uint32_t looks = 0;
	uint64_t n;

	while (!__atomic_load_n(&h->b->stop, __ATOMIC_ACQUIRE)) {
		if (crew_help(h->b->crew, h->member)) {
			looks = 0;
			continue;
		}
		if (++looks < IDLE_LOOKS || !crew_lie_down(h->b->crew, h->member))
			continue;
		if (poll(&p, 1, 10) > 0 && read(h->wake_fd, &n, sizeof(n)) < 0)
			break;
		crew_get_up(h->b->crew, h->member);
	}
	return NULL;
}

static void start_helpers(struct bench *b, uint32_t n)
{
	b->stop = false;
	for (uint32_t i = 0; i < n; i++)
		cores_start_thread(&b->helper[i].thread, i + 1, help, &b->helper[i]);
}

static void stop_helpers(struct bench *b, uint32_t n)
{
	__atomic_store_n(&b->stop, true, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < n; i++)
		pthread_join(b->helper[i].thread, NULL);
}

/* ---- a queue */

/* What a NIC would have written. */
static void receive(struct bench *b, struct batch *to, enum xesp_dir dir, uint32_t batch)
{
	to->n = BATCH;
	for (uint32_t i = 0; i < BATCH; i++) {
		const uint32_t at = batch * BATCH + i;
		struct frame *f = &b->frame[at];

		if (dir == XESP_DIR_OUT) {
			memcpy(f->bytes + PAIR_HEADROOM, b->model.bytes + PAIR_HEADROOM, 64);
			to->pkt[i] = pair_clear(f, sizes[b->s]);
		} else {
			memcpy(f->bytes + PAIR_HEADROOM, b->sealed[at].bytes + PAIR_HEADROOM, b->sealed_len);
			to->pkt[i] = pair_esp(f, b->sealed_len, b->sealed_l4);
		}
	}
}

/* What a NIC would be given. */
static void transmit(struct bench *b, const struct batch *from)
{
	for (uint32_t i = 0; i < from->n; i++)
		b->bad += from->pkt[i].drop != XESP_DROP_NONE;
}

/* So that the same packets are new again; nothing is under way. */
static void forget_window(struct bench *b)
{
	b->pair.st.sa[PAIR_SA_IN].replay_top = 0;
	memset(b->pair.st.replay, 0, PAIR_WORDS * sizeof(*b->pair.st.replay));
	b->pair.st.sa[PAIR_SA_OUT].lease_end = UINT32_MAX;
}

static void pass_alone(struct bench *b, enum xesp_dir dir)
{
	for (uint32_t i = 0; i < BATCHES; i++) {
		receive(b, &b->alone, dir, i);
		if (dir == XESP_DIR_OUT)
			esp_encap(b->esp, &b->alone);
		else
			esp_decap(b->esp, &b->alone);
		transmit(b, &b->alone);
	}
}

static bool finish(struct bench *b)
{
	uint64_t t = clock_ns();
	struct chunk *c = dispatch_finish(&b->d);

	if (!c)
		return false;
	transmit(b, &c->batch);
	dispatch_put(&b->d, c);
	b->owner_ns += clock_ns() - t;
	return true;
}

static void pass_spread(struct bench *b, enum xesp_dir dir)
{
	uint32_t given = 0, spins = 0;

	while (given < BATCHES || dispatch_in_flight(&b->d)) {
		struct chunk *c;
		uint64_t t;

		while (finish(b))
			;
		c = given < BATCHES ? dispatch_take(&b->d) : NULL;
		if (!c) {
			if (dispatch_in_flight(&b->d) && !dispatch_work(&b->d))
				dispatch_wait(&spins);
			continue;
		}
		t = clock_ns();
		c->dir = dir;
		receive(b, &c->batch, dir, given++);
		dispatch_submit(&b->d, c);
		b->owner_ns += clock_ns() - t;
	}
}

static struct figure measure_queue(struct bench *b, enum xesp_dir dir, uint32_t threads)
{
	const uint32_t n = passes[b->s];
	uint64_t took = 0, t;

	b->owner_ns = 0;
	if (threads > 1)
		start_helpers(b, threads - 1);
	for (uint32_t i = 0; i <= n; i++) {
		forget_window(b);
		t = clock_ns();
		if (threads > 1)
			pass_spread(b, dir);
		else
			pass_alone(b, dir);
		if (i) /* the first one warms up */
			took += clock_ns() - t;
		else
			b->owner_ns = 0;
	}
	if (threads > 1)
		stop_helpers(b, threads - 1);
	return (struct figure){ (double)took / (n * PACKETS), (double)b->owner_ns / (n * PACKETS) };
}

/* ESP packets with numbers 1 to PACKETS, for decap. */
static void seal_packets(struct bench *b)
{
	b->pair.st.sa[PAIR_SA_OUT].seq_next = 1;
	b->pair.st.sa[PAIR_SA_OUT].lease_end = UINT32_MAX;
	for (uint32_t i = 0; i < BATCHES; i++) {
		receive(b, &b->alone, XESP_DIR_OUT, i);
		esp_encap(b->esp, &b->alone);
		for (uint32_t k = 0; k < BATCH; k++) {
			const struct pkt *p = &b->alone.pkt[k];

			b->sealed_len = p->len;
			b->sealed_l4 = p->l4_off;
			memcpy(b->sealed[i * BATCH + k].bytes + PAIR_HEADROOM, p->l3, p->len);
		}
	}
}

/* No more queues than there are: for more threads it is as with the most. */
static struct figure measure_queues(struct bench *b, enum queues_kind kind, uint32_t threads)
{
	const uint32_t n = threads < QUEUES_MAX ? threads : QUEUES_MAX;

	return (struct figure){ queues_measure(b->queues, kind, n, passes[b->s]), 0 };
}

static void run_round(struct bench *b, uint32_t round)
{
	for (b->s = 0; b->s < SIZES; b->s++) {
		pair_make(&b->model, 4, sizes[b->s]);
		seal_packets(b);
		queues_size(b->queues, sizes[b->s]);
		for (uint32_t t = 1; t <= b->threads; t++) {
			struct figure *of[KINDS];

			for (int k = 0; k < KINDS; k++)
				of[k] = &b->of[b->s][k][t - 1][round];
			*of[ENGINE] = measure_engine(b, t);
			*of[ENCAP] = measure_queue(b, XESP_DIR_OUT, t);
			*of[DECAP] = measure_queue(b, XESP_DIR_IN, t);
			*of[ONE_SA] = measure_queues(b, QUEUES_ONE_SA, t);
			*of[OWN_OUT] = measure_queues(b, QUEUES_OWN_OUT, t);
			*of[OWN_IN] = measure_queues(b, QUEUES_OWN_IN, t);
		}
	}
}

/* ---- set-up and result */

static void open_bench(struct bench *b)
{
	const struct pair_opts o = { .lease = UINT32_MAX, .mtu = 9216, .window = 4096 };
	struct dispatch_opts d = { .chunks_n = CHUNKS };
	struct crew_member_opts m = { .wake_fd = -1 };
	struct fault f = { "" };

	pair_open(&b->pair, &o);
	b->queues = queues_open();
	b->lane = aligned_alloc(64, sizeof(*b->lane));
	b->frame = calloc(PACKETS, sizeof(*b->frame));
	b->sealed = calloc(PACKETS, sizeof(*b->sealed));
	if (!b->lane || !b->frame || !b->sealed || crew_open(&b->crew, &f) ||
	    esp_worker_open(&b->esp, b->pair.sad, 0, &f))
		exit(70);
	memset(b->lane, 0, sizeof(*b->lane));
	d = (struct dispatch_opts){ .crew = b->crew, .sad = b->pair.sad, .esp = b->esp,
				    .lane = b->lane, .chunks_n = CHUNKS };
	m.lane = b->lane;
	crew_join(b->crew, &m);
	if (dispatch_init(&b->d, &d, &f))
		exit(70);
	for (uint32_t i = 0; i + 1 < b->threads; i++) {
		b->helper[i] = (struct helper){ .b = b, .wake_fd = eventfd(0, EFD_NONBLOCK) };
		m = (struct crew_member_opts){ .keys = i + 1, .wake_fd = b->helper[i].wake_fd };
		b->helper[i].member = (uint32_t)crew_join(b->crew, &m);
	}
}

static void close_bench(struct bench *b)
{
	dispatch_fini(&b->d);
	crew_close(b->crew);
	esp_worker_close(b->esp);
	pair_close(&b->pair);
	queues_close(b->queues);
	free(b->lane);
	free(b->frame);
	free(b->sealed);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct spread {
	double min, median, max;
};

static struct spread spread_of(double *v, uint32_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return (struct spread){ v[0], v[n / 2], v[n - 1] };
}

struct row {
	struct spread ns, ratio, owner;
};

static struct row row_of(const struct bench *b, uint32_t s, int kind, uint32_t t)
{
	const struct figure *one = b->of[s][kind][0], *of = b->of[s][kind][t];
	double ns[ROUNDS_MAX], ratio[ROUNDS_MAX], owner[ROUNDS_MAX];

	for (uint32_t r = 0; r < b->rounds; r++) {
		ns[r] = of[r].ns;
		ratio[r] = one[r].ns / of[r].ns;
		owner[r] = of[r].owner;
	}
	return (struct row){ spread_of(ns, b->rounds), spread_of(ratio, b->rounds),
			     spread_of(owner, b->rounds) };
}

static const struct engine *chosen(void)
{
	return choice_of(XESP_ALG_AES_GCM_16, XESP_AUTH_NONE, 16);
}

static void print_table(const struct bench *b)
{
	printf("One tunnel over threads: AES-128-GCM by %s, batch %d, %u rounds; ns a packet of the whole\n\n",
	       chosen()->name, BATCH, b->rounds);
	printf("%6s  %-14s %7s %8s %8s %8s   %6s %6s %6s   %8s\n", "bytes", "", "threads", "min", "median",
	       "max", "ratio", "median", "max", "owner");
	for (uint32_t s = 0; s < SIZES; s++)
		for (int k = 0; k < KINDS; k++)
			for (uint32_t t = 0; t < b->threads; t++) {
				struct row r = row_of(b, s, k, t);

				printf("%6u  %-14s %7u %8.1f %8.1f %8.1f   %6.2f %6.2f %6.2f", sizes[s],
				       names[k], t + 1, r.ns.min, r.ns.median, r.ns.max, r.ratio.min,
				       r.ratio.median, r.ratio.max);
				printf(r.owner.median > 0 ? "   %8.1f\n" : "\n", r.owner.median);
			}
}

static void print_spread(const char *name, struct spread v)
{
	printf(",\"%s\":{\"min\":%.2f,\"median\":%.2f,\"max\":%.2f}", name, v.min, v.median, v.max);
}

static void print_json(const struct bench *b)
{
	struct utsname u;

	uname(&u);
	printf("{\"bench\":\"cores\",\"machine\":\"%s\",\"kernel\":\"%s\",\"crypto\":\"%s, %s\",\"version\":\"%s\","
	       "\"cpus\":%ld,\"batch\":%d,\"rounds\":%u,\"rows\":[",
	       u.machine, u.release, chosen()->name, chosen()->version, XESP_VERSION,
	       sysconf(_SC_NPROCESSORS_ONLN), BATCH, b->rounds);
	for (uint32_t s = 0; s < SIZES; s++)
		for (int k = 0; k < KINDS; k++)
			for (uint32_t t = 0; t < b->threads; t++) {
				struct row r = row_of(b, s, k, t);

				printf("%s{\"bytes\":%u,\"what\":\"%s\",\"threads\":%u",
				       s || k || t ? "," : "", sizes[s], names[k], t + 1);
				print_spread("ns", r.ns);
				print_spread("ratio", r.ratio);
				if (r.owner.median > 0)
					print_spread("owner_ns", r.owner);
				putchar('}');
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
		{ "rounds", required_argument, NULL, 'r' },
		{ "threads", required_argument, NULL, 't' },
		{ "engine", required_argument, NULL, 'e' },
		{ NULL, 0, NULL, 0 },
	};
	static struct bench b = { .rounds = 11 };
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	const char *engine = "auto";
	cpu_set_t own;
	struct fault f = { "" };
	bool json = false;
	int c;

	b.threads = cpus < PAIR_WORKERS ? (uint32_t)cpus : PAIR_WORKERS;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'j': json = true; break;
		case 'r': b.rounds = number(optarg, ROUNDS_MAX, "rounds"); break;
		case 't': b.threads = number(optarg, PAIR_WORKERS, "threads"); break;
		case 'e': engine = optarg; break;
		default: return 2;
		}
	}
	if (choice_open(engine, pair_build_dir(), &f)) {
		fprintf(stderr, "%s\n", f.text);
		return 2;
	}
	pair_engine = choice_engine();
	if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus))
		return 70;
	own = cpu_of(0);
	pthread_setaffinity_np(pthread_self(), sizeof(own), &own);
	open_bench(&b);
	for (uint32_t r = 0; r < b.rounds; r++)
		run_round(&b, r);
	b.bad += queues_bad(b.queues);
	if (b.bad) {
		fprintf(stderr, "%u packets were dropped\n", b.bad);
		return 70;
	}
	if (json)
		print_json(&b);
	else
		print_table(&b);
	close_bench(&b);
	choice_close();
	return 0;
}
