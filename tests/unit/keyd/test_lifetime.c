/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keyd's half of lifetimes, RFC 4301 section 4.4.2.1: soft limits are said once, hard ones take the
 * key away for good, also over a reload and a restart; rates, and when an SA will be used up.
 */
#include <CUnit/CUnit.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/compose.h"
#include "keyd/lifetime.h"
#include "tests/unit/keyd/keyd.h"

#define SAS 8
#define WORDS 256
#define SECOND 1000000000ull

static struct xesp_sa_state *state_of(struct keyd *x, const char *name)
{
	return &x->change.maps->sa[keyd_sa(x, name)->id];
}

static uint32_t at_of(struct keyd *x, const char *name)
{
	return (uint32_t)(keyd_sa(x, name) - x->change.now->sad.sas);
}

static bool has_key(struct keyd *x, const char *name)
{
	const struct sa_key *k = &x->change.now->sad.keys[at_of(x, name)];
	uint8_t any = 0;

	for (size_t i = 0; i < sizeof(*k); i++)
		any |= ((const uint8_t *)k)[i];
	return any;
}

static struct json_object *shown(struct keyd *x, struct lifetime *l, const char *name)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "sequence", json_object_new_object());
	lifetime_show(l, keyd_sa(x, name), o);
	return o;
}

static const char *text(struct json_object *o, const char *a, const char *b)
{
	struct json_object *v = json_object_object_get(o, a);

	if (b)
		v = json_object_object_get(v, b);
	return v ? json_object_get_string(v) : "-";
}

/* The sentences of `xesp status`, joined; the caller frees. */
static char *problems(struct lifetime *l)
{
	struct json_object *list = json_object_new_array();
	char *all;

	lifetime_problems(l, list);
	all = strdup(json_object_to_json_string(list));
	json_object_put(list);
	return all;
}

static void expect_problem(struct lifetime *l, const char *want)
{
	char *all = problems(l);

	if (!strstr(all, want))
		fprintf(stderr, "problems: %s\n", all);
	CU_ASSERT_PTR_NOT_NULL(strstr(all, want));
	free(all);
}

static const char out_sa[] = "  - {name: o, tunnel: t, direction: out, spi: 4097, algorithm: aes-gcm-128, "
			     "key: 000102030405060708090a0b0c0d0e0f10111213, lease: 100000, "
			     "lifetime: {%s}}\n";
static const char in_sa[] = "  - {name: i, tunnel: t, direction: in, spi: 4098, algorithm: aes-gcm-128, "
			    "key: 202122232425262728292a2b2c2d2e2f30313233, lifetime: {%s}}\n";

static void apply(struct keyd *x, const char *out_limits, const char *in_limits)
{
	char o[512], i[512], both[1024];
	struct change_result r;

	snprintf(o, sizeof(o), out_sa, out_limits);
	snprintf(i, sizeof(i), in_sa, in_limits);
	snprintf(both, sizeof(both), "%s%s", o, i);
	CU_ASSERT_EQUAL_FATAL(keyd_apply(x, &r, both, ""), 0);
}

