/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.h - the request `explain`: what would happen to a packet, without sending one.
 *
 * The policy is the one that the search of the published SPD finds, which is XDP's and xespd's own
 * (libxesp/spd_memory.h), and the exemptions are XDP's (xesp/clear.h). What a worker would make of a packet that is
 * to be protected only xespd knows: its request of the same name. docs/control.md has the members. Main thread.
 */
#ifndef XESP_KEYD_EXPLAIN_H
#define XESP_KEYD_EXPLAIN_H

#include "libxesp/rpc.h"
#include "xesp/steer.h"

/* `ctx` is a struct daemon. -EINVAL: params name no packet */
int explain_request(void *ctx, struct json_object *params, struct json_object **result,
		    struct fault *f);

/* What becomes of a packet as far as policies say. `why` with DROP. */
enum explain_verdict { EXPLAIN_PROTECT, EXPLAIN_ACCEPT, EXPLAIN_BYPASS, EXPLAIN_DROP, EXPLAIN_KERNEL };

struct maps;
struct spd_query;
struct explained {
	enum explain_verdict verdict;
	enum xesp_drop why;
	const char *because; /* a sentence, or NULL: the reason's own, or the policy's action */
	struct xesp_spd_val found; /* of the search; policy 0: none matched */
	uint32_t generation;
	bool own;   /* the local address is this machine's */
};

/* A packet from the cleartext side or of this machine (out); one from outside that is not ESP (in). */
void explain_judge(const struct maps *m, const struct spd_query *q, struct explained *e);

#endif /* XESP_KEYD_EXPLAIN_H */
