/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm_want.h - SAs of single CPUs that the IKE daemon was asked for: RFC 9611, and when to ask again.
 *
 * Why it exists: the kernel asks for what it sends itself, by XFRM_MSG_ACQUIRE with a CPU, where a policy says so
 * (XFRM_POLICY_CPU_ACQUIRE); forwarded packets are xesp's, and it never sees them. So we ask in its name: it
 * passes such a message of ours on to those who listen. Between two questions for one CPU of a tunnel lies what the
 * kernel leaves between its own (net.core.xfrm_acq_expires): a peer may not want more SAs. Pure; times are
 * CLOCK_MONOTONIC in milliseconds. Main thread.
 */
#ifndef XESP_KEYD_XFRM_WANT_H
#define XESP_KEYD_XFRM_WANT_H

#include <stdbool.h>
#include <stdint.h>

#define XFRM_WANT_MS 165000u
#define XFRM_WANTS_MAX 1024 /* of so many at once it is known when they were asked for */

struct xfrm_wants {
	uint32_t n, next; /* the place that is used again when all are full */
	struct xfrm_wanted {
		uint32_t tunnel, cpu; /* the tunnel's id */
		uint64_t at_ms;
	} list[XFRM_WANTS_MAX];
};

/* True: ask now; it is remembered. */
bool xfrm_want_is_due(struct xfrm_wants *w, uint32_t tunnel, uint32_t cpu, uint64_t now_ms);

#endif /* XESP_KEYD_XFRM_WANT_H */
