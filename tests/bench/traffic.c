/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * traffic.c - one measurement: sends through a gateway, counts what arrives, and what that cost.
 *
 * Generator and sink are one process, so that the generator can wait: it has at most --window
 * frames under way, so the gateway is never idle for want of frames and never loses one for want of room.
 * What is lost then is lost by the gateway. With --window 0 it sends as fast as it can. With -S it sleeps so many
 * microseconds when it may send nothing, for gateways that want its CPU, too. Everything
 * ends by itself: after --seconds, or when nothing arrives any more. With -N the frames are of so many tunnels, and the
 * time of the XDP program on -X in namespace -x is measured, too.
 * Prints one line of JSON.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/emit.h"
#include "tests/bench/source.h"
#include "tests/bench/usage.h"
#include "tests/bench/xdp_time.h"
#include "xesp/clock.h"

#define NS 1000000000ull
#define WARM_UP (NS / 4)
#define STALLED (NS / 4)   /* nothing arrives for so long: what is under way is lost */
#define STALLS_MAX 8
#define CPUS_MAX 2         /* traffic and gateway */

struct options {
	const char *gen_ns, *gen_if, *sink_ns, *sink_if, *xdp_ns, *xdp_if, *label;
	struct emit_sink sink;
	uint32_t window, sleep_us;
	double seconds;
	pid_t pid;
	int cpu, gateway_cpu;
	struct source_spec source;
};

/* What was seen at one moment. */
struct moment {
	uint64_t at, sent, packets, bytes, xdp_ns, xdp_runs;
	struct usage usage;
};

struct run {
	struct options o;
	struct source source;
	struct emit *emit;
	struct xdp_time xdp;
	uint64_t sent, lost, moved_at, moved;
	uint32_t stalls;
};

static void enter(const char *ns)
{
	int fd = open(ns, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET)) {
		fprintf(stderr, "traffic: %s: %s\n", ns, strerror(errno));
		exit(2);
	}
	close(fd);
}

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void look(const struct run *r, struct moment *m)
{
	m->sent = r->sent;
	emit_counted(r->emit, &m->packets, &m->bytes);
	xdp_time_read(&r->xdp, &m->xdp_ns, &m->xdp_runs);
	m->at = clock_ns();
	usage_read(&m->usage, r->o.pid, r->o.gateway_cpu);
}

/* Frames under way; what has not arrived for long is lost. */
static uint64_t under_way(struct run *r, uint64_t at)
{
	uint64_t packets, bytes, out;

	emit_counted(r->emit, &packets, &bytes);
	if (packets != r->moved) {
		r->moved = packets;
		r->moved_at = at;
	}
	out = r->sent > packets + r->lost ? r->sent - packets - r->lost : 0;
	if (out && at - r->moved_at > STALLED) {
		r->lost += out;
		r->moved_at = at;
		r->stalls++;
		out = 0;
	}
	return out;
}

static void send_until(struct run *r, uint64_t end)
{
	for (;;) {
		uint64_t at = clock_ns();

		if (at >= end || r->stalls > STALLS_MAX)
			return;
		if (r->o.window && under_way(r, at) + SOURCE_BATCH > r->o.window) {
			if (r->o.sleep_us)
				usleep(r->o.sleep_us);
			continue;
		}
		r->sent += emit_send(r->emit, SOURCE_BATCH);
	}
}

static void drain(struct run *r)
{
	const uint32_t stalls = r->stalls;

	while (r->stalls == stalls && under_way(r, clock_ns()))
		usleep(1000);
}

/* Of the tunnels, and what XDP takes for a packet. */
static void print_tunnels(const struct run *r, const struct moment *a, const struct moment *b)
{
	const double runs = (double)(b->xdp_runs - a->xdp_runs);

	if (r->o.source.tunnels)
		printf(",\"tunnels\":%u,\"xdp_ns\":%.1f", r->o.source.tunnels,
		       runs > 0 ? (double)(b->xdp_ns - a->xdp_ns) / runs : 0);
}

static void print(const struct run *r, const struct moment *a, const struct moment *b)
{
	const struct usage *x = &a->usage, *y = &b->usage;
	const double s = (double)(b->at - a->at) / (double)NS, tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
	const double packets = (double)(b->packets - a->packets);
	const double process = (double)(y->process_ns - x->process_ns);
	const double softirqd = (double)(y->softirqd_ns - x->softirqd_ns);
	const double user = (double)(y->user_ticks - x->user_ticks);
	const double system = (double)(y->system_ticks - x->system_ticks);
	const double softirq = (double)(y->softirq_ticks - x->softirq_ticks);
	const double ticks = user + system + softirq > 0 ? user + system + softirq : 1;
	const double ours = (process + softirqd + (double)(y->self_ns - x->self_ns) +
			     (double)(y->other_softirqd_ns - x->other_softirqd_ns)) / (double)NS;
	const double busy = (double)(y->busy_ticks - x->busy_ticks) * tick;
	const double cost = packets > 0 ? (process + softirqd) / packets : 0;
	uint64_t all, bytes, late, latest;

	emit_counted(r->emit, &all, &bytes);
	emit_order(r->emit, &late, &latest);
	printf("{\"label\":\"%s\",\"direction\":\"%s\",\"size\":%u,\"seconds\":%.3f,\"pps\":%.0f,"
	       "\"offered_pps\":%.0f,\"gbps\":%.4f,\"sent\":%llu,\"received\":%llu,\"lost\":%lld,"
	       "\"cpu_ns\":%.1f,\"user_ns\":%.1f,\"system_ns\":%.1f,\"softirq_ns\":%.1f,"
	       "\"gateway_busy\":%.3f,\"generator_busy\":%.3f,\"other_busy\":%.3f,\"seq\":%llu,"
	       "\"late\":%llu,\"latest\":%llu",
	       r->o.label, r->o.source.esp ? "decap" : "encap", r->o.source.size, s, packets / s,
	       (double)(b->sent - a->sent) / s, packets * r->o.source.size * 8 / s / 1e9,
	       (unsigned long long)r->sent, (unsigned long long)all, (long long)(r->sent - all),
	       cost, cost * user / ticks, cost * system / ticks, cost * softirq / ticks,
	       (process + softirqd) / (double)NS / s,
	       (double)(y->self_ns - x->self_ns) / (double)NS / s,
	       busy > ours ? (busy - ours) / s : 0, (unsigned long long)source_unused(&r->source), (unsigned long long)late,
	       (unsigned long long)latest);
	print_tunnels(r, a, b);
	puts("}");
}

