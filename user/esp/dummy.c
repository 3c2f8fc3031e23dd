/* SPDX-License-Identifier: BSD-2-Clause */
/* dummy.c - see dummy.h. */
#include <string.h>

#include "esp/dummy.h"
#include "esp/size.h"
#include "sad/sa.h"
#include "sad/tunnel.h"

bool dummy_make(struct pkt *p, const struct dummy_room *room, uint32_t tunnel, uint32_t size)
{
	if (size > UINT16_MAX || (uint64_t)(room->end - room->at) < size)
		return false;
	/* What is encrypted looks random whatever it is; old contents of the buffer are not sent. */
	memset(room->at, 0, size);
	*p = (struct pkt){ .l3 = room->at,
			   .len = size,
			   .id = tunnel,
			   .head = room->head,
			   .end = room->end,
			   .dummy = true,
			   .local = true };
	return true;
}

uint32_t dummy_size(const struct tunnel *t, const struct sa *sa, uint32_t outer)
{
	const struct geometry g = size_of(t, sa->transform);

	return size_fits(&g, outer);
}
