/* SPDX-License-Identifier: BSD-2-Clause */
/* dpd.c - see dpd.h. */
#include <errno.h>
#include <event2/event.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libxesp/addr.h"
#include "sad/tunnel.h"
#include "slow/slow.h"
#include "xesp/clock.h"
#include "xesp/fault.h"
#include "xesp/log.h"
#include "xespd/daemon.h"
#include "xespd/dpd.h"
#include "xespd/keyd_link.h"

/* Echo requests of the smallest size that both IP versions have. */
#define REQUEST_BYTES ECHO_LEN_MIN6

struct peer {
	struct dpd *dpd;
	struct event *timer;
	struct xesp_keymsg_tunnel t; /* as it was told */
	uint64_t sent, answered;     /* requests and answers in all */
	uint64_t heard_ns;           /* when the last answer came, or asking began */
	uint64_t sent_ns;            /* when `seq` went out */
	uint64_t rtt_ns;             /* of the last answer; 0 none yet */
	uint64_t since_ns;           /* it has been up or down */
	uint16_t seq;
	uint8_t in_a_row;            /* answers since it went down */
	bool down;
	bool waiting;                /* `seq` is not answered yet */
};

struct dpd {
	struct daemon *d;
	uint32_t max;
	struct peer **by_tunnel; /* [max], by tunnel id */
};

static void turn(struct peer *p, bool down)
{
	struct fault f = { "" };
	uint64_t now = clock_ns();

	if (sad_tunnel_down(p->dpd->d->sad, p->t.id, down, &f)) {
		log_error("dpd: tunnel %s: %s", p->t.name, f.text); /* the next interval tries again */
		return;
	}
	p->down = down;
	p->in_a_row = 0;
	p->since_ns = now;
	keyd_link_tell_alive(p->dpd->d->link, p->t.id, !down);
	if (down)
		log_warn("dpd: tunnel %s: no answer from behind the peer for %llu ms: down", p->t.name,
			 (unsigned long long)((now - p->heard_ns) / 1000000));
	else
		log_info("dpd: tunnel %s: the peer answers again: up", p->t.name);
}

static void ask(struct peer *p)
{
	struct echo e = { .local = p->t.probe_local,
			  .remote = p->t.probe_remote,
			  .tunnel = p->t.id,
			  .seq = ++p->seq,
			  .kind = ECHO_DPD };

	p->sent_ns = clock_ns();
	p->waiting = true;
	p->sent++;
	/* One that could not be sent, for want of an SA for example, is one without an answer. */
	if (!slow_echo_send(p->dpd->d->slow, &e, REQUEST_BYTES))
		return;
}

static void on_interval(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;
	const uint64_t patience = (uint64_t)p->t.dpd_ms * p->t.dpd_misses * 1000000u;

	(void)fd;
	(void)what;
	if (p->waiting)
		p->in_a_row = 0;
	if (!p->down && clock_ns() - p->heard_ns >= patience)
		turn(p, true);
	ask(p);
}

static void on_answer(void *ctx, const struct echo *e)
{
	struct dpd *dpd = ctx;
	struct peer *p = e->tunnel < dpd->max ? dpd->by_tunnel[e->tunnel] : NULL;

	/* An answer that comes later than the next request says that the path is slow, not dead. */
	if (!p || (uint16_t)(p->seq - e->seq) > p->t.dpd_misses)
		return;
	p->answered++;
	p->heard_ns = clock_ns();
	if (e->seq == p->seq) {
		p->rtt_ns = p->heard_ns - p->sent_ns;
		p->waiting = false;
	}
	if (p->down && ++p->in_a_row >= p->t.dpd_misses)
		turn(p, false);
}

static void set_timer(struct peer *p)
{
	const struct timeval tv = { .tv_sec = p->t.dpd_ms / 1000,
				    .tv_usec = p->t.dpd_ms % 1000 * 1000 };

	event_add(p->timer, &tv);
}

