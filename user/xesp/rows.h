/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows.h - an interface's rows in the maps xesp_ifaces (its port and role) and xesp_xsks.
 */
#ifndef XESP_ROWS_H
#define XESP_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "xesp/steer.h"

struct attachment_list;
struct fault;
struct iface;
struct xesp_iface;

struct rows {
	int ifaces_fd, xsks_fd;
};

/*
 * Gives the interface the lowest free port, or keeps the one it has. *made: it had none.
 * -ENOSPC  XESP_PORTS_MAX interfaces are attached already
 */
int rows_add(const struct rows *r, const struct iface *i, bool *made, struct fault *f);

/* False: no row. */
bool rows_find(const struct rows *r, uint32_t ifindex, struct xesp_iface *out);

/* Nothing happens when there is no row. */
void rows_remove(const struct rows *r, uint32_t ifindex);

/*
 * Interfaces that have a row and nothing of ours attached: how many. They are gone, when libxdp's dispatcher
 * was what was attached, for then nothing else is left of it; or they are in another network namespace.
 */
unsigned int rows_without(const struct rows *r, const struct attachment_list *l,
			  uint32_t ifindex[XESP_PORTS_MAX]);

/* Removes these rows, and says how many. */
unsigned int rows_sweep(const struct rows *r, const struct attachment_list *l);

#endif /* XESP_ROWS_H */
