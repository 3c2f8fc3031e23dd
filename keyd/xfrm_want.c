/* SPDX-License-Identifier: BSD-2-Clause */
/* xfrm_want.c - see xfrm_want.h. */
#include <stddef.h>

#include "keyd/xfrm_want.h"

bool xfrm_want_is_due(struct xfrm_wants *w, uint32_t tunnel, uint32_t cpu, uint64_t now_ms)
{
	struct xfrm_wanted *at = NULL;

	for (uint32_t i = 0; i < w->n && !at; i++)
		if (w->list[i].tunnel == tunnel && w->list[i].cpu == cpu)
			at = &w->list[i];
	if (at && now_ms - at->at_ms < XFRM_WANT_MS)
		return false;
	if (!at) {
		at = &w->list[w->next];
		w->next = (w->next + 1) % XFRM_WANTS_MAX;
		w->n += w->n < XFRM_WANTS_MAX;
	}
	*at = (struct xfrm_wanted){ tunnel, cpu, now_ms };
	return true;
}
