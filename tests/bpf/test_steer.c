/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way to the worker, bpf/steer.h: which socket, and what is in the way of the metadata. What
 * cannot reach the one right socket is a counted drop.
 */
#include <CUnit/Basic.h>
#include <bpf/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway.h"

#define P_TUNNEL 11
#define VETH "xespq0"
#define VETH_PORT 5

static const struct gateway_policy policy = { .id = P_TUNNEL,
					      .action = XESP_ACTION_PROTECT,
					      .tunnel = 5,
					      .local = "10.1.0.0/16",
					      .remote = "10.2.0.0/16" };
static const struct frame_spec spec = { .src = "10.1.0.5", .dst = "10.2.0.9", .proto = 6 };
static const struct expect redirect = { XDP_REDIRECT, 0, P_TUNNEL };
static const struct expect no_worker = { XDP_DROP, XESP_DROP_NO_WORKER, P_TUNNEL };
static const struct expect no_headroom = { XDP_DROP, XESP_DROP_NO_HEADROOM, P_TUNNEL };

static void set_up(struct gateway *g, struct frame *f)
{
	gateway_open(g, "xdp_inner");
	gateway_worker_add(g);
	gateway_policies(g, GATEWAY_GENERATION, &policy, 1, XESP_ACTION_DISCARD);
	frame_build(f, &spec);
}

/* A worker reads the 16 bytes right before the frame, whoever laid something there first. */
static void foreign_metadata(void)
{
	static const struct xesp_meta meta = { .magic = XESP_META_MAGIC, .id = 5,
					       .policy = P_TUNNEL, .l3_off = 14,
					       .kind = XESP_KIND_CLEAR };
	struct gateway g;
	struct frame f;

	set_up(&g, &f);
	for (uint32_t len = 0; len <= 32; len += 4) {
		g.foreign_meta_len = len;
		CU_ASSERT_TRUE(gateway_expect_meta(&g, "metadata", &f, &redirect, &meta));
	}
	gateway_close(&g);
}

static void unknown_interface(void)
{
	const uint32_t lo = 1;
	struct gateway g;
	struct frame f;

	set_up(&g, &f);
	CU_ASSERT_TRUE(gateway_expect(&g, "known interface", &f, f.len, &redirect));
	CU_ASSERT_EQUAL(bpf_map_delete_elem(g.map[PINS_IFACES], &lo), 0);
	CU_ASSERT_TRUE(gateway_expect(&g, "interface not in xesp_ifaces", &f, f.len, &no_worker));
	gateway_iface(&g, lo, GATEWAY_PORT + 1);
	CU_ASSERT_TRUE(gateway_expect(&g, "interface of another port", &f, f.len, &no_worker));
	/* Beyond the map: ports are bounded by attach, but not to be trusted here. */
	gateway_iface(&g, lo, 0x4000000 + GATEWAY_PORT);
	CU_ASSERT_TRUE(gateway_expect(&g, "port that wraps around to ours", &f, f.len,
				      &no_worker));
	gateway_close(&g);
}

/* Without a worker the kernel takes over, where it has the same policies and SAs; else nobody does. */
static void fallback(void)
{
	static const struct expect pass = { XDP_PASS, 0, P_TUNNEL };
	static const struct expect bare_pass = { XDP_PASS, 0, 0 };
	static const struct expect no_sa = { XDP_DROP, XESP_DROP_NO_SA, 0 };
	static const struct frame_spec esp = { .src = "192.0.2.2", .dst = "192.0.2.1", .proto = 50,
						.spi = 0xc0ffee01 };
	const uint32_t zero = 0;
	struct xesp_conf conf;
	struct gateway g;
	struct frame f;

	set_up(&g, &f);
	gateway_worker_del(&g);
	CU_ASSERT_TRUE(gateway_expect(&g, "no worker, no fallback", &f, f.len, &no_worker));
	CU_ASSERT_EQUAL_FATAL(bpf_map_lookup_elem(g.map[PINS_CONF], &zero, &conf), 0);
	conf.kernel = XESP_KERNEL_FALLBACK;
	CU_ASSERT_EQUAL_FATAL(bpf_map_update_elem(g.map[PINS_CONF], &zero, &conf, BPF_ANY), 0);
	CU_ASSERT_TRUE(gateway_expect(&g, "no worker, the kernel takes it", &f, f.len, &pass));
	gateway_worker_add(&g);
	CU_ASSERT_TRUE(gateway_expect(&g, "a worker goes first", &f, f.len, &redirect));
	gateway_close(&g);

	gateway_open(&g, "xdp_outer");
	gateway_policies(&g, GATEWAY_GENERATION, &policy, 1, XESP_ACTION_DISCARD);
	gateway_endpoint(&g, "192.0.2.1");
	gateway_local(&g, "192.0.2.1");
	frame_build(&f, &esp);
	CU_ASSERT_TRUE(gateway_expect(&g, "an unknown SPI", &f, f.len, &no_sa));
	CU_ASSERT_EQUAL_FATAL(bpf_map_lookup_elem(g.map[PINS_CONF], &zero, &conf), 0);
	conf.kernel = XESP_KERNEL_SPIS;
	CU_ASSERT_EQUAL_FATAL(bpf_map_update_elem(g.map[PINS_CONF], &zero, &conf, BPF_ANY), 0);
	CU_ASSERT_TRUE(gateway_expect(&g, "an unknown SPI is the kernel's", &f, f.len, &bare_pass));
	gateway_close(&g);
}

