/* SPDX-License-Identifier: BSD-2-Clause */
/* route.c - see route.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fib/hash.h"
#include "fib/route.h"
#include "libxesp/addr.h"

#define LENS_MAX 129 /* prefix lengths 0 to 128 */

struct route_table {
	uint64_t seed;
	uint32_t slots_mask;
	uint32_t routes_n, targets_n;
	uint32_t *slots; /* index into routes + 1, 0 free; open addressing, at most half full */
	struct route *routes;
	struct route_target *targets;
	uint32_t *weights;
	struct route_space space[ROUTE_SPACES_MAX];
	uint8_t spaces_n;
	struct {
		uint8_t n;
		uint8_t len[LENS_MAX]; /* those that occur, longest first */
	} lens[ROUTE_SPACES_MAX];
	struct xesp_addr masks[LENS_MAX];
};

void route_list_init(struct route_list *l)
{
	memset(l, 0, sizeof(*l));
}

void route_list_fini(struct route_list *l)
{
	free(l->routes);
	free(l->targets);
	free(l->weights);
	route_list_init(l);
}

static int grow(void **array, size_t *cap, size_t need, size_t size)
{
	size_t more = *cap ? *cap : 64;
	void *p;

	while (more < need)
		more *= 2;
	if (*array && more == *cap)
		return 0;
	p = realloc(*array, more * size);
	if (!p)
		return -ENOMEM;
	*array = p;
	*cap = more;
	return 0;
}

static int grow_targets(struct route_list *l, uint32_t n)
{
	size_t cap = l->targets_cap;
	int err = grow((void **)&l->weights, &cap, l->targets_n + n, sizeof(*l->weights));

	if (err)
		return err;
	return grow((void **)&l->targets, &l->targets_cap, l->targets_n + n, sizeof(*l->targets));
}

/* A single target that is in the list already, or nothing. */
static bool find_recent(struct route_list *l, const struct route_target *t, uint32_t **slot)
{
	*slot = &l->recent[hash_addr(&t->gateway, t->ifindex, t->mtu) % 64];
	return **slot && !memcmp(&l->targets[**slot - 1], t, sizeof(*t));
}

int route_list_add(struct route_list *l, const struct route *r, const struct route_target *targets,
		   const uint32_t *weights, uint32_t n)
{
	struct xesp_addr last;
	uint32_t *recent = NULL;
	struct route *added;
	int err;

	err = grow((void **)&l->routes, &l->routes_cap, l->routes_n + 1, sizeof(*l->routes));
	if (!err && n)
		err = grow_targets(l, n);
	if (err)
		return err;

	added = &l->routes[l->routes_n];
	*added = *r;
	addr_range(&r->prefix, r->len, &added->prefix, &last);
	added->targets_n = n;
	added->target = (uint32_t)l->targets_n;
	if (n == 1 && find_recent(l, targets, &recent)) {
		added->target = *recent - 1;
	} else if (n) {
		memcpy(&l->targets[l->targets_n], targets, n * sizeof(*targets));
		memcpy(&l->weights[l->targets_n], weights, n * sizeof(*weights));
		if (n == 1)
			l->weights[l->targets_n] = 1;
		if (recent)
			*recent = added->target + 1;
		l->targets_n += n;
	}
	l->routes_n++;
	return 0;
}

int route_list_add_space(struct route_list *l, struct route_space s)
{
	if (l->spaces_n == ROUTE_SPACES_MAX)
		return -ENOSPC;
	l->space[l->spaces_n] = s;
	return l->spaces_n++;
}

static uint32_t tag_of(uint8_t space, uint8_t len)
{
	return (uint32_t)space << 8 | len;
}

/* The slot that holds this prefix, or the free one where it belongs. */
static uint32_t *find_slot(const struct route_table *t, uint8_t space, uint8_t len,
			   const struct xesp_addr *prefix)
{
	uint32_t at = hash_addr(prefix, tag_of(space, len), t->seed);

	for (;; at++) {
		uint32_t *slot = &t->slots[at & t->slots_mask];
		const struct route *r;

		if (!*slot)
			return slot;
		r = &t->routes[*slot - 1];
		if (r->space == space && r->len == len && addr_equal(&r->prefix, prefix))
			return slot;
	}
}

/* A route that depends on more than the destination takes its prefix from all others: whether it
 * applies is for the kernel to say. */
static bool beats(const struct route *r, const struct route *other)
{
	if ((r->kind == ROUTE_SLOW) != (other->kind == ROUTE_SLOW))
		return r->kind == ROUTE_SLOW;
	if (r->order != other->order)
		return r->order < other->order;
	if (r->metric != other->metric)
		return r->metric < other->metric;
	return r->preference < other->preference;
}

