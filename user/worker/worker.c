/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker.c - see worker.h. From top to bottom: a round over one port (receive, split, transform,
 * route, send), the idle sleep, the instructions of the main thread, start and end.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "esp/esp.h"
#include "fib/fib.h"
#include "port/port.h"
#include "port/ring.h"
#include "sad/sad.h"
#include "slow/slow.h"
#include "worker/forward.h"
#include "worker/intake.h"
#include "worker/worker.h"
#include "xesp/fault.h"
#include "xesp/log.h"

#define STACK_BYTES (512u << 10)
#define SLEEP_MS 1000
#define SLEEP_UNSENT_MS 1 /* the kernel would not take all: ask it again soon */
#define ANSWER_MS 10000
#define DRAIN_TRIES 100
#define DRAIN_PAUSE_NS 200000

enum order { ORDER_ADOPT, ORDER_RELEASE, ORDER_RECLAIM, ORDER_STOP };

struct instruction {
	enum order order;
	struct port *port;
	uint32_t retired; /* answer of ORDER_RELEASE */
};

/* Descriptors on their way to one port, in order; the packets beside them are for the counters. */
struct tx_list {
	uint32_t n;
	struct xdp_desc desc[BATCH_MAX * UMEM_WIDE_CHUNKS];
	struct pkt *pkt[BATCH_MAX * UMEM_WIDE_CHUNKS];
};

struct worker {
	struct worker_opts o;
	struct esp_worker *esp;
	struct xesp_worker_stats *stats;
	struct forward forward;
	struct port *ports[XESP_PORTS_MAX]; /* by port number, NULL where there is none */
	struct port *list[XESP_PORTS_MAX];  /* the same, without gaps */
	uint32_t list_n;
	struct pollfd poll[XESP_PORTS_MAX + 1]; /* the last entry in use is wake_fd */
	struct batch encap, decap;
	struct tx_list *tx[XESP_PORTS_MAX];
	/* Written by the main thread (release), taken by the worker (acquire) and set to NULL. */
	struct instruction *instruction;
	int wake_fd, done_fd; /* eventfds: main -> worker, worker -> main */
	bool stopping;
	pthread_t thread;
};

static void free_frame(struct worker *w, const struct pkt *p)
{
	uint64_t addr = (uint64_t)(p->head - w->o.pool->area);

	if (__builtin_expect(umem_is_wide(w->o.pool, addr), 0))
		umem_put_wide(w->o.pool, addr);
	else
		umem_put(w->o.pool, addr, UMEM_HAND);
}

