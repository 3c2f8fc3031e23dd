/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No two workers write into one cache line: what each of them writes with every batch begins at a line, and what is of
 * another worker lies in other lines. Objects of the heap that are not shown to us begin at a line, all of them, so that
 * none can end in another's first one.
 */
#include <CUnit/CUnit.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp/stage.h"
#include "libxesp/line.h"
#include "port/umem.h"
#include "sad/table.h"
#include "tests/pair/pair.h"
#include "worker/crew.h"
#include "worker/dispatch.h"
#include "worker/round.h"
#include "worker/worker.h"
#include "xesp/fault.h"

#define WORKERS 3u
#define SPANS_MAX 512u

struct span {
	const char *what;
	const uint8_t *at;
	size_t len;
	uint32_t worker;
};

static struct span span[SPANS_MAX];
static uint32_t spans_n;

static void note(uint32_t worker, const char *what, const void *at, size_t len)
{
	CU_ASSERT_FATAL(spans_n < SPANS_MAX);
	span[spans_n++] = (struct span){ what, at, len, worker };
}

static uintptr_t line_of(const uint8_t *at)
{
	return (uintptr_t)at / LINE_BYTES;
}

static bool in_one_line(const struct span *a, const struct span *b)
{
	return line_of(a->at) <= line_of(b->at + b->len - 1) && line_of(b->at) <= line_of(a->at + a->len - 1);
}

/* Of all that was noted; which is forgotten then. */
static void judge(void)
{
	for (uint32_t i = 0; i < spans_n; i++) {
		const bool begins = (uintptr_t)span[i].at % LINE_BYTES == 0;

		if (!begins)
			fprintf(stderr, "line: worker %u: %s begins within a line\n", span[i].worker, span[i].what);
		CU_ASSERT(begins);
		for (uint32_t k = 0; k < i; k++) {
			const bool shared = span[i].worker != span[k].worker && in_one_line(&span[i], &span[k]);

			if (shared)
				fprintf(stderr, "line: %s of worker %u and %s of worker %u share a line\n",
					span[k].what, span[k].worker, span[i].what, span[i].worker);
			CU_ASSERT_FALSE(shared);
		}
	}
	spans_n = 0;
}

static void whole_lines_are_given(void)
{
	static const size_t sizes[] = { 0, 1, 63, 64, 65, 1000 };
	void *p[sizeof(sizes) / sizeof(sizes[0])];

	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		p[i] = line_alloc(sizes[i]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p[i]);
		for (size_t k = 0; k < sizes[i]; k++)
			CU_ASSERT_EQUAL(((uint8_t *)p[i])[k], 0);
		note(i, "memory", p[i], sizes[i] ? sizes[i] : 1);
	}
	judge();
	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		free(p[i]);
	CU_ASSERT_PTR_NULL(line_alloc(SIZE_MAX));
}

static void frames_of_workers(void)
{
	/* No multiple of a line, whatever is counted. */
	const struct umem_size size = { .pools_n = WORKERS, .frames_n = 67, .wides_n = 3 };
	struct fault f = { "" };
	struct umem *u = NULL;

	CU_ASSERT_EQUAL_FATAL(umem_open(&u, &size, &f), 0);
	for (uint32_t w = 0; w < WORKERS; w++) {
		const struct umem_pool *p = umem_pool(u, w);

		note(w, "pool", p, sizeof(*p));
		note(w, "stack of free frames", p->free, p->frames_n * sizeof(*p->free));
		note(w, "stack of wide buffers", p->wide, p->wides_n * sizeof(*p->wide));
		note(w, "owners of frames", p->owner, umem_chunks(p));
		note(w, "frames", p->area + p->first, umem_chunks(p) * (size_t)UMEM_CHUNK);
	}
	judge();
	umem_close(u);
}

