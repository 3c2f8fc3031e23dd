/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * status.c - `xesp status`: what is pinned and attached, then what each daemon says. A part that
 * cannot be had is named and does not keep the others from being shown.
 */
#include <bpf/bpf.h>
#include <json-c/json.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "xesp/attachment.h"
#include "xesp/counters.h"
#include "xesp/fault.h"
#include "xesp/iface.h"
#include "xesp/reassembly.h"
#include "xesp/rows.h"
#include "xesp/show.h"
#include "xesp/steer.h"
#include "xesp/table.h"

static void add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, text ? json_object_new_string(text) : NULL);
}

static struct json_object *attachment_json(const struct attachment *a, const struct rows *r)
{
	struct json_object *o = json_object_new_object();
	struct xesp_iface row;
	bool known = a->ifindex && rows_find(r, a->ifindex, &row);

	add_text(o, "name", a->name);
	json_object_object_add(o, "ifindex", json_object_new_int64(a->ifindex));
	add_text(o, "role", known ? iface_role_name(row.role) : NULL);
	json_object_object_add(o, "port", known ? json_object_new_int64(row.port) : NULL);
	add_text(o, "mode", occupant_mode_name(a->mode));
	json_object_object_add(o, "dispatcher", json_object_new_boolean(a->dispatcher));
	json_object_object_add(o, "program_id", json_object_new_int64(a->prog_id));
	if (!a->ifindex)
		add_text(o, "problem", "the interface is gone: `xesp detach` removes what is left of it");
	else if (a->mode == OCCUPANT_UNATTACHED)
		add_text(o, "problem", "the interface is not in this network namespace");
	else if (!known)
		add_text(o, "problem", "no row in xesp_ifaces: detach and attach it again");
	return o;
}

/* What is left of an interface that had libxdp's dispatcher, when it is gone: no pin, and so no name. */
static void add_gone(struct json_object *list, const struct rows *r,
		     const struct attachment_list *l)
{
	uint32_t ifindex[XESP_PORTS_MAX];
	const unsigned int n = rows_without(r, l, ifindex);
	struct attachment a = { .dispatcher = true, .mode = OCCUPANT_UNATTACHED };

	for (unsigned int i = 0; i < n; i++) {
		if (if_indextoname(ifindex[i], a.name))
			continue;
		snprintf(a.name, sizeof(a.name), "#%u", ifindex[i]);
		json_object_array_add(list, attachment_json(&a, r));
	}
}

/* NULL: nothing is pinned, or it cannot be read (then *f says why). */
static struct json_object *interfaces_json(const struct settings *s, struct fault *f)
{
	struct attachment_list *l = calloc(1, sizeof(*l));
	struct rows r = { -1, -1 };
	struct json_object *list = NULL;
	char path[PIN_DIR_PATH_MAX];

	if (!l || attachment_read(l, s->pins, f))
		goto free_list;
	snprintf(path, sizeof(path), "%s/xesp_ifaces", s->pins);
	r.ifaces_fd = bpf_obj_get(path);
	list = json_object_new_array();
	for (unsigned int i = 0; i < l->n; i++)
		json_object_array_add(list, attachment_json(&l->at[i], &r));
	if (r.ifaces_fd >= 0) {
		add_gone(list, &r, l);
		close(r.ifaces_fd);
	}
free_list:
	free(l);
	return list;
}

/* Adds the answer under `key`, or null and the sentence under "<key>_problem". */
static bool add_daemon(struct json_object *o, const struct settings *s, enum show_daemon daemon,
		       const char *key)
{
	struct json_object *result = NULL;
	struct fault f = { "" };
	char problem[32];

	if (!show_ask(s, daemon, "status", NULL, &result, &f)) {
		json_object_object_add(o, key, result);
		return true;
	}
	snprintf(problem, sizeof(problem), "%s_problem", key);
	json_object_object_add(o, key, NULL);
	add_text(o, problem, f.text);
	return false;
}

