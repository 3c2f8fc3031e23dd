/* SPDX-License-Identifier: BSD-2-Clause */
/* queues.c - see queues.h. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/cores.h"
#include "tests/bench/queues.h"
#include "tests/pair/pair.h"
#include "xesp/clock.h"
#include "xesp/fault.h"

#define PACKETS (QUEUES_BATCH * QUEUES_BATCHES)
#define TUNNEL_OWN 3u /* the tunnel with an SA for each CPU */
#define SA_OUT 10u    /* of worker 0, and so on */
#define SA_IN 20u
#define WINDOW 4096u
#define WORDS 128u /* set aside for a window */

struct queue {
	struct queues *q;
	uint32_t index;
	struct esp_worker *esp;
	struct frame *frame, *sealed; /* [PACKETS] */
	struct batch b;
	uint64_t from, to;
	uint32_t bad;
	pthread_t thread;
};

struct queues {
	struct pair pair;
	struct queue queue[QUEUES_MAX];
	struct frame model;
	uint32_t size, sealed_len, passes;
	uint16_t sealed_l4;
	enum queues_kind kind;
	pthread_barrier_t start;
};

static void must(int err, const struct fault *f)
{
	if (!err)
		return;
	fprintf(stderr, "cores: %s\n", f->text);
	exit(70);
}

/* ---- a queue */

static void receive(struct queue *q, enum queues_kind kind, uint32_t batch)
{
	const struct queues *all = q->q;

	q->b.n = QUEUES_BATCH;
	for (uint32_t i = 0; i < QUEUES_BATCH; i++) {
		const uint32_t at = batch * QUEUES_BATCH + i;
		struct frame *f = &q->frame[at];
		struct pkt *p = &q->b.pkt[i];

		if (kind == QUEUES_OWN_IN) {
			memcpy(f->bytes + PAIR_HEADROOM, q->sealed[at].bytes + PAIR_HEADROOM, all->sealed_len);
			*p = pair_esp(f, all->sealed_len, all->sealed_l4);
			p->id = SA_IN + q->index;
		} else {
			memcpy(f->bytes + PAIR_HEADROOM, all->model.bytes + PAIR_HEADROOM, 64);
			*p = pair_clear(f, all->size);
			p->id = kind == QUEUES_OWN_OUT ? TUNNEL_OWN : PAIR_TUNNEL_OUT;
		}
	}
}

/* So that the same packets are new again. */
static void forget_window(struct queue *q)
{
	struct sad_state *st = &q->q->pair.st;

	st->sa[SA_IN + q->index].replay_top = 0;
	memset(st->replay + st->sa[SA_IN + q->index].replay_off, 0, WORDS * sizeof(*st->replay));
}

static void pass(struct queue *q, enum queues_kind kind)
{
	for (uint32_t i = 0; i < QUEUES_BATCHES; i++) {
		receive(q, kind, i);
		if (kind == QUEUES_OWN_IN)
			esp_decap(q->esp, &q->b);
		else
			esp_encap(q->esp, &q->b);
		for (uint32_t k = 0; k < QUEUES_BATCH; k++)
			q->bad += q->b.pkt[k].drop != XESP_DROP_NONE;
	}
}

static void *serve(void *arg)
{
	struct queue *q = arg;
	struct queues *all = q->q;

	pthread_barrier_wait(&all->start);
	forget_window(q);
	pass(q, all->kind); /* warms up */
	pthread_barrier_wait(&all->start);
	q->from = clock_ns();
	for (uint32_t i = 0; i < all->passes; i++) {
		forget_window(q);
		pass(q, all->kind);
	}
	q->to = clock_ns();
	return NULL;
}

double queues_measure(struct queues *q, enum queues_kind kind, uint32_t threads, uint32_t passes)
{
	uint64_t from = UINT64_MAX, to = 0;

	q->kind = kind;
	q->passes = passes;
	pthread_barrier_init(&q->start, NULL, threads);
	for (uint32_t i = 0; i < threads; i++)
		cores_start_thread(&q->queue[i].thread, i, serve, &q->queue[i]);
	for (uint32_t i = 0; i < threads; i++) {
		pthread_join(q->queue[i].thread, NULL);
		from = q->queue[i].from < from ? q->queue[i].from : from;
		to = q->queue[i].to > to ? q->queue[i].to : to;
	}
	pthread_barrier_destroy(&q->start);
	return (double)(to - from) / ((double)passes * PACKETS * threads);
}

