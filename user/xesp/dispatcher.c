/* SPDX-License-Identifier: BSD-2-Clause */
/* dispatcher.c - see dispatcher.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <xdp/libxdp.h>

#include "xesp/attachment.h"
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

bool dispatcher_holds(uint32_t ifindex, uint32_t prog_id)
{
	struct xdp_multiprog *mp = open_multiprog(ifindex);
	bool holds;

	if (!mp)
		return false;
	holds = !xdp_multiprog__is_legacy(mp) && find_program(mp, prog_id);
	xdp_multiprog__close(mp);
	return holds;
}

static bool is_legacy(uint32_t ifindex)
{
	struct xdp_multiprog *mp = open_multiprog(ifindex);
	bool legacy = !mp || xdp_multiprog__is_legacy(mp);

	xdp_multiprog__close(mp);
	return legacy;
}

static int attach_and_pin(struct xdp_program *p, const struct iface *i, enum xdp_attach_mode mode,
			  const char *pin, struct fault *f)
{
	int err;

	kernel_said_forget();
	err = xdp_program__attach(p, (int)i->index, mode, 0);
	if (err)
		return attachment_refused(err, i, f);
	/* Where libxdp cannot build a dispatcher it attaches without one, which would end as soon
	 * as somebody else attaches a program. */
	if (is_legacy(i->index)) {
		err = fault_set(f, -EOPNOTSUPP, "libxdp cannot build its dispatcher here");
		goto detach;
	}
	if (bpf_obj_pin(xdp_program__fd(p), pin)) {
		err = fault_set(f, -errno, "cannot pin its program as %s: %s", pin,
				strerror(errno));
		goto detach;
	}
	return 0;

detach:
	xdp_program__detach(p, (int)i->index, mode, 0);
	return err;
}

int dispatcher_add(const struct iface *i, const struct program_maps *maps, enum occupant_mode mode,
		   const char *pin, struct fault *f)
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
	err = attach_and_pin(p, i, mode == OCCUPANT_GENERIC ? XDP_MODE_SKB : XDP_MODE_NATIVE, pin,
			     f);
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
