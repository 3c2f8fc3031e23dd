/* SPDX-License-Identifier: BSD-2-Clause */
/* Taking sequence numbers: never outside a lease, never twice, asked for in time and once. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sad/lease.h"
#include "sad/sa.h"
#include "xesp/fault.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MAX32 0xffffffffull

struct book {
	struct xesp_sa_state state;
	struct sa_shared shared;
	struct lease_desk desk;
	struct sa sa;
};

static struct book *open_book(uint64_t seq_max)
{
	struct book *b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (b == MAP_FAILED || lease_desk_open(&b->desk, 128, NULL))
		abort();
	b->sa.state = &b->state;
	b->sa.shared = &b->shared;
	b->sa.id = 70;
	b->sa.out.seq_max = seq_max;
	return b;
}

static void close_book(struct book *b)
{
	lease_desk_close(&b->desk);
	munmap(b, sizeof(*b));
}

static const struct {
	const char *what;
	uint64_t next, end;
	uint32_t n;
	uint64_t first; /* wanted, with got > 0 */
	uint32_t got;
	uint64_t next_after;
	bool spent;
} takes[] = {
	{ "a state of zeroes has no numbers", 0, 0, 5, 0, 0, 0, false },
	{ "number 0 is never taken", 0, 10, 5, 0, 0, 0, false },
	{ "all there are", 1, 5, 5, 1, 5, 6, false },
	{ "one less than all", 1, 5, 4, 1, 4, 5, false },
	{ "more than there are", 1, 5, 6, 1, 5, 6, false },
	{ "none left", 6, 5, 1, 0, 0, 6, false },
	{ "the last one", 5, 5, 3, 5, 1, 6, false },
	{ "two before the end of all, five wanted", MAX32 - 1, MAX32, 5, MAX32 - 1, 2, MAX32 + 1, true },
	{ "none after the end of all", MAX32 + 1, MAX32, 5, 0, 0, MAX32 + 1, true },
	{ "next raised, new end not yet stored", 100, 50, 5, 0, 0, 100, false },
	{ "nothing wanted", 1, 5, 0, 0, 0, 1, false },
};

static void take_rows(void)
{
	for (size_t i = 0; i < LEN(takes); i++) {
		struct book *b = open_book(MAX32);
		uint64_t first = 0;
		uint32_t got;

		b->state.seq_next = takes[i].next;
		b->state.lease_end = takes[i].end;
		got = lease_take(&b->desk, &b->sa, takes[i].n, &first);
		if (got != takes[i].got || (got && first != takes[i].first))
			fprintf(stderr, "lease: %s: %u from %llu\n", takes[i].what, got,
				(unsigned long long)first);
		CU_ASSERT_EQUAL(got, takes[i].got);
		CU_ASSERT_TRUE(!got || first == takes[i].first);
		CU_ASSERT_EQUAL(b->state.seq_next, takes[i].next_after);
		CU_ASSERT_EQUAL(lease_is_spent(&b->sa), takes[i].spent);
		close_book(b);
	}
}

static const struct {
	const char *what;
	uint64_t next, end, first, last;
	int err;
	uint64_t next_after, end_after;
} grants[] = {
	{ "the first block", 0, 0, 1, 100, 0, 1, 100 },
	{ "a first block that begins later", 0, 0, 51, 100, 0, 51, 100 },
	{ "grows", 30, 100, 101, 200, 0, 30, 200 },
	{ "grows when used up", 101, 100, 101, 200, 0, 101, 200 },
	{ "abandons what is left", 30, 100, 151, 200, 0, 151, 200 },
	{ "the same block again changes nothing", 30, 100, 1, 100, 0, 30, 100 },
	{ "an older block changes nothing", 130, 200, 1, 100, 0, 130, 200 },
	{ "overlapping: only what is new", 30, 100, 51, 150, 0, 30, 150 },
	{ "after a crash between the two stores", 151, 100, 151, 200, 0, 151, 200 },
	{ "after that crash, and the next block", 151, 100, 201, 300, 0, 201, 300 },
	{ "number 0", 30, 100, 0, 200, -EINVAL, 30, 100 },
	{ "first above last", 30, 100, 201, 200, -EINVAL, 30, 100 },
	{ "beyond the last number", 30, 100, 101, MAX32 + 1, -EINVAL, 30, 100 },
	{ "up to the last number", 30, 100, 101, MAX32, 0, 30, MAX32 },
};

