/* SPDX-License-Identifier: BSD-2-Clause */
/* spd.c - see spd.h. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "esp/inner.h"
#include "libxesp/addr.h"
#include "libxesp/pins.h"
#include "sad/selector.h"
#include "slow/spd.h"
#include "xesp/fault.h"

#define RANK_NONE UINT32_MAX /* below every policy */

struct spd {
	const struct pins *pins;
	uint32_t generation; /* that head and tuples are of; 0: none */
	struct xesp_spd_head head;
	uint32_t tuples_n;
	struct xesp_spd_tuple tuples[XESP_TUPLES_MAX];
};

int spd_open(struct spd **out, const struct pins *pins, struct fault *f)
{
	struct spd *s = calloc(1, sizeof(*s));

	if (!s)
		return fault_set(f, -ENOMEM, "out of memory");
	s->pins = pins;
	*out = s;
	return 0;
}

void spd_close(struct spd *s)
{
	free(s);
}

enum xesp_drop spd_key(struct spd_key *k, const uint8_t *ip, uint32_t len)
{
	struct selector_key
		inbound; /* sees the packet from the other end: its remote is our local */
	struct inner in;

	if (!inner_parse(&in, ip, len) || !inner_selector_key(&inbound, ip, &in))
		return XESP_DROP_MALFORMED_IP;
	*k = (struct spd_key){
		.local_port = htons(inbound.remote_port),
		.remote_port = htons(inbound.local_port),
		.proto = inbound.proto,
		.family = in.version,
		.ports_known = inbound.ports_known,
	};
	if (in.version == 4) {
		addr_from_ip4(&k->local, ip + 12);
		addr_from_ip4(&k->remote, ip + 16);
	} else {
		addr_from_ip6(&k->local, ip + 8);
		addr_from_ip6(&k->remote, ip + 24);
	}
	return XESP_DROP_NONE;
}

static uint32_t committed(const struct spd *s)
{
	const __u32 zero = 0;
	struct xesp_conf conf;

	return bpf_map_lookup_elem(s->pins->fd[PINS_CONF], &zero, &conf) ? 0 : conf.generation;
}

static bool load_generation(struct spd *s, uint32_t generation)
{
	const __u32 half = generation & 1;
	const __u32 first = (half * XESP_DIR_MAX + XESP_DIR_OUT) * XESP_TUPLES_MAX;

	if (s->generation == generation)
		return true;
	s->generation = 0;
	if (bpf_map_lookup_elem(s->pins->fd[PINS_SPD_HEAD], &half, &s->head) ||
	    s->head.generation != generation)
		return false;
	s->tuples_n = s->head.tuples_n[XESP_DIR_OUT];
	if (s->tuples_n > XESP_TUPLES_MAX)
		return false;
	for (uint32_t i = 0; i < s->tuples_n; i++) {
		__u32 index = first + i;

		if (bpf_map_lookup_elem(s->pins->fd[PINS_SPD_TUPLE], &index, &s->tuples[i]) ||
		    s->tuples[i].generation != generation)
			return false;
	}
	s->generation = generation;
	return true;
}

static void mask_key(struct xesp_spd_key *out, const struct spd_key *k,
		     const struct xesp_spd_tuple *t)
{
	for (int w = 0; w < 4; w++) {
		out->local.w[w] = k->local.w[w] & t->local_mask.w[w];
		out->remote.w[w] = k->remote.w[w] & t->remote_mask.w[w];
	}
	out->local_port = k->local_port & t->local_port_mask;
	out->remote_port = k->remote_port & t->remote_port_mask;
	out->proto = k->proto & t->proto_mask;
}

static void search(const struct spd *s, const struct spd_key *k, struct xesp_spd_val *best)
{
	*best = (struct xesp_spd_val){ .rank = RANK_NONE, .action = s->head.default_action };
	for (uint32_t i = 0; i < s->tuples_n; i++) {
		const struct xesp_spd_tuple *t = &s->tuples[i];
		struct xesp_spd_key key = { .generation = s->generation,
					    .tuple = (__u16)i,
					    .dir = XESP_DIR_OUT };
		struct xesp_spd_val v;

		if (t->best_rank >= best->rank)
			return;
		if ((t->family && t->family != k->family) ||
		    ((t->local_port_mask || t->remote_port_mask) && !k->ports_known))
			continue;
		mask_key(&key, k, t);
		if (!bpf_map_lookup_elem(s->pins->fd[PINS_SPD], &key, &v) && v.rank < best->rank)
			*best = v;
	}
}

/* As in bpf/spd_match.h: entries may go while we search, so a search counts only when its
 * generation is still the committed one at its end; it is made at most twice. */
enum xesp_drop spd_find(struct spd *s, const struct spd_key *k, struct xesp_spd_val *found)
{
	for (int try = 0; try < 2; try++) {
		uint32_t generation = committed(s);

		if (!generation)
			return XESP_DROP_NOT_LOADED;
		if (!load_generation(s, generation))
			continue;
		search(s, k, found);
		if (committed(s) == generation)
			return XESP_DROP_NONE;
	}
	return XESP_DROP_STALE_MAPS;
}
