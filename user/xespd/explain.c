/* SPDX-License-Identifier: BSD-2-Clause */
/* explain.c - see explain.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "esp/dry.h"
#include "esp/wire.h"
#include "fib/fib.h"
#include "libxesp/addr.h"
#include "libxesp/drops.h"
#include "sad/group.h"
#include "sad/tunnel.h"
#include "slow/check.h"
#include "xesp/fault.h"
#include "xespd/daemon.h"
#include "xespd/explain.h"
#include "xespd/pool.h"

#define IP4_HDR 20u
#define IP6_HDR 40u
#define IP4_DF 0x4000
#define TTL 64
#define SIZE_DEFAULT 84 /* a ping's */
#define SIZE_MIN 68     /* an IPv6 header and what policies look at behind it, and then some */

struct question {
	struct xesp_addr local, remote;
	uint32_t size, tunnel, policy;
	uint16_t first, second; /* of layer 4: ports; ICMP: type and code; mobility header: type */
	uint8_t proto;
	bool own, in;
	uint8_t ip[XESP_MTU_MAX];
};

static void add_u64(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

static void add_text(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, value ? json_object_new_string(value) : NULL);
}

/* ---- the packet */

static int take_number(uint32_t *n, struct json_object *params, const char *key, uint32_t least,
		       uint32_t most, struct fault *f)
{
	struct json_object *value = NULL;
	int64_t number;

	if (!json_object_object_get_ex(params, key, &value) || !value)
		return 0;
	number = json_object_get_int64(value);
	if (!json_object_is_type(value, json_type_int) || number < least || number > most)
		return fault_set(f, -EINVAL, "params.%s is a number from %u to %u", key, least, most);
	*n = (uint32_t)number;
	return 0;
}

static int take_addr(struct xesp_addr *a, struct json_object *params, const char *key, struct fault *f)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(params, key, &value) || !json_object_is_type(value, json_type_string))
		return fault_set(f, -EINVAL, "params.%s is an address", key);
	return addr_parse(a, json_object_get_string(value), f);
}

static int take(struct question *q, struct json_object *params, struct fault *f)
{
	uint32_t proto = 0, first = 0, second = 0;
	struct json_object *value = NULL;
	int err = take_addr(&q->local, params, "local", f);

	if (!err)
		err = take_addr(&q->remote, params, "remote", f);
	if (!err && addr_is_ip4(&q->local) != addr_is_ip4(&q->remote))
		err = fault_set(f, -EINVAL, "one address is IPv4 and the other IPv6");
	if (!err)
		err = take_number(&proto, params, "proto", 0, UINT8_MAX, f);
	if (!err)
		err = take_number(&first, params, "first", 0, UINT16_MAX, f);
	if (!err)
		err = take_number(&second, params, "second", 0, UINT16_MAX, f);
	if (!err)
		err = take_number(&q->tunnel, params, "target", 0, UINT32_MAX, f);
	if (!err)
		err = take_number(&q->policy, params, "policy", 0, UINT32_MAX, f);
	q->size = SIZE_DEFAULT;
	if (!err)
		err = take_number(&q->size, params, "size", SIZE_MIN, XESP_MTU_MAX, f);
	q->proto = (uint8_t)proto;
	q->first = (uint16_t)first;
	q->second = (uint16_t)second;
	q->own = json_object_object_get_ex(params, "own", &value) && json_object_get_boolean(value);
	q->in = json_object_object_get_ex(params, "direction", &value) &&
		json_object_is_type(value, json_type_string) &&
		!strcmp(json_object_get_string(value), "in");
	return err;
}

/* What selectors and the flow's hash look at; there are no more headers than that. */
static void write_layer4(const struct question *q, uint8_t *at)
{
	switch (q->proto) {
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		at[0] = (uint8_t)q->first;
		at[1] = (uint8_t)q->second;
		break;
	case IPPROTO_MH:
		at[2] = (uint8_t)q->first;
		break;
	default:
		wire_put16(at, q->first);
		wire_put16(at + 2, q->second);
	}
}

/* With Don't Fragment, as hosts that look for the path's MTU send it. */
static void make_packet(struct question *q)
{
	uint8_t *ip = q->ip;

	if (addr_is_ip4(&q->local)) {
		ip[0] = 0x45;
		wire_put16(ip + 2, (uint16_t)q->size);
		wire_put16(ip + 6, IP4_DF);
		ip[8] = TTL;
		ip[9] = q->proto;
		memcpy(ip + 12, &q->local.w[3], 4);
		memcpy(ip + 16, &q->remote.w[3], 4);
		wire_put16(ip + 10, check_fold(check_add(0, ip, IP4_HDR)));
		write_layer4(q, ip + IP4_HDR);
		return;
	}
	ip[0] = 0x60;
	wire_put16(ip + 4, (uint16_t)(q->size - IP6_HDR));
	ip[6] = q->proto;
	ip[7] = TTL;
	memcpy(ip + 8, &q->local, 16);
	memcpy(ip + 24, &q->remote, 16);
	write_layer4(q, ip + IP6_HDR);
}

/* ---- where it would go */

