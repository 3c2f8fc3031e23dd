/* SPDX-License-Identifier: BSD-2-Clause */
/* keymsg_header.h - what both ends check of a message of xesp/keymsg.h before they look at its type. */
#ifndef XESP_KEYMSG_HEADER_H
#define XESP_KEYMSG_HEADER_H

#include <stddef.h>

struct fault;

/* Of a packet of `len` bytes from the socket. -EPROTO: too short, of another version, or it claims another length. */
int keymsg_check_header(const void *packet, size_t len, struct fault *f);

#endif /* XESP_KEYMSG_HEADER_H */
