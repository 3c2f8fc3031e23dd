/* SPDX-License-Identifier: BSD-2-Clause */
/* explain.c - see explain.h and docs/control.md. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <json-c/json.h>
#include <netinet/in.h>
#include <stdio.h>

#include "keyd/config.h"
#include "keyd/control.h"
#include "keyd/daemon.h"
#include "keyd/explain.h"
#include "keyd/explain_packet.h"
#include "keyd/mismatch.h"
#include "keyd/natt.h"
#include "keyd/publish_maps.h"
#include "keyd/publish_worker.h"
#include "libxesp/addr.h"
#include "libxesp/drops.h"
#include "xesp/clear.h"

#define BEFORE_MAX 1000 /* policies of which it is told why they do not match */
#define SAS_MAX 64      /* of a tunnel: it may have 100 000 unique ones */

static void put_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, text ? json_object_new_string(text) : NULL);
}

/* ---- the verdict */

static bool is_local(const struct maps *m, const struct xesp_addr *a)
{
	__u32 ifindex;

	return !bpf_map_lookup_elem(m->pins.fd[PINS_LOCAL], a, &ifindex);
}

/* As bpf/steer.h has it for cleartext to an address of ours. */
static bool is_exempt(const struct maps *m, const struct spd_query *q)
{
	__u32 n;

	return clear_is_exempt(q->family, q->proto, false, q->local_port,
			       (uint8_t)ntohs(q->local_port)) ||
	       (q->proto == IPPROTO_UDP &&
		!bpf_map_lookup_elem(m->pins.fd[PINS_NATT_PORT], &q->local_port, &n));
}

static void set(struct explained *e, enum explain_verdict verdict, enum xesp_drop why,
		const char *because)
{
	e->verdict = verdict;
	e->why = why;
	e->because = because;
}

/* Beside what XDP does: what it and the slow path leave to the kernel, which has policies of its own. */
static void bypass(const struct maps *m, struct explained *e)
{
	if (!m->spd.head[e->generation & 1].kernel)
		set(e, EXPLAIN_BYPASS, XESP_DROP_NONE, NULL);
	else if (e->own && e->found.policy)
		set(e, EXPLAIN_DROP, XESP_DROP_NO_POLICY,
		    "xesp leaves this policy to the kernel, but the route leads into xesp's device");
	else
		set(e, EXPLAIN_KERNEL, XESP_DROP_NONE, "the kernel holds it against its own policies");
}

/* bpf/steer.h: steer_outbound(). */
static void judge_out(const struct maps *m, const struct spd_query *q, struct explained *e)
{
	if (clear_stays_on_link(q->family, &q->remote))
		set(e, EXPLAIN_KERNEL, XESP_DROP_NONE, "no router forwards this destination: it stays on the link");
	else if (is_local(m, &q->remote))
		set(e, EXPLAIN_KERNEL, XESP_DROP_NONE, "the destination is this machine");
	else if (e->why)
		set(e, EXPLAIN_DROP, e->why, NULL);
	else if (e->found.action == XESP_ACTION_PROTECT)
		set(e, EXPLAIN_PROTECT, XESP_DROP_NONE, NULL);
	else if (e->found.action == XESP_ACTION_BYPASS)
		bypass(m, e);
	else
		set(e, EXPLAIN_DROP, e->found.policy ? XESP_DROP_DISCARD : XESP_DROP_NO_POLICY, NULL);
}