/* The model of both outputs. *useful: at least one part could be had. */
static struct json_object *status_json(const struct settings *s, bool *useful)
{
	struct json_object *o = json_object_new_object(), *interfaces, *counters = NULL;
	struct fault f = { "" };

	interfaces = interfaces_json(s, &f);
	*useful = interfaces && json_object_array_length(interfaces);
	json_object_object_add(o, "interfaces", interfaces);
	if (!interfaces)
		add_text(o, "interfaces_problem", f.text);

	if (!counters_read(s->pins, 0, &counters, &f)) {
		json_object_object_add(o, "drops",
				       json_object_new_uint64(counters_sum(
					       json_object_object_get(counters, "drops"))));
		json_object_put(counters);
		*useful = true;
	} else {
		json_object_object_add(o, "drops", NULL);
		add_text(o, "maps_problem", f.text);
	}
	json_object_object_add(o, "reassembly", reassembly_json());
	*useful |= add_daemon(o, s, SHOW_KEYD, "keyd");
	*useful |= add_daemon(o, s, SHOW_XESPD, "xespd");
	return o;
}

static struct json_object *find_port(struct json_object *ports, struct json_object *ifindex)
{
	size_t n =
		json_object_is_type(ports, json_type_array) ? json_object_array_length(ports) : 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *port = json_object_array_get_idx(ports, i);

		if (json_object_get_int64(json_object_object_get(port, "ifindex")) ==
		    json_object_get_int64(ifindex))
			return port;
	}
	return NULL;
}

static void print_interfaces(struct json_object *o)
{
	static const char *const columns[] = { "INTERFACE", "ROLE",      "MODE",
					       "ATTACHED",  ">PROGRAM",  ">PORT",
					       ">QUEUES",   "ZERO-COPY", NULL };
	struct json_object *list = json_object_object_get(o, "interfaces");
	struct json_object *ports =
		json_object_object_get(json_object_object_get(o, "xespd"), "ports");
	struct table *t = table_open(columns);

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *a = json_object_array_get_idx(list, i);
		struct json_object *port = find_port(ports, json_object_object_get(a, "ifindex"));
		bool dispatcher = json_object_get_boolean(json_object_object_get(a, "dispatcher"));

		table_cell(t, "%s", show_text(a, "name"));
		table_cell(t, "%s", show_text(a, "role"));
		table_cell(t, "%s", show_text(a, "mode"));
		table_cell(t, "%s", dispatcher ? "dispatcher" : "alone");
		table_cell(t, "%s", show_text(a, "program_id"));
		table_cell(t, "%s", show_text(a, "port"));
		table_cell(t, "%s", show_text(port, "queues"));
		table_cell(t, "%s", show_text(port, "zero_copy"));
	}
	if (!list || !json_object_array_length(list))
		puts("no interface is attached: `xesp attach --outer IF --inner IF`");
	table_close(t);
}

static const char *connected_text(struct json_object *o, const char *key)
{
	struct json_object *peer = json_object_object_get(o, key);

	return json_object_get_boolean(json_object_object_get(peer, "connected")) ? "connected"
										  : "not connected";
}

static void print_moved(struct json_object *keyd)
{
	struct json_object *list = json_object_object_get(keyd, "moved");
	size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		printf("           tunnel %s: its peer is at %s, configured at %s\n",
		       show_text(o, "tunnel"), show_text(o, "peer"), show_text(o, "remote"));
	}
}

static void print_acquires(struct json_object *keyd)
{
	struct json_object *list = json_object_object_get(keyd, "acquires");
	size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		printf("           policy %s, tunnel %s: %s: ", show_text(o, "policy"), show_text(o, "tunnel"),
		       strcmp(show_text(o, "by"), "kernel") ? "a packet asks for an SA of its own" :
							      "the kernel asks the IKE daemon for an SA");
		show_values(json_object_object_get(o, "selector"));
		printf("\n");
	}
}

