/* SPDX-License-Identifier: BSD-2-Clause */
/* Anti-replay: RFC 4303 section 3.4.3 and appendix A, RFC 6479; rows, an oracle, and kill -9. */
#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "esp/replay.h"
#include "sad/sa.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define OK XESP_DROP_NONE
#define OLD XESP_DROP_REPLAY_OLD
#define DUP XESP_DROP_REPLAY_DUPLICATE
#define WORDS_MAX 2048

/* An inbound SA in shared memory, as the maps are. */
struct window {
	struct xesp_sa_state state;
	struct sa_shared shared;
	uint64_t words[WORDS_MAX];
	struct sa sa;
};

static struct window *open_window(uint32_t window, bool esn)
{
	struct window *w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t words = 1;

	if (w == MAP_FAILED)
		abort();
	while (64 * words < window)
		words *= 2;
	w->sa.state = &w->state;
	w->sa.shared = &w->shared;
	w->sa.in = (struct sa_in){ w->words, words - 1, window };
	w->sa.esn = esn;
	return w;
}

static void close_window(struct window *w)
{
	munmap(w, sizeof(*w));
}

struct step {
	uint64_t seq;
	enum xesp_drop want;
};

#define W 64
#define STEPS 6

static const struct {
	const char *what;
	struct step step[STEPS]; /* ends at a step of zeroes */
} rows[] = {
	{ "in order", { { 1, OK }, { 2, OK }, { 3, OK } } },
	{ "zero is never valid", { { 0, OLD }, { 1, OK }, { 0, OLD } } },
	{ "the same twice", { { 7, OK }, { 7, DUP } } },
	{ "late, but in the window", { { 9, OK }, { 8, OK }, { 8, DUP } } },
	{ "before the first, in the window", { { 60, OK }, { 1, OK }, { 1, DUP } } },
	{ "left edge is inside", { { W + 1, OK }, { 2, OK }, { 2, DUP } } },
	{ "one left of the edge", { { W + 1, OK }, { 1, OLD } } },
	{ "left of the edge and seen: old, not duplicate", { { 1, OK }, { W + 1, OK }, { 1, OLD } } },
	{ "last bit of a word, first of the next", { { 63, OK }, { 64, OK }, { 63, DUP }, { 64, DUP } } },
	{ "jump of one word", { { 10, OK }, { 74, OK }, { 11, OK }, { 10, OLD } } },
	{ "jump of exactly the ring", { { 5, OK }, { 5 + 128, OK }, { 5 + 128 - 63, OK }, { 5, OLD } } },
	{ "the ring's slot of an old number is clean",
	  { { 5, OK }, { 5 + 128 + 20, OK }, { 5 + 128, OK }, { 5 + 128, DUP } } },
	{ "jump over many rings", { { 1, OK }, { 1000000, OK }, { 999999, OK }, { 999936, OLD } } },
	{ "far ahead in 64 bits",
	  { { 1, OK }, { UINT64_MAX, OK }, { UINT64_MAX - 63, OK }, { UINT64_MAX - 64, OLD },
	    { UINT64_MAX, DUP } } },
	{ "over the 2^32 edge", { { UINT32_MAX, OK }, { 1ull << 32, OK }, { UINT32_MAX, DUP },
				  { (1ull << 32) - 2, OK } } },
};

static void window_rows(void)
{
	for (size_t i = 0; i < LEN(rows); i++) {
		struct window *w = open_window(W, true);
		uint64_t lost = 0;

		for (size_t k = 0; k < STEPS && (k == 0 || rows[i].step[k].seq ||
						 rows[i].step[k].want); k++) {
			const struct step *s = &rows[i].step[k];
			enum xesp_drop checked = replay_check(&w->sa, s->seq);
			enum xesp_drop got = replay_commit(&w->sa, s->seq, &lost);

			if (got != s->want || checked != s->want)
				fprintf(stderr, "replay: %s: step %zu (%llu): %d, %d\n",
					rows[i].what, k, (unsigned long long)s->seq, checked, got);
			CU_ASSERT_EQUAL(checked, s->want);
			CU_ASSERT_EQUAL(got, s->want);
		}
		close_window(w);
	}
}

static void check_changes_nothing(void)
{
	struct window *w = open_window(64, false);
	struct window before;
	uint64_t lost = 0;

	replay_commit(&w->sa, 500, &lost);
	before = *w;
	for (uint64_t seq = 0; seq < 2000; seq++)
		replay_check(&w->sa, seq);
	CU_ASSERT_EQUAL(memcmp(w, &before, sizeof(before)), 0);
	close_window(w);
}

