/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * program.h - the XDP programs of bpf/, which are inside this executable, and their maps.
 *
 * Every program defines all maps and pins them by name, so that the first one loaded creates them
 * and the others find them.
 */
#ifndef XESP_PROGRAM_H
#define XESP_PROGRAM_H

#include <stdint.h>

struct bpf_object;
struct fault;

/* Defaults of bpf/maps.h; the other maps keep its proportions. */
#define PROGRAM_SAS      16384u
#define PROGRAM_POLICIES 16384u
#define PROGRAM_REPLAY_WORDS \
	32u /* for each SA id: windows of 4096 packets, if half of them are inbound */
#define PROGRAM_ENTRIES_MIN 16u
#define PROGRAM_ENTRIES_MAX (1u << 20)

struct program_maps {
	const char *dir; /* where they are pinned */
	uint32_t max_sas;
	uint32_t max_policies;
	uint32_t replay_words;
};

/* Slots in xesp_spd_slot, for struct xesp_conf. */
uint32_t program_spd_slots(const struct program_maps *maps);

/* Of each CPU in xesp_flows, for struct xesp_conf. */
uint32_t program_flows(const struct program_maps *maps);

/* "xdp_outer", ... of an enum xesp_role. */
const char *program_name(uint32_t role);

/* Opened and sized, not yet loaded; ended with bpf_object__close(). */
int program_open(struct bpf_object **out, uint32_t role, const struct program_maps *maps,
		 struct fault *f);

/*
 * Loads it into the kernel; the maps are pinned then. Returns the program's descriptor, which the
 * object owns, or
 * -EINVAL  pinned maps are there, but of other sizes or types
 * -errno   of bpf(2): no memory, no right, or the verifier's refusal
 */
int program_load(struct bpf_object *obj, uint32_t role, const struct program_maps *maps,
		 struct fault *f);

/*
 * May this kernel replace functions of a loaded program (freplace), as libxdp's dispatcher needs?
 * `target_fd` is a loaded program of the same role. 0, or -errno with what it said.
 */
int program_probe_freplace(uint32_t role, const struct program_maps *maps, int target_fd,
			   struct fault *f);

#endif /* XESP_PROGRAM_H */
