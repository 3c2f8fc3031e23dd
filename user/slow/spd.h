/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spd.h - the outbound SPD for packets that the kernel routed into xesp0.
 *
 * The same search over the same pinned maps as bpf/spd_match.h, with one system call per map
 * look-up: slow, and meant for the gateway's own traffic. Masks of the present generation are
 * kept; the committed generation is read for every packet. Main thread.
 */
#ifndef XESP_SLOW_SPD_H
#define XESP_SLOW_SPD_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/steer.h"

struct fault;
struct pins;
struct spd;

int spd_open(struct spd **out, const struct pins *pins, struct fault *f); /* -ENOMEM */
void spd_close(struct spd *s);

/* What a policy looks at in an outbound packet: local is its source. */
struct spd_key {
	struct xesp_addr local, remote;
	__be16 local_port, remote_port;
	uint8_t proto, family;
	bool ports_known;
};

/* XESP_DROP_MALFORMED_IP: no IP packet of len bytes. */
enum xesp_drop spd_key(struct spd_key *k, const uint8_t *ip, uint32_t len);

/*
 * The first policy that matches; its id is 0 when none does and the action is the default.
 * XESP_DROP_NOT_LOADED, XESP_DROP_STALE_MAPS: nothing is known about the packet.
 */
enum xesp_drop spd_find(struct spd *s, const struct spd_key *k, struct xesp_spd_val *found);

#endif /* XESP_SLOW_SPD_H */
