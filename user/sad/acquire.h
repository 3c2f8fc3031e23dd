/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * acquire.h - packets that found no SA of their own, and CPUs that have none: from workers to the main thread.
 *
 * RFC 4301 section 5.1 step 3b: key management is invoked to create the SA. A worker finds out, and
 * must neither wait nor allocate; the main thread tells keyd. Notes lie in places by the hash of
 * their values. A place stays taken for ACQUIRE_PAUSE_NS after it was read, so that a flow asks once
 * in that time, and all of them together ACQUIRE_PLACES times: who scans a network behind a tunnel
 * makes no storm. What finds its place taken is left out: its next packet asks again.
 */
#ifndef XESP_SAD_ACQUIRE_H
#define XESP_SAD_ACQUIRE_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/keymsg.h"

struct fault;

#define ACQUIRE_PLACES 64 /* a power of two */
#define ACQUIRE_PAUSE_NS 1000000000ull

struct acquire_note {
	uint32_t state;  /* atomic, see acquire.c */
	uint32_t tunnel;
	uint32_t policy;
	uint32_t worker; /* whose CPU has none (RFC 9611); ACQUIRE_VALUES: one with these values is wanted */
	uint64_t read_ns; /* main thread */
	struct xesp_values values;
};

struct acquire_desk {
	int fd; /* eventfd: readable when a note was left */
	uint32_t read_n; /* main thread: places that were read and are not free yet */
	struct acquire_note note[ACQUIRE_PLACES];
};

/* -errno of eventfd() */
int acquire_desk_open(struct acquire_desk *d, struct fault *f);
void acquire_desk_close(struct acquire_desk *d);

#define ACQUIRE_VALUES UINT32_MAX

/* Any worker. */
void acquire_ask(struct acquire_desk *d, uint32_t tunnel, uint32_t policy,
		 const struct xesp_values *v);
void acquire_ask_cpu(struct acquire_desk *d, uint32_t tunnel, uint32_t policy, uint32_t worker);

/* Main thread: calls `tell` for each note. */
void acquire_take(struct acquire_desk *d, void (*tell)(void *ctx, const struct acquire_note *n),
		  void *ctx);
/* Main thread, from a timer. */
void acquire_free_places(struct acquire_desk *d);

#endif /* XESP_SAD_ACQUIRE_H */
