/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * source.h - the frames that the bench sends: UDP in clear, or ESP that holds it.
 *
 * ESP is made one packet at a time with numbers that go up, as the far gateway would: written into
 * memory by source_frame(), encrypted by source_seal(), a batch at a time.
 */
#ifndef XESP_BENCH_SOURCE_H
#define XESP_BENCH_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include "crypto/engine.h"

#define SOURCE_BATCH 64u

struct source_spec {
	uint32_t size; /* of the inner IP packet */
	uint8_t dst_mac[6], src_mac[6];
	uint32_t src, dst;             /* of the inner packet, network byte order */
	bool esp, sealed;              /* sealed: with AES-GCM; else as engine_none would */
	uint32_t outer_src, outer_dst; /* esp */
	uint32_t spi;
	uint64_t seq;           /* the first number */
	uint8_t key[20];        /* AES-128 and salt */
};

struct source {
	struct source_spec spec;
	uint8_t template[10240];
	uint32_t frame_len, text_off, text_len;
	uint64_t seq;
	uint32_t flow;
	struct engine_key *key;
	struct engine_job job[SOURCE_BATCH];
	uint32_t jobs_n;
};

void source_open(struct source *s, const struct source_spec *spec);
void source_frame(struct source *s, uint8_t *at);
void source_seal(struct source *s);

#endif /* XESP_BENCH_SOURCE_H */
