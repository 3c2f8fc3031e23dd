/* SPDX-License-Identifier: BSD-2-Clause */
/* load.c - see load.h. */

#include "worker/load.h"
#include "xesp/clock.h"

#define SECOND_NS 1000000000ull

void load_init(struct load *l, enum load_mode mode)
{
	*l = (struct load){ .pause_ns = LOAD_PAUSE_NS, .now = clock_ns };
	load_set_mode(l, mode);
}

static void begin(struct load *l, enum load_phase phase, uint64_t now)
{
	if (phase >= LOAD_TRIAL && l->phase < LOAD_TRIAL)
		__atomic_store_n(&l->switches, l->switches + 1, __ATOMIC_RELAXED);
	/* Partner: round_load(), main thread, which shows it. */
	__atomic_store_n(&l->phase, phase, __ATOMIC_RELAXED);
	l->rounds = 0;
	l->packets = 0;
	l->full = 0;
	l->since_ns = now;
}

void load_set_mode(struct load *l, enum load_mode mode)
{
	if (l->mode == mode)
		return;
	l->mode = mode;
	begin(l, mode == LOAD_ALWAYS ? LOAD_SPREAD : LOAD_ALONE, 0);
}

static uint64_t rate(const struct load *l, uint64_t now)
{
	const uint64_t took = now - l->since_ns;

	return took ? l->packets * SECOND_NS / took : UINT64_MAX;
}

static void step_alone(struct load *l)
{
	uint64_t now;

	if (++l->full < LOAD_FULL)
		return;
	l->full = LOAD_FULL;
	now = l->now();
	if (now >= l->not_before_ns)
		begin(l, LOAD_MEASURE, now);
}

static void step_measure(struct load *l, uint32_t n, bool full)
{
	uint64_t now;

	if (!full) { /* the backlog is gone: one core keeps up */
		begin(l, LOAD_ALONE, 0);
		return;
	}
	l->packets += n;
	if (++l->rounds < LOAD_WINDOW)
		return;
	now = l->now();
	l->alone = rate(l, now);
	begin(l, LOAD_TRIAL, now);
}

static void win(struct load *l, uint64_t now)
{
	l->won_ns = now;
	l->pause_ns = LOAD_PAUSE_NS;
	begin(l, LOAD_SPREAD, now);
}

static void step_trial(struct load *l, uint32_t n, bool full)
{
	uint64_t now;

	l->packets += n;
	if (!n) { /* the lane is full, or the traffic has ended: a trial without any would not end */
		now = l->now();
		if (!l->full++)
			l->idle_ns = now;
		else if (now - l->idle_ns >= LOAD_RATE_NS)
			begin(l, LOAD_ALONE, now);
		return;
	}
	l->full = 0;
	if (!full) { /* the backlog is gone: that is what it was for */
		win(l, l->now());
		return;
	}
	if (++l->rounds < LOAD_WINDOW)
		return;
	now = l->now();
	if (rate(l, now) >= l->alone / 100 * (100 + LOAD_GAIN_PERCENT)) {
		win(l, now);
		return;
	}
	l->not_before_ns = now + l->pause_ns;
	l->pause_ns *= 2;
	if (l->pause_ns > LOAD_PAUSE_MAX_NS)
		l->pause_ns = LOAD_PAUSE_MAX_NS;
	begin(l, LOAD_ALONE, now);
}

static void step_spread(struct load *l, uint32_t n, bool full)
{
	uint64_t now;

	l->packets += n;
	/* The clock is not asked in every round of packets; one without may end in a long sleep. */
	if (++l->rounds % 16 && n)
		return;
	now = l->now();
	if (now - l->since_ns < LOAD_RATE_NS)
		return;
	if (rate(l, now) < l->alone / 100 * LOAD_BACK_PERCENT)
		begin(l, LOAD_ALONE, now);
	else if (full && now - l->won_ns >= LOAD_AGAIN_NS)
		begin(l, LOAD_MEASURE, now);
	else
		begin(l, LOAD_SPREAD, now);
}

void load_step(struct load *l, uint32_t n, bool full)
{
	switch (l->phase) {
	case LOAD_ALONE:
		step_alone(l);
		break;
	case LOAD_MEASURE:
		step_measure(l, n, full);
		break;
	case LOAD_TRIAL:
		step_trial(l, n, full);
		break;
	case LOAD_SPREAD:
		step_spread(l, n, full);
		break;
	}
}
