/* SPDX-License-Identifier: BSD-2-Clause */
/* link.c - see link.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <stdlib.h>
#include <string.h>

#include "fib/link.h"

#define TAGS_MAX  2
#define ADDRS_LEN 12 /* destination and source address of an Ethernet header */
#define TAG_LEN   4

void link_list_init(struct link_list *l)
{
	memset(l, 0, sizeof(*l));
}

void link_list_fini(struct link_list *l)
{
	free(l->links);
	link_list_init(l);
}

int link_list_add(struct link_list *l, const struct link *k)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 32;
		struct link *p = realloc(l->links, cap * sizeof(*p));

		if (!p)
			return -ENOMEM;
		l->links = p;
		l->cap = cap;
	}
	l->links[l->n++] = *k;
	return 0;
}

static int by_ifindex(const void *a, const void *b)
{
	const struct link *x = a, *y = b;

	return (x->ifindex > y->ifindex) - (x->ifindex < y->ifindex);
}

void link_list_sort(struct link_list *l)
{
	if (l->n)
		qsort(l->links, l->n, sizeof(*l->links), by_ifindex);
}

const struct link *link_list_find(const struct link_list *l, uint32_t ifindex)
{
	struct link key = { .ifindex = ifindex };

	if (!l->n)
		return NULL;
	return bsearch(&key, l->links, l->n, sizeof(*l->links), by_ifindex);
}

static int find_port(const struct link_ports *ports, uint32_t ifindex)
{
	for (int i = 0; i < XESP_PORTS_MAX; i++) {
		if (ports->ifindex[i] == ifindex)
			return i;
	}
	return -1;
}

static bool is_ready(const struct link *k)
{
	return k->arp_type == ARPHRD_ETHER && (k->flags & IFF_UP) && (k->flags & IFF_LOWER_UP) &&
	       !(k->flags & IFF_NOARP);
}

static void write_l2(struct link_out *out, const struct link *top, const struct link *const *tags,
		     int n)
{
	uint8_t *at = out->l2 + ADDRS_LEN;

	memset(out->l2, 0, sizeof(out->l2));
	memcpy(out->l2 + 6, top->mac, sizeof(top->mac));
	/* The tag of the VLAN nearest to the attached interface is the outermost on the wire. */
	while (n--) {
		__be16 tci = htons(tags[n]->vlan_id);

		memcpy(at, &tags[n]->vlan_proto, 2);
		memcpy(at + 2, &tci, 2);
		at += TAG_LEN;
	}
	out->l2_len = (uint8_t)(at + 2 - out->l2);
}

bool link_resolve(const struct link_list *l, const struct link_ports *ports, uint32_t ifindex,
		  struct link_out *out)
{
	const struct link *top = link_list_find(l, ifindex), *at = top;
	const struct link *tags[TAGS_MAX];
	int n = 0, port;

	if (!ifindex)
		return false;
	while (at && is_ready(at)) {
		port = find_port(ports, at->ifindex);
		if (port >= 0) {
			out->port = (uint32_t)port;
			out->mtu = top->mtu;
			write_l2(out, top, tags, n);
			return true;
		}
		if (!at->vlan_proto || !at->parent || n == TAGS_MAX)
			return false;
		tags[n++] = at;
		at = link_list_find(l, at->parent);
	}
	return false;
}
