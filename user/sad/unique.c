/* SPDX-License-Identifier: BSD-2-Clause */
/* unique.c - see unique.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "libxesp/addr.h"
#include "sad/epoch.h"
#include "sad/selector.h"
#include "sad/unique.h"

#define WORDS (sizeof(struct xesp_values) / 8)

struct unique {
	struct unique *next; /* published */
	struct xesp_values values;
	uint32_t tunnel;
	uint32_t sa;
	struct epoch_item retire;
};

/* A key of the table is no secret, and who sends packets does not choose what is in it. */
uint32_t unique_hash(uint32_t tunnel, const struct xesp_values *v)
{
	uint64_t h = tunnel, w[WORDS];

	memcpy(w, v, sizeof(w));
	for (size_t i = 0; i < WORDS; i++) {
		h = (h ^ w[i]) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 32;
	}
	return (uint32_t)h;
}

bool unique_same(const struct xesp_values *a, const struct xesp_values *b)
{
	uint64_t x[WORDS], y[WORDS], differs = 0;

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	for (size_t i = 0; i < WORDS; i++)
		differs |= x[i] ^ y[i];
	return !differs;
}

/* In total order with epoch_idle(), and acquires what it finds: as sad_find(). */
static struct unique *follow(struct unique *const *at)
{
	return __atomic_load_n(at, __ATOMIC_SEQ_CST);
}

uint32_t uniques_find(const struct uniques *u, uint32_t tunnel, const struct xesp_values *v,
		      uint32_t after)
{
	struct unique *const *at = &u->list[unique_hash(tunnel, v) & u->mask];
	bool passed = !after;

	for (const struct unique *n; (n = follow(at)); at = &n->next) {
		if (n->tunnel != tunnel || !unique_same(&n->values, v))
			continue;
		if (passed)
			return n->sa;
		passed = n->sa == after;
	}
	return 0;
}

/* ---- main thread */

int uniques_init(struct uniques *u, struct epoch *epoch, uint32_t max_sas)
{
	uint32_t lists = 1;

	while (lists < max_sas && lists < 1u << 20)
		lists *= 2;
	*u = (struct uniques){ .epoch = epoch, .max = max_sas, .mask = lists - 1 };
	u->list = calloc(lists, sizeof(struct unique *));
	u->by_sa = calloc(max_sas, sizeof(struct unique *));
	return u->list && u->by_sa ? 0 : -ENOMEM;
}

void uniques_fini(struct uniques *u)
{
	for (uint32_t id = 0; u->by_sa && id < u->max; id++)
		free(u->by_sa[id]);
	free(u->by_sa);
	free(u->list);
	*u = (struct uniques){ 0 };
}

static void free_unique(struct epoch_item *item)
{
	free((char *)item - offsetof(struct unique, retire));
}

/* Its own `next` stays, for a worker may stand on it. */
void uniques_drop(struct uniques *u, uint32_t sa)
{
	struct unique *n = sa < u->max ? u->by_sa[sa] : NULL;
	struct unique **at;

	if (!n)
		return;
	for (at = &u->list[unique_hash(n->tunnel, &n->values) & u->mask]; *at != n; at = &(*at)->next)
		;
	__atomic_store_n(at, n->next, __ATOMIC_SEQ_CST);
	u->by_sa[sa] = NULL;
	epoch_retire(u->epoch, &n->retire, free_unique);
}

int uniques_put(struct uniques *u, uint32_t tunnel, const struct xesp_values *v, uint32_t sa)
{
	struct unique *was = u->by_sa[sa], *n, **at;

	if (was && was->tunnel == tunnel && unique_same(&was->values, v))
		return 0;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->values = *v;
	n->tunnel = tunnel;
	n->sa = sa;
	uniques_drop(u, sa);
	for (at = &u->list[unique_hash(tunnel, v) & u->mask]; *at; at = &(*at)->next)
		;
	u->by_sa[sa] = n;
	__atomic_store_n(at, n, __ATOMIC_SEQ_CST);
	return 0;
}

/* ---- values */

bool unique_values(struct xesp_values *v, const struct selector_key *k, uint8_t mask)
{
	/* Of a later IPv6 fragment the protocol is hearsay, RFC 8200 section 4.5. */
	const bool hearsay = k->fields == XESP_FIELDS_LATER && k->family == 6;

	*v = (struct xesp_values){ .mask = mask };
	if (mask & XESP_PFP_LOCAL)
		selector_addr_put(&v->local, &k->local);
	if (mask & XESP_PFP_REMOTE)
		selector_addr_put(&v->remote, &k->remote);
	if (mask & XESP_PFP_PROTO)
		v->proto = k->proto;
	if (mask & XESP_PFP_LOCAL_PORT)
		v->local_port = htons(k->local_port);
	if (mask & XESP_PFP_REMOTE_PORT)
		v->remote_port = htons(k->remote_port);
	return !(mask & XESP_PFP_PORTS && k->fields != XESP_FIELDS_KNOWN) &&
	       !(mask & XESP_PFP_PROTO && hearsay);
}

bool unique_is_valid(const struct xesp_values *v)
{
	return !(v->mask & ~XESP_PFP_ALL) && !v->pad[0] && !v->pad[1] &&
	       (v->mask & XESP_PFP_LOCAL || addr_is_unset(&v->local)) &&
	       (v->mask & XESP_PFP_REMOTE || addr_is_unset(&v->remote)) &&
	       (v->mask & XESP_PFP_PROTO || !v->proto) &&
	       (v->mask & XESP_PFP_LOCAL_PORT || !v->local_port) &&
	       (v->mask & XESP_PFP_REMOTE_PORT || !v->remote_port);
}

bool unique_admits(const struct xesp_values *v, const struct selector_key *k)
{
	struct xesp_values shown, want = *v;

	if (k->fields == XESP_FIELDS_LATER) {
		want.mask &= k->family == 6 ? (uint8_t)~(XESP_PFP_PORTS | XESP_PFP_PROTO) :
					      (uint8_t)~XESP_PFP_PORTS;
		want.local_port = want.remote_port = 0;
		if (!(want.mask & XESP_PFP_PROTO))
			want.proto = 0;
	}
	return unique_values(&shown, k, want.mask) && unique_same(&shown, &want);
}
