/* SPDX-License-Identifier: BSD-2-Clause */
/* nic.c - see nic.h. One thread plays both sides, so nothing here is atomic. */
#include <errno.h>
#include <stdlib.h>

#include "bench/nic.h"
#include "xesp/fault.h"

enum { RX, COMP, TX, FILL };

static void *set_up(struct nic *n, int ring, size_t size, __u32 **producer, __u32 **consumer, __u32 **flags)
{
	*producer = &n->at[ring].producer;
	*consumer = &n->at[ring].consumer;
	*flags = &n->at[ring].flags;
	return calloc(PORT_RING, size);
}

int nic_open(struct nic *n, struct umem_pool *pool, struct fault *f)
{
	struct port *p = &n->port;

	*n = (struct nic){ .pool = pool };
	p->pool = pool;
	p->fd = -1;
	p->fill_target = PORT_RING;
	p->spec.receives = p->spec.sends = true;
	p->rx.size = p->comp.size = p->tx.size = p->fill.size = PORT_RING;
	p->rx.mask = p->comp.mask = p->tx.mask = p->fill.mask = PORT_RING - 1;
	p->rx.ring = set_up(n, RX, sizeof(struct xdp_desc), &p->rx.producer, &p->rx.consumer, &p->rx.flags);
	p->comp.ring = set_up(n, COMP, sizeof(__u64), &p->comp.producer, &p->comp.consumer, &p->comp.flags);
	p->tx.ring = set_up(n, TX, sizeof(struct xdp_desc), &p->tx.producer, &p->tx.consumer, &p->tx.flags);
	p->fill.ring = set_up(n, FILL, sizeof(__u64), &p->fill.producer, &p->fill.consumer, &p->fill.flags);
	if (!p->rx.ring || !p->comp.ring || !p->tx.ring || !p->fill.ring)
		return fault_set(f, -ENOMEM, "out of memory");
	/* As xsk_ring_prod__*() want it: how far the other side has come, and the ring's size. */
	p->tx.cached_cons = p->fill.cached_cons = PORT_RING;
	return 0;
}

void nic_close(struct nic *n)
{
	free(n->port.rx.ring);
	free(n->port.comp.ring);
	free(n->port.tx.ring);
	free(n->port.fill.ring);
}

bool nic_take(struct nic *n, uint64_t *addr)
{
	const __u64 *ring = n->port.fill.ring;

	if (n->at[FILL].consumer == n->at[FILL].producer)
		return false;
	*addr = ring[n->at[FILL].consumer++ & (PORT_RING - 1)];
	return true;
}

void nic_receive(struct nic *n, uint64_t addr, uint32_t len)
{
	struct xdp_desc *ring = n->port.rx.ring;

	ring[n->at[RX].producer++ & (PORT_RING - 1)] = (struct xdp_desc){ .addr = addr, .len = len };
}

bool nic_sent(struct nic *n, struct xdp_desc *desc)
{
	const struct xdp_desc *ring = n->port.tx.ring;
	__u64 *comp = n->port.comp.ring;

	if (n->at[TX].consumer == n->at[TX].producer)
		return false;
	*desc = ring[n->at[TX].consumer++ & (PORT_RING - 1)];
	comp[n->at[COMP].producer++ & (PORT_RING - 1)] = desc->addr;
	return true;
}
