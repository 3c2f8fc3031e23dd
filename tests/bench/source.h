/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * source.h - the frames that the bench sends: UDP in clear, or ESP that holds it.
 *
 * ESP is made one packet at a time with numbers that go up, as the far gateway would: written into
 * memory by source_frame(), encrypted by source_seal(), a batch at a time.
 *
 * Of many tunnels (tests/bench/tunnels_config.py names them) each has one packet before any has a second, and the next
 * packet's tunnel lies far from this one's: a step through all of them that has no divisor in common with
 * their number, and is near its golden section. Inbound SAs differ in their salt, not in the AES key, so that the
 * generator needs one key schedule however many the gateway has.
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
	uint64_t seq;           /* the first number, of each SA */
	uint8_t key[20];        /* AES-128 and salt; of many tunnels the salt is the tunnel's index */
	/*
	 * 0: one, as above. Else tunnel i of so many has the far address `dst`
	 * (esp: `src`) + i, the far gateway outer_src + i, and the SPI `spi` + 2 * i.
	 */
	uint32_t tunnels;
};

struct source {
	struct source_spec spec;
	uint8_t template[10240];
	uint32_t frame_len, text_off, text_len;
	uint64_t seq; /* of the next packet */
	uint32_t flow;
	uint32_t tunnel, step; /* of many: the next packet's, and from there to the one after */
	struct engine_key *key;
	struct engine_job job[SOURCE_BATCH];
	uint32_t jobs_n;
};

void source_open(struct source *s, const struct source_spec *spec);
void source_frame(struct source *s, uint8_t *at);
void source_seal(struct source *s);

/* A number that no SA has sent yet, nor one above it. */
uint64_t source_unused(const struct source *s);

#endif /* XESP_BENCH_SOURCE_H */
