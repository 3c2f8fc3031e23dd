/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state_dir.h - files that survive power loss: one writer, whole or not at all.
 *
 * Why it exists: what is granted must be on disk first, and a file that is half written must
 * never be taken for one. A file is replaced by writing another beside it, fsync, rename, and
 * fsync of the directory. Main thread.
 */
#ifndef XESP_KEYD_STATE_DIR_H
#define XESP_KEYD_STATE_DIR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct fault;

/* The calls that write: a test puts failing ones here and so stops the machine at each step. */
struct state_dir_calls {
	int (*openat)(int dirfd, const char *path, int flags, mode_t mode);
	ssize_t (*write)(int fd, const void *buf, size_t len);
	int (*fsync)(int fd);
	int (*renameat)(int olddirfd, const char *oldpath, int newdirfd, const char *newpath);
};

extern const struct state_dir_calls state_dir_system;

struct state_dir {
	int fd;      /* of the directory; -1 closed */
	int lock_fd;
	const char *path; /* borrowed */
	const struct state_dir_calls *calls;
};

/*
 * Opens the directory and locks it; with `create` makes it first, mode 0700 (not its parents).
 * -ENOENT  there is no such directory
 * -EBUSY   another keyd has it
 * -errno   of open(), mkdir(), flock()
 */
enum state_dir_mode { STATE_DIR_EXISTS, STATE_DIR_CREATE };
int state_dir_open(struct state_dir *d, const char *path, enum state_dir_mode mode,
		   struct fault *f);
void state_dir_close(struct state_dir *d);

/* The whole of a file: *data is malloc'ed. -ENOENT there is none; -EFBIG; -errno of read(). */
int state_dir_read(const struct state_dir *d, const char *name, uint8_t **data, size_t *len,
		   struct stat *st, struct fault *f);

/*
 * Replaces `name` in two steps, so that the content can name the file's own inode number:
 * begin opens the new file (*st is of it); commit writes `data`, makes it durable and gives it its
 * name. After an error of commit the old file or the new one is there, whole, and nothing that
 * rests on the new one may be done. commit closes `fd` always.
 */
int state_dir_begin(struct state_dir *d, const char *name, int *fd, struct stat *st,
		    struct fault *f);
int state_dir_commit(struct state_dir *d, const char *name, int fd, const void *data, size_t len,
		     struct fault *f);

#endif /* XESP_KEYD_STATE_DIR_H */
