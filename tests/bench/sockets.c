/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sockets.c - one queue over two cores, in the ways there are: a gateway on two interfaces that encapsulates all UDP.
 *
 *   alone      one AF_XDP socket and one thread
 *   dispatch   the same, and a second thread that does crypto, as xespd does it: worker/dispatch.h
 *   flow       two sockets on the queue, which share one UMEM, and a thread for each; XDP picks by the UDP source port
 *   turn       the same; XDP picks in turn, 32 packets each
 *
 *     sockets WAY ENGINE IN OUT MAC      until SIGTERM; MAC is where ESP is sent
 *
 * Two sockets of one queue have one fill ring, which takes a lock, once a batch. Each sends by a transmit queue of its own, so
 * that completion rings are not shared: sharing these, too, could only cost more. The first thread is on CPU 1, the
 * second on CPU 0. ESP, SA and numbers are the same for all: tests/pair, esp/.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/xsk.h>

#include "libxesp/arena.h"
#include "libxesp/line.h"
#include "port/umem.h"
#include "tests/bench/sockets.skel.h"
#include "tests/pair/pair.h"
#include "worker/crew.h"
#include "worker/dispatch.h"
#include "xesp/fault.h"

#define FRAMES 8192u
#define RING 2048u
#define BATCH 64u
#define CHUNKS 16u
#define THREADS 2u
#define ETH_LEN 14u
#define LEASE (1ull << 40)
#define KICKS_MAX 9
#define SEND_TRIES 3
#define IDLE_LOOKS 2000u
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif
#define TX_BUDGET 256
/* The kernel frees a predecessor's sockets a little after its end. */
#define BUSY_TRIES 100
#define BUSY_PAUSE_US 20000

enum way { ALONE, DISPATCH, FLOW, TURN, WAYS };
static const char *const way_names[WAYS] = { "alone", "dispatch", "flow", "turn" };

/* One thread's; on cache lines of its own. */
struct side {
	struct gateway *g;
	uint32_t index;
	struct xsk_ring_cons rx, comp;
	struct xsk_ring_prod tx, unused;
	struct xsk_socket *in, *out;
	struct esp_worker *esp;
	struct batch batch;
	uint64_t dropped;
	uint32_t sending, free_n;
	uint64_t free[FRAMES];
};

struct gateway {
	enum way way;
	uint32_t sides_n;
	uint8_t *area, eth[ETH_LEN];
	struct xsk_umem *umem;
	struct xsk_ring_prod fill;
	struct xsk_ring_cons unused;
	pthread_spinlock_t fill_lock;
	struct pair pair;
	struct side *side[THREADS];
	struct crew *crew;
	struct lane lane;
	struct dispatch dispatch;
	int wake_fd[THREADS];
};

static int stop; /* atomic: by a signal */

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "sockets: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(70);
}

static bool is_shared(const struct gateway *g)
{
	return g->sides_n > 1;
}

