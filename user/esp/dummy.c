/* SPDX-License-Identifier: BSD-2-Clause */
/* dummy.c - see dummy.h. */
#include <string.h>

#include "crypto/transform.h"
#include "esp/dummy.h"
#include "esp/stage.h"
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
	const struct transform *x = sa->transform;
	uint32_t over = t->header_len + ESP_HDR_LEN + x->iv_len + x->icv_len;

	if (outer < over + x->align)
		return 0;
	return (outer - over) / x->align * x->align - ESP_TRAILER_LEN;
}
