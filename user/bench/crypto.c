/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crypto.c - the engines alone, over buffers that lie as the worker's do: the ceiling of ESP.
 *
 * Each packet has its own chunk of packet memory, and these are taken in turn, so that the cache is as
 * cold or warm as behind a ring. Every batch is encrypted and decrypted again, and a forged tag would be
 * noticed. The figure of a round is its median batch: one that was interrupted says nothing.
 */
#include <getopt.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "crypto/choice.h"
#include "crypto/transform.h"
#include "port/umem.h"
#include "xesp/clock.h"
#include "xesp/fault.h"

#define BATCH_MAX 256u
#define ROUNDS_MAX 101u
#define BATCHES_MAX 1024u /* of a round */
#define ROUND_NS 3000000u /* a round ends when so much time has gone */
#define FRAMES 1024u
#define WIDES 512u
#define OFF 300u /* where ESP's text begins in a chunk, about */
#define SIZES_MAX 16
#define BYTES_MIN 64u
#define BYTES_MAX 9000u
#define ROWS_MAX 256
#define COMBINED_AAD 12 /* SPI and 64-bit sequence number, RFC 4106 section 5 */

enum { ENCRYPT, DECRYPT, WAYS };

struct options {
	bool json;
	const char *engine, *suite;
	uint32_t batch, rounds, sizes_n, size[SIZES_MAX];
};

/* A suite with a key length, by one engine. */
struct row {
	const struct transform *t;
	const struct engine *engine;
	size_t key_len;
	bool chosen; /* what xespd would take */
};

struct bench {
	struct options o;
	struct umem_pool *pool;
	uint64_t addr[FRAMES];
	uint32_t addrs_n;
	struct engine_key *key[WAYS];
	struct engine_job job[BATCH_MAX];
	uint64_t seq;
	struct row row[ROWS_MAX];
	uint32_t rows_n;
	struct json_object *json_rows;
};

/* ---- buffers and jobs */

