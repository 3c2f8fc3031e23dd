/* SPDX-License-Identifier: BSD-2-Clause */
/* icmp_in.c - see icmp_in.h. */
#include <errno.h>
#include <net/if.h> /* these before linux/icmp.h, which would have its own */
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <linux/icmp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "esp/icmp_quote.h"
#include "esp/wire.h"
#include "libxesp/addr.h"
#include "slow/check.h"
#include "slow/icmp_in.h"
#include "xesp/fault.h"

#define IP4_HDR_MIN 20u
#define IP6_HDR     40u
#define ICMP_HDR    8u
#define UDP_HDR     8u
#define AH_SPI      4u /* RFC 4302 section 2 */

/* SPI and sequence number stand in a row in both ESP and AH. */
static void read_numbers(struct icmp_in_msg *m, const struct icmp_quote *q, uint32_t off)
{
	if (q->have - q->l4_off < off + 8)
		return;
	memcpy(&m->spi, q->ip + q->l4_off + off, sizeof(m->spi));
	m->seq = wire_get32(q->ip + q->l4_off + off + 4);
	m->has_numbers = true;
}

static bool read_quote(struct icmp_in_msg *m, const struct icmp_quote *q)
{
	if (q->later)
		return false; /* nothing says what it was a part of */
	m->proto = q->proto;
	switch (q->proto) {
	case IPPROTO_ESP:
		read_numbers(m, q, 0);
		break;
	case IPPROTO_AH:
		read_numbers(m, q, AH_SPI);
		break;
	case IPPROTO_UDP:
		read_numbers(m, q, UDP_HDR); /* RFC 3948 section 2.1 */
		break;
	default:
		return false;
	}
	if (q->version == 4) {
		m->quoted_len = wire_get16(q->ip + 2);
		addr_from_ip4(&m->local, q->ip + 12);
		addr_from_ip4(&m->remote, q->ip + 16);
	} else {
		m->quoted_len = IP6_HDR + wire_get16(q->ip + 4);
		addr_from_ip6(&m->local, q->ip + 8);
		addr_from_ip6(&m->remote, q->ip + 24);
	}
	return true;
}

bool icmp_in_parse(struct icmp_in_msg *m, const uint8_t *icmp, uint32_t len, uint8_t version)
{
	struct icmp_quote q;

	*m = (struct icmp_in_msg){ 0 };
	if (len < ICMP_HDR)
		return false;
	if (version == 4) {
		if (icmp[0] != ICMP_DEST_UNREACH || icmp[1] != ICMP_FRAG_NEEDED ||
		    check_fold(check_add(0, icmp, len)))
			return false;
		m->mtu = wire_get16(icmp + 6);
	} else {
		if (icmp[0] != ICMP6_PACKET_TOO_BIG)
			return false;
		m->mtu = wire_get32(icmp + 4);
	}
	return icmp_quote_parse(&q, icmp + ICMP_HDR, len - ICMP_HDR, version) && read_quote(m, &q);
}

static int set_filter4(int fd)
{
	const struct icmp_filter only = { .data = ~(1u << ICMP_DEST_UNREACH) };
	const int one = 1;

	return setsockopt(fd, SOL_RAW, ICMP_FILTER, &only, sizeof(only)) ||
	       setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
}

static int set_filter6(int fd)
{
	struct icmp6_filter only;
	const int one = 1;

	ICMP6_FILTER_SETBLOCKALL(&only);
	ICMP6_FILTER_SETPASS(ICMP6_PACKET_TOO_BIG, &only);
	return setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &only, sizeof(only)) ||
	       setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
}

static int open_one(int family)
{
	int fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
			family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	int err;

	if (fd < 0)
		return -errno;
	if (family == AF_INET ? set_filter4(fd) : set_filter6(fd)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int icmp_in_open(struct icmp_in *in, const char *tun, struct fault *f)
{
	int err;

	in->not_from = if_nametoindex(tun);
	in->fd6 = -1;
	in->fd4 = open_one(AF_INET);
	if (in->fd4 < 0)
		return fault_set(f, in->fd4, "cannot open a raw ICMP socket: %s: run xespd as root",
				 strerror(-in->fd4));
	in->fd6 = open_one(AF_INET6);
	if (in->fd6 < 0 && in->fd6 != -EAFNOSUPPORT) {
		err = in->fd6;
		icmp_in_close(in);
		return fault_set(f, err, "cannot open a raw ICMPv6 socket: %s", strerror(-err));
	}
	return 0;
}

void icmp_in_close(struct icmp_in *in)
{
	if (in->fd4 >= 0)
		close(in->fd4);
	if (in->fd6 >= 0)
		close(in->fd6);
	in->fd4 = in->fd6 = -1;
}

/* Where it came in, and for IPv6, whose header the kernel keeps, whom it was for. */
static bool read_arrival(struct icmp_in_msg *m, struct msghdr *msg, uint32_t *ifindex)
{
	bool found = false;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		struct in6_pktinfo info6;
		struct in_pktinfo info4;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO &&
		    c->cmsg_len >= CMSG_LEN(sizeof(info4))) {
			memcpy(&info4, CMSG_DATA(c), sizeof(info4));
			addr_from_ip4(&m->to, &info4.ipi_addr);
			*ifindex = (uint32_t)info4.ipi_ifindex;
			found = true;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO &&
			   c->cmsg_len >= CMSG_LEN(sizeof(info6))) {
			memcpy(&info6, CMSG_DATA(c), sizeof(info6));
			addr_from_ip6(&m->to, &info6.ipi6_addr);
			*ifindex = info6.ipi6_ifindex;
			found = true;
		}
	}
	return found;
}

bool icmp_in_read(struct icmp_in *in, int fd, struct icmp_in_msg *m, bool *ours)
{
	const bool ip4 = fd == in->fd4;
	uint8_t buf[ICMP_IN_ROOM];
	union {
		struct cmsghdr align;
		char room[256];
	} control;
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.room,
			      .msg_controllen = sizeof(control.room) };
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);
	uint32_t ifindex = 0, off = 0, len;
	struct xesp_addr to;

	*ours = false;
	if (n < 0)
		return false;
	len = (uint32_t)n;
	if (msg.msg_flags & MSG_TRUNC || !read_arrival(m, &msg, &ifindex) ||
	    ifindex == in->not_from)
		return true;
	to = m->to;
	if (ip4) {
		if (len < IP4_HDR_MIN)
			return true;
		off = (buf[0] & 0xfu) * 4;
	}
	if (off > len || !icmp_in_parse(m, buf + off, len - off, ip4 ? 4 : 6))
		return true;
	m->to = to;
	*ours = true;
	return true;
}
