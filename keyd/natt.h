/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * natt.h - NAT traversal as configured, and where peers are now: RFC 3948, RFC 7296 section 2.23.
 *
 * xespd sees from where authenticated packets come and tells; here that is kept in map
 * xesp_tunnels, so that it survives restarts of either daemon, and shown. A peer that moved stays
 * where it was seen until the tunnel's addresses or ports are configured anew. Main thread.
 */
#ifndef XESP_KEYD_NATT_H
#define XESP_KEYD_NATT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "keyd/problems.h"
#include "xesp/steer.h"

struct config;
struct fault;
struct maps;
struct raw_tunnel;
struct sad;
struct tunnel;
struct xesp_keymsg_peer;

/* Sets t->natt; addresses are set already. -EINVAL with problems. */
int natt_take(struct tunnel *t, const struct raw_tunnel *raw, const char *path,
	      struct problems *ps);

/* The keys of natt_take(), as config_print() prints the others. */
void natt_print(const struct tunnel *t, FILE *out);

/* Where the remote end is now, and whether that is elsewhere than configured. */
const struct xesp_addr *natt_peer(const struct tunnel *t);
bool natt_has_moved(const struct tunnel *t);

/* "192.0.2.1 port 4500"; without encapsulation the address alone. Returns buf. */
#define NATT_TEXT_MAX 72
const char *natt_print_peer(const struct tunnel *t, char buf[NATT_TEXT_MAX]);
const char *natt_print_remote(const struct tunnel *t, char buf[NATT_TEXT_MAX]);
const char *natt_print_place(const struct xesp_addr *a, __be16 port, char buf[NATT_TEXT_MAX]); /* with its port */

/* After ids are assigned: peers that had moved, by the maps, are where they were. */
void natt_carry_over(const struct maps *m, struct sad *sad);

/* xespd says so. False: no such tunnel, or it does not follow its peer. Logged when it moved. */
bool natt_peer_moved(struct sad *sad, const struct xesp_keymsg_peer *m);

/* Ports at which XDP looks for ESP in UDP: all of `sad`'s, beside what is there. -errno of bpf(2) */
int natt_add_ports(const struct maps *m, const struct sad *sad, struct fault *f);
/* The same, and no others. */
int natt_settle_ports(const struct maps *m, const struct sad *sad, struct fault *f);

#endif /* XESP_KEYD_NATT_H */
