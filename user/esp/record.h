/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record.h - a dropped packet into its worker's part of map xesp_last_wkr, see xesp/dropped.h.
 *
 * Called where packets are dropped only, so good ones do not pay for it; and of a flood most cost a comparison. The
 * worker's thread.
 */
#ifndef XESP_RECORD_H
#define XESP_RECORD_H

#include <stdint.h>
#include "xesp/drop.h"

struct esp_worker;
struct pkt;

/* `number`: of this reason, by the worker's own counter, with this one. Reads the headers at p->l3, no payload. */
void record_drop(struct esp_worker *w, const struct pkt *p, enum xesp_drop why, uint64_t number);

#endif /* XESP_RECORD_H */
