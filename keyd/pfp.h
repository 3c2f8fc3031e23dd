/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pfp.h - populate from packet: policies that want an SA for each combination of values.
 *
 * RFC 4301 sections 4.4.1 and 4.4.2.2. A policy's `pfp` names selectors; each SA of its tunnel then
 * has a `selector` with one value for each of them. The tunnel stands for what its policies have in
 * common, as it does for other SAs, so all of them say the same. Main thread.
 */
#ifndef XESP_KEYD_PFP_H
#define XESP_KEYD_PFP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "keyd/problems.h"
#include "xesp/keymsg.h"

struct raw_config;
struct sa;
struct sad;
struct spd;

/*
 * Sets tunnels' pfp and SAs' values, once sad and spd are made. On failure problems are added: what
 * has no meaning, values that no policy would ever have, two outbound SAs with the same ones.
 */
int pfp_take(struct sad *sad, const struct spd *spd, const struct raw_config *raw,
	     struct problems *ps);

/*
 * The keys that mean the mask's bits, of which `proto` says what stands in place of ports. Calls
 * `each` in their order.
 */
void pfp_each(const struct xesp_values *v, uint8_t proto,
	      void (*each)(void *ctx, const char *key, const char *value), void *ctx);

#define PFP_TEXT_MAX 192

/* "local 10.1.0.5, remote 10.2.0.9, protocol udp, remote_port 53". Returns buf. */
const char *pfp_print(const struct xesp_values *v, uint8_t proto, char buf[PFP_TEXT_MAX]);

/* What an SA's port values are of: its own protocol, or that of its tunnel's policies; 0 any. */
uint8_t pfp_proto(const struct sad *sad, const struct sa *sa);

#endif /* XESP_KEYD_PFP_H */
