/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * natt.h - ESP in UDP, RFC 3948: the UDP header, its checksum, and where the peer is.
 *
 * Workers, but for natt_make_keepalive(), which is pure.
 */
#ifndef XESP_NATT_H
#define XESP_NATT_H

#include <stdbool.h>
#include <stdint.h>
#include "esp/pkt.h"
#include "sad/tunnel.h"

struct esp_worker;
struct outer;

/* The UDP header of `udp_len` bytes with all behind it; its checksum is 0 yet. */
void natt_write_udp(uint8_t *udp, uint32_t udp_len, const struct tunnel *t);

/* Computes it, once all behind it has its final value: RFC 768, RFC 8200 section 8.1. */
void natt_write_checksum(uint8_t *ip, uint32_t udp_off, uint32_t udp_len);
/* The stage that does so for the packets of a batch whose tunnel wants it. */
void natt_write_checksums(struct esp_worker *w, struct batch *b);

/*
 * The UDP header before ESP, after outer_parse(): cuts o->len to where UDP ends. False: its length
 * contradicts the packet. The checksum is not looked at, RFC 3948 section 2.1.
 */
bool natt_parse_udp(struct outer *o, const struct pkt *p);

/*
 * Does the tunnel take ESP that came as this packet did, in UDP or without? As Linux does: what an SA
 * was set up for, and nothing else. RFC 7296 section 2.23 wants UDP taken also where no NAT was
 * found: that is `accept_any`.
 */
static inline bool natt_is_accepted(const struct pkt *p, const struct tunnel *t)
{
	return p->udp == (t->udp != TUNNEL_UDP_NONE) || t->as_told.natt.accept_any;
}

/*
 * The packet is authentic and newer than all before, RFC 7296 section 2.23: when its tunnel follows
 * its peer and it came from elsewhere, the main thread is told.
 */
void natt_note_peer(struct esp_worker *w, const struct tunnel *t, const struct pkt *p);

#define NATT_KEEPALIVE_MAX 64

/* A whole NAT keepalive, RFC 3948 section 2.3; its length. */
uint32_t natt_make_keepalive(const struct tunnel *t, uint8_t out[NATT_KEEPALIVE_MAX]);

#endif /* XESP_NATT_H */
