/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AF_XDP ports on real veth interfaces, in a network namespace of our own: frames go from one
 * interface to another in one UMEM, and what the kernel holds comes back at the end.
 */
#include <CUnit/CUnit.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libxesp/line.h"
#include "port/port.h"
#include "port/ring.h"
#include "port/share.h"
#include "xesp/fault.h"
#include "xesp/steer.h"

#define FRAMES 512u
#define WIDES (PORT_RING / UMEM_WIDE_CHUNKS + 1)
#define CHUNKS (FRAMES + WIDES * UMEM_WIDE_CHUNKS)
#define JUMBO_LEN 9014u
#define DEADLINE_MS 5000
#define FRAME_LEN 100u

/* left (port 1) == right (port 2); the program on right redirects to port 2's socket. */
static struct {
	struct umem *umem;
	struct umem_pool *pool;
	struct share *share;
	int xsks_fd, prog_fd;
	int home; /* network namespace to go back to */
} t;

static int load_redirect(void)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1, .off = 16 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = 2 * XESP_QUEUES_MAX },
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = t.xsks_fd },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = 0 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_XDP_HAS_FRAGS);

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "to_xsk", "GPL", program,
			     sizeof(program) / sizeof(program[0]), &opts);
}

static void set_up(void)
{
	const struct umem_size size = { .pools_n = 1, .frames_n = FRAMES, .wides_n = WIDES };
	struct fault f = { "" };

	t.home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	CU_ASSERT_FATAL(t.home >= 0);
	CU_ASSERT_EQUAL_FATAL(unshare(CLONE_NEWNET), 0);
	CU_ASSERT_EQUAL_FATAL(system("ip link add left type veth peer name right && "
				     "ip link set left up && ip link set right up"),
			      0);
	t.xsks_fd = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "xsks", 4, 4, 4 * XESP_QUEUES_MAX, NULL);
	t.prog_fd = load_redirect();
	CU_ASSERT_FATAL(t.xsks_fd >= 0 && t.prog_fd >= 0);
	CU_ASSERT_EQUAL_FATAL(bpf_xdp_attach((int)if_nametoindex("right"), t.prog_fd,
					     XDP_FLAGS_DRV_MODE, NULL),
			      0);
	CU_ASSERT_EQUAL_FATAL(umem_open(&t.umem, &size, &f), 0);
	t.pool = umem_pool(t.umem, 0);
	CU_ASSERT_EQUAL_FATAL(share_open(&t.share, t.umem, &f), 0);
}

static void tear_down(void)
{
	share_close(t.share);
	umem_close(t.umem);
	close(t.prog_fd);
	close(t.xsks_fd);
	/* The namespace ends with its last socket. */
	CU_ASSERT_EQUAL(setns(t.home, CLONE_NEWNET), 0);
	close(t.home);
}

static int try_port(struct port **p, const char *name, enum port_zero_copy zc, struct fault *f)
{
	struct port_spec spec = {
		.ifindex = if_nametoindex(name),
		.number = strcmp(name, "left") ? 2 : 1,
		.receives = true,
		.sends = true,
		.xsks_fd = t.xsks_fd,
		.zero_copy = zc,
		.batch = 64,
	};

	snprintf(spec.name, sizeof(spec.name), "%s", name);
	return port_open(p, t.share, t.pool, &spec, f);
}

static struct port *open_port(const char *name)
{
	struct fault f = { "" };
	struct port *p = NULL;
	int err = try_port(&p, name, PORT_ZC_AUTO, &f);

	if (err)
		fprintf(stderr, "port: %s\n", f.text);
	CU_ASSERT_EQUAL_FATAL(err, 0);
	CU_ASSERT_EQUAL((uintptr_t)p % LINE_BYTES, 0); /* it shares none with another worker's port: test_line.c */
	p->fill_target = 128;
	ring_fill(p);
	CU_ASSERT_EQUAL(p->rx_out, 128);
	CU_ASSERT_EQUAL_FATAL(port_serve(p, &f), 0);
	return p;
}

static void shut_port(struct port *p)
{
	port_unserve(p);
	CU_ASSERT_EQUAL(umem_abandon(t.pool, p->number), 0);
	umem_reclaim(t.pool);
	port_close(p);
}

static uint32_t make_frames(struct xdp_desc *desc, uint32_t n, uint8_t first)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t addr;

		if (!umem_take(t.pool, UMEM_HAND, &addr))
			return i;
		addr += 256;
		memset(t.pool->area + addr, 0xff, 12); /* broadcast */
		memset(t.pool->area + addr + 12, 0x88, 2);
		memset(t.pool->area + addr + 14, (uint8_t)(first + i), FRAME_LEN - 14);
		desc[i] = (struct xdp_desc){ .addr = addr, .len = FRAME_LEN };
	}
	return n;
}

