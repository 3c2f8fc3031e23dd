/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * intake.h - from a received frame to a packet: what XDP found out is read and checked again.
 *
 * The metadata lies in memory that another XDP program could have written, and the frame came off
 * the wire; so every offset is compared with the frame before anything is read through it.
 * Workers only.
 */
#ifndef XESP_INTAKE_H
#define XESP_INTAKE_H

#include <stdint.h>
#include "esp/pkt.h"
#include "xesp/steer.h"

/*
 * `frame` has `len` bytes and lies in a buffer of `size`, UMEM_CHUNK or UMEM_WIDE: in the first of
 * its chunks, which are aligned to their size.
 * Sets every field of *p. Returns XESP_KIND_CLEAR or XESP_KIND_ESP; or 0, with p->drop BAD_META or
 * MALFORMED_IP and not yet counted. The metadata is made unreadable, for a second look at it, after
 * a frame that came without any, would find the first one's.
 */
unsigned int intake_frame(struct pkt *p, uint8_t *frame, uint32_t len, uint32_t size);

#endif /* XESP_INTAKE_H */
