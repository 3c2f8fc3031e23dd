/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - xespd: set-up in order, the event loop, and the end in reverse order.
 *
 * The order matters: memory is locked before there is a key, the maps are checked before anything
 * is built on them, sockets exist before rights are given up, and rights are given up before the
 * first packet is looked at. Nothing here needs cleaning up after a kill: the kernel takes the
 * sockets out of xesp_xsks, and the next start finds sequence numbers and windows in the maps.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/choice.h"
#include "esp/esp.h"
#include "fib/fib.h"
#include "libxesp/rpc.h"
#include "libxesp/secret.h"
#include "slow/slow.h"
#include "xesp/fault.h"
#include "xesp/log.h"
#include "xespd/control.h"
#include "xespd/cover.h"
#include "xespd/daemon.h"
#include "xespd/dpd.h"
#include "xespd/keyd_link.h"
#include "xespd/natt.h"
#include "xespd/pool.h"
#include "xespd/privilege.h"
#include "xespd/tunnels.h"

#define EXIT_USAGE 2
#define BATCH_DEFAULT 64
#define BUSY_POLL_MAX_US 1000000
#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- options: one table, which is also the help */

enum opt { OPT_PINS, OPT_RUN, OPT_TUN, OPT_BATCH, OPT_BUSY, OPT_HELPERS, OPT_SPREAD, OPT_ENGINE, OPT_ZC, OPT_VERBOSE, OPT_VERSION, OPT_HELP };

static const struct {
	const char *name, *arg, *help;
} opts[] = {
	[OPT_PINS] = { "pins", "DIR", "pinned maps of `xesp attach` (" XESP_PIN_DIR ")" },
	[OPT_RUN] = { "run", "DIR", "sockets and lock (/run/xesp)" },
	[OPT_TUN] = { "tun", "NAME", "TUN device of the slow path (xesp0)" },
	[OPT_BATCH] = { "batch", "N", "packets handled at once, 1 to 256 (64)" },
	[OPT_BUSY] = { "busy-poll", "USECS", "never sleep, poll the devices: lower latency, a CPU per queue" },
	[OPT_HELPERS] = { "helpers", "N", "threads beside the workers, at most (3), as CPUs are left" },
	[OPT_SPREAD] = { "spread", "MODE", "one queue over all threads: auto, never, always (auto)" },
	[OPT_ENGINE] = { "engine", "NAME", "crypto: auto, openssl or ipsec-mb (auto: the faster one)" },
	[OPT_ZC] = { "zero-copy", "MODE", "auto, off or require (auto)" },
	[OPT_VERBOSE] = { "verbose", NULL, "log more" },
	[OPT_VERSION] = { "version", NULL, "print the version" },
	[OPT_HELP] = { "help", NULL, "print this" },
};

static void print_help(void)
{
	char left[32];

	printf("usage: xespd [OPTION]...\n"
	       "The worker pool of xesp: serves the interfaces that `xesp attach` attached.\n\n");
	for (size_t i = 0; i < LEN(opts); i++) {
		snprintf(left, sizeof(left), "--%s %s", opts[i].name, opts[i].arg ? opts[i].arg : "");
		printf("  %-18s %s\n", left, opts[i].help);
	}
}

static int parse_number(uint32_t *out, const char *text, uint32_t least, uint32_t most)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || text[0] < '0' || text[0] > '9' || n < least || n > most)
		return -EINVAL;
	*out = (uint32_t)n;
	return 0;
}