/* Receives until a frame of ours comes, leaving out the kernel's own (IPv6 neighbour discovery). */
static bool receive_ours(struct port *p, struct xdp_desc *d)
{
	struct pollfd ready = { .fd = p->fd, .events = POLLIN };

	for (int tries = 0; tries < 50; tries++) {
		if (!ring_receive(p, d, 1)) {
			poll(&ready, 1, DEADLINE_MS / 50);
			continue;
		}
		ring_fill(p);
		if (d->len == FRAME_LEN && t.pool->area[d->addr + 12] == 0x88)
			return true;
		umem_put(t.pool, d->addr, UMEM_HAND);
	}
	return false;
}

static void wait_completed(struct port *p)
{
	for (int i = 0; i < DEADLINE_MS && p->tx_out; i++) {
		ring_kick(p);
		ring_complete(p);
		if (p->tx_out)
			usleep(1000);
	}
	CU_ASSERT_EQUAL(p->tx_out, 0);
}

static void check_all_there(void)
{
	uint32_t by_owner[UMEM_OWNERS];

	CU_ASSERT_TRUE(umem_census(t.pool, by_owner));
	CU_ASSERT_EQUAL(by_owner[UMEM_FREE], CHUNKS);
}

static void frames_pass_in_order(void)
{
	struct port *left, *right;
	struct xdp_desc desc[100], got;

	set_up();
	left = open_port("left");
	right = open_port("right");
	CU_ASSERT_EQUAL(share_groups(t.share), 1);
	for (int round = 0; round < 20; round++) {
		CU_ASSERT_EQUAL_FATAL(make_frames(desc, 100, (uint8_t)round), 100);
		CU_ASSERT_EQUAL(ring_send(left, desc, 100), 100);
		for (uint32_t i = 0; i < 100; i++) {
			CU_ASSERT_TRUE_FATAL(receive_ours(right, &got));
			CU_ASSERT_EQUAL(t.pool->area[got.addr + 14], (uint8_t)(round + (int)i));
			umem_put(t.pool, got.addr, UMEM_HAND);
		}
		wait_completed(left);
	}
	shut_port(left);
	shut_port(right);
	check_all_there();
	CU_ASSERT_EQUAL(share_groups(t.share), 0);
	tear_down();
}

/* Without a NAPI to poll there is no system call but now and then; with one there is one each time. */
static void busy_polling_calls_the_kernel_only_for_a_napi(void)
{
	struct port *left, *right;
	struct xdp_desc desc[4], got;
	uint32_t id = 0, calls = 0;
	socklen_t len = sizeof(id);

	set_up();
	left = open_port("left");
	right = open_port("right");
	CU_ASSERT_TRUE(ring_busy_poll(right));
	for (int i = 0; i < 100; i++)
		calls += ring_busy_poll(right);
	CU_ASSERT_EQUAL(calls, 0); /* nothing was received yet */
	CU_ASSERT_EQUAL_FATAL(make_frames(desc, 4, 0), 4);
	CU_ASSERT_EQUAL(ring_send(left, desc, 4), 4);
	for (uint32_t i = 0; i < 4; i++) {
		CU_ASSERT_TRUE_FATAL(receive_ours(right, &got));
		umem_put(t.pool, got.addr, UMEM_HAND);
	}
	for (int i = 0; i < 5000; i++)
		calls += ring_busy_poll(right);
	CU_ASSERT_EQUAL(getsockopt(right->fd, SOL_SOCKET, SO_INCOMING_NAPI_ID, &id, &len), 0);
	CU_ASSERT_EQUAL(right->napi, id);
	if (!id)
		CU_ASSERT_TRUE(calls >= 4 && calls <= 5);
	right->napi = 1;
	calls = 0;
	for (int i = 0; i < 100; i++)
		calls += ring_busy_poll(right);
	CU_ASSERT_EQUAL(calls, 100);
	wait_completed(left);
	shut_port(left);
	shut_port(right);
	check_all_there();
	tear_down();
}

/* Nobody takes the frames: the ring fills, and what does not fit stays in hand. */
static void a_full_ring_takes_no_more(void)
{
	struct port *left;
	struct xdp_desc desc[128];
	uint32_t sent = 0;

	set_up();
	left = open_port("left");
	CU_ASSERT_EQUAL(system("ip link set left down"), 0);
	for (uint32_t i = 0; i < PORT_RING / 128 + 1; i++) {
		uint32_t n = make_frames(desc, 128, 0), took = ring_send(left, desc, n);

		sent += took;
		for (uint32_t k = took; k < n; k++)
			umem_put(t.pool, desc[k].addr, UMEM_HAND);
	}
	/* The pool is smaller than the ring, so it is the pool that ends it. */
	CU_ASSERT_EQUAL(sent, FRAMES - 128);
	CU_ASSERT_TRUE(ring_unsent(left));
	CU_ASSERT_EQUAL(left->tx_errno, ENETDOWN);
	CU_ASSERT_EQUAL(system("ip link set left up"), 0);
	wait_completed(left);
	CU_ASSERT_FALSE(ring_unsent(left));
	shut_port(left);
	check_all_there();
	tear_down();
}

