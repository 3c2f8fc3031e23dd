/* SPDX-License-Identifier: BSD-2-Clause */
/* explain.c - see explain.h. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xesp/explain.h"
#include "xesp/fault.h"
#include "xesp/show.h"

#define WORDS_MAX 5 /* local, remote, protocol, and two numbers */

struct question {
	const char *word[WORDS_MAX];
	int words_n;
	const char *size;
	bool in;
};

static const char *get_text(struct json_object *o, const char *key)
{
	struct json_object *value = json_object_object_get(o, key);

	return value ? json_object_get_string(value) : NULL;
}

static void put_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, text ? json_object_new_string(text) : NULL);
}

/* Takes a reference. */
static void copy(struct json_object *to, const char *to_key, struct json_object *from, const char *key)
{
	json_object_object_add(to, to_key, json_object_get(json_object_object_get(from, key)));
}

static int take(struct question *q, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--in") || !strcmp(argv[i], "--out"))
			q->in = argv[i][2] == 'i';
		else if (!strcmp(argv[i], "--size") && i + 1 < argc)
			q->size = argv[++i];
		else if (argv[i][0] == '-' || q->words_n == WORDS_MAX)
			return command_misused("explain", "'%s' is not known", argv[i]);
		else
			q->word[q->words_n++] = argv[i];
	}
	if (q->words_n < 2)
		return command_misused("explain", "a local and a remote address must follow");
	return COMMAND_DONE;
}

static bool is_one_of(const char *word, const char *const *list)
{
	while (*list && strcmp(word, *list) != 0)
		list++;
	return *list != NULL;
}

/* One port alone is that of the packet's destination. */
static void put_numbers(struct json_object *params, const struct question *q)
{
	static const char *const icmp[] = { "icmp", "ipv6-icmp", "icmpv6", "1", "58", NULL };
	static const char *const mh[] = { "mobility-header", "135", NULL };
	const char *keys[] = { "local_port", "remote_port" };

	if (q->words_n < 4)
		return;
	if (is_one_of(q->word[2], icmp)) {
		keys[0] = "icmp_type";
		keys[1] = "icmp_code";
	} else if (is_one_of(q->word[2], mh)) {
		keys[0] = "mh_type";
	} else if (q->words_n == 4 && !q->in) {
		keys[0] = "remote_port";
	}
	put_text(params, keys[0], q->word[3]);
	if (q->words_n == 5)
		put_text(params, keys[1], q->word[4]);
}

static int ask_keyd(const struct settings *s, const struct question *q, struct json_object **answer,
		    struct fault *f)
{
	struct json_object *params = json_object_new_object();
	int err;

	put_text(params, "direction", q->in ? "in" : "out");
	put_text(params, "local", q->word[0]);
	put_text(params, "remote", q->word[1]);
	if (q->words_n > 2)
		put_text(params, "protocol", q->word[2]);
	put_numbers(params, q);
	json_object_object_add(params, "verbose", json_object_new_boolean(s->verbose));
	err = show_ask(s, SHOW_KEYD, "explain", params, answer, f);
	json_object_put(params);
	return err;
}

/* Of what the packet has, in the order of layer 4. */
static void put_layer4(struct json_object *params, struct json_object *packet)
{
	static const char *const first[] = { "local_port", "icmp_type", "mh_type" };
	static const char *const second[] = { "remote_port", "icmp_code" };

	for (size_t i = 0; i < 3; i++)
		if (json_object_object_get_ex(packet, first[i], NULL))
			copy(params, "first", packet, first[i]);
	for (size_t i = 0; i < 2; i++)
		if (json_object_object_get_ex(packet, second[i], NULL))
			copy(params, "second", packet, second[i]);
}

static int ask_xespd(const struct settings *s, const struct question *q, struct json_object *keyd,
		     struct json_object **answer, struct fault *f)
{
	struct json_object *packet = json_object_object_get(keyd, "packet");
	struct json_object *policy = json_object_object_get(keyd, "policy");
	struct json_object *params = json_object_new_object();
	int err;

	copy(params, "direction", packet, "direction");
	copy(params, "local", packet, "local");
	copy(params, "remote", packet, "remote");
	copy(params, "proto", packet, "proto");
	put_layer4(params, packet);
	copy(params, "own", keyd, "own");
	if (policy)
		copy(params, "policy", policy, "id");
	copy(params, "target", keyd, "target");
	if (q->size)
		json_object_object_add(params, "size", json_object_new_int64(strtol(q->size, NULL, 10)));
	err = show_ask(s, SHOW_XESPD, "explain", params, answer, f);
	json_object_put(params);
	return err;
}

static void conclude(struct json_object *o, const char *verdict, const char *reason, const char *because)
{
	put_text(o, "verdict", verdict);
	put_text(o, "reason", reason);
	put_text(o, "because", because);
}

/* What the two together come to, of a packet that goes out. */
static void join(struct json_object *o)
{
	struct json_object *out = json_object_object_get(o, "out"), *xespd = json_object_object_get(o, "xespd");
	const char *verdict;

	if (!out)
		return;
	verdict = get_text(out, "verdict");
	if (!verdict || strcmp(verdict, "protect") != 0)
		conclude(o, verdict, get_text(out, "reason"), get_text(out, "because"));
	else if (xespd && get_text(xespd, "reason"))
		conclude(o, "drop", get_text(xespd, "reason"), get_text(xespd, "because"));
	else if (xespd)
		conclude(o, "protect", NULL, NULL);
	else if (!strcmp(show_text(o, "fallback"), "kernel"))
		conclude(o, "kernel", NULL, "xespd does not answer, and without it the kernel takes over");
	else
		conclude(o, "drop", "no-worker", "xespd does not answer");
}

int explain_command(const struct settings *s, int argc, char **argv)
{
	struct json_object *o = NULL, *xespd = NULL;
	struct fault f = { "" }, g = { "" };
	struct question q = { .words_n = 0 };

	if (take(&q, argc, argv) != COMMAND_DONE)
		return COMMAND_USAGE;
	if (ask_keyd(s, &q, &o, &f))
		return command_refused("explain", &f);
	if (ask_xespd(s, &q, o, &xespd, &g) == -EREMOTEIO) { /* the size is none */
		json_object_put(o);
		return command_refused("explain", &g);
	}
	json_object_object_add(o, "xespd", xespd);
	put_text(o, "xespd_problem", xespd ? NULL : g.text);
	join(o);
	if (s->json) {
		command_print_json(o);
		return COMMAND_DONE;
	}
	explain_print(o);
	json_object_put(o);
	return COMMAND_DONE;
}
