/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pipeline.h - frames through the worker's own stages: what `xesp bench pipeline` measures.
 *
 * One thread, both directions in turn. A lap is: the NIC has received `frames` frames of cleartext; they are
 * encapsulated batch by batch and sent; what was sent is received again, and decapsulated.
 */
#ifndef XESP_BENCH_PIPELINE_H
#define XESP_BENCH_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>
#include "bench/ends.h"
#include "bench/nic.h"
#include "esp/pkt.h"
#include "xesp/steer.h"

#define PIPELINE_PARTS_MAX 20
#define PIPELINE_FRAMES 1024u

struct esp_stage;

/* The parts of a direction: the stages of ESP, and what is before and behind them. */
struct pipeline_parts {
	const struct esp_stage *stages;
	const char *name[PIPELINE_PARTS_MAX];
	uint32_t n, crypto; /* crypto: which one is the engine */
};
extern struct pipeline_parts pipeline_parts[XESP_DIR_MAX];
void pipeline_name_parts(void);

struct pipeline {
	struct ends ends;
	struct nic nic;
	struct umem *umem;
	struct umem_pool *pool;
	bool wide;        /* frames of several chunks: without rings */
	uint32_t size, batch, frames, next_pair;
	uint64_t *addr;   /* [frames], with `wide` */
	uint8_t *wire;    /* [frames][wire_len]: what was sent */
	uint32_t wire_len;
	uint32_t *sent_len, *pair; /* [frames] */
	uint32_t sent_n;
	struct batch b;
	struct xdp_desc desc[BATCH_MAX];
	/* Called before each part, and with parts.n behind the last one. */
	void (*mark)(struct pipeline *p, enum xesp_dir dir, uint32_t part);
	/* marks' own */
	uint64_t at_ns;
	uint64_t took[PIPELINE_PARTS_MAX];
};

struct pipeline_opts {
	uint32_t size, batch, frames;
};

/* `ends` is open already. 0, or negative with a sentence; pipeline_close() is due in any case. */
int pipeline_open(struct pipeline *p, const struct pipeline_opts *o, struct fault *f);
void pipeline_close(struct pipeline *p);

/* Frames of cleartext, or what was sent, lie with the NIC. */
void pipeline_feed(struct pipeline *p, enum xesp_dir dir);
/* One batch of them. False: a packet was dropped. */
bool pipeline_batch(struct pipeline *p, enum xesp_dir dir);

#endif /* XESP_BENCH_PIPELINE_H */
