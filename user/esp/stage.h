/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stage.h - what the stages of encap and decap hand to each other, and how they count.
 *
 * Visible to this room only. One worker's thread.
 */
#ifndef XESP_STAGE_H
#define XESP_STAGE_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>
#include "crypto/engine.h"
#include "esp/ah.h"
#include "esp/inner.h"
#include "esp/iv.h"
#include "esp/pkt.h"
#include "esp/size.h"
#include "esp/transport.h"
#include "sad/fetch.h"

struct groups;
struct acquire_desk;
struct admit;
struct esp_stage;
struct lease_desk;
struct onward;
struct populate;
struct sa;
struct sad;
struct sad_state;
struct tunnel;
struct uniques;

/* With more runs than this the batch's SAs are fetched ahead, and what hangs on them. */
#define STAGE_RUNS_MANY 4u
_Static_assert(BATCH_MAX <= FETCH_MAX, "a run for each packet");

#define ESP_NEXT_IP4 4
#define ESP_NEXT_IP6 41
#define ESP_NEXT_NONE 59 /* dummy packet, RFC 4303 section 2.6 */

/* What one packet carries from stage to stage beside struct pkt. */
struct stage_pkt {
	const struct tunnel *tunnel;
	uint8_t *text;     /* what the engine works on */
	uint32_t text_len;
	uint32_t payload_len; /* encap: the packet, and TFC padding behind it */
	uint8_t outer_tos; /* decap */
	uint8_t pad_len;   /* encap */
	bool transport;    /* decap; encap has it in g */
	struct geometry g; /* encap */
	struct transport_place place; /* encap, in transport mode; else all zero */
	struct inner inner;
};

/* Decap: what ESP or AH protected. */
struct payload {
	uint8_t *at;
	uint32_t len;
	uint8_t next; /* protocol */
};

struct esp_worker {
	struct sad *sad;
	const struct sad_state *st;
	const struct engine *engine;
	struct lease_desk *desk;
	const struct groups *groups;
	struct admit *admit;
	struct onward *onward;
	const struct uniques *uniques;
	struct acquire_desk *acquires;
	struct populate *populate;
	struct xesp_worker_stats *stats;
	uint64_t now_ns; /* CLOCK_BOOTTIME, of this batch */
	uint32_t worker;
	uint32_t jobs_n;
	uint32_t runs;         /* of packets of one id in this batch */
	struct fetch_run run[BATCH_MAX];
	const struct esp_stage *behind; /* from esp_prepare() to esp_finish(): what is left to do */
	bool dry;      /* dry.h: nothing is counted and nobody asked */
	bool beside;   /* of esp_worker_open_beside(): admit, onward and populate are the first one's */
	bool udp_sums; /* encap: a packet of the batch wants a UDP checksum */
	struct stage_pkt x[BATCH_MAX];     /* by place in the batch */
	struct engine_job job[BATCH_MAX];  /* without gaps */
	uint16_t job_pkt[BATCH_MAX];       /* place in the batch of each job */
	struct iv_pool ivs;
	bool has_ah;                       /* this batch */
	struct ah_aside ah[BATCH_MAX];     /* by place in the batch */
};

static inline bool stage_skips(const struct pkt *p)
{
	return p->drop != XESP_DROP_NONE;
}

/* Drops the packet under this reason and counts it in its SA, its policy and the worker's row. */
void stage_drop(struct esp_worker *w, struct pkt *p, enum xesp_drop why);

/* The same for a packet whose text is plain by now. */
void stage_wipe_and_drop(struct esp_worker *w, struct pkt *p, const struct stage_pkt *x,
			 enum xesp_drop why);

/*
 * The SA that tunnel t, whose id it is, sends on now: this worker's own, or the one for all. The switch of
 * make-before-break is that the tunnel is told anew. NULL: none, or t is NULL.
 */
struct sa *stage_outbound(const struct esp_worker *w, const struct tunnel *t, uint32_t id);

/* Good packets of the batch into their SAs' counters, once per run; returns how many there are. */
uint32_t stage_count_good(const struct esp_worker *w, const struct batch *b);

/* Lists the runs of packets of one id, which have so many bytes `beside` their text. */
static inline void stage_find_runs(struct esp_worker *w, const struct batch *b, uint32_t beside)
{
	uint32_t n = 0, id = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		if (b->pkt[i].id == id)
			continue;
		id = b->pkt[i].id;
		w->run[n++] = (struct fetch_run){ .id = id, .len = b->pkt[i].len - beside };
	}
	w->runs = n;
}

/* Before the first stage of a batch: w->now_ns. */
void stage_begin(struct esp_worker *w);

/* A counter that only this worker writes and others read. */
static inline void stage_add_own(__u64 *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

#endif /* XESP_STAGE_H */
