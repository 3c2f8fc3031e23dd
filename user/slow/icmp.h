/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * icmp.h - ICMP errors about packets that this gateway could not forward.
 *
 * RFC 792 and 1191 (fragmentation needed, with the MTU), RFC 4443 (packet too big), and time
 * exceeded in both. When none may be sent: RFC 1122 section 3.2.2, RFC 1812 section 4.3.2.7,
 * RFC 4443 section 2.4 (e). Pure, but for the rate limit; the slow path's thread.
 */
#ifndef XESP_SLOW_ICMP_H
#define XESP_SLOW_ICMP_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/steer.h"

#define ICMP_LEN_MAX   1280 /* RFC 4443 section 2.4 (c); for IPv4 576, RFC 1812 section 4.3.2.3 */
#define ICMP_QUOTE_MAX ICMP_LEN_MAX /* so many bytes of the packet are enough to quote from */

enum icmp_error { ICMP_ERROR_TOO_BIG, ICMP_ERROR_TIME_EXCEEDED, ICMP_ERRORS };

/* What the error is about: the first `have` bytes of a packet of any length. */
struct icmp_cause {
	const uint8_t *ip;
	uint32_t have;
	uint32_t mtu; /* with TOO_BIG */
	enum icmp_error error;
};

/* May its sender be told, and who is that? */
bool icmp_may_tell(const struct icmp_cause *c, struct xesp_addr *sender);

/* The whole IP packet, from src to the cause's sender; its length. out has ICMP_LEN_MAX bytes. */
uint32_t icmp_make(const struct icmp_cause *c, const struct xesp_addr *src, uint8_t *out);

/* RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 (f): a token bucket for each kind of error. */
struct icmp_limit {
	uint64_t filled_ms[ICMP_ERRORS];
	uint32_t tokens[ICMP_ERRORS];
};

void icmp_limit_init(struct icmp_limit *l, uint64_t now_ms);
bool icmp_limit_take(struct icmp_limit *l, enum icmp_error error, uint64_t now_ms);

#define ICMP_LIMIT_PER_S 1000
#define ICMP_LIMIT_BURST 100

#endif /* XESP_SLOW_ICMP_H */
