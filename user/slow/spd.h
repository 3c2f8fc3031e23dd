/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spd.h - the outbound SPD for packets that the kernel routed into xesp0.
 *
 * The search of XDP over the same memory. What XDP saw of first fragments it finds in
 * xesp_fragments, and what it sees itself it leaves there, by one system call each. Main thread.
 */
#ifndef XESP_SLOW_SPD_H
#define XESP_SLOW_SPD_H

#include <stdbool.h>
#include <stdint.h>
#include "esp/spd_key.h"
#include "xesp/steer.h"

struct fault;
struct pins;
struct spd;

int spd_open(struct spd **out, const struct pins *pins, struct fault *f); /* -ENOMEM, -errno */
void spd_close(struct spd *s);

/*
 * The first policy that matches; its id is 0 when none does and the action is the default.
 * XESP_DROP_FRAGMENT_UNKNOWN: a later fragment, ports decide and its first was not seen.
 * XESP_DROP_NO_POLICY: it may pass, but for the kernel's own policies (`source: xfrm`), which do not look at what
 * comes back from here. XESP_DROP_NOT_LOADED, XESP_DROP_STALE_MAPS: nothing is known about the packet.
 */
enum xesp_drop spd_find(struct spd *s, const struct spd_key *k, struct xesp_spd_val *found);

#endif /* XESP_SLOW_SPD_H */
