/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load.h - does one core serve this queue, or are others asked to help?
 *
 * Run to completion costs least a packet, so it is left only when it does not keep up: when batch
 * after batch comes full, for that means a backlog. Whether help helps depends on the engine, the packets'
 * sizes and what else the machine does, so it is tried and measured: as many rounds alone as
 * with the others, both under backlog; who moved more packets a second stays. Back alone when
 * less comes than a core has been seen to do, with a margin, so that it does not go to and fro; and what won
 * is asked again from time to time while the backlog lasts. One worker's thread.
 */
#ifndef XESP_LOAD_H
#define XESP_LOAD_H

#include <stdbool.h>
#include <stdint.h>

enum load_mode { LOAD_AUTO, LOAD_NEVER, LOAD_ALWAYS };

#define LOAD_FULL 64        /* full batches in a row (a half-full one takes back one) before a trial */
#define LOAD_WINDOW 128     /* rounds that are measured each way */
#define LOAD_GAIN_PERCENT 5 /* less is no gain */
#define LOAD_BACK_PERCENT 70 /* of what one core does: below it goes back alone */
#define LOAD_RATE_NS 20000000ull    /* over how long what comes is measured */
#define LOAD_AGAIN_NS 2000000000ull /* what won is measured again after this */
#define LOAD_PAUSE_NS 100000000ull  /* after a trial that lost, doubled each time */
#define LOAD_PAUSE_MAX_NS 12800000000ull

enum load_phase {
	LOAD_ALONE,     /* run to completion */
	LOAD_MEASURE,   /* the same, and measured: a backlog is there */
	LOAD_TRIAL,     /* spread, and measured */
	LOAD_SPREAD,    /* spread */
};

/* Embedded in the worker, hence visible. All zero, but for `now`: LOAD_AUTO, alone. */
struct load {
	enum load_mode mode; /* what is asked for now */
	enum load_phase phase;
	uint32_t full;    /* alone: how many full batches more than others, 0 .. LOAD_FULL */
	uint32_t rounds;  /* of this window */
	uint64_t packets, since_ns;
	uint64_t idle_ns;  /* in a trial: since when nothing is taken */
	uint64_t alone;   /* packets a second of one core under backlog, when measured last */
	uint64_t not_before_ns, pause_ns; /* of trials */
	uint64_t won_ns;
	uint32_t switches; /* to spread; atomic for readers */
	uint64_t (*now)(void); /* CLOCK_MONOTONIC's ns */
};

static inline bool load_is_spread(const struct load *l)
{
	return l->phase >= LOAD_TRIAL;
}

void load_init(struct load *l, enum load_mode mode);
/* Between rounds. */
void load_set_mode(struct load *l, enum load_mode mode);

void load_step(struct load *l, uint32_t n, bool full);

/* After each round: n packets were received, `full` when there may be more of them. */
static inline void load_round(struct load *l, uint32_t n, bool full)
{
	if (l->mode != LOAD_AUTO)
		return;
	if (l->phase == LOAD_ALONE && !full) {
		l->full -= l->full > 0;
		return;
	}
	load_step(l, n, full);
}

#endif /* XESP_LOAD_H */