static void take_buffers(struct bench *b, uint32_t size)
{
	b->addrs_n = 0;
	if (size + OFF + 128 > UMEM_CHUNK)
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

/* The text that an inner packet of `size` bytes becomes: with padding, pad length and next header. */
static uint32_t text_len(const struct transform *t, uint32_t size)
{
	const uint32_t align = t->align ? t->align : 4;

	return (size + 2 + align - 1) / align * align;
}

static void make_jobs(struct bench *b, const struct row *r, uint32_t at, uint32_t len, int way)
{
	const struct transform *t = r->t;

	for (uint32_t i = 0; i < b->o.batch; i++) {
		uint8_t *text = b->pool->area + b->addr[(at + i) % b->addrs_n] + OFF;
		const uint64_t seq = b->seq + i;
		struct engine_job *j = &b->job[i];

		*j = (struct engine_job){ .key = b->key[way], .text = text, .len = len,
					  .aad = j->made, .aad_len = COMBINED_AAD,
					  .tag = text + len, .tag_len = t->icv_len };
		if (t->covers_packet) {
			j->aad_len = (uint16_t)(8 + t->iv_len);
			j->aad = text - j->aad_len;
			j->tail_len = t->auth == XESP_AUTH_AES_GMAC ? 0 : ENGINE_TAIL_MAX;
		}
		memcpy(j->nonce + 4, &seq, sizeof(seq));
		memcpy(j->made + 4, &seq, sizeof(seq));
	}
}

/* ---- measuring */

static bool open_keys(struct bench *b, const struct row *r, struct fault *f)
{
	static const uint8_t key[XESP_KEY_MAX];
	struct engine_key_spec spec = {
		.alg = (enum xesp_alg)r->t->alg, .auth = (enum xesp_auth)r->t->auth, .key = key,
		.key_len = r->t->alg ? r->key_len : 0, .auth_key = key,
		.auth_key_len = r->t->auth == XESP_AUTH_AES_GMAC ? r->key_len : r->t->auth_key_len,
	};

	for (int way = 0; way < WAYS; way++) {
		spec.dir = way == ENCRYPT ? XESP_DIR_OUT : XESP_DIR_IN;
		b->key[way] = r->engine->key_open(&spec, f);
	}
	return b->key[ENCRYPT] && b->key[DECRYPT];
}

static void close_keys(struct bench *b, const struct row *r)
{
	for (int way = 0; way < WAYS; way++)
		r->engine->key_close(b->key[way]);
}

/* False: a packet did not come back. */
static bool run_batch(struct bench *b, const struct row *r, uint32_t at, uint32_t len, uint64_t took[WAYS])
{
	uint64_t t0;

	make_jobs(b, r, at, len, ENCRYPT);
	t0 = clock_ns();
	r->engine->encrypt(b->job, b->o.batch);
	took[ENCRYPT] = clock_ns() - t0;
	make_jobs(b, r, at, len, DECRYPT);
	t0 = clock_ns();
	r->engine->decrypt(b->job, b->o.batch);
	took[DECRYPT] = clock_ns() - t0;
	b->seq += b->o.batch;
	for (uint32_t i = 0; i < b->o.batch; i++)
		if (!b->job[i].ok)
			return false;
	return true;
}

static bool run_round(struct bench *b, const struct row *r, uint32_t len, double ns[WAYS])
{
	static uint64_t took[WAYS][BATCHES_MAX];
	const uint64_t end = clock_ns() + ROUND_NS;
	uint32_t n = 0;

	while (n < BATCHES_MAX && (n < 3 || clock_ns() < end)) {
		uint64_t one[WAYS];

		if (!run_batch(b, r, n * b->o.batch, len, one))
			return false;
		for (int way = 0; way < WAYS; way++)
			took[way][n] = one[way];
		n++;
	}
	for (int way = 0; way < WAYS; way++)
		ns[way] = (double)bench_median(took[way], n) / b->o.batch;
	return true;
}

static bool run_size(struct bench *b, const struct row *r, uint32_t size, struct bench_spread s[WAYS])
{
	double ns[WAYS][ROUNDS_MAX];
	bool good = true;

	take_buffers(b, size);
	for (uint32_t i = 0; good && i < b->o.rounds; i++) {
		double one[WAYS] = { 0 };

		good = run_round(b, r, text_len(r->t, size), one);
		for (int way = 0; way < WAYS; way++)
			ns[way][i] = one[way];
	}
	give_buffers(b);
	for (int way = 0; good && way < WAYS; way++)
		s[way] = bench_spread(ns[way], b->o.rounds);
	return good;
}

/* ---- which suites by which engines */

static void add_row(struct bench *b, const struct transform *t, size_t key_len, const struct engine *e,
		    bool chosen)
{
	if (b->rows_n < ROWS_MAX)
		b->row[b->rows_n++] = (struct row){ t, e, key_len, chosen };
}

static void add_engines(struct bench *b, const struct transform *t, size_t key_len, const char *auto_name,
			bool multi)
{
	const struct engine *other = multi ? choice_of(t->alg, t->auth, key_len) : &engine_openssl;
	const struct engine *both[] = { &engine_openssl, other != &engine_openssl ? other : NULL };

	for (int i = 0; i < 2; i++) {
		const bool chosen = both[i] && !strcmp(both[i]->name, auto_name);

		if (!both[i] || (!strcmp(b->o.engine, "auto") && !chosen) ||
		    (strcmp(b->o.engine, "auto") && strcmp(b->o.engine, "all") &&
		     strcmp(b->o.engine, both[i]->name)))
			continue;
		add_row(b, t, key_len, both[i], chosen);
	}
}

struct chosen {
	char engine[ROWS_MAX][16];
	uint32_t n;
};

static void note_chosen(void *ctx, const struct choice_row *r)
{
	struct chosen *c = ctx;

	if (c->n < ROWS_MAX)
		snprintf(c->engine[c->n++], sizeof(c->engine[0]), "%s", r->engine);
}

static bool wanted(const struct options *o, const struct transform *t, size_t key_len)
{
	char with_len[64];

	snprintf(with_len, sizeof(with_len), "%s/%zu", t->name, key_len * 8);
	return !o->suite || !strcmp(o->suite, t->name) || !strcmp(o->suite, with_len);
}

/* Asks for the choice that xespd would make, then for all that ipsec-mb has. */
static bool find_rows(struct bench *b, struct fault *f)
{
	static struct chosen c;
	struct fault none = { "" };
	uint32_t at = 0;
	bool multi;

	if (choice_open("auto", NULL, f))
		return false;
	choice_each(note_chosen, &c);
	choice_close();
	multi = !choice_open("ipsec-mb", NULL, &none);
	if (!multi) {
		fprintf(stderr, "%s\n", none.text);
		if (choice_open("openssl", NULL, f))
			return false;
	}
	for (unsigned int i = 0; transform_at(i); i++) {
		const struct transform *t = transform_at(i);

		/* In the order of choice_each(). */
		for (int k = 0; k < TRANSFORM_KEY_LENS && (!k || t->key_len[k]); k++, at++)
			if (wanted(&b->o, t, t->key_len[k]))
				add_engines(b, t, t->key_len[k], c.engine[at], multi);
	}
	if (!b->rows_n)
		fault_set(f, -1, "no engine here has a suite %s; without --suite all are measured",
			  b->o.suite ? b->o.suite : "like that");
	return b->rows_n > 0;
}

/* ---- telling */

static void suite_name(const struct row *r, char *name, size_t size)
{
	if (r->key_len)
		snprintf(name, size, "%s/%zu", r->t->name, r->key_len * 8);
	else
		snprintf(name, size, "%s", r->t->name);
}

static void tell_json(struct bench *b, const struct row *r, uint32_t size, const struct bench_spread s[WAYS])
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "suite", json_object_new_string(r->t->name));
	json_object_object_add(o, "key_bits", json_object_new_int((int)r->key_len * 8));
	json_object_object_add(o, "engine", json_object_new_string(r->engine->name));
	json_object_object_add(o, "engine_version", json_object_new_string(r->engine->version));
	json_object_object_add(o, "chosen", json_object_new_boolean(r->chosen));
	json_object_object_add(o, "bytes", json_object_new_int((int)size));
	json_object_object_add(o, "encrypt_ns", bench_spread_json(&s[ENCRYPT]));
	json_object_object_add(o, "decrypt_ns", bench_spread_json(&s[DECRYPT]));
	json_object_array_add(b->json_rows, o);
}

