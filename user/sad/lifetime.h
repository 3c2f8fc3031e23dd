/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lifetime.h - the hard limits of an SA as workers keep them: RFC 4301 section 4.4.2.1.
 *
 * Not one packet goes beyond a limit, however many workers share the SA: what counts is taken from
 * the mapped state by atomic operations before the packet leaves (outbound) or is delivered
 * (inbound, and only when its ICV was good, so that a forger cannot end an SA). Bytes are those the
 * cipher was applied to, padding included. Once a limit was met the SA has ended for good, also for
 * a smaller packet, for other objects of it, and for xespd's successor: the state says so. keyd sees
 * it there and takes the key away. An SA without limits pays one comparison.
 */
#ifndef XESP_SAD_LIFETIME_H
#define XESP_SAD_LIFETIME_H

#include <stdbool.h>
#include <stdint.h>
#include "sad/sa.h"

/* Main thread, of an SA not yet published: its limits from the message. */
void lifetime_set(struct sa *sa, const struct xesp_keymsg_sa *m);

/* Any worker. Adds to what was used; false: that would be beyond a limit, and nothing was added. */
bool lifetime_take(const struct sa *sa, uint32_t packets, uint64_t bytes);

/* Would that be within the limits? Nothing is added. */
bool lifetime_has_room(const struct sa *sa, uint32_t packets, uint64_t bytes);

/* Any worker: its life is over. */
void lifetime_end(const struct sa *sa);

bool lifetime_look(const struct sa *sa, uint64_t now_ns);

/* Any worker. now_ns is CLOCK_BOOTTIME's. */
static inline bool lifetime_is_over(const struct sa *sa, uint64_t now_ns)
{
	return sa->life != SA_LIFE_UNLIMITED && lifetime_look(sa, now_ns);
}

#endif /* XESP_SAD_LIFETIME_H */
