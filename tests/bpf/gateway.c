/* SPDX-License-Identifier: BSD-2-Clause */
/* gateway.c - see gateway.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_xdp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf/xdp_inner.skel.h"
#include "bpf/xdp_onearm.skel.h"
#include "bpf/xdp_outer.skel.h"
#include "gateway.h"
#include "libxesp/addr.h"
#include "libxesp/drops.h"
#include "xesp/fault.h"

#define IFINDEX_LO 1
#define UMEM_BYTES (16 * 4096)
#define GATEWAY_SLOTS 16384
#define GATEWAY_RULES 1024 /* more policies than have counters */

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(70);
}

static void enter_namespace(void)
{
	static bool inside;

	if (!inside && unshare(CLONE_NEWNET))
		die("a network namespace is needed, so run as root: %s", strerror(errno));
	inside = true;
}

static const void *object_bytes(const char *program, size_t *size)
{
	if (!strcmp(program, "xdp_outer"))
		return xdp_outer__elf_bytes(size);
	if (!strcmp(program, "xdp_inner"))
		return xdp_inner__elf_bytes(size);
	return xdp_onearm__elf_bytes(size);
}

#define CPUS_MAX 64
_Static_assert(GATEWAY_IDS == XESP_HITS_OF_CPU(GATEWAY_IDS) && GATEWAY_IDS * CPUS_MAX >= XESP_DROP_SLOTS, "no gaps, and room");

static int print_warnings(enum libbpf_print_level level, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

/* libbpf says at info level that it leaves out libxdp's section; only warnings are wanted. */
static int print_warnings(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, ap) : 0;
}

static void set(int map, const void *key, const void *value, uint64_t flags)
{
	if (bpf_map_update_elem(map, key, value, flags))
		die("cannot fill a map: %s", strerror(errno));
}

static void size_spd(struct gateway *g, const char *program)
{
	static const struct {
		enum pins_map map;
		uint32_t entries;
	} sizes[] = { { PINS_SPD_SLOT, XESP_SPD_ROOM(GATEWAY_SLOTS) },
		      { PINS_SPD_ENTRY, GATEWAY_SLOTS / 4 },
		      { PINS_SPD_RULE, GATEWAY_RULES },
		      { PINS_FLOWS, GATEWAY_FLOWS * CPUS_MAX },
		      { PINS_POLICY_HITS, GATEWAY_IDS * CPUS_MAX } };

	for (unsigned int i = 0; i < LEN(sizes); i++) {
		struct bpf_map *map =
			bpf_object__find_map_by_name(g->obj, pins_name(sizes[i].map));

		if (!map || bpf_map__set_max_entries(map, sizes[i].entries))
			die("%s: map %s is missing", program, pins_name(sizes[i].map));
	}
}

static void load(struct gateway *g, const char *program)
{
	static const enum pins_map small[] = { PINS_POLICIES, PINS_POLICY_DROPS,
					       PINS_TUNNELS, PINS_SA_STATE, PINS_REPLAY };
	struct bpf_program *prog;
	struct bpf_map *map;
	const void *bytes;
	size_t size;

	bytes = object_bytes(program, &size);
	g->obj = bpf_object__open_mem(bytes, size, NULL);
	if (!g->obj)
		die("%s: cannot open the object: %s", program, strerror(errno));
	bpf_object__for_each_map(map, g->obj)
		bpf_map__set_pin_path(map, NULL);
	for (unsigned int i = 0; i < LEN(small); i++) {
		map = bpf_object__find_map_by_name(g->obj, pins_name(small[i]));
		if (!map || bpf_map__set_max_entries(map, GATEWAY_IDS))
			die("%s: map %s is missing", program, pins_name(small[i]));
	}
	size_spd(g, program);
	prog = bpf_object__find_program_by_name(g->obj, program);
	if (!prog)
		die("%s: no such program in its object", program);
	/* As xesp attach does. */
	bpf_program__set_flags(prog, bpf_program__flags(prog) | BPF_F_XDP_HAS_FRAGS);
	if (bpf_object__load(g->obj))
		die("%s: does not load: %s", program, strerror(errno));
	g->prog = bpf_program__fd(prog);
	for (int i = 0; i < PINS_MAX; i++) {
		g->map[i] = bpf_object__find_map_fd_by_name(g->obj, pins_name((enum pins_map)i));
		if (g->map[i] < 0)
			die("%s: map %s is missing", program, pins_name((enum pins_map)i));
	}
}