/* Nobody receives: the frames given are used up, and each one lost is counted by its cause. */
static void what_the_kernel_loses_is_counted(void)
{
	struct port *left, *right;
	struct xdp_desc desc[100];
	struct port_lost lost;
	uint64_t addr;

	set_up();
	left = open_port("left");
	right = open_port("right");
	port_lost(right, &lost);
	for (int round = 0; round < 3; round++) {
		CU_ASSERT_EQUAL_FATAL(make_frames(desc, 100, 0), 100);
		CU_ASSERT_EQUAL(ring_send(left, desc, 100), 100);
		wait_completed(left);
	}
	port_lost(right, &lost);
	CU_ASSERT_TRUE(lost.ring_full >= 300 - 128);
	CU_ASSERT_EQUAL(lost.no_frame, 0);
	CU_ASSERT_EQUAL(lost.too_big, 0);
	port_lost(right, &lost);
	CU_ASSERT_EQUAL(lost.ring_full, 0);

	/* The pool is empty, so no more can be given. */
	while (ring_receive(right, desc, 1))
		umem_put(t.pool, desc[0].addr, UMEM_HAND);
	CU_ASSERT_EQUAL(make_frames(desc, 50, 0), 50);
	while (umem_take(t.pool, UMEM_HAND, &addr))
		;
	ring_fill(right);
	CU_ASSERT_EQUAL(ring_send(left, desc, 50), 50);
	wait_completed(left);
	port_lost(right, &lost);
	CU_ASSERT_TRUE(lost.no_frame >= 50);
	CU_ASSERT_EQUAL(lost.ring_full, 0);
	shut_port(left);
	shut_port(right);
	tear_down();
}

/* The kernel ties a shared UMEM to its first socket; ports must come and go in any order. */
static void the_first_port_may_go_and_come(void)
{
	struct port *left, *right;
	struct xdp_desc desc[1], got;

	set_up();
	left = open_port("left");
	right = open_port("right");
	for (int round = 0; round < 3; round++) {
		shut_port(left); /* the first of the group, in round 0 */
		left = open_port("left");
		CU_ASSERT_EQUAL(make_frames(desc, 1, 7), 1);
		CU_ASSERT_EQUAL(ring_send(left, desc, 1), 1);
		CU_ASSERT_TRUE(receive_ours(right, &got));
		umem_put(t.pool, got.addr, UMEM_HAND);
		wait_completed(left);
	}
	shut_port(right);
	shut_port(left);
	check_all_there();
	CU_ASSERT_EQUAL(share_groups(t.share), 0);
	tear_down();
}

static void refusals_are_sentences(void)
{
	struct port *left, *again = NULL;
	struct fault f = { "" };
	struct share *other;

	set_up();
	other = t.share;
	left = open_port("left");
	CU_ASSERT_EQUAL(try_port(&again, "right", PORT_ZC_REQUIRE, &f), -EOPNOTSUPP);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "interface right: "));
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "zero-copy"));
	/* Another UMEM, as another process would have. */
	CU_ASSERT_EQUAL_FATAL(share_open(&t.share, t.umem, &f), 0);
	CU_ASSERT_EQUAL(try_port(&again, "left", PORT_ZC_OFF, &f), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "queue 0 already has an AF_XDP socket"));
	share_close(t.share);
	t.share = other;
	CU_ASSERT_EQUAL(try_port(&again, "nowhere", PORT_ZC_OFF, &f), -ENODEV);
	CU_ASSERT_PTR_NULL(again);
	shut_port(left);
	check_all_there();
	tear_down();
}

/* A frame with `first` in each of its bytes behind the header; returns its descriptors. */
static uint32_t make_jumbo(struct xdp_desc *desc, uint8_t first)
{
	uint64_t addr;

	CU_ASSERT_TRUE_FATAL(umem_take_wide(t.pool, &addr));
	addr += 100;
	memset(t.pool->area + addr, 0xff, 12);
	memset(t.pool->area + addr + 12, 0x88, 2);
	for (uint32_t i = 14; i < JUMBO_LEN; i++)
		t.pool->area[addr + i] = (uint8_t)(first + i * 3);
	return gather_scatter(t.pool, addr, JUMBO_LEN, desc);
}