/* The row has one writer, this thread, and readers in other threads and processes. */
static void count(__u64 *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static void count_drop(struct worker *w, struct pkt *p, enum xesp_drop why)
{
	p->drop = why;
	esp_count_drop(w->esp, p, why);
}

/* One more piece of a frame that is put together. 0: it is not whole yet, or is lost. */
static unsigned int gather(struct worker *w, struct port *port, const struct xdp_desc *d,
			   struct pkt *p)
{
	struct gather *g = &port->gather;
	unsigned int kind;

	switch (gather_add(g, w->o.pool, d)) {
	case GATHER_GOES_ON:
		return 0;
	case GATHER_LOST:
		count(&w->stats->drops[g->why], 1);
		return 0;
	case GATHER_WHOLE:
	default:
		break;
	}
	kind = intake_frame(p, w->o.pool->area + gather_frame(g), g->len, UMEM_WIDE);
	if (kind && p->len > XESP_MTU_MAX)
		p->drop = XESP_DROP_RX_TOO_BIG;
	if (!p->drop)
		return kind;
	count_drop(w, p, p->drop);
	free_frame(w, p);
	return 0;
}

static unsigned int take(struct worker *w, const struct xdp_desc *d, struct pkt *p)
{
	unsigned int kind = intake_frame(p, w->o.pool->area + d->addr, d->len, UMEM_CHUNK);

	if (!kind) {
		count_drop(w, p, p->drop);
		free_frame(w, p);
	}
	return kind;
}

/* Makes packets of the frames and sorts them by what is to be done with them. */
static void split(struct worker *w, struct port *port, const struct xdp_desc *desc, uint32_t n)
{
	uint32_t frames = 0;
	uint64_t bytes = 0;

	w->encap.n = 0;
	w->decap.n = 0;
	for (uint32_t i = 0; i < n; i++) {
		unsigned int kind;
		struct pkt p;

		bytes += desc[i].len;
		frames += !(desc[i].options & XDP_PKT_CONTD);
		if (__builtin_expect(gather_wants(&port->gather, &desc[i]), 0))
			kind = gather(w, port, &desc[i], &p);
		else
			kind = take(w, &desc[i], &p);
		if (kind == XESP_KIND_CLEAR)
			w->encap.pkt[w->encap.n++] = p;
		else if (kind == XESP_KIND_ESP)
			w->decap.pkt[w->decap.n++] = p;
	}
	count(&w->stats->rx_packets, frames);
	count(&w->stats->rx_bytes, bytes);
	count(&w->stats->batches, 1);
}

/* Gives the packet to the slow path, which copies it. */
static void hand_over(struct worker *w, struct pkt *p, enum forward_to to)
{
	bool taken = true;

	switch (to) {
	case FORWARD_TUN:
		taken = slow_to_tun(w->o.slow, p);
		break;
	case FORWARD_WIRE:
		taken = slow_to_wire(w->o.slow, p);
		break;
	case FORWARD_TUNNEL:
		taken = slow_to_tunnel(w->o.slow, p);
		break;
	case FORWARD_TELL:
		slow_tell_sender(w->o.slow, p);
		return;
	case FORWARD_FREE:
	case FORWARD_PORT:
		return;
	}
	if (taken)
		count(&w->stats->slow_packets, 1);
	else
		count_drop(w, p, XESP_DROP_SLOW_PATH_FULL);
}

/* The descriptors of a packet with its Ethernet header; one, but for a packet in a wide buffer. */
static void list_packet(struct worker *w, struct tx_list *tx, struct pkt *p, uint32_t l2_len)
{
	const uint64_t addr = (uint64_t)(p->l3 - l2_len - w->o.pool->area);
	const uint32_t len = p->len + l2_len;
	uint32_t n = 1;

	if (__builtin_expect(umem_is_wide(w->o.pool, addr), 0))
		n = gather_scatter(w->o.pool, addr, len, &tx->desc[tx->n]);
	else
		tx->desc[tx->n] = (struct xdp_desc){ .addr = addr, .len = len };
	while (n--)
		tx->pkt[tx->n++] = p;
}

/* Lays the packets of a batch out by the port they leave through; returns these ports as bits. */
static uint64_t lay_out(struct worker *w, struct batch *b)
{
	uint64_t ports = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		const struct forward_out *out = &w->forward.out[i];
		struct pkt *p = &b->pkt[i];

		if (out->to != FORWARD_PORT) {
			hand_over(w, p, (enum forward_to)out->to);
			free_frame(w, p);
			continue;
		}
		list_packet(w, w->tx[out->port], p, out->l2_len);
		ports |= UINT64_C(1) << out->port;
	}
	return ports;
}

static void send_list(struct worker *w, struct port *p, struct tx_list *tx)
{
	uint32_t i, sent = ring_send(p, tx->desc, tx->n), frames = 0;
	uint64_t bytes = 0;

	for (i = 0; i < sent; i++) {
		bytes += tx->desc[i].len;
		frames += !(tx->desc[i].options & XDP_PKT_CONTD);
	}
	for (; i < tx->n; i++) {
		if (tx->desc[i].options & XDP_PKT_CONTD)
			continue;
		count_drop(w, tx->pkt[i], XESP_DROP_TX_FULL);
		free_frame(w, tx->pkt[i]);
	}
	count(&w->stats->tx_packets, frames);
	count(&w->stats->tx_bytes, bytes);
	tx->n = 0;
}

static void send_lists(struct worker *w, uint64_t ports)
{
	for (; ports; ports &= ports - 1) {
		int number = __builtin_ctzll(ports);

		send_list(w, w->ports[number], w->tx[number]);
	}
}

/* One batch from one port, to its end. Returns the number of descriptors received. */
static uint32_t serve_port(struct worker *w, struct port *p)
{
	struct xdp_desc desc[BATCH_MAX];
	uint64_t ports = 0;
	uint32_t n;

	n = ring_receive(p, desc, w->o.batch);
	if (!n)
		return 0;
	split(w, p, desc, n);
	if (w->encap.n) {
		esp_encap(w->esp, &w->encap);
		forward_esp(&w->forward, &w->encap);
		ports |= lay_out(w, &w->encap);
	}
	if (w->decap.n) {
		esp_decap(w->esp, &w->decap);
		forward_clear(&w->forward, &w->decap);
		ports |= lay_out(w, &w->decap);
	}
	send_lists(w, ports);
	ring_fill(p);
	return n;
}

static uint32_t serve_ports(struct worker *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->list_n; i++)
		n += serve_port(w, w->list[i]);
	return n;
}

/* Nothing was received: what was sent is completed, and what was not is sent. True: some is left. */
static bool tidy_up(struct worker *w)
{
	bool unsent = false;

	for (uint32_t i = 0; i < w->list_n; i++) {
		struct port *p = w->list[i];

		ring_complete(p);
		if (ring_unsent(p)) {
			ring_kick(p);
			ring_complete(p);
			unsent |= ring_unsent(p);
		}
		ring_fill(p);
	}
	return unsent;
}

