/* SPDX-License-Identifier: BSD-2-Clause */
/* selector.c - see selector.h. */
#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <string.h>

#include "sad/selector.h"

struct selector_addr selector_addr_of(const void *be128)
{
	uint64_t w[2];

	memcpy(w, be128, sizeof(w));
	return (struct selector_addr){ be64toh(w[0]), be64toh(w[1]) };
}

struct selector_addr selector_addr_of_ip4(const void *be32)
{
	uint32_t w;

	memcpy(&w, be32, sizeof(w));
	return (struct selector_addr){ 0, 0xffff00000000ull | be32toh(w) };
}

void selector_addr_put(struct xesp_addr *out, const struct selector_addr *a)
{
	out->w[0] = htonl((uint32_t)(a->hi >> 32));
	out->w[1] = htonl((uint32_t)a->hi);
	out->w[2] = htonl((uint32_t)(a->lo >> 32));
	out->w[3] = htonl((uint32_t)a->lo);
}

void selector_turn(struct selector_key *k)
{
	const struct selector_key was = *k;

	k->local = was.remote;
	k->remote = was.local;
	if (k->proto == IPPROTO_ICMP || k->proto == IPPROTO_ICMPV6 || k->proto == IPPROTO_MH)
		return;
	k->local_port = was.remote_port;
	k->remote_port = was.local_port;
}
