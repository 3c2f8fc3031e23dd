/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cpus.h - outbound SAs that are one CPU's own, RFC 9611: which worker sends on which.
 *
 * A tunnel has an SA for all, and may have further ones for a CPU each, so that each CPU counts its own
 * sequence numbers. keyd names CPUs; a worker has the number of the CPU that it is pinned to, or, when it is
 * pinned to none, that of its queue. What the two have in common is settled here once, when a tunnel is
 * told: packets look into a table by worker. The slow path is on no CPU: it sends on the tunnel's SA for
 * all. Main thread; constant while there are tunnels.
 */
#ifndef XESP_SAD_CPUS_H
#define XESP_SAD_CPUS_H

#include <stdint.h>
#include "xesp/keymsg.h"

struct fault;

/* Embedded in the SAD. */
struct cpus {
	uint32_t workers_n; /* without the slow path, whose index it is */
	uint32_t of[XESP_WORKERS_MAX]; /* by worker */
};

/* Each worker has its queue's number. */
void cpus_init(struct cpus *c, uint32_t workers_n);

/*
 * *out: SA ids by worker, the slow path's too, 0 where a worker has none of its own; NULL: none has, and none is to
 * ask for one. The caller frees it. m->cpus_n struct xesp_keymsg_cpu follow `m`. Ids of SAs are below max_sas.
 * -EINVAL too many CPUs, one twice, or no such SA id; -ENOMEM
 */
int cpus_resolve(const struct cpus *c, const struct xesp_keymsg_tunnel *m, uint32_t max_sas, uint32_t **out,
		 struct fault *f);
/* The same table again; NULL of NULL. -ENOMEM */
int cpus_copy(const struct cpus *c, const uint32_t *by_worker, uint32_t **out);

#endif /* XESP_SAD_CPUS_H */
