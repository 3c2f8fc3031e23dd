/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inbound SAs that the kernel has too, while they change hands: bpf/handover.h. Who may have a packet, what is noted of
 * the numbers that the kernel gets, and which it does not get for want of a worker.
 */
#include <CUnit/Basic.h>
#include <bpf/bpf.h>
#include <string.h>

#include "gateway.h"

#define SA 7
#define SPI 0xc0ffee01

static const struct expect redirect = { XDP_REDIRECT, 0, 0 };
static const struct expect pass = { XDP_PASS, 0, 0 };
static const struct expect held = { XDP_DROP, XESP_DROP_HANDOVER, 0 };

enum wrap { BARE, UDP, AH };

static void set_up(struct gateway *g)
{
	const uint32_t zero = 0;
	struct xesp_conf conf;

	gateway_open(g, "xdp_outer");
	gateway_generation(g, GATEWAY_GENERATION);
	gateway_endpoint(g, "192.0.2.1");
	gateway_natt_port(g, 4500);
	CU_ASSERT_EQUAL_FATAL(bpf_map_lookup_elem(g->map[PINS_CONF], &zero, &conf), 0);
	conf.kernel = XESP_KERNEL_SPIS | XESP_KERNEL_FALLBACK;
	CU_ASSERT_EQUAL_FATAL(bpf_map_update_elem(g->map[PINS_CONF], &zero, &conf, BPF_ANY), 0);
}

static void put32(uint8_t *at, uint32_t v)
{
	const uint8_t bytes[] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	memcpy(at, bytes, sizeof(bytes));
}

static void build(struct frame *f, enum wrap wrap, uint32_t seq)
{
	const struct frame_spec bare = { .src = "192.0.2.2", .dst = "192.0.2.1", .proto = wrap == AH ? 51 : 50, .spi = SPI };
	const struct frame_spec udp = { .src = "192.0.2.2", .dst = "192.0.2.1", .proto = 17, .sport = 4500, .dport = 4500 };
	uint8_t *l4;

	frame_build(f, wrap == UDP ? &udp : &bare);
	l4 = f->bytes + f->l4_off;
	if (wrap == UDP) { /* ESP behind its 8 bytes */
		f->len = f->l4_off + 24;
		frame_set_end(f, f->len);
		put32(l4 + 4, 24u << 16);
		put32(l4 + 8, SPI);
		put32(l4 + 12, seq);
		return;
	}
	put32(l4 + (wrap == AH ? 8 : 4), seq);
}

static void set_state(struct gateway *g, const struct xesp_sa_state *st)
{
	const uint32_t id = SA;

	CU_ASSERT_EQUAL_FATAL(bpf_map_update_elem(g->map[PINS_SA_STATE], &id, st, BPF_ANY), 0);
}

static uint32_t noted(struct gateway *g)
{
	struct xesp_sa_state st;
	const uint32_t id = SA;

	CU_ASSERT_EQUAL_FATAL(bpf_map_lookup_elem(g->map[PINS_SA_STATE], &id, &st), 0);
	return st.kernel_top;
}

static void set_handover(struct gateway *g, enum wrap wrap, uint32_t handover)
{
	struct xesp_sa_in_key key = { .spi = __builtin_bswap32(SPI), .proto = wrap == AH ? 51 : 50 };
	const struct xesp_sa_in_val val = { SA, 1, handover };

	key.dst.w[2] = __builtin_bswap32(0xffff);
	key.dst.w[3] = __builtin_bswap32(0xc0000201);
	CU_ASSERT_EQUAL_FATAL(bpf_map_update_elem(g->map[PINS_SA_IN], &key, &val, BPF_ANY), 0);
}

