/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SAs that the kernel has too: leases begin beyond what it has sent and move it past their end, what it has
 * received is not received again, and a kernel that sends beside us is noticed.
 */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>

#include "keyd/lease.h"
#include "tests/unit/keyd/fixture.h"
#include "tests/unit/keyd/keyd.h"

#define SAS 8
#define WORDS 64

struct kernel {
	uint64_t sent, received;
	int err;
};

static int sent(void *ctx, const struct sad *sad, const struct sa *sa, uint64_t *last)
{
	const struct kernel *k = ctx;

	(void)sad;
	(void)sa;
	*last = k->sent;
	return k->err;
}

static int received(void *ctx, const struct sad *sad, const struct sa *sa, uint64_t *last)
{
	const struct kernel *k = ctx;

	(void)sad;
	(void)sa;
	*last = k->received;
	return k->err;
}

static int pass_over(void *ctx, const struct sad *sad, const struct sa *sa, uint64_t first, uint64_t last)
{
	struct kernel *k = ctx;

	(void)sad;
	(void)sa;
	CU_ASSERT(first > k->sent);
	k->sent = last;
	return k->err;
}

static int given(void *ctx, const struct xesp_sa_in_key *key, uint32_t sa_id)
{
	(void)ctx;
	(void)key;
	(void)sa_id;
	return 0;
}

struct world {
	struct keyd x;
	struct kernel k;
	struct grants_kernel calls;
};

/* One SA each way, windows of 128: a ring of 4 words. */
static void setup(struct world *w)
{
	struct change_result r;
	char sas[512];

	*w = (struct world){ .calls = { .ctx = &w->k, .sent = sent, .pass_over = pass_over, .received = received,
					     .give = given } };
	keyd_setup(&w->x, SAS, WORDS);
	w->x.grants.kernel = &w->calls;
	fixture_sa(sas, "o", "out", 4097, 1, ", esn: yes, lease: 100");
	fixture_sa(sas + strlen(sas), "i", "in", 4098, 2, ", esn: yes, replay_window: 128");
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&w->x, &r, sas, ""), 0);
}

static struct xesp_sa_state *state(struct world *w, const char *name)
{
	return &w->x.change.maps->sa[keyd_sa(&w->x, name)->id];
}

