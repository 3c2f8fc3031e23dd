/* SPDX-License-Identifier: BSD-2-Clause */
/* pool.c - see pool.h. */
#include <errno.h>
#include <json-c/json.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "esp/esp.h"
#include "fib/fib.h"
#include "libxesp/pins.h"
#include "port/share.h"
#include "worker/lane.h"
#include "worker/worker.h"
#include "xesp/fault.h"
#include "xesp/log.h"
#include "xespd/attached.h"
#include "xespd/pool.h"

#define SPARE_PORTS 2    /* interfaces that may come later without anybody's frames getting few */
#define WIDES 512        /* buffers for jumbo frames that a worker may have under way */
#define RECLAIM_TICKS 3  /* by then a closed queue's driver has let go of its frames */

struct iface {
	struct attached at;
	uint32_t queues_n;
	bool zero_copy, multi_buffer;
	struct port *queue[XESP_QUEUES_MAX]; /* by number; that of the worker, too */
};

struct pool {
	struct pool_opts o;
	struct pool_rooms rooms;
	struct umem *umem;
	struct share *share;
	uint32_t workers_n;
	int cpu[XESP_QUEUES_MAX]; /* that the worker is pinned to; -1: to none */
	bool started;
	uint32_t reclaim_in; /* ticks; 0: nothing to reclaim */
	struct iface *ifaces[XESP_PORTS_MAX]; /* by port number */
	struct worker *workers[XESP_QUEUES_MAX];
	/* NULL and 0 where there is nobody who could help. */
	struct crew *crew;
	struct lane *lanes; /* by worker */
	uint32_t helpers_n;
	struct worker *helpers[POOL_HELPERS_MAX];
	enum load_mode spread;
};

static uint32_t queues_of(const struct attached *a)
{
	return a->rx_n > a->tx_n ? a->rx_n : a->tx_n;
}

/* As many as there are CPUs that no worker needs. */
static uint32_t helpers_for(uint32_t workers_n, uint32_t most)
{
	uint32_t n = CREW_MAX - workers_n;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) || (uint32_t)CPU_COUNT(&set) <= workers_n)
		return 0;
	if (n > (uint32_t)CPU_COUNT(&set) - workers_n)
		n = (uint32_t)CPU_COUNT(&set) - workers_n;
	n = n < most ? n : most;
	return n < POOL_HELPERS_MAX ? n : POOL_HELPERS_MAX;
}

/* One CPU each when there are enough and more than one is wanted; else the scheduler knows best. */
static int cpu_for(uint32_t worker, uint32_t workers_n)
{
	uint32_t seen = 0;
	cpu_set_t set;

	if (workers_n < 2 || sched_getaffinity(0, sizeof(set), &set) ||
	    (uint32_t)CPU_COUNT(&set) < workers_n)
		return -1;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET((size_t)cpu, &set) && seen++ == worker)
			return cpu;
	return -1;
}

static int open_crew(struct pool *p, struct fault *f)
{
	const size_t size = p->workers_n * sizeof(*p->lanes);

	if (p->workers_n + p->helpers_n < 2)
		return 0;
	p->lanes = aligned_alloc(_Alignof(struct lane), size);
	if (!p->lanes)
		return fault_set(f, -ENOMEM, "out of memory");
	memset(p->lanes, 0, size);
	return crew_open(&p->crew, f);
}

static void close_crew(struct pool *p)
{
	crew_close(p->crew);
	free(p->lanes);
}

int pool_open(struct pool **out, const struct pool_opts *o, struct fault *f)
{
	struct attached list[XESP_PORTS_MAX];
	struct umem_size size = { .wides_n = WIDES };
	struct pool *p = calloc(1, sizeof(*p));
	int n, err;

	if (!p)
		return fault_set(f, -ENOMEM, "out of memory");
	p->o = *o;
	p->workers_n = 1;
	n = attached_read(o->pins->fd[PINS_IFACES], list, f);
	if (n < 0) {
		err = n;
		goto free_pool;
	}
	for (int i = 0; i < n; i++)
		if (list[i].rx_n > p->workers_n)
			p->workers_n = list[i].rx_n;
	for (uint32_t w = 0; w < p->workers_n; w++)
		p->cpu[w] = cpu_for(w, p->workers_n);
	p->helpers_n = helpers_for(p->workers_n, o->helpers);
	p->spread = o->spread;
	err = open_crew(p, f);
	if (err)
		goto free_pool;
	size.pools_n = p->workers_n;
	size.frames_n = ((uint32_t)n + SPARE_PORTS) * PORT_FRAMES;
	err = umem_open(&p->umem, &size, f);
	if (err)
		goto free_pool;
	err = share_open(&p->share, p->umem, f);
	if (err)
		goto close_umem;
	*out = p;
	return 0;

close_umem:
	umem_close(p->umem);
free_pool:
	close_crew(p);
	free(p);
	return err;
}

