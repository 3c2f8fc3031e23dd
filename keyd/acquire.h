/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * acquire.h - SAs that packets asked for and did not find: RFC 4301 section 5.1 step 3b.
 *
 * Shown to people and orchestrators, who make them; once a second and values at most they are told
 * by xespd. An entry goes when it was not asked for again in ACQUIRE_FORGET_NS, or when its SA is
 * there. Main thread.
 */
#ifndef XESP_KEYD_ACQUIRE_H
#define XESP_KEYD_ACQUIRE_H

#include <stdint.h>
#include "xesp/keymsg.h"
#include "xesp/log.h"

struct config;
struct json_object;

#define ACQUIRES_MAX 64
#define ACQUIRE_FORGET_NS 30000000000ull

struct acquire {
	struct xesp_values values;
	char tunnel[XESP_NAME_MAX];
	char policy[XESP_NAME_MAX];
	uint8_t proto;   /* of its ports */
	uint64_t first_ns, last_ns; /* CLOCK_BOOTTIME */
	uint64_t asked;  /* times */
};

struct acquires {
	uint32_t n;
	uint64_t total; /* that were told, ever */
	struct acquire entry[ACQUIRES_MAX]; /* the latest last */
	struct log_limit log;
};

/* What xespd said; the message was checked for its length alone. NULL: it is of another
 * configuration. */
const struct acquire *acquires_note(struct acquires *a, const struct config *c,
				    const struct xesp_keymsg_acquire *m, uint64_t now_ns);

/* What it is about: tunnel, policy and selector into `o`. */
void acquire_show(const struct acquire *e, struct json_object *o);

/* Those that still stand, for `status`: docs/control.md has the fields. */
struct json_object *acquires_json(struct acquires *a, const struct config *c, uint64_t now_ns);

#endif /* XESP_KEYD_ACQUIRE_H */
