/* SPDX-License-Identifier: BSD-2-Clause */
/* dispatch.c - see dispatch.h. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "esp/esp.h"
#include "libxesp/line.h"
#include "sad/sad.h"
#include "worker/crew.h"
#include "worker/dispatch.h"
#include "xesp/fault.h"

#define SPINS 2000

int dispatch_init(struct dispatch *d, const struct dispatch_opts *o, struct fault *f)
{
	*d = (struct dispatch){ .lane = o->lane, .crew = o->crew, .sad = o->sad, .keys = o->keys };
	for (; d->chunks_n < o->chunks_n; d->chunks_n++) {
		struct chunk *c = line_alloc(sizeof(*c));
		int err;

		if (!c)
			return fault_set(f, -ENOMEM, "out of memory");
		err = esp_worker_open_beside(&c->esp, o->esp, f);
		if (err) {
			free(c);
			return err;
		}
		d->chunk[d->chunks_n] = d->free[d->free_n++] = c;
	}
	return 0;
}

void dispatch_fini(struct dispatch *d)
{
	for (uint32_t i = 0; i < d->chunks_n; i++) {
		esp_worker_close(d->chunk[i]->esp);
		free(d->chunk[i]);
	}
	d->chunks_n = d->free_n = 0;
}

struct chunk *dispatch_take(struct dispatch *d)
{
	struct chunk *c;

	if (!d->free_n)
		return NULL;
	c = d->free[--d->free_n];
	c->batch.n = 0;
	return c;
}

void dispatch_put(struct dispatch *d, struct chunk *c)
{
	d->free[d->free_n++] = c;
}

/* Only the owner writes. */
static void count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

void dispatch_submit(struct dispatch *d, struct chunk *c)
{
	/* Before the first look-up: what is found later was not yet taken away in this epoch. */
	c->epoch = sad_epoch(d->sad);
	esp_prepare(c->esp, &c->batch, c->dir);
	count(&d->counts.chunks, 1);
	count(&d->counts.packets, c->batch.n);
	lane_push(d->lane, c);
	crew_wake(d->crew);
}

struct chunk *dispatch_finish(struct dispatch *d)
{
	struct chunk *c = lane_pop(d->lane);

	if (c)
		esp_finish(c->esp, &c->batch);
	return c;
}

bool dispatch_work(struct dispatch *d)
{
	uint64_t index;
	struct chunk *c = lane_claim(d->lane, &index);

	if (!c)
		return false;
	esp_crypt(c->esp, &c->batch, c->dir, d->keys);
	lane_done(d->lane, index);
	count(&d->counts.own, 1);
	return true;
}

void dispatch_wait(uint32_t *spins)
{
	if (++*spins % SPINS) {
#if defined(__x86_64__) || defined(__i386__)
		__builtin_ia32_pause();
#endif
		return;
	}
	/* Who has the chunk has lost its CPU, perhaps to us. */
	sched_yield();
}
