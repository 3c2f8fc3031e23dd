/* SPDX-License-Identifier: BSD-2-Clause */
/* spd.c - see spd.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libxesp/pins.h"
#include "libxesp/spd_memory.h"
#include "slow/spd.h"
#include "xesp/clock.h"
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

/* ---- fragments: as in bpf/spd_match.h, in the same map */

static struct xesp_fragment_key name_datagram(const struct spd_key *k)
{
	return (struct xesp_fragment_key){ .src = k->local,
					   .dst = k->remote,
					   .id = k->frag_id,
					   .proto = k->family == 4 ? k->proto : 0,
					   .dir = XESP_DIR_OUT };
}

static void remember_fragment(const struct spd *s, const struct spd_key *k, uint32_t generation,
			      const struct xesp_spd_val *val)
{
	const struct xesp_fragment_key key = name_datagram(k);
	const struct xesp_fragment f = { .generation = generation,
					 .seen_ns = clock_ns(),
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
	    f.generation != generation || clock_ns() - f.seen_ns > XESP_FRAGMENT_NS)
		return XESP_DROP_FRAGMENT_UNKNOWN;
	*val = f.val;
	return XESP_DROP_NONE;
}

enum xesp_drop spd_find(struct spd *s, const struct spd_key *k, struct xesp_spd_val *found)
{
	struct spd_query q;
	uint32_t generation;
	enum xesp_drop why;

	spd_key_query(&q, k);
	why = spd_memory_find(&s->memory, &q, found, &generation);
	if (why)
		return why;
	if (k->first && s->memory.head[generation & 1].fragments & 1 << XESP_DIR_OUT)
		remember_fragment(s, k, generation, found);
	if (found->action == XESP_ACTION_FRAGMENT) {
		why = recall_fragment(s, k, generation, found);
		if (why)
			return why;
	}
	return found->policy && found->action == XESP_ACTION_BYPASS && s->memory.head[generation & 1].kernel ?
		       XESP_DROP_NO_POLICY :
		       XESP_DROP_NONE;
}
