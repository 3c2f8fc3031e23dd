/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * acquire.h - SAs that packets asked for and did not find: RFC 4301 section 5.1 step 3b.
 *
 * Shown to people and orchestrators, who make them; once a second and values at most they are told
 * by xespd. With `source: xfrm` the kernel asks for its own packets, and an IKE daemon answers: those are shown as well. An entry goes when it was not asked for again in ACQUIRE_FORGET_NS, or when its SA is
 * there. Main thread.
 */
#ifndef XESP_KEYD_ACQUIRE_H
#define XESP_KEYD_ACQUIRE_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/keymsg.h"
#include "xesp/log.h"

struct config;
struct json_object;
struct xfrm_asked;

#define ACQUIRES_MAX 64
#define ACQUIRE_FORGET_NS 30000000000ull

struct acquire {
	struct xesp_values values;
	char tunnel[XESP_NAME_MAX];
	char policy[XESP_NAME_MAX];
	uint8_t proto;   /* of its ports */
	bool by_kernel;
	uint32_t cpu;    /* by the kernel: which CPU's SA; XESP_CPU_NONE: one for all */
	uint64_t first_ns, last_ns; /* CLOCK_BOOTTIME */
	uint64_t asked;  /* times */
};

struct acquires {
	uint32_t n;
	uint64_t total; /* that were told, ever */
	struct acquire entry[ACQUIRES_MAX]; /* the latest last */
	struct log_limit log;
	uint64_t second; /* of those of the kernel: so many in this one */
	uint32_t in_second;
};

/* What xespd said; the message was checked for its length alone. NULL: it is of another
 * configuration. */
const struct acquire *acquires_note(struct acquires *a, const struct config *c,
				    const struct xesp_keymsg_acquire *m, uint64_t now_ns);

/*
 * The kernel wants an SA. Tunnel and policy are named as xfrm_model.h names them, though the tunnel may not be there yet.
 * NULL: more ask than are told of in one second.
 */
#define ACQUIRES_A_SECOND 64
const struct acquire *acquires_note_kernel(struct acquires *a, const struct xfrm_asked *asked, uint64_t now_ns);

/* What it is about: tunnel, policy and selector into `o`. */
void acquire_show(const struct acquire *e, struct json_object *o);

/* Those that still stand, for `status`: docs/control.md has the fields. */
struct json_object *acquires_json(struct acquires *a, const struct config *c, uint64_t now_ns);

#endif /* XESP_KEYD_ACQUIRE_H */
