/* SPDX-License-Identifier: BSD-2-Clause */
/* state_dir.c - see state_dir.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "keyd/state_dir.h"
#include "xesp/fault.h"

#define FILE_BYTES_MAX (256u << 20)
#define LOCK_NAME "lock"

static int open_file(int dirfd, const char *path, int flags, mode_t mode)
{
	return openat(dirfd, path, flags, mode);
}

const struct state_dir_calls state_dir_system = {
	.openat = open_file,
	.write = write,
	.fsync = fsync,
	.renameat = renameat,
};

/* A new directory is durable once its parent is. */
static int sync_parent(const char *path, struct fault *f)
{
	char parent[PATH_MAX];
	size_t len = strlen(path);
	int fd, err = 0;

	while (len > 1 && path[len - 1] == '/')
		len--;
	while (len && path[len - 1] != '/')
		len--;
	snprintf(parent, sizeof(parent), "%.*s", len ? (int)len : 1, len ? path : ".");
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		err = fault_set(f, -errno, "cannot make %s durable: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return err;
}

int state_dir_open(struct state_dir *d, const char *path, enum state_dir_mode mode,
		   struct fault *f)
{
	int err;

	*d = (struct state_dir){ .fd = -1, .lock_fd = -1, .path = path, .calls = &state_dir_system };
	if (mode == STATE_DIR_CREATE && !mkdir(path, 0700)) {
		err = sync_parent(path, f);
		if (err)
			return err;
	} else if (mode == STATE_DIR_CREATE && errno != EEXIST) {
		return fault_set(f, -errno, "cannot make the state directory %s: %s", path,
				 strerror(errno));
	}
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0)
		return fault_set(f, -errno, "cannot open the state directory %s: %s", path,
				 strerror(errno));
	d->lock_fd = openat(d->fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (d->lock_fd < 0) {
		err = fault_set(f, -errno, "cannot open %s/%s: %s", path, LOCK_NAME,
				strerror(errno));
		goto close_dir;
	}
	if (flock(d->lock_fd, LOCK_EX | LOCK_NB)) {
		err = errno == EWOULDBLOCK ?
			      fault_set(f, -EBUSY, "another xesp-keyd uses %s", path) :
			      fault_set(f, -errno, "cannot lock %s: %s", path, strerror(errno));
		goto close_dir;
	}
	return 0;

close_dir:
	state_dir_close(d);
	return err;
}

void state_dir_close(struct state_dir *d)
{
	if (d->lock_fd >= 0)
		close(d->lock_fd);
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	d->lock_fd = -1;
}

static int read_whole(int fd, uint8_t *data, size_t size, size_t *len)
{
	*len = 0;
	while (*len < size) {
		ssize_t n = read(fd, data + *len, size - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		*len += (size_t)n;
	}
	return 0;
}

int state_dir_read(const struct state_dir *d, const char *name, uint8_t **data, size_t *len,
		   struct stat *st, struct fault *f)
{
	int fd = openat(d->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int err;

	*data = NULL;
	if (fd < 0)
		return fault_set(f, -errno, "cannot open %s/%s: %s", d->path, name, strerror(errno));
	if (fstat(fd, st)) {
		err = fault_set(f, -errno, "cannot stat %s/%s: %s", d->path, name, strerror(errno));
		goto close_file;
	}
	if (!S_ISREG(st->st_mode) || st->st_size > FILE_BYTES_MAX) {
		err = fault_set(f, -EFBIG, "%s/%s is not a file of ours", d->path, name);
		goto close_file;
	}
	*data = malloc((size_t)st->st_size + 1);
	if (!*data) {
		err = fault_set(f, -ENOMEM, "out of memory");
		goto close_file;
	}
	err = read_whole(fd, *data, (size_t)st->st_size, len);
	if (err) {
		fault_set(f, err, "cannot read %s/%s: %s", d->path, name, strerror(-err));
		free(*data);
		*data = NULL;
	}
close_file:
	close(fd);
	return err;
}

static void print_new_name(char *out, size_t len, const char *name)
{
	snprintf(out, len, "%s.new", name);
}

int state_dir_begin(struct state_dir *d, const char *name, int *fd, struct stat *st,
		    struct fault *f)
{
	char fresh[NAME_MAX];
	int err;

	print_new_name(fresh, sizeof(fresh), name);
	/* What a crash left: it was never renamed, so nothing rests on it. */
	unlinkat(d->fd, fresh, 0);
	*fd = d->calls->openat(d->fd, fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			       0600);
	if (*fd < 0)
		return fault_set(f, -errno, "cannot create %s/%s: %s", d->path, fresh,
				 strerror(errno));
	if (fstat(*fd, st)) {
		err = fault_set(f, -errno, "cannot stat %s/%s: %s", d->path, fresh, strerror(errno));
		close(*fd);
		return err;
	}
	return 0;
}

static int write_whole(struct state_dir *d, int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = d->calls->write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int state_dir_commit(struct state_dir *d, const char *name, int fd, const void *data, size_t len,
		     struct fault *f)
{
	char fresh[NAME_MAX];
	int err;

	print_new_name(fresh, sizeof(fresh), name);
	err = write_whole(d, fd, data, len);
	/* A failed fsync() may have dropped the pages: never trust this file again, write anew. */
	if (!err && d->calls->fsync(fd))
		err = -errno;
	close(fd);
	if (!err && d->calls->renameat(d->fd, fresh, d->fd, name))
		err = -errno;
	if (!err && d->calls->fsync(d->fd))
		err = -errno;
	if (err)
		return fault_set(f, err, "cannot write %s/%s: %s", d->path, name, strerror(-err));
	return 0;
}
