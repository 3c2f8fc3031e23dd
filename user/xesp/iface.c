/* SPDX-License-Identifier: BSD-2-Clause */
/* iface.c - see iface.h. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libxesp/addr.h"
#include "libxesp/pins.h"
#include "xesp/fault.h"
#include "xesp/iface.h"

const char *iface_role_name(uint32_t role)
{
	switch (role) {
	case XESP_ROLE_INNER:
		return "inner";
	case XESP_ROLE_OUTER:
		return "outer";
	case XESP_ROLE_BOTH:
		return "both";
	default:
		return "?";
	}
}

int iface_find(struct iface *i, const char *name, struct fault *f)
{
	struct ifreq request = { 0 };
	int fd, err;

	if (!name[0] || strlen(name) >= sizeof(i->name) || !(i->index = if_nametoindex(name)))
		return fault_set(f, -ENODEV, "no interface is called '%s'; see `ip link`", name);
	memcpy(i->name, name, strlen(name) + 1);

	memcpy(request.ifr_name, name, strlen(name) + 1);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fault_set(f, -errno, "socket: %s", strerror(errno));
	err = ioctl(fd, SIOCGIFMTU, &request) ? -errno : 0;
	close(fd);
	if (err)
		return fault_set(f, err, "interface %s: cannot read its MTU: %s", name,
				 strerror(-err));
	i->mtu = (uint32_t)request.ifr_mtu;
	return 0;
}

static bool to_addr(struct xesp_addr *a, const struct sockaddr *sa)
{
	if (!sa)
		return false;
	if (sa->sa_family == AF_INET)
		addr_from_ip4(a, &((const struct sockaddr_in *)(const void *)sa)->sin_addr);
	else if (sa->sa_family == AF_INET6)
		addr_from_ip6(a, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
	else
		return false;
	return true;
}

static int publish_one(int fd, const struct xesp_addr *a, __u32 ifindex, struct fault *f)
{
	if (!bpf_map_update_elem(fd, a, &ifindex, BPF_ANY))
		return 0;
	if (errno == E2BIG || errno == ENOSPC)
		return fault_set(f, -E2BIG,
				 "this machine has more addresses than xesp_local holds");
	return fault_set(f, -errno, "cannot write xesp_local: %s", strerror(errno));
}

/*
 * The broadcast addresses that the kernel answers to: the one that was configured, and that of the
 * subnet, which it takes for one whether it was configured or not.
 */
static int publish_broadcast(int fd, const struct ifaddrs *ia, __u32 ifindex, struct fault *f)
{
	struct xesp_addr a, mask;
	int err = 0;

	if (!(ia->ifa_flags & IFF_BROADCAST))
		return 0; /* the field would be the far end of a point-to-point link */
	if (to_addr(&a, ia->ifa_broadaddr))
		err = publish_one(fd, &a, ifindex, f);
	if (err || !to_addr(&mask, ia->ifa_netmask) || ntohl(~mask.w[3]) < 3)
		return err; /* RFC 3021: /31 and /32 have none */
	to_addr(&a, ia->ifa_addr);
	a.w[3] |= ~mask.w[3];
	return publish_one(fd, &a, ifindex, f);
}

int iface_publish_local(const struct pins *pins, struct fault *f)
{
	int err = 0, fd = pins->fd[PINS_LOCAL];
	struct ifaddrs *all;

	if (getifaddrs(&all))
		return fault_set(f, -errno, "cannot list addresses: %s", strerror(errno));
	for (struct ifaddrs *ia = all; ia && !err; ia = ia->ifa_next) {
		__u32 ifindex = if_nametoindex(ia->ifa_name);
		struct xesp_addr a;

		if (!to_addr(&a, ia->ifa_addr))
			continue;
		err = publish_one(fd, &a, ifindex, f);
		if (!err && addr_is_ip4(&a))
			err = publish_broadcast(fd, ia, ifindex, f);
	}
	freeifaddrs(all);
	return err;
}