void gateway_iface(struct gateway *g, uint32_t ifindex, uint32_t port)
{
	const struct xesp_iface iface = { .port = port, .role = XESP_ROLE_BOTH };

	set(g->map[PINS_IFACES], &ifindex, &iface, BPF_ANY);
}

void gateway_open(struct gateway *g, const char *program)
{
	struct pins pins = { .dir = "of a test" };
	struct fault f = { "" };

	*g = (struct gateway){ .worker = -1, .cpus = libbpf_num_possible_cpus() };
	libbpf_set_print(print_warnings);
	enter_namespace();
	load(g, program);
	gateway_iface(g, IFINDEX_LO, GATEWAY_PORT);
	gateway_generation(g, 0);
	memcpy(pins.fd, g->map, sizeof(pins.fd));
	if (spd_memory_map(&g->spd, &pins, true, &f))
		die("%s", f.text);
	g->list = list_open(&g->spd);
}

void gateway_close(struct gateway *g)
{
	gateway_worker_del(g);
	list_close(g->list);
	spd_memory_unmap(&g->spd);
	bpf_object__close(g->obj);
}

static struct xesp_addr parse_addr(const char *text)
{
	struct xesp_addr a;

	if (addr_parse(&a, text, NULL))
		die("'%s' is no address", text);
	return a;
}

void gateway_local(struct gateway *g, const char *addr)
{
	const struct xesp_addr a = parse_addr(addr);
	const uint32_t ifindex = IFINDEX_LO;

	set(g->map[PINS_LOCAL], &a, &ifindex, BPF_ANY);
}

void gateway_endpoint(struct gateway *g, const char *addr)
{
	const struct xesp_addr a = parse_addr(addr);
	const uint32_t tunnel = 1;

	set(g->map[PINS_ENDPOINTS], &a, &tunnel, BPF_ANY);
	gateway_local(g, addr);
}

void gateway_natt_port(struct gateway *g, uint16_t port)
{
	const __be16 key = htobe16(port);
	const uint32_t one = 1;

	set(g->map[PINS_NATT_PORT], &key, &one, BPF_ANY);
}

static void set_sa(struct gateway *g, const char *dst, uint32_t spi, uint32_t id, uint8_t proto)
{
	const struct xesp_sa_in_key key = {
		.dst = parse_addr(dst), .spi = htobe32(spi), .proto = proto
	};
	const struct xesp_sa_in_val val = { .sa_id = id, .tunnel = 1 };

	set(g->map[PINS_SA_IN], &key, &val, BPF_ANY);
}

void gateway_sa(struct gateway *g, const char *dst, uint32_t spi, uint32_t id)
{
	set_sa(g, dst, spi, id, IPPROTO_ESP);
}

void gateway_sa_ah(struct gateway *g, const char *dst, uint32_t spi, uint32_t id)
{
	set_sa(g, dst, spi, id, IPPROTO_AH);
}

void gateway_generation(struct gateway *g, uint32_t generation)
{
	const struct xesp_conf conf = {
		.abi = XESP_STEER_ABI,
		.generation = generation,
		.max_sas = GATEWAY_IDS,
		.max_policies = GATEWAY_IDS,
		.replay_words = GATEWAY_IDS,
		.spd_slots = GATEWAY_SLOTS,
		.flows = GATEWAY_FLOWS,
	};
	const uint32_t zero = 0;

	set(g->map[PINS_CONF], &zero, &conf, BPF_ANY);
}

void gateway_policies(struct gateway *g, uint32_t generation, const struct gateway_policy *p,
		      unsigned int n, enum xesp_action default_action)
{
	/* What is committed is tagged with the one after this. */
	g->spd.conf->generation = generation - 1;
	if (list_commit(g->list, p, n, default_action))
		die("policies do not fit");
}

void gateway_worker_add(struct gateway *g)
{
	struct xdp_umem_reg umem = { .len = UMEM_BYTES, .chunk_size = 4096 };
	const int ring = 16;
	void *mem;

	mem = mmap(NULL, UMEM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	g->worker = socket(AF_XDP, SOCK_RAW, 0);
	if (mem == MAP_FAILED || g->worker < 0)
		die("no AF_XDP socket: %s", strerror(errno));
	umem.addr = (uintptr_t)mem;
	if (setsockopt(g->worker, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem)) ||
	    setsockopt(g->worker, SOL_XDP, XDP_UMEM_FILL_RING, &ring, sizeof(ring)) ||
	    setsockopt(g->worker, SOL_XDP, XDP_UMEM_COMPLETION_RING, &ring, sizeof(ring)) ||
	    setsockopt(g->worker, SOL_XDP, XDP_RX_RING, &ring, sizeof(ring)))
		die("AF_XDP socket: %s", strerror(errno));
	munmap(mem, UMEM_BYTES); /* the kernel holds the pages */
	gateway_worker_also_at(g, GATEWAY_PORT, 0);
}

