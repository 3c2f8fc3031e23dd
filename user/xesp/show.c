/* SPDX-License-Identifier: BSD-2-Clause */
/* show.c - see show.h. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libxesp/rpc.h"
#include "xesp/counters.h"
#include "xesp/fault.h"
#include "xesp/life.h"
#include "xesp/show.h"
#include "xesp/table.h"

/* With 100 000 SAs an answer takes its time. */
#define ANSWER_TIMEOUT_MS 15000

#define REASONS_MAX 10 /* lines below a table of all SAs */

int show_ask(const struct settings *s, enum show_daemon daemon, const char *request,
	     struct json_object *params, struct json_object **result, struct fault *f)
{
	static const struct {
		const char *name, *socket;
	} daemons[] = {
		[SHOW_KEYD] = { "xesp-keyd", "keyd.sock" },
		[SHOW_XESPD] = { "xespd", "xespd.sock" },
	};
	const char *name = daemons[daemon].name;
	char path[256];
	int err;

	snprintf(path, sizeof(path), "%s/%s", s->run, daemons[daemon].socket);
	err = rpc_call(path, request, params, ANSWER_TIMEOUT_MS, result, f);
	switch (err) {
	case 0:
	case -EREMOTEIO: /* the sentence is the daemon's own */
		return err;
	case -ENOENT:
	case -ECONNREFUSED:
		return fault_set(f, err, "%s is not running (nobody listens at %s)", name, path);
	case -EACCES:
	case -EPERM:
		return fault_set(f, err, "may not talk to %s at %s: run as root", name, path);
	default:
		return fault_in(f, err, "%s", name);
	}
}

const char *show_text(struct json_object *o, const char *key)
{
	struct json_object *value = json_object_object_get(o, key);

	if (!value)
		return "-";
	if (json_object_is_type(value, json_type_boolean))
		return json_object_get_boolean(value) ? "yes" : "no";
	return json_object_get_string(value);
}

static unsigned long long number(struct json_object *o, const char *key)
{
	return json_object_get_uint64(json_object_object_get(o, key));
}

static const char *bytes(char buf[16], struct json_object *o, const char *key)
{
	return table_bytes(buf, number(o, key));
}

static const char *used_text(char buf[32], struct json_object *sa)
{
	struct json_object *used = json_object_object_get(sa, "last_used_s");

	if (!used)
		return "never";
	snprintf(buf, 32, "%llu s ago", (unsigned long long)json_object_get_uint64(used));
	return buf;
}

/* "1400 icmp 12s": how large, who says so, how long ago. Of what the link says only the size. */
static const char *path_text(char buf[32], struct json_object *sa)
{
	struct json_object *path = json_object_object_get(sa, "path"), *age;

	if (!path)
		return "-";
	age = json_object_object_get(path, "age_s");
	if (age)
		snprintf(buf, 32, "%llu %.8s %llus", number(path, "mtu"), show_text(path, "from"),
			 (unsigned long long)json_object_get_uint64(age));
	else
		snprintf(buf, 32, "%llu", number(path, "mtu"));
	return buf;
}

/* What to look at first: the next number outbound, the highest one seen inbound. */
static const char *sequence_text(struct json_object *sa)
{
	struct json_object *seq = json_object_object_get(sa, "sequence");

	return show_text(seq, json_object_object_get(seq, "next") ? "next" : "highest");
}

static bool any_has(struct json_object *list, const char *key)
{
	size_t n = json_object_array_length(list), i = 0;

	while (i < n && !json_object_object_get(json_object_array_get_idx(list, i), key))
		i++;
	return i < n;
}

