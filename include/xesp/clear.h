/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * clear.h - cleartext that is the kernel's whatever the policies say; once for XDP and for `xesp explain`.
 *
 * Addresses and ports as they stand on the wire; IPv4 as in struct xesp_addr.
 */
#ifndef XESP_CLEAR_H
#define XESP_CLEAR_H

#include <linux/in.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include "xesp/steer.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#define CLEAR_PORT_IKE 500       /* RFC 7296 section 2 */
#define CLEAR_PORT_IKE_NATT 4500 /* RFC 3948: IKE behind its marker, and ESP in UDP */

/* Destinations that no router forwards: multicast, limited broadcast, link-local. */
static __always_inline _Bool clear_stays_on_link(__u8 family, const struct xesp_addr *dst)
{
	__u32 ip4;

	if (family == 6)
		return (dst->w[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000) ||
		       (dst->w[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
	ip4 = bpf_ntohl(dst->w[3]);
	return ip4 >> 28 == 0xe || ip4 == 0xffffffff || ip4 >> 16 == 0xa9fe;
}

/*
 * To an address of ours, and needed before or beside an SA: IKE and AH, which carry their own
 * protection; ICMP errors, which the kernel checks against its sockets (RFC 4301 section 6);
 * neighbour discovery. Later UDP fragments have no ports, but lead to nothing when their first
 * fragment was not let through. To these belong ports of map xesp_natt_port, which the caller looks up.
 */
static __always_inline _Bool clear_is_exempt(__u8 family, __u8 proto, _Bool later_fragment,
					     __be16 dport, __u8 icmp_type)
{
	switch (proto) {
	case IPPROTO_UDP:
		return later_fragment || dport == bpf_htons(CLEAR_PORT_IKE) ||
		       dport == bpf_htons(CLEAR_PORT_IKE_NATT);
	case IPPROTO_AH:
		return 1;
	case IPPROTO_ICMP:
		return family == 4 && !later_fragment &&
		       (icmp_type == 3 || icmp_type == 11 || icmp_type == 12);
	case IPPROTO_ICMPV6:
		return family == 6 && !later_fragment &&
		       ((icmp_type >= 1 && icmp_type <= 4) ||
			(icmp_type >= 133 && icmp_type <= 137));
	default:
		return 0;
	}
}

#endif /* XESP_CLEAR_H */
