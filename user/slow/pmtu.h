/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pmtu.h - the path MTU of each tunnel: what the link allows, what routers say, what probes show.
 *
 * RFC 4301 section 8.2, RFC 1191, RFC 8201, RFC 8899. The smallest of these and of the tunnel's
 * `mtu` holds, and is what encap goes by. A router is believed only about a packet that this tunnel
 * sent within the last seconds: who can name its SPI and sequence number has seen it. What was
 * learned is forgotten after pmtu_age. Main thread.
 */
#ifndef XESP_SLOW_PMTU_H
#define XESP_SLOW_PMTU_H

#include <stdbool.h>
#include <stdint.h>
#include "slow/icmp_in.h"

struct echo;
struct fault;
struct pmtu;
struct sad;

/* A probe of len inner bytes; false: not sent. */
typedef bool (*pmtu_send_fn)(void *ctx, const struct echo *e, uint32_t len);

int pmtu_open(struct pmtu **out, struct sad *sad, pmtu_send_fn send, void *ctx, struct fault *f);
void pmtu_close(struct pmtu *p);

/*
 * Once a second for each tunnel there is, and after changes. `link` is the MTU of the route or
 * interface to its remote end, 0 while that is not known. Sets the tunnel's MTU, and what `xesp sa`
 * shows of it; returns it (outer bytes).
 */
uint32_t pmtu_refresh(struct pmtu *p, uint32_t tunnel, uint32_t link, uint64_t now_ms);

/* Ten times a second: sends the probes that are due. */
void pmtu_tick(struct pmtu *p, uint64_t now_ms);
void pmtu_answered(struct pmtu *p, const struct echo *e, uint64_t now_ms);

/*
 * What a router says. PMTU_UNBELIEVED: about a tunnel's address, but not about a packet it sent
 * lately, or with an MTU that cannot be. PMTU_NOT_OURS: about somebody else's packet.
 */
enum pmtu_verdict { PMTU_LEARNED, PMTU_OLD_NEWS, PMTU_UNBELIEVED, PMTU_NOT_OURS };
enum pmtu_verdict pmtu_hear(struct pmtu *p, const struct icmp_in_msg *m, uint64_t now_ms);

#endif /* XESP_SLOW_PMTU_H */