static void tell(struct bench *b, const struct row *r, uint32_t size, const struct bench_spread s[WAYS])
{
	char name[64];

	if (b->o.json) {
		tell_json(b, r, size, s);
		return;
	}
	suite_name(r, name, sizeof(name));
	printf("%-30s %-8s%c %5u  %7.0f %7.0f %7.0f %7.2f  %7.0f %7.0f %7.0f %7.2f\n", name,
	       r->engine->name, r->chosen ? '*' : ' ', size, s[ENCRYPT].min, s[ENCRYPT].median,
	       s[ENCRYPT].max, size * 8 / s[ENCRYPT].median, s[DECRYPT].min, s[DECRYPT].median,
	       s[DECRYPT].max, size * 8 / s[DECRYPT].median);
	fflush(stdout);
}

static void tell_head(const struct bench *b)
{
	if (b->o.json)
		return;
	bench_print_about();
	printf("Crypto alone over packet buffers, one thread, batch %u, %u rounds; ns a packet; * is what xespd "
	       "takes\n\n%-30s %-9s %5s  %7s %7s %7s %7s  %7s %7s %7s %7s\n", b->o.batch, b->o.rounds,
	       "suite", "engine", "bytes", "encrypt", "median", "max", "Gbit/s", "decrypt", "median",
	       "max", "Gbit/s");
}

