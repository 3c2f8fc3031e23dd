/* SPDX-License-Identifier: BSD-2-Clause */
/* control.c - see control.h and docs/control.md, which has every field. */
#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <netinet/in.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keyd/config.h"
#include "keyd/control.h"
#include "keyd/daemon.h"
#include "keyd/events.h"
#include "keyd/explain.h"
#include "keyd/journal.h"
#include "keyd/lifetime.h"
#include "keyd/natt.h"
#include "keyd/pfp.h"
#include "keyd/publish_maps.h"
#include "keyd/publish_worker.h"
#include "keyd/xfrm_moved.h"
#include "keyd/xfrm_source.h"
#include "libxesp/addr.h"
#include "libxesp/drops.h"
#include "xesp/clock.h"

#define LIST_TEXT_MAX 8192

static void put_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, text ? json_object_new_string(text) : NULL);
}

static void put_number(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

/* ---- status */

static void add_problem(struct json_object *list, const char *text)
{
	if (text[0])
		json_object_array_add(list, json_object_new_string(text));
}

static struct json_object *config_json(const struct daemon *d)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();
	const struct config *c = d->change.now;
	char loaded[32] = "";
	struct tm tm;

	if (gmtime_r(&d->loaded_at, &tm))
		strftime(loaded, sizeof(loaded), "%Y-%m-%dT%H:%M:%SZ", &tm);
	put_text(o, "file", c->file);
	put_text(o, "loaded_at", loaded);
	add_problem(list, d->reload_failed.text);
	add_problem(list, d->addrs_failed.text);
	add_problem(list, d->grants.problem);
	if (d->xfrm) {
		add_problem(list, xfrm_source_problem(d->xfrm));
		add_problem(list, xfrm_source_no_esp(d->xfrm));
		add_problem(list, xfrm_source_undecided(d->xfrm));
		add_problem(list, xfrm_source_rival(d->xfrm));
	}
	add_problem(list, journal_problem(d->journal));
	if (c->keys_exposed)
		add_problem(list, "the configuration holds keys and is open to others: chmod 600 it");
	lifetime_problems(d->lifetime, list);
	for (uint32_t i = 0; i < d->routes.problems_n; i++)
		add_problem(list, d->routes.problems[i]);
	json_object_object_add(o, "problems", list);
	return o;
}

/* What the configuration says of an interface against what `xesp attach` did. */
static const char *judge_interface(const struct maps *m, const struct config_interface *i,
				   bool *attached)
{
	uint32_t ifindex = if_nametoindex(i->name);
	struct xesp_iface at;

	*attached = false;
	if (!ifindex)
		return "no such interface";
	if (bpf_map_lookup_elem(m->pins.fd[PINS_IFACES], &ifindex, &at))
		return "not attached: run `xesp attach`";
	*attached = true;
	return at.role == i->role ? NULL : "attached with another role than configured";
}

static struct json_object *interfaces_json(const struct daemon *d)
{
	static const char *const roles[] = { "", "inner", "outer", "both" };
	const struct config *c = d->change.now;
	struct json_object *list = json_object_new_array();

	for (uint32_t i = 0; i < c->interfaces_n; i++) {
		struct json_object *o = json_object_new_object();
		bool attached;
		const char *problem = judge_interface(d->change.maps, &c->interfaces[i], &attached);

		put_text(o, "name", c->interfaces[i].name);
		put_text(o, "role", roles[c->interfaces[i].role]);
		json_object_object_add(o, "attached", json_object_new_boolean(attached));
		put_text(o, "problem", problem);
		json_object_array_add(list, o);
	}
	return list;
}

/* Tunnels whose remote end is elsewhere than configured. */
static struct json_object *moved_json(struct daemon *d, const struct sad *sad)
{
	struct json_object *list = json_object_new_array();
	char text[NATT_TEXT_MAX];

	for (uint32_t i = 0; i < sad->tunnels_n; i++) {
		const struct tunnel *t = &sad->tunnels[i];
		struct json_object *o;

		if (!natt_has_moved(t))
			continue;
		o = json_object_new_object();
		put_text(o, "tunnel", t->name);
		put_text(o, "remote", natt_print_remote(t, text));
		put_text(o, "peer", natt_print_peer(t, text));
		json_object_array_add(list, o);
	}
	xfrm_moved_show(&d->moved, sad, clock_ms(), list);
	return list;
}