/* bpf/steer.h: steer_inbound(). */
static void judge_in(const struct maps *m, const struct spd_query *q, struct explained *e)
{
	if (clear_stays_on_link(q->family, &q->local))
		set(e, EXPLAIN_KERNEL, XESP_DROP_NONE, "no router forwards this destination: it stays on the link");
	else if (e->why == XESP_DROP_NOT_LOADED && e->own)
		set(e, EXPLAIN_KERNEL, XESP_DROP_NONE, "for this machine, and no policies are loaded yet");
	else if (e->why)
		set(e, EXPLAIN_DROP, e->why, NULL);
	else if (!e->found.policy && e->own)
		set(e, EXPLAIN_KERNEL, XESP_DROP_NONE, "for this machine, and no policy matches");
	else if (e->found.action == XESP_ACTION_PROTECT && e->own && is_exempt(m, q))
		set(e, EXPLAIN_BYPASS, XESP_DROP_NONE,
		    "for this machine and needed in clear: IKE, AH, an ICMP error or neighbour discovery");
	else if (e->found.action == XESP_ACTION_PROTECT)
		set(e, EXPLAIN_DROP, XESP_DROP_CLEAR_PROTECTED, NULL);
	else if (e->found.action == XESP_ACTION_BYPASS)
		bypass(m, e);
	else
		set(e, EXPLAIN_DROP, e->found.policy ? XESP_DROP_DISCARD : XESP_DROP_NO_POLICY, NULL);
}

void explain_judge(const struct maps *m, const struct spd_query *q, struct explained *e)
{
	*e = (struct explained){ .own = is_local(m, &q->local) };
	e->why = spd_memory_find(&m->spd, q, &e->found, &e->generation);
	if (q->dir == XESP_DIR_OUT)
		judge_out(m, q, e);
	else
		judge_in(m, q, e);
}

/* ---- as JSON */

static struct json_object *verdict_json(const struct explained *e)
{
	static const char *const names[] = { "protect", "accept", "bypass", "drop", "kernel" };
	struct json_object *o = json_object_new_object();

	put_text(o, "verdict", names[e->verdict]);
	put_text(o, "reason", drops_name(e->why));
	put_text(o, "because", e->because ? e->because : drops_text(e->why));
	return o;
}

static struct json_object *skipped_json(const struct daemon *d, uint32_t rank, const struct spd_query *q)
{
	const struct policy *p = &d->change.now->spd.policies[rank];
	const char *key = mismatch_key(mismatch_of(p, q), p->sel.proto);
	struct json_object *whole = control_policy_json(d, rank), *o = json_object_new_object();
	static const char *const keys[] = { "rank", "name", "action" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		json_object_object_add(o, keys[i], json_object_get(json_object_object_get(whole, keys[i])));
	put_text(o, "differs", key[0] ? key : NULL);
	json_object_object_add(o, "has", json_object_get(json_object_object_get(whole, key)));
	json_object_put(whole);
	return o;
}

static struct json_object *sas_json(const struct daemon *d, uint32_t tunnel, uint8_t dir)
{
	const struct sad *sad = &d->change.now->sad;
	struct json_object *list = json_object_new_array();

	for (uint32_t i = 0; i < sad->sas_n && json_object_array_length(list) < SAS_MAX; i++)
		if (sad->sas[i].tunnel == tunnel && sad->sas[i].dir == dir)
			json_object_array_add(list, control_sa_json(d, &sad->sas[i]));
	return list;
}

static struct json_object *tunnel_json(const struct daemon *d, uint32_t tunnel, uint8_t dir)
{
	const struct sad *sad = &d->change.now->sad;
	const struct tunnel *t = &sad->tunnels[tunnel];
	struct json_object *o = json_object_new_object();
	char text[ADDR_TEXT_MAX], place[NATT_TEXT_MAX];

