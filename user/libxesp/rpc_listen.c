/* SPDX-License-Identifier: BSD-2-Clause */
/* rpc_listen.c - see rpc_listen.h. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libxesp/rpc.h"
#include "libxesp/rpc_listen.h"
#include "xesp/fault.h"

/* Removes a socket file that no process serves; other files are not ours to touch. */
static int remove_stale(const struct sockaddr_un *addr, struct fault *f)
{
	struct stat st;
	int fd, err;

	if (lstat(addr->sun_path, &st))
		return errno == ENOENT
			       ? 0
			       : fault_set(f, -errno, "%s: %s", addr->sun_path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return fault_set(f, -EEXIST, "%s exists and is not a socket: remove it",
				 addr->sun_path);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fault_set(f, -errno, "socket: %s", strerror(errno));
	err = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) ? errno : 0;
	close(fd);
	/* A full backlog (EAGAIN) is a live server too. */
	if (err != ECONNREFUSED)
		return fault_set(f, -EADDRINUSE,
				 "%s is served by another process: is it running already?",
				 addr->sun_path);
	if (unlink(addr->sun_path))
		return fault_set(f, -errno, "cannot remove the old socket %s: %s", addr->sun_path,
				 strerror(errno));
	return 0;
}

/* Returns a listening socket or -errno. */
static int bind_socket(struct rpc_place *s, struct fault *f)
{
	struct stat st;
	int fd, err;

	err = remove_stale(&s->addr, f);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fault_set(f, -errno, "socket: %s", strerror(errno));
	/* bind() gives the file the socket's mode, so there is no moment with a wider one. */
	if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&s->addr, sizeof(s->addr)) ||
	    lstat(s->addr.sun_path, &st) || listen(fd, SOMAXCONN)) {
		err = fault_set(f, -errno, "cannot listen at %s: %s", s->addr.sun_path,
				strerror(errno));
		close(fd);
		return err;
	}
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return fd;
}

/* The same under a lock on the directory: of two daemons that start at once, one is refused. */
static int bind_locked(struct rpc_place *s, struct fault *f)
{
	char copy[sizeof(s->addr.sun_path)];
	const char *dir;
	int lock, fd;

	memcpy(copy, s->addr.sun_path, sizeof(copy));
	dir = dirname(copy);
	lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0)
		return fault_set(f, -errno, "cannot open the run directory %s: %s", dir,
				 strerror(errno));
	if (flock(lock, LOCK_EX))
		fd = fault_set(f, -errno, "cannot lock %s: %s", dir, strerror(errno));
	else
		fd = bind_socket(s, f);
	close(lock);
	return fd;
}

int rpc_listen(struct rpc_place *s, const char *path, struct fault *f)
{
	int err = rpc_addr(&s->addr, path, f);

	if (err)
		return err;
	s->fd = bind_locked(s, f);
	return s->fd < 0 ? s->fd : 0;
}

void rpc_unlisten(const struct rpc_place *s)
{
	struct stat st;

	if (!lstat(s->addr.sun_path, &st) && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->addr.sun_path);
}
