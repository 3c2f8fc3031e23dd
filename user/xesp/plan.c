/* SPDX-License-Identifier: BSD-2-Clause */
/* plan.c - see plan.h. */
#include <bpf/bpf.h>
#include <cap-ng.h>
#include <errno.h>
#include <linux/if_xdp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "xesp/fault.h"
#include "xesp/plan.h"
#include "xesp/rows.h"

/* Newer than Debian 12's headers. */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif

int plan_add(struct plan *p, const char *ifname, uint32_t role, struct fault *f)
{
	struct iface found;
	int err;

	err = iface_find(&found, ifname, f);
	if (err)
		return err;
	for (unsigned int i = 0; i < p->n; i++) {
		if (p->steps[i].iface.index != found.index)
			continue;
		p->steps[i].iface.role |= role;
		return 0;
	}
	if (p->n == XESP_PORTS_MAX)
		return fault_set(f, -ENOSPC, "more than %d interfaces", XESP_PORTS_MAX);
	found.role = role;
	memset(&p->steps[p->n], 0, sizeof(p->steps[0]));
	p->steps[p->n].old_prog_fd = -1;
	p->steps[p->n++].iface = found;
	return 0;
}

static int check_rights(struct fault *f)
{
	capng_get_caps_process();
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN) ||
	    (capng_have_capability(CAPNG_EFFECTIVE, CAP_BPF) &&
	     capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN)))
		return 0;
	return fault_set(f, -EPERM, "needs root, or CAP_BPF and CAP_NET_ADMIN");
}

/*
 * Does the kernel hand over frames in several buffers (6.6 and later)? It looks at bind(2)'s flags
 * before it looks for the interface, and there is none with index 0.
 */
static bool takes_several_buffers(int fd)
{
	const struct sockaddr_xdp addr = { .sxdp_family = AF_XDP, .sxdp_flags = XDP_USE_SG };

	return bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) && errno == ENODEV;
}

/* Drivers may allow less in native mode; they say so when the program is attached. */
static int check_af_xdp(uint32_t *mtu_max, struct fault *f)
{
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd >= 0) {
		*mtu_max = takes_several_buffers(fd) ? XESP_MTU_MAX : XESP_MTU_ONE_PAGE;
		close(fd);
		return 0;
	}
	if (errno == EAFNOSUPPORT)
		return fault_set(
			f, -errno,
			"this kernel has no AF_XDP: it needs one built with CONFIG_XDP_SOCKETS");
	return fault_set(f, -errno, "cannot open an AF_XDP socket: %s", strerror(errno));
}

int plan_check_machine(struct plan *p, struct fault *f)
{
	uint32_t mtu_max = 0;
	int err;

	err = check_rights(f);
	if (!err)
		err = check_af_xdp(&mtu_max, f);
	for (unsigned int i = 0; i < p->n && !err; i++) {
		const struct iface *iface = &p->steps[i].iface;

		if (iface->mtu > mtu_max)
			err = fault_set(
				f, -ERANGE,
				"interface %s: its MTU of %u is too large: xesp takes at most %u%s (`ip link set %s mtu %u`)",
				iface->name, iface->mtu, mtu_max,
				mtu_max < XESP_MTU_MAX ? " under this kernel, and 9216 from Linux 6.6 on"
						       : "",
				iface->name, mtu_max);
	}
	return err;
}

/* Sizes are fixed when the maps are created; a wish for others is refused, not forgotten. */
static int adopt_sizes(struct plan *p, const struct xesp_conf *conf, struct fault *f)
{
	if (conf->abi != XESP_STEER_ABI)
		return fault_set(
			f, -EPROTO,
			"maps in %s have ABI %u and this program ABI %u: run `xesp detach --purge` first",
			p->pins, conf->abi, XESP_STEER_ABI);
	if ((p->max_sas && p->max_sas != conf->max_sas) ||
	    (p->max_policies && p->max_policies != conf->max_policies))
		return fault_set(
			f, -EEXIST,
			"maps in %s are there already, for %u SAs and %u policies: `xesp detach --purge` first to resize them",
			p->pins, conf->max_sas, conf->max_policies);
	p->maps_are_new = false;
	p->maps.max_sas = conf->max_sas;
	p->maps.max_policies = conf->max_policies;
	p->maps.replay_words = conf->replay_words;
	return 0;
}

