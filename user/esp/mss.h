/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mss.h - TCP's maximum segment size in SYN and SYN/ACK, made to fit the tunnel.
 *
 * Why it exists: hosts behind a gateway think their path is as wide as their link. Path MTU
 * discovery would tell them better, where no firewall throws ICMP away; a smaller MSS in the two
 * packets that open a connection works everywhere. Pure; any worker.
 */
#ifndef XESP_MSS_H
#define XESP_MSS_H

#include <stdbool.h>
#include <stdint.h>

struct batch;
struct esp_worker;
struct inner;

/*
 * Lowers the MSS option (RFC 9293 section 3.7.1) of a TCP packet with SYN to `most`, with the TCP
 * checksum adjusted. False: nothing was changed. It is not when the packet is another, a fragment,
 * or cut off; when there is no MSS option (the other end then assumes 536 or, on IPv6, 1220); when
 * it is small enough already; or when the TCP Authentication Option covers the options, RFC 5925.
 * `in` describes the packet at `ip`: inner_parse() has found its lengths right.
 */
bool mss_clamp(uint8_t *ip, const struct inner *in, uint32_t most);

/* The largest segment of an inner packet of `mtu` bytes, headers without options: RFC 6691. */
uint32_t mss_of_mtu(uint32_t mtu, uint8_t version);

/*
 * The stage, in both directions: what either end announces is made to fit what the tunnel sends,
 * for the segments that answer go back through it.
 */
void mss_clamp_batch(struct esp_worker *w, struct batch *b);

#endif /* XESP_MSS_H */