static int handle_status(void *ctx, struct json_object *params, struct json_object **result,
			 struct fault *f)
{
	struct daemon *d = ctx;
	const struct config *c = d->change.now;
	struct json_object *o = json_object_new_object(), *worker = json_object_new_object();

	(void)params;
	(void)f;
	put_text(o, "version", XESP_VERSION);
	put_number(o, "pid", (uint64_t)getpid());
	put_number(o, "generation", d->change.maps->conf->generation);
	json_object_object_add(o, "config", config_json(d));
	put_number(o, "tunnels", c->sad.tunnels_n);
	put_number(o, "sas", c->sad.sas_n);
	put_number(o, "policies", c->spd.n);
	json_object_object_add(worker, "connected",
			       json_object_new_boolean(publish_worker_connected(d->change.worker)));
	put_number(worker, "pid", publish_worker_pid(d->change.worker));
	json_object_object_add(o, "worker", worker);
	json_object_object_add(o, "interfaces", interfaces_json(d));
	json_object_object_add(o, "moved", moved_json(d, &c->sad));
	json_object_object_add(o, "acquires", acquires_json(&d->acquires, c, clock_ns()));
	put_text(o, "source", d->xfrm ? "xfrm" : d->journal ? "control" : "file");
	put_text(o, "fallback", c->fallback ? "kernel" : "drop");
	put_text(o, "state_dir", d->o.state);
	*result = o;
	return 0;
}

/* ---- sa */

static struct json_object *sequence_json(const struct sa *sa, const struct xesp_sa_state *st)
{
	struct json_object *o = json_object_new_object();

	/* The workers' ends of these are in user/sad/lease.c and user/esp/decap.c. */
	if (sa->dir == XESP_DIR_OUT) {
		put_number(o, "next", __atomic_load_n(&st->seq_next, __ATOMIC_RELAXED));
		put_number(o, "lease_end", __atomic_load_n(&st->lease_end, __ATOMIC_RELAXED));
	} else {
		put_number(o, "highest", __atomic_load_n(&st->replay_top, __ATOMIC_RELAXED));
	}
	return o;
}

/* Seconds since a time of CLOCK_BOOTTIME; null: never. */
static struct json_object *age_json(const __u64 *ns)
{
	uint64_t at = __atomic_load_n(ns, __ATOMIC_RELAXED), now;

	if (!at)
		return NULL;
	now = clock_boot_ns();
	return json_object_new_uint64(now > at ? (now - at) / 1000000000u : 0);
}

/* RFC 4301 section 4.4.2.1: the path MTU that was observed, and how old that is. */
static struct json_object *path_json(const struct xesp_sa_state *st)
{
	static const char *const from[] = {
		[XESP_PMTU_FROM_LINK] = "link",
		[XESP_PMTU_FROM_CONFIG] = "config",
		[XESP_PMTU_FROM_ICMP] = "icmp",
		[XESP_PMTU_FROM_PROBE] = "probe",
	};
	struct json_object *o;

	if (!st->path_mtu || st->path_mtu_from > XESP_PMTU_FROM_PROBE)
		return NULL;
	o = json_object_new_object();
	put_number(o, "mtu", st->path_mtu);
	put_number(o, "inner_mtu", st->inner_mtu);
	put_text(o, "from", from[st->path_mtu_from]);
	json_object_object_add(o, "age_s", age_json(&st->path_mtu_ns));
	return o;
}

static void add_value(void *ctx, const char *key, const char *value)
{
	put_text(ctx, key, value);
}

/* A unique SA's own values. */
static struct json_object *selector_json(const struct sad *sad, const struct sa *sa)
{
	struct json_object *o;

	if (!sa->values.mask)
		return NULL;
	o = json_object_new_object();
	pfp_each(&sa->values, pfp_proto(sad, sa), add_value, o);
	return o;
}