void gateway_worker_also_at(struct gateway *g, uint32_t port, uint32_t queue)
{
	const uint32_t key = port * XESP_QUEUES_MAX + queue;

	set(g->map[PINS_XSKS], &key, &g->worker, BPF_ANY);
}

void gateway_worker_del(struct gateway *g)
{
	if (g->worker < 0)
		return;
	close(g->worker); /* the kernel takes it out of the map, as when xespd is killed */
	g->worker = -1;
}

/* All that XDP counts, summed over the CPUs. */
struct counters {
	uint64_t drops[XESP_DROP_SLOTS];
	struct xesp_policy_hits hits[GATEWAY_IDS];
	struct xesp_policy_drops policy[GATEWAY_IDS];
};

/* All elements at once: the tests read them thousands of times. */
static void read_map(const struct gateway *g, enum pins_map map, uint32_t n, void *values)
{
	static uint32_t keys[GATEWAY_IDS * CPUS_MAX];
	uint32_t next, got = n;

	if (bpf_map_lookup_batch(g->map[map], NULL, &next, keys, values, &got, NULL) || got != n)
		die("%s: %u of %u elements: %s", pins_name(map), got, n, strerror(errno));
}

static void read_counters(const struct gateway *g, struct counters *c)
{
	static struct xesp_policy_hits hits[GATEWAY_IDS * CPUS_MAX];
	static uint64_t drops[XESP_DROP_SLOTS * CPUS_MAX];
	const uint32_t cpus = (uint32_t)g->cpus;

	if (g->cpus < 1 || g->cpus > CPUS_MAX)
		die("%d CPUs?", g->cpus);
	memset(c, 0, sizeof(*c));
	read_map(g, PINS_DROPS, XESP_DROP_SLOTS, drops);
	read_map(g, PINS_POLICY_HITS, GATEWAY_IDS * CPUS_MAX, hits);
	read_map(g, PINS_POLICY_DROPS, GATEWAY_IDS, c->policy);
	for (uint32_t i = 0; i < XESP_DROP_SLOTS * cpus; i++)
		c->drops[i / cpus] += drops[i];
	for (uint32_t i = 0; i < GATEWAY_IDS * CPUS_MAX; i++) {
		c->hits[i % GATEWAY_IDS].packets += hits[i].packets;
		c->hits[i % GATEWAY_IDS].bytes += hits[i].bytes;
	}
}

static bool same(const char *what, const char *counter, uint32_t policy, uint64_t got,
		 uint64_t want)
{
	if (got != want)
		fprintf(stderr, "%s: %s of policy %u grew to %llu, not %llu\n", what,
			counter ? counter : "?", policy, (unsigned long long)got,
			(unsigned long long)want);
	return got == want;
}

/* `before` becomes what `after` must be. */
static bool compare(const char *what, const struct frame *f, const struct expect *e,
		    struct counters *before, const struct counters *after)
{
	bool ok = true;

	if (e->verdict == XDP_DROP)
		before->drops[e->why]++;
	if (e->policy) {
		before->hits[e->policy].packets++;
		before->hits[e->policy].bytes += f->l3_len;
		if (e->verdict == XDP_DROP)
			before->policy[e->policy].by_reason[e->why]++;
	}
	for (uint32_t i = 0; i < XESP_DROP_SLOTS; i++)
		ok &= same(what, drops_name((enum xesp_drop)i), 0, after->drops[i],
			   before->drops[i]);
	for (uint32_t p = 0; p < GATEWAY_IDS; p++) {
		ok &= same(what, "hits", p, after->hits[p].packets, before->hits[p].packets);
		ok &= same(what, "bytes", p, after->hits[p].bytes, before->hits[p].bytes);
		for (uint32_t i = 0; i < XESP_DROP_SLOTS; i++)
			ok &= same(what, drops_name((enum xesp_drop)i), p,
				   after->policy[p].by_reason[i],
				   before->policy[p].by_reason[i]);
	}
	return ok;
}

static const char *verdict_name(uint32_t verdict)
{
	static const char *const names[] = { "XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX",
					     "XDP_REDIRECT" };

	return verdict < LEN(names) ? names[verdict] : "?";
}

static const char *drop_that_grew(const struct counters *before, const struct counters *after)
{
	for (int i = 0; i < XESP_DROP_SLOTS; i++)
		if (after->drops[i] != before->drops[i])
			return drops_name((enum xesp_drop)i);
	return "no drop counted";
}

