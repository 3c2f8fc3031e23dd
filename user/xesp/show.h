/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * show.h - the subcommands that ask the daemons: status, sa, policy, reload.
 *
 * One model: the daemon's JSON result (docs/control.md), printed unchanged with --json and as
 * tables without.
 */
#ifndef XESP_SHOW_H
#define XESP_SHOW_H

#include "xesp/command.h"

struct fault;
struct json_object;

int show_sa_command(const struct settings *s, int argc, char **argv);
int show_policy_command(const struct settings *s, int argc, char **argv);
int show_reload_command(const struct settings *s, int argc, char **argv);

/* In status.c; useful also when one or both daemons are down. */
int show_status_command(const struct settings *s, int argc, char **argv);

enum show_daemon { SHOW_KEYD, SHOW_XESPD };

/*
 * Asks a daemon; the sentence names it. *result is owned by the caller.
 * -ENOENT, -ECONNREFUSED  it does not run; else as rpc_call()
 */
int show_ask(const struct settings *s, enum show_daemon daemon, const char *request,
	     struct json_object *params, struct json_object **result, struct fault *f);

/* The member as text: a string as it is, "-" for none or null, numbers and truth as JSON. Borrowed.
 */
const char *show_text(struct json_object *o, const char *key);

/* An object's members in a row: "local 10.1.0.5, remote 10.2.0.9". NULL: nothing. */
void show_values(struct json_object *o);

#endif /* XESP_SHOW_H */