/* ESP's state and counters, the lists of what is sent, and what a worker says in the SAD between batches. */
static void state_of_workers(void)
{
	const struct pair_opts o = { .esn = true };
	struct esp_worker *esp[WORKERS];
	static struct round round[WORKERS];
	static struct pair p;
	struct fault f = { "" };

	pair_open(&p, &o);
	for (uint32_t w = 0; w < WORKERS; w++) {
		struct round_opts opts = { .index = w, .batch = 64, .sad = p.sad };

		CU_ASSERT_EQUAL_FATAL(esp_worker_open(&esp[w], p.sad, w, &f), 0);
		opts.esp = esp[w];
		CU_ASSERT_EQUAL_FATAL(round_init(&round[w], &opts, &f), 0);
		note(w, "ESP", esp[w], sizeof(*esp[w]));
		note(w, "remembered flows", esp[w]->admit, 1);
		note(w, "remembered flows of the way onward", esp[w]->onward, 1);
		note(w, "remembered values", esp[w]->populate, 1);
		note(w, "counters", esp_worker_stats(esp[w]), sizeof(struct xesp_worker_stats));
		note(w, "epoch", &p.sad->epoch.reader[w], sizeof(p.sad->epoch.reader[w]));
		note(w, "list to send", round[w].tx[0], 1);
		note(w, "list to send", round[w].tx[XESP_PORTS_MAX - 1], 1);
		/* As if each of them had an SA of its own. */
		note(w, "SA", &p.sad->shared[w + 1], sizeof(p.sad->shared[0]));
		note(w, "state of an SA", &p.st.sa[w + 1], sizeof(p.st.sa[0]));
	}
	judge();
	for (uint32_t w = 0; w < WORKERS; w++) {
		round_fini(&round[w]);
		esp_worker_close(esp[w]);
	}
	pair_close(&p);
}

/* Of threads, without a queue here: what begins at a line of its own ends before the next one's. */
static void workers_themselves(void)
{
	struct worker *worker[WORKERS];
	void *between[WORKERS];
	struct fault f = { "" };

	for (uint32_t w = 0; w < WORKERS; w++) {
		const struct worker_opts o = { .index = w, .cpu = -1, .batch = 64 };

		between[w] = malloc(100000); /* no multiple of a line: none lies well by chance */
		CU_ASSERT_PTR_NOT_NULL_FATAL(between[w]);
		CU_ASSERT_EQUAL_FATAL(worker_open(&worker[w], &o, &f), 0);
		note(w, "thread", worker[w], 1);
	}
	judge();
	for (uint32_t w = 0; w < WORKERS; w++) {
		CU_ASSERT(worker_close(worker[w]));
		free(between[w]);
	}
}

/* Chunks go from thread to thread, and each is one thread's at a time; of the lane each line has one writer. */
static void chunks_and_lanes(void)
{
	static struct lane lane[2];
	const struct pair_opts o = { .esn = true };
	struct dispatch d = { 0 };
	struct dispatch_opts opts = { .lane = &lane[0], .chunks_n = WORKERS };
	static struct pair p;
	struct fault f = { "" };

	pair_open(&p, &o);
	opts.sad = p.sad;
	opts.esp = p.w;
	CU_ASSERT_EQUAL_FATAL(crew_open(&opts.crew, &f), 0);
	CU_ASSERT_EQUAL_FATAL(dispatch_init(&d, &opts, &f), 0);
	for (uint32_t i = 0; i < WORKERS; i++) {
		note(i, "chunk", d.chunk[i], sizeof(*d.chunk[i]));
		note(i, "ESP of a chunk", d.chunk[i]->esp, sizeof(*d.chunk[i]->esp));
	}
	judge();
	note(0, "the owner's end of a lane", &lane[0].head, 2 * sizeof(lane[0].head));
	note(1, "its tail", &lane[0].tail, sizeof(lane[0].tail));
	note(2, "its claim", &lane[0].claim, sizeof(lane[0].claim));
	note(3, "a slot", &lane[0].slot[0], sizeof(lane[0].slot[0]));
	note(4, "the next slot", &lane[0].slot[1], sizeof(lane[0].slot[1]));
	note(5, "the next lane", &lane[1], sizeof(lane[1]));
	judge();
	dispatch_fini(&d);
	crew_close(opts.crew);
	pair_close(&p);
}

CU_TestInfo line_tests[] = {
	{ "workers share no cache line", workers_themselves },
	{ "line_alloc() gives whole cache lines", whole_lines_are_given },
	{ "pools of frames share no cache line between workers", frames_of_workers },
	{ "ESP state and counters share no cache line between workers", state_of_workers },
	{ "chunks share no cache line, nor do the ends of a lane", chunks_and_lanes },
	CU_TEST_INFO_NULL,
};
