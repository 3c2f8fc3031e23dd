/* SPDX-License-Identifier: BSD-2-Clause */
/* program.c - see program.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "bpf/xdp_inner.skel.h"
#include "bpf/xdp_onearm.skel.h"
#include "bpf/xdp_outer.skel.h"
#include "xesp/fault.h"
#include "xesp/program.h"
#include "xesp/steer.h"

static const struct {
	const char *name;
	const void *(*bytes)(size_t *len);
} programs[] = {
	[XESP_ROLE_INNER] = { "xdp_inner", xdp_inner__elf_bytes },
	[XESP_ROLE_OUTER] = { "xdp_outer", xdp_outer__elf_bytes },
	[XESP_ROLE_BOTH] = { "xdp_onearm", xdp_onearm__elf_bytes },
};

const char *program_name(uint32_t role)
{
	return programs[role].name;
}

static uint32_t possible_cpus(void)
{
	const int n = libbpf_num_possible_cpus();

	return n > 0 ? (uint32_t)n : 1;
}

/* Ranges are cut into prefixes, and a policy has an entry for each direction. */
static uint32_t program_spd_entries(const struct program_maps *maps)
{
	return maps->max_policies * 8;
}

/* A power of two of which entries fill a quarter at most: runs of probes stay short. */
uint32_t program_spd_slots(const struct program_maps *maps)
{
	uint32_t n = 1024;

	while (n < program_spd_entries(maps) * 4)
		n *= 2;
	return n;
}

/*
 * Twice as many as there may be policies: one flow of each is what many tunnels look like. Places are taken in pairs by a hash, and
 * with as many flows as policies one in seven or so finds its pair full.
 */
uint32_t program_flows(const struct program_maps *maps)
{
	const uint32_t cpus = possible_cpus();
	uint32_t n = XESP_FLOWS_MIN;

	while (n < 2 * maps->max_policies && n < XESP_FLOWS_MAX && 2 * n * cpus <= XESP_FLOWS_ALL)
		n *= 2;
	return n;
}

static int resize(struct bpf_object *obj, const struct program_maps *maps)
{
	const struct {
		const char *map;
		uint32_t entries;
	} sizes[] = {
		{ "xesp_sa_state", maps->max_sas },
		{ "xesp_sa_in", maps->max_sas },
		{ "xesp_tunnels", maps->max_sas },
		{ "xesp_replay", maps->replay_words },
		{ "xesp_policies", maps->max_policies },
		{ "xesp_pol_hits", possible_cpus() * XESP_HITS_OF_CPU(maps->max_policies) },
		{ "xesp_pol_drops", maps->max_policies },
		{ "xesp_spd_rule", maps->max_policies },
		{ "xesp_spd_entry", program_spd_entries(maps) },
		{ "xesp_spd_slot", XESP_SPD_ROOM(program_spd_slots(maps)) },
		{ "xesp_flows", possible_cpus() * program_flows(maps) },
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(obj, sizes[i].map);
		int err = map ? bpf_map__set_max_entries(map, sizes[i].entries) : -ENOENT;

		if (err)
			return err;
	}
	return 0;
}

/*
 * Frames in several buffers of the driver are welcome, which lets it be attached where the MTU is
 * large. Not by the section's name, xdp.frags: then libxdp could not take the flag back, as it must
 * where another program of its dispatcher has not got it.
 */
static int allow_frags(struct bpf_object *obj, const char *name, struct fault *f)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(obj, name);
	int err = -ENOENT;

	if (prog)
		err = bpf_program__set_flags(prog, bpf_program__flags(prog) | BPF_F_XDP_HAS_FRAGS);
	return err ? fault_set(f, err, "cannot prepare program %s: %s", name, strerror(-err)) : 0;
}

int program_open(struct bpf_object **out, uint32_t role, const struct program_maps *maps,
		 struct fault *f)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = programs[role].name,
		    .pin_root_path = maps->dir);
	const void *bytes;
	size_t len;
	int err;

	bytes = programs[role].bytes(&len);
	*out = bpf_object__open_mem(bytes, len, &opts);
	if (!*out)
		return fault_set(f, -errno, "cannot open program %s: %s", programs[role].name,
				 strerror(errno));
	err = resize(*out, maps);
	if (err)
		fault_set(f, err, "cannot size the maps of %s: %s", programs[role].name,
			  strerror(-err));
	if (!err)
		err = allow_frags(*out, programs[role].name, f);
	if (err) {
		bpf_object__close(*out);
		*out = NULL;
	}
	return err;
}

int program_load(struct bpf_object *obj, uint32_t role, const struct program_maps *maps,
		 struct fault *f)
{
	const char *name = programs[role].name;
	int err = bpf_object__load(obj);

	switch (err) {
	case 0:
		return bpf_program__fd(bpf_object__find_program_by_name(obj, name));
	case -EINVAL: /* libbpf: a pinned map of other parameters; the verifier says it rarely */
		return fault_set(
			f, err,
			"program %s was refused, or does not fit the maps in %s: try `xesp detach --purge`, or --verbose for the reason",
			name, maps->dir);
	case -ENOMEM:
		return fault_set(
			f, err,
			"not enough memory for %u SAs and %u policies: lower --max-sas or --max-policies",
			maps->max_sas, maps->max_policies);
	case -EPERM:
		return fault_set(
			f, err,
			"may not load program %s: run as root, or with CAP_BPF and CAP_NET_ADMIN",
			name);
	default:
		return fault_set(
			f, err,
			"the kernel refused program %s: %s; --verbose shows the verifier's reason",
			name, strerror(-err));
	}
}

int program_probe_freplace(uint32_t role, const struct program_maps *maps, int target_fd,
			   struct fault *f)
{
	const char *name = programs[role].name;
	struct bpf_program *prog;
	struct bpf_object *obj;
	int err;

	err = program_open(&obj, role, maps, f);
	if (err)
		return err;
	prog = bpf_object__find_program_by_name(obj, name);
	bpf_program__set_type(prog, BPF_PROG_TYPE_EXT);
	bpf_program__set_expected_attach_type(prog, (enum bpf_attach_type)0);
	/* The program takes the place of its own whole: the shape surely fits, so only the kernel's
	 * leave is asked for. */
	err = bpf_program__set_attach_target(prog, target_fd, name);
	if (!err)
		err = bpf_object__load(obj);
	bpf_object__close(obj);
	if (err)
		return fault_set(f, err, "this kernel refuses libxdp's dispatcher: %s",
				 strerror(-err));
	return 0;
}