static void who_may_have_it(void)
{
	static const struct {
		const char *what;
		uint32_t handover, holder;
		const struct expect *expect;
	} rows[] = {
		{ "nobody asks", 0, XESP_HOLDER_NOBODY, &redirect },
		{ "workers", 1, XESP_HOLDER_WORKERS, &redirect },
		{ "kernel", 1, XESP_HOLDER_KERNEL, &pass },
		{ "nobody", 1, XESP_HOLDER_NOBODY, &held },
		{ "a holder that there is not", 1, 9, &held },
	};

	for (enum wrap wrap = BARE; wrap <= AH; wrap++) {
		struct gateway g;
		struct frame f;

		set_up(&g);
		gateway_worker_add(&g);
		build(&f, wrap, 5);
		for (size_t i = 0; i < LEN(rows); i++) {
			const struct xesp_sa_state st = { .esn = 1, .window = 64, .holder = rows[i].holder };

			set_handover(&g, wrap, rows[i].handover);
			set_state(&g, &st);
			CU_ASSERT_TRUE(gateway_expect(&g, rows[i].what, &f, f.len, rows[i].expect));
			CU_ASSERT_EQUAL(noted(&g), rows[i].expect == &pass ? 5 : 0);
		}
		gateway_close(&g);
	}
}

static void what_is_noted(void)
{
	static const struct {
		uint8_t esn;
		uint32_t before, seq, after;
	} rows[] = {
		{ 1, 0, 1, 1 },
		{ 1, 0, 0, 1 },
		{ 1, 0, 0xf0000000, 0xf0000000 },
		{ 1, 5, 4, 5 },
		{ 1, 5, 5, 5 },
		{ 1, 5, 6, 6 },
		{ 1, 0xffffffff, 2, 2 },
		{ 1, 2, 0xffffffff, 2 },
		{ 0, 5, 0xf0000000, 0xf0000000 },
		{ 0, 0xf0000000, 5, 0xf0000000 },
	};
	struct gateway g;
	struct frame f;

	set_up(&g);
	set_handover(&g, BARE, 1);
	for (size_t i = 0; i < LEN(rows); i++) {
		const struct xesp_sa_state st = { .esn = rows[i].esn, .holder = XESP_HOLDER_KERNEL, .kernel_top = rows[i].before };

		set_state(&g, &st);
		build(&f, BARE, rows[i].seq);
		CU_ASSERT_TRUE(gateway_expect(&g, "noted", &f, f.len, &pass));
		CU_ASSERT_EQUAL(noted(&g), rows[i].after);
	}
	gateway_close(&g);
}

/* keyd may be dead as well: what the workers have accepted stands in the maps. */
static void without_a_worker(void)
{
	static const struct {
		uint8_t esn;
		uint32_t window;
		uint64_t top;
		uint32_t seq;
		const struct expect *expect;
	} rows[] = {
		{ 1, 64, 0, 1, &pass },
		{ 1, 64, 100, 101, &pass },
		{ 1, 64, 100, 100, &held },
		{ 1, 64, 100, 1, &held },
		{ 1, 64, (1ull << 32) + 2, 3, &pass },
		{ 1, 64, (1ull << 32) + 2, 2, &held },
		{ 1, 64, (1ull << 32) + 2, 0xffffffff, &held },
		{ 1, 64, (1ull << 32) - 2, 1, &pass },
		{ 0, 64, 100, 0xf0000000, &pass },
		{ 0, 64, 0xf0000000, 100, &held },
		{ 0, 0, 100, 100, &pass },
	};

	for (enum wrap wrap = BARE; wrap <= AH; wrap++) {
		struct gateway g;
		struct frame f;

		set_up(&g);
		set_handover(&g, wrap, 0);
		for (size_t i = 0; i < LEN(rows); i++) {
			const struct xesp_sa_state st = { .esn = rows[i].esn, .window = rows[i].window, .replay_top = rows[i].top };

			set_state(&g, &st);
			build(&f, wrap, rows[i].seq);
			CU_ASSERT_TRUE(gateway_expect(&g, "fallback", &f, f.len, rows[i].expect));
		}
		gateway_close(&g);
	}
}

CU_TestInfo handover_tests[] = {
	{ "handover: who may have a packet", who_may_have_it },
	{ "handover: the highest number that the kernel got is noted", what_is_noted },
	{ "handover: without a worker the kernel gets what is new", without_a_worker },
	CU_TEST_INFO_NULL,
};
