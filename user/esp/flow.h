/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flow.h - which inner flow a packet belongs to, as a number.
 *
 * Why it exists: what is spread over several tunnels must keep the order of each flow. Equal for
 * all packets with the same addresses, protocol and ports; of fragments, which do not all have the
 * ports, for those with the same addresses and protocol. Any worker.
 */
#ifndef XESP_FLOW_H
#define XESP_FLOW_H

#include <stdint.h>

struct inner;

/* `in` is what inner_parse() made of `ip`. Not a secret, and not for a table an attacker fills. */
uint32_t flow_hash(const uint8_t *ip, const struct inner *in);

/*
 * An outer IPv6 flow label of the inner flow, RFC 6438 section 3: 20 bits, never 0. The secret keeps
 * an observer from checking a guess of the inner addresses against it.
 */
uint32_t flow_label(const uint8_t *ip, const struct inner *in, uint64_t secret);

#endif /* XESP_FLOW_H */
