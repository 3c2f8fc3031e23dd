/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dummy.h - packets that carry nothing, RFC 4303 section 2.6: next header 59.
 *
 * To an observer they are packets like others: encrypted, numbered out of the SA's lease, with the
 * outer header that the tunnel gives. The peer discards them once they are authenticated. They hide
 * how much traffic there is, and padded to a size they probe the path's MTU (RFC 8899).
 */
#ifndef XESP_DUMMY_H
#define XESP_DUMMY_H

#include <stdint.h>
#include "esp/pkt.h"

struct sa;
struct tunnel;

/* Where a dummy is made: the payload grows from `at` up, headers down to `head`. */
struct dummy_room {
	uint8_t *head, *at, *end;
};

/*
 * For esp_encap(): `size` bytes of payload, zeroes, for the SA that `tunnel` (an id) sends on. The
 * caller sets pkt.probe for one that may be larger than the tunnel's MTU. False: no room for it.
 */
bool dummy_make(struct pkt *p, const struct dummy_room *room, uint32_t tunnel, uint32_t size);

/*
 * The largest payload whose outer packet has at most `outer` bytes; 0: not even an empty one fits.
 * Packets are as long as `outer` but for the cipher's alignment.
 */
uint32_t dummy_size(const struct tunnel *t, const struct sa *sa, uint32_t outer);

#endif /* XESP_DUMMY_H */
