/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * command.h - what main.c gives to each subcommand.
 *
 * A subcommand prints its own error sentence and returns the exit status. Single-threaded.
 */
#ifndef XESP_COMMAND_H
#define XESP_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#define COMMAND_RUN_DIR "/run/xesp"

struct fault;
struct json_object;

enum command_exit { COMMAND_DONE = 0, COMMAND_REFUSED = 1, COMMAND_USAGE = 2 };

/* Options that every subcommand has. */
struct settings {
	const char *pins;
	const char *run;
	bool json;
	bool verbose; /* show what libbpf and libxdp say */
};

/* argv[0] is the subcommand's name. Global options are no longer in argv. */
typedef int (*command_fn)(const struct settings *s, int argc, char **argv);

/* "xesp: <command>: <sentence>" on stderr; returns COMMAND_REFUSED. */
int command_refused(const char *command, const struct fault *f);

/* The same with a sentence of its own and a hint at the help; returns COMMAND_USAGE. */
int command_misused(const char *command, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Prints the object as JSON for people and programs, and frees it. */
void command_print_json(struct json_object *o);

#endif /* XESP_COMMAND_H */
