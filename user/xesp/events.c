/* SPDX-License-Identifier: BSD-2-Clause */
/* events.c - see events.h. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libxesp/rpc.h"
#include "xesp/events.h"
#include "xesp/fault.h"
#include "xesp/show.h"

#define ANSWER_TIMEOUT_MS 15000

struct watch {
	const struct settings *s;
	char **wanted; /* names; none: all */
	int wanted_n;
	unsigned long left; /* 0: no end */
	bool answered;
	const char *unknown; /* a name that xesp-keyd does not have */
};

static bool is_known(struct json_object *result, const char *name)
{
	struct json_object *list = json_object_object_get(result, "events");

	for (size_t i = 0; i < json_object_array_length(list); i++)
		if (!strcmp(json_object_get_string(json_object_array_get_idx(list, i)), name))
			return true;
	return false;
}

/* "missed" is wanted always: without it the others cannot be trusted to be all. */
static bool is_wanted(const struct watch *w, const char *name)
{
	if (!w->wanted_n || !strcmp(name, "missed"))
		return true;
	for (int i = 0; i < w->wanted_n; i++)
		if (!strcmp(w->wanted[i], name))
			return true;
	return false;
}

static void print_event(struct json_object *o)
{
	printf("%s  %-15s", show_text(o, "time"), show_text(o, "event"));
	json_object_object_foreach(o, key, value) {
		if (strcmp(key, "time") && strcmp(key, "event") && value)
			printf(" %s=%s", key, json_object_get_string(value));
	}
	putchar('\n');
}

static bool take_line(void *ctx, struct json_object *o)
{
	struct watch *w = ctx;

	if (!w->answered) {
		w->answered = true;
		for (int i = 0; i < w->wanted_n && !w->unknown; i++)
			if (!is_known(o, w->wanted[i]))
				w->unknown = w->wanted[i];
		return !w->unknown;
	}
	if (!is_wanted(w, show_text(o, "event")))
		return true;
	if (w->s->json)
		puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
							       JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		print_event(o);
	if (fflush(stdout)) /* who read it has gone */
		return false;
	return !w->left || --w->left;
}

int events_command(const struct settings *s, int argc, char **argv)
{
	struct watch w = { .s = s, .wanted = argv + 1 };
	struct fault f = { "" };
	char path[256], *end = NULL;
	int err;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--count") && i + 1 < argc) {
			w.left = strtoul(argv[++i], &end, 10);
			if (!w.left || *end)
				return command_misused("events", "'%s' is not a number of events", argv[i]);
		} else if (argv[i][0] == '-') {
			return command_misused("events", "'%s' is not known, or has no value", argv[i]);
		} else {
			w.wanted[w.wanted_n++] = argv[i];
		}
	}
	snprintf(path, sizeof(path), "%s/keyd.sock", s->run);
	err = rpc_follow(path, "subscribe", ANSWER_TIMEOUT_MS, take_line, &w, &f);
	if (w.unknown)
		return command_misused("events", "no event is called '%s'", w.unknown);
	if (err == -ENOENT || err == -ECONNREFUSED)
		fault_set(&f, err, "xesp-keyd is not running (nobody listens at %s)", path);
	return err ? command_refused("events", &f) : COMMAND_DONE;
}