static const struct {
	const char *what;
	uint64_t top;
	uint32_t seq_lo;
	uint64_t want; /* 0: no such number */
} inferences[] = {
	/* window 64 throughout; case A: the window lies in one subspace */
	{ "fresh SA, first packet", 0, 1, 1 },
	{ "fresh SA: before the first subspace there is none", 0, 0xffffffc1, 0xffffffc1 },
	{ "nearly fresh SA, far ahead", 62, 0xffffffff, 0xffffffff },
	{ "fresh SA, far ahead", 0, 0x7fffffff, 0x7fffffff },
	{ "A: next", 0x100000064, 0x65, 0x100000065 },
	{ "A: left edge", 0x100000064, 0x25, 0x100000025 },
	{ "A: left of the edge is the next subspace", 0x100000064, 0x24, 0x200000024 },
	{ "A: 63 is just A", 0x10000003f, 0, 0x100000000 },
	{ "A: at the end, wraps", 0x1ffffffff, 0, 0x200000000 },
	{ "A: at the end, in the window", 0x1ffffffff, 0xffffffc0, 0x1ffffffc0 },
	{ "A: in the last subspace nothing follows", 0xffffffff00000064, 0x24, 0 },
	/* case B: the window reaches back */
	{ "B: 62 is just B, left edge", 0x10000003e, 0xffffffff, 0xffffffff },
	{ "B: one left of it is ahead", 0x10000003e, 0xfffffffe, 0x1fffffffe },
	{ "B: before the edge", 0x200000000, 0xffffffff, 0x1ffffffff },
	{ "B: left edge", 0x200000000, 0xffffffc1, 0x1ffffffc1 },
	{ "B: left of the edge", 0x200000000, 0xffffffc0, 0x2ffffffc0 },
	{ "B: next", 0x200000000, 1, 0x200000001 },
};

static void infers_rows(void)
{
	struct window *w = open_window(64, true);

	for (size_t i = 0; i < LEN(inferences); i++) {
		uint64_t got;

		w->state.replay_top = inferences[i].top;
		got = replay_infer(&w->sa, inferences[i].seq_lo);
		if (got != inferences[i].want)
			fprintf(stderr, "infer: %s: %llx\n", inferences[i].what,
				(unsigned long long)got);
		CU_ASSERT_EQUAL(got, inferences[i].want);
	}
	w->sa.esn = false;
	w->state.replay_top = 0x200000000;
	CU_ASSERT_EQUAL(replay_infer(&w->sa, 0xffffffff), 0xffffffff);
	close_window(w);
}

/*
 * RFC 4303 appendix A2 as a property: whatever number lies in the window, or less than 2^32 minus
 * the window ahead of the highest, is found by its lower half. Every pair near the steps between
 * subspaces.
 */
#define NEAR 150

static void infers_all_near(uint32_t window, uint64_t edge)
{
	struct window *w = open_window(window, true);
	const int64_t size = window ? window : 0x80000000ll;
	const int64_t ahead = (1ll << 32) - size;
	uint32_t wrong = 0;

	for (int64_t t = -NEAR; t <= NEAR; t++) {
		const int64_t top = (int64_t)edge + t;
		/* About the left edge of the window, the highest number, and the far end. */
		const int64_t around[] = { top - size + 1 + NEAR, top, top + ahead - NEAR };

		w->state.replay_top = (uint64_t)top;
		for (size_t k = 0; k < LEN(around); k++) {
			for (int64_t s = around[k] - NEAR; s <= around[k] + NEAR; s++) {
				if (s < 1 || s < top - size + 1 || s > top + ahead)
					continue;
				wrong += replay_infer(&w->sa, (uint32_t)s) != (uint64_t)s;
			}
		}
	}
	if (wrong)
		fprintf(stderr, "window %u near %llx: %u wrong\n", window,
			(unsigned long long)edge, wrong);
	CU_ASSERT_EQUAL(wrong, 0);
	close_window(w);
}

static void infers_near_every_edge(void)
{
	static const uint32_t windows[] = { 0, 32, 64, 65, 100, 4096, 65536 };
	static const uint64_t edges[] = { NEAR, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000,
					  0x180000000, 0x200000000, 0x7ffffff000000000 };

	for (size_t i = 0; i < LEN(windows); i++)
		for (size_t k = 0; k < LEN(edges); k++)
			infers_all_near(windows[i], edges[k]);
}

