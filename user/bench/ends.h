/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ends.h - both ends of many tunnels in one process, without maps, sockets or a kernel.
 *
 * Pair k has an outbound SA and an inbound one with the same key and SPI, each with a tunnel of its
 * own, and the inbound SPD lets host k come in by its tunnel alone. What one end makes the other takes.
 */
#ifndef XESP_BENCH_ENDS_H
#define XESP_BENCH_ENDS_H

#include <stdint.h>
#include "libxesp/spd_memory.h"
#include "sad/sad.h"

struct engine;
struct esp_worker;
struct fault;

#define ENDS_WINDOW XESP_WINDOW_DEFAULT
#define ENDS_WORKERS 2u    /* the slow path's too, whose keys are made as xespd makes them */

struct ends {
	uint32_t pairs;
	struct sad_state st;
	struct spd_memory spd;
	struct sad *sad;
	struct esp_worker *w;
};

static inline uint32_t ends_out(uint32_t pair)
{
	return 2 * pair + 1;
}

static inline uint32_t ends_in(uint32_t pair)
{
	return 2 * pair + 2;
}

/* Host of a pair, in 10.0.0.0/8, and the one behind the other end, 192.168.0.1. Network byte order. */
uint32_t ends_host(uint32_t pair);
uint32_t ends_other(void);

/* 0, or negative with a sentence; ends_close() is due in any case. */
int ends_open(struct ends *e, uint32_t pairs, const struct engine *engine, struct fault *f);
void ends_close(struct ends *e);

#endif /* XESP_BENCH_ENDS_H */