/* Each limit by itself: one short of soft, at soft, one short of hard, at hard. */
static void limits_row_by_row(void)
{
	static const struct {
		const char *limits;
		uint64_t soft, hard;
		int what; /* 0 seconds, 1 bytes, 2 packets */
		const char *says;
	} rows[] = {
		{ "hard_seconds: 100", 90, 100, 0, "hard limit of 100 seconds" },
		{ "soft_seconds: 7, hard_seconds: 9", 7, 9, 0, "hard limit of 9 seconds" },
		{ "hard_bytes: 1000000", 900000, 1000000, 1, "hard limit of 1000000 bytes" },
		{ "hard_packets: 10", 9, 10, 2, "hard limit of 10 packets" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct keyd x;
		struct lifetime *l;
		struct xesp_sa_state *st;
		struct json_object *o;
		uint64_t used[] = { rows[i].soft - 1, rows[i].soft, rows[i].hard - 1,
				    rows[i].hard };
		static const char *const want[] = { "good", "soft", "soft", "expired" };
		static const uint32_t expired[] = { XESP_EXPIRED_NOT, XESP_EXPIRED_SOFT,
						    XESP_EXPIRED_SOFT, XESP_EXPIRED_HARD };

		keyd_setup(&x, SAS, WORDS);
		apply(&x, rows[i].limits, "");
		CU_ASSERT_EQUAL_FATAL(lifetime_open(&l, NULL, &x.change, NULL), 0);
		st = state_of(&x, "o");
		CU_ASSERT(st->born_ns != 0);
		for (int k = 0; k < 4; k++) {
			uint64_t now = st->born_ns + SECOND;

			if (rows[i].what == 0)
				now = st->born_ns + used[k] * SECOND;
			else if (rows[i].what == 1)
				st->life_bytes = used[k];
			else
				st->life_packets = used[k];
			/* Bytes and packets are the workers' to end at. */
			if (k == 3 && rows[i].what)
				st->expired = XESP_EXPIRED_HARD;
			lifetime_look(l, now);
			o = shown(&x, l, "o");
			CU_ASSERT_EQUAL(st->expired, expired[k]);
			/* Of time it shows the real one. */
			if (rows[i].what)
				CU_ASSERT_STRING_EQUAL(text(o, "lifetime", "state"), want[k]);
			CU_ASSERT_EQUAL(has_key(&x, "o"), k < 3);
			if (k == 3 && rows[i].what) {
				CU_ASSERT_STRING_EQUAL(text(o, "state", NULL), "expired");
				CU_ASSERT_PTR_NOT_NULL(strstr(text(o, "reason", NULL), rows[i].says));
				expect_problem(l, rows[i].says);
			} else if (k && rows[i].what) {
				expect_problem(l, "soft limit");
			}
			json_object_put(o);
		}
		CU_ASSERT_EQUAL(st->expired, XESP_EXPIRED_HARD);
		CU_ASSERT(has_key(&x, "i"));
		lifetime_close(l);
		keyd_finish(&x);
	}
}

static void what_has_ended_stays_ended(void)
{
	static uint8_t buf[XESP_KEYMSG_MAX];
	const struct xesp_keymsg_sa *m = (const void *)buf;
	struct lifetime *l;
	struct keyd x;

	keyd_setup(&x, SAS, WORDS);
	apply(&x, "hard_packets: 10", "hard_packets: 10");
	CU_ASSERT_EQUAL_FATAL(lifetime_open(&l, NULL, &x.change, NULL), 0);
	compose_sa(buf, x.change.now, at_of(&x, "o"));
	CU_ASSERT(m->over == 0 && m->hard_packets == 10 && m->key[1] == 1);
	state_of(&x, "o")->expired = XESP_EXPIRED_HARD;
	lifetime_look(l, state_of(&x, "o")->born_ns + SECOND);
	compose_sa(buf, x.change.now, at_of(&x, "o"));
	CU_ASSERT(m->over == 1 && m->lease_first == 0 && m->lease_last == 0);
	for (size_t i = 0; i < sizeof(m->key); i++)
		CU_ASSERT_EQUAL(m->key[i], 0);
	for (size_t i = 0; i < sizeof(m->salt); i++)
		CU_ASSERT_EQUAL(m->salt[i], 0);
	/* A higher limit, or none, does not bring it back: its key has to be another. */
	apply(&x, "", "");
	CU_ASSERT(keyd_sa(&x, "o")->over && !has_key(&x, "o") && has_key(&x, "i"));
	lifetime_close(l);
	keyd_restart(&x);
	apply(&x, "hard_packets: 1000", "");
	CU_ASSERT(keyd_sa(&x, "o")->over && !has_key(&x, "o") && has_key(&x, "i"));
	/* No numbers are leased for it. */
	CU_ASSERT_EQUAL(keyd_sa(&x, "o")->lease_last, 0);
	CU_ASSERT(keyd_sa(&x, "o")->standing != SA_REFUSED);
	keyd_finish(&x);
}

/* The time of its first use outlives keyd; a new key begins a new life. */
static void age_goes_on_over_a_restart(void)
{
	struct keyd x;
	uint64_t born;

	keyd_setup(&x, SAS, WORDS);
	apply(&x, "hard_seconds: 100", "");
	born = keyd_sa(&x, "o")->born_ns;
	CU_ASSERT(born && born == state_of(&x, "o")->born_ns);
	keyd_restart(&x);
	apply(&x, "hard_seconds: 200", "");
	CU_ASSERT_EQUAL(keyd_sa(&x, "o")->born_ns, born);
	keyd_finish(&x);
}

static void used_up_in_time(void)
{
	struct xesp_sa_state *st;
	struct json_object *o;
	struct lifetime *l;
	struct keyd x;
	char *all;

	keyd_setup(&x, SAS, WORDS);
	apply(&x, "hard_packets: 100000, soft_packets: 100000, warn_seconds: 60", "");
	CU_ASSERT_EQUAL_FATAL(lifetime_open(&l, NULL, &x.change, NULL), 0);
	st = state_of(&x, "o");
	for (uint64_t s = 0; s < 30; s++) {
		st->seq_next = 1 + s * 1000;
		st->life_packets = s * 1000;
		lifetime_look(l, st->born_ns + s * SECOND);
		if (s == 29) {
			o = shown(&x, l, "o");
			/* 71 000 packets at 1 000 a second. */
			CU_ASSERT_STRING_EQUAL(text(o, "lifetime", "ends_in_s"), "71");
			CU_ASSERT_EQUAL(json_object_get_double(json_object_object_get(
						json_object_object_get(o, "sequence"), "per_s")),
					1000.0);
			CU_ASSERT_STRING_EQUAL(text(o, "sequence", "left"), "1099511598776");
			CU_ASSERT_STRING_EQUAL(text(o, "sequence", "used_up_in_s"), "1099511598");
			json_object_put(o);
		}
	}
	all = problems(l);
	CU_ASSERT_STRING_EQUAL(all, "[ ]");
	free(all);
	for (uint64_t s = 30; s < 45; s++) {
		st->seq_next = 1 + s * 1000;
		st->life_packets = s * 1000;
		lifetime_look(l, st->born_ns + s * SECOND);
	}
	expect_problem(l, "used up in 56 s");
	lifetime_close(l);
	keyd_finish(&x);
}

/* After a worker's end the rest of a lease is lost, and numbers go on behind it: nobody sent those. */
static void a_jump_to_a_new_lease_is_no_rate(void)
{
	struct xesp_sa_state *st;
	struct json_object *o;
	struct lifetime *l;
	struct keyd x;

	keyd_setup(&x, SAS, WORDS);
	apply(&x, "warn_seconds: 86400", "");
	CU_ASSERT_EQUAL_FATAL(lifetime_open(&l, NULL, &x.change, NULL), 0);
	st = state_of(&x, "o");
	for (uint64_t s = 0; s < 10; s++) {
		st->seq_next = 1 + s * 10 + (s >= 3 ? 1ull << 26 : 0) + (s >= 6 ? 1ull << 26 : 0);
		st->life_packets = st->packets = s * 10;
		lifetime_look(l, st->born_ns + s * SECOND);
	}
	o = shown(&x, l, "o");
	CU_ASSERT_EQUAL(json_object_get_double(json_object_object_get(
				json_object_object_get(o, "sequence"), "per_s")), 10.0);
	json_object_put(o);
	lifetime_close(l);
	keyd_finish(&x);
}

/* Without a limit it is the numbers that end: 32 bits are soon used up, and an SA that idles never. */
static void numbers_without_a_limit(void)
{
	struct xesp_sa_state *st;
	struct json_object *o;
	struct lifetime *l;
	struct keyd x;

	keyd_setup(&x, SAS, WORDS);
	apply(&x, "", "");
	CU_ASSERT_EQUAL_FATAL(lifetime_open(&l, NULL, &x.change, NULL), 0);
	st = state_of(&x, "i");
	for (uint64_t s = 0; s < 10; s++) {
		st->replay_top = (1ull << 40) - 100000000 + s * 1000000;
		lifetime_look(l, st->born_ns + s * SECOND);
	}
	expect_problem(l, "SA 'i': used up in 91 s");
	st->replay_top = 1ull << 40;
	expect_problem(l, "SA 'i': its sequence numbers are used up");
	o = shown(&x, l, "o");
	CU_ASSERT_STRING_EQUAL(text(o, "lifetime", "ends_in_s"), "-");
	CU_ASSERT_STRING_EQUAL(text(o, "sequence", "used_up_in_s"), "-");
	json_object_put(o);
	st->late[0] = 3;
	st->late[12] = 1;
	o = shown(&x, l, "i");
	CU_ASSERT_STRING_EQUAL(text(o, "late", "1"), "3");
	CU_ASSERT_STRING_EQUAL(text(o, "late", "4096"), "1");
	CU_ASSERT_EQUAL(json_object_object_length(json_object_object_get(o, "late")), 2);
	json_object_put(o);
	lifetime_close(l);
	keyd_finish(&x);
}

/* NIST SP 800-38D appendix C; the PRP/PRF bound of AES; none of ChaCha20 and HMAC. */
static const struct {
	uint8_t alg, auth;
	uint64_t last;
} ends[] = {
	{ XESP_ALG_AES_GCM_16, 0, 1ull << 40 },
	{ XESP_ALG_AES_GCM_12, 0, 1ull << 40 },
	{ XESP_ALG_AES_GCM_16_IIV, 0, 1ull << 40 },
	{ XESP_ALG_AES_GCM_8, 0, UINT32_MAX },
	{ XESP_ALG_AES_GMAC, 0, 1ull << 40 },
	{ XESP_ALG_AES_CBC, XESP_AUTH_HMAC_SHA2_256_128, 1ull << 40 },
	{ XESP_ALG_AES_CTR, XESP_AUTH_HMAC_SHA2_512_256, 1ull << 40 },
	{ XESP_ALG_AES_CCM_16, 0, 1ull << 39 },
	{ XESP_ALG_AES_CCM_12, 0, 1ull << 39 },
	{ XESP_ALG_AES_CCM_8, 0, 1ull << 39 },
	{ XESP_ALG_AES_CCM_8_IIV, 0, 1ull << 39 },
	{ XESP_ALG_CHACHA20_POLY1305, 0, UINT64_MAX - 1 },
	{ XESP_ALG_CHACHA20_POLY1305_IIV, 0, UINT64_MAX - 1 },
	{ XESP_ALG_NULL, XESP_AUTH_HMAC_SHA2_256_128, UINT64_MAX - 1 },
	{ XESP_ALG_NONE, XESP_AUTH_HMAC_SHA2_384_192, UINT64_MAX - 1 },
	{ XESP_ALG_NONE, XESP_AUTH_AES_GMAC, 1ull << 40 },
};

static void last_number_of_each_algorithm(void)
{
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct sa sa = { .alg = ends[i].alg, .auth = ends[i].auth, .esn = true };

		CU_ASSERT_EQUAL(sad_last_number(&sa), ends[i].last);
		sa.esn = false;
		CU_ASSERT_EQUAL(sad_last_number(&sa), UINT32_MAX);
	}
}

CU_TestInfo lifetime_tests[] = {
	{ "soft and hard, each limit", limits_row_by_row },
	{ "what has ended stays ended, without its key", what_has_ended_stays_ended },
	{ "age goes on over a restart", age_goes_on_over_a_restart },
	{ "used up soon at the present rate", used_up_in_time },
	{ "a jump to a new lease is no rate", a_jump_to_a_new_lease_is_no_rate },
	{ "numbers are used up too", numbers_without_a_limit },
	{ "the last number of each algorithm", last_number_of_each_algorithm },
	CU_TEST_INFO_NULL,
};