static void note_lens(struct route_table *t)
{
	bool has[ROUTE_SPACES_MAX][LENS_MAX] = { { false } };

	for (uint32_t i = 0; i < t->routes_n; i++)
		has[t->routes[i].space][t->routes[i].len] = true;
	for (int s = 0; s < t->spaces_n; s++) {
		for (int len = LENS_MAX - 1; len >= 0; len--) {
			if (has[s][len])
				t->lens[s].len[t->lens[s].n++] = (uint8_t)len;
		}
	}
	for (int len = 0; len < LENS_MAX; len++)
		addr_mask(&t->masks[len], (uint8_t)len);
}

static struct route_table *alloc_table(const struct route_list *l)
{
	struct route_table *t = calloc(1, sizeof(*t));
	size_t slots = 64;

	if (!t)
		return NULL;
	while (slots < 2 * l->routes_n)
		slots *= 2;
	t->slots_mask = (uint32_t)(slots - 1);
	t->slots = calloc(slots, sizeof(*t->slots));
	t->routes = calloc(l->routes_n + 1, sizeof(*t->routes));
	t->targets = calloc(l->targets_n + 1, sizeof(*t->targets));
	t->weights = calloc(l->targets_n + 1, sizeof(*t->weights));
	if (t->slots && t->routes && t->targets && t->weights)
		return t;
	route_table_free(t);
	return NULL;
}

struct route_table *route_table_build(const struct route_list *l, uint64_t seed)
{
	struct route_table *t = alloc_table(l);

	if (!t)
		return NULL;
	t->seed = seed;
	memcpy(t->space, l->space, sizeof(t->space));
	t->spaces_n = l->spaces_n;
	t->targets_n = (uint32_t)l->targets_n;
	if (l->targets_n) {
		memcpy(t->targets, l->targets, l->targets_n * sizeof(*t->targets));
		memcpy(t->weights, l->weights, l->targets_n * sizeof(*t->weights));
	}
	for (size_t i = 0; i < l->routes_n; i++) {
		const struct route *r = &l->routes[i];
		uint32_t *slot = find_slot(t, r->space, r->len, &r->prefix);

		if (!*slot)
			*slot = ++t->routes_n;
		else if (!beats(r, &t->routes[*slot - 1]))
			continue;
		t->routes[*slot - 1] = *r;
	}
	note_lens(t);
	return t;
}

void route_table_free(struct route_table *t)
{
	if (!t)
		return;
	free(t->slots);
	free(t->routes);
	free(t->targets);
	free(t->weights);
	free(t);
}

uint32_t route_table_count(const struct route_table *t)
{
	return t->routes_n;
}

const struct route_target *route_table_targets(const struct route_table *t, uint32_t *n)
{
	*n = t->targets_n;
	return t->targets;
}

static const struct route *lookup_in(const struct route_table *t, uint8_t space,
				     const struct xesp_addr *dst)
{
	for (uint8_t i = 0; i < t->lens[space].n; i++) {
		uint8_t len = t->lens[space].len[i];
		const struct xesp_addr *mask = &t->masks[len];
		struct xesp_addr prefix;
		uint32_t found;

		for (int w = 0; w < 4; w++)
			prefix.w[w] = dst->w[w] & mask->w[w];
		found = *find_slot(t, space, len, &prefix);
		if (found)
			return &t->routes[found - 1];
	}
	return NULL;
}

const struct route *route_table_lookup(const struct route_table *t, const struct xesp_addr *dst,
				       bool ours)
{
	const bool ip4 = addr_is_ip4(dst);

	for (uint8_t s = 0; s < t->spaces_n; s++) {
		const struct route *r;

		if (t->space[s].ip4 != ip4 || (ours && t->space[s].not_ours))
			continue;
		r = lookup_in(t, s, dst);
		if (r && r->kind != ROUTE_THROW)
			return r;
	}
	return NULL;
}

uint32_t route_table_pick(const struct route_table *t, const struct route *r,
			  const struct xesp_addr *dst)
{
	uint64_t sum = 0, point;

	if (r->targets_n == 1)
		return r->target;
	for (uint32_t i = 0; i < r->targets_n; i++)
		sum += t->weights[r->target + i];
	/* Another tag than the tables use, so that the choice is independent of their slots. */
	point = (hash_addr(dst, UINT32_MAX, t->seed) * sum) >> 32;
	for (uint32_t i = 0; i + 1 < r->targets_n; i++) {
		if (point < t->weights[r->target + i])
			return r->target + i;
		point -= t->weights[r->target + i];
	}
	return r->target + r->targets_n - 1;
}
