/* SPDX-License-Identifier: BSD-2-Clause */
/* crew.c - see crew.h. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "esp/esp.h"
#include "libxesp/line.h"
#include "worker/crew.h"
#include "worker/dispatch.h"
#include "worker/lane.h"
#include "xesp/fault.h"

struct member {
	struct crew_member_opts o;
	uint32_t asleep __attribute__((aligned(64)));
	/* Only the member writes, but for `wakes`: who wakes it does, while it sleeps. */
	struct crew_counts counts __attribute__((aligned(64)));
};

struct crew {
	uint32_t n;        /* published: members below it are complete */
	uint32_t asleep_n; /* how many say so, for a look that costs one load */
	struct member member[CREW_MAX];
};

int crew_open(struct crew **out, struct fault *f)
{
	struct crew *c = line_alloc(sizeof(*c));

	if (!c)
		return fault_set(f, -ENOMEM, "out of memory");
	*out = c;
	return 0;
}

void crew_close(struct crew *c)
{
	free(c);
}

int crew_join(struct crew *c, const struct crew_member_opts *o)
{
	const uint32_t at = c->n;

	if (at == CREW_MAX)
		return -ENOSPC;
	c->member[at].o = *o;
	/* Release, with the acquire in crew_members(): members may be at work already. */
	__atomic_store_n(&c->n, at + 1, __ATOMIC_RELEASE);
	return (int)at;
}

uint32_t crew_members(const struct crew *c)
{
	return __atomic_load_n(&c->n, __ATOMIC_ACQUIRE);
}

void crew_count(const struct crew *c, uint32_t member, struct crew_counts *out)
{
	const struct crew_counts *of = &c->member[member].counts;

	out->chunks = __atomic_load_n(&of->chunks, __ATOMIC_RELAXED);
	out->packets = __atomic_load_n(&of->packets, __ATOMIC_RELAXED);
	out->wakes = __atomic_load_n(&of->wakes, __ATOMIC_RELAXED);
}

static void count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

bool crew_help(struct crew *c, uint32_t member)
{
	struct member *me = &c->member[member];
	const uint32_t n = crew_members(c);

	/* From the next one on, so that not all begin at the same lane. */
	for (uint32_t k = 1; k < n; k++) {
		struct lane *l = c->member[(member + k) % n].o.lane;
		struct chunk *chunk;
		uint32_t packets;
		uint64_t index;

		chunk = l ? lane_claim(l, &index) : NULL;
		if (!chunk)
			continue;
		packets = chunk->batch.n;
		esp_crypt(chunk->esp, &chunk->batch, chunk->dir, me->o.keys);
		lane_done(l, index);
		count(&me->counts.chunks, 1);
		count(&me->counts.packets, packets);
		return true;
	}
	return false;
}

/* asleep and asleep_n are in total order with the tails of lanes: see lane_push(). */
static void set_asleep(struct crew *c, struct member *m, uint32_t asleep)
{
	if (__atomic_exchange_n(&m->asleep, asleep, __ATOMIC_SEQ_CST) == asleep)
		return;
	if (asleep)
		__atomic_fetch_add(&c->asleep_n, 1, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_sub(&c->asleep_n, 1, __ATOMIC_SEQ_CST);
}

static bool any_waits(const struct crew *c)
{
	const uint32_t n = crew_members(c);

	for (uint32_t k = 0; k < n; k++)
		if (c->member[k].o.lane && lane_waits(c->member[k].o.lane))
			return true;
	return false;
}

bool crew_lie_down(struct crew *c, uint32_t member)
{
	set_asleep(c, &c->member[member], 1);
	if (!any_waits(c))
		return true;
	set_asleep(c, &c->member[member], 0);
	return false;
}

void crew_get_up(struct crew *c, uint32_t member)
{
	set_asleep(c, &c->member[member], 0);
}

void crew_wake(struct crew *c)
{
	const uint64_t one = 1;

	if (!__atomic_load_n(&c->asleep_n, __ATOMIC_SEQ_CST))
		return;
	for (uint32_t k = 0; k < crew_members(c); k++) {
		struct member *m = &c->member[k];

		/* Most are awake: no bus traffic for them. */
		if (!__atomic_load_n(&m->asleep, __ATOMIC_SEQ_CST) ||
		    !__atomic_exchange_n(&m->asleep, 0, __ATOMIC_SEQ_CST))
			continue;
		__atomic_fetch_sub(&c->asleep_n, 1, __ATOMIC_SEQ_CST);
		__atomic_fetch_add(&m->counts.wakes, 1, __ATOMIC_RELAXED);
		/* A full counter is readable already. */
		if (write(m->o.wake_fd, &one, sizeof(one)) < 0)
			continue;
		return;
	}
}