/* Puts a frame of ours together, leaving out the kernel's own. */
static bool receive_jumbo(struct port *p, uint8_t first)
{
	struct pollfd ready = { .fd = p->fd, .events = POLLIN };
	struct xdp_desc d;

	for (int tries = 0; tries < 50; tries++) {
		const uint8_t *frame;
		bool same = true;

		if (!ring_receive(p, &d, 1)) {
			poll(&ready, 1, DEADLINE_MS / 50);
			continue;
		}
		if (gather_add(&p->gather, t.pool, &d) != GATHER_WHOLE)
			continue;
		frame = t.pool->area + gather_frame(&p->gather);
		for (uint32_t i = 14; i < JUMBO_LEN && same; i++)
			same = frame[i] == (uint8_t)(first + i * 3);
		umem_put_wide(t.pool, gather_frame(&p->gather));
		ring_fill(p);
		if (p->gather.len == JUMBO_LEN && same)
			return true;
	}
	return false;
}

static void frames_of_several_descriptors(void)
{
	struct port *left, *right;
	struct xdp_desc desc[UMEM_WIDE_CHUNKS];
	struct port_lost lost;
	uint64_t addr = 0;

	set_up();
	CU_ASSERT_EQUAL(system("ip link set left mtu 9216 && ip link set right mtu 9216"), 0);
	left = open_port("left");
	right = open_port("right");
	CU_ASSERT_TRUE(left->multi_buffer);
	for (int i = 0; i < 200; i++) {
		uint32_t n = make_jumbo(desc, (uint8_t)i);

		CU_ASSERT_EQUAL(n, UMEM_WIDE_CHUNKS);
		CU_ASSERT_EQUAL(ring_send(left, desc, n), n);
		CU_ASSERT_TRUE_FATAL(receive_jumbo(right, (uint8_t)i));
	}
	wait_completed(left);
	port_lost(right, &lost);
	port_lost(left, &lost);
	CU_ASSERT_EQUAL(lost.not_sent, 0);
	/* A descriptor over a chunk's edge is not sent, which is told. */
	umem_take(t.pool, UMEM_HAND, &addr);
	desc[0] = (struct xdp_desc){ .addr = addr + 100, .len = UMEM_CHUNK };
	CU_ASSERT_EQUAL(ring_send(left, desc, 1), 1);
	ring_kick(left);
	port_lost(left, &lost);
	CU_ASSERT_EQUAL(lost.not_sent, 1);
	/* Some kernels complete it, others do not. */
	if (*umem_owner(t.pool, addr) == UMEM_TX(1))
		umem_put(t.pool, addr, UMEM_TX(1));
	shut_port(left);
	shut_port(right);
	check_all_there();
	tear_down();
}

/* Where the ring ends a frame is not cut in two: the kernel would wait for the rest. */
static void a_full_ring_cuts_no_frame(void)
{
	struct xdp_desc desc[UMEM_WIDE_CHUNKS];
	struct port *left;
	uint32_t sent = 0;

	set_up();
	CU_ASSERT_EQUAL(system("ip link set left mtu 9216 && ip link set right mtu 9216"), 0);
	left = open_port("left");
	CU_ASSERT_EQUAL(system("ip link set left down"), 0);
	for (uint32_t i = 0; i < PORT_RING / UMEM_WIDE_CHUNKS; i++)
		sent += ring_send(left, desc, make_jumbo(desc, (uint8_t)i));
	CU_ASSERT_EQUAL(sent, PORT_RING / UMEM_WIDE_CHUNKS * UMEM_WIDE_CHUNKS);
	CU_ASSERT_EQUAL(make_jumbo(desc, 0), UMEM_WIDE_CHUNKS);
	CU_ASSERT_EQUAL(ring_send(left, desc, UMEM_WIDE_CHUNKS), 0);
	umem_put_wide(t.pool, desc[0].addr);
	CU_ASSERT_EQUAL(system("ip link set left up"), 0);
	wait_completed(left);
	shut_port(left);
	check_all_there();
	tear_down();
}

CU_TestInfo port_tests[] = {
	{ "frames of several descriptors pass whole", frames_of_several_descriptors },
	{ "a full ring cuts no frame in two", a_full_ring_cuts_no_frame },
	{ "frames pass from one port to another in order, none is lost",
	  frames_pass_in_order },
	{ "busy polling calls the kernel only for a NAPI", busy_polling_calls_the_kernel_only_for_a_napi },
	{ "a full ring takes no more, and loses nothing", a_full_ring_takes_no_more },
	{ "what the kernel loses is counted, by cause", what_the_kernel_loses_is_counted },
	{ "the first port of a shared UMEM may go and come", the_first_port_may_go_and_come },
	{ "what is refused is refused with a sentence", refusals_are_sentences },
	CU_TEST_INFO_NULL,
};
