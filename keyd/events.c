/* SPDX-License-Identifier: BSD-2-Clause */
/* events.c - see events.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <event2/event.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "keyd/config.h"
#include "keyd/daemon.h"
#include "keyd/events.h"
#include "keyd/natt.h"
#include "keyd/publish_maps.h"
#include "libxesp/drops.h"
#include "libxesp/rpc.h"
#include "xesp/fault.h"

#define LOOK_S 1
#define USUAL_KEEP 0.8     /* of the old rate a second */
#define SPIKE_LEAST 100    /* packets a second */
#define SPIKE_TIMES 10     /* the usual rate */
#define SPIKE_QUIET_S 10
#define LOOKS_TO_TRUST 3

struct events {
	struct daemon *d;
	struct event *timer;
	struct drop_watch drops[XESP_DROP_SLOTS];
	const struct xesp_worker_stats *workers; /* mapped, read only */
	size_t workers_len;
	int cpus;
	__u64 *per_cpu; /* [cpus] */
};

static const char *const names[] = {
	"sa-up",	   "sa-refused", "sa-deleted", "soft-expiry", "hard-expiry",
	"exhaustion-near", "peer-moved", "peer-dead",  "peer-alive",  "drops",
	"worker-up",	   "worker-gone", "changed",     "acquire",
};

static bool anybody(const struct events *e)
{
	return e && rpc_server_subscribers(e->d->control);
}

static struct json_object *new_event(const char *name)
{
	struct json_object *o = json_object_new_object();
	struct timespec ts;
	char text[48];
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%03uZ", (unsigned int)(ts.tv_nsec / 1000000) % 1000u);
	json_object_object_add(o, "event", json_object_new_string(name));
	json_object_object_add(o, "time", json_object_new_string(text));
	return o;
}

static void put(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, text ? json_object_new_string(text) : NULL);
}

/* ---- SAs and peers */

void events_sa(struct events *e, enum change_event what, const struct sad *sad,
	       const struct sa *sa, const char *why)
{
	static const char *const of[] = {
		[CHANGE_SA_UP] = "sa-up",	   [CHANGE_SA_REFUSED] = "sa-refused",
		[CHANGE_SA_DELETED] = "sa-deleted", [CHANGE_SA_SOFT] = "soft-expiry",
		[CHANGE_SA_HARD] = "hard-expiry",   [CHANGE_SA_USED_UP] = "exhaustion-near",
	};
	struct json_object *o;
	char spi[16];

	if (!anybody(e))
		return;
	o = new_event(of[what]);
	snprintf(spi, sizeof(spi), "0x%08x", sa->spi);
	put(o, "sa", sa->name);
	put(o, "tunnel", sad->tunnels[sa->tunnel].name);
	put(o, "direction", sa->dir == XESP_DIR_IN ? "in" : "out");
	put(o, "spi", spi);
	json_object_object_add(o, "id", json_object_new_uint64(sa->id));
	if (why)
		put(o, "reason", why);
	rpc_server_publish(e->d->control, o);
}

void events_peer_moved(struct events *e, const char *tunnel, const char *from, const char *to)
{
	struct json_object *o;

	if (!anybody(e))
		return;
	o = new_event("peer-moved");
	put(o, "tunnel", tunnel);
	put(o, "from", from);
	put(o, "to", to);
	rpc_server_publish(e->d->control, o);
}

void events_peer_alive(struct events *e, const struct tunnel *t, bool alive)
{
	char text[NATT_TEXT_MAX];
	struct json_object *o;

	if (!anybody(e))
		return;
	o = new_event(alive ? "peer-alive" : "peer-dead");
	put(o, "tunnel", t->name);
	put(o, "peer", natt_print_peer(t, text));
	rpc_server_publish(e->d->control, o);
}

void events_acquire(struct events *e, const struct acquire *a)
{
	struct json_object *o;

	if (!anybody(e))
		return;
	o = new_event("acquire");
	acquire_show(a, o);
	rpc_server_publish(e->d->control, o);
}

void events_worker(struct events *e, bool up)
{
	if (anybody(e))
		rpc_server_publish(e->d->control, new_event(up ? "worker-up" : "worker-gone"));
}

