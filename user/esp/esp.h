/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * esp.h - the door of ESP: RFC 4303 tunnel mode with the transforms of crypto/.
 *
 * Both calls transform a batch in place: outer header, ESP header and IV go into the room before
 * the packet, padding and ICV behind it. On return a packet with drop == XESP_DROP_NONE is ready
 * to be routed; any other is counted already, in its SA, its policy and the worker's statistics.
 * One struct esp_worker per worker; no call takes a lock for longer than a replay window's commit.
 */
#ifndef XESP_ESP_H
#define XESP_ESP_H

#include <stdint.h>
#include "esp/pkt.h"
#include "xesp/steer.h"

struct fault;
struct resync_packet;
struct sad;
struct esp_worker;

/* `worker` is below the count given to sad_open(). Ended by esp_worker_close(). -ENOMEM */
int esp_worker_open(struct esp_worker **out, struct sad *sad, uint32_t worker, struct fault *f);
void esp_worker_close(struct esp_worker *w);

/*
 * Cleartext -> ESP, RFC 4303 section 3.3. Before: pkt.l3, len, head, end, id (tunnel), policy.
 * Decrements the inner TTL (RFC 4301 section 5.1.2.1) before it builds the outer header.
 * Drops: NO_SA_OUT, NO_SA_UNIQUE, FRAGMENT_UNKNOWN, MALFORMED_IP, TTL_EXPIRED, TOO_BIG (mtu set), NO_LEASE, SEQ_EXHAUSTED,
 * NO_TAILROOM (too little room before or behind), CRYPTO_FAILED. Sets l4_off to the ESP header.
 * With TTL_EXPIRED and TOO_BIG the packet is untouched, so that the slow path can quote it to its
 * sender; TOO_BIG with `fragment` set is not counted as a drop, for the slow path fragments it and
 * encapsulates the pieces.
 */
void esp_encap(struct esp_worker *w, struct batch *b);

/*
 * ESP -> cleartext, RFC 4303 section 3.4. Before: pkt.l3, len, l4_off, head, end, id (SA).
 * The SA must fit the packet: its SPI, and its outer addresses, are compared again here.
 * What Ethernet padded is cut off. A packet refused after decryption is wiped.
 * Drops: NO_SA, MALFORMED_IP (the outer header), ESP_SHORT, REPLAY_DUPLICATE, REPLAY_OLD, BAD_ICV,
 * BAD_PADDING, BAD_INNER, SELECTOR_MISMATCH, ECN_INVALID, DUMMY. The inner TTL is not yet
 * decremented: that is forwarding.
 */
void esp_decap(struct esp_worker *w, struct batch *b);

/*
 * What these two do, in order, each a loop over the batch; the last one has no `run`. Open to `xesp bench
 * pipeline`, which looks at the clock in between.
 */
struct esp_stage {
	const char *name;
	void (*run)(struct esp_worker *w, struct batch *b);
};
#define ESP_STAGE_CRYPTO "crypto" /* the engine, between what is before and behind it */
#define ESP_STAGE_NUMBERS "numbers" /* of encap: what is before it only looks */
extern const struct esp_stage esp_encap_stages[], esp_decap_stages[];

/*
 * RFC 4303 appendix A3.2: tries the packet of sad/resync.h under upper halves of its number that lie above the inferred
 * one. True: it authenticates under one, and the window is there now; the packet itself was counted as a drop
 * and stays one. Main thread; in between the caller holds the SAs.
 */
struct esp_resync {
	uint8_t *scratch;    /* RESYNC_ROOM bytes */
	struct batch *batch; /* of the caller */
	uint64_t was, now;   /* the highest number, before and after */
	uint32_t spi;        /* host byte order */
};
bool esp_resync(struct esp_worker *w, const struct resync_packet *p, struct esp_resync *r);

/*
 * The same in three steps, for a batch whose crypto another thread may do (worker/dispatch.h). prepare
 * and finish are the worker's own, finish in the order of prepare: there numbers are taken, and here
 * the window is committed. In between `crypt` is called once, by any thread that has an index of its
 * own: the keys it uses are those of worker `by`. What w and b hold belongs to the batch until finish,
 * so each batch under way has its own esp_worker: of esp_worker_open_beside(), which shares all else with
 * the first one and is the same thread's. Until finish the worker must not say that it is quiescent
 * beyond the epoch of prepare (sad/sad.h). An SA deleted meanwhile is thus still there, key and all.
 */
int esp_worker_open_beside(struct esp_worker **out, const struct esp_worker *first, struct fault *f);
void esp_prepare(struct esp_worker *w, struct batch *b, enum xesp_dir dir);
void esp_crypt(struct esp_worker *w, const struct batch *b, enum xesp_dir dir, uint32_t by);
void esp_finish(struct esp_worker *w, struct batch *b);

/* Counts one more drop that happened to this packet outside esp_*(), where the others stand. */
void esp_count_drop(struct esp_worker *w, struct pkt *p, enum xesp_drop why);

/* A batch begins that may end before esp_*(): its drops are of now. */
void esp_begin(struct esp_worker *w);

/* The worker's own row of xesp_wkr_stats, for what ports and routes count. */
struct xesp_worker_stats *esp_worker_stats(struct esp_worker *w);

#endif /* XESP_ESP_H */
