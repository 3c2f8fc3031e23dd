/* SPDX-License-Identifier: BSD-2-Clause */
/* The frame pools: every frame in exactly one place, and what happens when one is in two. */
#include <CUnit/CUnit.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "port/umem.h"
#include "xesp/fault.h"

#define FRAMES 64u
#define WIDES 5u
#define CHUNKS (FRAMES + WIDES * UMEM_WIDE_CHUNKS)

static struct umem *open_two(void)
{
	struct fault f = { "" };
	struct umem *u = NULL;

	const struct umem_size size = { .pools_n = 2, .frames_n = FRAMES, .wides_n = WIDES };

	CU_ASSERT_EQUAL_FATAL(umem_open(&u, &size, &f), 0);
	return u;
}

static void pools_do_not_overlap(void)
{
	struct umem *u = open_two();
	uint8_t seen[2 * CHUNKS] = { 0 };
	size_t len;
	uint8_t *area = umem_area(u, &len);

	CU_ASSERT_TRUE(len >= 2 * CHUNKS * UMEM_CHUNK);
	for (uint32_t w = 0; w < 2; w++) {
		struct umem_pool *p = umem_pool(u, w);
		uint64_t addr;

		while (umem_take(p, UMEM_HAND, &addr)) {
			CU_ASSERT_EQUAL(addr % UMEM_CHUNK, 0);
			CU_ASSERT_TRUE(addr + UMEM_CHUNK <= len);
			CU_ASSERT_EQUAL(seen[addr / UMEM_CHUNK], 0);
			seen[addr / UMEM_CHUNK] = 1;
			memset(area + addr, 0xab, UMEM_CHUNK);
		}
		CU_ASSERT_EQUAL(p->free_n, 0);
		while (umem_take_wide(p, &addr)) {
			CU_ASSERT_EQUAL(addr % UMEM_CHUNK, 0);
			CU_ASSERT_TRUE(addr + UMEM_WIDE <= len);
			for (uint32_t i = 0; i < UMEM_WIDE_CHUNKS; i++)
				seen[addr / UMEM_CHUNK + i]++;
			memset(area + addr, 0xab, UMEM_WIDE);
		}
		CU_ASSERT_EQUAL(p->wide_free_n, 0);
	}
	for (size_t i = 0; i < 2 * CHUNKS; i++)
		CU_ASSERT_EQUAL(seen[i], 1);
	umem_close(u);
}

static void frames_come_back_by_any_address_in_them(void)
{
	struct umem *u = open_two();
	struct umem_pool *p = umem_pool(u, 1);
	uint32_t by_owner[UMEM_OWNERS];
	uint64_t addr = 0, again = 0;

	CU_ASSERT_TRUE(umem_take(p, UMEM_RX(3), &addr));
	umem_move(p, addr + 300, UMEM_RX(3), UMEM_HAND);
	umem_move(p, addr + 200, UMEM_HAND, UMEM_TX(63));
	CU_ASSERT_TRUE(umem_census(p, by_owner));
	CU_ASSERT_EQUAL(by_owner[UMEM_TX(63)], 1);
	CU_ASSERT_EQUAL(by_owner[UMEM_FREE], CHUNKS - 1);
	umem_put(p, addr + UMEM_CHUNK - 1, UMEM_TX(63));
	CU_ASSERT_TRUE(umem_census(p, by_owner));
	CU_ASSERT_EQUAL(by_owner[UMEM_FREE], CHUNKS);
	CU_ASSERT_TRUE(umem_take(p, UMEM_HAND, &again));
	CU_ASSERT_EQUAL(again, addr);
	umem_close(u);
}

/* A frame that is freed twice would be sent and received at once: cleartext on the wire. */
static void a_frame_freed_twice_ends_the_process(void)
{
	struct umem *u = open_two();
	struct umem_pool *p = umem_pool(u, 0);
	uint64_t addr = 0;
	int status = 0;
	pid_t pid;

	umem_take(p, UMEM_HAND, &addr);
	umem_put(p, addr, UMEM_HAND);
	pid = fork();
	if (pid == 0) {
		close(STDERR_FILENO);
		umem_put(p, addr, UMEM_HAND);
		_exit(0);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_TRUE(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), EX_SOFTWARE);
	umem_close(u);
}

