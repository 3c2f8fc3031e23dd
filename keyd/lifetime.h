/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lifetime.h - how far each SA has got with its life, looked at once a second.
 *
 * What was used stands in xesp_sa_state, where the workers count it and end an SA at its hard limit
 * themselves (user/sad/lifetime.h). keyd sees it there: at a soft limit it says so once, at a hard
 * one it wipes the key, here and at xespd, and keeps the SA without one, so that its packets are
 * dropped under their own reason. From successive looks it knows the rates, and so when the sequence
 * numbers, and packets and bytes up to the hard limits, will be used up; that is said in time too.
 * Main thread.
 */
#ifndef XESP_KEYD_LIFETIME_H
#define XESP_KEYD_LIFETIME_H

#include <stdint.h>

struct change;
struct event_base;
struct fault;
struct json_object;
struct lifetime;
struct sa;

/* -ENOMEM. `change` must outlive it. */
int lifetime_open(struct lifetime **out, struct event_base *base, struct change *change,
		  struct fault *f);
void lifetime_close(struct lifetime *l); /* NULL is allowed */

/* One look at all SAs; at `now_ns` of CLOCK_BOOTTIME. Called by a timer. */
void lifetime_look(struct lifetime *l, uint64_t now_ns);

/* For docs/control.md: adds what `xesp sa` shows of it, and the sentences for `xesp status`. */
void lifetime_show(const struct lifetime *l, const struct sa *sa, struct json_object *o);
void lifetime_problems(const struct lifetime *l, struct json_object *list);

#endif /* XESP_KEYD_LIFETIME_H */
