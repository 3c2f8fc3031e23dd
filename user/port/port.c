/* SPDX-License-Identifier: BSD-2-Clause */
/* port.c - see port.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_xdp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "libxesp/line.h"
#include "port/port.h"
#include "port/share.h"
#include "xesp/fault.h"
#include "xesp/steer.h"

/* Newer than Debian 12's headers. */
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif
#define TX_BUDGET 256 /* frames a sendto(2) may send in copy mode; the kernel's default is 32 */

static int set_busy_poll(const struct port *p, struct fault *f)
{
	const int on = 1, usecs = (int)p->spec.busy_poll_us, budget = (int)p->spec.batch;

	if (setsockopt(p->fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &on, sizeof(on)) ||
	    setsockopt(p->fd, SOL_SOCKET, SO_BUSY_POLL, &usecs, sizeof(usecs)) ||
	    setsockopt(p->fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof(budget)))
		return fault_set(f, -errno, "busy polling: %s; leave out --busy-poll",
				 strerror(errno));
	return 0;
}

int port_open(struct port **out, struct share *s, struct umem_pool *pool,
	      const struct port_spec *spec, struct fault *f)
{
	const int budget = TX_BUDGET;
	struct port *p = line_alloc(sizeof(*p));
	int err;

	if (!p)
		return fault_set(f, -ENOMEM, "out of memory");
	p->share = s;
	p->pool = pool;
	p->spec = *spec;
	p->number = spec->number;
	err = share_join(s, p, f);
	if (err)
		goto free_port;
	if (spec->busy_poll_us) {
		err = set_busy_poll(p, f);
		if (err)
			goto leave;
	}
	/* Only a saving of system calls, and only newer kernels have it: the answer is no matter. */
	setsockopt(p->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
	*out = p;
	return 0;

leave:
	share_leave(s, p);
free_port:
	free(p);
	return fault_in(f, err, "interface %s", spec->name);
}

void port_close(struct port *p)
{
	if (!p)
		return;
	share_leave(p->share, p);
	free(p);
}

static __u32 map_key(const struct port *p)
{
	return p->number * XESP_QUEUES_MAX + p->spec.queue;
}

int port_serve(struct port *p, struct fault *f)
{
	const __u32 key = map_key(p);

	if (!p->spec.receives)
		return 0;
	if (bpf_map_update_elem(p->spec.xsks_fd, &key, &p->fd, BPF_ANY))
		return fault_set(f, -errno, "interface %s: cannot put queue %u into xesp_xsks: %s",
				 p->spec.name, p->spec.queue, strerror(errno));
	return 0;
}

void port_unserve(struct port *p)
{
	const __u32 key = map_key(p);

	if (p->spec.receives)
		bpf_map_delete_elem(p->spec.xsks_fd, &key);
}

bool port_dead(const struct port *p)
{
	int err = 0;
	socklen_t len = sizeof(err);

	/* Kernels differ in whether poll() tells of it, but all leave ENETDOWN behind, once. */
	return __atomic_load_n(&p->dead, __ATOMIC_RELAXED) ||
	       (!getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &err, &len) && err);
}

void port_lost(struct port *p, struct port_lost *out)
{
	struct xdp_statistics now = { 0 };
	socklen_t len = sizeof(now);
	uint32_t starved = __atomic_load_n(&p->starved, __ATOMIC_RELAXED);
	uint64_t dropped, empty;

	memset(out, 0, sizeof(*out));
	if (getsockopt(p->fd, SOL_XDP, XDP_STATISTICS, &now, &len) || len < sizeof(now))
		return;
	dropped = now.rx_dropped - p->seen.rx_dropped;
	out->ring_full = now.rx_ring_full - p->seen.rx_ring_full;
	out->not_sent = now.tx_invalid_descs - p->seen.tx_invalid_descs;
	/*
	 * In copy mode a frame lost for an empty fill ring counts as dropped and as empty, or only as
	 * dropped when it needed several chunks; then no frame is too big, and nothing else dropped.
	 * In zero-copy mode the driver's vain attempts to refill count as empty, but lose nothing.
	 * The fill ring is empty because all its frames wait to be received, unless the pool is.
	 */
	empty = now.rx_fill_ring_empty_descs - p->seen.rx_fill_ring_empty_descs;
	if (p->zero_copy)
		empty = 0;
	else if (p->multi_buffer)
		empty = dropped;
	if (empty > dropped)
		empty = dropped;
	if (starved != p->starved_seen)
		out->no_frame = empty;
	else
		out->ring_full += empty;
	out->too_big = dropped - empty;
	p->starved_seen = starved;
	p->seen = now;
}