static void print_keyd(struct json_object *o)
{
	struct json_object *keyd = json_object_object_get(o, "keyd");
	struct json_object *config = json_object_object_get(keyd, "config");

	if (!keyd) {
		printf("%s\n", show_text(o, "keyd_problem"));
		return;
	}
	printf("xesp-keyd  running, pid %s, version %s; xespd %s\n", show_text(keyd, "pid"),
	       show_text(keyd, "version"), connected_text(keyd, "worker"));
	printf("           generation %s: %s tunnels, %s SAs, %s policies, from %s (%s)\n",
	       show_text(keyd, "generation"), show_text(keyd, "tunnels"), show_text(keyd, "sas"),
	       show_text(keyd, "policies"), show_text(config, "file"),
	       show_text(config, "loaded_at"));
	print_moved(keyd);
	print_acquires(keyd);
}

/* "worker 0: 1200 packets (now), 300 for others": of each thread that had to do with it. */
static void print_spread(struct json_object *xespd)
{
	struct json_object *spread = json_object_object_get(xespd, "spread");
	struct json_object *list = json_object_object_get(spread, "threads");
	size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

	if (!spread)
		return;
	printf("           spread over many cores: %s, %s helper threads\n", show_text(spread, "mode"),
	       show_text(spread, "helpers"));
	for (size_t i = 0; i < n; i++) {
		struct json_object *t = json_object_array_get_idx(list, i);
		bool is_worker = json_object_object_get(t, "worker");
		unsigned long long given, helped;

		given = json_object_get_uint64(json_object_object_get(t, "packets"));
		helped = json_object_get_uint64(json_object_object_get(t, "helped"));
		if (!given && !helped)
			continue;
		printf("           %s %s:", is_worker ? "worker" : "helper",
		       show_text(t, is_worker ? "worker" : "helper"));
		if (is_worker)
			printf(" %s, %llu packets spread in %s times,",
			       json_object_get_boolean(json_object_object_get(t, "now")) ? "spread now"
											 : "alone now",
			       given, show_text(t, "switches"));
		printf(" %llu packets done for others\n", helped);
	}
}

static void print_xespd(struct json_object *o)
{
	struct json_object *xespd = json_object_object_get(o, "xespd");
	struct json_object *fib = json_object_object_get(xespd, "fib");
	struct json_object *tun = json_object_object_get(xespd, "tun");

	if (!xespd) {
		printf("%s\n", show_text(o, "xespd_problem"));
		return;
	}
	printf("xespd      running, pid %s, version %s; xesp-keyd %s\n", show_text(xespd, "pid"),
	       show_text(xespd, "version"), connected_text(xespd, "keyd"));
	printf("           engine %s", show_text(xespd, "engine"));
	if (json_object_object_get(xespd, "engine_version"))
		printf(" (libipsec-mb %s)", show_text(xespd, "engine_version"));
	printf(", %s SAs, %s routes, %s neighbours, slow path %s (MTU %s)\n", show_text(xespd, "sas"), show_text(fib, "routes"),
	       show_text(fib, "neighbours"), show_text(tun, "name"), show_text(tun, "mtu"));
	if (json_object_object_get(xespd, "engine_remark"))
		printf("           %s\n", show_text(xespd, "engine_remark"));
	print_spread(xespd);
}

