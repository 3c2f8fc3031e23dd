/* SPDX-License-Identifier: BSD-2-Clause */
/* control.h - xespd's answers on its control socket, see docs/control.md. Main thread only. */
#ifndef XESP_CONTROL_H
#define XESP_CONTROL_H

struct daemon;
struct fault;

/* Serves <run>/xespd.sock from d->base; d->rpc is ended by rpc_server_close(). */
int control_open(struct daemon *d, struct fault *f);

#endif /* XESP_CONTROL_H */
