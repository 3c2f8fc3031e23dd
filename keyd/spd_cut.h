/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spd_cut.h - one policy cut into what the classifier can hold: values under masks.
 *
 * Each piece is a key, its tuple (masks and the classes of packets it is for) and whether it is the
 * policy itself or its shadow for later fragments. A policy that looks at ports cannot be held
 * against a fragment that has none, nor one that looks at the protocol against a later fragment of
 * IPv6, whose header only repeats what the sender put there (RFC 8200 section 4.5: reassembly takes
 * the first fragment's). The shadow catches those, RFC 4301 section 7: see XESP_RULE_FRAGMENT.
 * Main thread.
 */
#ifndef XESP_KEYD_SPD_CUT_H
#define XESP_KEYD_SPD_CUT_H

#include <stdbool.h>
#include "xesp/steer.h"

struct policy;

struct spd_piece {
	struct xesp_spd_tuple tuple; /* masks and classes; the rest is zero */
	struct xesp_spd_key key;     /* .tuple is zero */
	bool fragment;               /* the shadow */
};

/* What `visit` returns ends the cutting unless it is 0, and is returned; -ENOMEM. */
int spd_cut(const struct policy *p, int (*visit)(void *ctx, const struct spd_piece *piece),
	    void *ctx);

#endif /* XESP_KEYD_SPD_CUT_H */
