/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * daemon.h - what xesp-keyd consists of: its rooms, in the order in which they are opened.
 *
 * Owned by main.c; daemon.c joins the rooms together, control.c shows them. Main thread.
 */
#ifndef XESP_KEYD_DAEMON_H
#define XESP_KEYD_DAEMON_H

#include <stdbool.h>
#include <time.h>
#include "keyd/acquire.h"
#include "keyd/change.h"
#include "keyd/grants.h"
#include "keyd/local_addrs.h"
#include "keyd/routes.h"
#include "keyd/state_dir.h"
#include "keyd/xfrm_moved.h"
#include "xesp/fault.h"

struct event;
struct event_base;
struct events;
struct journal;
struct lifetime;
struct netwatch;
struct rpc_server;
struct xfrm_source;

struct daemon_opts {
	const char *config;
	const char *pins;
	const char *run;
	const char *state;
	const char *tun;
	bool verbose;
};

struct daemon {
	struct daemon_opts o;
	struct event_base *base;
	struct state_dir state;
	struct grants grants;
	struct change change; /* maps, worker and the configuration in force */
	struct lifetime *lifetime;
	struct acquires acquires;
	struct xfrm_moved moved; /* with `source: xfrm` */
	struct local_addrs addrs;
	struct routes routes;
	struct netwatch *netwatch;
	struct rpc_server *control;
	struct events *events;
	struct event *routes_soon; /* transactions that follow each other have them planned once */
	struct event *flush; /* lease requests gathered in this turn of the loop */
	struct config *file;        /* with `source: xfrm`: what the file says beside it; owned */
	struct journal *journal;    /* with `source: control` */
	struct xfrm_source *xfrm;   /* NULL: the file is the source */
	time_t loaded_at;
	struct fault reload_failed; /* empty after a good one */
	struct fault addrs_failed;
};

/*
 * Opens everything but the control socket and puts `next` in force; it belongs to d then. On
 * failure the caller still ends d with daemon_close().
 */
struct config;
int daemon_open(struct daemon *d, struct event_base *base, struct config *next, struct fault *f);

/* A transaction has changed what is in force: routes follow shortly. */
void daemon_changed(struct daemon *d);

/* Maps, routes and xespd's SAs stay as they are: traffic goes on. */
void daemon_close(struct daemon *d);

/* `file` NULL: the one given at start. The old configuration stays in force on failure. */
int daemon_reload(struct daemon *d, const char *file, struct change_result *r, struct fault *f);

#endif /* XESP_KEYD_DAEMON_H */
