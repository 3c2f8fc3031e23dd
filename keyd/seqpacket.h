/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seqpacket.h - the listening SOCK_SEQPACKET socket of publish_worker.c, and who may connect.
 * Main thread.
 */
#ifndef XESP_KEYD_SEQPACKET_H
#define XESP_KEYD_SEQPACKET_H

#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

struct fault;

struct seqpacket {
	struct sockaddr_un addr;
	int fd;      /* -1 closed */
	ino_t inode; /* of our socket, so that we remove no other's */
};

/*
 * Listens at `path`, mode 0600, not blocking; a socket that nobody serves is replaced.
 * -EADDRINUSE  another process serves it
 * -errno       of socket(), bind(), listen()
 */
int seqpacket_listen(struct seqpacket *s, const char *path, struct fault *f);
void seqpacket_close(struct seqpacket *s);

/* Accepts one connection of root or of our own user. -1: none, or refused with a sentence. */
int seqpacket_accept(const struct seqpacket *s, uint32_t *pid, struct fault *f);

#endif /* XESP_KEYD_SEQPACKET_H */
