/* SPDX-License-Identifier: BSD-2-Clause */
/* frag6.c - see frag6.h. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "esp/transport.h"
#include "esp/wire.h"
#include "slow/frag6.h"

#define HDR 40
#define FRAG_HDR 8
#define MORE 1

int frag6_begin(struct frag6 *f, const uint8_t *ip, uint32_t len, uint32_t head_len, uint32_t mtu,
		uint32_t id)
{
	struct transport_place place;

	if (len < HDR || ip[0] >> 4 != 6 || head_len < HDR || head_len >= len ||
	    HDR + (uint32_t)wire_get16(ip + 4) != len || mtu < head_len + FRAG_HDR + 8 ||
	    !transport_find_header(&place, ip, head_len))
		return -EINVAL;
	*f = (struct frag6){ .ip = ip,
			     .head_len = head_len,
			     .data_len = len - head_len,
			     .mtu = mtu,
			     .id = id,
			     .next_at = place.next_at };
	return 0;
}

uint32_t frag6_next(struct frag6 *f, uint8_t *out)
{
	uint32_t left = f->data_len - f->off, room = f->mtu - f->head_len - FRAG_HDR, n = left;
	uint8_t *h = out + f->head_len;

	if (!left)
		return 0;
	if (left > room)
		n = room / 8 * 8;
	memcpy(out, f->ip, f->head_len);
	wire_put16(out + 4, (uint16_t)(f->head_len - HDR + FRAG_HDR + n));
	h[0] = out[f->next_at];
	h[1] = 0;
	wire_put16(h + 2, (uint16_t)(f->off | (n < left ? MORE : 0)));
	wire_put32(h + 4, f->id);
	out[f->next_at] = IPPROTO_FRAGMENT;
	memcpy(h + FRAG_HDR, f->ip + f->head_len + f->off, n);
	f->off += n;
	return f->head_len + FRAG_HDR + n;
}
