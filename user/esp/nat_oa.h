/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nat_oa.h - transport mode through NATs: what a NAT did to addresses is made good, RFC 3948 section
 * 3.1.2.
 *
 * What ESP protects begins behind the IP header, but TCP and UDP sum up the header's addresses too:
 * those that the sender saw, its NAT original addresses (RFC 3947 section 5.2). Any worker; pure.
 */
#ifndef XESP_NAT_OA_H
#define XESP_NAT_OA_H

#include <stdbool.h>
#include <stdint.h>

struct inner;
struct tunnel;

/* Outbound, after transport_move(): to where the peer is now, if it moved from where it was. */
void nat_oa_aim(uint8_t *ip, const struct tunnel *t);

/*
 * Inbound: a packet that came in UDP, headers closed up, of which inner_parse() made `in`; `proto` stands
 * at `off` bytes. A followed peer's address becomes the one it is known by. The checksum of TCP, UDP, UDP-Lite,
 * DCCP and ICMPv6 is adjusted where the original addresses are known; else that of TCP, UDP and ICMPv6
 * is computed, which the ICV allows. Other protocols, fragments, and UDP without one stay as they are.
 */
void nat_oa_restore(uint8_t *ip, const struct inner *in, uint32_t off, uint8_t proto,
		    const struct tunnel *t);

/* Outbound: false, a routing header that names another last destination than the IP header does. */
bool nat_oa_takes(const uint8_t *ip, uint32_t headers_len);

#endif /* XESP_NAT_OA_H */
