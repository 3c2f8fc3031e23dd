/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm_moved.h - with `source: xfrm`, the peers that were seen elsewhere than the kernel's tables have them.
 *
 * xespd sees it of SAs that xesp serves, and the kernel of those that it serves, lent ones among them; both tell with each
 * packet, and people hear of it once. It stands until the IKE daemon has updated the tables. Pure; times are
 * CLOCK_MONOTONIC in milliseconds. Main thread.
 */
#ifndef XESP_KEYD_XFRM_MOVED_H
#define XESP_KEYD_XFRM_MOVED_H

#include <stdbool.h>
#include <stdint.h>
#include "keyd/natt.h"
#include "xesp/steer.h"

#define XFRM_MOVED_MAX 64
#define XFRM_MOVED_PAUSE_MS 1000u   /* of one tunnel it is told so often at most */
#define XFRM_MOVED_FORGET_MS 60000u /* nobody has seen it there again */

struct json_object;
struct sad;

struct xfrm_moved {
	uint32_t n;
	struct xfrm_moved_peer {
		char tunnel[XESP_NAME_MAX];
		char from[NATT_TEXT_MAX], to[NATT_TEXT_MAX]; /* as natt_print_peer() has them */
		uint64_t told_ms, seen_ms;
	} peer[XFRM_MOVED_MAX]; /* the latest last */
};

/* True: this is news, to be told. */
bool xfrm_moved_note(struct xfrm_moved *m, const char *tunnel, const char *from, const char *to, uint64_t now_ms);

/* Adds those that stand, as `moved` of `status` has them. What the tables have otherwise now is forgotten. */
void xfrm_moved_show(struct xfrm_moved *m, const struct sad *sad, uint64_t now_ms, struct json_object *list);

#endif /* XESP_KEYD_XFRM_MOVED_H */
