/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm_refused.h - of the kernel's SAs those that xespd has refused, and why.
 *
 * What a file or a transaction of ours says is done whole or not at all. The kernel's tables are
 * not ours to refuse: an SA of theirs that xespd does not take stays with the kernel, alone, and is
 * listed as unserved. It is remembered here, so that it is not offered again with each change of the
 * tables; a xespd that is started anew may be able to, so then all is forgotten. Main thread.
 */
#ifndef XESP_KEYD_XFRM_REFUSED_H
#define XESP_KEYD_XFRM_REFUSED_H

#include <stdbool.h>
#include <stddef.h>
#include "keyd/xfrm_entry.h"

struct sa;
struct sad;
struct xfrm_tables;

struct xfrm_refusal {
	struct xesp_addr dst;
	uint32_t spi; /* host byte order */
	uint8_t proto;
	uint64_t added; /* when the kernel got it: another one may have this SPI later */
	char reason[XFRM_REASON_MAX];
};

struct xfrm_refused {
	size_t n, room;
	struct xfrm_refusal *list;
};

/* False: it was known, or there is no memory. */
bool xfrm_refused_add(struct xfrm_refused *r, const struct sad *sad, const struct sa *sa);

/* The reason; NULL: it was not refused. */
const char *xfrm_refused_find(const struct xfrm_refused *r, const struct xfrm_state_entry *s);

/* Those that the kernel has no more. */
void xfrm_refused_prune(struct xfrm_refused *r, const struct xfrm_tables *t);

void xfrm_refused_fini(struct xfrm_refused *r);

#endif /* XESP_KEYD_XFRM_REFUSED_H */
