/* SPDX-License-Identifier: BSD-2-Clause */
/* frag.c - see frag.h. */
#include <errno.h>
#include <string.h>

#include "esp/wire.h"
#include "slow/check.h"
#include "slow/frag.h"

#define HDR_MIN    20
#define FLAG_DF    0x4000
#define FLAG_MF    0x2000
#define OFFSET     0x1fff /* in 8-byte units */
#define OPT_END    0
#define OPT_NOP    1
#define OPT_COPIED 0x80 /* RFC 791: this option goes into every fragment */

int frag_begin(struct frag *f, const uint8_t *ip, uint32_t len, uint32_t mtu)
{
	uint32_t hdr_len, total;

	if (len < HDR_MIN || ip[0] >> 4 != 4 || mtu < FRAG_MTU_MIN)
		return -EINVAL;
	hdr_len = (ip[0] & 0xfu) * 4;
	total = wire_get16(ip + 2);
	if (hdr_len < HDR_MIN || total < hdr_len || total > len)
		return -EINVAL;
	if (wire_get16(ip + 6) & FLAG_DF)
		return -EMSGSIZE;
	/* A fragment that ends behind the largest packet there can be: its offsets do not fit. */
	if ((wire_get16(ip + 6) & OFFSET) * 8u + total - hdr_len > UINT16_MAX)
		return -EINVAL;
	*f = (struct frag){ .ip = ip,
			    .hdr_len = hdr_len,
			    .data_len = total - hdr_len,
			    .mtu = mtu,
			    .first = wire_get16(ip + 6) };
	return 0;
}

/*
 * The header of a later piece: options without the copied flag are left out, and so is all behind
 * one whose length is wrong. Returns its length, padded with end-of-options to whole words.
 */
static uint32_t copy_header(const struct frag *f, uint8_t *out)
{
	uint32_t at = HDR_MIN, used = HDR_MIN;

	memcpy(out, f->ip, HDR_MIN);
	while (at < f->hdr_len && f->ip[at] != OPT_END) {
		uint32_t len = 1;

		if (f->ip[at] != OPT_NOP) {
			if (at + 2 > f->hdr_len)
				break;
			len = f->ip[at + 1];
			if (len < 2 || at + len > f->hdr_len)
				break;
			if (f->ip[at] & OPT_COPIED) {
				memcpy(out + used, f->ip + at, len);
				used += len;
			}
		}
		at += len;
	}
	while (used % 4)
		out[used++] = OPT_END;
	return used;
}

uint32_t frag_next(struct frag *f, uint8_t *out)
{
	uint32_t left = f->data_len - f->off, hdr_len, room, n;
	bool more;

	/* A packet without data is one piece; otherwise the end is when all data is taken. */
	if (!left && (f->off || f->data_len))
		return 0;
	if (f->mtu == 0)
		return 0;
	if (f->off) {
		hdr_len = copy_header(f, out);
	} else {
		hdr_len = f->hdr_len;
		memcpy(out, f->ip, hdr_len);
	}
	room = f->mtu - hdr_len;
	more = left > room;
	n = more ? room / 8 * 8 : left;
	memcpy(out + hdr_len, f->ip + f->hdr_len + f->off, n);

	out[0] = (uint8_t)(0x40 | hdr_len / 4);
	wire_put16(out + 2, (uint16_t)(hdr_len + n));
	wire_put16(out + 6, (uint16_t)(((f->first & OFFSET) + f->off / 8) |
				       (more || (f->first & FLAG_MF) ? FLAG_MF : 0)));
	wire_put16(out + 10, 0);
	wire_put16(out + 10, check_fold(check_add(0, out, hdr_len)));
	f->off += n;
	if (!f->data_len)
		f->mtu = 0; /* the one empty piece was given */
	return hdr_len + n;
}
