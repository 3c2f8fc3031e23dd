/* SPDX-License-Identifier: BSD-2-Clause */
/* life.c - see life.h. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "xesp/life.h"
#include "xesp/show.h"

static void print_span(const char *before, struct json_object *seconds)
{
	uint64_t s = json_object_get_uint64(seconds);

	if (!seconds)
		return;
	if (s < 120)
		printf("%s%" PRIu64 " s", before, s);
	else if (s < 7200)
		printf("%s%" PRIu64 " min", before, s / 60);
	else if (s < 2 * 86400)
		printf("%s%" PRIu64 " h", before, s / 3600);
	else
		printf("%s%" PRIu64 " days", before, s / 86400);
}

/* "12 of 3600 seconds", "12 seconds" without a limit. */
static void print_usage(struct json_object *life, const char *unit, const char *before)
{
	struct json_object *u = json_object_object_get(life, unit);
	struct json_object *hard = json_object_object_get(u, "hard");
	struct json_object *soft = json_object_object_get(u, "soft");

	printf("%s%s", before, show_text(u, "used"));
	if (hard || soft)
		printf(" of %s", show_text(u, hard ? "hard" : "soft"));
	printf(" %s", unit);
}

static void print_late(struct json_object *late)
{
	const char *before = "  late by   ";

	if (!late)
		return;
	json_object_object_foreach(late, from, n) {
		unsigned long long first = strtoull(from, NULL, 10);

		if (first > 1)
			printf("%s %llu-%llu: %s", before, first, 2 * first - 1,
			       json_object_get_string(n));
		else
			printf("%s %s: %s", before, from, json_object_get_string(n));
		before = ",";
	}
	if (json_object_object_length(late))
		puts(" (numbers behind the highest: packets)");
}

void life_print(struct json_object *sa)
{
	struct json_object *life = json_object_object_get(sa, "lifetime");
	struct json_object *seq = json_object_object_get(sa, "sequence");
	struct json_object *alarms = json_object_object_get(sa, "ecn_alarms");

	if (!life)
		return;
	printf("  lifetime   %s: ", show_text(life, "state"));
	print_usage(life, "seconds", "");
	print_usage(life, "packets", ", ");
	print_usage(life, "bytes", ", ");
	print_span("; ends in ", json_object_object_get(life, "ends_in_s"));
	printf("\n  numbers    %s left, %s used a second", show_text(seq, "left"),
	       show_text(seq, "per_s"));
	print_span("; used up in ", json_object_object_get(seq, "used_up_in_s"));
	putchar('\n');
	print_late(json_object_object_get(sa, "late"));
	if (json_object_get_uint64(alarms))
		printf("  ECN        %s packets whose outer mark does not fit (RFC 6040)\n",
		       show_text(sa, "ecn_alarms"));
}
