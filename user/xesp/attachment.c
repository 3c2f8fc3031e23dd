/* SPDX-License-Identifier: BSD-2-Clause */
/* attachment.c - see attachment.h: what both kinds have in common, and the kind that is alone. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xesp/attachment.h"
#include "xesp/dispatcher.h"
#include "xesp/fault.h"
#include "xesp/iface.h"
#include "xesp/kernel_said.h"

/* Is the pinned program what this interface runs? Then its mode and present name are known. */
static void read_interface(struct attachment *a)
{
	struct occupant o;

	memcpy(a->name, a->label, sizeof(a->name));
	a->mode = OCCUPANT_UNATTACHED;
	if (!a->ifindex || occupant_find(&o, a->ifindex, NULL) || o.prog_id != a->prog_id)
		return;
	a->mode = o.mode;
	if_indextoname(a->ifindex, a->name);
}

static int read_link(struct attachment *a)
{
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info);
	int fd, err;

	fd = bpf_obj_get(a->pin);
	if (fd < 0)
		return -errno;
	err = bpf_obj_get_info_by_fd(fd, &info, &len) ? -errno : 0;
	close(fd);
	if (err)
		return err;
	if (info.type != BPF_LINK_TYPE_XDP)
		return -EINVAL;
	/* The kernel clears the interface of a link when it goes away. */
	a->ifindex = info.xdp.ifindex;
	a->prog_id = info.prog_id;
	read_interface(a);
	return 0;
}

static int read_entry(struct attachment_list *l, const char *dir, const char *file_name,
		      struct fault *f)
{
	struct attachment *a;
	int err;

	if (l->n == ATTACHMENT_MAX)
		return fault_set(f, -E2BIG, "%s holds more than %d pins", dir, ATTACHMENT_MAX);
	a = &l->at[l->n];
	memset(a, 0, sizeof(*a));
	if ((size_t)snprintf(a->pin, sizeof(a->pin), "%s/%s", dir, file_name) >= sizeof(a->pin))
		return 0;
	pin_dir_iface_name(a->label, file_name);
	err = read_link(a);
	if (err)
		return fault_set(f, err, "cannot read the pin %s: %s", a->pin, strerror(-err));
	l->n++;
	return 0;
}

static int read_links(struct attachment_list *l, const char *pins, struct fault *f)
{
	char path[PIN_DIR_PATH_MAX];
	struct dirent *entry;
	int err = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/links", pins);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : fault_set(f, -errno, "%s: %s", path, strerror(errno));
	while (!err && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			err = read_entry(l, path, entry->d_name, f);
	closedir(dir);
	return err;
}

static int by_ifindex(const void *a, const void *b)
{
	const struct attachment *x = a, *y = b;

	return x->ifindex < y->ifindex ? -1 : x->ifindex > y->ifindex;
}

int attachment_read(struct attachment_list *l, const char *pins, struct fault *f)
{
	int err;

	l->n = 0;
	err = read_links(l, pins, f);
	if (!err)
		err = dispatcher_read(l, pins, f);
	qsort(l->at, l->n, sizeof(l->at[0]), by_ifindex);
	return err;
}

struct attachment *attachment_find(struct attachment_list *l, const char *ifname)
{
	for (unsigned int i = 0; i < l->n; i++)
		if (!strcmp(l->at[i].name, ifname))
			return &l->at[i];
	for (unsigned int i = 0; i < l->n; i++)
		if (!strcmp(l->at[i].label, ifname))
			return &l->at[i];
	return NULL;
}

/*
 * bpf(2) does not hand out the driver's reason, netlink does: so the refused attach is asked for
 * once more that way, and taken back should it be granted this time.
 */
static void ask_for_reason(uint32_t ifindex, int prog_fd, __u32 flags)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, ours, .old_prog_fd = prog_fd);

	kernel_said_forget();
	if (!bpf_xdp_attach((int)ifindex, prog_fd, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL))
		bpf_xdp_detach((int)ifindex, flags, &ours);
}

int attachment_refused(int err, const struct iface *i, struct fault *f)
{
	const char *said = kernel_said();

	if (err == -ERANGE || strcasestr(said, "MTU"))
		return fault_set(
			f, -ERANGE,
			"its MTU of %u is too large for XDP%s%s%s: lower it, on a veth at both ends (`ip link set %s mtu 1500`)",
			i->mtu, said[0] ? " (" : "", said, said[0] ? ")" : "", i->name);
	if (said[0])
		return fault_set(f, err, "%s (%s)", said, strerror(-err));
	return fault_set(f, err, "%s", strerror(-err));
}

int attachment_alone(struct attachment *a, const struct iface *i, const char *pins, int prog_fd,
		     enum occupant_mode mode, struct fault *f)
{
	__u32 flags = mode == OCCUPANT_NATIVE ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);
	char file_name[IF_NAMESIZE];
	int fd, err;

	memset(a, 0, sizeof(*a));
	fd = bpf_link_create(prog_fd, (int)i->index, BPF_XDP, &opts);
	if (fd < 0) {
		err = -errno;
		ask_for_reason(i->index, prog_fd, flags);
		return attachment_refused(err, i, f);
	}
	pin_dir_file_name(file_name, i->name);
	snprintf(a->pin, sizeof(a->pin), "%s/links/%s", pins, file_name);
	if (bpf_obj_pin(fd, a->pin)) {
		err = fault_set(f, -errno, "cannot pin its link as %s: %s", a->pin,
				strerror(errno));
		bpf_link_detach(fd);
		close(fd);
		return err;
	}
	close(fd);
	memcpy(a->label, i->name, sizeof(a->label));
	err = read_link(a);
	return err ? fault_set(f, err, "cannot read the pin %s: %s", a->pin, strerror(-err)) : 0;
}

int attachment_update(struct attachment *a, int prog_fd, struct fault *f)
{
	int fd, err;

	fd = bpf_obj_get(a->pin);
	if (fd < 0)
		return fault_set(f, -errno, "cannot open its link %s: %s", a->pin, strerror(errno));
	err = bpf_link_update(fd, prog_fd, NULL) ? -errno : 0;
	close(fd);
	if (err)
		return fault_set(f, err, "cannot update its link: %s", strerror(-err));
	return read_link(a);
}

static int remove_link(const struct attachment *a, struct fault *f)
{
	int fd, err = 0;

	fd = bpf_obj_get(a->pin);
	if (fd < 0)
		return fault_set(f, -errno, "cannot open its link %s: %s", a->pin, strerror(errno));
	/* Not by closing alone: the program would then leave at some later time. */
	if (a->ifindex && bpf_link_detach(fd))
		err = fault_set(f, -errno, "cannot detach its link: %s", strerror(errno));
	close(fd);
	return err;
}

int attachment_remove(const struct attachment *a, struct fault *f)
{
	int err;

	if (a->dispatcher)
		return dispatcher_remove(a->ifindex, a->prog_id, f);
	err = remove_link(a, f);
	if (!err && unlink(a->pin))
		err = fault_set(f, -errno, "cannot remove %s: %s", a->pin, strerror(errno));
	return err;
}