static void print_sa_table(struct json_object *sas)
{
	static const char *const all[] = { "NAME",        "TUNNEL",    "DIR",       "SPI",
					       "STATE",       "ALGORITHM", ">SEQUENCE", ">PACKETS",
					       ">BYTES",      ">LOST",     ">DROPS",    ">USED",
					       ">PATH MTU",   "FINGERPRINT", ">CPU", NULL };
	const char *columns[sizeof(all) / sizeof(all[0])];
	const bool cpus = any_has(sas, "cpu");
	struct table *t;
	char buf[32];

	memcpy(columns, all, sizeof(all));
	if (!cpus)
		columns[sizeof(all) / sizeof(all[0]) - 2] = NULL;
	t = table_open(columns);

	for (size_t i = 0; i < json_object_array_length(sas); i++) {
		struct json_object *sa = json_object_array_get_idx(sas, i);

		table_cell(t, "%s", show_text(sa, "name"));
		table_cell(t, "%s", show_text(sa, "tunnel"));
		table_cell(t, "%s", show_text(sa, "direction"));
		table_cell(t, "%s", show_text(sa, "spi"));
		table_cell(t, "%s", show_text(sa, "state"));
		table_cell(t, "%s", show_text(sa, "algorithm"));
		table_cell(t, "%s", sequence_text(sa));
		table_cell(t, "%llu", number(sa, "packets"));
		table_cell(t, "%s", bytes(buf, sa, "bytes"));
		if (json_object_object_get(json_object_object_get(sa, "sequence"), "next"))
			table_cell(t, "-"); /* only the receiving end knows */
		else
			table_cell(t, "%llu", number(sa, "lost"));
		table_cell(t, "%llu", counters_sum(json_object_object_get(sa, "drops")));
		table_cell(t, "%s", used_text(buf, sa));
		table_cell(t, "%s", path_text(buf, sa));
		table_cell(t, "%s", show_text(sa, "fingerprint"));
		if (cpus)
			table_cell(t, "%s", show_text(sa, "cpu"));
	}
	table_close(t);
}

static void print_drops(struct json_object *drops)
{
	if (!drops)
		return;
	json_object_object_foreach(drops, reason, n)
		printf("  dropped    %s: %s\n", reason, json_object_get_string(n));
}

void show_values(struct json_object *o)
{
	const char *comma = "";

	if (!o)
		return;
	json_object_object_foreach(o, key, value) {
		printf("%s%s %s", comma, key, json_object_get_string(value));
		comma = ", ";
	}
}

/* What the table has no room for. */
static void print_sa_details(struct json_object *sa)
{
	struct json_object *seq = json_object_object_get(sa, "sequence");

	printf("\n%s\n", show_text(sa, "name"));
	if (json_object_object_get(sa, "reason"))
		printf("  %-10s %s\n", show_text(sa, "state"), show_text(sa, "reason"));
	printf("  kind       %s, %s mode, %s\n", show_text(sa, "protocol"), show_text(sa, "mode"),
	       show_text(sa, "algorithm"));
	printf("  addresses  %s (local), %s (remote)\n", show_text(sa, "local"),
	       show_text(sa, "remote"));
	if (!strcmp(show_text(sa, "encap"), "udp"))
		printf("  in UDP     to %s\n", show_text(sa, "peer"));
	if (json_object_object_get(seq, "next"))
		printf("  sequence   next %s, leased up to %s, ESN: %s\n", show_text(seq, "next"),
		       show_text(seq, "lease_end"), show_text(sa, "esn"));
	else
		printf("  sequence   highest %s, replay window %s packets, ESN: %s\n",
		       show_text(seq, "highest"), show_text(sa, "window"), show_text(sa, "esn"));
	if (json_object_object_get(sa, "cpu"))
		printf("  cpu        %s: the worker there sends on it, no other\n", show_text(sa, "cpu"));
	if (json_object_object_get(sa, "selector")) {
		printf("  only       ");
		show_values(json_object_object_get(sa, "selector"));
		printf("\n");
	}
	life_print(sa);
	print_drops(json_object_object_get(sa, "drops"));
}