static bool stopped(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static void on_signal(int number)
{
	(void)number;
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
}

/* ---- rings, a batch at a time, as port/ring.c has them */

static void fill(struct side *s)
{
	struct xsk_ring_prod *fill = &s->g->fill;
	uint32_t n, idx;
	int wake;

	if (s->free_n < BATCH)
		return;
	if (is_shared(s->g))
		pthread_spin_lock(&s->g->fill_lock);
	n = xsk_prod_nb_free(fill, s->free_n);
	n = n < s->free_n ? n : s->free_n;
	if (n && xsk_ring_prod__reserve(fill, n, &idx) == n) {
		for (uint32_t i = 0; i < n; i++)
			*xsk_ring_prod__fill_addr(fill, idx + i) = s->free[--s->free_n];
		xsk_ring_prod__submit(fill, n);
	}
	wake = xsk_ring_prod__needs_wakeup(fill);
	if (is_shared(s->g))
		pthread_spin_unlock(&s->g->fill_lock);
	if (wake)
		recvfrom(xsk_socket__fd(s->in), NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static void give_back(struct side *s, uint64_t addr)
{
	s->free[s->free_n++] = addr & UMEM_CHUNK_MASK;
}

static void complete(struct side *s)
{
	uint32_t idx, n = s->sending ? xsk_ring_cons__peek(&s->comp, RING, &idx) : 0;

	for (uint32_t i = 0; i < n; i++)
		give_back(s, *xsk_ring_cons__comp_addr(&s->comp, idx + i));
	if (n)
		xsk_ring_cons__release(&s->comp, n);
	s->sending -= n;
}

static void kick(struct side *s)
{
	for (int i = 0; i < KICKS_MAX && xsk_ring_prod__needs_wakeup(&s->tx); i++) {
		const uint32_t before = __atomic_load_n(s->tx.consumer, __ATOMIC_RELAXED);

		if (sendto(xsk_socket__fd(s->out), NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0 ||
		    __atomic_load_n(s->tx.consumer, __ATOMIC_RELAXED) == before)
			return;
	}
}

static uint32_t receive(struct side *s, struct batch *b)
{
	uint32_t idx;

	b->n = xsk_ring_cons__peek(&s->rx, BATCH, &idx);
	for (uint32_t i = 0; i < b->n; i++) {
		const struct xdp_desc *d = xsk_ring_cons__rx_desc(&s->rx, idx + i);
		uint8_t *chunk = s->g->area + (d->addr & UMEM_CHUNK_MASK);

		b->pkt[i] = (struct pkt){ .l3 = s->g->area + d->addr + ETH_LEN,
					  .len = d->len - ETH_LEN,
					  .head = chunk + UMEM_L2_ROOM,
					  .end = chunk + UMEM_CHUNK,
					  .id = PAIR_TUNNEL_OUT,
					  .policy = PAIR_POLICY };
	}
	if (b->n)
		xsk_ring_cons__release(&s->rx, b->n);
	return b->n;
}

/* Returns how many were taken: all or none. */
static uint32_t put(struct side *s, const struct xdp_desc *desc, uint32_t n)
{
	uint32_t idx;

	if (xsk_ring_prod__reserve(&s->tx, n, &idx) != n)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		*xsk_ring_prod__tx_desc(&s->tx, idx + i) = desc[i];
	xsk_ring_prod__submit(&s->tx, n);
	s->sending += n;
	return n;
}

static void transmit(struct side *s, const struct batch *b)
{
	struct xdp_desc desc[BATCH];
	uint32_t n = 0, sent = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		const struct pkt *p = &b->pkt[i];

		if (p->drop) {
			s->dropped++;
			give_back(s, (uint64_t)(p->head - s->g->area));
			continue;
		}
		memcpy(p->l3 - ETH_LEN, s->g->eth, ETH_LEN);
		desc[n++] = (struct xdp_desc){ .addr = (uint64_t)(p->l3 - ETH_LEN - s->g->area), .len = p->len + ETH_LEN };
	}
	for (int i = 0; n && i < SEND_TRIES && !sent; i++) {
		sent = put(s, desc, n);
		kick(s);
		complete(s);
	}
	for (; sent < n; sent++) {
		s->dropped++;
		give_back(s, desc[sent].addr);
	}
}

/* ---- threads */

static void stay_on(uint32_t cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void sleep_until_work(struct side *s)
{
	struct pollfd p = { .fd = xsk_socket__fd(s->in), .events = POLLIN };

	complete(s);
	if (s->sending)
		kick(s);
	fill(s);
	sad_idle(s->g->pair.sad, s->index, true);
	poll(&p, 1, s->sending ? 1 : 100);
	sad_idle(s->g->pair.sad, s->index, false);
}

static void *serve(void *arg)
{
	struct side *s = arg;

	stay_on(1 - s->index);
	while (!stopped()) {
		if (!receive(s, &s->batch)) {
			sleep_until_work(s);
			continue;
		}
		esp_encap(s->esp, &s->batch);
		transmit(s, &s->batch);
		fill(s);
		sad_quiescent(s->g->pair.sad, s->index);
	}
	return NULL;
}

static void *help(void *arg)
{
	struct gateway *g = arg;
	struct pollfd p = { .fd = g->wake_fd[1], .events = POLLIN };
	uint32_t looks = 0;
	uint64_t n;

	stay_on(0);
	while (!stopped()) {
		if (crew_help(g->crew, 1)) {
			looks = 0;
			continue;
		}
		if (++looks < IDLE_LOOKS || !crew_lie_down(g->crew, 1))
			continue;
		if (poll(&p, 1, 100) > 0 && read(p.fd, &n, sizeof(n)) < 0)
			break;
		crew_get_up(g->crew, 1);
		looks = 0;
	}
	return NULL;
}

static bool finish(struct side *s)
{
	struct dispatch *d = &s->g->dispatch;
	bool any = false;

	for (struct chunk *c; (c = dispatch_finish(d)); any = true) {
		transmit(s, &c->batch);
		dispatch_put(d, c);
	}
	if (any)
		fill(s);
	return any;
}

static void own(struct side *s)
{
	struct dispatch *d = &s->g->dispatch;
	uint32_t spins = 0;

	stay_on(1);
	while (!stopped()) {
		const bool any = finish(s);
		struct chunk *c = dispatch_take(d);

		if (c && receive(s, &c->batch)) {
			c->dir = XESP_DIR_OUT;
			dispatch_submit(d, c);
			continue;
		}
		if (c)
			dispatch_put(d, c);
		if (!dispatch_in_flight(d)) {
			sad_quiescent(s->g->pair.sad, s->index);
			if (!any)
				sleep_until_work(s);
		} else {
			sad_quiescent_at(s->g->pair.sad, s->index, dispatch_epoch(d));
			if (!any && !dispatch_work(d))
				dispatch_wait(&spins);
		}
	}
}

/* ---- set up */

static void open_crew(struct gateway *g)
{
	struct dispatch_opts o = { .sad = g->pair.sad, .esp = g->side[0]->esp, .lane = &g->lane, .chunks_n = CHUNKS };

	if (crew_open(&g->crew, NULL))
		die("out of memory");
	for (uint32_t i = 0; i < THREADS; i++) {
		struct crew_member_opts m = { .keys = i, .lane = i ? NULL : &g->lane };

		m.wake_fd = g->wake_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (m.wake_fd < 0 || crew_join(g->crew, &m) < 0)
			die("eventfd: %s", strerror(errno));
	}
	o.crew = g->crew;
	if (dispatch_init(&g->dispatch, &o, NULL))
		die("out of memory");
}

static void open_umem(struct gateway *g)
{
	const struct xsk_umem_config cfg = { .fill_size = RING, .comp_size = RING, .frame_size = UMEM_CHUNK };
	int err;

	g->area = arena_map_huge((size_t)FRAMES * UMEM_CHUNK);
	if (!g->area)
		die("no memory for packets");
	err = xsk_umem__create(&g->umem, g->area, (size_t)FRAMES * UMEM_CHUNK, &g->fill, &g->unused, &cfg);
	if (err)
		die("UMEM: %s", strerror(-err));
	pthread_spin_init(&g->fill_lock, PTHREAD_PROCESS_PRIVATE);
}

/* All on queue 0 of `in`, whose first socket registered the UMEM; and each by a queue of its own out. */
static void open_side(struct gateway *g, uint32_t index, const char *in, const char *out)
{
	const struct xsk_socket_config cfg = { .rx_size = RING, .tx_size = RING,
					       .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
					       .bind_flags = XDP_USE_NEED_WAKEUP | XDP_COPY };
	struct side *s = line_alloc(sizeof(*s));
	const int budget = TX_BUDGET;
	int err = -EBUSY;

	if (!s)
		die("out of memory");
	s->g = g;
	s->index = index;
	g->side[index] = s;
	for (int i = 0; i < BUSY_TRIES && err == -EBUSY; i++) {
		if (i)
			usleep(BUSY_PAUSE_US);
		err = xsk_socket__create_shared(&s->in, in, 0, g->umem, &s->rx, NULL, &g->fill, &g->unused, &cfg);
	}
	if (err)
		die("%s: socket %u of queue 0: %s", in, index, strerror(-err));
	err = xsk_socket__create_shared(&s->out, out, index, g->umem, NULL, &s->tx, &s->unused, &s->comp, &cfg);
	if (err)
		die("%s: queue %u: %s", out, index, strerror(-err));
	setsockopt(xsk_socket__fd(s->out), SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
	for (uint64_t i = index; i < FRAMES; i += g->sides_n)
		s->free[s->free_n++] = i * UMEM_CHUNK;
	if (esp_worker_open(&s->esp, g->pair.sad, index, NULL))
		die("out of memory");
}

static void attach(struct gateway *g, const char *in)
{
	struct sockets *skel = sockets__open();

	if (!skel)
		die("cannot open the program: %s", strerror(errno));
	skel->rodata->sockets_n = g->sides_n;
	skel->rodata->in_turn = g->way == TURN;
	if (sockets__load(skel))
		die("cannot load the program: %s", strerror(errno));
	for (uint32_t i = 0; i < g->sides_n; i++) {
		const int fd = xsk_socket__fd(g->side[i]->in);

		if (bpf_map_update_elem(bpf_map__fd(skel->maps.sockets), &i, &fd, BPF_ANY))
			die("cannot enter socket %u: %s", i, strerror(errno));
	}
	/* Goes with the namespace. */
	if (bpf_xdp_attach((int)if_nametoindex(in), bpf_program__fd(skel->progs.sockets_pick), XDP_FLAGS_DRV_MODE, NULL))
		die("%s: cannot attach: %s", in, strerror(errno));
}

static void parse(struct gateway *g, char **argv)
{
	unsigned int m[6];

	for (g->way = 0; g->way < WAYS && strcmp(argv[1], way_names[g->way]);)
		g->way++;
	if (g->way == WAYS || sscanf(argv[5], "%x:%x:%x:%x:%x:%x", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6)
		die("WAY is alone, dispatch, flow or turn; MAC six octets");
	for (int i = 0; i < 6; i++)
		g->eth[i] = (uint8_t)m[i];
	g->eth[6] = 2;
	g->eth[12] = 8;
	g->sides_n = g->way >= FLOW ? THREADS : 1;
	if (!strcmp(argv[2], "ipsec-mb") && !pair_use_ipsecmb())
		exit(77);
}

int main(int argc, char **argv)
{
	const struct pair_opts o = { .esn = true, .lease = LEASE };
	struct gateway *g = line_alloc(sizeof(*g));
	pthread_t second;

	if (argc != 6 || !g)
		die("usage: sockets WAY ENGINE IN OUT MAC");
	parse(g, argv);
	pair_open(&g->pair, &o);
	open_umem(g);
	for (uint32_t i = 0; i < g->sides_n; i++)
		open_side(g, i, argv[3], argv[4]);
	if (g->way == DISPATCH)
		open_crew(g);
	fill(g->side[0]);
	attach(g, argv[3]);
	signal(SIGTERM, on_signal);
	puts("ready");
	fflush(stdout);
	if (is_shared(g))
		pthread_create(&second, NULL, serve, g->side[1]);
	else if (g->way == DISPATCH)
		pthread_create(&second, NULL, help, g);
	if (g->way == DISPATCH)
		own(g->side[0]);
	else
		serve(g->side[0]);
	if (g->way != ALONE)
		pthread_join(second, NULL);
	for (uint32_t i = 0; i < g->sides_n; i++)
		if (g->side[i]->dropped)
			die("thread %u dropped %llu packets", i, (unsigned long long)g->side[i]->dropped);
	return 0;
}
