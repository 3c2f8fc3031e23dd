/* SPDX-License-Identifier: BSD-2-Clause */
/* pin_dir.c - see pin_dir.h. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "xesp/fault.h"
#include "xesp/pin_dir.h"

#define BPFFS "/sys/fs/bpf"

static bool on_bpffs(const char *path)
{
	struct statfs st;

	return !statfs(path, &st) && st.f_type == BPF_FS_MAGIC;
}

/* `ip netns exec` puts a sysfs of its own over /sys, and names it after the network namespace. */
static bool in_ip_netns_exec(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	bool found = false;
	struct mntent *m;

	while (mounts && (m = getmntent(mounts))) {
		char netns[PATH_MAX];

		if (strcmp(m->mnt_dir, "/sys") || strcmp(m->mnt_type, "sysfs"))
			continue;
		snprintf(netns, sizeof(netns), "/run/netns/%s", m->mnt_fsname);
		found = !access(netns, F_OK);
	}
	if (mounts)
		endmntent(mounts);
	return found;
}

/* A mount made here would end with the last process in here. */
static bool in_private_mount_namespace(void)
{
	struct stat ours, init;

	if (!stat("/proc/self/ns/mnt", &ours) && !stat("/proc/1/ns/mnt", &init) &&
	    (ours.st_ino != init.st_ino || ours.st_dev != init.st_dev))
		return true;
	return in_ip_netns_exec();
}

static int mount_bpffs(struct pin_dir *d, struct fault *f)
{
	if (in_private_mount_namespace())
		return fault_set(
			f, -EOPNOTSUPP,
			"no bpffs at " BPFFS
			" in this mount namespace, and one mounted here would vanish with it; if this is `ip netns exec`, use `nsenter --net=/run/netns/NAME`");
	if (mount("bpf", BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
		return fault_set(f, -errno, "cannot mount bpffs at " BPFFS ": %s", strerror(errno));
	d->mounted = true;
	return 0;
}

/* The directory above, which must be there: it is what is locked. */
static void parent_of(const char *path, char out[sizeof(((struct pin_dir *)0)->path)])
{
	char copy[sizeof(((struct pin_dir *)0)->path)];

	snprintf(copy, sizeof(copy), "%s", path);
	snprintf(out, sizeof(copy), "%s", dirname(copy));
}

static int check_place(struct pin_dir *d, const char *parent, bool may_mount, struct fault *f)
{
	struct stat above, here;
	int err;

	if (!on_bpffs(parent) && may_mount &&
	    (!strcmp(parent, BPFFS) || !strncmp(parent, BPFFS "/", sizeof(BPFFS)))) {
		err = mount_bpffs(d, f);
		if (err)
			return err;
	}
	if (lstat(d->path, &here)) {
		if (errno != ENOENT)
			return fault_set(f, -errno, "%s: %s", d->path, strerror(errno));
		if (!may_mount)
			return -ENOENT;
		return on_bpffs(parent)
			       ? 0
			       : fault_set(
					 f, -EINVAL,
					 "%s is not on a bpffs: mount one, or give a directory below " BPFFS,
					 d->path);
	}
	d->exists = true;
	if (!S_ISDIR(here.st_mode) || !on_bpffs(d->path))
		return fault_set(f, -EINVAL, "%s is not a directory on a bpffs", d->path);
	/* Purging must never reach other people's pins. */
	if (lstat(parent, &above) || above.st_dev != here.st_dev)
		return fault_set(f, -EINVAL, "%s is a whole bpffs: give a directory in it",
				 d->path);
	return 0;
}

static void file_path(const struct pin_dir *d, const char *name, char out[PIN_DIR_PATH_MAX])
{
	snprintf(out, PIN_DIR_PATH_MAX, "%s/%s", d->path, name);
}

int pin_dir_open(struct pin_dir *d, const char *path, bool mount, struct fault *f)
{
	char parent[sizeof(d->path)], file[PIN_DIR_PATH_MAX];
	size_t len = strlen(path);
	int err;

	memset(d, 0, sizeof(*d));
	d->lock_fd = -1;
	while (len > 1 && path[len - 1] == '/')
		len--;
	if (path[0] != '/' || len >= sizeof(d->path))
		return fault_set(f, -EINVAL,
				 "pin directory '%s' must be an absolute path of at most %zu bytes",
				 path, sizeof(d->path) - 1);
	memcpy(d->path, path, len);
	parent_of(d->path, parent);

	err = check_place(d, parent, mount, f);
	if (err)
		goto undo;
	d->lock_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->lock_fd < 0 || flock(d->lock_fd, LOCK_EX)) {
		err = fault_set(f, -errno, "cannot lock %s: %s", parent, strerror(errno));
		goto undo;
	}
	for (int i = 0; i < PINS_MAX; i++) {
		file_path(d, pins_name((enum pins_map)i), file);
		d->had[i] = !access(file, F_OK);
	}
	return 0;

undo:
	pin_dir_undo(d);
	pin_dir_close(d);
	return err;
}

int pin_dir_create(struct pin_dir *d, struct fault *f)
{
	char path[PIN_DIR_PATH_MAX];

	d->made = true;
	if (mkdir(d->path, 0700) && errno != EEXIST)
		return fault_set(f, -errno, "cannot create %s: %s", d->path, strerror(errno));
	file_path(d, "links", path);
	if (mkdir(path, 0700) && errno != EEXIST)
		return fault_set(f, -errno, "cannot create %s: %s", path, strerror(errno));
	return 0;
}

void pin_dir_undo(struct pin_dir *d)
{
	char path[PIN_DIR_PATH_MAX];

	if (d->made) {
		for (int i = 0; i < PINS_MAX; i++) {
			file_path(d, pins_name((enum pins_map)i), path);
			if (!d->had[i])
				unlink(path);
		}
		file_path(d, "links", path);
		/* rmdir() leaves alone what holds other pins. */
		if (!d->exists) {
			rmdir(path);
			rmdir(d->path);
		}
	}
	if (d->mounted)
		umount2(BPFFS, MNT_DETACH);
	d->made = d->mounted = false;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)at;
	return type == FTW_DP ? rmdir(path) : unlink(path);
}

int pin_dir_purge(struct pin_dir *d, struct fault *f)
{
	if (nftw(d->path, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT))
		return fault_set(f, -errno, "cannot remove all of %s: %s", d->path,
				 strerror(errno));
	return 0;
}

void pin_dir_close(struct pin_dir *d)
{
	if (d->lock_fd >= 0)
		close(d->lock_fd);
	d->lock_fd = -1;
}

static void replace_char(char out[16], const char *in, char from, char to)
{
	snprintf(out, 16, "%s", in);
	for (char *p = out; *p; p++)
		if (*p == from)
			*p = to;
}

void pin_dir_file_name(char out[16], const char *ifname)
{
	replace_char(out, ifname, '.', ':');
}

void pin_dir_iface_name(char out[16], const char *file_name)
{
	replace_char(out, file_name, ':', '.');
}
