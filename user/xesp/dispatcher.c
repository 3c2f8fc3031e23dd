/* SPDX-License-Identifier: BSD-2-Clause */
/* dispatcher.c - see dispatcher.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "xesp/dispatcher.h"
#include "xesp/fault.h"
#include "xesp/iface.h"
#include "xesp/kernel_said.h"
#include "xesp/program.h"

/* NULL when nothing is attached or it cannot be read; ended with xdp_multiprog__close(). */
static struct xdp_multiprog *open_multiprog(uint32_t ifindex)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex((int)ifindex);

	return libxdp_get_error(mp) ? NULL : mp;
}

/* Borrowed from mp. */
static struct xdp_program *find_program(struct xdp_multiprog *mp, uint32_t prog_id)
{
	struct xdp_program *p = NULL;

	while ((p = xdp_multiprog__next_prog(p, mp)))
		if (xdp_program__id(p) == prog_id)
			return p;
	return NULL;
}

static bool uses_map(int prog_fd, uint32_t map_id)
{
	__u32 ids[64];
	struct bpf_prog_info info = {
		.nr_map_ids = sizeof(ids) / sizeof(ids[0]),
		.map_ids = (__u64)(uintptr_t)ids,
	};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(prog_fd, &info, &len))
		return false;
	for (__u32 i = 0; i < info.nr_map_ids && i < sizeof(ids) / sizeof(ids[0]); i++)
		if (ids[i] == map_id)
			return true;
	return false;
}

/* The id of a map that all our programs use, for they all count what they drop; 0: none is pinned.
 */
static uint32_t pinned_map_id(const char *pins)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);
	char path[PIN_DIR_PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/xesp_drops", pins);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		info.id = 0;
	close(fd);
	return info.id;
}

static void fill(struct attachment *a, uint32_t ifindex, uint32_t prog_id, enum occupant_mode mode)
{
	memset(a, 0, sizeof(*a));
	a->ifindex = ifindex;
	a->prog_id = prog_id;
	a->dispatcher = true;
	a->mode = mode;
	if_indextoname(ifindex, a->name);
	memcpy(a->label, a->name, sizeof(a->label));
}

static int read_interface(struct attachment_list *l, uint32_t ifindex, uint32_t map_id,
			  struct fault *f)
{
	struct xdp_program *p = NULL;
	struct xdp_multiprog *mp;
	struct occupant o;
	int err = 0;

	if (occupant_find(&o, ifindex, NULL) || o.kind != OCCUPANT_DISPATCHER)
		return 0;
	mp = open_multiprog(ifindex);
	while (mp && !err && (p = xdp_multiprog__next_prog(p, mp))) {
		if (!uses_map(xdp_program__fd(p), map_id))
			continue;
		if (l->n == ATTACHMENT_MAX)
			err = fault_set(f, -E2BIG, "more than %d programs are attached",
					ATTACHMENT_MAX);
		else
			fill(&l->at[l->n++], ifindex, xdp_program__id(p), o.mode);
	}
	xdp_multiprog__close(mp);
	return err;
}

int dispatcher_read(struct attachment_list *l, const char *pins, struct fault *f)
{
	uint32_t map_id = pinned_map_id(pins);
	struct if_nameindex *all;
	int err = 0;

	if (!map_id)
		return 0;
	all = if_nameindex();
	if (!all)
		return fault_set(f, -errno, "cannot list interfaces: %s", strerror(errno));
	for (unsigned int i = 0; all[i].if_index && !err; i++)
		err = read_interface(l, all[i].if_index, map_id, f);
	if_freenameindex(all);
	return err;
}

static bool is_legacy(uint32_t ifindex)
{
	struct xdp_multiprog *mp = open_multiprog(ifindex);
	bool legacy = !mp || xdp_multiprog__is_legacy(mp);

	xdp_multiprog__close(mp);
	return legacy;
}

static int attach(struct xdp_program *p, const struct iface *i, enum xdp_attach_mode mode,
		  struct fault *f)
{
	int err;

	kernel_said_forget();
	err = xdp_program__attach(p, (int)i->index, mode, 0);
	/* The kernel learned to ask whether what is replaced may alter packets, and dispatchers of
	 * older libxdp do not say that they may. */
	if (err && strstr(kernel_said(), "changes packet data"))
		return fault_set(f, err, "this kernel's verifier needs a newer libxdp for its dispatcher");
	if (err)
		return attachment_refused(err, i, f);
	/* Where libxdp cannot build a dispatcher it attaches without one, which would end as soon
	 * as somebody else attaches a program. */
	if (!is_legacy(i->index))
		return 0;
	xdp_program__detach(p, (int)i->index, mode, 0);
	return fault_set(f, -EOPNOTSUPP, "libxdp cannot build its dispatcher here");
}

int dispatcher_add(struct attachment *a, const struct iface *i, const struct program_maps *maps,
		   enum occupant_mode mode, struct fault *f)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts);
	struct xdp_program *p;
	struct bpf_object *obj;
	int err;

	err = program_open(&obj, i->role, maps, f);
	if (err)
		return err;
	opts.obj = obj;
	opts.prog_name = program_name(i->role);
	p = xdp_program__create(&opts);
	err = (int)libxdp_get_error(p);
	if (err) {
		fault_set(f, err, "libxdp does not take program %s: %s", opts.prog_name,
			  strerror(-err));
		goto close_object;
	}
	err = attach(p, i, mode == OCCUPANT_GENERIC ? XDP_MODE_SKB : XDP_MODE_NATIVE, f);
	if (!err)
		fill(a, i->index, xdp_program__id(p), mode);
	xdp_program__close(p);
close_object:
	bpf_object__close(obj);
	return err;
}

int dispatcher_remove(uint32_t ifindex, uint32_t prog_id, struct fault *f)
{
	struct xdp_multiprog *mp = open_multiprog(ifindex);
	struct xdp_program *p;
	int err;

	if (!mp)
		return 0;
	p = find_program(mp, prog_id);
	/* The only program of a dispatcher takes it along, so that the hook is free again. */
	if (!p)
		err = 0;
	else if (xdp_multiprog__program_count(mp) == 1)
		err = xdp_multiprog__detach(mp);
	else
		err = xdp_program__detach(p, (int)ifindex, xdp_multiprog__attach_mode(mp), 0);
	xdp_multiprog__close(mp);
	return err ? fault_set(f, err, "libxdp cannot detach program %u: %s", prog_id,
			       strerror(-err))
		   : 0;
}

int dispatcher_replace(struct attachment *a, const struct attachment_list *l, const struct iface *i,
		       const struct program_maps *maps, struct fault *f)
{
	int err;

	err = dispatcher_add(a, i, maps, a->mode, f);
	for (unsigned int k = 0; k < l->n && !err; k++)
		if (l->at[k].dispatcher && l->at[k].ifindex == i->index)
			err = dispatcher_remove(i->index, l->at[k].prog_id, f);
	return err;
}
