/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * round.c - see round.h. From top to bottom: receive and split, lay out and send, a round alone, a
 * round spread over the crew, what the worker calls.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "esp/esp.h"
#include "fib/fib.h"
#include "libxesp/line.h"
#include "port/ring.h"
#include "sad/sad.h"
#include "slow/slow.h"
#include "worker/crew.h"
#include "worker/intake.h"
#include "worker/round.h"
#include "xesp/fault.h"

#define IN_FLIGHT_MAX 2048u /* frames: what the pool can spare beside fill and transmit rings */
#define CHUNKS_MIN 16u
#define CHUNKS_A_MEMBER 4u

/* Descriptors on their way to one port, in order; the packets beside them are for the counters. */
struct tx_list {
	uint32_t n;
	struct xdp_desc desc[BATCH_MAX * UMEM_WIDE_CHUNKS];
	struct pkt *pkt[BATCH_MAX * UMEM_WIDE_CHUNKS];
};

static void free_frame(struct round *r, const struct pkt *p)
{
	uint64_t addr = (uint64_t)(p->head - r->o.pool->area);

	if (__builtin_expect(umem_is_wide(r->o.pool, addr), 0))
		umem_put_wide(r->o.pool, addr);
	else
		umem_put(r->o.pool, addr, UMEM_HAND);
}

/* The row has one writer, this thread, and readers in other threads and processes. */
static void count(__u64 *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static void count_drop(struct round *r, struct pkt *p, enum xesp_drop why)
{
	p->drop = why;
	esp_count_drop(r->o.esp, p, why);
}

/* One more piece of a frame that is put together. 0: it is not whole yet, or is lost. */
static unsigned int gather(struct round *r, struct port *port, const struct xdp_desc *d,
			   struct pkt *p)
{
	struct gather *g = &port->gather;
	unsigned int kind;

	switch (gather_add(g, r->o.pool, d)) {
	case GATHER_GOES_ON:
		return 0;
	case GATHER_LOST:
		count(&r->stats->drops[g->why], 1);
		return 0;
	case GATHER_WHOLE:
	default:
		break;
	}
	kind = intake_frame(p, r->o.pool->area + gather_frame(g), g->len, UMEM_WIDE);
	if (kind && p->len > XESP_MTU_MAX)
		p->drop = XESP_DROP_RX_TOO_BIG;
	if (!p->drop)
		return kind;
	count_drop(r, p, p->drop);
	free_frame(r, p);
	return 0;
}

static unsigned int take(struct round *r, const struct xdp_desc *d, struct pkt *p)
{
	unsigned int kind = intake_frame(p, r->o.pool->area + d->addr, d->len, UMEM_CHUNK);

	if (!kind) {
		count_drop(r, p, p->drop);
		free_frame(r, p);
	}
	return kind;
}

/* Makes packets of the frames and sorts them by what is to be done with them. */
static void split(struct round *r, struct port *port, const struct xdp_desc *desc, uint32_t n,
		  struct batch *by_dir[XESP_DIR_MAX])
{
	struct batch *encap = by_dir[XESP_DIR_OUT], *decap = by_dir[XESP_DIR_IN];
	uint32_t frames = 0;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < n; i++) {
		unsigned int kind;
		struct pkt p;

		bytes += desc[i].len;
		frames += !(desc[i].options & XDP_PKT_CONTD);
		if (__builtin_expect(gather_wants(&port->gather, &desc[i]), 0))
			kind = gather(r, port, &desc[i], &p);
		else
			kind = take(r, &desc[i], &p);
		if (kind == XESP_KIND_CLEAR)
			encap->pkt[encap->n++] = p;
		else if (kind == XESP_KIND_ESP)
			decap->pkt[decap->n++] = p;
	}
	count(&r->stats->rx_packets, frames);
	count(&r->stats->rx_bytes, bytes);
	count(&r->stats->batches, 1);
}

/* Gives the packet to the slow path, which copies it. */
static void hand_over(struct round *r, struct pkt *p, enum forward_to to)
{
	bool taken = true;

	switch (to) {
	case FORWARD_TUN:
		taken = slow_to_tun(r->o.slow, p);
		break;
	case FORWARD_WIRE:
		taken = slow_to_wire(r->o.slow, p);
		break;
	case FORWARD_TUNNEL:
		taken = slow_to_tunnel(r->o.slow, p);
		break;
	case FORWARD_TELL:
		/* Without a policy it is told through the tunnel it came by, or not at all. */
		if (p->onward)
			p->policy = 0;
		slow_tell_sender(r->o.slow, p);
		return;
	case FORWARD_FREE:
	case FORWARD_PORT:
	case FORWARD_ENCAP:
		return;
	}
	if (taken)
		count(&r->stats->slow_packets, 1);
	else
		count_drop(r, p, XESP_DROP_SLOW_PATH_FULL);
}

