/* SPDX-License-Identifier: BSD-2-Clause */
/* explain_print.c - the answer of `explain` for people, a line for each step: see explain.h. */
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "xesp/explain.h"
#include "xesp/show.h"

static struct json_object *get(struct json_object *o, const char *key)
{
	return o ? json_object_object_get(o, key) : NULL;
}

static unsigned long long number(struct json_object *o, const char *key)
{
	return json_object_get_uint64(get(o, key));
}

static bool truth(struct json_object *o, const char *key)
{
	return json_object_get_boolean(get(o, key));
}

static void step(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Begins a line; the caller ends it. */
static void step(const char *what, const char *fmt, ...)
{
	va_list ap;

	printf("%-11s ", what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
}

static void print_packet(struct json_object *o)
{
	struct json_object *p = get(o, "packet");
	const bool in = !strcmp(show_text(p, "direction"), "in");
	const char *from = in ? "remote" : "local", *to = in ? "local" : "remote";

	step("packet", "%s -> %s, %s", show_text(p, from), show_text(p, to), show_text(p, "protocol"));
	if (get(p, "local_port"))
		printf(" port %s -> %s", show_text(p, in ? "remote_port" : "local_port"),
		       show_text(p, in ? "local_port" : "remote_port"));
	if (get(p, "icmp_type"))
		printf(" type %s code %s", show_text(p, "icmp_type"), show_text(p, "icmp_code"));
	if (get(p, "mh_type"))
		printf(" type %s", show_text(p, "mh_type"));
	if (get(get(o, "xespd"), "size"))
		printf(", %llu bytes", number(get(o, "xespd"), "size"));
	printf("%s\n", truth(o, "own") && !in ? ", of this machine" : "");
}

static void print_not_matching(struct json_object *list)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *p = json_object_array_get_idx(list, i);

		step("  not", "%s (rank %s, %s): its %s is %s\n", show_text(p, "name"), show_text(p, "rank"),
		     show_text(p, "action"), show_text(p, "differs"), show_text(p, "has"));
	}
}

static void print_policy(struct json_object *o)
{
	struct json_object *p = get(o, "policy");
	const unsigned long long before = number(o, "before");

	if (p)
		step("policy", "%s (rank %s): %s%s%s", show_text(p, "name"), show_text(p, "rank"),
		     show_text(p, "action"), get(p, "tunnel") ? " by " : "",
		     get(p, "tunnel") ? show_text(p, "tunnel") : "");
	else
		step("policy", "none matches: %s is the default", show_text(o, "default"));
	if (p && before)
		printf("; %llu before it %s not match", before, before == 1 ? "does" : "do");
	printf("\n");
	print_not_matching(get(o, "not_matching"));
	if (get(o, "problem"))
		step("problem", "%s\n", show_text(o, "problem"));
}

static struct json_object *find_tunnel(struct json_object *o, unsigned long long id)
{
	struct json_object *list = get(o, "tunnels");

	for (size_t i = 0; list && i < json_object_array_length(list); i++)
		if (number(json_object_array_get_idx(list, i), "id") == id)
			return json_object_array_get_idx(list, i);
	return NULL;
}

static void print_group(struct json_object *o)
{
	struct json_object *list = get(o, "tunnels");

	step("group", "%s:", show_text(o, "group"));
	for (size_t i = 0; i < json_object_array_length(list); i++)
		printf("%s %s", i ? "," : "", show_text(json_object_array_get_idx(list, i), "name"));
	printf("; a flow's hash picks, among those whose peer answers and that have an SA\n");
}

/* Why the SA that should be there is not: what keyd knows of it. */
static void print_missing_sa(struct json_object *tunnel)
{
	struct json_object *sas = get(tunnel, "sas");

	step("SA", "none that xespd could send on\n");
	for (size_t i = 0; sas && i < json_object_array_length(sas); i++) {
		struct json_object *sa = json_object_array_get_idx(sas, i);

		step("", "%s, SPI %s: %s%s%s\n", show_text(sa, "name"), show_text(sa, "spi"), show_text(sa, "state"),
		     get(sa, "reason") ? ": " : "", get(sa, "reason") ? show_text(sa, "reason") : "");
	}
}

static struct json_object *find_sa(struct json_object *tunnel, const char *name)
{
	struct json_object *sas = get(tunnel, "sas");

	for (size_t i = 0; sas && i < json_object_array_length(sas); i++)
		if (!strcmp(show_text(json_object_array_get_idx(sas, i), "name"), name))
			return json_object_array_get_idx(sas, i);
	return NULL;
}

