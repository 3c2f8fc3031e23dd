/* SPDX-License-Identifier: BSD-2-Clause */
/* admit.c - see admit.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "esp/admit.h"
#include "esp/icmp_quote.h"
#include "esp/stage.h"
#include "esp/wire.h"
#include "libxesp/line.h"
#include "libxesp/spd_memory.h"
#include "sad/group.h"
#include "sad/sa.h"
#include "sad/sad.h"
#include "sad/selector.h"
#include "sad/tunnel.h"
#include "sad/unique.h"

#define IP4_FRAGMENT 0x3fff /* MF and the offset */

#define FLOWS_MIN 2048u /* powers of two, all of them */
#define FLOWS_MAX (1u << 18)
#define WAYS 2u
#define DATAGRAMS 256

/*
 * A query as words: written and compared by the word, for loads that are wider than the stores
 * just before them wait for these to reach the cache.
 */
struct flow_key {
	uint64_t local[2], remote[2];
	uint64_t rest; /* not 0 */
};

/* An answer: the tunnel or group whose policy comes first; 0: no protect policy does. */
struct flow {
	struct flow_key key;
	uint32_t generation; /* 0: empty */
	uint32_t tunnel;
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct flow) == 64, "one cache line");

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
	struct flow *flow; /* WAYS side by side, the latest first */
	uint32_t flows_n, shift; /* 64 - log2(flows_n / WAYS) */
	struct datagram datagram[DATAGRAMS];
};

/* Twice as many as there may be SAs: an SA with one flow is what many SAs look like. */
static uint32_t flows_for(uint32_t sas)
{
	uint32_t n = FLOWS_MIN;

	while (n < FLOWS_MAX && n / 2 < sas)
		n *= 2;
	return n;
}

