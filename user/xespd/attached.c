/* SPDX-License-Identifier: BSD-2-Clause */
/* attached.c - see attached.h. */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "xesp/fault.h"
#include "xespd/attached.h"

static int ask_channels(const char *name, uint32_t *rx_n, uint32_t *tx_n)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq ifr = { .ifr_data = (void *)&channels };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	memcpy(ifr.ifr_name, name, IF_NAMESIZE);
	if (ioctl(fd, SIOCETHTOOL, &ifr))
		err = -errno;
	close(fd);
	*rx_n = channels.combined_count + channels.rx_count;
	*tx_n = channels.combined_count + channels.tx_count;
	return err;
}

static uint32_t ask_mtu(const char *name)
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return 0;
	memcpy(ifr.ifr_name, name, IF_NAMESIZE);
	err = ioctl(fd, SIOCGIFMTU, &ifr);
	close(fd);
	return err ? 0 : (uint32_t)ifr.ifr_mtu;
}

/* /sys may be that of another network namespace, in which the name means another interface. */
static bool sysfs_is_ours(const char *name, uint32_t ifindex)
{
	char path[64], text[16] = "";
	unsigned long got;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/net/%s/ifindex", name);
	file = fopen(path, "re");
	if (!file)
		return false;
	got = fgets(text, sizeof(text), file) ? strtoul(text, NULL, 10) : 0;
	fclose(file);
	return got == ifindex;
}

static void count_in_sysfs(const char *name, uint32_t *rx_n, uint32_t *tx_n)
{
	char path[64];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/class/net/%s/queues", name);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		*rx_n += strncmp(entry->d_name, "rx-", 3) == 0;
		*tx_n += strncmp(entry->d_name, "tx-", 3) == 0;
	}
	closedir(dir);
}

static uint32_t at_least_one(uint32_t n)
{
	if (n > XESP_QUEUES_MAX)
		return XESP_QUEUES_MAX;
	return n ? n : 1;
}

static void count_queues(struct attached *a)
{
	uint32_t rx_n = 0, tx_n = 0;

	if (ask_channels(a->name, &rx_n, &tx_n)) {
		rx_n = tx_n = 0;
		if (sysfs_is_ours(a->name, a->ifindex))
			count_in_sysfs(a->name, &rx_n, &tx_n);
	}
	a->rx_n = at_least_one(rx_n);
	a->tx_n = at_least_one(tx_n);
}

static int by_port(const void *a, const void *b)
{
	const struct attached *x = a, *y = b;

	return (x->port > y->port) - (x->port < y->port);
}

int attached_read(int fd, struct attached list[XESP_PORTS_MAX], struct fault *f)
{
	__u32 key, next, *at = NULL;
	int n = 0;

	/* The map has at most XESP_PORTS_MAX entries; the bound is for one that changes meanwhile. */
	for (int i = 0; i < 4 * XESP_PORTS_MAX && n < XESP_PORTS_MAX; i++) {
		struct attached *a = &list[n];
		struct xesp_iface iface;

		if (bpf_map_get_next_key(fd, at, &next)) {
			if (errno == ENOENT)
				break;
			return fault_set(f, -errno, "cannot read xesp_ifaces: %s", strerror(errno));
		}
		key = next;
		at = &key;
		memset(a, 0, sizeof(*a));
		if (bpf_map_lookup_elem(fd, &key, &iface) || iface.port >= XESP_PORTS_MAX ||
		    !if_indextoname(key, a->name))
			continue;
		a->ifindex = key;
		a->port = iface.port;
		a->role = iface.role;
		a->mtu = ask_mtu(a->name);
		count_queues(a);
		n++;
	}
	qsort(list, (size_t)n, sizeof(list[0]), by_port);
	return n;
}