static const char *name_of(const struct daemon *d, uint32_t port, char name[IF_NAMESIZE])
{
	int fd = d->pins.fd[PINS_IFACES];
	__u32 ifindex, *from = NULL;
	struct xesp_iface iface;

	for (int i = 0; i < XESP_PORTS_MAX && !bpf_map_get_next_key(fd, from, &ifindex); i++) {
		if (!bpf_map_lookup_elem(fd, &ifindex, &iface) && iface.port == port)
			return if_indextoname(ifindex, name);
		from = &ifindex;
	}
	return NULL;
}

static const char *mac_text(const uint8_t *mac, char text[18])
{
	snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return text;
}

static struct json_object *route_json(const struct daemon *d, const struct xesp_addr *to,
				      enum fib_from from, enum fib_verdict *verdict)
{
	static const char *const words[] = {
		[FIB_SEND] = "send",   [FIB_SLOW] = "kernel",	  [FIB_TUNNELS] = "tunnels",
		[FIB_LOCAL] = "local", [FIB_NO_ROUTE] = "none",
	};
	struct json_object *o = json_object_new_object();
	char text[ADDR_TEXT_MAX], name[IF_NAMESIZE];
	struct fib_hop hop = { 0 };
	uint32_t port;

	*verdict = fib_lookup(d->fib, pool_slow_worker(d->pool), to, from, &hop);
	fib_idle(d->fib, pool_slow_worker(d->pool), true);
	add_text(o, "destination", addr_print(to, text));
	add_text(o, "way", words[*verdict]);
	if (*verdict == FIB_SEND)
		port = hop.port;
	else if (*verdict != FIB_SLOW || !fib_port_of(d->fib, to, &port))
		port = UINT32_MAX;
	add_text(o, "interface", port == UINT32_MAX ? NULL : name_of(d, port, name));
	if (*verdict != FIB_SEND)
		return o;
	add_u64(o, "mtu", hop.mtu);
	add_text(o, "neighbour", mac_text(hop.l2, text));
	return o;
}

/* ---- encapsulation */

static void add_sa(const struct daemon *d, struct json_object *o, const struct dry *dry)
{
	struct json_object *sa;
	char spi[16];

	if (!dry->sa) {
		json_object_object_add(o, "sa", NULL);
		return;
	}
	sa = json_object_new_object();
	snprintf(spi, sizeof(spi), "0x%08x", dry->spi);
	add_u64(sa, "id", dry->sa);
	add_text(sa, "name", d->state.sa[dry->sa].name);
	add_text(sa, "spi", spi);
	add_u64(sa, "next", dry->next);
	add_u64(sa, "lease_left", dry->next && dry->next <= dry->lease_end ? dry->lease_end - dry->next + 1 : 0);
	add_u64(sa, "numbers_left", dry->next > dry->last ? 0 : dry->last - (dry->next ? dry->next - 1 : 0));
	json_object_object_add(o, "sa", sa);
	add_u64(o, "mtu", dry->mtu);
	add_u64(o, "inner_mtu", dry->inner_mtu);
	add_u64(o, "outer_len", dry->outer_len);
}

static int add_encap(const struct daemon *d, struct json_object *o, const struct question *q, struct fault *f)
{
	const uint32_t slow = pool_slow_worker(d->pool);
	struct dry dry = { .ip = q->ip, .len = q->size, .id = q->tunnel, .policy = q->policy, .own = q->own };
	enum fib_verdict way = FIB_SEND;
	const struct tunnel *t;
	int err;

	sad_idle(d->sad, slow, false);
	err = dry_run(d->esp, &dry);
	if (err) {
		sad_idle(d->sad, slow, true);
		return fault_set(f, err, "out of memory");
	}
	t = sad_tunnel(d->sad, dry.tunnel);
	add_u64(o, "tunnel", t ? dry.tunnel : 0);
	json_object_object_add(o, "peer_down", json_object_new_boolean(
		groups_tunnel_is_down(sad_groups(d->sad), dry.tunnel)));
	add_sa(d, o, &dry);
	json_object_object_add(o, "route", t ? route_json(d, tunnel_peer(&t->as_told), FIB_OURS, &way) : NULL);
	sad_idle(d->sad, slow, true);
	if (!dry.why && way == FIB_NO_ROUTE)
		dry.why = XESP_DROP_NO_ROUTE;
	add_text(o, "reason", drops_name(dry.why));
	add_text(o, "because", drops_text(dry.why));
	json_object_object_add(o, "cut_after", json_object_new_boolean(dry.cut_after));
	return 0;
}

int explain_request(void *ctx, struct json_object *params, struct json_object **result, struct fault *f)
{
	const struct daemon *d = ctx;
	struct question q = { 0 };
	enum fib_verdict way;
	struct json_object *o;
	int err = take(&q, params, f);

	if (err)
		return err;
	make_packet(&q);
	o = json_object_new_object();
	add_u64(o, "size", q.size);
	/* Where the packet itself is routed: behind decapsulation; and whether xesp gets this machine's own. */
	json_object_object_add(o, "inner_route", route_json(d, q.in ? &q.local : &q.remote, FIB_FORWARDED, &way));
	if (!q.in && q.tunnel)
		err = add_encap(d, o, &q, f);
	if (err)
		json_object_put(o);
	else
		*result = o;
	return err;
}