uint32_t pool_helpers(const struct pool *p)
{
	return p->helpers_n;
}

uint32_t pool_workers(const struct pool *p)
{
	return p->workers_n;
}

uint32_t pool_cpu(const struct pool *p, uint32_t worker)
{
	return p->cpu[worker] < 0 ? worker : (uint32_t)p->cpu[worker];
}

uint32_t pool_slow_worker(const struct pool *p)
{
	return p->workers_n;
}

/* ---- one interface */

static void close_ports(struct iface *i)
{
	for (uint32_t q = 0; q < i->queues_n; q++)
		port_close(i->queue[q]);
	free(i);
}

static void say_opened(const struct pool *p, const struct iface *i)
{
	const struct attached *a = &i->at;

	log_info("port %u: %s: %u queue%s, %s", a->port, a->name, i->queues_n,
		 i->queues_n == 1 ? "" : "s",
		 i->zero_copy ? "zero-copy" : "copy mode: the driver has no zero-copy, or was not asked");
	if (!i->multi_buffer)
		log_info("port %u: %s: one buffer a frame, so no IP packets above %u bytes: the kernel or the driver has no more",
			 a->port, a->name, XESP_MTU_ONE_BUFFER);
	if (a->rx_n > p->workers_n)
		log_warn("port %u: %s has %u receive queues and xespd %u workers: what arrives on the others is dropped as no-worker; restart xespd",
			 a->port, a->name, a->rx_n, p->workers_n);
	if (a->tx_n < p->workers_n)
		log_warn("port %u: %s has %u transmit queues and xespd %u workers: the others send there by the slow path; give all interfaces as many queues (ethtool -L)",
			 a->port, a->name, a->tx_n, p->workers_n);
}

static int open_iface(struct pool *p, const struct attached *a, struct fault *f)
{
	struct iface *i = calloc(1, sizeof(*i));
	uint32_t want = queues_of(a);
	int err;

	if (!i)
		return fault_set(f, -ENOMEM, "out of memory");
	i->at = *a;
	if (want > p->workers_n)
		want = p->workers_n;
	for (; i->queues_n < want; i->queues_n++) {
		struct port_spec spec = {
			.ifindex = a->ifindex,
			.mtu = a->mtu,
			.number = a->port,
			.role = a->role,
			.queue = i->queues_n,
			.receives = i->queues_n < a->rx_n,
			.sends = i->queues_n < a->tx_n,
			.xsks_fd = p->o.pins->fd[PINS_XSKS],
			.zero_copy = p->o.zero_copy,
			.busy_poll_us = p->o.busy_poll_us,
			.batch = p->o.batch,
		};

		/* What one queue could not do the next one need not try. */
		if (i->queues_n && !i->zero_copy)
			spec.zero_copy = PORT_ZC_OFF;
		memcpy(spec.name, a->name, sizeof(spec.name));
		err = port_open(&i->queue[i->queues_n], p->share,
				umem_pool(p->umem, i->queues_n), &spec, f);
		if (err) {
			close_ports(i);
			return err;
		}
		i->zero_copy = i->queue[i->queues_n]->zero_copy;
		i->multi_buffer = i->queue[i->queues_n]->multi_buffer;
	}
	p->ifaces[a->port] = i;
	say_opened(p, i);
	return 0;
}

static int serve_iface(struct pool *p, struct iface *i, struct fault *f)
{
	int err;

	for (uint32_t q = 0; q < i->queues_n; q++)
		worker_adopt(p->workers[q], i->queue[q]);
	err = fib_port_set(p->rooms.fib, i->at.ifindex, (int32_t)i->at.port, (uint8_t)i->at.role, f);
	for (uint32_t q = 0; q < i->queues_n && !err; q++)
		err = port_serve(i->queue[q], f);
	return err;
}

static void reclaim(struct pool *p)
{
	for (uint32_t w = 0; w < p->workers_n; w++)
		worker_reclaim(p->workers[w]);
}

