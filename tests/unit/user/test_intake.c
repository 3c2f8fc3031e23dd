/* SPDX-License-Identifier: BSD-2-Clause */
/* From frame and metadata to packet: what is believed, and what is refused. */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port/umem.h"
#include "worker/intake.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define RX_OFF 256u
#define M XESP_META_MAGIC

/* An IP packet of `ip_len` bytes by its own header, at meta.l3_off in a frame of `frame_len`. */
static const struct {
	const char *what;
	struct xesp_meta meta;
	uint8_t first; /* byte of the IP header */
	uint16_t ip_len;
	uint32_t frame_len;
	unsigned int kind;
	enum xesp_drop drop;
} rows[] = {
	{ "IPv4 cleartext", { M, 7, 3, 14, 1, 0 }, 0x45, 84, 98, XESP_KIND_CLEAR, 0 },
	{ "IPv6 cleartext", { M, 7, 3, 14, 1, 0 }, 0x60, 84, 98, XESP_KIND_CLEAR, 0 },
	{ "ESP in IPv4", { M, 9, 0, 14, 2, 5 }, 0x45, 84, 98, XESP_KIND_ESP, 0 },
	{ "ESP behind two VLAN tags", { M, 9, 0, 22, 2, 5 }, 0x45, 76, 98, XESP_KIND_ESP, 0 },
	{ "ESP behind IPv6 extension headers", { M, 9, 0, 14, 2, 12 }, 0x60, 84, 98, XESP_KIND_ESP,
	  0 },
	{ "Ethernet padding is cut off", { M, 7, 3, 14, 1, 0 }, 0x45, 28, 60, XESP_KIND_CLEAR, 0 },
	{ "no IP packet is too short to be one", { M, 7, 3, 14, 1, 0 }, 0x45, 20, 34,
	  XESP_KIND_CLEAR, 0 },
	{ "the largest frame", { M, 7, 3, 14, 1, 0 }, 0x45, 3826, 3840, XESP_KIND_CLEAR, 0 },
	{ "wrong magic", { M + 1, 7, 3, 14, 1, 0 }, 0x45, 84, 98, 0, XESP_DROP_BAD_META },
	{ "no kind", { M, 7, 3, 14, 0, 0 }, 0x45, 84, 98, 0, XESP_DROP_BAD_META },
	{ "a kind that is not", { M, 7, 3, 14, 3, 0 }, 0x45, 84, 98, 0, XESP_DROP_BAD_META },
	{ "IP header beyond the frame", { M, 7, 3, 99, 1, 0 }, 0x45, 84, 98, 0,
	  XESP_DROP_BAD_META },
	{ "IP header at the frame's end", { M, 7, 3, 98, 1, 0 }, 0x45, 84, 98, 0,
	  XESP_DROP_MALFORMED_IP },
	{ "IPv4 header cut off", { M, 7, 3, 14, 1, 0 }, 0x45, 19, 33, 0, XESP_DROP_MALFORMED_IP },
	{ "IPv6 header cut off", { M, 7, 3, 14, 1, 0 }, 0x60, 40, 53, 0, XESP_DROP_MALFORMED_IP },
	{ "longer than the frame", { M, 7, 3, 14, 1, 0 }, 0x45, 85, 98, 0, XESP_DROP_MALFORMED_IP },
	{ "IPv6 longer than the frame", { M, 7, 3, 14, 1, 0 }, 0x60, 85, 98, 0,
	  XESP_DROP_MALFORMED_IP },
	{ "IPv4 length within its header", { M, 7, 3, 14, 1, 0 }, 0x46, 23, 98, 0,
	  XESP_DROP_MALFORMED_IP },
	{ "IPv4 header of 16 bytes", { M, 7, 3, 14, 1, 0 }, 0x44, 84, 98, 0,
	  XESP_DROP_MALFORMED_IP },
	{ "IP version 5", { M, 7, 3, 14, 1, 0 }, 0x55, 84, 98, 0, XESP_DROP_MALFORMED_IP },
	{ "ESP header within the IP header", { M, 9, 0, 14, 2, 4 }, 0x45, 84, 98, 0,
	  XESP_DROP_BAD_META },
	{ "ESP header ends with the packet", { M, 9, 0, 14, 2, 19 }, 0x45, 84, 98, XESP_KIND_ESP, 0 },
	{ "ESP header beyond the packet", { M, 9, 0, 14, 2, 20 }, 0x45, 84, 98, 0,
	  XESP_DROP_BAD_META },
};

static uint8_t *chunk;

