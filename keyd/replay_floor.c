/* SPDX-License-Identifier: BSD-2-Clause */
/* replay_floor.c - see replay_floor.h. */
#include "keyd/publish_maps.h"
#include "keyd/replay_floor.h"
#include "keyd/sad.h"

void replay_floor_raise(const struct maps *m, const struct sa *sa, uint64_t seq)
{
	struct xesp_sa_state *st = &m->sa[sa->id];
	uint64_t *ring = m->replay + st->replay_off;

	if (seq <= __atomic_load_n(&st->replay_top, __ATOMIC_RELAXED))
		return;
	/* The bits first: a keyd that is killed in between has refused too much, never too little. */
	for (uint32_t i = 0; i < st->replay_words; i++)
		__atomic_store_n(&ring[i], UINT64_MAX, __ATOMIC_RELAXED);
	__atomic_store_n(&st->replay_top, seq, __ATOMIC_RELEASE);
}
