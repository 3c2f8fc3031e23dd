/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm_source.h - `source: xfrm`: policies and SAs are the kernel's, as IKE daemons and `ip xfrm` set them.
 *
 * Joins xfrm_follow.h (what there is), xfrm_model.h (what it means to us), change.h (making it so)
 * and xfrm_tell.h (what the kernel must know). Main thread.
 */
#ifndef XESP_KEYD_XFRM_SOURCE_H
#define XESP_KEYD_XFRM_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include "keyd/grants.h"
#include "keyd/xfrm_heard.h"
#include "keyd/xfrm_model.h"

struct change_result;
struct config;
struct event_base;
struct fault;
struct local_addrs;
struct sa;
struct sad;
struct tunnel;
struct xfrm_source;

struct xfrm_source_counts {
	uint64_t packets, bytes, top;
	uint64_t used_ns; /* CLOCK_BOOTTIME; 0 never */
	uint64_t told_packets, told_bytes; /* of these, what note_told() last said */
};

struct xfrm_source_opts {
	struct event_base *base;
	const struct local_addrs *addrs;
	const struct config *file; /* interfaces, default, routes; borrowed, see xfrm_source_reload() */
	/* Puts a configuration in force, which is the callee's on success. */
	int (*apply)(void *ctx, struct config *next, struct fault *f);
	const struct config *(*present)(void *ctx);
	/* Packets and bytes of an SA, and the highest number it accepted, as xespd counts them. */
	void (*counts)(void *ctx, uint32_t sa_id, struct xfrm_source_counts *out);
	/* The kernel's last number of an outbound SA. True: it has sent itself, beside xesp. */
	bool (*kernel_sent)(void *ctx, uint32_t sa_id, uint64_t last);
	/* The kernel has them now: kept beside the counters, for whoever follows this process. */
	void (*note_told)(void *ctx, uint32_t sa_id, uint64_t packets, uint64_t bytes);
	struct xfrm_heard_calls heard;
	void *ctx;
	uint32_t max_sas; /* SA ids are below it */
};

/* -EPROTONOSUPPORT: no XFRM here. On failure the caller still ends it. */
int xfrm_source_open(struct xfrm_source **out, const struct xfrm_source_opts *o, struct fault *f);
/*
 * Reads the kernel's tables and has them applied before it returns; changes follow by themselves.
 * What the kernel has but we cannot serve is no error.
 */
int xfrm_source_start(struct xfrm_source *x, struct fault *f);
void xfrm_source_close(struct xfrm_source *x);

/* xespd does not take this SA: it stays the kernel's from the next reading on. */
void xfrm_source_refused(struct xfrm_source *x, const struct sad *sad, const struct sa *sa);
/* A xespd was started: what another one refused it may take. */
void xfrm_source_worker_came(struct xfrm_source *x);
/* From now on what the kernel sends it sends in xesp's place. */
void xfrm_source_worker_gone(struct xfrm_source *x);

/*
 * xespd has had a packet of this tunnel's peer from elsewhere. The kernel gets the tunnel's inbound SAs for a while, so
 * that it tells the IKE daemon: xfrm_lent.h. False: it had them lately.
 */
bool xfrm_source_peer_seen(struct xfrm_source *x, const struct tunnel *t);

/* A worker's CPU has no SA of its own in this tunnel (NULL: it is gone): the IKE daemon is asked for one, now and then. */
struct xesp_keymsg_acquire;
void xfrm_source_cpu_wanted(struct xfrm_source *x, const struct tunnel *t, const struct xesp_keymsg_acquire *m);

/* The file or this machine's addresses have changed: reads all anew. */
void xfrm_source_reload(struct xfrm_source *x, const struct config *file);

const struct grants_kernel *xfrm_source_kernel(const struct xfrm_source *x);
const struct xfrm_unserved_list *xfrm_source_unserved(const struct xfrm_source *x);
/* "" or a sentence: policies overlap, and no priority says which holds. */
const char *xfrm_source_undecided(const struct xfrm_source *x);
/* "" or a sentence: the kernel sends under SAs that xesp serves, by what this machine itself sends. */
const char *xfrm_source_rival(const struct xfrm_source *x);
/* "" or a sentence: this kernel has no ESP, so no IKE daemon can install an SA. */
const char *xfrm_source_no_esp(const struct xfrm_source *x);
/* What went wrong last, "" nothing. */
const char *xfrm_source_problem(const struct xfrm_source *x);

#endif /* XESP_KEYD_XFRM_SOURCE_H */
