/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench.h - the program xesp-bench: measurements that `xesp bench` runs.
 *
 * Each measurement is a file of its own and a row of the table in main.c. It uses one thread and keys of its
 * own, touches neither maps nor network, needs no rights, and ends by itself.
 */
#ifndef XESP_BENCH_BENCH_H
#define XESP_BENCH_BENCH_H

#include <stddef.h>
#include <stdint.h>

struct json_object;

enum bench_exit { BENCH_DONE = 0, BENCH_FAILED = 1, BENCH_USAGE = 2 };

/* argv[0] is the measurement's name; --json is still among the rest. */
int bench_crypto(int argc, char **argv);
int bench_pipeline(int argc, char **argv);

/* Of what several rounds said. */
struct bench_spread {
	double min, median, max;
};

/* Sorts `values`. */
struct bench_spread bench_spread(double *values, size_t n);
/* Sorts `values`; n > 0. */
uint64_t bench_median(uint64_t *values, size_t n);
struct json_object *bench_spread_json(const struct bench_spread *s);

/* The value of an option, 1 to max; ends the program with a sentence when it is something else. */
uint32_t bench_number(const char *option, const char *text, uint32_t max);

/* An object that begins with machine, kernel and version; `bench` is the measurement's name. */
struct json_object *bench_about(const char *bench);
/* The same in a line of a table. */
void bench_print_about(void);
/* Prints and frees. */
void bench_print_json(struct json_object *o);

#endif /* XESP_BENCH_BENCH_H */
