/* SPDX-License-Identifier: BSD-2-Clause */
/* cover.c - dummy packets on their way out: see slow_dummy_send() in slow.h. */
#include "esp/dummy.h"
#include "esp/esp.h"
#include "slow/room.h"

bool slow_dummy_send(struct slow *s, uint32_t tunnel, uint32_t size)
{
	const struct dummy_room room = { s->piece_buf, s->piece_buf + HEADROOM,
					 s->piece_buf + SLOT_BYTES - TAILROOM };
	struct batch *b = &s->pieces;

	if (!dummy_make(&b->pkt[0], &room, tunnel, size))
		return false;
	b->pkt[0].end = s->piece_buf + SLOT_BYTES;
	b->n = 1;
	slow_hold_sas(s);
	esp_encap(s->o.esp, b);
	if (!b->pkt[0].drop)
		out_to_wire(s, &b->pkt[0]);
	slow_let_sas_go(s);
	return !b->pkt[0].drop;
}