static int check_maps(struct plan *p, struct fault *f)
{
	struct xesp_conf conf = { 0 };
	char path[PIN_DIR_PATH_MAX];
	const __u32 zero = 0;
	int fd, err = 0;

	p->maps_are_new = true;
	p->maps.dir = p->pins;
	p->maps.max_sas = p->max_sas ? p->max_sas : PROGRAM_SAS;
	p->maps.max_policies = p->max_policies ? p->max_policies : PROGRAM_POLICIES;
	p->maps.replay_words = p->maps.max_sas * PROGRAM_REPLAY_WORDS;

	snprintf(path, sizeof(path), "%s/xesp_conf", p->pins);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return errno == ENOENT ? 0 : fault_set(f, -errno, "%s: %s", path, strerror(errno));
	if (bpf_map_lookup_elem(fd, &zero, &conf))
		err = fault_set(f, -errno, "cannot read %s: %s", path, strerror(errno));
	close(fd);
	/* ABI 0: whoever created the maps was ended before it wrote their sizes. */
	if (!err && conf.abi)
		err = adopt_sizes(p, &conf, f);
	return err;
}

static int check_replace(const struct plan *p, struct plan_step *s, struct fault *f)
{
	if (!p->replace)
		return fault_set(
			f, -EEXIST,
			"already attached (program %u): use --replace to exchange the program, or `xesp detach %s`",
			s->before->prog_id, s->iface.name);
	if (p->mode != OCCUPANT_UNATTACHED && p->mode != s->before->mode)
		return fault_set(
			f, -EINVAL,
			"attached in %s mode, and --replace keeps the mode: `xesp detach %s` first to change it",
			occupant_mode_name(s->before->mode), s->iface.name);
	return 0;
}

static int check_step(struct plan *p, struct plan_step *s, struct fault *f)
{
	struct attachment *a = attachment_find(&p->attached, s->iface.name);
	int err;

	err = occupant_find(&s->occupant, s->iface.index, f);
	if (err)
		return err;
	s->before = a;
	if (!a || !a->ifindex)
		return occupant_check(&s->occupant, s->iface.name, f);
	if (a->ifindex != s->iface.index || a->mode == OCCUPANT_UNATTACHED)
		return fault_set(
			f, -EEXIST,
			"the pin %s is that of another interface%s%s: detach that first, or use other --pins",
			a->pin, a->mode == OCCUPANT_UNATTACHED ? " or namespace" : ", now called ",
			a->mode == OCCUPANT_UNATTACHED ? "" : a->name);
	return check_replace(p, s, f);
}

/* `xesp attach --replace` alone means all that is attached, in the roles it has. */
static int add_attached(struct plan *p, struct fault *f)
{
	struct rows r = { -1, -1 };
	char path[PIN_DIR_PATH_MAX];
	struct xesp_iface row;
	int err = 0;

	snprintf(path, sizeof(path), "%s/xesp_ifaces", p->pins);
	r.ifaces_fd = bpf_obj_get(path);
	for (unsigned int i = 0; i < p->attached.n && !err; i++) {
		const struct attachment *a = &p->attached.at[i];

		if (a->mode == OCCUPANT_UNATTACHED || !rows_find(&r, a->ifindex, &row))
			continue;
		err = plan_add(p, a->name, row.role, f);
	}
	if (r.ifaces_fd >= 0)
		close(r.ifaces_fd);
	if (!err && !p->n)
		err = fault_set(
			f, -ENOENT,
			"nothing is attached that could be replaced: name interfaces with --outer and --inner");
	return err;
}

/* A role is in the maps as well as in the program: the two cannot change in one step. */
static int check_role(const struct plan *p, const struct plan_step *s, struct fault *f)
{
	struct rows r = { -1, -1 };
	char path[PIN_DIR_PATH_MAX];
	struct xesp_iface row;
	bool found;

	snprintf(path, sizeof(path), "%s/xesp_ifaces", p->pins);
	r.ifaces_fd = bpf_obj_get(path);
	if (r.ifaces_fd < 0)
		return 0;
	found = rows_find(&r, s->iface.index, &row);
	close(r.ifaces_fd);
	if (!found || row.role == s->iface.role)
		return 0;
	return fault_set(f, -EINVAL,
			 "attached as %s, not %s: `xesp detach %s` first to change its role",
			 iface_role_name(row.role), iface_role_name(s->iface.role), s->iface.name);
}

int plan_check_pins(struct plan *p, struct fault *f)
{
	int err;

	err = check_maps(p, f);
	if (!err)
		err = attachment_read(&p->attached, p->pins, f);
	if (!err && !p->n)
		err = add_attached(p, f);
	for (unsigned int i = 0; i < p->n && !err; i++) {
		struct plan_step *s = &p->steps[i];

		err = check_step(p, s, f);
		if (!err && s->before && s->before->ifindex)
			err = check_role(p, s, f);
		if (err)
			fault_in(f, err, "interface %s", s->iface.name);
	}
	return err;
}
