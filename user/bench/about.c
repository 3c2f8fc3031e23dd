/* SPDX-License-Identifier: BSD-2-Clause */
/* about.c - what all measurements share: see bench.h. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench/bench.h"

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct bench_spread bench_spread(double *values, size_t n)
{
	if (!n)
		return (struct bench_spread){ 0 };
	qsort(values, n, sizeof(*values), by_value);
	return (struct bench_spread){ values[0], values[n / 2], values[n - 1] };
}

static int by_time(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

uint64_t bench_median(uint64_t *values, size_t n)
{
	qsort(values, n, sizeof(*values), by_time);
	return values[n / 2];
}

/* A tenth of a nanosecond is all that means anything. */
static struct json_object *tenths(double v)
{
	char text[32];

	snprintf(text, sizeof(text), "%.1f", v);
	return json_object_new_double_s(v, text);
}

struct json_object *bench_spread_json(const struct bench_spread *s)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "min", tenths(s->min));
	json_object_object_add(o, "median", tenths(s->median));
	json_object_object_add(o, "max", tenths(s->max));
	return o;
}

uint32_t bench_number(const char *option, const char *text, uint32_t max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end || *text < '0' || *text > '9' || v < 1 || v > max) {
		fprintf(stderr, "xesp: bench: --%s %s: 1 to %u are possible\n", option, text, max);
		exit(BENCH_USAGE);
	}
	return (uint32_t)v;
}

static void cpu_model(char *model, size_t size)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256], *at;

	snprintf(model, size, "unknown CPU");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "model name", 10) || !(at = strchr(line, ':')))
			continue;
		at += 1 + strspn(at + 1, " \t");
		at[strcspn(at, "\n")] = '\0';
		snprintf(model, size, "%s", at);
		break;
	}
	if (f)
		fclose(f);
}

struct json_object *bench_about(const char *bench)
{
	struct json_object *o = json_object_new_object();
	char model[128];
	struct utsname u;

	uname(&u);
	cpu_model(model, sizeof(model));
	json_object_object_add(o, "bench", json_object_new_string(bench));
	json_object_object_add(o, "version", json_object_new_string(XESP_VERSION));
	json_object_object_add(o, "machine", json_object_new_string(u.machine));
	json_object_object_add(o, "cpu", json_object_new_string(model));
	json_object_object_add(o, "cpus", json_object_new_int64(sysconf(_SC_NPROCESSORS_ONLN)));
	json_object_object_add(o, "kernel", json_object_new_string(u.release));
	return o;
}

void bench_print_about(void)
{
	char model[128];
	struct utsname u;

	uname(&u);
	cpu_model(model, sizeof(model));
	printf("xesp %s; Linux %s, %s, %s, %ld CPUs\n", XESP_VERSION, u.release, u.machine, model,
	       sysconf(_SC_NPROCESSORS_ONLN));
}

void bench_print_json(struct json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
						       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}
