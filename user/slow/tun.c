/* SPDX-License-Identifier: BSD-2-Clause */
/* tun.c - see tun.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "slow/tun.h"
#include "xesp/fault.h"
#include "xesp/log.h"

static int attach(int fd, const char *name, struct fault *f)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int err;

	if ((size_t)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name) >= sizeof(r.ifr_name))
		return fault_set(f, -ENAMETOOLONG, "%s is too long for an interface's name", name);
	if (ioctl(fd, TUNSETIFF, &r)) {
		err = -errno;
		if (err == -EBUSY)
			return fault_set(f, err,
					 "%s: another process has it: is xespd running already?",
					 name);
		if (err == -EPERM)
			return fault_set(f, err, "%s: needs CAP_NET_ADMIN: run xespd as root",
					 name);
		if (err == -EINVAL)
			return fault_set(
				f, err,
				"%s is there and is not a TUN device: choose another with --tun",
				name);
		return fault_set(f, err, "%s: cannot make the TUN device: %s", name,
				 strerror(-err));
	}
	if (ioctl(fd, TUNSETPERSIST, 1))
		return fault_set(f, -errno, "%s: cannot make it persistent: %s", name,
				 strerror(errno));
	return 0;
}

/* IFLA_AF_SPEC { AF_INET6 { IFLA_INET6_ADDR_GEN_MODE: none } } */
static int put_addrgen_none(struct nl_msg *msg)
{
	struct nlattr *spec = nla_nest_start(msg, IFLA_AF_SPEC), *ip6;

	ip6 = spec ? nla_nest_start(msg, AF_INET6) : NULL;
	if (!ip6 || nla_put_u8(msg, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE))
		return -NLE_NOMEM;
	nla_nest_end(msg, ip6);
	nla_nest_end(msg, spec);
	return 0;
}

/* One RTM_NEWLINK about the device; an error of libnl. */
static int set_link(struct nl_sock *sk, const char *name, const struct ifinfomsg *i,
		    bool addrgen_none)
{
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, 0);
	int err;

	if (!msg)
		return -NLE_NOMEM;
	err = nlmsg_append(msg, (void *)(uintptr_t)i, sizeof(*i), NLMSG_ALIGNTO);
	if (!err)
		err = nla_put_string(msg, IFLA_IFNAME, name);
	if (!err && addrgen_none)
		err = put_addrgen_none(msg);
	if (err) {
		nlmsg_free(msg);
		return err;
	}
	return nl_send_sync(sk, msg); /* frees it */
}

/* Before it is up: afterwards the kernel would have given it a link-local address already. */
static int configure(const char *name, struct fault *f)
{
	const struct ifinfomsg quiet = { .ifi_family = AF_UNSPEC, .ifi_change = IFF_MULTICAST };
	const struct ifinfomsg up = { .ifi_family = AF_UNSPEC,
				      .ifi_flags = IFF_UP,
				      .ifi_change = IFF_UP };
	struct nl_sock *sk = nl_socket_alloc();
	int err;

	if (!sk)
		return fault_set(f, -ENOMEM, "out of memory");
	err = nl_connect(sk, NETLINK_ROUTE);
	if (!err)
		err = set_link(sk, name, &quiet, true);
	/* A kernel without IPv6 refuses the address mode, and needs none. */
	if (err == -NLE_OPNOTSUPP || err == -NLE_AF_NOSUPPORT)
		err = set_link(sk, name, &quiet, false);
	if (!err)
		err = set_link(sk, name, &up, false);
	nl_socket_free(sk);
	if (err)
		return fault_set(f, -EIO, "%s: cannot set it up: %s", name, nl_geterror(err));
	return 0;
}

/*
 * What xespd puts into the device was held against the SPD by xespd: the kernel's own IPsec policies, where
 * there are such (`source: xfrm`), would ask for a proof that it has not seen, and drop all of it. What is
 * routed into the device xespd protects: the kernel is not to do it before (which IPv4 alone can leave
 * out). And without xespd the device outlives it and takes nothing: then the routes into it do not count.
 */
static void set_sysctls(const char *name)
{
	static const struct {
		const char *family, *sysctl;
	} ones[] = { { "ipv4", "disable_policy" },
		     { "ipv6", "disable_policy" },
		     { "ipv4", "disable_xfrm" },
		     { "ipv4", "ignore_routes_with_linkdown" },
		     { "ipv6", "ignore_routes_with_linkdown" } };

	for (size_t i = 0; i < sizeof(ones) / sizeof(ones[0]); i++) {
		char path[96];
		int fd;

		snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", ones[i].family, name, ones[i].sysctl);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue; /* a kernel without the family, or without IPsec */
		if (write(fd, "1", 1) != 1)
			log_warn("%s: %s: packets of the slow path may fall to the kernel's IPsec policies", path,
				 strerror(errno));
		close(fd);
	}
}

int tun_open(const char *name, struct fault *f)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), err;

	if (fd < 0)
		return fault_set(f, -errno, "/dev/net/tun: %s: is the tun module loaded?",
				 strerror(errno));
	err = attach(fd, name, f);
	if (!err)
		err = configure(name, f);
	if (!err)
		set_sysctls(name);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int tun_set_mtu(const char *name, uint32_t mtu, struct fault *f)
{
	struct ifreq r = { .ifr_mtu = (int)mtu };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCSIFMTU, &r))
		err = fault_set(f, -errno, "%s: cannot set its MTU to %u: %s", name, mtu,
				strerror(errno));
	if (fd >= 0)
		close(fd);
	return err;
}
