/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * onward.h - policy for a packet that came out of one tunnel and is to leave the machine again.
 *
 * Why it exists: RFC 4301 section 5.2: what was let in is forwarded, and when it crosses to the outer side
 * the outbound SPD is asked like for any packet. XDP sees cleartext only when it arrives, so here it is the
 * worker who asks. Hub and spoke are this: out of one tunnel, into another, without the kernel. Verdicts are
 * remembered by flow, for the SPD's generation.
 */
#ifndef XESP_ONWARD_H
#define XESP_ONWARD_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/drop.h"

struct esp_worker;
struct onward;
struct pkt;

int onward_open(struct onward **out); /* -ENOMEM */
void onward_close(struct onward *o);

enum onward_to {
	ONWARD_CLEAR,   /* where its route leads */
	ONWARD_PROTECT, /* into a tunnel: the packet is ready for esp_encap() */
	ONWARD_DROP,    /* *why says for what */
};

/*
 * A packet after esp_decap(), whose route leads out of a port of `role` (XESP_ROLE_*, with OUTER in it), or
 * into xesp0 (`tunnels`). The worker's thread.
 *   xesp0  PROTECT where a policy says so, else CLEAR: the kernel leads it back into xesp0, where the SPD
 *          is asked with all that the fast path does not know (fragments), and refusals are counted
 *   outer  what policy says; what none names is as the default is
 *   both   PROTECT for another tunnel than it came by, else CLEAR: this may be the hosts' side
 */
enum onward_to onward_to(struct esp_worker *w, struct pkt *p, bool tunnels, uint8_t role,
			 enum xesp_drop *why);

#endif /* XESP_ONWARD_H */
