/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rpc_listen.h - the socket file of a control socket: made, replaced when nobody serves it, removed.
 *
 * Of rpc.c alone. Main thread.
 */
#ifndef XESP_RPC_LISTEN_H
#define XESP_RPC_LISTEN_H

#include <sys/types.h>
#include <sys/un.h>

struct fault;

struct rpc_place {
	struct sockaddr_un addr;
	int fd;    /* listening; the caller's to close */
	dev_t dev; /* of the socket file, to remove only our own */
	ino_t ino;
};

/* -EADDRINUSE: another process serves it; -errno of socket(), bind(), listen() */
int rpc_listen(struct rpc_place *s, const char *path, struct fault *f);

/* Removes the file, unless it is another's by now. */
void rpc_unlisten(const struct rpc_place *s);

#endif /* XESP_RPC_LISTEN_H */
