/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay_floor.h - what somebody else received under an inbound SA is not received again.
 *
 * With `source: xfrm` the kernel receives under the same SAs before xesp serves them, and while it
 * stands in for xespd. The other end of this memory is user/esp/replay.h. Main thread, for an SA
 * that no worker has at the moment.
 */
#ifndef XESP_KEYD_REPLAY_FLOOR_H
#define XESP_KEYD_REPLAY_FLOOR_H

#include <stdint.h>

struct maps;
struct sa;

/* All numbers up to `seq` count as seen. Nothing to do where the SA has accepted higher ones itself. */
void replay_floor_raise(const struct maps *m, const struct sa *sa, uint64_t seq);

#endif /* XESP_KEYD_REPLAY_FLOOR_H */
