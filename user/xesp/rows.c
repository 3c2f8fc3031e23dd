/* SPDX-License-Identifier: BSD-2-Clause */
/* rows.c - see rows.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "xesp/attachment.h"
#include "xesp/fault.h"
#include "xesp/iface.h"
#include "xesp/rows.h"
#include "xesp/steer.h"

bool rows_find(const struct rows *r, uint32_t ifindex, struct xesp_iface *out)
{
	return !bpf_map_lookup_elem(r->ifaces_fd, &ifindex, out);
}

static bool lowest_free_port(const struct rows *r, uint32_t *port)
{
	bool taken[XESP_PORTS_MAX] = { false };
	struct xesp_iface row;
	__u32 *prev = NULL, key;

	for (; !bpf_map_get_next_key(r->ifaces_fd, prev, &key); prev = &key)
		if (rows_find(r, key, &row) && row.port < XESP_PORTS_MAX)
			taken[row.port] = true;
	for (*port = 0; *port < XESP_PORTS_MAX; (*port)++)
		if (!taken[*port])
			return true;
	return false;
}

int rows_add(const struct rows *r, const struct iface *i, bool *made, struct fault *f)
{
	struct xesp_iface row;

	*made = !rows_find(r, i->index, &row);
	if (*made && !lowest_free_port(r, &row.port))
		return fault_set(f, -ENOSPC,
				 "%d interfaces are attached already, the most there can be",
				 XESP_PORTS_MAX);
	row.role = i->role;
	if (bpf_map_update_elem(r->ifaces_fd, &i->index, &row, BPF_ANY))
		return fault_set(f, -errno, "cannot write xesp_ifaces: %s", strerror(errno));
	return 0;
}

void rows_remove(const struct rows *r, uint32_t ifindex)
{
	struct xesp_iface row;

	if (!rows_find(r, ifindex, &row))
		return;
	bpf_map_delete_elem(r->ifaces_fd, &ifindex);
	for (__u32 queue = 0; queue < XESP_QUEUES_MAX && row.port < XESP_PORTS_MAX; queue++) {
		__u32 key = row.port * XESP_QUEUES_MAX + queue;

		bpf_map_delete_elem(r->xsks_fd, &key);
	}
}

static bool is_attached(const struct attachment_list *l, uint32_t ifindex)
{
	for (unsigned int i = 0; i < l->n; i++)
		if (l->at[i].ifindex == ifindex)
			return true;
	return false;
}

unsigned int rows_without(const struct rows *r, const struct attachment_list *l,
			  uint32_t ifindex[XESP_PORTS_MAX])
{
	__u32 *prev = NULL, key;
	unsigned int n = 0;

	for (; n < XESP_PORTS_MAX && !bpf_map_get_next_key(r->ifaces_fd, prev, &key); prev = &key)
		if (!is_attached(l, key))
			ifindex[n++] = key;
	return n;
}

unsigned int rows_sweep(const struct rows *r, const struct attachment_list *l)
{
	uint32_t stale[XESP_PORTS_MAX];
	unsigned int n = rows_without(r, l, stale);

	for (unsigned int i = 0; i < n; i++)
		rows_remove(r, stale[i]);
	return n;
}
