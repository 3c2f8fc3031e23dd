/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echo.h - pings through a tunnel, and their answers: is its far end there, does this size pass?
 *
 * Why it exists: ESP acknowledges nothing. An echo request (RFC 792, RFC 4443 section 4.1) to an
 * inner address behind the peer is answered by any system there. What the answer is about stands in
 * its data, which begin with a secret of this process, so that nobody behind the tunnel can make
 * one up. Pure but for slow_echo_*() in slow.h; the slow path's thread.
 */
#ifndef XESP_SLOW_ECHO_H
#define XESP_SLOW_ECHO_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/steer.h"

enum echo_kind {
	ECHO_DPD,  /* dead-peer probing: xespd/dpd.c */
	ECHO_PMTU, /* probing of the path MTU */
	ECHO_KINDS
};

struct echo {
	struct xesp_addr local, remote; /* inner, of one IP version */
	uint32_t tunnel;
	uint16_t seq;
	uint8_t kind; /* enum echo_kind */
};

#define ECHO_LEN_MIN4 (20 + 8 + 16) /* IP and ICMP header, what the answer is known by */
#define ECHO_LEN_MIN6 (40 + 8 + 16)

/*
 * Writes an IP packet of len bytes, with Don't Fragment set, for which `out` has room. False: len is
 * below the smallest or above 65535.
 */
bool echo_make(const struct echo *e, uint64_t secret, uint32_t len, uint8_t *out);

/*
 * An answer to one of ours, or its first fragment: from `remote` to `local`, with our secret,
 * checksums right; sets *e. The IP header's lengths are checked here.
 */
bool echo_read(const uint8_t *ip, uint32_t len, uint64_t secret, struct echo *e);

/* An echo request or reply of anybody's; `id` is its identifier. */
enum echo_what { ECHO_NONE, ECHO_REQUEST, ECHO_REPLY };
enum echo_what echo_look(const uint8_t *ip, uint32_t len, uint16_t *id);

#endif /* XESP_SLOW_ECHO_H */
