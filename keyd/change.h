/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * change.h - a whole new configuration swapped in, or refused with the old one in force.
 *
 * Make before break (RFC 4301 section 4.4.2.1 leaves the order to us): numbers are leased, new SAs
 * and tunnels are at xespd and acknowledged, and their SPIs are in the maps, before the policies
 * switch in one store; then tunnels switch to their new outbound SAs; only then what is no longer
 * configured goes. Up to the switch every step is taken back when a later one fails. What did not
 * change is not touched: its numbers, windows and counters go on. Main thread.
 */
#ifndef XESP_KEYD_CHANGE_H
#define XESP_KEYD_CHANGE_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/keymsg.h"

struct config;
struct fault;
struct grants;
struct maps;
struct publish_worker;
struct sa;
struct sad;

enum change_event {
	CHANGE_SA_UP,      /* xespd has it */
	CHANGE_SA_REFUSED, /* or not: why */
	CHANGE_SA_DELETED,
	CHANGE_SA_SOFT,    /* its soft lifetime has ended: why */
	CHANGE_SA_HARD,
	CHANGE_SA_USED_UP, /* its numbers will end soon: why */
};

struct change {
	struct maps *maps;
	struct grants *grants;
	struct publish_worker *worker;
	struct config *now;  /* in force; owned; NULL: nothing yet */
	struct config *next; /* during change_apply(); what acknowledgements are about */
	/*
	 * An SA that xespd refused, whose source goes on without it: with `source: xfrm` it stays the
	 * kernel's. Called for each before change_apply() returns -EREMOTEIO, or later when xespd is
	 * told all anew; NULL: nobody asks.
	 */
	void (*refused)(struct change *c, const struct sad *sad, const struct sa *sa);
	/* What subscribers hear of an SA; NULL: nobody listens. `why` may be NULL. */
	void (*happened)(struct change *c, enum change_event what, const struct sad *sad,
			 const struct sa *sa, const char *why);
	uint32_t marker_id;  /* SA_DEL whose answer says that xespd has done all before; 0 none */
	bool busy;           /* xespd has said that a worker holds on to an SA that was deleted */
};

struct change_result {
	uint32_t added, removed, kept; /* SAs */
	uint32_t generation;
	uint32_t commit_us; /* from comparing the two models to the commit in the maps */
};

/*
 * On success `next` is in force and owned by c, and the configuration before it is freed. On
 * failure `next` stays the caller's and nothing has changed.
 * -EREMOTEIO xespd refused an SA; others as of ids_assign(), maps_commit()
 */
int change_apply(struct change *c, struct config *next, struct change_result *r, struct fault *f);

/* The callbacks of publish_worker.h; ctx is a struct change. */
struct config *change_present(void *ctx);
void change_acked(void *ctx, enum xesp_keymsg_type type, uint32_t id, int error,
		  const char *text);
void change_peer_moved(void *ctx, const struct xesp_keymsg_peer *m);
void change_in_step(void *ctx);
void change_gone(void *ctx);

void change_happened(struct change *c, enum change_event what, const struct sad *sad,
		     const struct sa *sa, const char *why);

#endif /* XESP_KEYD_CHANGE_H */
