/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * icmp_in.h - what routers on the path say about our own ESP: too big, and what would fit.
 *
 * XDP passes ICMP errors for this machine; the kernel reassembles them, checks them against its own
 * sockets, and hands a copy to raw sockets that ask for these types alone. Here they are read:
 * RFC 1191 section 4, RFC 8201, RFC 4301 section 8.2. Nothing is believed yet: slow/pmtu.h. The
 * parser is pure; the sockets are the main thread's.
 */
#ifndef XESP_SLOW_ICMP_IN_H
#define XESP_SLOW_ICMP_IN_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/steer.h"

struct fault;

/* "Too big", about an IPsec packet. */
struct icmp_in_msg {
	struct xesp_addr to;            /* whom the error was sent to */
	struct xesp_addr local, remote; /* source and destination of the quoted packet */
	uint32_t mtu;                   /* what fits; 0: the router does not say, RFC 1191 section 5 */
	uint32_t quoted_len;            /* bytes of the quoted packet, by its header */
	__be32 spi;
	uint32_t seq;     /* host byte order */
	uint8_t proto;    /* IPPROTO_ESP, IPPROTO_AH, or IPPROTO_UDP around ESP */
	bool has_numbers; /* SPI and sequence number were not cut off */
};

/*
 * `icmp` is the message from its type on. False: another kind of message, or about something else
 * than ESP, AH and UDP with what may be ESP in it; or the IPv4 checksum is wrong (the kernel has
 * checked ICMPv6's). Sets all but `to`.
 */
bool icmp_in_parse(struct icmp_in_msg *m, const uint8_t *icmp, uint32_t len, uint8_t version);

struct icmp_in {
	int fd4, fd6;     /* -1: the kernel lacks the family */
	uint32_t not_from; /* ifindex of xesp0: what came out of a tunnel does not speak of the path */
};

/* `tun` names xesp0, which exists. */
int icmp_in_open(struct icmp_in *in, const char *tun, struct fault *f);
void icmp_in_close(struct icmp_in *in);

#define ICMP_IN_ROOM 2048 /* more than a router quotes, RFC 1812 section 4.3.2.3, RFC 4443 section 2.4 */

/* One message from fd. False: nothing there. *ours: *m is set. */
bool icmp_in_read(struct icmp_in *in, int fd, struct icmp_in_msg *m, bool *ours);

#endif /* XESP_SLOW_ICMP_IN_H */