/* ESP of this queue's own SA, with numbers 1 to PACKETS, for its inbound one. */
static void seal(struct queue *q)
{
	struct queues *all = q->q;

	all->pair.st.sa[SA_OUT + q->index].seq_next = 1;
	for (uint32_t i = 0; i < QUEUES_BATCHES; i++) {
		receive(q, QUEUES_OWN_OUT, i);
		esp_encap(q->esp, &q->b);
		for (uint32_t k = 0; k < QUEUES_BATCH; k++) {
			const struct pkt *p = &q->b.pkt[k];

			all->sealed_len = p->len;
			all->sealed_l4 = p->l4_off;
			memcpy(q->sealed[i * QUEUES_BATCH + k].bytes + PAIR_HEADROOM, p->l3, p->len);
		}
	}
}

void queues_size(struct queues *q, uint32_t size)
{
	q->size = size;
	pair_make(&q->model, 4, size);
	for (uint32_t i = 0; i < QUEUES_MAX; i++)
		seal(&q->queue[i]);
}

/* ---- set-up */

static void add_sas(struct queues *q, uint32_t i)
{
	struct xesp_keymsg_sa out = q->pair.out, in = q->pair.in;
	struct fault f = { "" };

	out.id = SA_OUT + i;
	out.tunnel = TUNNEL_OWN;
	in.id = SA_IN + i;
	out.spi = in.spi = htonl(0x2000 + i);
	out.key[0] = in.key[0] = (uint8_t)(0x80 + i);
	pair_identify(&q->pair, &out, 0, 0);
	pair_identify(&q->pair, &in, 1024 + WORDS * i, WORDS);
	must(sad_add(q->pair.sad, &out, &f), &f);
	must(sad_add(q->pair.sad, &in, &f), &f);
}

struct queues *queues_open(void)
{
	const struct pair_opts o = { .lease = UINT32_MAX, .mtu = 9216, .window = WINDOW };
	struct queues *q = aligned_alloc(64, (sizeof(*q) + 63) / 64 * 64);
	struct xesp_keymsg_tunnel_set set;
	struct fault f = { "" };

	if (!q)
		exit(70);
	memset(q, 0, sizeof(*q));
	pair_open(&q->pair, &o);
	set = (struct xesp_keymsg_tunnel_set){ .tunnel = q->pair.tunnel_out };
	set.tunnel.id = TUNNEL_OWN;
	set.tunnel.cpus_n = QUEUES_MAX;
	for (uint32_t i = 0; i < QUEUES_MAX; i++)
		set.cpu[i] = (struct xesp_keymsg_cpu){ .cpu = i, .sa = SA_OUT + i };
	must(sad_tunnel_set(q->pair.sad, &set.tunnel, &f), &f);
	for (uint32_t i = 0; i < QUEUES_MAX; i++) {
		struct queue *one = &q->queue[i];

		add_sas(q, i);
		*one = (struct queue){ .q = q, .index = i };
		one->frame = calloc(PACKETS, sizeof(*one->frame));
		one->sealed = calloc(PACKETS, sizeof(*one->sealed));
		if (!one->frame || !one->sealed)
			exit(70);
		must(esp_worker_open(&one->esp, q->pair.sad, i, &f), &f);
	}
	return q;
}

uint32_t queues_bad(const struct queues *q)
{
	uint32_t bad = 0;

	for (uint32_t i = 0; i < QUEUES_MAX; i++)
		bad += q->queue[i].bad;
	return bad;
}

void queues_close(struct queues *q)
{
	for (uint32_t i = 0; i < QUEUES_MAX; i++) {
		esp_worker_close(q->queue[i].esp);
		free(q->queue[i].frame);
		free(q->queue[i].sealed);
	}
	pair_close(&q->pair);
	free(q);
}