/* The interface is gone. Its socket would be ready for ever: it is not asked again. */
static void set_dead(struct worker *w, uint32_t i)
{
	w->poll[i].fd = -1;
	/* Partner: port_dead(), main thread; nothing but the flag is passed. */
	__atomic_store_n(&w->list[i]->dead, true, __ATOMIC_RELAXED);
}

static void sleep_until_work(struct worker *w, bool unsent)
{
	uint64_t count;

	int n;

	sad_idle(w->o.sad, w->o.index, true);
	fib_idle(w->o.fib, w->o.index, true);
	n = poll(w->poll, w->list_n + 1, unsent ? SLEEP_UNSENT_MS : SLEEP_MS);
	fib_idle(w->o.fib, w->o.index, false);
	sad_idle(w->o.sad, w->o.index, false);
	if (n <= 0)
		return;
	if (w->poll[w->list_n].revents && read(w->wake_fd, &count, sizeof(count)) < 0)
		count = 0; /* nothing to read is as good as read */
	for (uint32_t i = 0; i < w->list_n; i++)
		if (w->poll[i].revents & POLLERR)
			set_dead(w, i);
}

static void poll_devices(struct worker *w)
{
	for (uint32_t i = 0; i < w->list_n; i++)
		ring_busy_poll(w->list[i]);
}

static void list_ports(struct worker *w)
{
	uint32_t n = 0, most;

	for (int i = 0; i < XESP_PORTS_MAX; i++)
		if (w->ports[i])
			w->list[n++] = w->ports[i];
	w->list_n = n;
	/* A third of the pool is for transmission; the rest is shared among the fill rings. */
	most = n ? w->o.pool->frames_n / 3 * 2 / n : 0;
	for (uint32_t i = 0; i < n; i++) {
		w->list[i]->fill_target = most < PORT_RING ? most : PORT_RING;
		w->poll[i] = (struct pollfd){ .fd = w->list[i]->fd, .events = POLLIN };
	}
	w->poll[n] = (struct pollfd){ .fd = w->wake_fd, .events = POLLIN };
}

static void adopt(struct worker *w, struct port *p)
{
	w->ports[p->number] = p;
	w->forward.may[p->number] = (uint8_t)((p->spec.sends ? FORWARD_MAY_SEND : 0) |
					      (p->multi_buffer ? FORWARD_MAY_SPLIT : 0) |
					      (p->spec.role & XESP_ROLE_INNER ? FORWARD_MAY_CLEAR : 0));
	list_ports(w);
	ring_fill(p);
}

static uint32_t let_go(struct worker *w, struct port *p)
{
	const struct timespec pause = { .tv_nsec = DRAIN_PAUSE_NS };

	/* XDP sends nothing more here; what has arrived is still served. */
	while (serve_port(w, p) == w->o.batch)
		;
	for (int i = 0; i < DRAIN_TRIES && p->tx_out; i++) {
		ring_kick(p);
		ring_complete(p);
		if (p->tx_out)
			nanosleep(&pause, NULL);
	}
	gather_abandon(&p->gather, w->o.pool);
	w->ports[p->number] = NULL;
	w->forward.may[p->number] = 0;
	list_ports(w);
	return umem_abandon(w->o.pool, p->number);
}

static void follow_instruction(struct worker *w)
{
	struct instruction *in = __atomic_load_n(&w->instruction, __ATOMIC_ACQUIRE);
	const uint64_t one = 1;

	if (!in)
		return;
	switch (in->order) {
	case ORDER_ADOPT:
		adopt(w, in->port);
		break;
	case ORDER_RELEASE:
		in->retired = let_go(w, in->port);
		break;
	case ORDER_RECLAIM:
		umem_reclaim(w->o.pool);
		break;
	case ORDER_STOP:
		w->stopping = true;
		break;
	}
	__atomic_store_n(&w->instruction, NULL, __ATOMIC_RELEASE);
	if (write(w->done_fd, &one, sizeof(one)) < 0)
		log_fatal("worker %u: cannot answer: %s", w->o.index, strerror(errno));
}

static void *run(void *arg)
{
	struct worker *w = arg;
	char name[16];

	/* By the thread itself: for another one it takes a file opened for writing. */
	snprintf(name, sizeof(name), "xespd-w%u", w->o.index);
	pthread_setname_np(pthread_self(), name);
	sad_idle(w->o.sad, w->o.index, false);
	fib_idle(w->o.fib, w->o.index, false);
	while (!w->stopping) {
		uint32_t n;

		follow_instruction(w);
		n = serve_ports(w);
		sad_quiescent(w->o.sad, w->o.index);
		fib_quiescent(w->o.fib, w->o.index);
		if (n)
			continue;
		if (w->o.busy_poll) {
			tidy_up(w);
			poll_devices(w);
		} else {
			sleep_until_work(w, tidy_up(w));
		}
	}
	sad_idle(w->o.sad, w->o.index, true);
	fib_idle(w->o.fib, w->o.index, true);
	return NULL;
}

