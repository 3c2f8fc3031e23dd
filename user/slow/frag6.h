/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frag6.h - cuts an IPv6 packet of this machine to size, RFC 8200 section 4.5.
 *
 * Only what this machine is the source of may be: what goes out behind ESP or AH.
 * Pure; the slow path's thread.
 */
#ifndef XESP_SLOW_FRAG6_H
#define XESP_SLOW_FRAG6_H

#include <stdint.h>

struct frag6 {
	const uint8_t *ip; /* the packet, untouched */
	uint32_t head_len, data_len, mtu, id;
	uint32_t off;      /* of data that the pieces so far have taken */
	uint16_t next_at;  /* the byte that names the protocol behind the head */
};

/*
 * The first head_len bytes go into every piece: the header and the extension headers that routers
 * read. -EINVAL: not such a packet of len bytes, or an mtu in which nothing would fit.
 */
int frag6_begin(struct frag6 *f, const uint8_t *ip, uint32_t len, uint32_t head_len, uint32_t mtu,
		uint32_t id);

/* Writes the next piece, at most mtu bytes, to `out`; its length, or 0 when there is none left. */
uint32_t frag6_next(struct frag6 *f, uint8_t *out);

#endif /* XESP_SLOW_FRAG6_H */
