/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames in pieces: every split is put together again, and every chunk and buffer comes back. */
#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>

#include "port/gather.h"
#include "port/umem.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define FRAMES 16u
#define WIDES 2u
#define CHUNKS (FRAMES + WIDES * UMEM_WIDE_CHUNKS)
#define PIECE (UMEM_CHUNK - UMEM_RX_ROOM)

static struct umem *umem;
static struct umem_pool *pool;

static const struct xesp_meta meta = { .magic = XESP_META_MAGIC, .id = 5, .policy = 6,
				       .l3_off = 14, .kind = XESP_KIND_CLEAR };

static void set_up(void)
{
	const struct umem_size size = { .pools_n = 2, .frames_n = FRAMES, .wides_n = WIDES };

	CU_ASSERT_EQUAL_FATAL(umem_open(&umem, &size, NULL), 0);
	pool = umem_pool(umem, 1);
}

static void all_there(void)
{
	uint32_t by_owner[UMEM_OWNERS];

	CU_ASSERT_TRUE(umem_census(pool, by_owner));
	CU_ASSERT_EQUAL(by_owner[UMEM_FREE], CHUNKS);
}

static void tear_down(void)
{
	all_there();
	umem_close(umem);
}

static uint8_t byte_at(uint32_t i)
{
	return (uint8_t)(i * 31 + (i >> 8));
}

/* A received descriptor with the `len` bytes of a frame from `at` on. */
static struct xdp_desc piece(uint32_t at, uint32_t len, bool goes_on)
{
	struct xdp_desc d = { .len = len, .options = goes_on ? XDP_PKT_CONTD : 0 };
	uint64_t addr = 0;

	CU_ASSERT_TRUE_FATAL(umem_take(pool, UMEM_HAND, &addr));
	d.addr = addr + UMEM_RX_ROOM;
	for (uint32_t i = 0; i < len; i++)
		pool->area[d.addr + i] = byte_at(at + i);
	if (!at)
		memcpy(pool->area + d.addr - sizeof(meta), &meta, sizeof(meta));
	return d;
}

static bool is_whole(const struct gather *g, uint32_t len)
{
	const uint8_t *frame = pool->area + gather_frame(g);
	bool same = g->len == len && !memcmp(frame - sizeof(meta), &meta, sizeof(meta));

	for (uint32_t i = 0; i < len && same; i++)
		same = frame[i] == byte_at(i);
	return same;
}

/* A frame of `len` bytes in pieces of `a`, `b` and the rest; those of no bytes are left out. */
static void check_split(uint32_t len, uint32_t a, uint32_t b)
{
	const uint32_t parts[] = { a, b, len - a - b };
	struct gather g = { 0 };
	uint32_t at = 0;

	for (size_t i = 0; i < LEN(parts); i++) {
		bool last = at + parts[i] == len;
		struct xdp_desc d;

		if (!parts[i])
			continue;
		d = piece(at, parts[i], !last);
		CU_ASSERT_EQUAL(gather_add(&g, pool, &d), last ? GATHER_WHOLE : GATHER_GOES_ON);
		at += parts[i];
		if (last)
			break;
	}
	CU_ASSERT_FALSE(g.going);
	CU_ASSERT_TRUE(is_whole(&g, len));
	umem_put_wide(pool, gather_frame(&g));
	all_there();
}

static void every_split(void)
{
	set_up();
	for (uint32_t len = 60; len <= 200; len += 35)
		for (uint32_t a = 1; a <= len; a++)
			for (uint32_t b = 0; b <= len - a; b += 3)
				check_split(len, a, b);
	/* As the kernel cuts them: all pieces full but the last. */
	for (uint32_t len = 2 * PIECE - 20; len <= GATHER_FRAME_MAX; len++)
		check_split(len, PIECE, len > 2 * PIECE ? PIECE : len - PIECE);
	/* One piece, for want of room behind it. */
	for (uint32_t len = PIECE - GATHER_TAIL; len <= PIECE; len++)
		check_split(len, len, 0);
	tear_down();
}