static void end(struct peer *p)
{
	if (p->down && sad_tunnel_down(p->dpd->d->sad, p->t.id, false, NULL))
		log_error("dpd: tunnel %s stays down for want of memory", p->t.name);
	event_free(p->timer);
	p->dpd->by_tunnel[p->t.id] = NULL;
	free(p);
}

static void begin(struct dpd *dpd, const struct xesp_keymsg_tunnel *t)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (p)
		p->timer = event_new(dpd->d->base, -1, EV_PERSIST, on_interval, p);
	if (!p || !p->timer) {
		log_error("dpd: tunnel %s: out of memory: its peer is not watched", t->name);
		free(p);
		return;
	}
	p->dpd = dpd;
	p->t = *t;
	p->heard_ns = p->since_ns = clock_ns();
	dpd->by_tunnel[t->id] = p;
	set_timer(p);
	ask(p);
}

static void go_on(struct peer *p, const struct xesp_keymsg_tunnel *t)
{
	bool other_pace = p->t.dpd_ms != t->dpd_ms;

	/* Another far end is another question, asked with patience. */
	if (!addr_equal(&p->t.probe_remote, &t->probe_remote) ||
	    !addr_equal(&p->t.remote, &t->remote))
		p->heard_ns = clock_ns();
	p->t = *t;
	if (other_pace)
		set_timer(p);
}

void dpd_refresh(struct dpd *dpd, uint32_t id)
{
	const struct tunnel *t = sad_tunnel(dpd->d->sad, id);
	struct peer *p = dpd->by_tunnel[id];
	const bool wanted = t && t->as_told.dpd_ms;

	if (wanted && p)
		go_on(p, &t->as_told);
	else if (wanted)
		begin(dpd, &t->as_told);
	else if (p)
		end(p);
}

int dpd_open(struct dpd **out, struct daemon *d, struct fault *f)
{
	struct dpd *dpd = calloc(1, sizeof(*dpd));
	struct slow_echo_calls calls = { .answered = on_answer, .ctx = dpd };

	if (!dpd)
		return fault_set(f, -ENOMEM, "out of memory");
	dpd->d = d;
	dpd->max = sad_tunnels_max(d->sad);
	dpd->by_tunnel = calloc(dpd->max, sizeof(*dpd->by_tunnel));
	if (!dpd->by_tunnel) {
		free(dpd);
		return fault_set(f, -ENOMEM, "out of memory");
	}
	slow_echo_on(d->slow, ECHO_DPD, &calls);
	*out = dpd;
	return 0;
}

void dpd_close(struct dpd *dpd)
{
	static const struct slow_echo_calls none;

	if (!dpd)
		return;
	slow_echo_on(dpd->d->slow, ECHO_DPD, &none);
	for (uint32_t id = 0; id < dpd->max; id++)
		if (dpd->by_tunnel[id])
			end(dpd->by_tunnel[id]);
	free(dpd->by_tunnel);
	free(dpd);
}

struct json_object *dpd_json(const struct dpd *dpd)
{
	struct json_object *list = json_object_new_array();
	uint64_t now = clock_ns();

	for (uint32_t id = 0; id < dpd->max; id++) {
		const struct peer *p = dpd->by_tunnel[id];
		struct json_object *o;

		if (!p)
			continue;
		o = json_object_new_object();
		json_object_object_add(o, "tunnel", json_object_new_string(p->t.name));
		json_object_object_add(o, "peer", json_object_new_string(p->down ? "down" : "up"));
		json_object_object_add(o, "since_s",
				       json_object_new_uint64((now - p->since_ns) / 1000000000u));
		json_object_object_add(o, "rtt_us",
				       p->rtt_ns ? json_object_new_uint64(p->rtt_ns / 1000) : NULL);
		json_object_object_add(o, "sent", json_object_new_uint64(p->sent));
		json_object_object_add(o, "answered", json_object_new_uint64(p->answered));
		json_object_array_add(list, o);
	}
	return list;
}
