/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * last.h - the records of dropped packets (xesp/dropped.h) out of both maps, of all CPUs and of all threads of xespd.
 */
#ifndef XESP_LAST_H
#define XESP_LAST_H

#include <stdbool.h>
#include <stdint.h>
#include "libxesp/pins.h"
#include "xesp/dropped.h"

struct fault;

/* A record, and whose it is. */
struct last {
	struct xesp_dropped d;
	bool xdp;
	uint32_t place; /* its CPU, or the number of xespd's thread */
};

struct last_list {
	uint32_t n, room;
	struct last *at; /* the caller frees it, also after an error */
};

/*
 * All whole records there are, oldest first. `seen`, of LAST_SEEN numbers, zero at first, leaves those out that were read
 * before. `cpus` is how many are possible.
 * -ENOENT  maps of before, or none of xespd's; -ENOMEM; -errno of bpf(2)
 */
#define LAST_SEEN(cpus) ((size_t)((cpus) + XESP_WORKERS_MAX) * XESP_DROP_SLOTS)
int last_read(struct last_list *l, const struct pins *p, uint32_t cpus, uint64_t *seen, struct fault *f);

#endif /* XESP_LAST_H */
