/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spd.h - the ordered Security Policy Database, RFC 4301 section 4.4.1.
 *
 * The first policy that matches a packet decides. XDP cannot walk a list of 100 000, so each policy
 * is cut into entries of a tuple space (spd_cut.h), among equal keys the first policy's counts
 * (spd_table.h), and taking the lowest rank over all tuples is the same as walking the list.
 * tests/unit/keyd/test_spd.c compares the two. Main thread.
 */
#ifndef XESP_KEYD_SPD_H
#define XESP_KEYD_SPD_H

#include <stdbool.h>
#include <stdint.h>
#include "keyd/selector.h"
#include "xesp/steer.h"

struct fault;
struct raw_config;
struct sad;

struct policy {
	char name[XESP_NAME_MAX];
	uint32_t tunnel; /* index into sad.tunnels with PROTECT; SAD_NONE otherwise */
	uint8_t action;  /* enum xesp_action */
	uint8_t dirs;    /* bit 1 << enum xesp_dir */
	uint8_t pfp;     /* bits of enum xesp_pfp, see pfp.h */
	struct selector sel;
};

#define SPD_DIGEST_LEN 16

/*
 * Apart from the policies, in order, what is compared and copied for 100 000 at once when one of
 * them changes.
 */
struct spd {
	uint8_t default_action; /* enum xesp_action */
	bool kernel;            /* what is bypassed the kernel's own policies see to */
	bool has_pfp; /* some policy has, or had */
	uint32_t n, room;
	struct policy *policies;
	uint32_t *ids;   /* [n] index into xesp_policies; 0 not yet */
	uint32_t *ranks; /* [n] growing, with gaps; set by spd_diff() */
	uint8_t (*digests)[SPD_DIGEST_LEN]; /* [n] equal: the same name, selectors, action and tunnel */
};

/* On failure problems are added; spd_fini() anyway. */
int spd_init(struct spd *spd, const struct raw_config *raw, struct sad *sad,
	     struct problems *ps);
void spd_fini(struct spd *spd);

/* The parts of spd_init(), for a transaction's policies. `path` is the policy's. -EINVAL; -ENOMEM */
struct index;
struct raw_policy;
int spd_take_policy(struct policy *p, const struct raw_policy *raw, const char *path,
		    const struct sad *sad, const struct index *tunnels, struct problems *ps);
int spd_digest(const struct policy *p, const struct sad *sad, uint8_t out[SPD_DIGEST_LEN]);

#define SPD_ENTRIES_MAX (4u << 20)

/*
 * Can the classifier hold it? Does not depend on the machine.
 * -E2BIG   more than XESP_TUPLES_MAX combinations of masks in one direction, or too many entries:
 *          the sentence names the policy that was one too many
 * -ENOMEM
 */
int spd_check(const struct spd *spd, struct fault *f);

#endif /* XESP_KEYD_SPD_H */
