/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dry.h - what esp_encap() would make of a packet, without making it.
 *
 * Why it exists: the command `explain` must say what packets get, not what somebody believed about it a
 * year ago. So the packet goes through the very stages of encap, up to the one that takes a sequence number: that
 * and all behind it cost something, and are looked at instead. Nothing is counted, asked for or written.
 */
#ifndef XESP_DRY_H
#define XESP_DRY_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/drop.h"

struct esp_worker;

struct dry {
	/* the question: a whole IP packet of `len` bytes, for a tunnel or group, as struct pkt has it */
	const uint8_t *ip;
	uint32_t len, id, policy;
	bool own; /* this machine's: it comes by xesp0 and its TTL counts already */
	/* the answer */
	enum xesp_drop why; /* NONE: it would be sent; TOO_BIG without DF: in pieces */
	bool cut_after;     /* what goes out would be cut to mtu */
	uint32_t tunnel;    /* the group's choice; 0: none was found */
	uint32_t sa;        /* id; 0: none was found. What follows is 0 then */
	uint32_t spi;       /* host byte order */
	uint64_t next, lease_end, last; /* sequence numbers: next and to where, and the last one ever */
	uint32_t mtu;       /* outer bytes */
	uint32_t inner_mtu; /* the largest inner packet that fits it */
	uint32_t outer_len; /* of this packet */
};

/* The worker's own thread, between batches; it is as if in one, and holds SAs. -ENOMEM, -E2BIG: len */
int dry_run(struct esp_worker *w, struct dry *d);

#endif /* XESP_DRY_H */
