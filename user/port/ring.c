/* SPDX-License-Identifier: BSD-2-Clause */
/* ring.c - see ring.h. */
#include <errno.h>
#include <sys/socket.h>

#include "port/gather.h"
#include "port/port.h"
#include "port/ring.h"

/* Enough for a batch of 256 at the 32 frames a call that kernels without XDP_MAX_TX_SKB_BUDGET send. */
#define KICKS_MAX 9
#define SEND_TRIES 3
#define NAPI_ASK_ROUNDS 1024u

#ifndef SO_INCOMING_NAPI_ID
#define SO_INCOMING_NAPI_ID 56
#endif

/*
 * Here and below, loops over chunks work on copies of what they read again and again: a store to the bytes that say
 * where a chunk is might change anything else, for all the compiler knows.
 */
static void move_all(const struct umem_pool *pool, const struct xdp_desc *desc, uint32_t n, uint8_t from, uint8_t to)
{
	const struct umem_pool p = { .owner = pool->owner, .first = pool->first };

	for (uint32_t i = 0; i < n; i++)
		umem_move(&p, desc[i].addr, from, to);
}

/* There are as many free. */
static void fill_chunks(struct port *p, uint32_t idx, uint32_t n)
{
	const uint8_t owner = UMEM_RX(p->number);
	struct xsk_ring_prod fill = p->fill;
	struct umem_pool pool = *p->pool;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t addr = 0;

		umem_take(&pool, owner, &addr);
		*xsk_ring_prod__fill_addr(&fill, idx + i) = addr;
	}
	p->pool->free_n = pool.free_n;
}

void ring_fill(struct port *p)
{
	uint32_t n, idx;

	if (!p->spec.receives || p->rx_out >= p->fill_target)
		return;
	n = p->fill_target - p->rx_out;
	if (n > p->pool->free_n) {
		n = p->pool->free_n;
		/* Partner: port_lost(), main thread; nothing but the count is passed. */
		__atomic_store_n(&p->starved, p->starved + 1, __ATOMIC_RELAXED);
	}
	if (n && xsk_ring_prod__reserve(&p->fill, n, &idx) == n) {
		fill_chunks(p, idx, n);
		xsk_ring_prod__submit(&p->fill, n);
		p->rx_out += n;
	}
	if (xsk_ring_prod__needs_wakeup(&p->fill))
		ring_poll(p);
}

void ring_poll(struct port *p)
{
	recvfrom(p->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

/*
 * A socket learns the NAPI instance of its queue from the packets it receives. Some drivers have none to tell
 * (veth, on Linux 6.18), and recvfrom() then finds nothing to poll: with one after each empty look at the
 * rings a packet was seen to cost the gateway 100 to 200 ns more.
 */
bool ring_busy_poll(struct port *p)
{
	socklen_t len = sizeof(p->napi);

	if (p->napi) {
		ring_poll(p);
		return true;
	}
	if (p->napi_rounds++ % NAPI_ASK_ROUNDS)
		return false;
	if (getsockopt(p->fd, SOL_SOCKET, SO_INCOMING_NAPI_ID, &p->napi, &len))
		p->napi = 0;
	return true;
}

uint32_t ring_receive(struct port *p, struct xdp_desc *desc, uint32_t max)
{
	uint32_t idx, n = xsk_ring_cons__peek(&p->rx, max, &idx);
	const struct xsk_ring_cons rx = p->rx;

	for (uint32_t i = 0; i < n; i++)
		desc[i] = *xsk_ring_cons__rx_desc(&rx, idx + i);
	move_all(p->pool, desc, n, UMEM_RX(p->number), UMEM_HAND);
	if (n)
		xsk_ring_cons__release(&p->rx, n);
	p->rx_out -= n;
	return n;
}

bool ring_unsent(struct port *p)
{
	return p->tx_out && xsk_prod_nb_free(&p->tx, p->tx.size) < p->tx.size;
}

/*
 * EAGAIN means that the kernel has sent its budget and more is left, or that the device's queue is
 * full. The consumer index tells the two apart: while it moves, the kernel is worth another call.
 */
void ring_kick(struct port *p)
{
	for (int i = 0; i < KICKS_MAX && xsk_ring_prod__needs_wakeup(&p->tx); i++) {
		uint32_t before = __atomic_load_n(p->tx.consumer, __ATOMIC_RELAXED);

		if (sendto(p->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
			return;
		if (errno != EAGAIN && errno != EBUSY && errno != ENOBUFS) {
			p->tx_errno = errno;
			return;
		}
		if (__atomic_load_n(p->tx.consumer, __ATOMIC_RELAXED) == before)
			return;
	}
}

static uint32_t put_descs(struct port *p, const struct xdp_desc *desc, uint32_t n)
{
	uint32_t idx, room = xsk_prod_nb_free(&p->tx, n);
	struct xsk_ring_prod tx;

	if (n > room) {
		n = room;
		while (n && desc[n - 1].options & XDP_PKT_CONTD)
			n--;
	}
	if (!n || xsk_ring_prod__reserve(&p->tx, n, &idx) != n)
		return 0;
	move_all(p->pool, desc, n, UMEM_HAND, UMEM_TX(p->number));
	tx = p->tx;
	for (uint32_t i = 0; i < n; i++)
		*xsk_ring_prod__tx_desc(&tx, idx + i) = desc[i];
	xsk_ring_prod__submit(&p->tx, n);
	p->tx_out += n;
	return n;
}

uint32_t ring_send(struct port *p, const struct xdp_desc *desc, uint32_t n)
{
	uint32_t sent = 0;

	for (int i = 0; i < SEND_TRIES && sent < n; i++) {
		sent += put_descs(p, desc + sent, n - sent);
		ring_kick(p);
		ring_complete(p);
	}
	return sent;
}

static void put_chunks(const struct port *p, uint32_t idx, uint32_t n)
{
	const uint8_t owner = UMEM_TX(p->number);
	const struct xsk_ring_cons comp = p->comp;
	struct umem_pool pool = *p->pool;

	for (uint32_t i = 0; i < n; i++)
		umem_put(&pool, *xsk_ring_cons__comp_addr(&comp, idx + i), owner);
	*p->pool = pool;
}

void ring_complete(struct port *p)
{
	uint32_t idx = 0, n;

	if (!p->tx_out)
		return;
	n = xsk_ring_cons__peek(&p->comp, p->comp.size, &idx);
	put_chunks(p, idx, n);
	if (n)
		xsk_ring_cons__release(&p->comp, n);
	p->tx_out -= n;
}
