/* SPDX-License-Identifier: BSD-2-Clause */
/* emit.c - see emit.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "port/gather.h"
#include "port/port.h"
#include "port/ring.h"
#include "port/share.h"
#include "tests/bench/emit.h"
#include "tests/bench/traffic.h"
#include "tests/bench/traffic.skel.h"
#include "xesp/fault.h"

#define WIDES 1024u

struct emit {
	struct source *source;
	struct traffic *skel;
	struct traffic_frame *ring;    /* mapped */
	struct traffic_count *counts;  /* mapped */
	uint32_t next;
	int lo;                        /* ifindex the program stays attached to */
	struct bpf_tc_hook hook;
	/* frames larger than a page */
	struct umem *umem;
	struct share *share;
	struct port *port;
};

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "traffic: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(70);
}

static void *map_values(const struct bpf_map *map, size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (at == MAP_FAILED)
		die("cannot map %s: %s", bpf_map__name(map), strerror(errno));
	return at;
}

static void open_socket(struct emit *e, const char *ifname)
{
	const struct umem_size size = { .pools_n = 1, .frames_n = 8, .wides_n = WIDES };
	struct port_spec spec = { .ifindex = if_nametoindex(ifname), .sends = true, .xsks_fd = -1,
				  .zero_copy = PORT_ZC_OFF, .batch = SOURCE_BATCH };
	struct fault f = { "" };

	snprintf(spec.name, sizeof(spec.name), "%s", ifname);
	if (umem_open(&e->umem, &size, &f) || share_open(&e->share, e->umem, &f) ||
	    port_open(&e->port, e->share, umem_pool(e->umem, 0), &spec, &f))
		die("%s", f.text);
	if (!e->port->multi_buffer)
		die("this kernel sends no frames in several buffers: Linux 6.6 does");
}

/* Live frames are only fast while their program is attached somewhere. */
static void attach_to_lo(struct emit *e)
{
	e->lo = (int)if_nametoindex("lo");
	if (bpf_xdp_attach(e->lo, bpf_program__fd(e->skel->progs.traffic_send), XDP_FLAGS_SKB_MODE,
			   NULL))
		die("cannot attach to lo: %s", strerror(errno));
}

struct emit *emit_open(struct source *s, const char *ifname, const struct emit_sink *sink)
{
	struct emit *e = calloc(1, sizeof(*e));

	if (!e)
		die("out of memory");
	e->source = s;
	e->skel = traffic__open();
	if (!e->skel)
		die("cannot open the programs: %s", strerror(errno));
	e->skel->rodata->frame_len = s->frame_len;
	e->skel->rodata->out_ifindex = if_nametoindex(ifname);
	e->skel->rodata->sink_dst = sink->dst;
	e->skel->rodata->sink_mask = sink->mask;
	if (traffic__load(e->skel))
		die("cannot load the programs: %s", strerror(errno));
	e->ring = map_values(e->skel->maps.frames, sizeof(struct traffic_frame) * TRAFFIC_RING);
	e->counts = map_values(e->skel->maps.counts, sizeof(struct traffic_count) * TRAFFIC_CPUS);
	if (s->frame_len > TRAFFIC_FRAME_MAX)
		open_socket(e, ifname);
	else
		attach_to_lo(e);
	return e;
}

static uint32_t send_live(struct emit *e, uint32_t n)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = e->source->template,
		    .data_size_in = e->source->frame_len, .repeat = (int)n,
		    .batch_size = SOURCE_BATCH, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	/* What does not change from frame to frame is written once. */
	if (e->source->spec.esp || e->source->spec.tunnels || e->next < TRAFFIC_RING)
		for (uint32_t i = 0; i < n; i++)
			source_frame(e->source, e->ring[(e->next + i) % TRAFFIC_RING].bytes);
	source_seal(e->source);
	e->next += n;
	if (bpf_prog_test_run_opts(bpf_program__fd(e->skel->progs.traffic_send), &opts))
		die("live frames: %s", strerror(errno));
	return n;
}

static uint32_t send_socket(struct emit *e, uint32_t n)
{
	struct xdp_desc desc[SOURCE_BATCH * UMEM_WIDE_CHUNKS];
	uint64_t addr[SOURCE_BATCH];
	uint32_t frames = 0, descs = 0;

	for (; frames < n && umem_take_wide(e->port->pool, &addr[frames]); frames++)
		source_frame(e->source, e->port->pool->area + addr[frames] + UMEM_RX_ROOM);
	source_seal(e->source);
	for (uint32_t i = 0; i < frames; i++)
		descs += gather_scatter(e->port->pool, addr[i] + UMEM_RX_ROOM,
					e->source->frame_len, desc + descs);
	/* There is room: the ring has more descriptors than the buffers are chunks of. */
	for (uint32_t sent = 0, tries = 0; sent < descs; tries++) {
		sent += ring_send(e->port, desc + sent, descs - sent);
		if (tries > 1000000)
			die("the socket takes no more frames");
	}
	return frames;
}

uint32_t emit_send(struct emit *e, uint32_t n)
{
	if (n > SOURCE_BATCH)
		n = SOURCE_BATCH;
	if (!e->port)
		return send_live(e, n);
	ring_complete(e->port);
	return send_socket(e, n);
}

void emit_sink(struct emit *e, const char *ifname)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(e->skel->progs.traffic_sink));

	e->hook = (struct bpf_tc_hook){ .sz = sizeof(e->hook),
					.ifindex = (int)if_nametoindex(ifname),
					.attach_point = BPF_TC_INGRESS };
	/* Made anew, whatever an earlier run left there. */
	e->hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	bpf_tc_hook_destroy(&e->hook);
	e->hook.attach_point = BPF_TC_INGRESS;
	if (bpf_tc_hook_create(&e->hook) || bpf_tc_attach(&e->hook, &opts))
		die("%s: cannot attach the sink: %s", ifname, strerror(errno));
}

void emit_counted(const struct emit *e, uint64_t *packets, uint64_t *bytes)
{
	*packets = *bytes = 0;
	for (uint32_t i = 0; i < TRAFFIC_CPUS; i++) {
		*packets += __atomic_load_n(&e->counts[i].packets, __ATOMIC_RELAXED);
		*bytes += __atomic_load_n(&e->counts[i].bytes, __ATOMIC_RELAXED);
	}
}

void emit_order(const struct emit *e, uint64_t *late, uint64_t *latest)
{
	*late = *latest = 0;
	for (uint32_t i = 0; i < TRAFFIC_CPUS; i++) {
		*late += e->counts[i].late;
		if (e->counts[i].latest > *latest)
			*latest = e->counts[i].latest;
	}
}

void emit_close(struct emit *e)
{
	if (e->lo)
		bpf_xdp_detach(e->lo, XDP_FLAGS_SKB_MODE, NULL);
	port_close(e->port);
	share_close(e->share);
	umem_close(e->umem);
	traffic__destroy(e->skel);
	free(e);
}