/* An SA that carries no traffic: its reason must not need a second command. */
static void print_reasons(struct json_object *sas)
{
	size_t n = 0;

	for (size_t i = 0; i < json_object_array_length(sas); i++) {
		struct json_object *sa = json_object_array_get_idx(sas, i);

		if (json_object_object_get(sa, "reason") && n++ < REASONS_MAX)
			printf("%s: %s: %s\n", show_text(sa, "name"), show_text(sa, "state"),
			       show_text(sa, "reason"));
	}
	if (n > REASONS_MAX)
		printf("and %zu more that are not active\n", n - REASONS_MAX);
}

static const char *ports_text(char buf[64], struct json_object *policy)
{
	const char *local = show_text(policy, "local_ports");
	const char *remote = show_text(policy, "remote_ports");

	if (!strcmp(local, remote) && (!strcmp(local, "-") || !strcmp(local, "any")))
		return local;
	snprintf(buf, 64, "%s to %s", local, remote);
	return buf;
}

static void print_policy_table(struct json_object *policies)
{
	static const char *const columns[] = { ">RANK",  "NAME",   "ACTION", "DIR",   "TUNNEL",
					       "LOCAL",  "REMOTE", "PROTO",  "PORTS", ">PACKETS",
					       ">BYTES", ">DROPS", NULL };
	struct table *t = table_open(columns);
	char buf[64];

	for (size_t i = 0; i < json_object_array_length(policies); i++) {
		struct json_object *p = json_object_array_get_idx(policies, i);

		table_cell(t, "%s", show_text(p, "rank"));
		table_cell(t, "%s", show_text(p, "name"));
		table_cell(t, "%s", show_text(p, "action"));
		table_cell(t, "%s", show_text(p, "direction"));
		table_cell(t, "%s", show_text(p, "tunnel"));
		table_cell(t, "%s", show_text(p, "local"));
		table_cell(t, "%s", show_text(p, "remote"));
		table_cell(t, "%s", show_text(p, "protocol"));
		table_cell(t, "%s", ports_text(buf, p));
		table_cell(t, "%llu", number(p, "packets"));
		table_cell(t, "%s", bytes(buf, p, "bytes"));
		table_cell(t, "%llu", counters_sum(json_object_object_get(p, "drops")));
	}
	table_close(t);
}

/* Leaves in the list what has this name or belongs to the tunnel of this name. */
static struct json_object *filter(struct json_object *list, const char *name)
{
	struct json_object *kept = json_object_new_array();

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (!strcmp(show_text(o, "name"), name) || !strcmp(show_text(o, "tunnel"), name))
			json_object_array_add(kept, json_object_get(o));
	}
	return kept;
}

/*
 * Asks keyd for a list and keeps what is named on the command line. COMMAND_DONE: *result is the
 * whole answer, owned by the caller, and *list the member `key` in it.
 */
static int ask_list(const struct settings *s, int argc, char **argv, const char *key,
		    struct json_object **result, struct json_object **list)
{
	struct fault f = { "" };

	if (argc > 2 || (argc == 2 && argv[1][0] == '-'))
		return command_misused(argv[0], "'%s' is not known", argv[argc - 1]);
	if (show_ask(s, SHOW_KEYD, argv[0], NULL, result, &f))
		return command_refused(argv[0], &f);
	*list = json_object_object_get(*result, key);
	if (!json_object_is_type(*list, json_type_array)) {
		fault_set(&f, -EPROTO, "xesp-keyd answered without '%s': is it of this version?",
			  key);
		goto refused;
	}
	if (argc == 1)
		return COMMAND_DONE;
	*list = filter(*list, argv[1]);
	json_object_object_add(*result, key, *list);
	if (json_object_array_length(*list))
		return COMMAND_DONE;
	fault_set(&f, -ENOENT, "neither a name nor a tunnel is '%s'; `xesp %s` shows all", argv[1],
		  argv[0]);
refused:
	json_object_put(*result);
	return command_refused(argv[0], &f);
}

