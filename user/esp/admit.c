/* SPDX-License-Identifier: BSD-2-Clause */
/* admit.c - see admit.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "esp/admit.h"
#include "esp/stage.h"
#include "libxesp/spd_memory.h"
#include "sad/group.h"
#include "sad/sad.h"
#include "sad/selector.h"

#define FLOWS 1024   /* a power of two */
#define DATAGRAMS 256 /* likewise */

/* An answer: the tunnel or group whose policy comes first; 0: no protect policy does. */
struct flow {
	struct spd_query q;
	uint32_t generation; /* 0: empty */
	uint32_t tunnel;
};

/* RFC 4301 section 7.3: what the first fragment was allowed, its later ones are. */
struct datagram {
	struct xesp_addr local, remote;
	__be32 id;
	uint8_t proto; /* IPv6: 0, as in struct xesp_fragment_key */
	uint8_t family;
	uint8_t pad[2];
	uint32_t generation;
	uint32_t tunnel;
	uint64_t seen_ns;
};

struct admit {
	struct flow flow[FLOWS];
	struct datagram datagram[DATAGRAMS];
};

int admit_open(struct admit **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void admit_close(struct admit *a)
{
	free(a);
}

static void put_addr(struct xesp_addr *out, const struct selector_addr *a)
{
	out->w[0] = htonl((uint32_t)(a->hi >> 32));
	out->w[1] = htonl((uint32_t)a->hi);
	out->w[2] = htonl((uint32_t)(a->lo >> 32));
	out->w[3] = htonl((uint32_t)a->lo);
}

static void make_query(struct spd_query *q, const struct selector_key *k)
{
	memset(q, 0, sizeof(*q)); /* compared as bytes */
	put_addr(&q->local, &k->local);
	put_addr(&q->remote, &k->remote);
	q->local_port = htons(k->local_port);
	q->remote_port = htons(k->remote_port);
	q->proto = k->proto;
	q->family = k->family;
	q->fields = k->fields;
	q->dir = XESP_DIR_IN;
}

static uint32_t hash_query(const struct spd_query *q)
{
	uint64_t h = 0, w;

	_Static_assert(sizeof(*q) == 40, "whole words, no padding");
	for (size_t i = 0; i < sizeof(*q); i += sizeof(w)) {
		memcpy(&w, (const char *)q + i, sizeof(w));
		h = (h ^ w) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 32;
	}
	return (uint32_t)h;
}

/*
 * The tunnel or group that the first match protects by; *fragment: of a later fragment it is the
 * first that could be meant, and the datagram's first fragment knows.
 */
static uint32_t search(const struct spd_memory *m, const struct spd_query *q, uint32_t *generation,
		       bool *fragment)
{
	struct xesp_spd_val v;

	*fragment = false;
	*generation = 0;
	if (spd_memory_find(m, q, &v, generation))
		return 0;
	*fragment = v.action == XESP_ACTION_FRAGMENT;
	return v.tunnel; /* 0 unless the policy protects */
}

static struct datagram *find_datagram(struct admit *a, const struct spd_query *q, __be32 id)
{
	const uint32_t at = ntohl(q->local.w[3]) * 31 + ntohl(q->remote.w[3]) * 7 + ntohl(id) + id;

	return &a->datagram[at & (DATAGRAMS - 1)];
}

static void name_datagram(struct datagram *d, const struct spd_query *q, __be32 id)
{
	*d = (struct datagram){ .local = q->local,
				.remote = q->remote,
				.id = id,
				.proto = q->family == 4 ? q->proto : 0,
				.family = q->family };
}

static bool is_of(const struct datagram *d, const struct spd_query *q, __be32 id)
{
	return d->id == id && d->family == q->family &&
	       d->proto == (q->family == 4 ? q->proto : 0) &&
	       !memcmp(&d->local, &q->local, sizeof(d->local)) &&
	       !memcmp(&d->remote, &q->remote, sizeof(d->remote));
}

/* Fragments are rare, and not remembered as flows: their ports may not be there. */
static uint32_t find_for_fragment(struct esp_worker *w, const struct selector_key *k,
				  const struct spd_query *q)
{
	struct datagram *d = find_datagram(w->admit, q, k->frag_id);
	uint32_t generation, tunnel;
	bool fragment;

	tunnel = search(w->st->spd, q, &generation, &fragment);
	if (k->first) {
		name_datagram(d, q, k->frag_id);
		d->generation = generation;
		d->tunnel = tunnel;
		d->seen_ns = w->now_ns;
		return tunnel;
	}
	/*
	 * Pieces overtake each other, for the larger ones are fragmented again on the slow path. One
	 * whose first was not seen is let in by a policy that could be meant: it comes authentic
	 * from who may send between these addresses, and is of no use until the first fragment, with
	 * the ports, has been let in too.
	 */
	if (!fragment || !is_of(d, q, k->frag_id) || d->generation != generation ||
	    w->now_ns - d->seen_ns > XESP_FRAGMENT_NS)
		return tunnel;
	return d->tunnel;
}

static uint32_t find_tunnel(struct esp_worker *w, const struct selector_key *k)
{
	struct spd_query q;
	struct flow *f;
	bool fragment;

	make_query(&q, k);
	if (k->first || k->fields == XESP_FIELDS_LATER)
		return find_for_fragment(w, k, &q);
	f = &w->admit->flow[hash_query(&q) & (FLOWS - 1)];
	/* Of the generation in force now: what was committed since is seen. */
	if (f->generation && f->generation == spd_memory_generation(w->st->spd) &&
	    !memcmp(&f->q, &q, sizeof(q)))
		return f->tunnel;
	f->tunnel = search(w->st->spd, &q, &f->generation, &fragment);
	f->q = q;
	return f->tunnel;
}

bool admit_packet(struct esp_worker *w, const struct selector_key *k, uint32_t tunnel)
{
	const struct group *g;
	uint32_t found;

	if (!w->st->spd)
		return false;
	found = find_tunnel(w, k);
	if (!found || found == tunnel)
		return found;
	g = groups_find(w->groups, found);
	for (uint32_t i = 0; g && i < g->n; i++)
		if (g->member[i] == tunnel)
			return true;
	return false;
}
