/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames larger than a page: the driver hands the program their beginning and keeps the rest in
 * fragments that it cannot read. What the headers say is compared with the whole length, what is
 * read lies in the beginning, and the metadata goes before it.
 */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "gateway.h"

#define P_TUNNEL 11
#define LINEAR 3000 /* less than any kernel's limit, which is a page less headroom and tailroom */
#define DST "192.0.2.1"
#define DST6 "2001:db8:ffff::1"

static const struct gateway_policy policies[] = {
	{ .id = P_TUNNEL, .action = XESP_ACTION_PROTECT, .tunnel = 5, .local = "10.1.0.0/16",
	  .remote = "10.2.0.0/16" },
	{ .id = P_TUNNEL, .action = XESP_ACTION_PROTECT, .tunnel = 5, .local = "2001:db8:1::/48",
	  .remote = "2001:db8:2::/48" },
};
static const struct frame_spec clear4 = { .src = "10.1.0.5", .dst = "10.2.0.9", .proto = 17 };
static const struct frame_spec clear6 = { .src = "2001:db8:1::5", .dst = "2001:db8:2::9",
					  .proto = 6, .ext = { 0, 60 }, .ext_n = 2, .vlans = 2 };
static const struct frame_spec esp4 = { .src = "192.0.2.9", .dst = DST, .proto = 50, .spi = 300 };
static const struct frame_spec esp6 = { .src = "2001:db8:ffff::9", .dst = DST6, .proto = 50,
					.spi = 300 };
static const struct expect clear_goes = { XDP_REDIRECT, 0, P_TUNNEL };
static const struct expect esp_goes = { XDP_REDIRECT, 0, 0 };
static const struct expect malformed = { XDP_DROP, XESP_DROP_MALFORMED_IP, 0 };

static void set_up(struct gateway *g, const char *program, uint32_t linear)
{
	gateway_open(g, program);
	gateway_worker_add(g);
	gateway_policies(g, GATEWAY_GENERATION, policies, LEN(policies), XESP_ACTION_DISCARD);
	gateway_endpoint(g, DST);
	gateway_endpoint(g, DST6);
	gateway_sa(g, DST, 300, 21);
	gateway_sa(g, DST6, 300, 22);
	g->linear_len = linear;
}

/* The packet grows to fill a frame of `len` bytes, with payload that is not all the same. */
static void grow(struct frame *f, const struct frame_spec *s, uint32_t len)
{
	frame_build(f, s);
	for (uint32_t i = f->len; i < len; i++)
		f->bytes[i] = (uint8_t)(i * 7 + (i >> 8));
	f->len = len;
	frame_set_end(f, len);
}

static const uint32_t sizes[] = { LINEAR, LINEAR + 1, 4096, 4097, 8000, 9014, 9230, 9238 };

/* gateway_expect_meta() compares the frame, too: all of it is there, untouched. */
static void clear(void)
{
	struct xesp_meta meta = { .magic = XESP_META_MAGIC, .id = 5, .policy = P_TUNNEL,
				  .kind = XESP_KIND_CLEAR };
	static struct frame f;
	struct gateway g;

	set_up(&g, "xdp_inner", LINEAR);
	for (size_t i = 0; i < LEN(sizes); i++) {
		grow(&f, &clear4, sizes[i]);
		meta.l3_off = 14;
		CU_ASSERT_TRUE(gateway_expect_meta(&g, "IPv4", &f, &clear_goes, &meta));
		grow(&f, &clear6, sizes[i]);
		meta.l3_off = 22;
		CU_ASSERT_TRUE(gateway_expect_meta(&g, "IPv6", &f, &clear_goes, &meta));
	}
	gateway_close(&g);
}

static void esp(const char *program)
{
	struct xesp_meta meta = { .magic = XESP_META_MAGIC, .l3_off = 14, .kind = XESP_KIND_ESP };
	static struct frame f;
	struct gateway g;

	set_up(&g, program, LINEAR);
	for (size_t i = 0; i < LEN(sizes); i++) {
		grow(&f, &esp4, sizes[i]);
		meta.id = 21;
		meta.l4_off = 20 / 4;
		CU_ASSERT_TRUE(gateway_expect_meta(&g, "IPv4", &f, &esp_goes, &meta));
		grow(&f, &esp6, sizes[i]);
		meta.id = 22;
		meta.l4_off = 40 / 4;
		CU_ASSERT_TRUE(gateway_expect_meta(&g, "IPv6", &f, &esp_goes, &meta));
	}
	gateway_close(&g);
}

static void esp_outer(void)
{
	esp("xdp_outer");
}

static void esp_onearm(void)
{
	esp("xdp_onearm");
}

/* The end that the header names is the frame's, not that of what can be read. */
static void end_by_the_whole_length(void)
{
	static struct frame f;
	struct gateway g;

	set_up(&g, "xdp_inner", LINEAR);
	grow(&f, &clear4, 9000);
	CU_ASSERT_TRUE(gateway_expect(&g, "whole", &f, 9000, &clear_goes));
	CU_ASSERT_TRUE(gateway_expect(&g, "one byte short", &f, 8999, &malformed));
	CU_ASSERT_TRUE(gateway_expect(&g, "cut within a fragment", &f, 4500, &malformed));
	CU_ASSERT_TRUE(gateway_expect(&g, "only the beginning", &f, LINEAR, &malformed));
	grow(&f, &clear6, 9000);
	CU_ASSERT_TRUE(gateway_expect(&g, "whole, IPv6", &f, 9000, &clear_goes));
	CU_ASSERT_TRUE(gateway_expect(&g, "one byte short, IPv6", &f, 8999, &malformed));
	/* Padding of any length is no matter, wherever it lies. */
	grow(&f, &clear4, 100);
	f.len = 9000;
	CU_ASSERT_TRUE(gateway_expect(&g, "padded", &f, 9000, &clear_goes));
	gateway_close(&g);
}

/* A header that the program cannot read, though the frame is long enough: dropped, not guessed. */
static void headers_in_a_fragment(void)
{
	static const struct expect cut = { XDP_DROP, XESP_DROP_MALFORMED_L4, 0 };
	static struct frame f;
	struct gateway g;

	set_up(&g, "xdp_inner", 0);
	grow(&f, &clear4, 9000);
	for (g.linear_len = 14; g.linear_len < 40; g.linear_len++) {
		const struct expect *want = g.linear_len < 34 ? &malformed :
					    g.linear_len < 38 ? &cut : &clear_goes;

		CU_ASSERT_TRUE(gateway_expect(&g, "linear part", &f, 9000, want));
	}
	gateway_close(&g);
}

CU_TestInfo jumbo_tests[] = {
	{ "cleartext of every size up to 9238 bytes goes to the worker", clear },
	{ "ESP of every size up to 9238 bytes goes to the worker", esp_outer },
	{ "the same on one arm", esp_onearm },
	{ "the IP length is compared with the whole frame", end_by_the_whole_length },
	{ "headers that lie in a fragment are a counted drop", headers_in_a_fragment },
	CU_TEST_INFO_NULL,
};
