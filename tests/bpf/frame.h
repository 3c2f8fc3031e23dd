/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frame.h - frames for the classifier's tests, made from a description.
 *
 * What a row of a table does not name is zero, and zero is the ordinary: no tags, no options, not
 * a fragment, 16 bytes of payload.
 */
#ifndef XESP_TEST_FRAME_H
#define XESP_TEST_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define FRAME_MAX 9400 /* a jumbo frame, and a little more */
#define FRAME_EXT_MAX 12
#define FRAME_PAYLOAD 16

enum frame_fragment { WHOLE, FIRST, MIDDLE, LAST };

struct frame_spec {
	const char *src; /* IPv4 or IPv6; NULL: no IP at all, ARP's EtherType */
	const char *dst;
	uint8_t vlans;   /* tags; the outermost of several is 802.1ad */
	uint8_t options; /* IPv4: bytes, a multiple of 4 up to 40 */
	uint8_t ext[FRAME_EXT_MAX]; /* IPv6: extension headers; 44 makes an atomic fragment */
	uint8_t ext_n;
	uint8_t ext_units; /* of each in `ext`: 8-byte units behind its first */
	uint8_t proto;
	uint8_t icmp_type; /* or mobility header type */
	uint8_t icmp_code;
	uint8_t frag_id; /* which datagram */
	enum frame_fragment fragment; /* IPv6: its header comes behind those of `ext` */
	uint16_t sport;               /* host byte order */
	uint16_t dport;
	uint32_t spi;
	uint8_t behind_fragment; /* IPv6: an extension header between fragment header and proto */
	bool cut;                /* the packet ends `cut_at` bytes into layer 4, lengths agree */
	uint8_t cut_at;
	uint8_t padding; /* Ethernet's, behind the IP packet */
};

/* bytes lies at 2 modulo 4, so that the IP header is aligned as in the kernel. */
struct frame {
	uint8_t align[2];
	uint8_t bytes[FRAME_MAX];
	uint16_t pad;
	uint32_t len;
	uint32_t l3_off; /* from bytes; behind the tags also without IP */
	uint32_t l4_off; /* from bytes: what `proto` names */
	uint32_t l3_len; /* what the IP header says */
} __attribute__((aligned(4)));

void frame_build(struct frame *f, const struct frame_spec *s);

/* Tells the IP header a packet that ends with byte `len` of the frame. */
void frame_set_end(struct frame *f, uint32_t len);

#endif /* XESP_TEST_FRAME_H */