static void print_workers(struct json_object *o)
{
	static const char *const columns[] = { ">WORKER", ">QUEUE", ">RECEIVED", ">SENT",  ">ENCAP",
					       ">DECAP",  ">SLOW",  ">BATCHES",  ">DROPS", NULL };
	struct json_object *list =
		json_object_object_get(json_object_object_get(o, "xespd"), "workers");
	struct table *t = table_open(columns);

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *w = json_object_array_get_idx(list, i);

		if (!i)
			putchar('\n');
		table_cell(t, "%s", show_text(w, "worker"));
		table_cell(t, "%s",
			   json_object_object_get(w, "queue") ? show_text(w, "queue")
							      : "slow path");
		table_cell(t, "%s", show_text(w, "rx_packets"));
		table_cell(t, "%s", show_text(w, "tx_packets"));
		table_cell(t, "%s", show_text(w, "encap_packets"));
		table_cell(t, "%s", show_text(w, "decap_packets"));
		table_cell(t, "%s", show_text(w, "slow_packets"));
		table_cell(t, "%s", show_text(w, "batches"));
		table_cell(t, "%llu", counters_sum(json_object_object_get(w, "drops")));
	}
	table_close(t);
}

static void print_list_problems(struct json_object *list)
{
	size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (json_object_object_get(o, "problem"))
			printf("problem: interface %s: %s\n", show_text(o, "name"),
			       show_text(o, "problem"));
	}
}

static bool follows_no_rules(struct json_object *xespd)
{
	struct json_object *fib = json_object_object_get(xespd, "fib");

	return json_object_get_boolean(json_object_object_get(fib, "policy_rules"));
}

static void print_dead_peers(struct json_object *xespd)
{
	struct json_object *list = json_object_object_get(xespd, "peers");
	size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *p = json_object_array_get_idx(list, i);

		if (!strcmp(show_text(p, "peer"), "down"))
			printf("problem: tunnel %s: nothing behind the peer answers, for %s s\n",
			       show_text(p, "tunnel"), show_text(p, "since_s"));
	}
}

/* Not a word while the kernel puts everything together. */
static void print_reassembly(struct json_object *o)
{
	static const char *const families[] = { "ipv4", "ipv6" };
	struct json_object *all = json_object_object_get(o, "reassembly");

	for (int i = 0; i < 2; i++) {
		struct json_object *f = json_object_object_get(all, families[i]);

		if (f && json_object_get_uint64(json_object_object_get(f, "failed")))
			printf("fragments  of %s: the kernel gave up %s times, %s of them for what never came\n",
			       i ? "IPv6" : "IPv4", show_text(f, "failed"), show_text(f, "timeouts"));
	}
}

static void print_problems(struct json_object *o)
{
	static const char *const own[] = { "interfaces_problem", "maps_problem" };
	struct json_object *keyd = json_object_object_get(o, "keyd");
	struct json_object *list =
		json_object_object_get(json_object_object_get(keyd, "config"), "problems");
	size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (json_object_object_get(o, own[i]))
			printf("problem: %s\n", show_text(o, own[i]));
	for (size_t i = 0; i < n; i++)
		printf("problem: configuration: %s\n",
		       json_object_get_string(json_object_array_get_idx(list, i)));
	if (follows_no_rules(json_object_object_get(o, "xespd")))
		puts("problem: routing: rules (`ip rule`) that look at sources, interfaces or marks: every packet they may concern takes the slow path");
	print_dead_peers(json_object_object_get(o, "xespd"));
	print_list_problems(json_object_object_get(o, "interfaces"));
	print_list_problems(json_object_object_get(keyd, "interfaces"));
}

int show_status_command(const struct settings *s, int argc, char **argv)
{
	struct json_object *o;
	bool useful;

	if (argc > 1)
		return command_misused("status", "'%s' is not known", argv[1]);
	o = status_json(s, &useful);
	if (s->json) {
		command_print_json(o);
		return useful ? COMMAND_DONE : COMMAND_REFUSED;
	}
	print_keyd(o);
	print_xespd(o);
	print_reassembly(o);
	print_problems(o);
	putchar('\n');
	print_interfaces(o);
	print_workers(o);
	if (json_object_object_get(o, "drops"))
		printf("\n%s packets dropped since the maps were created; `xesp counters` tells why\n",
		       show_text(o, "drops"));
	json_object_put(o);
	return useful ? COMMAND_DONE : COMMAND_REFUSED;
}
