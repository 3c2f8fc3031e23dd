/* SPDX-License-Identifier: BSD-2-Clause */
/* intake.c - see intake.h. */
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>

#include "esp/wire.h"
#include "port/umem.h"
#include "worker/intake.h"

#define ESP_HDR_LEN 8 /* SPI and sequence number, RFC 4303 section 2 */
#define UDP_HDR_LEN 8

/* Length by the IP header itself; 0: it contradicts the `room` bytes there are. */
static inline uint32_t ip_len(const uint8_t *l3, uint32_t room)
{
	uint32_t len, hdr_len;

	if (room < sizeof(struct ip))
		return 0;
	switch (l3[0] >> 4) {
	case 4:
		len = wire_get16(l3 + 2);
		hdr_len = (l3[0] & 0xfu) * 4;
		if (hdr_len < sizeof(struct ip) || len < hdr_len)
			return 0;
		break;
	case 6:
		if (room < sizeof(struct ip6_hdr))
			return 0;
		len = (uint32_t)sizeof(struct ip6_hdr) + wire_get16(l3 + 4);
		break;
	default:
		return 0;
	}
	/* Ethernet pads short frames: the packet may be shorter than the frame, not longer. */
	return len <= room ? len : 0;
}

static unsigned int refuse(struct pkt *p, enum xesp_drop why)
{
	p->drop = why;
	return 0;
}

unsigned int intake_frame(struct pkt *p, uint8_t *frame, uint32_t len, uint32_t size)
{
	uint8_t *chunk = (uint8_t *)((uintptr_t)frame & ~(uintptr_t)(UMEM_CHUNK - 1));
	struct xesp_meta meta;
	uint32_t room = (uint32_t)(frame - chunk);

	*p = (struct pkt){
		.l3 = frame,
		.head = chunk + UMEM_L2_ROOM,
		.end = chunk + size,
	};
	if (room < UMEM_L2_ROOM + sizeof(meta) || len > size - room)
		return refuse(p, XESP_DROP_BAD_META);
	memcpy(&meta, frame - sizeof(meta), sizeof(meta));
	memset(frame - sizeof(meta), 0, sizeof(meta.magic));

	if (meta.magic != XESP_META_MAGIC || meta.l3_off > len ||
	    (meta.kind != XESP_KIND_CLEAR && meta.kind != XESP_KIND_ESP &&
	     meta.kind != XESP_KIND_ESP_UDP && meta.kind != XESP_KIND_AH))
		return refuse(p, XESP_DROP_BAD_META);
	p->l3 = frame + meta.l3_off;
	p->len = ip_len(p->l3, len - meta.l3_off);
	if (!p->len)
		return refuse(p, XESP_DROP_MALFORMED_IP);
	p->id = meta.id;
	if (meta.kind == XESP_KIND_CLEAR) {
		p->policy = meta.policy;
		return XESP_KIND_CLEAR;
	}
	p->l4_off = (uint16_t)(meta.l4_off * 4);
	p->udp = meta.kind == XESP_KIND_ESP_UDP;
	if (p->l4_off < sizeof(struct ip) + (p->udp ? UDP_HDR_LEN : 0) || (uint32_t)p->l4_off + ESP_HDR_LEN > p->len)
		return refuse(p, XESP_DROP_BAD_META);
	return XESP_KIND_ESP;
}