static void a_closed_port_gives_its_frames_back_late(void)
{
	struct umem *u = open_two();
	struct umem_pool *p = umem_pool(u, 0);
	uint32_t by_owner[UMEM_OWNERS];
	uint64_t addr = 0;

	for (int i = 0; i < 10; i++)
		umem_take(p, UMEM_RX(5), &addr);
	for (int i = 0; i < 3; i++)
		umem_take(p, UMEM_TX(5), &addr);
	for (int i = 0; i < 4; i++)
		umem_take(p, UMEM_RX(6), &addr);
	CU_ASSERT_EQUAL(umem_abandon(p, 5), 3);
	CU_ASSERT_TRUE(umem_census(p, by_owner));
	CU_ASSERT_EQUAL(by_owner[UMEM_QUARANTINE], 10);
	CU_ASSERT_EQUAL(by_owner[UMEM_RETIRED], 3);
	CU_ASSERT_EQUAL(by_owner[UMEM_RX(6)], 4);
	CU_ASSERT_EQUAL(p->free_n, FRAMES - 17);
	umem_reclaim(p);
	CU_ASSERT_TRUE(umem_census(p, by_owner));
	CU_ASSERT_EQUAL(by_owner[UMEM_QUARANTINE], 0);
	CU_ASSERT_EQUAL(by_owner[UMEM_RETIRED], 3);
	CU_ASSERT_EQUAL(p->free_n, FRAMES - 7);
	umem_close(u);
}

static void a_census_sees_what_does_not_agree(void)
{
	struct umem *u = open_two();
	struct umem_pool *p = umem_pool(u, 0);
	uint32_t by_owner[UMEM_OWNERS];

	CU_ASSERT_TRUE(umem_census(p, by_owner));
	p->owner[7] = UMEM_HAND;
	CU_ASSERT_FALSE(umem_census(p, by_owner));
	p->owner[7] = 200;
	CU_ASSERT_FALSE(umem_census(p, by_owner));
	umem_close(u);
}

static void too_much_memory_is_a_sentence(void)
{
	struct fault f = { "" };
	struct umem *u = NULL;

	const struct umem_size size = { .pools_n = 64, .frames_n = UINT32_MAX };

	CU_ASSERT_NOT_EQUAL(umem_open(&u, &size, &f), 0);
	CU_ASSERT_PTR_NULL(u);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "MiB"));
}

/* Every range of a wide buffer: what it touches is sent and completes in any order, the rest is given
 * back at once, and only then is the buffer free again. */
static void check_range(struct umem_pool *p, uint32_t from, uint32_t len, bool backwards)
{
	const uint32_t first = from / UMEM_CHUNK, last = (from + len - 1) / UMEM_CHUNK;
	uint32_t by_owner[UMEM_OWNERS];
	uint64_t addr = 0;

	CU_ASSERT_TRUE_FATAL(umem_take_wide(p, &addr));
	umem_trim(p, addr + from, len);
	CU_ASSERT_TRUE(umem_census(p, by_owner));
	CU_ASSERT_EQUAL(by_owner[UMEM_HAND], last - first + 1);
	for (uint32_t i = first; i <= last; i++)
		umem_move(p, addr + i * UMEM_CHUNK + 77, UMEM_HAND, UMEM_TX(2));
	for (uint32_t i = first; i <= last; i++) {
		CU_ASSERT_EQUAL(p->wide_free_n, WIDES - 1);
		umem_put(p, addr + (backwards ? last - (i - first) : i) * UMEM_CHUNK, UMEM_TX(2));
		CU_ASSERT_TRUE(umem_census(p, by_owner));
	}
	CU_ASSERT_EQUAL(p->wide_free_n, WIDES);
	CU_ASSERT_EQUAL(by_owner[UMEM_FREE], CHUNKS);
}

