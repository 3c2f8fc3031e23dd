/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frag.h - cuts an IPv4 packet to size before it is encapsulated, RFC 791 section 3.2.
 *
 * Why before: pieces of the inner packet are put together by the host they are for; pieces of the
 * outer one would have to be by the peer gateway, which cannot check a fragment (RFC 4301
 * section 7 and 8.2). Pure; the slow path's thread.
 */
#ifndef XESP_SLOW_FRAG_H
#define XESP_SLOW_FRAG_H

#include <stdint.h>

#define FRAG_MTU_MIN 68 /* RFC 791: every link carries this much */

struct frag {
	const uint8_t *ip; /* the packet, untouched */
	uint32_t hdr_len, data_len, mtu;
	uint32_t off;   /* of data that the pieces so far have taken */
	uint16_t first; /* the packet's own offset and MF, when it is a fragment itself */
};

/*
 * -EINVAL: not an IPv4 header that fits into len, or an mtu below FRAG_MTU_MIN.
 * -EMSGSIZE: DF is set.
 */
int frag_begin(struct frag *f, const uint8_t *ip, uint32_t len, uint32_t mtu);

/* Writes the next piece, at most mtu bytes, to `out`; its length, or 0 when there is none left. */
uint32_t frag_next(struct frag *f, uint8_t *out);

#endif /* XESP_SLOW_FRAG_H */
