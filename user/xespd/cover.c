/* SPDX-License-Identifier: BSD-2-Clause */
/* cover.c - see cover.h. */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "esp/size.h"
#include "sad/sa.h"
#include "slow/slow.h"
#include "xesp/clock.h"
#include "xesp/fault.h"
#include "xespd/cover.h"
#include "xespd/daemon.h"

#define TICK_US 10000
#define SECOND_NS 1000000000ull
#define AT_ONCE 64      /* of one tunnel in a tick: a late timer makes no burst beyond it */
#define SIZE_SMALL 40   /* an acknowledgement without options */
#define SIZE_LARGE 9000 /* the largest frame the ports take, with room for headers */

struct cover {
	struct daemon *d;
	struct event *timer;
	uint64_t *next_ns; /* by tunnel id; 0: not under way */
	uint32_t *ids;     /* tunnels that have a rate */
	uint32_t ids_n;
	uint64_t rescan_ns;
};

/* Without random numbers nothing is random, and the caller sends nothing. */
static bool random_below(uint64_t *out, uint64_t bound)
{
	uint64_t r;

	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
		return false;
	*out = r % bound;
	return true;
}

/* A third each: small as acknowledgements, anything, and as large as fits, as real traffic is. */
static bool choose_size(const struct tunnel *t, const struct sa *sa, uint32_t *size)
{
	const struct geometry g = size_of(t, sa->transform);
	uint32_t most = size_fits(&g, __atomic_load_n(&t->mtu, __ATOMIC_RELAXED));
	uint64_t kind, r;

	if (most > SIZE_LARGE)
		most = SIZE_LARGE;
	if (most <= SIZE_SMALL + 64 || !random_below(&kind, 3) ||
	    !random_below(&r, kind == 1 ? most - SIZE_SMALL : 64))
		return false;
	*size = (uint32_t)(kind == 2 ? most - r : SIZE_SMALL + r);
	return true;
}

static void send_one(struct cover *c, uint32_t id, const struct tunnel *t)
{
	const struct sa *sa = t->sa_out ? sad_find(c->d->sad, t->sa_out) : NULL;
	uint32_t size;

	if (sa && sa->dir == XESP_DIR_OUT && choose_size(t, sa, &size))
		slow_dummy_send(c->d->slow, id, size);
}

static void serve(struct cover *c, uint32_t id, uint64_t now)
{
	const struct tunnel *t = sad_tunnel(c->d->sad, id);
	uint64_t *next = &c->next_ns[id], gap;

	if (!t || !t->as_told.dummy_pps) {
		*next = 0;
		return;
	}
	if (!*next || now > *next + SECOND_NS)
		*next = now;
	for (int i = 0; i < AT_ONCE && *next <= now; i++) {
		send_one(c, id, t);
		/* Between none and twice the mean. */
		if (!random_below(&gap, 2 * SECOND_NS / t->as_told.dummy_pps))
			return;
		*next += gap + 1;
	}
}

static void rescan(struct cover *c)
{
	c->ids_n = 0;
	for (uint32_t id = 0; id < sad_tunnels_max(c->d->sad); id++) {
		const struct tunnel *t = sad_tunnel(c->d->sad, id);

		if (t && t->as_told.dummy_pps && t->mode == XESP_MODE_TUNNEL)
			c->ids[c->ids_n++] = id;
		else
			c->next_ns[id] = 0;
	}
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct cover *c = arg;
	uint64_t now = clock_ns();

	(void)fd;
	(void)what;
	if (now >= c->rescan_ns) {
		rescan(c);
		c->rescan_ns = now + SECOND_NS;
	}
	for (uint32_t i = 0; i < c->ids_n; i++)
		serve(c, c->ids[i], now);
}

int cover_open(struct cover **out, struct daemon *d, struct fault *f)
{
	const struct timeval tick = { .tv_usec = TICK_US };
	struct cover *c = calloc(1, sizeof(*c));
	uint32_t max = sad_tunnels_max(d->sad);

	if (c) {
		c->d = d;
		c->next_ns = calloc(max, sizeof(*c->next_ns));
		c->ids = calloc(max, sizeof(*c->ids));
		c->timer = event_new(d->base, -1, EV_PERSIST, on_tick, c);
	}
	if (!c || !c->next_ns || !c->ids || !c->timer || event_add(c->timer, &tick)) {
		cover_close(c);
		return fault_set(f, -ENOMEM, "out of memory");
	}
	*out = c;
	return 0;
}

void cover_close(struct cover *c)
{
	if (!c)
		return;
	if (c->timer)
		event_free(c->timer);
	free(c->next_ns);
	free(c->ids);
	free(c);
}