void events_changed(struct events *e, const char *by, const struct change_result *r)
{
	const struct config *c;
	struct json_object *o;

	if (!anybody(e))
		return;
	c = e->d->change.now;
	o = new_event("changed");
	put(o, "by", by);
	json_object_object_add(o, "generation", json_object_new_uint64(r->generation));
	json_object_object_add(o, "tunnels", json_object_new_uint64(c->sad.tunnels_n));
	json_object_object_add(o, "sas", json_object_new_uint64(c->sad.sas_n));
	json_object_object_add(o, "policies", json_object_new_uint64(c->spd.n));
	rpc_server_publish(e->d->control, o);
}

int events_subscribe(void *ctx, struct json_object *params, struct json_object **result,
		     struct fault *f)
{
	struct json_object *list;
	struct daemon *d = ctx;
	int err = rpc_server_subscribe(d->control, f);

	(void)params;
	if (err)
		return err;
	list = json_object_new_array();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		json_object_array_add(list, json_object_new_string(names[i]));
	*result = json_object_new_object();
	json_object_object_add(*result, "events", list);
	return 0;
}

/* ---- drops */

bool drop_watch_look(struct drop_watch *w, uint64_t total, uint64_t *per_s)
{
	const uint64_t grew = total > w->total ? total - w->total : 0;
	bool spike = w->looks >= LOOKS_TO_TRUST && grew >= SPIKE_LEAST &&
		     (double)grew >= w->usual * SPIKE_TIMES && !w->quiet_s;

	*per_s = grew;
	w->total = total;
	if (w->quiet_s)
		w->quiet_s--;
	if (spike)
		w->quiet_s = SPIKE_QUIET_S;
	/* The first look has no second before it. */
	if (w->looks)
		w->usual = w->looks == 1 ? (double)grew :
					   w->usual * USUAL_KEEP + (double)grew * (1 - USUAL_KEEP);
	w->looks += w->looks <= LOOKS_TO_TRUST;
	return spike;
}

static uint64_t total_of(const struct events *e, uint32_t why)
{
	uint64_t sum = 0;

	if (!bpf_map_lookup_elem(e->d->change.maps->pins.fd[PINS_DROPS], &why, e->per_cpu))
		for (int cpu = 0; cpu < e->cpus; cpu++)
			sum += e->per_cpu[cpu];
	for (uint32_t w = 0; w < XESP_WORKERS_MAX; w++)
		sum += __atomic_load_n(&e->workers[w].drops[why], __ATOMIC_RELAXED);
	return sum;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct events *e = arg;

	(void)fd;
	(void)what;
	for (uint32_t why = 1; why < XESP_DROP_SLOTS; why++) {
		const uint64_t usual = (uint64_t)e->drops[why].usual, total = total_of(e, why);
		struct json_object *o;
		uint64_t per_s;

		if (!drops_name((enum xesp_drop)why) ||
		    !drop_watch_look(&e->drops[why], total, &per_s) || !anybody(e))
			continue;
		o = new_event("drops");
		put(o, "reason", drops_name((enum xesp_drop)why));
		put(o, "text", drops_text((enum xesp_drop)why));
		json_object_object_add(o, "per_s", json_object_new_uint64(per_s));
		json_object_object_add(o, "usual_per_s", json_object_new_uint64(usual));
		json_object_object_add(o, "total", json_object_new_uint64(total));
		rpc_server_publish(e->d->control, o);
	}
}

/* ---- opening */

int events_open(struct events **out, struct daemon *d, struct fault *f)
{
	const struct timeval every = { .tv_sec = LOOK_S };
	struct events *e = calloc(1, sizeof(*e));

	if (!e)
		return fault_set(f, -ENOMEM, "out of memory");
	e->d = d;
	e->cpus = libbpf_num_possible_cpus();
	e->per_cpu = calloc(e->cpus > 0 ? (size_t)e->cpus : 1, sizeof(*e->per_cpu));
	e->workers = pins_mmap(&d->change.maps->pins, PINS_WORKER_STATS, 0, &e->workers_len, f);
	e->timer = event_new(d->base, -1, EV_PERSIST, on_timer, e);
	if (!e->workers || !e->per_cpu || !e->timer || event_add(e->timer, &every)) {
		events_close(e);
		return fault_set(f, -ENOMEM, "cannot watch the drop counters: out of memory");
	}
	*out = e;
	return 0;
}

void events_close(struct events *e)
{
	if (!e)
		return;
	if (e->timer)
		event_free(e->timer);
	if (e->workers)
		munmap((void *)(uintptr_t)e->workers, e->workers_len);
	free(e->per_cpu);
	free(e);
}