static void print_sa(struct json_object *x, struct json_object *tunnel)
{
	struct json_object *sa = get(x, "sa"), *known, *path;

	if (!sa) {
		print_missing_sa(tunnel);
		return;
	}
	known = find_sa(tunnel, show_text(sa, "name"));
	path = get(known, "path");
	step("SA", "%s, SPI %s, %s: next number %llu, %llu leased, %llu left\n", show_text(sa, "name"),
	     show_text(sa, "spi"), known ? show_text(known, "state") : "active", number(sa, "next"), number(sa, "lease_left"),
	     number(sa, "numbers_left"));
	step("path MTU", "%llu%s%s: inner packets of up to %llu bytes; this one leaves with %llu%s\n", number(x, "mtu"),
	     path ? " from " : "", path ? show_text(path, "from") : "", number(x, "inner_mtu"),
	     number(x, "outer_len"), truth(x, "cut_after") ? ", in pieces" : "");
}

static void print_route(const char *what, struct json_object *route)
{
	static const char *const ways[][2] = {
		{ "send", "" },
		{ "kernel", "the kernel decides: the next hop is not resolved, not on an attached interface, or rules have a say" },
		{ "tunnels", "leads into xesp's own device" },
		{ "local", "this machine" },
		{ "none", "no route" },
	};
	const char *way = show_text(route, "way");

	if (!route)
		return;
	step(what, "%s", show_text(route, "destination"));
	if (get(route, "interface"))
		printf(" by %s", show_text(route, "interface"));
	if (get(route, "neighbour"))
		printf(", neighbour %s, MTU %s", show_text(route, "neighbour"), show_text(route, "mtu"));
	for (size_t i = 1; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(way, ways[i][0]))
			printf(": %s", ways[i][1]);
	printf("\n");
}

static void print_verdict(const char *what, struct json_object *v)
{
	static const char *const words[][2] = {
		{ "protect", "protected" },
		{ "accept", "accepted" },
		{ "bypass", "goes on in clear" },
		{ "drop", "dropped" },
		{ "kernel", "left to the kernel" },
	};
	const char *verdict = show_text(v, "verdict");

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(verdict, words[i][0]))
			verdict = words[i][1];
	step(what, "%s%s%s%s%s\n", verdict, get(v, "reason") ? " as " : "", get(v, "reason") ? show_text(v, "reason") : "",
	     get(v, "because") ? ": " : "", get(v, "because") ? show_text(v, "because") : "");
}

static void print_out(struct json_object *o)
{
	struct json_object *x = get(o, "xespd"), *tunnel = find_tunnel(o, number(x, "tunnel"));

	if (!strcmp(show_text(get(o, "out"), "verdict"), "protect") && x) {
		if (tunnel)
			step("tunnel", "%s, %s mode: %s -> %s%s\n", show_text(tunnel, "name"), show_text(tunnel, "mode"),
			     show_text(tunnel, "local"), show_text(tunnel, "peer"),
			     truth(x, "peer_down") ? "; its peer does not answer" : "");
		print_sa(x, tunnel);
		print_route("route", get(x, "route"));
	}
	if (truth(o, "own"))
		print_route("own route", get(x, "inner_route"));
	else if (!strcmp(show_text(o, "verdict"), "bypass"))
		print_route("route", get(x, "inner_route"));
	print_verdict("verdict", o);
}

static void print_in(struct json_object *o)
{
	struct json_object *list = get(o, "tunnels");

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *t = json_object_array_get_idx(list, i), *sas = get(t, "sas");

		step("tunnel", "%s, %s mode: %s <- %s\n", show_text(t, "name"), show_text(t, "mode"), show_text(t, "local"),
		     show_text(t, "peer"));
		for (size_t k = 0; k < json_object_array_length(sas); k++) {
			struct json_object *sa = json_object_array_get_idx(sas, k);

			step("SA", "%s, SPI %s, %s: highest number %s, window %s\n", show_text(sa, "name"),
			     show_text(sa, "spi"), show_text(sa, "state"), show_text(get(sa, "sequence"), "highest"),
			     show_text(sa, "window"));
		}
	}
	print_verdict("from tunnel", get(o, "out_of_a_tunnel"));
	print_verdict("in clear", get(o, "in_clear"));
	print_route("then", get(get(o, "xespd"), "inner_route"));
}

void explain_print(struct json_object *o)
{
	print_packet(o);
	print_policy(o);
	if (get(o, "group"))
		print_group(o);
	if (get(o, "out"))
		print_out(o);
	else
		print_in(o);
	if (get(o, "xespd_problem"))
		step("problem", "%s\n", show_text(o, "xespd_problem"));
}