struct json_object *control_sa_json(const struct daemon *d, const struct sa *sa)
{
	static const char *const standings[] = { "waiting", "active", "refused" };
	const struct tunnel *t = &d->change.now->sad.tunnels[sa->tunnel];
	const struct xesp_sa_state *st = &d->change.maps->sa[sa->id];
	struct json_object *o = json_object_new_object();
	char text[ADDR_TEXT_MAX];
	const struct algorithm algorithm = sad_algorithm(sa);
	char name[ALGORITHM_TEXT_MAX], place[NATT_TEXT_MAX];

	put_number(o, "id", sa->id);
	put_text(o, "name", sa->name);
	put_text(o, "tunnel", t->name);
	put_text(o, "direction", sa->dir == XESP_DIR_IN ? "in" : "out");
	snprintf(text, sizeof(text), "0x%08x", sa->spi);
	put_text(o, "spi", text);
	put_text(o, "local", addr_print(&t->local, text));
	put_text(o, "remote", addr_print(&t->remote, text));
	put_text(o, "encap", t->natt.encap == XESP_ENCAP_UDP ? "udp" : "none");
	put_text(o, "peer", natt_print_peer(t, place));
	put_text(o, "protocol", sa->proto == IPPROTO_AH ? "ah" : "esp");
	put_text(o, "mode", t->mode == XESP_MODE_TRANSPORT ? "transport" : "tunnel");
	put_text(o, "algorithm", algorithm_print(&algorithm, name));
	json_object_object_add(o, "esn", json_object_new_boolean(sa->esn));
	put_number(o, "window", sa->window);
	json_object_object_add(o, "cpu", sa->cpu == SAD_NONE ? NULL : json_object_new_int64(sa->cpu));
	json_object_object_add(o, "selector", selector_json(&d->change.now->sad, sa));
	put_text(o, "fingerprint", sad_print_fingerprint(sa, text));
	put_text(o, "state", standings[sa->standing]);
	put_text(o, "reason", sa->standing == SA_REFUSED ? sa->reason :
			      sa->standing == SA_WAITING ? "xespd has not taken it yet" :
							   NULL);
	json_object_object_add(o, "sequence", sequence_json(sa, st));
	put_number(o, "packets", __atomic_load_n(&st->packets, __ATOMIC_RELAXED));
	put_number(o, "bytes", __atomic_load_n(&st->bytes, __ATOMIC_RELAXED));
	put_number(o, "lost", __atomic_load_n(&st->lost, __ATOMIC_RELAXED));
	json_object_object_add(o, "last_used_s", age_json(&st->last_used_ns));
	if (sa->dir == XESP_DIR_OUT)
		json_object_object_add(o, "path", path_json(st));
	json_object_object_add(o, "drops", drops_json_of(&st->drops));
	lifetime_show(d->lifetime, sa, o);
	return o;
}

static struct json_object *unserved_json(const struct xfrm_unserved_list *l)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < l->n; i++) {
		struct json_object *o = json_object_new_object();

		put_text(o, "what", l->entry[i].what);
		put_text(o, "reason", l->entry[i].reason);
		json_object_array_add(list, o);
	}
	return list;
}

static int handle_sa(void *ctx, struct json_object *params, struct json_object **result,
		     struct fault *f)
{
	const struct daemon *d = ctx;
	const struct sad *sad = &d->change.now->sad;
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();

	(void)params;
	(void)f;
	for (uint32_t i = 0; i < sad->sas_n; i++)
		json_object_array_add(list, control_sa_json(d, &sad->sas[i]));
	json_object_object_add(o, "sas", list);
	if (d->xfrm)
		json_object_object_add(o, "unserved", unserved_json(xfrm_source_unserved(d->xfrm)));
	*result = o;
	return 0;
}

/* ---- policy */

static const char *const action_names[] = { "", "discard", "bypass", "protect" };

const char *control_action(uint8_t action)
{
	return action_names[action];
}