static void grant_rows(void)
{
	for (size_t i = 0; i < LEN(grants); i++) {
		struct book *b = open_book(MAX32);
		int err;

		b->state.seq_next = grants[i].next;
		b->state.lease_end = grants[i].end;
		err = lease_grant(&b->desk, &b->sa, grants[i].first, grants[i].last, NULL);
		if (err != grants[i].err || b->state.seq_next != grants[i].next_after ||
		    b->state.lease_end != grants[i].end_after)
			fprintf(stderr, "grant: %s: %d, %llu .. %llu\n", grants[i].what, err,
				(unsigned long long)b->state.seq_next,
				(unsigned long long)b->state.lease_end);
		CU_ASSERT_EQUAL(err, grants[i].err);
		CU_ASSERT_EQUAL(b->state.seq_next, grants[i].next_after);
		CU_ASSERT_EQUAL(b->state.lease_end, grants[i].end_after);
		close_book(b);
	}
}

/*
 * The main thread stopped, or killed, after each instruction of a grant that abandons numbers: what
 * a worker could take then must lie in one of the two blocks.
 */
static void grant_at_any_instruction(void)
{
	struct book *b = open_book(MAX32);
	uint64_t outside = 0, steps = 0;
	int status = 0;
	pid_t pid;

	lease_grant(&b->desk, &b->sa, 1, 100, NULL);
	pid = fork();
	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(1);
		raise(SIGSTOP);
		lease_grant(&b->desk, &b->sa, 201, 300, NULL);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	CU_ASSERT_TRUE_FATAL(WIFSTOPPED(status));
	while (WIFSTOPPED(status)) {
		uint64_t next = b->state.seq_next, end = b->state.lease_end;

		outside += next <= end && !(next >= 1 && end <= 100) && !(next >= 201 && end <= 300);
		steps++;
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) || waitpid(pid, &status, 0) != pid)
			break;
	}
	CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CU_ASSERT_EQUAL(outside, 0);
	CU_ASSERT_EQUAL(b->state.seq_next, 201);
	CU_ASSERT_EQUAL(b->state.lease_end, 300);
	CU_ASSERT_TRUE(steps > 20);
	close_book(b);
}

/* Two workers take while the main thread grants blocks with gaps between them. */
#define BLOCKS 3000
#define BLOCK 50
#define STRIDE 70 /* numbers 70k+1 .. 70k+50 are granted */

struct taker {
	struct book *b;
	uint8_t *taken; /* by number */
	uint64_t outside;
	pthread_t thread;
};

