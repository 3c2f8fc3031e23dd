/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * populate.h - which of a tunnel's unique SAs a packet takes: the one of its own values.
 *
 * Populate from packet, RFC 4301 sections 4.4.1 and 4.4.2.2. Of a later fragment the ports are those
 * of the first one, where that was seen; a packet that does not show what its SA would have to be of
 * is discarded. An ICMP error goes with the packet that it is about when it has no SA of its own
 * (section 6.2). What finds none asks for one (sad/acquire.h). Visible to encap.c.
 */
#ifndef XESP_POPULATE_H
#define XESP_POPULATE_H

#include <stdbool.h>

struct esp_worker;
struct pkt;
struct populate;
struct sa;
struct tunnel;

int populate_open(struct populate **out); /* -ENOMEM */
void populate_close(struct populate *p);

/*
 * One worker's thread. Tunnel t's SA for the packet, which has t's id. NULL: there is none, and the
 * packet is dropped and counted: NO_SA_UNIQUE, FRAGMENT_UNKNOWN, MALFORMED_IP, NO_SA_OUT (a dummy).
 */
struct sa *populate_find(struct esp_worker *w, struct pkt *p, const struct tunnel *t);

#endif /* XESP_POPULATE_H */