static void counts_lateness(void)
{
	static const struct {
		uint64_t seq;
		enum xesp_drop want;
		int bucket; /* -1: none */
	} late[] = {
		{ 1000, OK, -1 }, { 999, OK, 0 },  { 998, OK, 1 },  { 997, OK, 1 },
		{ 996, OK, 2 },   { 937, OK, 5 },  { 936, OLD, 6 }, { 1, OLD, 9 },
		{ 999, DUP, -1 }, { 0, OLD, -1 },  { 2000, OK, -1 }, { 1002, OLD, 9 },
		{ 1ull << 40, OK, -1 }, { 3, OLD, XESP_LATE_BUCKETS - 1 },
	};
	struct window *w = open_window(64, false);
	uint64_t want[XESP_LATE_BUCKETS] = { 0 }, lost = 0;

	for (size_t i = 0; i < LEN(late); i++) {
		enum xesp_drop got = replay_check(&w->sa, late[i].seq);

		if (got == OK)
			got = replay_commit(&w->sa, late[i].seq, &lost);
		else if (got == OLD)
			replay_count_old(&w->sa, late[i].seq);
		CU_ASSERT_EQUAL(got, late[i].want);
		if (late[i].bucket >= 0)
			want[late[i].bucket]++;
		for (int k = 0; k < XESP_LATE_BUCKETS; k++)
			if (w->state.late[k] != want[k])
				fprintf(stderr, "row %zu, bucket %d: %llu\n", i, k,
					(unsigned long long)w->state.late[k]);
		CU_ASSERT_EQUAL(memcmp(w->state.late, want, sizeof(want)), 0);
	}
	close_window(w);
}

/* Without anti-replay everything passes, and the highest number still tells the upper half. */
static void window_of_none(void)
{
	static const uint64_t sent[] = { 5, 5, 1, 0x7fffffff, 0xfffffffe, 0x100000003, 0xffffffff,
					 0x100000003, 0x17ffffff0, 0x1ffffffe0, 0x200000000, 0x1ffffff00 };
	struct window *w = open_window(0, true);
	uint64_t lost = 0;

	for (size_t i = 0; i < LEN(sent); i++) {
		uint64_t got = replay_infer(&w->sa, (uint32_t)sent[i]);

		CU_ASSERT_EQUAL(got, sent[i]);
		CU_ASSERT_EQUAL(replay_check(&w->sa, got), OK);
		CU_ASSERT_EQUAL(replay_commit(&w->sa, got, &lost), OK);
	}
	CU_ASSERT_EQUAL(w->state.replay_top, 0x200000000);
	CU_ASSERT_EQUAL(replay_check(&w->sa, 0), OLD); /* no such number: beyond the last */
	CU_ASSERT_EQUAL(lost, 0);
	close_window(w);
}

/* A set of all numbers ever accepted: what a window of any size must agree with. */
struct oracle {
	uint8_t *seen;
	uint64_t top, first;
};

#define ORACLE_MAX (1u << 20)

static enum xesp_drop ask_oracle(const struct oracle *o, uint32_t window, uint64_t seq)
{
	if (!seq)
		return OLD;
	if (seq <= o->top && o->top - seq >= window)
		return OLD;
	return o->seen[seq] ? DUP : OK;
}

/* Unseen numbers that were in the ring, or skipped by it, and are out of it now. */
static uint64_t count_lost(const struct oracle *o, const struct window *w)
{
	const uint64_t ring = ((uint64_t)w->sa.in.mask + 1) * 64;
	const uint64_t end = o->top >= ring ? o->top - ring + 1 : 0;
	uint64_t lost = 0;

	for (uint64_t seq = o->first; seq < end; seq++)
		lost += !o->seen[seq];
	return lost;
}

static uint64_t next_number(const struct oracle *o, uint32_t window, uint32_t salt)
{
	uint64_t r = (uint64_t)rand();

	switch (rand() % 16) {
	case 0:
		return o->top + 1 + r % (3ull * window + salt); /* jump */
	case 1:
		return o->top > 4ull * window ? o->top - r % (4ull * window) : r % (o->top + 1);
	case 2:
	case 3:
		return o->top > window ? o->top - r % (window + 2) : r % (o->top + 1);
	default:
		return o->top + r % 4;
	}
}