static void close_iface(struct pool *p, uint32_t number)
{
	struct iface *i = p->ifaces[number];
	const bool zero_copy = i->zero_copy;
	uint32_t retired = 0;

	for (uint32_t q = 0; q < i->queues_n; q++)
		port_unserve(i->queue[q]);
	if (p->started) {
		fib_port_set(p->rooms.fib, i->at.ifindex, -1, 0, NULL);
		for (uint32_t q = 0; q < i->queues_n; q++)
			retired += worker_release(p->workers[q], i->queue[q]);
	}
	log_info("port %u: %s: closed", number, i->at.name);
	if (retired)
		log_warn("port %u: %s: %u frames were still to be sent; they are not used again",
			 number, i->at.name, retired);
	p->ifaces[number] = NULL;
	close_ports(i);
	if (!p->started)
		return;
	/* In copy mode close(2) waits for whoever might still write; a driver takes its time. */
	if (zero_copy)
		p->reclaim_in = RECLAIM_TICKS;
	else if (!p->reclaim_in)
		reclaim(p);
}

/* ---- all of them */

static bool still_there(const struct iface *i, const struct attached *list, int n)
{
	for (int k = 0; k < n; k++)
		if (list[k].port == i->at.port)
			return list[k].ifindex == i->at.ifindex && list[k].role == i->at.role &&
			       !(i->queue[0] && port_dead(i->queue[0]));
	return false;
}

int pool_open_ports(struct pool *p, struct fault *f)
{
	struct attached list[XESP_PORTS_MAX];
	int n = attached_read(p->o.pins->fd[PINS_IFACES], list, f);
	int err = 0, failed = 0;

	if (n < 0)
		return n;
	for (int k = 0; k < n; k++) {
		struct fault why = { "" };
		int this_err = open_iface(p, &list[k], &why);

		if (!this_err)
			continue;
		log_error("port %u: %s", list[k].port, why.text);
		if (!failed++) {
			err = this_err;
			*f = why;
		}
	}
	if (!n)
		log_warn("no interface is attached; waiting for `xesp attach`");
	return failed == n ? err : 0;
}

static int start_workers(struct pool *p, struct fault *f)
{
	struct worker_opts o = {
		.batch = p->o.batch,
		.busy_poll = p->o.busy_poll_us > 0,
		.crew = p->crew,
		.members_n = p->workers_n + p->helpers_n,
		.sad = p->rooms.sad,
		.fib = p->rooms.fib,
		.slow = p->rooms.slow,
	};
	int err = 0;

	for (uint32_t w = 0; w < p->workers_n && !err; w++) {
		o.index = w;
		o.cpu = p->cpu[w];
		o.pool = umem_pool(p->umem, w);
		o.lane = p->crew ? &p->lanes[w] : NULL;
		err = worker_open(&p->workers[w], &o, f);
	}
	o.pool = NULL;
	o.lane = NULL;
	o.cpu = -1;
	o.busy_poll = false;
	for (uint32_t h = 0; h < p->helpers_n && !err; h++) {
		/* sad_set_helpers(): behind the slow path's. */
		o.index = pool_slow_worker(p) + 1 + h;
		err = worker_open(&p->helpers[h], &o, f);
	}
	return err;
}

int pool_start(struct pool *p, const struct pool_rooms *rooms, struct fault *f)
{
	int err;

	p->rooms = *rooms;
	err = start_workers(p, f);
	if (err)
		return err;
	p->started = true;
	pool_set_spread(p, p->spread);
	for (int i = 0; i < XESP_PORTS_MAX && !err; i++)
		if (p->ifaces[i])
			err = serve_iface(p, p->ifaces[i], f);
	return err;
}

static const char *const modes[] = {
	[LOAD_AUTO] = "auto",
	[LOAD_NEVER] = "never",
	[LOAD_ALWAYS] = "always",
};

void pool_set_spread(struct pool *p, enum load_mode mode)
{
	if (mode != p->spread)
		log_info("main: queues are spread over all threads: %s", modes[mode]);
	p->spread = mode;
	for (uint32_t w = 0; w < p->workers_n && p->started; w++)
		worker_set_spread(p->workers[w], mode);
}

int pool_rescan(struct pool *p, uint32_t *ports_n, struct fault *f)
{
	struct attached list[XESP_PORTS_MAX];
	int n = attached_read(p->o.pins->fd[PINS_IFACES], list, f);
	int err = 0;

	if (n < 0)
		return n;
	for (uint32_t i = 0; i < XESP_PORTS_MAX; i++)
		if (p->ifaces[i] && !still_there(p->ifaces[i], list, n))
			close_iface(p, i);
	for (int k = 0; k < n; k++) {
		struct fault why = { "" };
		int this_err;

		if (p->ifaces[list[k].port])
			continue;
		this_err = open_iface(p, &list[k], &why);
		if (!this_err)
			this_err = serve_iface(p, p->ifaces[list[k].port], &why);
		if (this_err) {
			log_error("port %u: %s", list[k].port, why.text);
			if (!err && f)
				*f = why;
			err = err ? err : this_err;
		}
	}
	*ports_n = 0;
	for (int i = 0; i < XESP_PORTS_MAX; i++)
		*ports_n += p->ifaces[i] != NULL;
	return err;
}