static void test_received_by_the_kernel(void)
{
	static const struct {
		uint64_t kernel, before, top; /* highest numbers: the kernel's, ours, what is in force then */
	} rows[] = { { 0, 0, 0 },    { 1, 0, 1 },     { 63, 0, 63 },      { 64, 0, 64 },
		     { 1000, 0, 1000 }, { 1000, 999, 1000 }, { 1000, 1000, 1000 }, { 1000, 1001, 1001 },
		     { 1ull << 40, 7, 1ull << 40 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w;
		struct xesp_sa_state *st;
		const uint64_t *ring;

		setup(&w);
		st = state(&w, "i");
		ring = w.x.change.maps->replay + st->replay_off;
		st->replay_top = rows[i].before;
		w.k.received = rows[i].kernel;
		CU_ASSERT_PTR_NOT_NULL(change_present(&w.x.change));
		CU_ASSERT_EQUAL(st->replay_top, rows[i].top);
		/* What is 128 back at most has its bit; what comes next is not asked for one. */
		for (uint64_t n = rows[i].top, left = 128; n && left && rows[i].kernel > rows[i].before; n--, left--)
			CU_ASSERT(ring[n / 64 % st->replay_words] >> n % 64 & 1);
		keyd_finish(&w.x);
	}
}

/* What XDP let through to the kernel may be on its way to it still: that is not received again either. */
static void test_taken_over_from_the_kernel(void)
{
	static const uint64_t E = 1ull << 32;
	const struct {
		bool esn;
		uint64_t kernel; /* its highest number */
		uint32_t passed; /* low half of XDP's note */
		uint64_t later;  /* what the kernel says when it is asked again */
		int result;      /* of the first question */
		uint64_t top;
	} rows[] = { { true, 0, 0, 0, 0, 0 },
		     { true, 0, 5, 0, 0, 5 },
		     { true, 7, 7, 0, 0, 7 },
		     { true, 9, 7, 0, 0, 9 },
		     { true, 1000, 2024, 0, 0, 2024 },
		     { true, 1000, 2025, 1003, GRANTS_AGAIN, 1003 }, /* forged */
		     { true, E - 2, 3, 0, 0, E + 3 },
		     { true, E + 3, UINT32_MAX, 0, 0, E + 3 },
		     { true, E + 3, 0x70000000, E + 4, GRANTS_AGAIN, E + 4 },
		     { false, 1000, 1001, 0, 0, 1001 },
		     { false, 1000, UINT32_MAX, 1010, GRANTS_AGAIN, 1010 },
		     { false, UINT32_MAX, 3, 0, 0, UINT32_MAX } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w;
		struct maps *m;
		struct xesp_sa_state *st;
		struct sa sa;
		const struct sad *sad;

		setup(&w);
		m = w.x.change.maps;
		sad = &w.x.change.now->sad;
		sa = *keyd_sa(&w.x, "i");
		sa.esn = rows[i].esn;
		st = state(&w, "i");
		m->inbound[sa.id].handover = true;
		st->holder = XESP_HOLDER_KERNEL;
		st->kernel_top = rows[i].passed;
		w.k.received = rows[i].kernel;
		CU_ASSERT_EQUAL(grants_take_over(&w.x.grants, m, sad, &sa), rows[i].result);
		if (rows[i].result) {
			CU_ASSERT_EQUAL(st->holder, XESP_HOLDER_NOBODY);
			CU_ASSERT_EQUAL(st->replay_top, 0);
			w.k.received = rows[i].later;
			CU_ASSERT_EQUAL(grants_take_over(&w.x.grants, m, sad, &sa), 0);
		}
		CU_ASSERT_EQUAL(st->holder, XESP_HOLDER_WORKERS);
		CU_ASSERT_EQUAL(st->replay_top, rows[i].top);
		keyd_finish(&w.x);
	}
}

/* It may be receiving: then it stays its. */
static void test_not_taken_over(void)
{
	struct world w;

	setup(&w);
	w.x.change.maps->inbound[keyd_sa(&w.x, "i")->id].handover = true;
	state(&w, "i")->holder = XESP_HOLDER_KERNEL;
	w.k.err = -ETIMEDOUT;
	CU_ASSERT_EQUAL(grants_take_over(&w.x.grants, w.x.change.maps, &w.x.change.now->sad, keyd_sa(&w.x, "i")), -ETIMEDOUT);
	CU_ASSERT_EQUAL(state(&w, "i")->holder, XESP_HOLDER_KERNEL);
	keyd_finish(&w.x);
}

static void test_a_kernel_that_is_silent(void)
{
	struct world w;

	setup(&w);
	w.k.received = 500;
	w.k.err = -ETIMEDOUT;
	CU_ASSERT_PTR_NOT_NULL(change_present(&w.x.change));
	CU_ASSERT_EQUAL(state(&w, "i")->replay_top, 0);
	CU_ASSERT_EQUAL(keyd_sa(&w.x, "o")->lease_last, 0); /* nothing is granted that it was not asked about */
	keyd_finish(&w.x);
}

static void test_a_kernel_that_sends(void)
{
	struct world w;
	struct sa *o;

	setup(&w);
	w.k.sent = 41;
	CU_ASSERT_PTR_NOT_NULL(change_present(&w.x.change));
	o = &w.x.change.now->sad.sas[sad_find(&w.x.change.now->sad, keyd_sa(&w.x, "o")->id)];
	CU_ASSERT_EQUAL(o->lease_first, 41 + GRANTS_KERNEL_MARGIN + 1);
	CU_ASSERT_EQUAL(o->lease_last, o->lease_first + 99);
	CU_ASSERT_EQUAL(w.k.sent, o->lease_last);
	/* As we have moved it: nothing to be said. One more is its own. */
	CU_ASSERT_FALSE(grants_kernel_sent(&w.x.grants, o, w.k.sent));
	CU_ASSERT_EQUAL(w.x.grants.wants_n, 0);
	CU_ASSERT_TRUE(grants_kernel_sent(&w.x.grants, o, w.k.sent + 1));
	CU_ASSERT_EQUAL_FATAL(w.x.grants.wants_n, 1);
	CU_ASSERT_EQUAL(w.x.grants.wants[0], o->id);
	/* And it may go on: what each of its packets costs of the numbers is bounded. */
	w.k.sent++;
	o->lease = 1 << 22;
	CU_ASSERT_PTR_NOT_NULL(change_present(&w.x.change));
	CU_ASSERT_EQUAL(o->lease_first, w.k.sent - GRANTS_RIVAL_LEASE + 1);
	CU_ASSERT_EQUAL(o->lease_last, w.k.sent);
	keyd_finish(&w.x);
}

CU_TestInfo grants_kernel_tests[] = {
	{ "what the kernel has received is not received again", test_received_by_the_kernel },
	{ "what was let through to the kernel is not received again", test_taken_over_from_the_kernel },
	{ "a kernel that does not answer keeps its SA", test_not_taken_over },
	{ "a kernel that does not answer: no numbers", test_a_kernel_that_is_silent },
	{ "a kernel that sends too is noticed", test_a_kernel_that_sends },
	CU_TEST_INFO_NULL,
};