static void agrees_with_oracle(void)
{
	static const uint32_t windows[] = { 32, 33, 63, 64, 65, 127, 128, 1000, 4096, 65536 };

	srand(4303);
	for (size_t i = 0; i < LEN(windows); i++) {
		struct window *w = open_window(windows[i], true);
		struct oracle o = { .seen = calloc(ORACLE_MAX, 1) };
		uint64_t lost = 0;
		bool same = true;

		for (int k = 0; k < 30000 && same; k++) {
			uint64_t seq = next_number(&o, windows[i], 300);
			enum xesp_drop want, checked, got;

			if (seq >= ORACLE_MAX)
				break;
			want = ask_oracle(&o, windows[i], seq);
			checked = replay_check(&w->sa, seq);
			/* As decap does it: the next number in line, the others by the whole way. */
			got = replay_commit_next(&w->sa, seq) ? OK : replay_commit(&w->sa, seq, &lost);
			if (got == OK) {
				o.seen[seq] = 1;
				o.first = o.first ? o.first : seq;
				o.top = seq > o.top ? seq : o.top;
			}
			same = got == want && checked == want;
			if (k % 256 == 0) /* counting is slow */
				same = same && lost == count_lost(&o, w);
			if (!same)
				fprintf(stderr,
					"window %u, number %llu, top %llu: %d, should be %d; lost %llu, should be %llu\n",
					windows[i], (unsigned long long)seq,
					(unsigned long long)o.top, got, want,
					(unsigned long long)lost,
					(unsigned long long)count_lost(&o, w));
		}
		CU_ASSERT_TRUE(same);
		CU_ASSERT_TRUE(o.top > 2 * windows[i]);
		free(o.seen);
		close_window(w);
	}
}

/* What the child has accepted, for the parent to see. */
struct accepted {
	uint64_t n;
	uint64_t seq[64];
};

/* Jumps within a word, of a word, of a ring and beyond, and numbers between. */
static void accept_some(struct window *w, struct accepted *a)
{
	static const uint64_t numbers[] = { 1, 2, 40, 63, 64, 65, 130, 100, 191, 192, 180, 330, 300,
					    420, 380, 1000, 999, 1063, 1064, 1150, 1100, 1300 };
	uint64_t lost = 0;

	for (size_t i = 0; i < LEN(numbers); i++) {
		if (replay_commit(&w->sa, numbers[i], &lost) == OK)
			a->seq[a->n] = numbers[i];
		__atomic_store_n(&a->n, a->n + 1, __ATOMIC_RELEASE);
	}
}

/* Were the child killed here, would its successor accept something again? */
static uint64_t count_forgotten(const struct window *w, const struct accepted *a)
{
	uint64_t forgotten = 0, n = __atomic_load_n(&a->n, __ATOMIC_ACQUIRE);

	for (uint64_t i = 0; i < n; i++)
		forgotten += a->seq[i] && replay_check(&w->sa, a->seq[i]) == OK;
	return forgotten;
}

/* The child is stepped instruction by instruction; what it has written is looked at each time. */
static void killed_at_any_instruction(void)
{
	struct window *w = open_window(96, true);
	struct accepted *a = mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t forgotten = 0, steps = 0;
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(1);
		raise(SIGSTOP);
		accept_some(w, a);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	CU_ASSERT_TRUE_FATAL(WIFSTOPPED(status));
	while (WIFSTOPPED(status)) {
		forgotten += count_forgotten(w, a);
		steps++;
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) || waitpid(pid, &status, 0) != pid)
			break;
	}
	CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CU_ASSERT_EQUAL(forgotten, 0);
	CU_ASSERT_EQUAL(a->n, 22);
	CU_ASSERT_TRUE(steps > 500);
	munmap(a, sizeof(*a));
	close_window(w);
}

static void no_window(void)
{
	struct window *w = open_window(64, false);
	uint64_t lost = 0;

	w->sa.in.window = 0;
	CU_ASSERT_EQUAL(replay_commit(&w->sa, 9, &lost), OK);
	CU_ASSERT_EQUAL(replay_commit(&w->sa, 9, &lost), OK);
	CU_ASSERT_EQUAL(replay_commit(&w->sa, 3, &lost), OK);
	CU_ASSERT_EQUAL(w->state.replay_top, 9);
	CU_ASSERT_EQUAL(lost, 0);
	close_window(w);
}

CU_TestInfo replay_tests[] = {
	{ "window edges, row by row", window_rows },
	{ "a check leaves no trace", check_changes_nothing },
	{ "the upper half by RFC 4303 appendix A, row by row", infers_rows },
	{ "the upper half near every edge, each pair", infers_near_every_edge },
	{ "lateness in powers of two, refused ones too", counts_lateness },
	{ "ESN without anti-replay", window_of_none },
	{ "windows of any size agree with a set of all numbers", agrees_with_oracle },
	{ "killed at any instruction: nothing accepted twice", killed_at_any_instruction },
	{ "without a window nothing is refused", no_window },
	CU_TEST_INFO_NULL,
};
