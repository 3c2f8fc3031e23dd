/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rules.h - policy rules that lead this machine's own packets, and no others, into xesp0.
 *
 * A route to the far end of transport mode into xesp0 would catch what xespd sends there as well. With
 * `source: xfrm` one in the main table would come behind those of an IKE daemon (strongSwan's table
 * 220), and catch what is forwarded. So these routes have a table of their own, and per IP version three rules ask for it:
 *
 *   119  packets with xespd's mark go on at 121
 *   120  what this machine sends itself (iif lo) looks into the table
 *   121  (nothing; where 119 leads)
 *
 * Forwarded packets never see the table, so the mirror in user/fib passes over the rules. They carry
 * our protocol number; others are never touched, and ours stay when keyd ends. Main thread.
 */
#ifndef XESP_KEYD_RULES_H
#define XESP_KEYD_RULES_H

#include <stdbool.h>

struct fault;
struct nl_sock;

/* Makes our rules of this family be there or not; does nothing when they are right. -errno. */
int rules_sync(struct nl_sock *sock, int family, bool wanted, struct fault *f);

/*
 * Does this interface want the way back to be the way in (net.ipv4.conf.*.rp_filter 1)? For the far end
 * of transport mode that is xesp0, so it drops what the kernel must see of it: fragments, IKE.
 */
bool rules_are_strict(const char *interface);

#endif /* XESP_KEYD_RULES_H */