/* Redirecting to a socket of another queue loses the frame uncounted: never do it. */
static void each_queue_its_socket(void)
{
	struct gateway g;
	struct frame f;

	set_up(&g, &f);
	CU_ASSERT_EQUAL_FATAL(system("ip link add " VETH " numrxqueues 65 numtxqueues 65 type veth "
				     "peer name xespq1 numrxqueues 65 numtxqueues 65 && "
				     "ip link set " VETH " up && ip link set xespq1 up"), 0);
	g.ifindex = if_nametoindex(VETH);
	gateway_iface(&g, g.ifindex, VETH_PORT);
	gateway_worker_also_at(&g, VETH_PORT, 3);
	gateway_worker_also_at(&g, VETH_PORT + 1, 0); /* where queue 64 would come to lie */
	/* With a program veth registers its queues, which BPF_PROG_TEST_RUN asks for. */
	CU_ASSERT_EQUAL(bpf_xdp_attach((int)g.ifindex, g.prog, XDP_FLAGS_DRV_MODE, NULL), 0);
	for (g.queue = 0; g.queue < 65; g.queue++)
		CU_ASSERT_TRUE(gateway_expect(&g, "queue", &f, f.len,
					      g.queue == 3 ? &redirect : &no_worker));
	CU_ASSERT_EQUAL(system("ip link del " VETH), 0);
	gateway_close(&g);
}

static void worker_comes_and_goes(void)
{
	struct gateway g;
	struct frame f;

	set_up(&g, &f);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_TRUE(gateway_expect(&g, "worker", &f, f.len, &redirect));
		gateway_worker_del(&g);
		CU_ASSERT_TRUE(gateway_expect(&g, "no worker", &f, f.len, &no_worker));
		gateway_worker_add(&g);
	}
	gateway_close(&g);
}

#define INSN(code_, dst, src, off_, imm_) \
	{ .code = code_, .dst_reg = dst, .src_reg = src, .off = off_, .imm = imm_ }
#define MOV_REG(dst, src) INSN(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define MOV_IMM(dst, imm_) INSN(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm_)
#define CALL(func) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, func)
#define COPIED 64

/*
 * A driver that leaves `room` bytes: a program that moves the frame's start down to there, copies
 * the headers after it, and calls the one in `array`.
 */
static int prog_with_headroom(int array, int room)
{
	const int down = XDP_PACKET_HEADROOM - room;
	const struct bpf_insn insns[] = {
		MOV_REG(BPF_REG_6, BPF_REG_1),
		MOV_IMM(BPF_REG_2, -down),
		CALL(BPF_FUNC_xdp_adjust_head),
		MOV_REG(BPF_REG_1, BPF_REG_6),
		MOV_IMM(BPF_REG_2, down),
		MOV_REG(BPF_REG_3, BPF_REG_10),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, -COPIED),
		MOV_IMM(BPF_REG_4, COPIED),
		CALL(BPF_FUNC_xdp_load_bytes),
		MOV_REG(BPF_REG_1, BPF_REG_6),
		MOV_IMM(BPF_REG_2, 0),
		MOV_REG(BPF_REG_3, BPF_REG_10),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, -COPIED),
		MOV_IMM(BPF_REG_4, COPIED),
		CALL(BPF_FUNC_xdp_store_bytes),
		MOV_REG(BPF_REG_1, BPF_REG_6),
		INSN(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_2, BPF_PSEUDO_MAP_FD, 0, array),
		INSN(0, 0, 0, 0, 0),
		MOV_IMM(BPF_REG_3, 0),
		CALL(BPF_FUNC_tail_call),
		MOV_IMM(BPF_REG_0, XDP_ABORTED),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	/* The same type and flags as our program's, or the array does not take both. */
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_XDP,
		    .prog_flags = BPF_F_XDP_HAS_FRAGS);
	int chain;

	chain = bpf_prog_load(BPF_PROG_TYPE_XDP, "headroom", "GPL", insns, LEN(insns), &opts);
	CU_ASSERT_FATAL(chain >= 0);
	return chain;
}

static void headroom(void)
{
	static const struct {
		int room; /* the kernel keeps the first 40 of them */
		const struct expect *expect;
	} rooms[] = { { 256, &redirect }, { 64, &redirect }, { 56, &redirect },
		      { 52, &no_headroom }, { 40, &no_headroom } };
	const uint32_t zero = 0;
	struct gateway g;
	struct frame f;
	int array;

	set_up(&g, &f);
	array = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "chain", 4, 4, 1, NULL);
	CU_ASSERT_FATAL(array >= 0);
	CU_ASSERT_EQUAL_FATAL(bpf_map_update_elem(array, &zero, &g.prog, BPF_ANY), 0);
	for (size_t i = 0; i < LEN(rooms); i++) {
		g.prog = prog_with_headroom(array, rooms[i].room);
		CU_ASSERT_TRUE(gateway_expect(&g, "headroom", &f, f.len, rooms[i].expect));
		close(g.prog);
	}
	close(array); /* only now: the kernel empties it when nobody has it open */
	gateway_close(&g);
}

CU_TestInfo steer_tests[] = {
	{ "metadata lies right before the frame, whatever was there", foreign_metadata },
	{ "no headroom for the metadata is a counted drop", headroom },
	{ "an interface that was not attached has no worker", unknown_interface },
	{ "each queue has its own socket", each_queue_its_socket },
	{ "a worker comes and goes", worker_comes_and_goes },
	{ "steer: what is left to the kernel", fallback },
	CU_TEST_INFO_NULL,
};
