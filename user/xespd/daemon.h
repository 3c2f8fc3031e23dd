/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon.h - what the files of this room share: the parts of the running daemon.
 *
 * main.c makes them in order and ends them in reverse order; control.c and tunnels.c use them.
 * Main thread only.
 */
#ifndef XESP_DAEMON_H
#define XESP_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include "libxesp/pins.h"
#include "libxesp/spd_memory.h"
#include "port/port.h"
#include "sad/sad.h"
#include "worker/load.h"

struct cover;
struct dpd;
struct engine;
struct esp_worker;
struct event_base;
struct fib;
struct keyd_link;
struct natt;
struct pool;
struct rpc_server;
struct slow;

struct daemon_opts {
	const char *pins_dir, *run_dir, *tun_name;
	const char *engine; /* auto, openssl, ipsec-mb */
	uint32_t batch;
	uint32_t helpers;       /* at most */
	enum load_mode spread;  /* until keyd says otherwise */
	uint32_t busy_poll_us;
	enum port_zero_copy zero_copy;
	bool verbose;
};

struct daemon {
	struct daemon_opts o;
	int run_lock, pins_lock;
	struct pins pins;
	struct sad_state state; /* the mapped maps */
	struct spd_memory spd;  /* likewise */
	size_t state_len[5];    /* of sa, replay, policy, worker, last: for munmap() */
	struct event_base *base;
	const struct engine *engine;
	struct pool *pool;
	struct sad *sad;
	struct fib *fib;
	struct esp_worker *esp; /* the main thread's: the slow path */
	struct slow *slow;
	struct cover *cover;
	struct dpd *dpd;
	struct keyd_link *link;
	struct natt *natt;
	struct rpc_server *rpc;
	uint32_t tun_mtu;
	struct tunnels *tunnels;
};

#endif /* XESP_DAEMON_H */
