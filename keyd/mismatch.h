/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mismatch.h - why a policy does not mean a packet: for people, never for a verdict.
 *
 * Verdicts come from the search of the published SPD (xesp/spd_search.h). This walks the list as it is
 * configured, names what differs, and so notices when the two disagree. Main thread.
 */
#ifndef XESP_KEYD_MISMATCH_H
#define XESP_KEYD_MISMATCH_H

#include <stdint.h>

struct policy;
struct spd;
struct spd_query;

/*
 * What of the policy the packet does not have: MISMATCH_NONE, or the first in this order. The ports are
 * what selector.h has in their place, too.
 */
enum mismatch {
	MISMATCH_NONE,
	MISMATCH_DIRECTION,
	MISMATCH_LOCAL,
	MISMATCH_REMOTE,
	MISMATCH_PROTOCOL,
	MISMATCH_LOCAL_PORTS,
	MISMATCH_REMOTE_PORTS,
};

/* Not for later fragments: q->fields is KNOWN or NONE. */
enum mismatch mismatch_of(const struct policy *p, const struct spd_query *q);

/* Position of the first policy that means the packet; spd->n: none does. */
uint32_t mismatch_first(const struct spd *spd, const struct spd_query *q);

/* The configuration's key for it: "local", "icmp_type". */
const char *mismatch_key(enum mismatch what, uint8_t proto);

#endif /* XESP_KEYD_MISMATCH_H */
