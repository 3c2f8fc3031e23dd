/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pkt.h - a packet on its way through the stages, and a batch of them.
 *
 * Visible because every stage works on it, field by field. A stage takes the whole batch and
 * looks at each packet whose `drop` is still XESP_DROP_NONE. It sets `drop` and goes on: it never
 * returns early, never frees a frame, never logs, never makes a system call. Packets keep their
 * places; the worker sends the good ones in order and recycles the rest.
 */
#ifndef XESP_PKT_H
#define XESP_PKT_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/drop.h"

#define BATCH_MAX 256

struct sa;

struct pkt {
	uint8_t *l3;    /* IP header: inner before encap and after decap, outer otherwise */
	uint32_t len;   /* bytes of the IP packet from l3 */
	uint32_t id;    /* struct xesp_meta: tunnel id before encap, SA id before decap */
	uint8_t *head;  /* lowest byte of the buffer that may be written */
	uint8_t *end;   /* one past the highest byte that may be written */
	struct sa *sa;  /* set by esp_*; NULL when none was found */
	uint64_t seq;   /* 64 bits also without ESN */
	uint32_t policy; /* policy id of outbound packets, else 0 */
	uint16_t mtu;   /* with XESP_DROP_TOO_BIG: what to tell the sender, inner bytes; after encap: cut
			 * what goes out to this, 0: it fits */
	uint16_t l4_off; /* bytes from l3 to the ESP or AH header, before decap and after encap */
	enum xesp_drop drop;
	uint16_t inner_len; /* inner IP bytes, for the counters */
	bool udp : 1;           /* before decap and after encap: ESP is in UDP, whose header stands before it */
	bool fragment : 1;      /* with XESP_DROP_TOO_BIG: DF is clear, so the slow path fragments it */
	bool dummy : 1;         /* before encap: no packet but a payload, see esp/dummy.h */
	bool probe : 1;         /* before encap: may be larger than the tunnel's MTU; DF is set outside */
	bool onward : 1;        /* before encap: it came out of another tunnel, see esp/onward.h */
	bool local : 1;         /* before encap: the kernel made or forwarded it, so its TTL counts already:
			     * no decrement. Packets from a ring are forwarded by us: false */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct pkt) == 64, "one cache line");

struct batch {
	uint32_t n;
	struct pkt pkt[BATCH_MAX];
};

#endif /* XESP_PKT_H */
