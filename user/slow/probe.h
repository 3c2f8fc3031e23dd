/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probe.h - the slow path's part in pings through tunnels: sending ours, taking their answers, and
 * sending the kernel's answers back by the tunnel that the question came through.
 *
 * The last is for groups (sad/group.h): a peer that probes each of its tunnels must hear by the same
 * one, or a dead tunnel would be blamed on a live one. Main thread.
 */
#ifndef XESP_SLOW_PROBE_H
#define XESP_SLOW_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include "slow/echo.h"
#include "slow/slow.h"

struct pkt;
struct slow;

#define PROBE_ASKED 256 /* questions that are remembered, by a hash: a power of two */

struct probe_asked {
	struct xesp_addr local, remote;
	uint32_t tunnel; /* 0: empty */
	uint16_t id;
};

struct probe {
	uint64_t secret;
	struct slow_echo_calls calls[ECHO_KINDS];
	struct probe_asked asked[PROBE_ASKED];
};

/* -EIO: no random numbers */
int probe_init(struct probe *pr);

/* A decapsulated packet on its way to the kernel. True: it was an answer to us, and is done. */
bool probe_takes(struct slow *s, const struct pkt *p);

/* A packet from the kernel on its way into group or tunnel `id`: the id that it should take. */
uint32_t probe_way_back(struct slow *s, const struct pkt *p, uint32_t id);

#endif /* XESP_SLOW_PROBE_H */