static void *take_all(void *arg)
{
	struct taker *t = arg;
	unsigned int r = (unsigned int)(uintptr_t)t;
	uint64_t first;

	while (!lease_is_spent(&t->b->sa)) {
		uint32_t got = lease_take(&t->b->desk, &t->b->sa, (uint32_t)rand_r(&r) % 9, &first);

		for (uint64_t seq = first; got; got--, seq++) {
			t->outside += !seq || (seq - 1) % STRIDE >= BLOCK;
			__atomic_fetch_add(&t->taken[seq], 1, __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

static void two_take_while_one_grants(void)
{
	const uint64_t max = STRIDE * (BLOCKS - 1) + BLOCK;
	struct book *b = open_book(max);
	uint8_t *taken = calloc(max + 1, 1);
	struct taker t[2] = { { b, taken, 0, 0 }, { b, taken, 0, 0 } };
	uint64_t twice = 0, all = 0;

	for (int i = 0; i < 2; i++)
		pthread_create(&t[i].thread, NULL, take_all, &t[i]);
	for (uint64_t k = 0; k < BLOCKS; k++) {
		lease_grant(&b->desk, &b->sa, k * STRIDE + 1, k * STRIDE + BLOCK, NULL);
		/* Let some blocks be used up and some be abandoned half way. */
		while (k % 3 && __atomic_load_n(&b->state.seq_next, __ATOMIC_RELAXED) <
					k * STRIDE + k % BLOCK)
			;
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i].thread, NULL);
		CU_ASSERT_EQUAL(t[i].outside, 0);
	}
	for (uint64_t seq = 0; seq <= max; seq++) {
		twice += taken[seq] > 1;
		all += taken[seq];
	}
	CU_ASSERT_EQUAL(twice, 0);
	CU_ASSERT_TRUE(all > BLOCKS * BLOCK / 3);
	free(taken);
	close_book(b);
}

static uint32_t asked;

static const struct sa *find_it(void *ctx, uint32_t id)
{
	struct book *b = ctx;

	return id == b->sa.id ? &b->sa : NULL;
}

static void count_ask(void *ctx, uint32_t id)
{
	(void)ctx;
	CU_ASSERT_EQUAL(id, 70);
	asked++;
}

static bool is_readable(const struct book *b)
{
	struct pollfd p = { .fd = b->desk.fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static uint32_t take(struct book *b, uint32_t n)
{
	uint64_t first;

	return lease_take(&b->desk, &b->sa, n, &first);
}

static void asks_once_and_in_time(void)
{
	struct book *b = open_book(MAX32);
	const struct lease_asker a = { b, find_it, count_ask };

	asked = 0;
	lease_grant(&b->desk, &b->sa, 1, 100, NULL);
	take(b, 49);
	CU_ASSERT_FALSE(is_readable(b)); /* 49 of 100 used */
	take(b, 1);
	CU_ASSERT_TRUE(is_readable(b));
	lease_ask(&b->desk, &a);
	CU_ASSERT_EQUAL(asked, 1);
	CU_ASSERT_FALSE(is_readable(b));
	take(b, 10);
	take(b, 1000); /* all of it, and empty */
	take(b, 1);
	CU_ASSERT_FALSE(is_readable(b)); /* asked already: no system call per packet */
	lease_ask(&b->desk, &a);
	CU_ASSERT_EQUAL(asked, 1);
	lease_grant(&b->desk, &b->sa, 101, 200, NULL);
	CU_ASSERT_FALSE(is_readable(b));
	CU_ASSERT_EQUAL(take(b, 10), 10);
	CU_ASSERT_FALSE(is_readable(b));
	take(b, 60);
	CU_ASSERT_TRUE(is_readable(b));
	lease_ask(&b->desk, &a);
	CU_ASSERT_EQUAL(asked, 2);
	/* Another keyd comes: asked again. */
	lease_forget_all(&b->desk);
	CU_ASSERT_TRUE(is_readable(b));
	lease_ask(&b->desk, &a);
	CU_ASSERT_EQUAL(asked, 3);
	/* Granted up to the end of all: nobody asks any more, spent or not. */
	lease_grant(&b->desk, &b->sa, 201, MAX32, NULL);
	b->state.seq_next = MAX32;
	CU_ASSERT_EQUAL(take(b, 5), 1);
	CU_ASSERT_EQUAL(take(b, 5), 0);
	CU_ASSERT_FALSE(is_readable(b));
	close_book(b);
}

static void asks_before_the_first_packet(void)
{
	struct book *b = open_book(MAX32);
	const struct lease_asker a = { b, find_it, count_ask };

	asked = 0;
	lease_want_if_empty(&b->desk, &b->sa);
	CU_ASSERT_TRUE(is_readable(b));
	/* Granted by another way before the question went out: then it need not. */
	lease_grant(&b->desk, &b->sa, 1, 100, NULL);
	lease_ask(&b->desk, &a);
	CU_ASSERT_EQUAL(asked, 0);
	close_book(b);
}

static void asks_again_after_refusal(void)
{
	struct book *b = open_book(MAX32);
	const struct lease_asker a = { b, find_it, count_ask };

	asked = 0;
	take(b, 1);
	lease_ask(&b->desk, &a);
	CU_ASSERT_EQUAL(asked, 1);
	lease_refuse(&b->desk, 70);
	lease_retry_refused(&b->desk); /* the pause is not over */
	take(b, 1);
	lease_ask(&b->desk, &a);
	CU_ASSERT_EQUAL(asked, 1);
	b->desk.refused_until_ns = 1; /* over by now */
	lease_retry_refused(&b->desk);
	CU_ASSERT_FALSE(is_readable(b)); /* only a packet asks */
	take(b, 1);
	CU_ASSERT_TRUE(is_readable(b));
	lease_ask(&b->desk, &a);
	CU_ASSERT_EQUAL(asked, 2);
	close_book(b);
}

CU_TestInfo lease_tests[] = {
	{ "taking, row by row", take_rows },
	{ "granting, row by row", grant_rows },
	{ "a grant interrupted at any instruction", grant_at_any_instruction },
	{ "two take while one grants: none twice, none outside", two_take_while_one_grants },
	{ "asked at half, once per lease", asks_once_and_in_time },
	{ "an empty SA asks before its first packet", asks_before_the_first_packet },
	{ "a refusal is followed by another question, later", asks_again_after_refusal },
	CU_TEST_INFO_NULL,
};