static void wide_buffers_come_back_in_pieces(void)
{
	static const uint32_t edges[] = { 0, 1, UMEM_CHUNK - 1, UMEM_CHUNK, UMEM_CHUNK + 1,
					  2 * UMEM_CHUNK - 1, 2 * UMEM_CHUNK, 2 * UMEM_CHUNK + 1,
					  UMEM_WIDE - 1, UMEM_WIDE };
	struct umem *u = open_two();
	struct umem_pool *p = umem_pool(u, 1);

	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		for (size_t k = i + 1; k < sizeof(edges) / sizeof(edges[0]); k++) {
			check_range(p, edges[i], edges[k] - edges[i], false);
			check_range(p, edges[i], edges[k] - edges[i], true);
		}
	umem_close(u);
}

/* Dropped: as taken, or when it was already trimmed. */
static void wide_buffers_come_back_whole(void)
{
	struct umem *u = open_two();
	struct umem_pool *p = umem_pool(u, 0);
	uint32_t by_owner[UMEM_OWNERS];
	uint64_t addr = 0;

	for (int i = 0; i < 3; i++) {
		CU_ASSERT_TRUE_FATAL(umem_take_wide(p, &addr));
		if (i)
			umem_trim(p, addr + 300, i == 1 ? 5000 : 100);
		umem_put_wide(p, addr + UMEM_L2_ROOM);
		CU_ASSERT_TRUE(umem_census(p, by_owner));
		CU_ASSERT_EQUAL(by_owner[UMEM_FREE], CHUNKS);
		CU_ASSERT_EQUAL(p->wide_free_n, WIDES);
	}
	for (uint32_t i = 0; i < WIDES; i++)
		CU_ASSERT_TRUE(umem_take_wide(p, &addr));
	CU_ASSERT_FALSE(umem_take_wide(p, &addr));
	umem_close(u);
}

static void a_wide_buffer_freed_twice_ends_the_process(void)
{
	struct umem *u = open_two();
	struct umem_pool *p = umem_pool(u, 0);
	uint64_t addr = 0;
	int status = 0;
	pid_t pid;

	umem_take_wide(p, &addr);
	umem_put_wide(p, addr);
	pid = fork();
	if (pid == 0) {
		close(STDERR_FILENO);
		umem_put_wide(p, addr);
		_exit(0);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_TRUE(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), EX_SOFTWARE);
	umem_close(u);
}

/* The kernel never gave one chunk back: the buffer is not used again, and all is accounted for. */
static void a_wide_buffer_half_retired_is_not_used_again(void)
{
	struct umem *u = open_two();
	struct umem_pool *p = umem_pool(u, 0);
	uint32_t by_owner[UMEM_OWNERS];
	uint64_t addr = 0;

	umem_take_wide(p, &addr);
	umem_trim(p, addr + 256, 5000);
	umem_move(p, addr + 256, UMEM_HAND, UMEM_TX(1));
	umem_move(p, addr + UMEM_CHUNK, UMEM_HAND, UMEM_TX(1));
	umem_put(p, addr + UMEM_CHUNK, UMEM_TX(1));
	CU_ASSERT_EQUAL(umem_abandon(p, 1), 1);
	umem_reclaim(p);
	CU_ASSERT_TRUE(umem_census(p, by_owner));
	CU_ASSERT_EQUAL(by_owner[UMEM_RETIRED], 1);
	CU_ASSERT_EQUAL(by_owner[UMEM_FREE], CHUNKS - 1);
	CU_ASSERT_EQUAL(p->wide_free_n, WIDES - 1);
	umem_close(u);
}

CU_TestInfo umem_tests[] = {
	{ "a wide buffer comes back in pieces, in any order", wide_buffers_come_back_in_pieces },
	{ "a wide buffer comes back whole", wide_buffers_come_back_whole },
	{ "a wide buffer freed twice ends the process",
	  a_wide_buffer_freed_twice_ends_the_process },
	{ "a wide buffer of which a chunk is retired", a_wide_buffer_half_retired_is_not_used_again },
	{ "two workers' pools do not overlap", pools_do_not_overlap },
	{ "a frame comes back by any address in it", frames_come_back_by_any_address_in_them },
	{ "a frame freed twice ends the process", a_frame_freed_twice_ends_the_process },
	{ "frames of a closed port: quarantined, retired, reclaimed",
	  a_closed_port_gives_its_frames_back_late },
	{ "a census sees what does not agree", a_census_sees_what_does_not_agree },
	{ "too much memory is refused with its size", too_much_memory_is_a_sentence },
	CU_TEST_INFO_NULL,
};