static uint8_t *build(size_t i)
{
	uint8_t *frame = chunk + RX_OFF, *l3 = frame + rows[i].meta.l3_off;
	uint16_t len = htons(rows[i].ip_len);

	memset(chunk, 0, UMEM_CHUNK);
	memcpy(frame - sizeof(rows[i].meta), &rows[i].meta, sizeof(rows[i].meta));
	l3[0] = rows[i].first;
	if (rows[i].first >> 4 == 6) {
		len = htons((uint16_t)(rows[i].ip_len - 40));
		memcpy(l3 + 4, &len, 2);
	} else {
		memcpy(l3 + 2, &len, 2);
	}
	return frame;
}

static void check_row(size_t i)
{
	uint8_t *frame = build(i);
	struct pkt p;
	unsigned int kind = intake_frame(&p, frame, rows[i].frame_len, UMEM_CHUNK);

	if (kind != rows[i].kind || p.drop != rows[i].drop)
		fprintf(stderr, "intake: %s: kind %u, drop %u\n", rows[i].what, kind, p.drop);
	CU_ASSERT_EQUAL(kind, rows[i].kind);
	CU_ASSERT_EQUAL(p.drop, rows[i].drop);
	CU_ASSERT_PTR_EQUAL(p.end, chunk + UMEM_CHUNK);
	CU_ASSERT_PTR_EQUAL(p.head, chunk + UMEM_L2_ROOM);
	if (!kind)
		return;
	CU_ASSERT_EQUAL(p.len, rows[i].ip_len);
	CU_ASSERT_PTR_EQUAL(p.l3, frame + rows[i].meta.l3_off);
	CU_ASSERT_EQUAL(p.id, rows[i].meta.id);
	CU_ASSERT_EQUAL(p.policy, rows[i].meta.policy);
	CU_ASSERT_EQUAL(p.l4_off, rows[i].meta.l4_off * 4);
	CU_ASSERT_PTR_NULL(p.sa);
	/* The chunk comes again with another frame and no metadata: it must not be believed. */
	CU_ASSERT_EQUAL(intake_frame(&p, frame, rows[i].frame_len, UMEM_CHUNK), 0);
	CU_ASSERT_EQUAL(p.drop, XESP_DROP_BAD_META);
}

static void metadata_rows(void)
{
	chunk = aligned_alloc(UMEM_CHUNK, UMEM_CHUNK);
	for (size_t i = 0; i < LEN(rows); i++)
		check_row(i);
	free(chunk);
}

static void frames_at_the_chunks_edges(void)
{
	struct pkt p;

	chunk = aligned_alloc(UMEM_CHUNK, UMEM_CHUNK);
	memset(chunk, 0, UMEM_CHUNK);
	CU_ASSERT_EQUAL(intake_frame(&p, chunk, 60, UMEM_CHUNK), 0);
	CU_ASSERT_EQUAL(p.drop, XESP_DROP_BAD_META);
	CU_ASSERT_EQUAL(intake_frame(&p, chunk + RX_OFF, UMEM_CHUNK - RX_OFF + 1, UMEM_CHUNK), 0);
	CU_ASSERT_EQUAL(p.drop, XESP_DROP_BAD_META);
	free(chunk);
}

static void frames_in_a_wide_buffer(void)
{
	const struct xesp_meta meta = { M, 7, 3, 14, 1, 0 };
	const uint16_t len = htons(9216);
	uint8_t *frame;
	struct pkt p;

	chunk = aligned_alloc(UMEM_CHUNK, UMEM_WIDE);
	memset(chunk, 0, UMEM_WIDE);
	frame = chunk + RX_OFF;
	for (int i = 0; i < 2; i++) {
		memcpy(frame - sizeof(meta), &meta, sizeof(meta));
		frame[14] = 0x45;
		memcpy(frame + 16, &len, sizeof(len));
		CU_ASSERT_EQUAL(intake_frame(&p, frame, 9230 - (uint32_t)i, UMEM_WIDE),
				i ? 0 : XESP_KIND_CLEAR);
		CU_ASSERT_EQUAL(p.drop, i ? XESP_DROP_MALFORMED_IP : XESP_DROP_NONE);
		CU_ASSERT_PTR_EQUAL(p.head, chunk + UMEM_L2_ROOM);
		CU_ASSERT_PTR_EQUAL(p.end, chunk + UMEM_WIDE);
	}
	CU_ASSERT_EQUAL(intake_frame(&p, frame, UMEM_WIDE - RX_OFF + 1, UMEM_WIDE), 0);
	CU_ASSERT_EQUAL(p.drop, XESP_DROP_BAD_META);
	free(chunk);
}

CU_TestInfo intake_tests[] = {
	{ "frames in a wide buffer", frames_in_a_wide_buffer },
	{ "metadata and headers, row by row", metadata_rows },
	{ "frames that do not lie in their chunk", frames_at_the_chunks_edges },
	CU_TEST_INFO_NULL,
};