static void count_lost(struct pool *p, struct iface *i)
{
	struct xesp_worker_stats *stats = esp_worker_stats(p->rooms.esp);

	for (uint32_t q = 0; q < i->queues_n; q++) {
		struct port_lost lost;

		port_lost(i->queue[q], &lost);
		stats->drops[XESP_DROP_NO_FRAME] += lost.no_frame;
		stats->drops[XESP_DROP_RX_FULL] += lost.ring_full;
		stats->drops[XESP_DROP_RX_TOO_BIG] += lost.too_big;
		stats->drops[XESP_DROP_TX_ERROR] += lost.not_sent;
	}
}

void pool_tick(struct pool *p)
{
	for (uint32_t i = 0; i < XESP_PORTS_MAX; i++) {
		if (!p->ifaces[i])
			continue;
		count_lost(p, p->ifaces[i]);
		if (p->ifaces[i]->queue[0] && port_dead(p->ifaces[i]->queue[0])) {
			log_warn("port %u: interface %s is gone", i, p->ifaces[i]->at.name);
			close_iface(p, i);
		}
	}
	if (p->reclaim_in && !--p->reclaim_in)
		reclaim(p);
}

bool pool_close(struct pool *p)
{
	bool sound = true;

	if (!p)
		return true;
	for (uint32_t i = 0; i < XESP_PORTS_MAX; i++)
		if (p->ifaces[i])
			close_iface(p, i);
	for (uint32_t w = 0; w < p->workers_n; w++)
		sound &= worker_close(p->workers[w]);
	for (uint32_t h = 0; h < p->helpers_n; h++)
		worker_close(p->helpers[h]);
	close_crew(p);
	share_close(p->share);
	umem_close(p->umem);
	free(p);
	return sound;
}

struct json_object *pool_json(const struct pool *p)
{
	static const char *const roles[] = {
		[XESP_ROLE_INNER] = "inner",
		[XESP_ROLE_OUTER] = "outer",
		[XESP_ROLE_BOTH] = "both",
	};
	struct json_object *list = json_object_new_array();

	for (int i = 0; i < XESP_PORTS_MAX; i++) {
		const struct iface *iface = p->ifaces[i];
		struct json_object *o;

		if (!iface)
			continue;
		o = json_object_new_object();
		json_object_object_add(o, "port", json_object_new_int(i));
		json_object_object_add(o, "interface", json_object_new_string(iface->at.name));
		json_object_object_add(o, "ifindex",
				       json_object_new_int64((int64_t)iface->at.ifindex));
		json_object_object_add(o, "role",
				       iface->at.role <= XESP_ROLE_BOTH && iface->at.role ?
					       json_object_new_string(roles[iface->at.role]) :
					       NULL);
		json_object_object_add(o, "queues",
				       json_object_new_int((int32_t)iface->queues_n));
		json_object_object_add(o, "zero_copy", json_object_new_boolean(iface->zero_copy));
		json_object_object_add(o, "multi_buffer",
				       json_object_new_boolean(iface->multi_buffer));
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *thread_json(const struct worker *w, uint32_t number)
{
	struct json_object *o = json_object_new_object();
	struct worker_spread is;

	worker_spread(w, &is);
	json_object_object_add(o, is.may ? "worker" : "helper", json_object_new_uint64(number));
	if (is.may) {
		json_object_object_add(o, "now", json_object_new_boolean(is.now));
		json_object_object_add(o, "switches", json_object_new_uint64(is.switches));
		json_object_object_add(o, "packets", json_object_new_uint64(is.given));
	}
	json_object_object_add(o, "helped", json_object_new_uint64(is.helped.packets));
	json_object_object_add(o, "woken", json_object_new_uint64(is.helped.wakes));
	return o;
}

struct json_object *pool_spread_json(const struct pool *p)
{
	struct json_object *o = json_object_new_object();
	struct json_object *threads = json_object_new_array();

	json_object_object_add(o, "mode", json_object_new_string(modes[p->spread]));
	json_object_object_add(o, "helpers", json_object_new_uint64(p->helpers_n));
	for (uint32_t w = 0; p->crew && w < p->workers_n; w++)
		json_object_array_add(threads, thread_json(p->workers[w], w));
	for (uint32_t h = 0; h < p->helpers_n; h++)
		json_object_array_add(threads, thread_json(p->helpers[h], h));
	json_object_object_add(o, "threads", threads);
	return o;
}
