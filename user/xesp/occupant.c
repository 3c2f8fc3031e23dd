/* SPDX-License-Identifier: BSD-2-Clause */
/* occupant.c - see occupant.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "xesp/fault.h"
#include "xesp/occupant.h"

const char *occupant_mode_name(enum occupant_mode mode)
{
	static const char *const names[] = { NULL, "native", "generic", "offloaded" };

	return names[mode];
}

static enum occupant_mode read_mode(const struct bpf_xdp_query_opts *q, uint32_t *prog_id)
{
	if (q->drv_prog_id) {
		*prog_id = q->drv_prog_id;
		return OCCUPANT_NATIVE;
	}
	if (q->skb_prog_id) {
		*prog_id = q->skb_prog_id;
		return OCCUPANT_GENERIC;
	}
	*prog_id = q->hw_prog_id;
	return q->hw_prog_id ? OCCUPANT_OFFLOADED : OCCUPANT_UNATTACHED;
}

static void read_name(struct occupant *o)
{
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(o->prog_id);

	snprintf(o->name, sizeof(o->name), "?");
	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len))
		snprintf(o->name, sizeof(o->name), "%s", info.name);
	close(fd);
}

/* The link that holds the program on this interface, if it is held by one. */
static uint32_t find_link(uint32_t ifindex, uint32_t prog_id)
{
	__u32 id = 0;

	while (!bpf_link_get_next_id(id, &id)) {
		struct bpf_link_info info = { 0 };
		__u32 len = sizeof(info);
		int fd = bpf_link_get_fd_by_id(id);
		bool found;

		if (fd < 0)
			continue;
		found = !bpf_obj_get_info_by_fd(fd, &info, &len) &&
			info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == ifindex &&
			info.prog_id == prog_id;
		close(fd);
		if (found)
			return id;
	}
	return 0;
}

int occupant_find(struct occupant *o, uint32_t ifindex, struct fault *f)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	struct xdp_multiprog *mp;
	int err;

	memset(o, 0, sizeof(*o));
	err = bpf_xdp_query((int)ifindex, 0, &q);
	if (err)
		return fault_set(f, err, "cannot ask for its XDP program: %s", strerror(-err));
	o->mode = read_mode(&q, &o->prog_id);
	if (o->mode == OCCUPANT_UNATTACHED)
		return 0;
	read_name(o);
	o->kind = OCCUPANT_OTHER;
	o->link_id = find_link(ifindex, o->prog_id);

	mp = xdp_multiprog__get_from_ifindex((int)ifindex);
	if (libxdp_get_error(mp))
		return 0;
	if (!xdp_multiprog__is_legacy(mp))
		o->kind = OCCUPANT_DISPATCHER;
	xdp_multiprog__close(mp);
	return 0;
}

static bool is_xesp(const char *name)
{
	return !strcmp(name, "xdp_inner") || !strcmp(name, "xdp_outer") ||
	       !strcmp(name, "xdp_onearm");
}

int occupant_check(const struct occupant *o, const char *ifname, struct fault *f)
{
	if (o->kind != OCCUPANT_OTHER)
		return 0;
	if (o->link_id && is_xesp(o->name))
		return fault_set(
			f, -EBUSY,
			"another xesp has attached its program %u ('%s') with pins elsewhere: `xesp --pins DIR detach`, or `bpftool link detach id %u`",
			o->prog_id, o->name, o->link_id);
	if (o->link_id)
		return fault_set(
			f, -EBUSY,
			"XDP program %u ('%s') is attached, and not through libxdp's dispatcher: stop what holds its link %u, or `bpftool link detach id %u`",
			o->prog_id, o->name, o->link_id, o->link_id);
	return fault_set(
		f, -EBUSY,
		"XDP program %u ('%s') is attached, and not through libxdp's dispatcher: remove it first, `ip link set dev %s %s off`",
		o->prog_id, o->name, ifname,
		o->mode == OCCUPANT_GENERIC  ? "xdpgeneric"
		: o->mode == OCCUPANT_NATIVE ? "xdpdrv"
					     : "xdpoffload");
}
