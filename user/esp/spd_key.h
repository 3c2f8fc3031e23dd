/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spd_key.h - what outbound policies look at in a packet.
 *
 * Visible to whoever asks the outbound SPD in user space: for packets that the kernel routed into xesp0
 * (slow/spd.h), and for those that came out of one tunnel and go on (esp/onward.h). Any thread.
 */
#ifndef XESP_SPD_KEY_H
#define XESP_SPD_KEY_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/steer.h"

struct spd_query;

/* What a policy looks at in an outbound packet: local is its source. */
struct spd_key { /* ICMP: type and code in place of ports, see xesp/steer.h */
	struct xesp_addr local, remote;
	__be16 local_port, remote_port;
	uint8_t proto, family;
	uint8_t fields; /* enum xesp_fields */
	bool first;     /* the first of several fragments */
	__be32 frag_id;
};

/* XESP_DROP_MALFORMED_IP: no IP packet of len bytes. */
enum xesp_drop spd_key(struct spd_key *k, const uint8_t *ip, uint32_t len);

/* Of the answers to what an ICMP error of ours quotes, RFC 4301 section 6.2. False: it quotes nothing, or nonsense. */
bool spd_key_of_quote(struct spd_key *k, const uint8_t *ip, uint32_t len);

/* The question that these selectors are, outbound. */
void spd_key_query(struct spd_query *q, const struct spd_key *k);

#endif /* XESP_SPD_KEY_H */