static void tell_end(struct bench *b)
{
	struct json_object *o;

	if (!b->o.json)
		return;
	o = bench_about("crypto");
	json_object_object_add(o, "batch", json_object_new_int((int)b->o.batch));
	json_object_object_add(o, "rounds", json_object_new_int((int)b->o.rounds));
	json_object_object_add(o, "rows", b->json_rows);
	bench_print_json(o);
}

/* ---- the whole */

static bool run_row(struct bench *b, const struct row *r, struct fault *f)
{
	bool good = open_keys(b, r, f);

	for (uint32_t i = 0; good && i < b->o.sizes_n; i++) {
		struct bench_spread s[WAYS];

		good = run_size(b, r, b->o.size[i], s);
		if (good)
			tell(b, r, b->o.size[i], s);
		else
			fault_set(f, -1, "%s by %s: a packet did not come back", r->t->name,
				  r->engine->name);
	}
	close_keys(b, r);
	return good;
}

static bool run_all(struct bench *b, struct fault *f)
{
	const struct umem_size size = { .pools_n = 1, .frames_n = FRAMES, .wides_n = WIDES };
	struct umem *umem;
	bool good = true;

	if (umem_open(&umem, &size, f))
		return false;
	b->pool = umem_pool(umem, 0);
	tell_head(b);
	for (uint32_t i = 0; good && i < b->rows_n; i++)
		good = run_row(b, &b->row[i], f);
	if (good)
		tell_end(b);
	umem_close(umem);
	return good;
}

static int misused(const char *what)
{
	fprintf(stderr, "xesp: bench crypto: %s; see `xesp help bench`\n", what);
	return BENCH_USAGE;
}

static int take_sizes(struct options *o, char *list)
{
	o->sizes_n = 0;
	for (char *save, *one = strtok_r(list, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
		const uint32_t size = bench_number("sizes", one, BYTES_MAX);

		if (size < BYTES_MIN || o->sizes_n == SIZES_MAX)
			return misused("--sizes takes 1 to 16 sizes of 64 to 9000 bytes");
		o->size[o->sizes_n++] = size;
	}
	return o->sizes_n ? 0 : misused("--sizes takes 1 to 16 sizes of 64 to 9000 bytes");
}

static int take_options(struct options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "engine", required_argument, NULL, 'e' },
		{ "suite", required_argument, NULL, 's' },
		{ "sizes", required_argument, NULL, 'z' },
		{ "batch", required_argument, NULL, 'b' },
		{ "rounds", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'j': o->json = true; break;
		case 'e': o->engine = optarg; break;
		case 's': o->suite = optarg; break;
		case 'b': o->batch = bench_number("batch", optarg, BATCH_MAX); break;
		case 'r': o->rounds = bench_number("rounds", optarg, ROUNDS_MAX); break;
		case 'z':
			if (take_sizes(o, optarg))
				return BENCH_USAGE;
			break;
		default: return BENCH_USAGE;
		}
	}
	if (optind < argc)
		return misused("options alone are taken");
	if (strcmp(o->engine, "all") && strcmp(o->engine, "auto") && strcmp(o->engine, "openssl") &&
	    strcmp(o->engine, "ipsec-mb"))
		return misused("--engine takes all, auto, openssl or ipsec-mb");
	return BENCH_DONE;
}

int bench_crypto(int argc, char **argv)
{
	static struct bench b = { .o = { .engine = "all", .batch = 64, .rounds = 5, .sizes_n = 5,
					 .size = { 64, 256, 512, 1420, 9000 } }, .seq = 1 };
	struct fault f = { "" };
	bool good;

	if (take_options(&b.o, argc, argv))
		return BENCH_USAGE;
	b.json_rows = json_object_new_array();
	good = find_rows(&b, &f) && run_all(&b, &f);
	choice_close();
	if (good)
		return BENCH_DONE;
	fprintf(stderr, "xesp: bench crypto: %s\n", f.text);
	return BENCH_FAILED;
}
