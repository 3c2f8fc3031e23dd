/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admit.h - may this inner packet come out of this tunnel? RFC 4301 section 5.2 step 4.
 *
 * Why it exists: that a packet is authentic says who sent it, not that the sender may send it from
 * this address. The first policy of the inbound SPD that matches must be a protect policy of the
 * tunnel (or of a group that has it): the same list, searched in the same memory, as XDP holds
 * cleartext against. Answers are remembered per worker and flow, tagged with the SPD's generation,
 * so that a flow costs a few nanoseconds whatever the number of policies. Visible to decap.c.
 */
#ifndef XESP_ADMIT_H
#define XESP_ADMIT_H

#include <stdbool.h>
#include <stdint.h>

struct admit;
struct batch;
struct esp_worker;
struct pkt;
struct stage_pkt;

/* `sas`: how many there may be, for the number of flows to remember. -ENOMEM */
int admit_open(struct admit **out, uint32_t sas);
void admit_close(struct admit *a);

/*
 * The stage, one worker's thread. Drops: BAD_INNER, SELECTOR_MISMATCH, also when no SPD is loaded, or a
 * commit overtook the search twice.
 */
void admit_batch(struct esp_worker *w, struct batch *b);

/* Of a batch of many SAs, and so of many flows: asks for what admit_batch() will read of this packet's. */
void admit_fetch(const struct esp_worker *w, const struct pkt *p, const struct stage_pkt *x);

#endif /* XESP_ADMIT_H */
