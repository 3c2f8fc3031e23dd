/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dpd.h - dead-peer detection: which tunnels' far ends answer.
 *
 * A tunnel that asks for it sends an echo request through itself every dpd_ms; after dpd_misses
 * intervals without an answer it is down, and groups (sad/group.h) send its flows by their other
 * tunnels; after as many answers in a row it is up again. It is asked on while down. Main thread.
 */
#ifndef XESP_DPD_H
#define XESP_DPD_H

#include <stdint.h>

struct daemon;
struct dpd;
struct fault;
struct json_object;

/* -ENOMEM */
int dpd_open(struct dpd **out, struct daemon *d, struct fault *f);
void dpd_close(struct dpd *p);

/* After a tunnel was set or deleted, id < sad_tunnels_max(): begins, goes on or ends with it. */
void dpd_refresh(struct dpd *p, uint32_t id);

/* [{tunnel, peer "up"/"down", rtt_us or null, sent, answered, since_s}] */
struct json_object *dpd_json(const struct dpd *p);

#endif /* XESP_DPD_H */
