/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emit.h - two ways to put frames on an interface: XDP's live frames, which reach a veth's far end
 * without an skb, and an AF_XDP socket for frames larger than a page.
 */
#ifndef XESP_BENCH_EMIT_H
#define XESP_BENCH_EMIT_H

#include <stdint.h>
#include "tests/bench/source.h"

struct emit;

/* What is counted at the far end: IPv4 to these addresses, network byte order. */
struct emit_sink {
	uint32_t dst, mask;
};

/* In the network namespace of the interface. Exits with a sentence when it cannot. */
struct emit *emit_open(struct source *s, const char *ifname, const struct emit_sink *sink);

/* Sends up to n frames, SOURCE_BATCH at most; returns how many went. */
uint32_t emit_send(struct emit *e, uint32_t n);

/* The far end: a filter on an interface of the present network namespace that counts and drops. */
void emit_sink(struct emit *e, const char *ifname);
void emit_counted(const struct emit *e, uint64_t *packets, uint64_t *bytes);
/* Of ESP to one address: packets that came behind a higher number, and by how many numbers at most. */
void emit_order(const struct emit *e, uint64_t *late, uint64_t *latest);

void emit_close(struct emit *e);

#endif /* XESP_BENCH_EMIT_H */
