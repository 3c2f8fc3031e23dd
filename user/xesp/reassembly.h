/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reassembly.h - how the kernel fares with fragments, for `xesp status`.
 *
 * ESP in outer fragments is put together by the kernel, within its limits (net.ipv4.ipfrag_*,
 * net.ipv6.ip6frag_*): what it gives up is in none of our counters. Of the network namespace that
 * the command runs in; other traffic's fragments count too.
 */
#ifndef XESP_REASSEMBLY_H
#define XESP_REASSEMBLY_H

struct json_object;

/* {"ipv4": {...}, "ipv6": {...}}; a family that the kernel lacks is null. */
struct json_object *reassembly_json(void);

#endif /* XESP_REASSEMBLY_H */
