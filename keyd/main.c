/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - xesp-keyd: set-up in order, the event loop, and the end.
 *
 * The order matters: memory is locked before the first key is read, the configuration is judged
 * before anything is touched, the lease book is locked before the maps, and rights are given up
 * before the first peer is served. Nothing needs cleaning up after a kill: traffic goes on with
 * what the maps and xespd have, and the next start compares them with the configuration.
 */
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "keyd/config.h"
#include "keyd/control.h"
#include "keyd/daemon.h"
#include "keyd/lease.h"
#include "keyd/privilege.h"
#include "libxesp/secret.h"
#include "xesp/fault.h"
#include "xesp/log.h"
#include "xesp/steer.h"

#define EXIT_USAGE 2
#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- options: one table, which is also the help */

enum opt {
	OPT_CONFIG, OPT_PINS, OPT_RUN, OPT_STATE, OPT_TUN, OPT_CHECK, OPT_PRINT, OPT_NEW_STATE,
	OPT_VERBOSE, OPT_VERSION, OPT_HELP,
};

static const struct {
	const char *name, *arg, *help;
} opts[] = {
	[OPT_CONFIG] = { "config", "FILE", "configuration (/etc/xesp/xesp.yaml)" },
	[OPT_PINS] = { "pins", "DIR", "pinned maps of `xesp attach` (" XESP_PIN_DIR ")" },
	[OPT_RUN] = { "run", "DIR", "sockets (/run/xesp)" },
	[OPT_STATE] = { "state", "DIR", "lease book (/var/lib/xesp)" },
	[OPT_TUN] = { "tun", "NAME", "device for this machine's own traffic (xesp0)" },
	[OPT_CHECK] = { "check", NULL, "judge the configuration and exit" },
	[OPT_PRINT] = { "print", NULL, "the same, and print it with all defaults, without keys" },
	[OPT_NEW_STATE] = { "new-state", NULL,
			    "make a new lease book and exit: no configured key was ever used" },
	[OPT_VERBOSE] = { "verbose", NULL, "log more" },
	[OPT_VERSION] = { "version", NULL, "print the version" },
	[OPT_HELP] = { "help", NULL, "print this" },
};

enum job { JOB_RUN, JOB_CHECK, JOB_PRINT, JOB_NEW_STATE };

static void print_help(void)
{
	char left[32];

	printf("usage: xesp-keyd [OPTION]...\n"
	       "The control daemon of xesp: policies, keys and sequence leases.\n\n");
	for (size_t i = 0; i < LEN(opts); i++) {
		snprintf(left, sizeof(left), "--%s %s", opts[i].name, opts[i].arg ? opts[i].arg : "");
		printf("  %-15s %s\n", left, opts[i].help);
	}
}

static void take_option(struct daemon_opts *o, enum job *job, enum opt opt, const char *arg)
{
	switch (opt) {
	case OPT_CONFIG:
		o->config = arg;
		break;
	case OPT_PINS:
		o->pins = arg;
		break;
	case OPT_RUN:
		o->run = arg;
		break;
	case OPT_STATE:
		o->state = arg;
		break;
	case OPT_TUN:
		o->tun = arg;
		break;
	case OPT_CHECK:
		*job = JOB_CHECK;
		break;
	case OPT_PRINT:
		*job = JOB_PRINT;
		break;
	case OPT_NEW_STATE:
		*job = JOB_NEW_STATE;
		break;
	case OPT_VERBOSE:
		o->verbose = true;
		break;
	case OPT_VERSION:
		printf("xesp-keyd %s\n", XESP_VERSION);
		exit(EXIT_SUCCESS);
	case OPT_HELP:
		print_help();
		exit(EXIT_SUCCESS);
	}
}

/* Ends the process with EXIT_USAGE when the command line is wrong. */
static enum job parse_options(struct daemon_opts *o, int argc, char **argv)
{
	struct option table[LEN(opts) + 1] = { 0 };
	enum job job = JOB_RUN;
	int i, c;

	for (size_t k = 0; k < LEN(opts); k++)
		table[k] = (struct option){ .name = opts[k].name,
					    .has_arg = opts[k].arg ? required_argument :
								     no_argument };
	while ((c = getopt_long(argc, argv, "", table, &i)) != -1) {
		if (c) /* getopt_long() has said what is wrong */
			exit(EXIT_USAGE);
		take_option(o, &job, (enum opt)i, optarg);
	}
	if (optind < argc) {
		fprintf(stderr, "xesp-keyd: '%s' is not an option; see xesp-keyd --help\n",
			argv[optind]);
		exit(EXIT_USAGE);
	}
	return job;
}

