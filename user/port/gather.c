/* SPDX-License-Identifier: BSD-2-Clause */
/* gather.c - see gather.h. */
#include <string.h>

#include "port/gather.h"

#define OUTER_MAX (40 + 8 + 8 + 16) /* IPv6, UDP, ESP and IV: more than grows before a frame */

_Static_assert(UMEM_RX_ROOM + GATHER_FRAME_MAX + GATHER_TAIL <= UMEM_WIDE, "it fits a buffer");
_Static_assert(UMEM_L2_ROOM + OUTER_MAX + sizeof(struct xesp_meta) <= UMEM_RX_ROOM, "headers fit");

static void lose(struct gather *g, struct umem_pool *p, enum xesp_drop why)
{
	if (!g->why)
		umem_put_wide(p, g->wide);
	g->why = why;
}

/* The metadata lies before the first piece; read once, it must not be found there again. */
static void begin(struct gather *g, struct umem_pool *p, const struct xdp_desc *d)
{
	const size_t meta = sizeof(struct xesp_meta);
	uint8_t *from = p->area + d->addr - meta;

	*g = (struct gather){ .going = true };
	if (!umem_take_wide(p, &g->wide)) {
		g->why = XESP_DROP_NO_FRAME;
		return;
	}
	memset(p->area + gather_frame(g) - meta, 0, meta);
	if ((d->addr & ~UMEM_CHUNK_MASK) < meta)
		return;
	memcpy(p->area + gather_frame(g) - meta, from, meta);
	memset(from, 0, meta);
}

enum gather_state gather_add(struct gather *g, struct umem_pool *p, const struct xdp_desc *d)
{
	if (!g->going)
		begin(g, p, d);
	if (!g->why && d->len > GATHER_FRAME_MAX - g->len)
		lose(g, p, XESP_DROP_RX_TOO_BIG);
	if (!g->why) {
		memcpy(p->area + gather_frame(g) + g->len, p->area + d->addr, d->len);
		g->len += d->len;
	}
	umem_put(p, d->addr, UMEM_HAND);
	if (d->options & XDP_PKT_CONTD)
		return GATHER_GOES_ON;
	g->going = false;
	return g->why ? GATHER_LOST : GATHER_WHOLE;
}

void gather_abandon(struct gather *g, struct umem_pool *p)
{
	if (g->going && !g->why)
		umem_put_wide(p, g->wide);
	*g = (struct gather){ 0 };
}

uint32_t gather_scatter(struct umem_pool *p, uint64_t addr, uint32_t len, struct xdp_desc *out)
{
	uint32_t n = 0;

	umem_trim(p, addr, len);
	while (len) {
		uint32_t room = (uint32_t)(UMEM_CHUNK - (addr & ~UMEM_CHUNK_MASK));
		uint32_t part = len < room ? len : room;

		len -= part;
		out[n++] = (struct xdp_desc){ .addr = addr,
					      .len = part,
					      .options = len ? XDP_PKT_CONTD : 0 };
		addr += part;
	}
	return n;
}
