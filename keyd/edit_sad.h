/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * edit_sad.h - the tunnels, groups and SAs of a transaction, put into a copy of the configuration.
 *
 * Of edit.c alone. The steps in order: begin (SAs that go, go), put, then edit.c sees to the policies,
 * finish (tunnels that go, go, and the whole is checked). Main thread.
 */
#ifndef XESP_KEYD_EDIT_SAD_H
#define XESP_KEYD_EDIT_SAD_H

#include <stdint.h>
#include "keyd/index.h"
#include "keyd/problems.h"
#include "xesp/steer.h"

struct config;
struct edit;
struct spd;

struct edit_sad {
	struct edit *e;
	struct config *c;
	struct index names;    /* of tunnels and groups */
	/* Of SAs those alone that the transaction names, for there may be 100 000 others. */
	char (*asked)[XESP_NAME_MAX];
	struct index asked_names, sa_names;
	uint32_t more_sas;     /* at most so many come */
	uint32_t *origin;      /* [SAs] 0: was there; else where in `add`, then `set`, from 1 */
	uint8_t *tunnel_done;  /* [tunnels] this transaction has put it there */
	uint8_t *tunnel_moved; /* [tunnels] other ends or mode than before, one of them transport */
};

int edit_sad_begin(struct edit_sad *s, struct edit *e, struct config *c, struct problems *ps);
int edit_sad_put(struct edit_sad *s, struct problems *ps);
/* Policies that were narrowed to a tunnel's ends, and are not put anew (touched), against new ends. */
int edit_sad_check_policies(const struct edit_sad *s, const struct spd *spd, const uint8_t *touched,
			    struct problems *ps);
int edit_sad_finish(struct edit_sad *s, struct problems *ps);
void edit_sad_fini(struct edit_sad *s);

#endif /* XESP_KEYD_EDIT_SAD_H */
