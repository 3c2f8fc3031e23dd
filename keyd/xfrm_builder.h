/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm_builder.h - what xfrm_model.c builds with: the raw configuration that grows, the memory of its
 * texts, and the list of what is left with the kernel. Of that file and xfrm_builder.c only.
 */
#ifndef XESP_KEYD_XFRM_BUILDER_H
#define XESP_KEYD_XFRM_BUILDER_H

#include "keyd/index.h"
#include "keyd/xfrm_model.h"

/* What makes two states the SAs of one tunnel. Hashed as bytes. */
struct way {
	struct xesp_addr local, remote;
	uint32_t reqid;
	uint8_t mode;
	uint8_t pad[3];
};

/* Of one way and CPU one outbound state sends. Hashed as bytes. */
struct slot {
	uint32_t tunnel; /* of raw.tunnels */
	uint32_t cpu;    /* XFRM_PCPU_ALL: those that have none of their own */
};

/* An outbound policy's template that names one SA. Hashed as bytes. */
struct named {
	uint32_t spi, reqid;
};

/* Text of raw_config, wiped and freed together. */
struct arena {
	size_t n, room;
	char **text;
	bool failed;
};

struct builder {
	const struct xfrm_tables *t;
	const struct xfrm_model_env *env;
	struct xfrm_unserved_list *unserved;
	struct arena arena;
	struct raw_config raw;
	struct index ways;
	struct way *way;          /* of raw.tunnels, same index */
	struct index slots;       /* of slot */
	struct slot *slot;        /* [slots_n] */
	const struct xfrm_state_entry **sends; /* of slot, same index: which */
	uint32_t slots_n;
	struct index named;       /* of naming */
	struct named *naming;     /* of t->policies, the first so many */
	size_t *sa_state;         /* of raw.sas: index into t->states */
	const struct xfrm_policy_entry **sorted;
	uint8_t *has_in;          /* of raw.tunnels: 1 there is an inbound SA */
	uint8_t *wants_cpus;      /* of raw.tunnels: 1 a policy asks for SAs of each CPU */
	uint8_t *left_out_state, *left_out_policy; /* by index in t: 1 unserved */
};

/* -ENOMEM; end it with xfrm_builder_fini() anyway. */
int xfrm_builder_init(struct builder *b);
void xfrm_builder_fini(struct builder *b); /* wipes every text */

/* NULL, and b->arena.failed: no memory. */
char *builder_text(struct builder *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char **builder_list_of(struct builder *b, char *one); /* a list of one */
char *builder_hex(struct builder *b, const uint8_t *bytes, size_t n);
void *builder_zeroes(struct builder *b, size_t size);

/* Once each; the policy or state stays with the kernel. */
void builder_leave_state(struct builder *b, size_t i, const char *reason);
void builder_leave_policy(struct builder *b, const struct xfrm_policy_entry *p, const char *reason);

const char *builder_dir_word(uint8_t dir); /* enum xfrm_entry_dir */

#endif /* XESP_KEYD_XFRM_BUILDER_H */
