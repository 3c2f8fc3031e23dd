/* SPDX-License-Identifier: BSD-2-Clause */
/* spd.c - see spd.h. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "esp/inner.h"
#include "libxesp/addr.h"
#include "libxesp/pins.h"
#include "libxesp/spd_memory.h"
#include "sad/selector.h"
#include "slow/spd.h"
#include "xesp/fault.h"

struct spd {
	const struct pins *pins;
	struct spd_memory memory;
};

int spd_open(struct spd **out, const struct pins *pins, struct fault *f)
{
	struct spd *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return fault_set(f, -ENOMEM, "out of memory");
	s->pins = pins;
	err = spd_memory_map(&s->memory, pins, false, f);
	if (err) {
		free(s);
		return err;
	}
	*out = s;
	return 0;
}

void spd_close(struct spd *s)
{
	if (s)
		spd_memory_unmap(&s->memory);
	free(s);
}

/* ICMP's type and code are the same from both ends. */
static void set_ports(struct spd_key *k, const struct selector_key *inbound)
{
	bool sides = k->proto != IPPROTO_ICMP && k->proto != IPPROTO_ICMPV6 &&
		     k->proto != IPPROTO_MH;

	k->local_port = htons(sides ? inbound->remote_port : inbound->local_port);
	k->remote_port = htons(sides ? inbound->local_port : inbound->remote_port);
}

enum xesp_drop spd_key(struct spd_key *k, const uint8_t *ip, uint32_t len)
{
	struct selector_key
		inbound; /* sees the packet from the other end: its remote is our local */
	struct inner in;

	if (!inner_parse(&in, ip, len) || !inner_selector_key(&inbound, ip, &in))
		return XESP_DROP_MALFORMED_IP;
	*k = (struct spd_key){
		.proto = inbound.proto,
		.family = in.version,
		.fields = inbound.fields,
		.first = inbound.first,
		.frag_id = inbound.frag_id,
	};
	set_ports(k, &inbound);
	if (in.version == 4) {
		addr_from_ip4(&k->local, ip + 12);
		addr_from_ip4(&k->remote, ip + 16);
	} else {
		addr_from_ip6(&k->local, ip + 8);
		addr_from_ip6(&k->remote, ip + 24);
	}
	return XESP_DROP_NONE;
}

/* ---- fragments: as in bpf/spd_match.h, in the same map */

static struct xesp_fragment_key name_datagram(const struct spd_key *k)
{
	return (struct xesp_fragment_key){ .src = k->local,
					   .dst = k->remote,
					   .id = k->frag_id,
					   .proto = k->family == 4 ? k->proto : 0,
					   .dir = XESP_DIR_OUT };
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts); /* bpf_ktime_get_ns()'s */
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void remember_fragment(const struct spd *s, const struct spd_key *k, uint32_t generation,
			      const struct xesp_spd_val *val)
{
	const struct xesp_fragment_key key = name_datagram(k);
	const struct xesp_fragment f = { .generation = generation,
					 .seen_ns = now_ns(),
					 .val = *val };

	/* A map that takes no more leaves the later ones unknown: they are dropped and counted. */
	bpf_map_update_elem(s->pins->fd[PINS_FRAGMENTS], &key, &f, BPF_ANY);
}

static enum xesp_drop recall_fragment(const struct spd *s, const struct spd_key *k,
				      uint32_t generation, struct xesp_spd_val *val)
{
	const struct xesp_fragment_key key = name_datagram(k);
	struct xesp_fragment f;

	if (bpf_map_lookup_elem(s->pins->fd[PINS_FRAGMENTS], &key, &f) ||
	    f.generation != generation || now_ns() - f.seen_ns > XESP_FRAGMENT_NS)
		return XESP_DROP_FRAGMENT_UNKNOWN;
	*val = f.val;
	return XESP_DROP_NONE;
}

enum xesp_drop spd_find(struct spd *s, const struct spd_key *k, struct xesp_spd_val *found)
{
	const struct spd_query q = {
		.local = k->local,
		.remote = k->remote,
		.local_port = k->local_port,
		.remote_port = k->remote_port,
		.proto = k->proto,
		.family = k->family,
		.fields = k->fields,
		.dir = XESP_DIR_OUT,
	};
	uint32_t generation;
	enum xesp_drop why = spd_memory_find(&s->memory, &q, found, &generation);

	if (why)
		return why;
	if (k->first && s->memory.head[generation & 1].fragments & 1 << XESP_DIR_OUT)
		remember_fragment(s, k, generation, found);
	if (found->action == XESP_ACTION_FRAGMENT)
		return recall_fragment(s, k, generation, found);
	return XESP_DROP_NONE;
}
