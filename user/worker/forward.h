/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * forward.h - where each packet of a batch goes now that ESP is done with it.
 *
 * A stage over the batch, see esp/pkt.h: the next hop is looked up, what forwarding asks of a
 * router is done (TTL, MTU), the Ethernet header is written, and the way out is noted. Moving
 * the packets there is worker.c's. Workers only.
 */
#ifndef XESP_FORWARD_H
#define XESP_FORWARD_H

#include <stdbool.h>
#include <stdint.h>
#include "esp/pkt.h"
#include "fib/fib.h"
#include "xesp/steer.h"

struct esp_worker;

enum forward_to {
	FORWARD_FREE,   /* dropped, counted: only its frame goes back */
	FORWARD_TELL,   /* dropped, counted, and its sender is told */
	FORWARD_PORT,   /* `port`, with its Ethernet header of `l2_len` bytes before l3 */
	FORWARD_TUN,    /* cleartext that the kernel routes */
	FORWARD_WIRE,   /* ESP that the kernel sends */
	FORWARD_TUNNEL, /* cleartext that the slow path cuts to size and encapsulates */
	FORWARD_ENCAP,  /* cleartext out of one tunnel that goes into another: esp_encap() next */
};

struct forward_out {
	uint8_t to;   /* enum forward_to */
	uint8_t port; /* with FORWARD_PORT */
	uint8_t l2_len;
};

/* What this worker may do with a port. */
#define FORWARD_MAY_SEND 1u  /* it has a transmit queue there */
#define FORWARD_MAY_CLEAR 2u /* cleartext may leave: the port is an inner one, or both */
#define FORWARD_MAY_SPLIT 4u /* it takes frames in several descriptors */

/* One per worker. */
struct forward {
	struct fib *fib;
	struct esp_worker *esp; /* for the counters */
	uint32_t worker;
	uint8_t may[XESP_PORTS_MAX];
	/* The last answer: packets come in trains to one destination. Void after each batch. */
	bool known;
	enum fib_verdict verdict;
	struct xesp_addr dst;
	struct fib_hop hop;
	struct forward_out out[BATCH_MAX];
};

/* The batch is cleartext that esp_decap() made; or ESP that esp_encap() made. Fills fw->out. */
void forward_clear(struct forward *fw, struct batch *b);
void forward_esp(struct forward *fw, struct batch *b);

/* TTL or hop limit less one, and IPv4's checksum with it (RFC 1624); false: it was used up. */
bool forward_hop(uint8_t *l3);

#endif /* XESP_FORWARD_H */
