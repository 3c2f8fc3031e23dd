/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * events.h - what subscribers of the control socket are told: docs/control.md lists the events.
 *
 * An event is made only when somebody listens. rpc.h sends it on, and leaves out who is too slow. Main
 * thread.
 */
#ifndef XESP_KEYD_EVENTS_H
#define XESP_KEYD_EVENTS_H

#include <stdbool.h>
#include <stdint.h>
#include "keyd/change.h"

struct daemon;
struct event_base;
struct events;
struct fault;
struct json_object;
struct tunnel;

/* Also begins to look at the drop counters, once a second. -ENOMEM */
int events_open(struct events **out, struct daemon *d, struct fault *f);
void events_close(struct events *e);

/* "sa-up", "sa-refused", "sa-deleted", "soft-expiry", "hard-expiry", "exhaustion-near" */
void events_sa(struct events *e, enum change_event what, const struct sad *sad,
	       const struct sa *sa, const char *why);
/* "peer-moved": from where to where. "peer-dead", "peer-alive" */
void events_peer_moved(struct events *e, const char *tunnel, const char *from, const char *to);
void events_peer_alive(struct events *e, const struct tunnel *t, bool alive);
/* "worker-up", "worker-gone" */
/* A packet wants an SA of its own values. */
struct acquire;
void events_acquire(struct events *e, const struct acquire *a);
void events_worker(struct events *e, bool up);
/* "changed": another generation is in force, by "reload", "set" or "xfrm" */
void events_changed(struct events *e, const char *by, const struct change_result *r);

/* The request "subscribe" of control.h. */
int events_subscribe(void *ctx, struct json_object *params, struct json_object **result,
		     struct fault *f);

/* ---- for tests: what is a spike */

struct drop_watch {
	uint64_t total;  /* at the last look */
	double usual;    /* a second, smoothed */
	uint32_t looks;
	uint32_t quiet_s; /* no further event about it for so long */
};

/*
 * `total` a second later: true when what was dropped in it is ten times as much as usual, and at
 * least 100 packets. *per_s is how many that were.
 */
bool drop_watch_look(struct drop_watch *w, uint64_t total, uint64_t *per_s);

#endif /* XESP_KEYD_EVENTS_H */
