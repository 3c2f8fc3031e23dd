/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pin_dir.h - the directory of pins: the maps in it, and the links in its folder links/.
 *
 * Why it exists: attaching promises that a refusal changes nothing, so whatever is made here is
 * remembered and can be taken back. One command at a time works on a directory (a lock).
 */
#ifndef XESP_PIN_DIR_H
#define XESP_PIN_DIR_H

#include <stdbool.h>
#include "libxesp/pins.h"

#define PIN_DIR_PATH_MAX 192 /* of a file in it */

struct fault;

struct pin_dir {
	char path[128];
	int lock_fd;
	bool exists;
	bool mounted;       /* this run mounted bpffs */
	bool had[PINS_MAX]; /* maps that were there before this run */
	bool made;          /* this run may have created directories and maps */
};

/*
 * Takes the lock. With `mount`, bpffs is mounted at /sys/fs/bpf first when it is missing there and
 * the directory lies below. On success the caller ends *d with pin_dir_close().
 * -EINVAL     not on a bpffs, or a bpffs itself
 * -EOPNOTSUPP bpffs is not mounted, and a mount made here would end with this command
 * -ENOENT     without `mount`: there is no such directory, so there are no pins
 */
int pin_dir_open(struct pin_dir *d, const char *path, bool mount, struct fault *f);

/* Creates the directory and its folder. pin_dir_undo() removes what was not there before. */
int pin_dir_create(struct pin_dir *d, struct fault *f);

/* Removes maps, folders and the mount that came since pin_dir_open(). */
void pin_dir_undo(struct pin_dir *d);

/* Removes the directory with all that is in it. */
int pin_dir_purge(struct pin_dir *d, struct fault *f);

void pin_dir_close(struct pin_dir *d);

/* Interface names may hold dots, file names on a bpffs may not; a colon is in no interface name. */
void pin_dir_file_name(char out[16], const char *ifname);
void pin_dir_iface_name(char out[16], const char *file_name);

#endif /* XESP_PIN_DIR_H */
