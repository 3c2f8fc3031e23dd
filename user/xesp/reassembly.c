/* SPDX-License-Identifier: BSD-2-Clause */
/* reassembly.c - see reassembly.h. */
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xesp/reassembly.h"

#define LINE_MAX_LEN 4096

/* The value of `name` in a table of /proc/net/snmp: one line of names, one of values. */
static bool find_in_table(const char *path, const char *table, const char *name, uint64_t *out)
{
	char names[LINE_MAX_LEN], values[LINE_MAX_LEN], *n_at, *v_at, *n, *v;
	FILE *f = fopen(path, "re");
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(names, sizeof(names), f) && fgets(values, sizeof(values), f)) {
		if (strncmp(names, table, strlen(table)))
			continue;
		n = strtok_r(names, " \n", &n_at);
		v = strtok_r(values, " \n", &v_at);
		for (; n && v && !found; n = strtok_r(NULL, " \n", &n_at), v = strtok_r(NULL, " \n", &v_at)) {
			if (strcmp(n, name))
				continue;
			*out = strtoull(v, NULL, 10);
			found = true;
		}
	}
	fclose(f);
	return found;
}

/* The number behind `name` on the line that begins with `first`, "" for any. */
static bool find_on_line(const char *path, const char *first, const char *name, uint64_t *out)
{
	char line[256], *at, *word;
	FILE *f = fopen(path, "re");
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		if (strncmp(line, first, strlen(first)))
			continue;
		for (word = strtok_r(line, " \t\n", &at); word && !found;
		     word = strtok_r(NULL, " \t\n", &at)) {
			if (strcmp(word, name))
				continue;
			word = strtok_r(NULL, " \t\n", &at);
			found = word;
			*out = word ? strtoull(word, NULL, 10) : 0;
		}
	}
	fclose(f);
	return found;
}

static struct json_object *family_json(const uint64_t v[4])
{
	static const char *const keys[] = { "waiting", "memory_bytes", "failed", "timeouts" };
	struct json_object *o = json_object_new_object();

	for (int i = 0; i < 4; i++)
		json_object_object_add(o, keys[i], json_object_new_uint64(v[i]));
	return o;
}

struct json_object *reassembly_json(void)
{
	struct json_object *o = json_object_new_object(), *four = NULL, *six = NULL;
	uint64_t v[4];

	if (find_on_line("/proc/net/sockstat", "FRAG:", "inuse", &v[0]) &&
	    find_on_line("/proc/net/sockstat", "FRAG:", "memory", &v[1]) &&
	    find_in_table("/proc/net/snmp", "Ip:", "ReasmFails", &v[2]) &&
	    find_in_table("/proc/net/snmp", "Ip:", "ReasmTimeout", &v[3]))
		four = family_json(v);
	if (find_on_line("/proc/net/sockstat6", "FRAG6:", "inuse", &v[0]) &&
	    find_on_line("/proc/net/sockstat6", "FRAG6:", "memory", &v[1]) &&
	    find_on_line("/proc/net/snmp6", "Ip6ReasmFails", "Ip6ReasmFails", &v[2]) &&
	    find_on_line("/proc/net/snmp6", "Ip6ReasmTimeout", "Ip6ReasmTimeout", &v[3]))
		six = family_json(v);
	json_object_object_add(o, "ipv4", four);
	json_object_object_add(o, "ipv6", six);
	return o;
}