static void measure(struct run *r)
{
	const uint64_t begin = clock_ns(), end = begin + WARM_UP + (uint64_t)(r->o.seconds * (double)NS);
	struct moment a, b;

	r->moved_at = begin;
	send_until(r, begin + WARM_UP);
	look(r, &a);
	send_until(r, end);
	look(r, &b);
	drain(r);
	print(r, &a, &b);
}

static uint32_t address(const char *text)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1) {
		fprintf(stderr, "traffic: %s is no IPv4 address\n", text);
		exit(2);
	}
	return a.s_addr;
}

/* ADDRESS or ADDRESS/LENGTH */
static void take_sink(struct emit_sink *s, const char *text)
{
	char ip[INET_ADDRSTRLEN] = "";
	const char *slash = strchrnul(text, '/');
	const int len = *slash ? atoi(slash + 1) : 32;

	memcpy(ip, text, (size_t)(slash - text) < sizeof(ip) - 1 ? (size_t)(slash - text) : sizeof(ip) - 1);
	s->mask = len > 0 ? htonl(~0u << (32 - len)) : 0;
	s->dst = address(ip);
}

static void watch_xdp(struct run *r)
{
	int err;

	r->xdp.prog_fd = -1;
	if (!r->o.xdp_ns || !r->o.xdp_if)
		return;
	enter(r->o.xdp_ns);
	err = xdp_time_open(&r->xdp, r->o.xdp_if);
	if (err) {
		fprintf(stderr, "traffic: the XDP program of %s: %s\n", r->o.xdp_if, strerror(-err));
		exit(70);
	}
}

static void bytes(uint8_t *out, size_t n, const char *text, const char *between)
{
	for (size_t i = 0; i < n; i++) {
		char two[3] = { text[0], text[0] ? text[1] : 0, 0 }, *end;

		out[i] = (uint8_t)strtoul(two, &end, 16);
		if (end != two + 2) {
			fprintf(stderr, "traffic: %s has not %zu octets in hex\n", text, n);
			exit(2);
		}
		text += 2 + (i + 1 < n ? strlen(between) : 0);
	}
}

/* One letter each; the bench script is the only caller. */
static void parse(struct options *o, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "l:g:i:k:n:x:X:D:w:s:S:p:c:C:z:d:m:M:f:t:EK:P:o:O:q:N:")) != -1) {
		switch (c) {
		case 'l': o->label = optarg; break;
		case 'g': o->gen_ns = optarg; break;
		case 'i': o->gen_if = optarg; break;
		case 'k': o->sink_ns = optarg; break;
		case 'n': o->sink_if = optarg; break;
		case 'x': o->xdp_ns = optarg; break;
		case 'X': o->xdp_if = optarg; break;
		case 'D': take_sink(&o->sink, optarg); break;
		case 'w': o->window = (uint32_t)atoi(optarg); break;
		case 's': o->seconds = atof(optarg); break;
		case 'S': o->sleep_us = (uint32_t)atoi(optarg); break;
		case 'p': o->pid = atoi(optarg); break;
		case 'c': o->cpu = atoi(optarg); break;
		case 'C': o->gateway_cpu = atoi(optarg); break;
		case 'z': o->source.size = (uint32_t)atoi(optarg); break;
		case 'd': bytes(o->source.dst_mac, 6, optarg, ":"); break;
		case 'm': bytes(o->source.src_mac, 6, optarg, ":"); break;
		case 'f': o->source.src = address(optarg); break;
		case 't': o->source.dst = address(optarg); break;
		case 'E': o->source.esp = true; break;
		case 'K': o->source.sealed = true; bytes(o->source.key, 20, optarg, ""); break;
		case 'P': o->source.spi = htonl((uint32_t)strtoul(optarg, NULL, 0)); break;
		case 'o': o->source.outer_src = address(optarg); break;
		case 'O': o->source.outer_dst = address(optarg); break;
		case 'q': o->source.seq = strtoull(optarg, NULL, 10); break;
		case 'N': o->source.tunnels = (uint32_t)atoi(optarg); break;
		default: exit(2);
		}
	}
	if (!o->gen_ns || !o->gen_if || !o->sink_ns || !o->sink_if || !o->label || !o->pid ||
	    o->source.size < 64 || o->source.size > 9216 || o->seconds <= 0 || o->seconds > 60) {
		fprintf(stderr, "traffic: an option is missing, or out of bounds\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	static struct run r = { .o = { .seconds = 1, .window = 1024, .gateway_cpu = 1,
				       .source.seq = 1 } };

	parse(&r.o, argc, argv);
	stay_on(r.o.cpu);
	source_open(&r.source, &r.o.source);
	watch_xdp(&r);
	enter(r.o.gen_ns);
	r.emit = emit_open(&r.source, r.o.gen_if, &r.o.sink);
	enter(r.o.sink_ns);
	emit_sink(r.emit, r.o.sink_if);
	enter(r.o.gen_ns);
	measure(&r);
	emit_close(r.emit);
	return 0;
}
