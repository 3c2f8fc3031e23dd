/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * source.h - the address this machine sends from towards another, as the kernel chooses it.
 *
 * The choice depends on scopes, preferred sources, policy and RFC 6724: more than the mirror has,
 * and ICMP errors, which need it, are few. Main thread.
 */
#ifndef XESP_FIB_SOURCE_H
#define XESP_FIB_SOURCE_H

#include <stdbool.h>
#include "xesp/steer.h"

struct source {
	int fd4, fd6; /* UDP sockets, -1: the kernel lacks the family */
};

void source_open(struct source *s);
void source_close(struct source *s);

/* False: no route to dst. */
bool source_find(const struct source *s, const struct xesp_addr *dst, struct xesp_addr *src);

#endif /* XESP_FIB_SOURCE_H */
