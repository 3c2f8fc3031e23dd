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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "keyd/problems.h"
#include "xesp/keymsg.h"

struct policy;
struct raw_policy;
struct raw_selector;
struct sa;
struct sad;
struct spd;

/* A policy's pfp; its action and selector are made. `path` is the policy's. */
int pfp_take_policy(struct policy *p, const struct raw_policy *raw, const char *path,
		    struct problems *ps);
/* An SA's selector, NULL: none. `path` is the SA's. */
int pfp_take_sa(struct sa *sa, const struct raw_selector *raw, const char *path,
		struct problems *ps);

/*
 * Once sad and spd are whole: sets tunnels' pfp. On failure problems are added: policies that do not
 * agree, keys that are missing or too many, values that no policy would ever have, two outbound SAs
 * with the same ones. by_name: policies and SAs are called by their names there, not by their places.
 */
int pfp_settle(struct sad *sad, const struct spd *spd, bool by_name, struct problems *ps);

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