static void put_selector(struct json_object *o, const struct selector *s)
{
	const enum selector_fields fields = selector_fields(s->proto);
	char text[LIST_TEXT_MAX];

	put_text(o, "local",
		 selector_print_prefixes(s, s->local, s->local_n, text, sizeof(text)));
	put_text(o, "remote",
		 selector_print_prefixes(s, s->remote, s->remote_n, text, sizeof(text)));
	put_text(o, "protocol", selector_print_own_proto(s, text));
	selector_print_ports(s, s->local_ports, s->local_ports_n, text, sizeof(text));
	put_text(o, fields == SELECTOR_ICMP ? "icmp_type" :
		    fields == SELECTOR_MH   ? "mh_type" :
					      "local_ports", text);
	selector_print_ports(s, s->remote_ports, s->remote_ports_n, text, sizeof(text));
	if (fields != SELECTOR_MH)
		put_text(o, fields == SELECTOR_ICMP ? "icmp_code" : "remote_ports", text);
}

static void add_word(void *ctx, const char *key, const char *value)
{
	(void)value;
	json_object_array_add(ctx, json_object_new_string(key));
}

static struct json_object *pfp_json(const struct sad *sad, const struct policy *p)
{
	const struct tunnel *t = p->tunnel == SAD_NONE ? NULL : &sad->tunnels[p->tunnel];
	const struct xesp_values any = { .mask = t ? t->pfp : 0 };
	struct json_object *list;

	if (!any.mask)
		return NULL;
	list = json_object_new_array();
	pfp_each(&any, t->pfp_proto, add_word, list);
	return list;
}

struct json_object *control_policy_json(const struct daemon *d, uint32_t rank)
{
	static const char *const dirs[] = { "", "out", "in", "both" };
	const struct sad *sad = &d->change.now->sad;
	const struct policy *p = &d->change.now->spd.policies[rank];
	const uint32_t id = d->change.now->spd.ids[rank];
	struct json_object *o = json_object_new_object();
	const struct xesp_policy_hits hits = maps_policy_hits(d->change.maps, id);

	_Static_assert(XESP_DIR_OUT == 0 && XESP_DIR_IN == 1, "dirs[] is by bits");
	put_number(o, "id", id);
	put_text(o, "name", p->name);
	put_number(o, "rank", rank);
	put_text(o, "action", action_names[p->action]);
	put_text(o, "direction", dirs[p->dirs]);
	put_text(o, "tunnel", p->tunnel == SAD_NONE ? NULL : sad->tunnels[p->tunnel].name);
	put_selector(o, &p->sel);
	json_object_object_add(o, "pfp", pfp_json(sad, p));
	put_number(o, "packets", hits.packets);
	put_number(o, "bytes", hits.bytes);
	json_object_object_add(o, "drops", drops_json(d->change.maps->drops[id].by_reason, 0));
	return o;
}

static int handle_policy(void *ctx, struct json_object *params, struct json_object **result,
			 struct fault *f)
{
	const struct daemon *d = ctx;
	const struct spd *spd = &d->change.now->spd;
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();

	(void)params;
	(void)f;
	put_text(o, "default", action_names[spd->default_action]);
	for (uint32_t i = 0; i < spd->n; i++)
		json_object_array_add(list, control_policy_json(d, i));
	json_object_object_add(o, "policies", list);
	*result = o;
	return 0;
}

/* ---- reload */

static int handle_reload(void *ctx, struct json_object *params, struct json_object **result,
			 struct fault *f)
{
	struct json_object *file = NULL, *o;
	struct change_result r;
	int err;

	if (params && json_object_object_get_ex(params, "file", &file) &&
	    !json_object_is_type(file, json_type_string))
		return fault_set(f, -EINVAL, "params.file must be a path");
	err = daemon_reload(ctx, file ? json_object_get_string(file) : NULL, &r, f);
	if (err)
		return err;
	o = json_object_new_object();
	put_number(o, "generation", r.generation);
	put_number(o, "added", r.added);
	put_number(o, "removed", r.removed);
	put_number(o, "kept", r.kept);
	put_number(o, "commit_us", r.commit_us);
	*result = o;
	return 0;
}

const struct rpc_method control_methods[] = {
	{ "status", handle_status },
	{ "sa", handle_sa },
	{ "policy", handle_policy },
	{ "explain", explain_request },
	{ "reload", handle_reload },
	{ "set", control_set },
	{ "subscribe", events_subscribe },
	{ NULL, NULL },
};
