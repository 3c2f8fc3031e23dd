/* SPDX-License-Identifier: BSD-2-Clause */
/* group.c - see group.h. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "sad/group.h"
#include "xesp/fault.h"

struct group_slot {
	struct group *group;            /* published */
	struct xesp_keymsg_group *told; /* NULL with group */
	uint32_t sync;                  /* when it was told */
	bool down;                      /* of the tunnel that has this id */
};

const struct group *groups_find(const struct groups *gs, uint32_t id)
{
	/* Total order with epoch_idle(), and acquires what it finds: as sad_find(). */
	return id < gs->max ? __atomic_load_n(&gs->slot[id].group, __ATOMIC_SEQ_CST) : NULL;
}

/* Mixes well enough that buckets and small ids fall into no pattern: murmur3's last step. */
static uint32_t weigh(uint32_t bucket, uint32_t tunnel)
{
	uint32_t x = bucket * 0x9e3779b1u ^ tunnel * 0x85ebca6bu;

	x ^= x >> 16;
	x *= 0x85ebca6bu;
	x ^= x >> 13;
	x *= 0xc2b2ae35u;
	return x ^ x >> 16;
}

static void fill(struct group *g, const bool *live)
{
	for (uint32_t b = 0; b < GROUP_BUCKETS; b++) {
		uint32_t best = 0;
		bool found = false;

		for (uint32_t i = 0; i < g->n; i++) {
			uint32_t weight = weigh(b, g->member[i]);

			if (live[i] && (!found || weight > best)) {
				g->bucket[b] = (uint8_t)i;
				best = weight;
				found = true;
			}
		}
	}
}

static struct group *make(const struct groups *gs, const struct xesp_keymsg_group *m)
{
	bool live[XESP_GROUP_MAX], any = false;
	struct group *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->n = m->n;
	for (uint32_t i = 0; i < m->n; i++) {
		g->member[i] = m->member[i];
		live[i] = !gs->slot[m->member[i]].down;
		any |= live[i];
	}
	for (uint32_t i = 0; i < m->n && !any; i++)
		live[i] = true;
	fill(g, live);
	return g;
}

static void free_group(struct epoch_item *item)
{
	free((char *)item - offsetof(struct group, retire));
}

static void put(struct groups *gs, uint32_t id, struct group *g)
{
	struct group *old = gs->slot[id].group;

	/* Up before it can be found, down after. */
	if (g && !old)
		__atomic_store_n(&gs->n, gs->n + 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&gs->slot[id].group, g, __ATOMIC_SEQ_CST);
	if (old && !g)
		__atomic_store_n(&gs->n, gs->n - 1, __ATOMIC_SEQ_CST);
	if (old)
		epoch_retire(gs->epoch, &old->retire, free_group);
}

static int check(const struct groups *gs, const struct xesp_keymsg_group *m, struct fault *f)
{
	if (!m->id || m->id >= gs->max)
		return fault_set(f, -EINVAL, "id %u; 1 to %u are possible", m->id, gs->max - 1);
	if (!m->n || m->n > XESP_GROUP_MAX)
		return fault_set(f, -EINVAL, "%u tunnels; 1 to %d are possible", m->n,
				 XESP_GROUP_MAX);
	for (uint32_t i = 0; i < m->n; i++) {
		if (!m->member[i] || m->member[i] >= gs->max || m->member[i] == m->id)
			return fault_set(f, -EINVAL, "tunnel id %u is not possible", m->member[i]);
		for (uint32_t k = 0; k < i; k++)
			if (m->member[k] == m->member[i])
				return fault_set(f, -EINVAL, "tunnel id %u is there twice",
						 m->member[i]);
	}
	return 0;
}

int groups_set(struct groups *gs, const struct xesp_keymsg_group *m, uint32_t sync, struct fault *f)
{
	struct xesp_keymsg_group *told;
	struct group *g;
	int err = check(gs, m, f);

	if (err)
		return fault_in(f, err, "group %.*s", XESP_NAME_MAX, m->name);
	told = malloc(sizeof(*told));
	g = make(gs, m);
	if (!told || !g) {
		free(told);
		free(g);
		return fault_set(f, -ENOMEM, "out of memory");
	}
	*told = *m;
	free(gs->slot[m->id].told);
	gs->slot[m->id].told = told;
	gs->slot[m->id].sync = sync;
	put(gs, m->id, g);
	return 0;
}

bool groups_del(struct groups *gs, uint32_t id)
{
	if (id >= gs->max || !gs->slot[id].group)
		return false;
	put(gs, id, NULL);
	free(gs->slot[id].told);
	gs->slot[id].told = NULL;
	return true;
}

void groups_sweep(struct groups *gs, uint32_t sync)
{
	for (uint32_t id = 0; id < gs->max; id++)
		if (gs->slot[id].group && gs->slot[id].sync != sync)
			groups_del(gs, id);
}

static bool has_member(const struct xesp_keymsg_group *m, uint32_t tunnel)
{
	for (uint32_t i = 0; m && i < m->n; i++)
		if (m->member[i] == tunnel)
			return true;
	return false;
}

int groups_tunnel_down(struct groups *gs, uint32_t tunnel, bool down, struct fault *f)
{
	if (tunnel >= gs->max || gs->slot[tunnel].down == down)
		return 0;
	gs->slot[tunnel].down = down;
	for (uint32_t id = 0; id < gs->max; id++) {
		struct group *g;

		if (!has_member(gs->slot[id].told, tunnel))
			continue;
		g = make(gs, gs->slot[id].told);
		if (!g) {
			gs->slot[tunnel].down = !down;
			return fault_set(f, -ENOMEM, "out of memory");
		}
		put(gs, id, g);
	}
	return 0;
}

bool groups_tunnel_is_down(const struct groups *gs, uint32_t tunnel)
{
	return tunnel < gs->max && gs->slot[tunnel].down;
}

int groups_init(struct groups *gs, struct epoch *epoch, uint32_t max)
{
	*gs = (struct groups){ .epoch = epoch, .max = max };
	gs->slot = calloc(max, sizeof(*gs->slot));
	return gs->slot ? 0 : -ENOMEM;
}

void groups_fini(struct groups *gs)
{
	for (uint32_t id = 0; gs->slot && id < gs->max; id++) {
		free(gs->slot[id].group);
		free(gs->slot[id].told);
	}
	free(gs->slot);
	*gs = (struct groups){ 0 };
}