int admit_open(struct admit **out, uint32_t sas)
{
	struct admit *a = line_alloc(sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->flows_n = flows_for(sas);
	a->shift = 64 - (uint32_t)__builtin_ctz(a->flows_n / WAYS);
	a->flow = mmap(NULL, a->flows_n * sizeof(*a->flow), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (a->flow == MAP_FAILED) {
		free(a);
		return -ENOMEM;
	}
	madvise(a->flow, a->flows_n * sizeof(*a->flow), MADV_HUGEPAGE); /* only a wish */
	*out = a;
	return 0;
}

void admit_close(struct admit *a)
{
	if (!a)
		return;
	munmap(a->flow, a->flows_n * sizeof(*a->flow));
	free(a);
}

static void make_query(struct spd_query *q, const struct selector_key *k)
{
	memset(q, 0, sizeof(*q)); /* compared as bytes */
	selector_addr_put(&q->local, &k->local);
	selector_addr_put(&q->remote, &k->remote);
	q->local_port = htons(k->local_port);
	q->remote_port = htons(k->remote_port);
	q->proto = k->proto;
	q->family = k->family;
	q->fields = k->fields;
	q->dir = XESP_DIR_IN;
}

static uint64_t pair_of(uint32_t a, uint32_t b)
{
	return a | (uint64_t)b << 32;
}

static uint64_t rest_of(uint32_t local_port, uint32_t remote_port, uint8_t proto, uint8_t family,
			uint8_t fields)
{
	return local_port | remote_port << 16 |
	       (uint64_t)(proto | (uint32_t)family << 8 | (uint32_t)fields << 16) << 32;
}

static void key_of_query(struct flow_key *k, const struct spd_query *q)
{
	*k = (struct flow_key){
		.local = { pair_of(q->local.w[0], q->local.w[1]),
			   pair_of(q->local.w[2], q->local.w[3]) },
		.remote = { pair_of(q->remote.w[0], q->remote.w[1]),
			    pair_of(q->remote.w[2], q->remote.w[3]) },
		.rest = rest_of(q->local_port, q->remote_port, q->proto, q->family, q->fields),
	};
}

/*
 * What make_query() and key_of_query() make of it, straight from the packet: whole TCP or UDP in IPv4,
 * as most of them are. False: any other.
 */
static inline bool key_of_packet(struct flow_key *k, const uint8_t *ip, const struct inner *in)
{
	uint32_t local, remote;
	uint16_t ports[2];

	if (in->version != 4 || (ip[9] != IPPROTO_TCP && ip[9] != IPPROTO_UDP) ||
	    wire_get16(ip + 6) & IP4_FRAGMENT || (uint32_t)in->len - in->hdr_len < sizeof(ports))
		return false;
	memcpy(&remote, ip + 12, sizeof(remote));
	memcpy(&local, ip + 16, sizeof(local));
	memcpy(ports, ip + in->hdr_len, sizeof(ports));
	*k = (struct flow_key){
		.local = { 0, pair_of(htonl(0xffff), local) },
		.remote = { 0, pair_of(htonl(0xffff), remote) },
		.rest = rest_of(ports[1], ports[0], ip[9], 4, XESP_FIELDS_KNOWN),
	};
	return true;
}

static void query_of_key(struct spd_query *q, const struct flow_key *k)
{
	*q = (struct spd_query){
		.local.w = { (uint32_t)k->local[0], (uint32_t)(k->local[0] >> 32),
			     (uint32_t)k->local[1], (uint32_t)(k->local[1] >> 32) },
		.remote.w = { (uint32_t)k->remote[0], (uint32_t)(k->remote[0] >> 32),
			      (uint32_t)k->remote[1], (uint32_t)(k->remote[1] >> 32) },
		.local_port = (uint16_t)k->rest,
		.remote_port = (uint16_t)(k->rest >> 16),
		.proto = (uint8_t)(k->rest >> 32),
		.family = (uint8_t)(k->rest >> 40),
		.fields = (uint8_t)(k->rest >> 48),
		.dir = XESP_DIR_IN,
	};
}

/* Its bucket: sums of products, whose upper bits all words have a part in. */
static inline struct flow *flow_at(const struct admit *a, const struct flow_key *k)
{
	const uint64_t rest = k->local[0] + (k->remote[0] << 31 | k->remote[0] >> 33);
	const uint64_t h = k->local[1] * 0x9e3779b97f4a7c15ull +
			   k->remote[1] * 0xc2b2ae3d27d4eb4full +
			   k->rest * 0x165667b19e3779f9ull + rest * 0xd6e8feb86659fd93ull;

	return &a->flow[(h >> a->shift) * WAYS];
}

static inline bool is_flow(const struct flow *f, const struct flow_key *k, uint32_t generation)
{
	return !((f->key.local[0] ^ k->local[0]) | (f->key.local[1] ^ k->local[1]) |
		 (f->key.remote[0] ^ k->remote[0]) | (f->key.remote[1] ^ k->remote[1]) |
		 (f->key.rest ^ k->rest) | (f->generation ^ generation));
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

/* The flow is not remembered: what is found takes the first place of its bucket. */
static __attribute__((noinline)) uint32_t find_anew(struct esp_worker *w, struct flow *f,
						    const struct flow_key *k)
{
	struct spd_query q;
	bool fragment;

	query_of_key(&q, k);
	f[1] = f[0];
	f->tunnel = search(w->st->spd, &q, &f->generation, &fragment);
	f->key = *k;
	return f->tunnel;
}

/* Answers of `generation`, which is in force now: what was committed since is seen. */
static inline uint32_t find_by_flow(struct esp_worker *w, const struct flow_key *k, uint32_t generation)
{
	struct flow *f = flow_at(w->admit, k);

	if (__builtin_expect(is_flow(&f[0], k, generation), 1))
		return f[0].tunnel;
	if (is_flow(&f[1], k, generation))
		return f[1].tunnel;
	return find_anew(w, f, k);
}

static __attribute__((noinline)) bool is_member(const struct esp_worker *w, uint32_t found, uint32_t tunnel)
{
	const struct group *g = groups_find(w->groups, found);

	for (uint32_t i = 0; g && i < g->n; i++)
		if (g->member[i] == tunnel)
			return true;
	return false;
}

/* May what the policies of `found`, a tunnel or a group, let in come by this tunnel? */
static inline bool is_of_tunnel(const struct esp_worker *w, uint32_t found, uint32_t tunnel)
{
	if (__builtin_expect(found && found == tunnel, 1))
		return true;
	return found && is_member(w, found, tunnel);
}

static bool admit_key(struct esp_worker *w, const struct selector_key *k, uint32_t tunnel)
{
	struct flow_key flow;
	struct spd_query q;

	if (!w->st->spd)
		return false;
	make_query(&q, k);
	if (k->first || k->fields == XESP_FIELDS_LATER)
		return is_of_tunnel(w, find_for_fragment(w, k, &q), tunnel);
	key_of_query(&flow, &q);
	return is_of_tunnel(w, find_by_flow(w, &flow, spd_memory_generation(w->st->spd)), tunnel);
}

/* By a policy of its tunnel; and by this very SA, if that is for some packets only. */
static bool is_admitted(struct esp_worker *w, const struct sa *sa, const struct selector_key *k)
{
	return admit_key(w, k, sa->tunnel) && (!sa->unique || unique_admits(sa_values(sa), k));
}

/*
 * RFC 4301 section 5.2 step 4; and section 6.2: an ICMP error may come from any router behind the
 * peer, so what it quotes decides. An error whose own header fits is held to its quote too, unless
 * the tunnel was told not to.
 */
static __attribute__((noinline)) enum xesp_drop judge(struct esp_worker *w, const struct pkt *p,
						      const struct stage_pkt *x)
{
	struct selector_key key, quoted;
	bool fits;

	if (!inner_selector_key(&key, p->l3, &x->inner))
		return XESP_DROP_BAD_INNER;
	fits = is_admitted(w, p->sa, &key);
	if ((key.proto == IPPROTO_ICMP || key.proto == IPPROTO_ICMPV6) &&
	    (!fits || x->tunnel->icmp_check)) {
		switch (icmp_quote_of(&quoted, p->l3, &x->inner)) {
		case ICMP_QUOTE_NONE:
			break;
		case ICMP_QUOTE_KEY:
			quoted.first = false; /* what a quote shows opens nothing for fragments */
			fits = is_admitted(w, p->sa, &quoted);
			break;
		case ICMP_QUOTE_BAD:
			fits = false;
			break;
		}
	}
	return fits ? XESP_DROP_NONE : XESP_DROP_SELECTOR_MISMATCH;
}

void admit_fetch(const struct esp_worker *w, const struct pkt *p, const struct stage_pkt *x)
{
	struct flow_key k;

	if (key_of_packet(&k, p->l3, &x->inner))
		fetch_ahead(flow_at(w->admit, &k));
}

void admit_batch(struct esp_worker *w, struct batch *b)
{
	const uint32_t generation = w->st->spd ? spd_memory_generation(w->st->spd) : 0;

	for (uint32_t i = 0; i < b->n; i++) {
		struct pkt *p = &b->pkt[i];
		enum xesp_drop why = XESP_DROP_NONE;
		struct flow_key k;

		if (stage_skips(p))
			continue;
		if (!generation || p->sa->unique || !key_of_packet(&k, p->l3, &w->x[i].inner))
			why = judge(w, p, &w->x[i]);
		else if (!is_of_tunnel(w, find_by_flow(w, &k, generation), p->sa->tunnel))
			why = XESP_DROP_SELECTOR_MISMATCH;
		if (why != XESP_DROP_NONE)
			stage_wipe_and_drop(w, p, &w->x[i], why);
	}
}
