/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * share.h - the sockets that share one registration of the UMEM (XDP_SHARED_UMEM).
 *
 * The kernel ties three things to a shared UMEM's first socket: whether all of them are zero-copy,
 * whether all take frames in several descriptors, and whether more may join, which ends when that
 * socket ends. So the one area is registered once
 * per mode, and again when the first socket of a registration is gone: a group each. Frames pass
 * between groups as they do within one, for it is the same memory. Main thread only.
 */
#ifndef XESP_SHARE_H
#define XESP_SHARE_H

#include <stdbool.h>
#include <stdint.h>

struct fault;
struct port;
struct share;
struct umem;

/* Borrows the UMEM. -ENOMEM. Ended by share_close(), when all ports have left. */
int share_open(struct share **out, struct umem *u, struct fault *f);
void share_close(struct share *s);

/* Makes and binds p's socket and maps its rings, as p->spec says; errors as of port_open(). */
int share_join(struct share *s, struct port *p, struct fault *f);

/* Unmaps the rings, then closes: the other way round the kernel would keep the socket. */
void share_leave(struct share *s, struct port *p);

/* Registrations in force, for tests. */
uint32_t share_groups(const struct share *s);

#endif /* XESP_SHARE_H */