/* The descriptors of a packet with its Ethernet header; one, but for a packet in a wide buffer. */
static void list_packet(struct round *r, struct tx_list *tx, struct pkt *p, uint32_t l2_len)
{
	const uint64_t addr = (uint64_t)(p->l3 - l2_len - r->o.pool->area);
	const uint32_t len = p->len + l2_len;
	uint32_t n = 1;

	if (__builtin_expect(umem_is_wide(r->o.pool, addr), 0))
		n = gather_scatter(r->o.pool, addr, len, &tx->desc[tx->n]);
	else
		tx->desc[tx->n] = (struct xdp_desc){ .addr = addr, .len = len };
	while (n--)
		tx->pkt[tx->n++] = p;
}

/*
 * Lays the packets of a batch out by the port they leave through; returns these ports as bits. Those that go
 * into another tunnel are put aside in r->onward.
 */
static uint64_t lay_out(struct round *r, struct batch *b)
{
	uint64_t ports = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		const struct forward_out *out = &r->forward.out[i];
		struct pkt *p = &b->pkt[i];

		if (__builtin_expect(out->to == FORWARD_ENCAP, 0)) {
			r->onward.pkt[r->onward.n++] = *p;
			continue;
		}
		if (out->to != FORWARD_PORT) {
			hand_over(r, p, (enum forward_to)out->to);
			free_frame(r, p);
			continue;
		}
		list_packet(r, r->tx[out->port], p, out->l2_len);
		ports |= UINT64_C(1) << out->port;
	}
	return ports;
}

static void send_list(struct round *r, struct port *p, struct tx_list *tx)
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
		count_drop(r, tx->pkt[i], XESP_DROP_TX_FULL);
		free_frame(r, tx->pkt[i]);
	}
	count(&r->stats->tx_packets, frames);
	count(&r->stats->tx_bytes, bytes);
	tx->n = 0;
}

static void send_lists(struct round *r, uint64_t ports)
{
	for (; ports; ports &= ports - 1) {
		int number = __builtin_ctzll(ports);

		send_list(r, r->ports[number], r->tx[number]);
	}
}

/* ESP for a batch of cleartext, and the ways out for what it makes. */
static uint64_t encapsulate(struct round *r, struct batch *b)
{
	esp_encap(r->o.esp, b);
	forward_esp(&r->forward, b);
	return lay_out(r, b);
}

/* Run to completion: one batch from one port, to its end. */
static uint32_t serve_alone(struct round *r, struct port *p)
{
	struct batch *by_dir[] = { [XESP_DIR_IN] = &r->decap, [XESP_DIR_OUT] = &r->encap };
	struct xdp_desc desc[BATCH_MAX];
	uint64_t ports = 0;
	uint32_t n;

	n = ring_receive(p, desc, r->o.batch);
	if (!n)
		return 0;
	r->encap.n = 0;
	r->decap.n = 0;
	split(r, p, desc, n, by_dir);
	if (r->encap.n)
		ports |= encapsulate(r, &r->encap);
	if (r->decap.n) {
		esp_decap(r->o.esp, &r->decap);
		forward_clear(&r->forward, &r->decap);
		ports |= lay_out(r, &r->decap);
	}
	if (__builtin_expect(r->onward.n, 0)) {
		ports |= encapsulate(r, &r->onward);
		r->onward.n = 0;
	}
	send_lists(r, ports);
	ring_fill(p);
	return n;
}

/* ---- over many cores: dispatch.h */

/* Its place in the lane is free, and behind all that came before: the order of each flow stays. */
static void submit_onward(struct round *r, struct chunk *c)
{
	c->dir = XESP_DIR_OUT;
	c->batch.n = r->onward.n;
	memcpy(c->batch.pkt, r->onward.pkt, r->onward.n * sizeof(c->batch.pkt[0]));
	r->onward.n = 0;
	dispatch_submit(&r->dispatch, c);
}

/* Chunks that are done, in order, to their end. */
static bool finish_chunks(struct round *r)
{
	struct chunk *c;
	bool any = false;

	while ((c = dispatch_finish(&r->dispatch))) {
		if (c->dir == XESP_DIR_OUT)
			forward_esp(&r->forward, &c->batch);
		else
			forward_clear(&r->forward, &c->batch);
		send_lists(r, lay_out(r, &c->batch));
		if (__builtin_expect(r->onward.n, 0))
			submit_onward(r, c);
		else
			dispatch_put(&r->dispatch, c);
		any = true;
	}
	return any;
}

