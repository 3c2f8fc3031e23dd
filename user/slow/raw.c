/* SPDX-License-Identifier: BSD-2-Clause */
/* raw.c - see raw.h. */
#include <errno.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fib/fib.h"
#include "slow/raw.h"
#include "xesp/fault.h"

#define SEND_BYTES (4 << 20)

/*
 * Protected already: no policy of the kernel's own is to protect it again. A kernel without IPsec refuses
 * the option, and has no policies.
 */
static void exempt_from_policies(int fd, int family)
{
	struct xfrm_userpolicy_info allow = { .dir = XFRM_POLICY_OUT,
					      .action = XFRM_POLICY_ALLOW,
					      .sel.family = (__u16)family };

	if (family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_XFRM_POLICY, &allow, sizeof(allow));
	else
		setsockopt(fd, IPPROTO_IPV6, IPV6_XFRM_POLICY, &allow, sizeof(allow));
}

/* IPPROTO_RAW means that packets come with their header, in both families. */
static int open_one(int family, uint32_t mark, bool protected)
{
	const int bytes = SEND_BYTES, one = 1;
	const int probe4 = IP_PMTUDISC_PROBE, probe6 = IPV6_PMTUDISC_PROBE;
	int fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW), err;

	if (fd < 0)
		return -errno;
	/* What the limits allow is enough: a full buffer is a counted drop. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (protected)
		exempt_from_policies(fd, family);
	/* So that routes into xesp0 can leave out what comes from there: see fib.h. */
	if (mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)))
		err = -1;
	else if (family == AF_INET)
		err = setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe4, sizeof(probe4));
	else
		err = setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe6, sizeof(probe6)) ||
		      setsockopt(fd, IPPROTO_IPV6, IPV6_HDRINCL, &one, sizeof(one));
	if (err) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int raw_open(struct raw *r, uint32_t mark, bool protected, struct fault *f)
{
	r->fd6 = -1;
	r->fd4 = open_one(AF_INET, mark, protected);
	if (r->fd4 < 0)
		return fault_set(f, r->fd4, "cannot open a raw IPv4 socket: %s: run xespd as root",
				 strerror(-r->fd4));
	r->fd6 = open_one(AF_INET6, mark, protected);
	if (r->fd6 < 0 && r->fd6 != -EAFNOSUPPORT) {
		int err = r->fd6;

		raw_close(r);
		return fault_set(f, err, "cannot open a raw IPv6 socket: %s", strerror(-err));
	}
	return 0;
}

void raw_close(struct raw *r)
{
	if (r->fd4 >= 0)
		close(r->fd4);
	if (r->fd6 >= 0)
		close(r->fd6);
	r->fd4 = r->fd6 = -1;
}

int raw_send(const struct raw *r, const uint8_t *ip, uint32_t len)
{
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6 };
	ssize_t n;

	if (len >= 20 && ip[0] >> 4 == 4) {
		memcpy(&to4.sin_addr, ip + 16, sizeof(to4.sin_addr));
		n = sendto(r->fd4, ip, len, MSG_DONTWAIT, (struct sockaddr *)&to4, sizeof(to4));
	} else if (len >= 40 && ip[0] >> 4 == 6) {
		memcpy(&to6.sin6_addr, ip + 24, sizeof(to6.sin6_addr));
		n = sendto(r->fd6, ip, len, MSG_DONTWAIT, (struct sockaddr *)&to6, sizeof(to6));
	} else {
		return -EINVAL;
	}
	return n < 0 ? -errno : 0;
}
