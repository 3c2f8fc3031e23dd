/* SPDX-License-Identifier: BSD-2-Clause */
/* local_addrs.c - see local_addrs.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/index.h"
#include "keyd/local_addrs.h"
#include "keyd/map_walk.h"
#include "libxesp/addr.h"
#include "xesp/fault.h"

static bool take_nl_addr(struct xesp_addr *out, struct nl_addr *a)
{
	if (!a)
		return false;
	if (nl_addr_get_family(a) == AF_INET && nl_addr_get_len(a) == 4)
		addr_from_ip4(out, nl_addr_get_binary_addr(a));
	else if (nl_addr_get_family(a) == AF_INET6 && nl_addr_get_len(a) == 16)
		addr_from_ip6(out, nl_addr_get_binary_addr(a));
	else
		return false;
	return true;
}

static void take_object(struct nl_object *object, void *arg)
{
	struct rtnl_addr *a = (struct rtnl_addr *)object;
	struct local_addrs *l = arg;
	struct local_addr *at = &l->addrs[l->n];

	*at = (struct local_addr){ .ifindex = (uint32_t)rtnl_addr_get_ifindex(a),
				   .global = rtnl_addr_get_scope(a) < RT_SCOPE_LINK };
	if (take_nl_addr(&at->addr, rtnl_addr_get_local(a)))
		at = &l->addrs[++l->n];
	*at = (struct local_addr){ .ifindex = (uint32_t)rtnl_addr_get_ifindex(a),
				   .broadcast = true };
	if (take_nl_addr(&at->addr, rtnl_addr_get_broadcast(a)))
		l->n++;
}

int local_addrs_read(struct local_addrs *l, struct fault *f)
{
	struct local_addrs fresh = { 0 };
	struct nl_cache *cache = NULL;
	struct nl_sock *sock = nl_socket_alloc();
	int err;

	if (!sock)
		return fault_set(f, -ENOMEM, "out of memory");
	err = nl_connect(sock, NETLINK_ROUTE);
	if (!err)
		err = rtnl_addr_alloc_cache(sock, &cache);
	if (err) {
		err = fault_set(f, -EIO, "cannot read this machine's addresses: %s",
				nl_geterror(err));
		goto free_sock;
	}
	/* Each may come with a broadcast address. */
	fresh.addrs = calloc((size_t)nl_cache_nitems(cache) * 2 + 2, sizeof(*fresh.addrs));
	if (!fresh.addrs) {
		err = fault_set(f, -ENOMEM, "out of memory");
		goto free_cache;
	}
	nl_cache_foreach(cache, take_object, &fresh);
	local_addrs_fini(l);
	*l = fresh;
free_cache:
	nl_cache_free(cache);
free_sock:
	nl_socket_free(sock);
	return err;
}

void local_addrs_fini(struct local_addrs *l)
{
	free(l->addrs);
	*l = (struct local_addrs){ 0 };
}

static bool is_not_ours(const void *key, const void *ctx)
{
	return index_find(ctx, key) == INDEX_NONE;
}

int local_addrs_publish(const struct local_addrs *l, int map_fd, struct fault *f)
{
	struct index ours;
	uint32_t found;
	int err = 0;

	index_init(&ours, sizeof(struct xesp_addr));
	/* New ones first: at no time may an address that we keep be missing. */
	for (size_t i = 0; i < l->n && !err; i++) {
		err = index_add(&ours, &l->addrs[i].addr, (uint32_t)i, &found);
		if (!err && found == INDEX_NONE &&
		    bpf_map_update_elem(map_fd, &l->addrs[i].addr, &l->addrs[i].ifindex, BPF_ANY))
			err = -errno;
	}
	if (!err)
		err = map_walk_delete(map_fd, sizeof(struct xesp_addr), is_not_ours, &ours);
	index_fini(&ours);
	return err ? fault_set(f, err, "cannot write this machine's addresses to the maps: %s",
			       strerror(-err)) :
		     0;
}
