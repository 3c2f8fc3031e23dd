/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spd.h - the ordered Security Policy Database, RFC 4301 section 4.4.1, and its form for the maps.
 *
 * The first policy that matches a packet decides. XDP cannot walk a list of 100 000, so the list is
 * turned into a tuple space (struct xesp_spd_tuple): policies are cut into entries whose fields are
 * values under masks, entries with equal masks form a tuple, and among entries of one tuple with
 * equal keys only the first policy's stays. Searching every tuple once and taking the lowest rank
 * is then the same as walking the list. tests/unit/keyd/test_spd.c compares the two. Main thread.
 */
#ifndef XESP_KEYD_SPD_H
#define XESP_KEYD_SPD_H

#include <stdint.h>
#include "keyd/selector.h"
#include "xesp/steer.h"

struct fault;
struct raw_config;
struct sad;

struct policy {
	char name[XESP_NAME_MAX];
	uint32_t id;     /* index into xesp_policies; 0 not yet */
	uint32_t tunnel; /* index into sad.tunnels with PROTECT; SAD_NONE otherwise */
	uint8_t action;  /* enum xesp_action */
	uint8_t dirs;    /* bit 1 << enum xesp_dir */
	struct selector sel;
};

/* A policy's rank is its index. */
struct spd {
	uint8_t default_action; /* enum xesp_action */
	uint32_t n;
	struct policy *policies;
	uint32_t *inbound; /* ranks of inbound protect policies, grouped by tunnel (struct tunnel) */
};

/* Sets the tunnels' inbound_*. On failure problems are added; spd_fini() anyway. */
int spd_init(struct spd *spd, const struct raw_config *raw, struct sad *sad,
	     struct problems *ps);
void spd_fini(struct spd *spd);

/* One entry of xesp_spd. generation is 0 in both until they are published. */
struct spd_entry {
	struct xesp_spd_key key;
	struct xesp_spd_val val;
};

struct spd_image {
	uint32_t tuples_n[XESP_DIR_MAX];
	struct xesp_spd_tuple tuples[XESP_DIR_MAX][XESP_TUPLES_MAX]; /* in order of best_rank */
	uint32_t entries_n;
	struct spd_entry *entries;
};

#define SPD_ENTRIES_MAX (4u << 20)

/*
 * The image of the list. Policy and tunnel ids are taken as they are now. The caller ends it with
 * spd_image_free().
 * -E2BIG   more than XESP_TUPLES_MAX mask combinations in one direction, or too many entries: the
 *          sentence names the policy that was one too many
 * -ENOMEM
 */
int spd_compile(const struct spd *spd, const struct sad *sad, struct spd_image **out,
		struct fault *f);
void spd_image_free(struct spd_image *image);

#endif /* XESP_KEYD_SPD_H */