/* ---- main thread */

static uint32_t instruct(struct worker *w, enum order order, struct port *port)
{
	struct instruction in = { .order = order, .port = port };
	struct pollfd done = { .fd = w->done_fd, .events = POLLIN };
	uint64_t count = 1;
	int n;

	__atomic_store_n(&w->instruction, &in, __ATOMIC_RELEASE);
	if (write(w->wake_fd, &count, sizeof(count)) < 0)
		log_fatal("worker %u: cannot wake it: %s", w->o.index, strerror(errno));
	do
		n = poll(&done, 1, ANSWER_MS);
	while (n < 0 && errno == EINTR);
	if (n <= 0 || read(w->done_fd, &count, sizeof(count)) < 0)
		log_fatal("worker %u: no answer within %d s", w->o.index, ANSWER_MS / 1000);
	return in.retired;
}

void worker_adopt(struct worker *w, struct port *p)
{
	instruct(w, ORDER_ADOPT, p);
}

uint32_t worker_release(struct worker *w, struct port *p)
{
	return instruct(w, ORDER_RELEASE, p);
}

void worker_reclaim(struct worker *w)
{
	instruct(w, ORDER_RECLAIM, NULL);
}

static int start_thread(struct worker *w)
{
	pthread_attr_t attr;
	sigset_t all, before;
	cpu_set_t cpu;
	int err;

	err = pthread_attr_init(&attr);
	if (err)
		return -err;
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (w->o.cpu >= 0) {
		CPU_ZERO(&cpu);
		CPU_SET((size_t)w->o.cpu, &cpu);
		pthread_attr_setaffinity_np(&attr, sizeof(cpu), &cpu);
	}
	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&w->thread, &attr, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -err;
}

static void free_worker(struct worker *w)
{
	for (int i = 0; i < XESP_PORTS_MAX; i++)
		free(w->tx[i]);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	if (w->done_fd >= 0)
		close(w->done_fd);
	esp_worker_close(w->esp);
	free(w);
}

int worker_open(struct worker **out, const struct worker_opts *o, struct fault *f)
{
	struct worker *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return fault_set(f, -ENOMEM, "out of memory");
	w->o = *o;
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->done_fd = eventfd(0, EFD_CLOEXEC);
	if (w->wake_fd < 0 || w->done_fd < 0) {
		err = fault_set(f, -errno, "eventfd: %s", strerror(errno));
		goto free_worker;
	}
	for (int i = 0; i < XESP_PORTS_MAX; i++) {
		w->tx[i] = calloc(1, sizeof(*w->tx[i]));
		if (!w->tx[i]) {
			err = fault_set(f, -ENOMEM, "out of memory");
			goto free_worker;
		}
	}
	err = esp_worker_open(&w->esp, o->sad, o->index, f);
	if (err)
		goto free_worker;
	w->stats = esp_worker_stats(w->esp);
	w->forward.fib = o->fib;
	w->forward.esp = w->esp;
	w->forward.worker = o->index;
	list_ports(w);
	err = start_thread(w);
	if (err) {
		fault_set(f, err, "cannot start a thread: %s", strerror(-err));
		goto free_worker;
	}
	*out = w;
	return 0;

free_worker:
	free_worker(w);
	return fault_in(f, err, "worker %u", o->index);
}

static bool count_frames(const struct worker *w)
{
	uint32_t by_owner[UMEM_OWNERS];
	bool sound = umem_census(w->o.pool, by_owner);
	const uint32_t known = by_owner[UMEM_FREE] + by_owner[UMEM_QUARANTINE] +
			       by_owner[UMEM_RETIRED];

	sound = sound && known == umem_chunks(w->o.pool);
	if (sound)
		log_debug("worker %u: %u frames, all accounted for", w->o.index, known);
	else
		log_error("worker %u: %u frames, but %u free, %u quarantined, %u retired, %u in hand",
			  w->o.index, umem_chunks(w->o.pool), by_owner[UMEM_FREE],
			  by_owner[UMEM_QUARANTINE], by_owner[UMEM_RETIRED], by_owner[UMEM_HAND]);
	return sound;
}

bool worker_close(struct worker *w)
{
	bool sound;

	if (!w)
		return true;
	instruct(w, ORDER_STOP, NULL);
	pthread_join(w->thread, NULL);
	sound = count_frames(w);
	free_worker(w);
	return sound;
}
