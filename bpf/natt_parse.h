/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * natt_parse.h - what is in UDP that came to a port where tunnels receive ESP in UDP: RFC 3948
 * section 2.
 *
 * Like parse.h: no map, no helper, no side effect, and it compiles for the host, where a fuzz
 * target runs it. The UDP checksum is not looked at: section 2.1 forbids to depend on it, and the
 * ICV is the better check. IKE's is checked by the kernel.
 */
#ifndef XESP_BPF_NATT_PARSE_H
#define XESP_BPF_NATT_PARSE_H

#include "parse.h"

#define NATT_UDP_LEN 8
#define NATT_MARKER_LEN 4   /* zeroes before IKE, section 2.2; otherwise it is the SPI */
#define NATT_ESP_LEN 8      /* SPI and sequence number */
#define NATT_KEEPALIVE 0xff /* section 2.3 */
#define NATT_L2_MASK 0x3f   /* over 14 + 2 tags */

enum natt_content {
	NATT_CONTENT_ESP, /* *spi is set */
	NATT_CONTENT_IKE,
	NATT_CONTENT_KEEPALIVE,
	NATT_CONTENT_SHORT,     /* 0 to 3 bytes that are no keepalive, or ESP of less than 8 */
	NATT_CONTENT_MALFORMED, /* the UDP length contradicts the packet */
};

struct natt_udp {
	__be16 sport;
	__be16 dport;
	__be16 len;
	__u16 check;
};

/*
 * `p` is what parse_frame() found in this frame: UDP, no fragment, no flaw. UDP may end before the
 * IP packet does.
 */
static __always_inline enum natt_content natt_parse(void *data, void *end, const struct packet *p,
						    __be32 *spi)
{
	__u32 l3_off = p->l3_off, off = p->l4_off, len;
	struct natt_udp *udp;
	__be32 *first;

	/* Masked where the verifier has lost sight of them; never changes them. */
	parse_hide(l3_off);
	parse_hide(off);
	udp = data + (l3_off & NATT_L2_MASK) + (off & PARSE_OFF_MASK);
	if ((void *)(udp + 1) > end)
		return NATT_CONTENT_MALFORMED;
	len = bpf_ntohs(udp->len);
	if (len < NATT_UDP_LEN || off + len > p->l3_len)
		return NATT_CONTENT_MALFORMED;
	len -= NATT_UDP_LEN;
	first = (void *)(udp + 1);
	if (len < NATT_MARKER_LEN) {
		if (len == 1 && (void *)first + 1 <= end && *(__u8 *)first == NATT_KEEPALIVE)
			return NATT_CONTENT_KEEPALIVE;
		return NATT_CONTENT_SHORT;
	}
	if ((void *)(first + 1) > end)
		return NATT_CONTENT_SHORT;
	if (!*first)
		return NATT_CONTENT_IKE;
	if (len < NATT_ESP_LEN)
		return NATT_CONTENT_SHORT;
	*spi = *first;
	return NATT_CONTENT_ESP;
}

#endif /* XESP_BPF_NATT_PARSE_H */
