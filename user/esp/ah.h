/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ah.h - AH, RFC 4302: what differs from ESP in the stages of encap and decap.
 *
 * The ICV is computed over the packet itself, in which what may change on the way is zero for as
 * long: the headers before AH and the ICV field are kept aside (struct ah_aside) and put back.
 * Any worker, its own packets.
 */
#ifndef XESP_AH_H
#define XESP_AH_H

#include <stdbool.h>
#include <stdint.h>
#include "esp/ah_mutable.h"
#include "xesp/drop.h"

struct batch;
struct engine_job;
struct esp_worker;
struct pkt;
struct sa;
struct stage_pkt;
struct transform;

#define AH_FIXED_LEN 12u /* RFC 4302 section 2: all of it before the ICV */
#define AH_SEQ_AT 8u
#define AH_FIELD_MAX 40 /* IV and ICV */

struct ah_aside {
	uint8_t headers[AH_MUTABLE_MAX];
	uint8_t field[AH_FIELD_MAX]; /* decap: as it arrived */
};

/* Bytes of the AH header: RFC 4302 section 2.6, a multiple of 4, over IPv6 of 8. */
uint32_t ah_len(const struct transform *t, bool ip6);

/* ---- encap */

/* Can the ICV of a packet with these headers before AH be computed? Changes nothing. */
bool ah_takes(const uint8_t *ip, uint32_t len);

/* p->l3, l4_off and len are those of the packet with AH, whose headers are written: AH itself. */
void ah_write(struct esp_worker *w, const struct pkt *p, struct stage_pkt *x, uint8_t next);

/* After the engine: IV and headers are put where they belong. */
void ah_finish(struct esp_worker *w, struct batch *b);

/* ---- decap */

/* RFC 4302 section 3.4: is this an AH header of the SA's shape? Sets x->text. */
enum xesp_drop ah_check(const struct pkt *p, struct stage_pkt *x);

/* Before the engine: puts aside, and clears, what the ICV does not cover. */
void ah_open(struct esp_worker *w, struct batch *b);

/* After it: the headers are back. */
void ah_opened(struct esp_worker *w, struct batch *b);

/* What stands behind it, and which protocol that is. */
struct payload;
void ah_payload(const struct pkt *p, struct payload *pay);

/* ---- both: the job over the whole packet. */
void ah_job(struct esp_worker *w, struct engine_job *j, const struct pkt *p,
	    const struct stage_pkt *x);

#endif /* XESP_AH_H */
