/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * publish_maps.h - selectors, SPIs and identities into the pinned maps of xesp/steer.h.
 *
 * The maps outlive keyd, so a fresh keyd finds what the last one wrote. Everything here therefore
 * compares the maps with the configuration and changes what differs, whoever wrote it: a crash
 * between two steps is mended by the next change. No key goes into a map. The SPD is committed by
 * generation, whole or not at all; docs/architecture.md has the protocol. Main thread.
 */
#ifndef XESP_KEYD_PUBLISH_MAPS_H
#define XESP_KEYD_PUBLISH_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "keyd/sad.h"
#include "keyd/spd.h"
#include "keyd/spd_diff.h"
#include "libxesp/pins.h"
#include "libxesp/spd_memory.h"
#include "xesp/steer.h"

struct fault;
struct grants_kernel;
struct spd_change;
struct spd_table;

/* Open to ids.c and control.c, who read it; only publish_maps.c writes the maps. */
struct maps {
	struct pins pins;
	struct spd_memory spd;          /* mapped */
	struct spd_table *table;        /* what is in it */
	struct xesp_conf *conf;         /* its */
	struct xesp_sa_state *sa;       /* mapped, [max_sas] */
	uint64_t *replay;               /* mapped, [replay_words] */
	struct xesp_policy_drops *drops; /* mapped, read only, [max_policies] */
	struct xesp_policy_hits *hits;   /* mapped, [hits_cpus][XESP_HITS_OF_CPU(max_policies)] */
	size_t sa_len, replay_len, drops_len, hits_len;
	uint32_t hits_cpus;
	uint32_t max_sas, max_policies, max_tunnels, replay_words;
	uint32_t max_sa_in, max_endpoints;
	/* What the maps hold: keyd is their only writer. */
	struct xesp_policy *policies; /* [max_policies] */
	struct xesp_tunnel *tunnels;  /* [max_tunnels] */
	struct maps_inbound { /* where xesp_sa_in names this SA, as far as we know */
		struct xesp_sa_in_key key;
		uint32_t tunnel;
		bool there;
		bool handover; /* struct xesp_sa_in_val */
	} *inbound; /* [max_sas] */
	/* SA ids that no worker holds any more since then (CLOCK_MONOTONIC); 0: not known */
	uint64_t *retired_ns; /* [max_sas] */
	/* Where the last free id was found: a number just freed is the last to be used again. */
	uint32_t policy_cursor, tunnel_cursor;
};

/* Opens the pins (see pins_open()) and reads them. End with maps_close(). */
int maps_open(struct maps **out, const char *pin_dir, struct fault *f);
/* The same with pins that are open already, which become the maps' own; for tests. */
int maps_adopt(struct maps **out, const struct pins *pins, struct fault *f);
void maps_close(struct maps *m);

/*
 * Before anything is switched: identities of fresh SAs, names of policies and tunnels whose ids
 * were free, and tunnel ends that are not in the maps yet. Nothing that runs is
 * changed by it. -errno of bpf(2); -E2BIG the maps are too small
 */
int maps_prepare(struct maps *m, const struct sad *sad, const struct spd *spd,
		 const struct spd_diff *d, struct fault *f);

/* The switch: see spd_table_commit(). Until it returns 0 the old SPD is in force. */
int maps_commit(struct maps *m, const struct spd_change *c, struct fault *f);

/*
 * Packets of new inbound SAs go to the workers from here on, who know these SAs by now: a peer may send
 * under one before we have heard of it, and until then that is the kernel's where it has the SA too.
 */
int maps_admit(struct maps *m, const struct sad *sad, struct fault *f);

/*
 * After the switch: what is no longer configured goes, what changed under the same id is written.
 * SAs that go are parked: their state stays until their id is needed, in case they come back. Packets still find
 * them and their ends, until maps_let_go(). Goes on after an error and returns the first.
 */
int maps_settle(struct maps *m, const struct spd_change *c, struct fault *f);

/*
 * When no worker has the SAs any more that are not in `sad`: nothing leads to them, and what came for them is the kernel's where
 * it has the same. `kernel`: publish_inbound_settle(). Goes on after an error and returns the first.
 */
int maps_let_go(struct maps *m, const struct sad *sad, const struct grants_kernel *kernel, struct fault *f);

/* Takes back maps_prepare() of a change that failed before the switch: back to these (NULL: none). maps_let_go() comes after it. */
void maps_undo(struct maps *m, const struct sad *sad, const struct spd *spd);

/*
 * The same three for a change of policies alone: names of the added, what changed or went after the
 * commit, and what maps_prepare_policies() did taken back: `fresh` are the ids that were free before.
 */
int maps_prepare_policies(struct maps *m, const struct sad *sad, const struct spd *spd,
			  const struct spd_diff *d, struct fault *f);
int maps_settle_policies(struct maps *m, const struct spd_change *c, struct fault *f);
void maps_undo_policies(struct maps *m, const uint32_t *fresh, uint32_t n);

/* A refusal or its end changes what a tunnel sends on: xesp_tunnels says so to readers. */
void maps_show_tunnel(struct maps *m, const struct sad *sad, const struct tunnel *t);

/* What XDP leaves to the kernel from now on: bits of enum xesp_kernel. */
void maps_set_kernel(struct maps *m, uint32_t kernel);

/* Packets and bytes that matched a policy, over all CPUs. */
struct xesp_policy_hits maps_policy_hits(const struct maps *m, uint32_t id);


#endif /* XESP_KEYD_PUBLISH_MAPS_H */
