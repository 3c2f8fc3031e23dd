/* SPDX-License-Identifier: BSD-2-Clause */
/* seqpacket.c - see seqpacket.h. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keyd/seqpacket.h"
#include "xesp/fault.h"

/* A socket that nobody serves is what a killed keyd left. */
static int remove_stale(const struct sockaddr_un *addr, struct fault *f)
{
	struct stat st;
	int fd, err = 0;

	if (lstat(addr->sun_path, &st))
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return fault_set(f, -EADDRINUSE, "%s is not a socket: remove it", addr->sun_path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fault_set(f, -errno, "socket: %s", strerror(errno));
	if (!connect(fd, (const struct sockaddr *)addr, sizeof(*addr)))
		err = fault_set(f, -EADDRINUSE, "another xesp-keyd serves %s", addr->sun_path);
	else if (unlink(addr->sun_path))
		err = fault_set(f, -errno, "cannot remove %s: %s", addr->sun_path, strerror(errno));
	close(fd);
	return err;
}

int seqpacket_listen(struct seqpacket *s, const char *path, struct fault *f)
{
	struct stat st;
	mode_t mask;
	int err;

	*s = (struct seqpacket){ .fd = -1, .addr = { .sun_family = AF_UNIX } };
	if (strlen(path) >= sizeof(s->addr.sun_path))
		return fault_set(f, -ENAMETOOLONG, "socket path '%s' is too long", path);
	memcpy(s->addr.sun_path, path, strlen(path));
	err = remove_stale(&s->addr, f);
	if (err)
		return err;
	s->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return fault_set(f, -errno, "socket: %s", strerror(errno));
	mask = umask(0177);
	err = bind(s->fd, (const struct sockaddr *)&s->addr, sizeof(s->addr)) || listen(s->fd, 4) ?
		      -errno :
		      0;
	umask(mask);
	if (err) {
		fault_set(f, err, "cannot listen at %s: %s", path, strerror(-err));
		seqpacket_close(s);
		return err;
	}
	if (!lstat(path, &st))
		s->inode = st.st_ino;
	return 0;
}

void seqpacket_close(struct seqpacket *s)
{
	struct stat st;

	if (s->fd >= 0)
		close(s->fd);
	if (s->inode && !lstat(s->addr.sun_path, &st) && st.st_ino == s->inode)
		unlink(s->addr.sun_path);
	s->fd = -1;
	s->inode = 0;
}

int seqpacket_accept(const struct seqpacket *s, uint32_t *pid, struct fault *f)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	*pid = 0;
	if (fd < 0)
		return -1; /* it hung up before we came; or out of descriptors: the next time */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		fault_set(f, -errno, "SO_PEERCRED: %s", strerror(errno));
	else if (peer.uid && peer.uid != geteuid())
		fault_set(f, -EPERM, "uid %u asked for keys and was refused", peer.uid);
	else
		*pid = (uint32_t)peer.pid;
	if (*pid)
		return fd;
	close(fd);
	return -1;
}
