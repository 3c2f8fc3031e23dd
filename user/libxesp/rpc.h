/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rpc.h - JSON requests over a daemon's control socket: both ends.
 *
 * A SOCK_STREAM Unix socket; one JSON object per line. A request is
 *   {"id": N, "request": "NAME", "params": {...}}         id and params are optional
 * and its answer
 *   {"id": N, "ok": true, "result": {...}}   or
 *   {"id": N, "ok": false, "error": "sentence", "errno": "ENOENT"}
 * A line that is too long, that is begun and not ended in time, or that is not a JSON object, is
 * answered with an error and the connection is closed. The server serves each client from the
 * daemon's event loop and never blocks on one: a client that does not read is closed once
 * RPC_BACKLOG_MAX bytes wait for it. Only uid 0 and the daemon's own uid may connect (SO_PEERCRED).
 * Requests may carry keys: what is read lies in locked memory, and is wiped when it was answered.
 *
 * A client that subscribed gets lines of another kind in between, {"event": "NAME", ...}. One that
 * reads too slowly misses some, and is told how many: {"event": "missed", "count": N}.
 */
#ifndef XESP_RPC_H
#define XESP_RPC_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPC_LINE_MAX 65536   /* more only with rpc_server_set_limits(), and one client at a time */
#define RPC_PATIENCE_MS 10000 /* from the first byte of a line to its end */
#define RPC_EVENTS_MAX (256u << 10) /* bytes of events that wait for a subscriber */
#define RPC_SUBSCRIBERS_MAX 32
#define RPC_BACKLOG_MAX (64u << 20)
#define RPC_CLIENTS_MAX 64
#define RPC_GRACE_MS 100 /* so long one that has connected need not make room for others */

struct event_base;
struct fault;
struct rpc_server;
struct sockaddr_un;

/*
 * Answers one request. `params` is borrowed and may be NULL. On success *result is a new object,
 * owned by the server from then on (NULL stands for an empty object).
 */
typedef int (*rpc_handler)(void *ctx, struct json_object *params, struct json_object **result,
			   struct fault *f);

struct rpc_method {
	const char *name;
	rpc_handler handle;
};

/*
 * Listens at `path` (mode 0600, an old socket that nobody serves is replaced) and answers the
 * methods in `table`, which ends with a NULL name and stays the caller's. The process ignores
 * SIGPIPE from then on. When RPC_CLIENTS_MAX are connected, the one silent longest makes room,
 * but none that came within the last RPC_GRACE_MS.
 * -EADDRINUSE  another process serves this socket
 * -errno       of socket(), bind(), listen()
 */
int rpc_server_open(struct rpc_server **out, struct event_base *base, const char *path,
		    const struct rpc_method *table, void *ctx, struct fault *f);

/* Lines of up to line_max bytes; 10 s and RPC_LINE_MAX to begin with. */
void rpc_server_set_limits(struct rpc_server *s, size_t line_max, uint32_t patience_ms);

/* In a handler: the client whose request it is hears of events from now on. -EUSERS */
int rpc_server_subscribe(struct rpc_server *s, struct fault *f);
unsigned int rpc_server_subscribers(const struct rpc_server *s); /* of NULL: 0 */

/* To all subscribers; `event` is the server's then. Never blocks. */
void rpc_server_publish(struct rpc_server *s, struct json_object *event);

/* Overwrites every string in it, where a key may be. It stays the caller's. */
void rpc_wipe(struct json_object *o);

/* Closes all clients, removes the socket. NULL is allowed. */
void rpc_server_close(struct rpc_server *s);

/*
 * One request and its answer, for the command line; waits at most `timeout_ms`.
 * On success *result is owned by the caller (json_object_put()).
 * -ENOENT, -ECONNREFUSED  the daemon is not running
 * -ETIMEDOUT              it did not answer
 * -EREMOTEIO              it refused; the sentence is the daemon's
 */
int rpc_call(const char *path, const char *request, struct json_object *params, int timeout_ms,
	     struct json_object **result, struct fault *f);

/*
 * One request whose answer is followed by events, for as long as the daemon lives: `line` is called with
 * the result first, then with each event, which it borrows, until it returns false. timeout_ms is for the
 * first answer. As rpc_call(); -ECONNRESET when the daemon hung up
 */
int rpc_follow(const char *path, const char *request, int timeout_ms,
	       bool (*line)(void *ctx, struct json_object *o), void *ctx, struct fault *f);

/* The address of the socket at `path`, for both ends. -ENAMETOOLONG: it is too long for one. */
int rpc_addr(struct sockaddr_un *addr, const char *path, struct fault *f);

#endif /* XESP_RPC_H */