/* Counters around one run of the program; large, and the tests have one thread. */
static struct counters before, after;

/* The verdict, or -1 with a sentence; out gets metadata and frame, *meta_len the bytes of the former. */
static int execute(struct gateway *g, const char *what, const struct frame *f, uint32_t len,
		   uint8_t *out, uint32_t *meta_len)
{
	const uint32_t foreign = g->foreign_meta_len;
	uint8_t in[FRAME_MAX + 64] = { 0 };
	const uint32_t linear = g->linear_len && g->linear_len < len ? g->linear_len : len;
	/* Newer kernels take the bytes behind data_end as fragments, so it must be said. */
	struct xdp_md ctx = { .data = foreign, .data_end = foreign + linear,
			      .ingress_ifindex = g->ifindex, .rx_queue_index = g->queue };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = foreign + len,
		    .data_out = out, .data_size_out = FRAME_MAX + 64, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .ctx_out = &ctx, .ctx_size_out = sizeof(ctx));

	memset(in, 0xee, foreign);
	memcpy(in + foreign, f->bytes, len);
	read_counters(g, &before);
	if (bpf_prog_test_run_opts(g->prog, &opts)) {
		fprintf(stderr, "%s: %u bytes: not run: %s\n", what, len, strerror(errno));
		return -1;
	}
	read_counters(g, &after);
	*meta_len = ctx.data - ctx.data_meta;
	return (int)opts.retval;
}

static bool run(struct gateway *g, const char *what, const struct frame *f, uint32_t len,
		const struct expect *e, uint8_t *out, uint32_t *meta_len)
{
	const int verdict = execute(g, what, f, len, out, meta_len);

	if (verdict >= 0 && verdict != e->verdict)
		fprintf(stderr, "%s: %u bytes: %s (%s), not %s (%s)\n", what, len,
			verdict_name((uint32_t)verdict), drop_that_grew(&before, &after),
			verdict_name((uint32_t)e->verdict), e->why ? drops_name(e->why) : "-");
	return verdict == e->verdict && compare(what, f, e, &before, &after);
}

bool gateway_accounts(struct gateway *g, const char *what, const struct frame *f)
{
	uint8_t out[FRAME_MAX + 64];
	uint64_t counted = 0, charged = 0;
	uint32_t meta_len;
	const int verdict = execute(g, what, f, f->len, out, &meta_len);

	for (int i = 0; i < XESP_DROP_SLOTS; i++)
		counted += after.drops[i] - before.drops[i];
	for (int p = 0; p < GATEWAY_IDS; p++)
		for (int i = 0; i < XESP_DROP_SLOTS; i++)
			charged += after.policy[p].by_reason[i] - before.policy[p].by_reason[i];
	if ((verdict == XDP_DROP && counted == 1 && charged <= 1) ||
	    ((verdict == XDP_PASS || verdict == XDP_REDIRECT) && !counted && !charged))
		return true;
	fprintf(stderr, "%s: %s with %llu drops counted, %llu at policies\n", what,
		verdict_name((uint32_t)verdict), (unsigned long long)counted,
		(unsigned long long)charged);
	return false;
}

bool gateway_expect(struct gateway *g, const char *what, const struct frame *f, uint32_t len,
		    const struct expect *e)
{
	uint8_t out[FRAME_MAX + 64];
	uint32_t meta_len;

	return run(g, what, f, len, e, out, &meta_len);
}

bool gateway_expect_meta(struct gateway *g, const char *what, const struct frame *f,
			 const struct expect *e, const struct xesp_meta *meta)
{
	uint8_t out[FRAME_MAX + 64];
	struct xesp_meta got;
	uint32_t meta_len;

	if (!run(g, what, f, f->len, e, out, &meta_len))
		return false;
	if (meta_len != sizeof(got)) {
		fprintf(stderr, "%s: %u bytes of metadata\n", what, meta_len);
		return false;
	}
	memcpy(&got, out, sizeof(got));
	if (memcmp(&got, meta, sizeof(got))) {
		fprintf(stderr,
			"%s: metadata %#x id %u policy %u l3 %u l4 %u kind %u, not %#x %u %u %u %u %u\n",
			what, got.magic, got.id, got.policy, got.l3_off, got.l4_off, got.kind,
			meta->magic, meta->id, meta->policy, meta->l3_off, meta->l4_off,
			meta->kind);
		return false;
	}
	return !memcmp(out + sizeof(got), f->bytes, f->len); /* and the frame is untouched */
}
