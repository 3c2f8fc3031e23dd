/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path_mtu.h - the keys of a tunnel that say how its path's MTU is found and what follows from it:
 * pmtu, pmtu_floor, pmtu_age, pmtu_probe, probe_local, probe_remote, mss, icmp_check.
 * RFC 4301 sections 6.2 and 8.2, RFC 1191, RFC 8201, RFC 8899. Main thread.
 */
#ifndef XESP_KEYD_PATH_MTU_H
#define XESP_KEYD_PATH_MTU_H

#include "keyd/problems.h"

struct raw_tunnel;
struct tunnel;

/* `t` has its addresses and mtu already. -EINVAL with problems. */
int path_mtu_take(struct tunnel *t, const struct raw_tunnel *raw, const char *path,
		  struct problems *ps);

#endif /* XESP_KEYD_PATH_MTU_H */
