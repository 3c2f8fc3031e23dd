/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * balance.h - the stage of encap that comes first: of a group's tunnels, the one for this flow.
 */
#ifndef XESP_BALANCE_H
#define XESP_BALANCE_H

struct batch;
struct esp_worker;

/*
 * Packets whose id is a group's get that of one of its tunnels (sad/group.h): the one of their
 * flow, or the next that has an SA to send on, so that an SA that expired costs no packet.
 */
void balance(struct esp_worker *w, struct batch *b);

#endif /* XESP_BALANCE_H */