static void which_take_the_detour(void)
{
	static const struct { uint32_t len; bool goes_on, going, wants; } rows[] = {
		{ 64, false, false, false },
		{ PIECE - GATHER_TAIL, false, false, false },
		{ PIECE - GATHER_TAIL + 1, false, false, true },
		{ PIECE, false, false, true },
		{ 64, true, false, true },
		{ 64, false, true, true },
	};

	for (size_t i = 0; i < LEN(rows); i++) {
		const struct gather g = { .going = rows[i].going };
		const struct xdp_desc d = { .addr = 7 * UMEM_CHUNK + UMEM_RX_ROOM,
					    .len = rows[i].len,
					    .options = rows[i].goes_on ? XDP_PKT_CONTD : 0 };

		CU_ASSERT_EQUAL(gather_wants(&g, &d), rows[i].wants);
	}
}

/* However it is cut, and however long it goes on; and the next frame is as good as ever. */
static void too_big(void)
{
	static const uint32_t cuts[] = { 1, 700, PIECE };

	set_up();
	for (size_t i = 0; i < LEN(cuts); i++) {
		for (uint32_t len = GATHER_FRAME_MAX; len < GATHER_FRAME_MAX + 3 * PIECE;
		     len += i ? 641 : 6000) {
			enum gather_state state = GATHER_GOES_ON;
			struct gather g = { 0 };

			for (uint32_t at = 0; at < len; at += cuts[i]) {
				uint32_t n = len - at < cuts[i] ? len - at : cuts[i];
				struct xdp_desc d = piece(at, n, at + n < len);

				CU_ASSERT_EQUAL(state, GATHER_GOES_ON);
				state = gather_add(&g, pool, &d);
			}
			if (len == GATHER_FRAME_MAX) {
				CU_ASSERT_EQUAL(state, GATHER_WHOLE);
				CU_ASSERT_TRUE(is_whole(&g, len));
				umem_put_wide(pool, gather_frame(&g));
			} else {
				CU_ASSERT_EQUAL(state, GATHER_LOST);
				CU_ASSERT_EQUAL(g.why, XESP_DROP_RX_TOO_BIG);
			}
			all_there();
		}
	}
	check_split(5000, PIECE, 0);
	tear_down();
}

static void no_buffer(void)
{
	uint64_t wide[WIDES];
	struct gather g = { 0 };
	struct xdp_desc d;

	set_up();
	for (uint32_t i = 0; i < WIDES; i++)
		CU_ASSERT_TRUE(umem_take_wide(pool, &wide[i]));
	d = piece(0, PIECE, true);
	CU_ASSERT_EQUAL(gather_add(&g, pool, &d), GATHER_GOES_ON);
	umem_put_wide(pool, wide[0]); /* too late for this frame */
	d = piece(PIECE, 100, false);
	CU_ASSERT_EQUAL(gather_add(&g, pool, &d), GATHER_LOST);
	CU_ASSERT_EQUAL(g.why, XESP_DROP_NO_FRAME);
	umem_put_wide(pool, wide[1]);
	check_split(5000, PIECE, 0);
	tear_down();
}

/* The port goes away in the middle of a frame. */
static void abandoned(void)
{
	struct gather g = { 0 };
	struct xdp_desc d;

	set_up();
	gather_abandon(&g, pool);
	all_there();
	d = piece(0, PIECE, true);
	gather_add(&g, pool, &d);
	gather_abandon(&g, pool);
	CU_ASSERT_FALSE(g.going);
	all_there();
	for (int i = 0; i < 4; i++) {
		d = piece(i ? PIECE : 0, PIECE, true);
		gather_add(&g, pool, &d);
	}
	CU_ASSERT_EQUAL(g.why, XESP_DROP_RX_TOO_BIG);
	gather_abandon(&g, pool);
	tear_down();
}

