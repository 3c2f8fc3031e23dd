/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm_world.h - what the kernel would have in its XFRM tables, between 192.0.2.1 (this machine) and
 * 192.0.2.2: netlink messages put together, entries made of them, and the configuration that they mean.
 */
#ifndef XESP_TEST_KEYD_XFRM_WORLD_H
#define XESP_TEST_KEYD_XFRM_WORLD_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>
#include "keyd/xfrm_model.h"

struct config;
struct sa;

#define XFRM_WORLD_LOCAL "192.0.2.1"
#define XFRM_WORLD_PEER "192.0.2.2"

struct xfrm_world_message {
	union {
		struct nlmsghdr h;
		uint8_t bytes[2048];
	};
};

/* A state with ESN, of tunnel mode and reqid 7, and attributes behind it. */
void xfrm_world_begin_state(struct xfrm_world_message *m, const char *src, const char *dst, uint32_t spi);
void xfrm_world_put(struct xfrm_world_message *m, uint16_t type, const void *data, size_t len);
void xfrm_world_put_aead(struct xfrm_world_message *m, const char *name, uint32_t key_bytes, uint32_t icv,
			 uint8_t seed);
void xfrm_world_put_esn(struct xfrm_world_message *m, uint64_t oseq, uint64_t seq, uint32_t window);

/* An AES-GCM-128 state whose key is of its SPI, and a policy for it. `added`: seconds since 1970. */
struct xfrm_state_entry xfrm_world_state(const char *src, const char *dst, uint32_t spi, uint64_t added);
struct xfrm_policy_entry xfrm_world_policy(uint8_t dir, const char *src, const char *dst, uint32_t priority);

/* Of `with` only what is refused, what is lent, and now. */
struct config *xfrm_world_build(struct xfrm_tables *t, const struct xfrm_model_env *with,
				struct xfrm_unserved_list *left_out);

/* NULL: none has it. */
const struct sa *xfrm_world_find_spi(const struct config *c, uint32_t spi);

#endif /* XESP_TEST_KEYD_XFRM_WORLD_H */
