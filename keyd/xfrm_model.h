/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm_model.h - from the kernel's XFRM tables to a configuration of ours.
 *
 * The tables are written down as struct raw_config, as if an engineer had, and go the way that a
 * file goes: the same checks, the same sentences. States between the same two ends with the same
 * mode and reqid are the SAs of one tunnel; policies become policies in the order of the kernel's
 * priorities. What cannot be served is left with the kernel: its policies are `bypass` here, so
 * that XDP passes their packets to the kernel, whose own policies protect or drop them. It is
 * listed with the reason. Main thread.
 */
#ifndef XESP_KEYD_XFRM_MODEL_H
#define XESP_KEYD_XFRM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include "keyd/schema.h"
#include "keyd/xfrm_entry.h"
#include "keyd/xfrm_follow.h"

struct config;
struct fault;
struct xfrm_overlap;
struct xfrm_refused;

#define XFRM_WHAT_MAX 96

struct xfrm_unserved {
	char what[XFRM_WHAT_MAX];      /* "SA 0xc1234567 towards 192.0.2.2", "policy out 10.1.0.0/24 ..." */
	char reason[2 * XFRM_REASON_MAX];
};

struct xfrm_unserved_list {
	size_t n, room;
	struct xfrm_unserved *entry;
};

void xfrm_unserved_fini(struct xfrm_unserved_list *l);

/* Whose address is it? */
struct xfrm_model_env {
	bool (*is_local)(const void *ctx, const struct xesp_addr *a);
	const void *ctx;
	const struct xfrm_refused *refused; /* what xespd has refused; NULL: nothing */
	const struct xfrm_lent *lent;       /* what the kernel is to have for a while; NULL: nothing */
	uint64_t now_ms;                    /* CLOCK_MONOTONIC, with lent */
	const struct config *file; /* interfaces, default and routes are as there */
	const char *label;             /* config.file of the result */
	struct xfrm_overlap *overlap;  /* gets what policies nobody decided between; NULL: not asked */
};

/* The name of the tunnel that such states and policies make. */
void xfrm_model_tunnel_name(char name[XESP_NAME_MAX], const struct xesp_addr *local, const struct xesp_addr *remote,
			    uint32_t reqid, uint8_t mode);

/*
 * The configuration that the tables mean; the caller's to free. `unserved` is replaced.
 * -EINVAL: something that is no single entry's fault; -ENOMEM
 */
int xfrm_model_build(struct config **out, const struct xfrm_tables *t,
		     const struct xfrm_model_env *env, struct xfrm_unserved_list *unserved,
		     struct fault *f);

#endif /* XESP_KEYD_XFRM_MODEL_H */