/* ---- jobs that end */

static struct config *load(const char *file)
{
	struct problems ps = { 0 };
	char line[FAULT_TEXT_MAX + PROBLEMS_PATH_MAX + PATH_MAX];
	struct config *c;

	if (!config_load(&c, file, &ps))
		return c;
	for (uint32_t i = 0; i < ps.n; i++) {
		problems_print_one(&ps, i, file, line, sizeof(line));
		fprintf(stderr, "%s\n", line);
	}
	if (ps.left_out)
		fprintf(stderr, "%s: %u more\n", file, ps.left_out);
	return NULL;
}

static int check(const struct daemon_opts *o, enum job job)
{
	struct config *c = load(o->config);

	if (!c)
		return EXIT_FAILURE;
	if (job == JOB_PRINT)
		config_print(c, stdout);
	else
		printf("%s: %u tunnels, %u SAs, %u policies\n", o->config, c->sad.tunnels_n,
		       c->sad.sas_n, c->spd.n);
	if (c->keys_exposed)
		fprintf(stderr, "%s: holds keys and is open to others: chmod 600 it\n", o->config);
	config_free(c);
	return EXIT_SUCCESS;
}

static int new_state(const struct daemon_opts *o)
{
	struct fault f = { "" };
	struct state_dir dir;
	int err = state_dir_open(&dir, o->state, STATE_DIR_CREATE, &f);

	if (!err) {
		err = lease_create(&dir, &f);
		state_dir_close(&dir);
	}
	if (err) {
		log_error("%s", f.text);
		return EXIT_FAILURE;
	}
	printf("%s: a new lease book; keys are taken as never used before\n", o->state);
	return EXIT_SUCCESS;
}

/* ---- the daemon */

static void on_signal(evutil_socket_t signal, short what, void *arg)
{
	struct daemon *d = arg;
	struct change_result r;
	struct fault f = { "" };

	(void)what;
	if (signal == SIGHUP) {
		daemon_reload(d, NULL, &r, &f); /* has said how it went */
		return;
	}
	log_info("ends by signal %d; traffic goes on", (int)signal);
	event_base_loopbreak(d->base);
}

static int serve(struct daemon *d, struct fault *f)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	struct event *on[LEN(signals)] = { NULL };
	char path[PATH_MAX];
	int err;

	for (size_t i = 0; i < LEN(signals); i++) {
		on[i] = evsignal_new(d->base, signals[i], on_signal, d);
		if (!on[i] || event_add(on[i], NULL))
			return fault_set(f, -ENOMEM, "out of memory");
	}
	snprintf(path, sizeof(path), "%s/keyd.sock", d->o.run);
	err = rpc_server_open(&d->control, d->base, path, control_methods, d, f);
	if (!err)
		rpc_server_set_limits(d->control, CONTROL_LINE_MAX, RPC_PATIENCE_MS);
	if (!err)
		err = privilege_drop(d->o.verbose, f);
	if (!err && event_base_dispatch(d->base) < 0)
		err = fault_set(f, -EIO, "the event loop failed");
	for (size_t i = 0; i < LEN(signals); i++)
		event_free(on[i]);
	return err;
}

static int make_run_dir(const char *path, struct fault *f)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		return fault_set(f, -errno, "cannot make %s: %s", path, strerror(errno));
	return 0;
}

static int run(const struct daemon_opts *o)
{
	struct daemon d = { .o = *o, .state = { .fd = -1, .lock_fd = -1 } };
	struct fault f = { "" };
	struct config *next;
	int err;

	err = secret_lock_process(&f);
	if (err)
		goto said;
	next = load(o->config);
	if (!next)
		return EXIT_FAILURE;
	err = make_run_dir(o->run, &f);
	d.base = event_base_new();
	if (!err && !d.base)
		err = fault_set(&f, -ENOMEM, "no event loop");
	if (err)
		config_free(next);
	else
		err = daemon_open(&d, d.base, next, &f);
	if (!err)
		err = serve(&d, &f);
	daemon_close(&d);
	if (d.base)
		event_base_free(d.base);
said:
	if (err)
		log_error("%s", f.text);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct daemon_opts o = {
		.config = "/etc/xesp/xesp.yaml",
		.pins = XESP_PIN_DIR,
		.run = "/run/xesp",
		.state = "/var/lib/xesp",
		.tun = "xesp0",
	};
	enum job job = parse_options(&o, argc, argv);

	log_open("xesp-keyd", o.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	switch (job) {
	case JOB_NEW_STATE:
		return new_state(&o);
	case JOB_RUN:
		return run(&o);
	default:
		return check(&o, job);
	}
}
