/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain_packet.h - a packet given by its selectors, as the request `explain` has it. Main thread.
 */
#ifndef XESP_KEYD_EXPLAIN_PACKET_H
#define XESP_KEYD_EXPLAIN_PACKET_H

#include "libxesp/spd_memory.h"

struct fault;
struct json_object;

#define EXPLAIN_PORT 49152 /* of an end whose port is not given: the first ephemeral one, RFC 6335 */

/*
 * Out of params: direction, local, remote, protocol, and its local_port, remote_port, icmp_type, icmp_code or
 * mh_type, as numbers or text. Without a protocol it is an echo request. -EINVAL with a sentence
 */
int explain_packet_take(struct spd_query *q, struct json_object *params, struct fault *f);

/* The same members, all that the packet has, and `proto`, the number. */
struct json_object *explain_packet_json(const struct spd_query *q);

#endif /* XESP_KEYD_EXPLAIN_PACKET_H */
