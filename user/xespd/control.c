/* SPDX-License-Identifier: BSD-2-Clause */
/* control.c - see control.h. */
#include <stdio.h>
#include <unistd.h>

#include "crypto/choice.h"
#include "fib/fib.h"
#include "libxesp/drops.h"
#include "libxesp/rpc.h"
#include "xesp/fault.h"
#include "xespd/control.h"
#include "xespd/daemon.h"
#include "xespd/dpd.h"
#include "xespd/explain.h"
#include "xespd/keyd_link.h"
#include "xespd/natt.h"
#include "xespd/pool.h"
#include "xespd/tunnels.h"

static void add_u64(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

static void add_text(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

/* Rows are other threads' and change while they are read: each number is right by itself. */
static struct xesp_worker_stats read_row(const struct daemon *d, uint32_t worker)
{
	const __u64 *row = (const __u64 *)&d->state.worker[worker];
	struct xesp_worker_stats copy;
	__u64 *to = (__u64 *)&copy;

	for (size_t i = 0; i < sizeof(copy) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&row[i], __ATOMIC_RELAXED);
	return copy;
}

static struct json_object *worker_json(const struct daemon *d, uint32_t worker)
{
	const struct xesp_worker_stats stats = read_row(d, worker);
	struct json_object *o = json_object_new_object();
	/* The slow path serves no queue, and has no SAs of its own. */
	const bool slow = worker == pool_slow_worker(d->pool);

	add_u64(o, "worker", worker);
	json_object_object_add(o, "queue", slow ? NULL : json_object_new_int64((int64_t)worker));
	json_object_object_add(o, "cpu",
			       slow ? NULL : json_object_new_int64(pool_cpu(d->pool, worker)));
	add_u64(o, "rx_packets", stats.rx_packets);
	add_u64(o, "rx_bytes", stats.rx_bytes);
	add_u64(o, "tx_packets", stats.tx_packets);
	add_u64(o, "tx_bytes", stats.tx_bytes);
	add_u64(o, "encap_packets", stats.encap_packets);
	add_u64(o, "decap_packets", stats.decap_packets);
	add_u64(o, "slow_packets", stats.slow_packets);
	add_u64(o, "batches", stats.batches);
	json_object_object_add(o, "drops", drops_json(stats.drops, 0));
	return o;
}

static struct json_object *fib_json(const struct fib *fib)
{
	struct json_object *o = json_object_new_object();
	struct fib_counts counts;

	fib_count(fib, &counts);
	add_u64(o, "routes", counts.routes);
	add_u64(o, "neighbours", counts.neighbours);
	add_u64(o, "rebuilds", counts.rebuilds);
	json_object_object_add(o, "policy_rules", json_object_new_boolean(counts.policy_rules));
	return o;
}

static struct json_object *natt_json(const struct natt *natt)
{
	struct json_object *o = json_object_new_object();
	struct natt_counts counts;

	natt_count(natt, &counts);
	add_u64(o, "keepalives", counts.keepalives);
	add_u64(o, "moves", counts.moves);
	return o;
}

static void add_algorithm(void *ctx, const struct choice_row *r)
{
	struct json_object *o = json_object_new_object();

	add_text(o, "transform", r->transform);
	add_u64(o, "key_bits", r->key_bits);
	add_text(o, "engine", r->engine);
	if (r->ns[0] && r->ns[1]) {
		add_u64(o, "openssl_ns", r->ns[0]);
		add_u64(o, "ipsec_mb_ns", r->ns[1]);
	}
	json_object_array_add(ctx, o);
}

static struct json_object *algorithms_json(void)
{
	struct json_object *all = json_object_new_array();

	choice_each(add_algorithm, all);
	return all;
}

static int answer_status(void *ctx, struct json_object *params, struct json_object **result,
			 struct fault *f)
{
	const struct daemon *d = ctx;
	struct json_object *o = json_object_new_object();
	struct json_object *keyd = json_object_new_object();
	struct json_object *tun = json_object_new_object();
	struct json_object *workers = json_object_new_array();

	(void)params;
	(void)f;
	add_text(o, "version", XESP_VERSION);
	add_u64(o, "pid", (uint64_t)getpid());
	add_text(o, "engine", choice_name());
	if (choice_version()[0])
		add_text(o, "engine_version", choice_version());
	if (choice_remark()[0])
		add_text(o, "engine_remark", choice_remark());
	json_object_object_add(o, "algorithms", algorithms_json());
	json_object_object_add(keyd, "connected",
			       json_object_new_boolean(keyd_link_connected(d->link)));
	json_object_object_add(o, "keyd", keyd);
	add_u64(o, "sas", sad_count(d->sad));
	for (uint32_t w = 0; w <= pool_slow_worker(d->pool); w++)
		json_object_array_add(workers, worker_json(d, w));
	json_object_object_add(o, "workers", workers);
	json_object_object_add(o, "spread", pool_spread_json(d->pool));
	json_object_object_add(o, "ports", pool_json(d->pool));
	json_object_object_add(o, "peers", dpd_json(d->dpd));
	json_object_object_add(o, "fib", fib_json(d->fib));
	json_object_object_add(o, "natt", natt_json(d->natt));
	add_text(tun, "name", d->o.tun_name);
	add_u64(tun, "mtu", d->tun_mtu);
	json_object_object_add(o, "tun", tun);
	*result = o;
	return 0;
}

static int answer_rescan(void *ctx, struct json_object *params, struct json_object **result,
			 struct fault *f)
{
	struct daemon *d = ctx;
	uint32_t ports_n = 0;
	int err = pool_rescan(d->pool, &ports_n, f);

	(void)params;
	tunnels_change(d->tunnels, TUNNELS_ALL);
	if (err)
		return err;
	*result = json_object_new_object();
	add_u64(*result, "ports", ports_n);
	return 0;
}

static const struct rpc_method methods[] = {
	{ "status", answer_status },
	{ "rescan", answer_rescan },
	{ "explain", explain_request },
	{ NULL, NULL },
};

int control_open(struct daemon *d, struct fault *f)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/xespd.sock", d->o.run_dir);
	return rpc_server_open(&d->rpc, d->base, path, methods, d, f);
}