static int show_unserved(const struct settings *s)
{
	char sa[] = "sa", *no_name[] = { sa };
	struct json_object *result = NULL, *sas = NULL, *list;
	int status = ask_list(s, 1, no_name, "sas", &result, &sas);
	size_t n;

	if (status != COMMAND_DONE)
		return status;
	list = json_object_object_get(result, "unserved");
	n = list ? json_object_array_length(list) : 0;
	if (s->json) {
		command_print_json(list ? json_object_get(list) : json_object_new_array());
		json_object_put(result);
		return COMMAND_DONE;
	}
	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		printf("%s: %s\n", show_text(o, "what"), show_text(o, "reason"));
	}
	if (!list)
		puts("the source is a file: nothing is shared with the kernel");
	else if (!n)
		puts("nothing: xesp serves all that the kernel has");
	json_object_put(result);
	return COMMAND_DONE;
}

int show_sa_command(const struct settings *s, int argc, char **argv)
{
	struct json_object *result = NULL, *sas = NULL;
	int status;

	if (argc == 2 && !strcmp(argv[1], "--unserved"))
		return show_unserved(s);
	status = ask_list(s, argc, argv, "sas", &result, &sas);

	if (status != COMMAND_DONE)
		return status;
	if (s->json) {
		command_print_json(result);
		return COMMAND_DONE;
	}
	print_sa_table(sas);
	if (!json_object_array_length(sas))
		puts("no security associations are configured");
	if (argc == 1)
		print_reasons(sas);
	for (size_t i = 0; argc > 1 && i < json_object_array_length(sas); i++)
		print_sa_details(json_object_array_get_idx(sas, i));
	json_object_put(result);
	return COMMAND_DONE;
}

static void print_policy_drops(struct json_object *policies)
{
	for (size_t i = 0; i < json_object_array_length(policies); i++) {
		struct json_object *p = json_object_array_get_idx(policies, i);

		if (!counters_sum(json_object_object_get(p, "drops")))
			continue;
		printf("\n%s\n", show_text(p, "name"));
		print_drops(json_object_object_get(p, "drops"));
	}
}

int show_policy_command(const struct settings *s, int argc, char **argv)
{
	struct json_object *result = NULL, *policies = NULL;
	int status = ask_list(s, argc, argv, "policies", &result, &policies);

	if (status != COMMAND_DONE)
		return status;
	if (s->json) {
		command_print_json(result);
		return COMMAND_DONE;
	}
	print_policy_table(policies);
	if (argc == 1)
		printf("no match: %s\n", show_text(result, "default"));
	else
		print_policy_drops(policies);
	json_object_put(result);
	return COMMAND_DONE;
}

static void print_reload(struct json_object *result)
{
	printf("generation %s is in force; SAs: %s added, %s removed, %s kept\n",
	       show_text(result, "generation"), show_text(result, "added"),
	       show_text(result, "removed"), show_text(result, "kept"));
}

int show_reload_command(const struct settings *s, int argc, char **argv)
{
	struct json_object *params = NULL, *result = NULL;
	struct fault f = { "" };
	char *file;
	int err;

	if (argc > 2 || (argc == 2 && argv[1][0] == '-'))
		return command_misused("reload", "'%s' is not known", argv[argc - 1]);
	if (argc == 2) {
		/* keyd has another working directory. */
		file = realpath(argv[1], NULL);
		if (!file) {
			fault_set(&f, -errno, "%s: %s", argv[1], strerror(errno));
			return command_refused("reload", &f);
		}
		params = json_object_new_object();
		json_object_object_add(params, "file", json_object_new_string(file));
		free(file);
	}
	err = show_ask(s, SHOW_KEYD, "reload", params, &result, &f);
	json_object_put(params);
	if (err)
		return command_refused("reload", &f);
	if (s->json) {
		command_print_json(result);
		return COMMAND_DONE;
	}
	print_reload(result);
	json_object_put(result);
	return COMMAND_DONE;
}
