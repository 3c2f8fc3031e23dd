/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * publish_worker.h - keyd's end of the socket over which keys go to xespd (xesp/keymsg.h).
 *
 * Listens at <run>/keymsg.sock, serves one worker pool at a time, tells it the whole SAD when it
 * connects and each change after that. What waits to be sent is kept as "SA 3 of this
 * configuration", never as bytes: a message with a key exists only while it is sent, in locked
 * memory, and is wiped. A worker that is malformed, of another version or does not read is
 * disconnected; it connects again and is told everything anew. Main thread; only
 * publish_worker_drain() waits.
 */
#ifndef XESP_KEYD_PUBLISH_WORKER_H
#define XESP_KEYD_PUBLISH_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/keymsg.h"

struct config;
struct event_base;
struct fault;
struct publish_worker;

struct publish_worker_calls {
	void *ctx;
	/* A worker has connected: what is in force, with leases for it; NULL: nothing yet. */
	struct config *(*present)(void *ctx);
	/* SAs whose next block the worker asks for. Answer with publish_worker_grant(). */
	void (*lease_wanted)(void *ctx, uint32_t sa_id);
	/* Answers to SA_ADD, SA_DEL and TUNNEL_SET; error 0 or -errno with a sentence. */
	void (*acked)(void *ctx, enum xesp_keymsg_type type, uint32_t id, int error,
		      const char *text);
	/* A tunnel's remote end is elsewhere now; the message was checked for its length alone. */
	void (*peer_moved)(void *ctx, const struct xesp_keymsg_peer *m);
	/* Dead-peer probing (dpd): a tunnel's far end answers no more, or again. */
	void (*peer_alive)(void *ctx, uint32_t tunnel, bool alive);
	/* A packet wants an SA of its own; likewise. */
	void (*acquire)(void *ctx, const struct xesp_keymsg_acquire *m);
	/* It has everything now. */
	void (*in_step)(void *ctx);
	void (*gone)(void *ctx);
};

/* -EADDRINUSE another keyd serves this socket; -errno of socket(), bind(), listen() */
int publish_worker_open(struct publish_worker **out, struct event_base *base, const char *path,
			const struct publish_worker_calls *calls, struct fault *f);
void publish_worker_close(struct publish_worker *w);

/* In step: it said HELLO and was told everything that was in force then. */
bool publish_worker_connected(const struct publish_worker *w);
uint32_t publish_worker_pid(const struct publish_worker *w); /* 0 without a worker */

/*
 * Each puts something at the end of what is to be sent; without a worker it does nothing. `c` must
 * live until it has been sent: publish_worker_drain() before a configuration is freed.
 */
enum publish_out { PUBLISH_OUT_SA, PUBLISH_NO_OUT_SA };
void publish_worker_tunnel(struct publish_worker *w, const struct config *c, uint32_t tunnel,
			   enum publish_out out);
void publish_worker_sa(struct publish_worker *w, const struct config *c, uint32_t sa);
void publish_worker_sa_del(struct publish_worker *w, uint32_t id);
/* Answered when no worker holds any of those that were deleted up to here; -EBUSY: one does. */
void publish_worker_sa_del_last(struct publish_worker *w, uint32_t id);
void publish_worker_tunnel_del(struct publish_worker *w, uint32_t id);
void publish_worker_grant(struct publish_worker *w, uint32_t id, uint64_t first, uint64_t last);
void publish_worker_refuse(struct publish_worker *w, uint32_t id);

/* What config.spread says now. */
void publish_worker_spread(struct publish_worker *w, const struct config *c);

/*
 * Waits until everything is sent and answered. A worker that takes or answers nothing for `timeout_ms`
 * is disconnected, so that nothing half told stays: it starts anew. Returns whether it is still there.
 */
bool publish_worker_drain(struct publish_worker *w, int timeout_ms);

/* For tests: a worker that reads nothing is disconnected after this long. */
void publish_worker_set_patience(struct publish_worker *w, uint32_t ms);

#endif /* XESP_KEYD_PUBLISH_WORKER_H */