static int parse_zero_copy(enum port_zero_copy *out, const char *text)
{
	static const char *const names[] = {
		[PORT_ZC_AUTO] = "auto",
		[PORT_ZC_OFF] = "off",
		[PORT_ZC_REQUIRE] = "require",
	};

	for (size_t i = 0; i < LEN(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = (enum port_zero_copy)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_spread(enum load_mode *out, const char *text)
{
	static const char *const names[] = {
		[LOAD_AUTO] = "auto",
		[LOAD_NEVER] = "never",
		[LOAD_ALWAYS] = "always",
	};

	for (size_t i = 0; i < LEN(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = (enum load_mode)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int take_option(struct daemon_opts *o, enum opt opt, const char *arg)
{
	switch (opt) {
	case OPT_PINS:
		o->pins_dir = arg;
		return 0;
	case OPT_RUN:
		o->run_dir = arg;
		return 0;
	case OPT_TUN:
		o->tun_name = arg;
		return 0;
	case OPT_BATCH:
		return parse_number(&o->batch, arg, 1, BATCH_MAX);
	case OPT_BUSY:
		return parse_number(&o->busy_poll_us, arg, 1, BUSY_POLL_MAX_US);
	case OPT_HELPERS:
		return parse_number(&o->helpers, arg, 0, POOL_HELPERS_MAX);
	case OPT_SPREAD:
		return parse_spread(&o->spread, arg);
	case OPT_ENGINE:
		o->engine = arg;
		return 0;
	case OPT_ZC:
		return parse_zero_copy(&o->zero_copy, arg);
	case OPT_VERBOSE:
		o->verbose = true;
		return 0;
	case OPT_VERSION:
		printf("xespd %s\n", XESP_VERSION);
		exit(EXIT_SUCCESS);
	case OPT_HELP:
		print_help();
		exit(EXIT_SUCCESS);
	}
	return -EINVAL;
}

/* Ends the process with EXIT_USAGE when the command line is wrong. */
static void parse_options(struct daemon_opts *o, int argc, char **argv)
{
	struct option table[LEN(opts) + 1] = { 0 };
	int i, c;

	for (size_t k = 0; k < LEN(opts); k++)
		table[k] = (struct option){ .name = opts[k].name,
					    .has_arg = opts[k].arg ? required_argument :
								     no_argument };
	while ((c = getopt_long(argc, argv, "", table, &i)) != -1) {
		if (c) /* getopt_long() has said what is wrong */
			exit(EXIT_USAGE);
		if (take_option(o, (enum opt)i, optarg)) {
			fprintf(stderr, "xespd: --%s: '%s' is not allowed; see xespd --help\n",
				opts[i].name, optarg);
			exit(EXIT_USAGE);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "xespd: '%s' is not an option; see xespd --help\n", argv[optind]);
		exit(EXIT_USAGE);
	}
}

/* ---- set-up */

static int lock_one(int fd, const char *what, struct fault *f)
{
	if (fd < 0)
		return fault_set(f, -errno, "%s: %s", what, strerror(errno));
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return 0;
	if (errno == EWOULDBLOCK)
		return fault_set(f, -EBUSY, "another xespd is running: it holds the lock on %s", what);
	return fault_set(f, -errno, "cannot lock %s: %s", what, strerror(errno));
}

/* One xespd per run directory, for its socket, and per pin directory, for its maps. */
static int take_locks(struct daemon *d, struct fault *f)
{
	char path[256];
	int err;

	if (mkdir(d->o.run_dir, 0755) && errno != EEXIST)
		return fault_set(f, -errno, "cannot make %s: %s", d->o.run_dir, strerror(errno));
	snprintf(path, sizeof(path), "%s/xespd.lock", d->o.run_dir);
	d->run_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	err = lock_one(d->run_lock, path, f);
	if (err)
		return err;
	d->pins_lock = open(d->o.pins_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->pins_lock < 0 && errno == ENOENT)
		return fault_set(f, -ENOENT, "%s is missing: run `xesp attach` first", d->o.pins_dir);
	return lock_one(d->pins_lock, d->o.pins_dir, f);
}

static int map_state(struct daemon *d, struct fault *f)
{
	struct sad_state *s = &d->state;

	s->max_sas = d->pins.conf.max_sas;
	s->max_policies = d->pins.conf.max_policies;
	s->replay_words = d->pins.conf.replay_words;
	s->sa = pins_mmap(&d->pins, PINS_SA_STATE, 1, &d->state_len[0], f);
	if (s->sa)
		s->replay = pins_mmap(&d->pins, PINS_REPLAY, 1, &d->state_len[1], f);
	if (s->replay)
		s->policy = pins_mmap(&d->pins, PINS_POLICY_DROPS, 1, &d->state_len[2], f);
	if (s->policy)
		s->worker = pins_mmap(&d->pins, PINS_WORKER_STATS, 1, &d->state_len[3], f);
	if (s->worker && d->pins.fd[PINS_LAST_WORKERS] >= 0)
		s->last = pins_mmap(&d->pins, PINS_LAST_WORKERS, 1, &d->state_len[4], f);
	if (!s->worker || spd_memory_map(&d->spd, &d->pins, false, f))
		return -EINVAL;
	s->spd = &d->spd;
	return 0;
}

static void unmap_state(struct daemon *d)
{
	void *const maps[] = { d->state.sa, d->state.replay, d->state.policy, d->state.worker,
			       d->state.last };

	for (size_t i = 0; i < LEN(maps); i++)
		if (maps[i])
			munmap(maps[i], d->state_len[i]);
	spd_memory_unmap(&d->spd);
}

static int open_rooms(struct daemon *d, struct fault *f)
{
	const struct pool_opts pool = {
		.pins = &d->pins,
		.zero_copy = d->o.zero_copy,
		.busy_poll_us = d->o.busy_poll_us,
		.batch = d->o.batch,
		.helpers = d->o.helpers,
		.spread = d->o.spread,
	};
	struct slow_opts slow = { .tun_name = d->o.tun_name, .pins = &d->pins };
	int err;

	err = choice_open(d->o.engine, NULL, f);
	if (err)
		return err;
	d->engine = choice_engine();
	log_info("main: engine %s%s%s%s%s%s", choice_name(), choice_version()[0] ? " (libipsec-mb " : "", choice_version(),
		 choice_version()[0] ? ")" : "", choice_remark()[0] ? ": " : "", choice_remark());
	err = pool_open(&d->pool, &pool, f);
	if (err)
		return err;
	err = sad_open(&d->sad, &d->state, pool_workers(d->pool) + 1, d->engine, f);
	if (err)
		return err;
	sad_set_helpers(d->sad, pool_helpers(d->pool));
	for (uint32_t w = 0; w < pool_workers(d->pool); w++)
		sad_set_cpu(d->sad, w, pool_cpu(d->pool, w));
	err = fib_open(&d->fib, d->base, pool_workers(d->pool) + 1, f);
	if (err)
		return err;
	slow.worker = pool_slow_worker(d->pool);
	err = esp_worker_open(&d->esp, d->sad, slow.worker, f);
	if (err)
		return err;
	slow.sad = d->sad;
	slow.fib = d->fib;
	slow.esp = d->esp;
	err = slow_open(&d->slow, d->base, &slow, f);
	if (!err)
		err = cover_open(&d->cover, d, f);
	if (!err)
		err = dpd_open(&d->dpd, d, f);
	return err ? err : tunnels_open(&d->tunnels, d, f);
}

_Static_assert(KEYD_LINK_ALL == TUNNELS_ALL, "handed on");

static void on_keyd_change(void *ctx, uint32_t tunnel)
{
	struct daemon *d = ctx;

	tunnels_change(d->tunnels, tunnel);
}

static void on_keyd_spread(void *ctx, enum xesp_spread mode)
{
	struct daemon *d = ctx;
	const enum load_mode modes[] = {
		[XESP_SPREAD_OWN] = d->o.spread,
		[XESP_SPREAD_AUTO] = LOAD_AUTO,
		[XESP_SPREAD_NEVER] = LOAD_NEVER,
		[XESP_SPREAD_ALWAYS] = LOAD_ALWAYS,
	};

	pool_set_spread(d->pool, modes[mode]);
}

static int open_links(struct daemon *d, struct fault *f)
{
	char path[256];
	const struct keyd_link_opts link = {
		.path = path,
		.sad = d->sad,
		.changed = on_keyd_change,
		.spread = on_keyd_spread,
		.ctx = d,
	};
	int err;

	snprintf(path, sizeof(path), "%s/keymsg.sock", d->o.run_dir);
	err = keyd_link_open(&d->link, d->base, &link, f);
	if (!err)
		err = natt_open(&d->natt, d, f);
	return err ? err : control_open(d, f);
}

static int set_up(struct daemon *d, struct fault *f)
{
	struct pool_rooms rooms;
	int err;

	err = secret_lock_process(f);
	if (err)
		return err;
	err = take_locks(d, f);
	if (err)
		return err;
	err = pins_open(&d->pins, d->o.pins_dir, f);
	if (err)
		return err;
	err = map_state(d, f);
	if (err)
		return err;
	d->base = event_base_new();
	if (!d->base)
		return fault_set(f, -ENOMEM, "cannot make an event loop");
	err = open_rooms(d, f);
	if (err)
		return err;
	err = pool_open_ports(d->pool, f);
	if (err)
		return err;
	err = open_links(d, f);
	if (err)
		return err;
	err = privilege_drop(d->o.verbose, f);
	if (err)
		return err;
	rooms = (struct pool_rooms){ d->sad, d->fib, d->slow, d->esp };
	return pool_start(d->pool, &rooms, f);
}

/* False: something was found wrong at the end. */
static bool tear_down(struct daemon *d)
{
	bool sound;

	rpc_server_close(d->rpc);
	natt_close(d->natt);
	keyd_link_close(d->link);
	sound = pool_close(d->pool);
	tunnels_close(d->tunnels);
	dpd_close(d->dpd);
	cover_close(d->cover);
	slow_close(d->slow);
	esp_worker_close(d->esp);
	fib_close(d->fib);
	sad_close(d->sad);
	choice_close();
	if (d->base)
		event_base_free(d->base);
	unmap_state(d);
	pins_close(&d->pins);
	if (d->pins_lock >= 0)
		close(d->pins_lock);
	if (d->run_lock >= 0)
		close(d->run_lock);
	return sound;
}

/* ---- the loop */

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;

	(void)fd;
	(void)what;
	pool_tick(d->pool);
}

/* Ten times a second: what must not wait for on_second(). */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;

	(void)fd;
	(void)what;
	/*
	 * This thread holds no SA or route between two events. In the SAD it counts as idle anyway,
	 * for only sad_reclaim() frees; the FIB counts whoever looks something up.
	 */
	fib_idle(d->fib, pool_slow_worker(d->pool), true);
	sad_reclaim(d->sad);
	natt_tick(d->natt);
	slow_tick(d->slow);
	tunnels_tick(d->tunnels);
}

static void on_end(evutil_socket_t signal, short what, void *arg)
{
	struct daemon *d = arg;

	(void)what;
	log_info("main: %s, ending", strsignal((int)signal));
	event_base_loopbreak(d->base);
}

static void on_hangup(evutil_socket_t signal, short what, void *arg)
{
	struct daemon *d = arg;
	struct fault f = { "" };
	uint32_t ports_n = 0;

	(void)signal;
	(void)what;
	if (pool_rescan(d->pool, &ports_n, &f))
		log_error("main: rescan: %s", f.text);
	else
		log_info("main: rescan: %u interfaces served", ports_n);
	tunnels_change(d->tunnels, TUNNELS_ALL);
}

static int run(struct daemon *d)
{
	const struct timeval second = { .tv_sec = 1 }, tick = { .tv_usec = 100000 };
	struct event *events[] = {
		evsignal_new(d->base, SIGTERM, on_end, d),
		evsignal_new(d->base, SIGINT, on_end, d),
		evsignal_new(d->base, SIGHUP, on_hangup, d),
		event_new(d->base, -1, EV_PERSIST, on_second, d),
		event_new(d->base, -1, EV_PERSIST, on_tick, d),
	};
	int err = 0;

	for (size_t i = 0; i < LEN(events); i++)
		if (!events[i] ||
		    event_add(events[i], i == 3 ? &second : i == 4 ? &tick : NULL))
			err = -ENOMEM;
	if (!err) {
		log_info("main: running, %u worker%s", pool_workers(d->pool),
			 pool_workers(d->pool) == 1 ? "" : "s");
		err = event_base_dispatch(d->base);
	}
	for (size_t i = 0; i < LEN(events); i++)
		if (events[i])
			event_free(events[i]);
	return err;
}

int main(int argc, char **argv)
{
	struct daemon d = {
		.o = {
			.pins_dir = XESP_PIN_DIR,
			.run_dir = "/run/xesp",
			.tun_name = "xesp0",
			.batch = BATCH_DEFAULT,
			.helpers = POOL_HELPERS_DEFAULT,
			.spread = LOAD_AUTO,
			.engine = "auto",
		},
		.run_lock = -1,
		.pins_lock = -1,
	};
	struct fault f = { "" };
	int err;

	parse_options(&d.o, argc, argv);
	log_open("xespd", d.o.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	err = set_up(&d, &f);
	if (err)
		log_error("%s", f.text);
	else
		err = run(&d);
	return tear_down(&d) && !err ? EXIT_SUCCESS : EXIT_FAILURE;
}
