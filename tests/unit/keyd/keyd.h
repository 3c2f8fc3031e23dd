/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keyd.h - keyd without its loop, over BPF maps and a lease book of its own, for the suites of
 * change.c: configurations go in, and the process may "end" and begin again on the same maps.
 */
#ifndef XESP_TEST_KEYD_KEYD_H
#define XESP_TEST_KEYD_KEYD_H

#include "keyd/change.h"
#include "keyd/config.h"
#include "keyd/grants.h"
#include "keyd/publish_maps.h"
#include "keyd/state_dir.h"
#include "tests/unit/keyd/fixture.h"
#include "xesp/fault.h"

struct keyd {
	struct pins pins;
	struct change change;
	struct grants grants;
	struct state_dir dir;
	char path[64];
	struct fault f; /* of the last keyd_apply() */
};

void keyd_setup(struct keyd *x, uint32_t max_sas, uint32_t replay_words);
void keyd_restart(struct keyd *x);
void keyd_finish(struct keyd *x);

/* One tunnel "t" between 192.0.2.1 and .2, and these entries of sas: and policies:. */
int keyd_apply(struct keyd *x, struct change_result *r, const char *sas, const char *policies);

const struct sa *keyd_sa(const struct keyd *x, const char *name);

#endif /* XESP_TEST_KEYD_KEYD_H */