/* There is nothing else to do: one chunk of our own, or a moment's patience with who has it. */
static void do_own(struct round *r)
{
	if (dispatch_work(&r->dispatch))
		r->spins = 0;
	else
		dispatch_wait(&r->spins);
}

static void submit(struct round *r, struct chunk *c)
{
	if (c->batch.n)
		dispatch_submit(&r->dispatch, c);
	else
		dispatch_put(&r->dispatch, c);
}

static uint32_t serve_spread(struct round *r, struct port *p)
{
	struct xdp_desc desc[BATCH_MAX];
	struct batch *by_dir[XESP_DIR_MAX];
	struct chunk *in, *out;
	uint32_t n;

	if (finish_chunks(r))
		r->spins = 0;
	if (r->dispatch.free_n < XESP_DIR_MAX) {
		do_own(r);
		return 0;
	}
	n = ring_receive(p, desc, r->o.batch);
	if (!n)
		return 0;
	in = dispatch_take(&r->dispatch);
	out = dispatch_take(&r->dispatch);
	in->dir = XESP_DIR_IN;
	out->dir = XESP_DIR_OUT;
	by_dir[XESP_DIR_IN] = &in->batch;
	by_dir[XESP_DIR_OUT] = &out->batch;
	split(r, p, desc, n, by_dir);
	submit(r, out);
	submit(r, in);
	ring_fill(p);
	return n;
}

void round_flush(struct round *r)
{
	while (r->dispatch.chunks_n && dispatch_in_flight(&r->dispatch))
		if (!finish_chunks(r))
			do_own(r);
}

/* One batch from one port. Returns the number of descriptors received. */
static uint32_t serve_port(struct round *r, struct port *p)
{
	return load_is_spread(&r->load) ? serve_spread(r, p) : serve_alone(r, p);
}

uint32_t round_serve(struct round *r)
{
	uint32_t n = 0;
	bool full = false;

	for (uint32_t i = 0; i < r->list_n; i++) {
		const uint32_t got = serve_port(r, r->list[i]);

		full |= got == r->o.batch;
		n += got;
	}
	load_round(&r->load, n, full);
	if (__builtin_expect(r->dispatch.chunks_n && dispatch_in_flight(&r->dispatch), 0)) {
		/* Back alone: what is under way leaves first, for the order. */
		if (!load_is_spread(&r->load))
			round_flush(r);
		else if (!n && !finish_chunks(r))
			do_own(r);
		n++;
	}
	return n;
}

void round_quiescent(struct round *r)
{
	if (__builtin_expect(r->dispatch.chunks_n && dispatch_in_flight(&r->dispatch), 0))
		sad_quiescent_at(r->o.sad, r->o.index, dispatch_epoch(&r->dispatch));
	else
		sad_quiescent(r->o.sad, r->o.index);
	/* Next hops are looked up when chunks are finished: none is held. */
	fib_quiescent(r->o.fib, r->o.index);
}

void round_release(struct round *r, struct port *p)
{
	round_flush(r);
	while (serve_alone(r, p) == r->o.batch)
		;
}

/* ---- main thread */

/* Enough for every member to have some, as long as the frames last. */
static uint32_t chunks_for(uint32_t members, uint32_t batch)
{
	uint32_t n = members * CHUNKS_A_MEMBER;

	n = n < CHUNKS_MIN ? CHUNKS_MIN : n;
	n = n > LANE_SLOTS ? LANE_SLOTS : n;
	return n * batch > IN_FLIGHT_MAX ? IN_FLIGHT_MAX / batch : n;
}

int round_init(struct round *r, const struct round_opts *o, struct fault *f)
{
	r->o = *o;
	for (int i = 0; i < XESP_PORTS_MAX; i++) {
		r->tx[i] = line_alloc(sizeof(*r->tx[i]));
		if (!r->tx[i])
			return fault_set(f, -ENOMEM, "out of memory");
	}
	r->stats = esp_worker_stats(o->esp);
	r->forward.fib = o->fib;
	r->forward.esp = o->esp;
	r->forward.worker = o->index;
	load_init(&r->load, LOAD_NEVER);
	return 0;
}

int round_join(struct round *r, struct crew *crew, uint32_t members_n, struct fault *f)
{
	const struct dispatch_opts o = {
		.crew = crew,
		.sad = r->o.sad,
		.esp = r->o.esp,
		.lane = r->o.lane,
		.keys = r->o.index,
		.chunks_n = chunks_for(members_n, r->o.batch),
	};

	return dispatch_init(&r->dispatch, &o, f);
}

void round_fini(struct round *r)
{
	dispatch_fini(&r->dispatch);
	for (int i = 0; i < XESP_PORTS_MAX; i++)
		free(r->tx[i]);
}
