/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compose.h - the messages of xesp/keymsg.h, made of the model; and what xespd may say, checked.
 *
 * Each call writes one whole message but for h.seq into `buf` (XESP_KEYMSG_MAX bytes, or those of its longest) and returns
 * its length. compose_sa() writes a key: the caller wipes. Main thread.
 */
#ifndef XESP_KEYD_COMPOSE_H
#define XESP_KEYD_COMPOSE_H

#include <stddef.h>
#include <stdint.h>
#include "xesp/keymsg.h"

struct config;
struct fault;

size_t compose_bare(void *buf, enum xesp_keymsg_type type);
size_t compose_hello(void *buf);
size_t compose_id(void *buf, enum xesp_keymsg_type type, uint32_t id, uint32_t wait);
size_t compose_lease(void *buf, uint32_t id, uint64_t first, uint64_t last);
size_t compose_group(void *buf, const struct config *c, uint32_t group);
/* With the SAs that it sends on: none yet, those that xespd did not refuse, or all that are configured. */
enum compose_out { COMPOSE_NO_OUT, COMPOSE_OUT, COMPOSE_OUT_CONFIGURED };
size_t compose_tunnel(void *buf, const struct config *c, uint32_t tunnel, enum compose_out out);
size_t compose_sa(void *buf, const struct config *c, uint32_t sa);

/* Is this packet a message that xespd may send? -EPROTO with a sentence. */
int compose_check_reply(const void *packet, size_t len, struct fault *f);

#endif /* XESP_KEYD_COMPOSE_H */
