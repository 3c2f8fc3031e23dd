/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm_lent.h - of the kernel's SAs those that xesp leaves to it for a while, to have a peer's move told.
 *
 * Why it exists: behind a NAT a peer's address or port changes when the NAT forgets it. The IKE daemon updates its
 * SAs when the kernel says that authenticated ESP in UDP came from elsewhere (XFRM_MSG_MAPPING), and it
 * believes the kernel alone. So an inbound SA whose packets xespd has seen come from elsewhere is the kernel's,
 * packets and all, until the daemon has updated it, or LENT_MS are over; then not again before QUIET_MS are.
 * Pure; times are CLOCK_MONOTONIC in milliseconds. Main thread.
 */
#ifndef XESP_KEYD_XFRM_LENT_H
#define XESP_KEYD_XFRM_LENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "keyd/xfrm_entry.h"

#define XFRM_LENT_MS 3000u
#define XFRM_QUIET_MS 60000u

struct sa;
struct tunnel;

struct xfrm_loan {
	struct xesp_addr src, dst; /* outer */
	uint32_t spi;              /* host byte order */
	uint16_t sport;            /* of the peer, host byte order: as the kernel has it, before it learns */
	uint64_t began_ms;
};

struct xfrm_lent {
	size_t n, room;
	struct xfrm_loan *list;
};

/* An inbound SA of this tunnel. False: it is or was lent lately, or there is no memory. */
bool xfrm_lent_add(struct xfrm_lent *l, const struct tunnel *t, const struct sa *sa, uint64_t now_ms);

/* Is it lent now? Updated, with another address or port, it is another one. */
bool xfrm_lent_has(const struct xfrm_lent *l, const struct xfrm_state_entry *s, uint64_t now_ms);

/* Forgets what has been quiet long enough. */
void xfrm_lent_prune(struct xfrm_lent *l, uint64_t now_ms);

void xfrm_lent_fini(struct xfrm_lent *l);

#endif /* XESP_KEYD_XFRM_LENT_H */
