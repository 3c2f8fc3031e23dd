/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dead_peer.h - the keys of a tunnel that say how it is noticed that its peer is gone: dpd,
 * dpd_interval, dpd_misses. Main thread.
 */
#ifndef XESP_KEYD_DEAD_PEER_H
#define XESP_KEYD_DEAD_PEER_H

#include "keyd/problems.h"

struct raw_tunnel;
struct tunnel;

/* `t` has its probe_remote already. -EINVAL with problems. */
int dead_peer_take(struct tunnel *t, const struct raw_tunnel *raw, const char *path,
		   struct problems *ps);

#endif /* XESP_KEYD_DEAD_PEER_H */