/* The chunk is used again for a frame that XDP said nothing about: the old word must not be there. */
static void metadata_is_read_once(void)
{
	static const uint8_t none[sizeof(meta)];
	struct gather g = { 0 };
	struct xdp_desc d, again;

	set_up();
	d = piece(0, PIECE, true);
	again = d;
	gather_add(&g, pool, &d);
	CU_ASSERT_EQUAL(memcmp(pool->area + again.addr - sizeof(meta), none, sizeof(meta)), 0);
	d = piece(PIECE, 10, false);
	CU_ASSERT_EQUAL(gather_add(&g, pool, &d), GATHER_WHOLE);
	CU_ASSERT_TRUE(is_whole(&g, PIECE + 10));
	umem_put_wide(pool, gather_frame(&g));
	/* Without room for metadata there is none. */
	d = piece(0, 100, false);
	d.addr = (d.addr & UMEM_CHUNK_MASK) + 8;
	CU_ASSERT_EQUAL(gather_add(&g, pool, &d), GATHER_WHOLE);
	CU_ASSERT_EQUAL(memcmp(pool->area + gather_frame(&g) - sizeof(meta), none, sizeof(meta)), 0);
	umem_put_wide(pool, gather_frame(&g));
	tear_down();
}

/* Out again: contiguous, each descriptor in one chunk, all but the last marked. */
static void check_scatter(uint32_t off, uint32_t len)
{
	struct xdp_desc out[UMEM_WIDE_CHUNKS];
	uint32_t n, by_owner[UMEM_OWNERS];
	uint64_t wide = 0, at;

	CU_ASSERT_TRUE_FATAL(umem_take_wide(pool, &wide));
	at = wide + off;
	n = gather_scatter(pool, at, len, out);
	CU_ASSERT_EQUAL(n, (off + len - 1) / UMEM_CHUNK - off / UMEM_CHUNK + 1);
	for (uint32_t i = 0; i < n; i++) {
		CU_ASSERT_EQUAL(out[i].addr, at);
		CU_ASSERT_TRUE(out[i].len > 0);
		CU_ASSERT_EQUAL(out[i].addr & UMEM_CHUNK_MASK,
				(out[i].addr + out[i].len - 1) & UMEM_CHUNK_MASK);
		CU_ASSERT_EQUAL(out[i].options, i + 1 < n ? XDP_PKT_CONTD : 0);
		at += out[i].len;
	}
	CU_ASSERT_EQUAL(at, wide + off + len);
	umem_census(pool, by_owner);
	CU_ASSERT_EQUAL(by_owner[UMEM_HAND], n);
	umem_put_wide(pool, wide);
	all_there();
}

static void every_scatter(void)
{
	set_up();
	for (uint32_t off = 0; off < UMEM_CHUNK; off += 97)
		for (uint32_t len = 14; len <= UMEM_WIDE - off; len += 203)
			check_scatter(off, len);
	for (uint32_t edge = UMEM_CHUNK; edge < UMEM_WIDE; edge += UMEM_CHUNK)
		for (uint32_t len = edge - 300; len <= edge - 200; len++)
			check_scatter(240, len);
	check_scatter(UMEM_CHUNK + 5, 60);
	check_scatter(2 * UMEM_CHUNK + 5, 60);
	tear_down();
}

CU_TestInfo gather_tests[] = {
	{ "which descriptors are copied", which_take_the_detour },
	{ "every split is put together again", every_split },
	{ "a frame that is too big is lost, whatever its pieces", too_big },
	{ "without a buffer the frame is lost, and no other", no_buffer },
	{ "a port that goes away in the middle of a frame", abandoned },
	{ "metadata is read once", metadata_is_read_once },
	{ "every packet is cut into chunks again", every_scatter },
	CU_TEST_INFO_NULL,
};
