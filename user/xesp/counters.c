/* SPDX-License-Identifier: BSD-2-Clause */
/* counters.c - see counters.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "libxesp/drops.h"
#include "libxesp/pins.h"
#include "xesp/counters.h"
#include "xesp/fault.h"
#include "xesp/table.h"

struct counters {
	__u64 xdp[XESP_DROP_SLOTS];
	struct xesp_worker_stats workers; /* of all workers together */
};

static int read_xdp(const struct pins *p, struct counters *c, struct fault *f)
{
	int cpus = libbpf_num_possible_cpus();
	__u64 *values;
	int err = 0;

	if (cpus < 1)
		return fault_set(f, -EIO, "cannot count CPUs");
	values = calloc((size_t)cpus, sizeof(*values));
	if (!values)
		return fault_set(f, -ENOMEM, "out of memory");
	for (__u32 why = 0; why < XESP_DROP_SLOTS && !err; why++) {
		if (bpf_map_lookup_elem(p->fd[PINS_DROPS], &why, values))
			err = fault_set(f, -errno, "cannot read xesp_drops: %s", strerror(errno));
		for (int cpu = 0; cpu < cpus && !err; cpu++)
			c->xdp[why] += values[cpu];
	}
	free(values);
	return err;
}

static int read_workers(const struct pins *p, struct counters *c, struct fault *f)
{
	struct xesp_worker_stats *sum = &c->workers;
	const struct xesp_worker_stats *w;
	size_t len;

	w = pins_mmap(p, PINS_WORKER_STATS, 0, &len, f);
	if (!w)
		return -EIO;
	for (unsigned int i = 0; i < XESP_WORKERS_MAX; i++) {
		sum->rx_packets += w[i].rx_packets;
		sum->tx_packets += w[i].tx_packets;
		sum->encap_packets += w[i].encap_packets;
		sum->decap_packets += w[i].decap_packets;
		sum->slow_packets += w[i].slow_packets;
		for (unsigned int why = 0; why < XESP_DROP_SLOTS; why++)
			sum->drops[why] += w[i].drops[why];
	}
	munmap((void *)(uintptr_t)w, len);
	return 0;
}

static struct json_object *packets_json(const struct xesp_worker_stats *w)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "rx", json_object_new_uint64(w->rx_packets));
	json_object_object_add(o, "tx", json_object_new_uint64(w->tx_packets));
	json_object_object_add(o, "encap", json_object_new_uint64(w->encap_packets));
	json_object_object_add(o, "decap", json_object_new_uint64(w->decap_packets));
	json_object_object_add(o, "slow", json_object_new_uint64(w->slow_packets));
	return o;
}

int counters_read(const char *pins, int all, struct json_object **out, struct fault *f)
{
	__u64 total[XESP_DROP_SLOTS];
	struct counters c = { 0 };
	struct pins p;
	int err;

	err = pins_open(&p, pins, f);
	if (err)
		return err;
	err = read_xdp(&p, &c, f);
	if (!err)
		err = read_workers(&p, &c, f);
	pins_close(&p);
	if (err)
		return err;

	for (unsigned int why = 0; why < XESP_DROP_SLOTS; why++)
		total[why] = c.xdp[why] + c.workers.drops[why];
	*out = json_object_new_object();
	json_object_object_add(*out, "drops", drops_json(total, all));
	json_object_object_add(*out, "xdp", drops_json(c.xdp, all));
	json_object_object_add(*out, "workers", drops_json(c.workers.drops, all));
	json_object_object_add(*out, "packets", packets_json(&c.workers));
	return 0;
}

unsigned long long counters_sum(struct json_object *by_reason)
{
	unsigned long long sum = 0;

	if (!by_reason)
		return 0;
	json_object_object_foreach(by_reason, reason, n)
	{
		(void)reason;
		sum += json_object_get_uint64(n);
	}
	return sum;
}

static unsigned long long number_of(struct json_object *o, const char *group, const char *name)
{
	return json_object_get_uint64(
		json_object_object_get(json_object_object_get(o, group), name));
}

static void print_counters(struct json_object *o, bool all)
{
	static const char *const columns[] = { "REASON",      ">PACKETS", ">IN XDP",
					       ">IN WORKERS", "MEANING",  NULL };
	struct table *t = table_open(columns);

	for (enum xesp_drop why = XESP_DROP_NONE + 1; why < XESP_DROP_MAX; why++) {
		const char *name = drops_name(why);
		unsigned long long n = number_of(o, "drops", name);

		if (!n && !all)
			continue;
		table_cell(t, "%s", name);
		table_cell(t, "%llu", n);
		table_cell(t, "%llu", number_of(o, "xdp", name));
		table_cell(t, "%llu", number_of(o, "workers", name));
		table_cell(t, "%s", drops_text(why));
	}
	printf("%llu packets dropped; workers: %llu received, %llu sent, %llu encapsulated, %llu decapsulated, %llu by the slow path\n",
	       counters_sum(json_object_object_get(o, "drops")), number_of(o, "packets", "rx"),
	       number_of(o, "packets", "tx"), number_of(o, "packets", "encap"),
	       number_of(o, "packets", "decap"), number_of(o, "packets", "slow"));
	table_close(t);
}

int counters_command(const struct settings *s, int argc, char **argv)
{
	struct json_object *o = NULL;
	struct fault f = { "" };
	bool all = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--all"))
			return command_misused("counters", "'%s' is not known", argv[i]);
		all = true;
	}
	if (counters_read(s->pins, all, &o, &f))
		return command_refused("counters", &f);
	if (s->json) {
		command_print_json(o);
		return COMMAND_DONE;
	}
	print_counters(o, all);
	json_object_put(o);
	return COMMAND_DONE;
}
