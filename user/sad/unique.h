/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * unique.h - SAs that are for one combination of values: found by tunnel and values.
 *
 * Populate from packet, RFC 4301 section 4.4.2.2: a tunnel whose policies say so has an SA for each
 * host, protocol or port that its packets show. A hash table of lists; workers read it without
 * locks, and what is taken out is freed once they have let go of it. An SA that comes in addition to
 * one with the same values stands behind it: it sends from the moment on that the other is deleted,
 * and that is the switch of make-before-break.
 */
#ifndef XESP_UNIQUE_H
#define XESP_UNIQUE_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/keymsg.h"

struct epoch;
struct selector_key;
struct unique;

/* Embedded in the SAD. */
struct uniques {
	struct epoch *epoch;
	uint32_t max;           /* SA ids are below it */
	uint32_t mask;          /* lists - 1; a power of two */
	struct unique **list;   /* published */
	struct unique **by_sa;  /* main thread */
};

/* `epoch` is borrowed. -ENOMEM */
int uniques_init(struct uniques *u, struct epoch *epoch, uint32_t max_sas);
/* After epoch_fini(). */
void uniques_fini(struct uniques *u);

/* Main thread. The SA sends these values of the tunnel; its former ones, if any, no more. -ENOMEM */
int uniques_put(struct uniques *u, uint32_t tunnel, const struct xesp_values *v, uint32_t sa);
/* Main thread. No effect on an SA that is not in it. */
void uniques_drop(struct uniques *u, uint32_t sa);

/*
 * Any worker. The SAs with these values, oldest first: `after` is 0 or the SA that was returned
 * before. 0: there is none, or no other.
 */
uint32_t uniques_find(const struct uniques *u, uint32_t tunnel, const struct xesp_values *v,
		      uint32_t after);

/*
 * Of a packet, seen from this end, the values that the mask names. Not of what it does not show:
 * RFC 4301 section 4.4.2.2, "not avail.". False: the mask asks for such a one.
 */
bool unique_values(struct xesp_values *v, const struct selector_key *k, uint8_t mask);

/* May a packet with these come by an SA with those? RFC 4301 section 5.2 step 4. Of a later fragment
 * what it does not show is not asked for: the first one, without which it is of no use, was. */
bool unique_admits(const struct xesp_values *v, const struct selector_key *k);

bool unique_same(const struct xesp_values *a, const struct xesp_values *b);
uint32_t unique_hash(uint32_t tunnel, const struct xesp_values *v);

/* Are the mask's bits known ones, and is all that is not in it zero? */
bool unique_is_valid(const struct xesp_values *v);

#endif /* XESP_UNIQUE_H */