	json_object_object_add(o, "id", json_object_new_int64(t->id));
	put_text(o, "name", t->name);
	put_text(o, "mode", t->mode == XESP_MODE_TRANSPORT ? "transport" : "tunnel");
	put_text(o, "local", addr_print(&t->local, text));
	put_text(o, "peer", natt_print_peer(t, place));
	json_object_object_add(o, "sas", sas_json(d, tunnel, dir));
	if (dir == XESP_DIR_OUT)
		put_text(o, "sends_on", t->sa_out == SAD_NONE ? NULL : sad->sas[t->sa_out].name);
	return o;
}

/* The tunnel or group that the policy protects by, and the tunnels that this comes to. */
static void put_tunnels(struct json_object *o, const struct daemon *d, uint32_t tunnel, uint8_t dir)
{
	const struct tunnel *t = &d->change.now->sad.tunnels[tunnel];
	struct json_object *list = json_object_new_array();

	for (uint32_t i = 0; i < t->members_n; i++)
		json_object_array_add(list, tunnel_json(d, t->members[i], dir));
	if (!t->members_n)
		json_object_array_add(list, tunnel_json(d, tunnel, dir));
	put_text(o, "group", t->members_n ? t->name : NULL);
	json_object_object_add(o, "tunnels", list);
}

/* The policy found, those before it, and whether the configuration agrees with what is published. */
static void put_policy(struct json_object *o, const struct daemon *d, const struct spd_query *q,
		       const struct explained *e, bool verbose)
{
	const struct spd *spd = &d->change.now->spd;
	const uint32_t first = mismatch_first(spd, q);
	struct json_object *before = json_object_new_array();
	uint32_t rank = 0;

	while (e->found.policy && rank < spd->n && spd->ids[rank] != e->found.policy)
		rank++;
	if (!e->found.policy)
		rank = spd->n;
	json_object_object_add(o, "policy", rank < spd->n ? control_policy_json(d, rank) : NULL);
	put_text(o, "default", control_action(spd->default_action));
	json_object_object_add(o, "before", json_object_new_int64(rank));
	for (uint32_t i = 0; verbose && i < rank && i < BEFORE_MAX; i++)
		json_object_array_add(before, skipped_json(d, i, q));
	json_object_object_add(o, "not_matching", before);
	put_text(o, "problem", first == rank ? NULL :
		 "the published policies and the configuration do not agree: report this, and restart xesp-keyd");
	if (rank < spd->n && spd->policies[rank].tunnel != SAD_NONE)
		put_tunnels(o, d, spd->policies[rank].tunnel, q->dir);
}

/* RFC 4301 section 5.2 step 4: what comes out of a tunnel must match one of its protect policies first. */
static struct json_object *after_decapsulation(const struct explained *clear)
{
	struct explained e = *clear;
	const bool stale = clear->why == XESP_DROP_NOT_LOADED || clear->why == XESP_DROP_STALE_MAPS;

	set(&e, EXPLAIN_DROP, XESP_DROP_SELECTOR_MISMATCH,
	    "no protect policy is the first to match it: it may come out of no tunnel");
	if (!stale && e.found.policy && e.found.action == XESP_ACTION_PROTECT)
		set(&e, EXPLAIN_ACCEPT, XESP_DROP_NONE, "out of these tunnels; out of any other it is dropped as selector-mismatch");
	return verdict_json(&e);
}

int explain_request(void *ctx, struct json_object *params, struct json_object **result,
		    struct fault *f)
{
	const struct daemon *d = ctx;
	struct json_object *o, *verbose = NULL;
	struct explained e;
	struct spd_query q;
	int err = explain_packet_take(&q, params, f);

	if (err)
		return err;
	json_object_object_get_ex(params, "verbose", &verbose);
	explain_judge(d->change.maps, &q, &e);
	o = json_object_new_object();
	json_object_object_add(o, "packet", explain_packet_json(&q));
	json_object_object_add(o, "own", json_object_new_boolean(e.own));
	json_object_object_add(o, "generation", json_object_new_int64(e.generation));
	put_policy(o, d, &q, &e, json_object_get_boolean(verbose));
	if (q.dir == XESP_DIR_OUT) {
		json_object_object_add(o, "out", verdict_json(&e));
		json_object_object_add(o, "target", json_object_new_int64(e.found.tunnel));
	} else {
		json_object_object_add(o, "out_of_a_tunnel", after_decapsulation(&e));
		json_object_object_add(o, "in_clear", verdict_json(&e));
	}
	json_object_object_add(o, "worker", json_object_new_boolean(publish_worker_connected(d->change.worker)));
	put_text(o, "fallback", d->change.now->fallback ? "kernel" : "drop");
	*result = o;
	return 0;
}
