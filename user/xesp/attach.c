/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attach.c - see attach.h. Options, then checks (plan.c), then the changes in an order in which
 * each can be taken back: directory, programs with their maps, rows, programs on interfaces.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <getopt.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libxesp/pins.h"
#include "libxesp/rpc.h"
#include "xesp/attach.h"
#include "xesp/dispatcher.h"
#include "xesp/fault.h"
#include "xesp/plan.h"
#include "xesp/rows.h"

#define RESCAN_TIMEOUT_MS 5000

/* The things in the kernel that a run holds while it works. */
struct attach_run {
	struct plan *plan;
	struct pin_dir dir;
	struct bpf_object *objs[XESP_ROLE_BOTH + 1];
	int prog_fd[XESP_ROLE_BOTH + 1];
	struct pins pins;
	struct rows rows;
	char no_dispatcher[FAULT_TEXT_MAX]; /* why this kernel has none; empty: it has */
};

static int load_programs(struct attach_run *r, struct fault *f)
{
	const struct plan *p = r->plan;
	struct fault why = { "" };
	int err, fd;

	for (unsigned int i = 0; i < p->n; i++) {
		uint32_t role = p->steps[i].iface.role;

		if (r->objs[role])
			continue;
		err = program_open(&r->objs[role], role, &p->maps, f);
		if (err)
			return err;
		fd = program_load(r->objs[role], role, &p->maps, f);
		if (fd < 0)
			return fd;
		r->prog_fd[role] = fd;
		if (!i && program_probe_freplace(role, &p->maps, fd, &why))
			snprintf(r->no_dispatcher, sizeof(r->no_dispatcher), "%s", why.text);
	}
	return 0;
}

static int write_conf(struct attach_run *r, struct fault *f)
{
	const struct plan *p = r->plan;
	const struct xesp_conf conf = {
		.abi = XESP_STEER_ABI,
		.max_sas = p->maps.max_sas,
		.max_policies = p->maps.max_policies,
		.replay_words = p->maps.replay_words,
		.spd_slots = program_spd_slots(&p->maps),
		.flows = program_flows(&p->maps),
	};
	const __u32 zero = 0;
	struct bpf_map *map;

	if (!p->maps_are_new)
		return 0;
	map = bpf_object__find_map_by_name(r->objs[p->steps[0].iface.role], "xesp_conf");
	if (bpf_map_update_elem(bpf_map__fd(map), &zero, &conf, BPF_ANY))
		return fault_set(f, -errno, "cannot write xesp_conf: %s", strerror(errno));
	return 0;
}

static int open_maps(struct attach_run *r, struct fault *f)
{
	int err;

	err = write_conf(r, f);
	if (!err)
		err = pins_open(&r->pins, r->plan->pins, f);
	if (err)
		return err;
	r->rows.ifaces_fd = r->pins.fd[PINS_IFACES];
	r->rows.xsks_fd = r->pins.fd[PINS_XSKS];
	rows_sweep(&r->rows, &r->plan->attached);
	return iface_publish_local(&r->pins, f);
}

static int attach_in_mode(struct attach_run *r, struct plan_step *s, enum occupant_mode mode,
			  struct fault *f)
{
	struct fault why = { "" };
	int err;

	if (!r->no_dispatcher[0]) {
		err = dispatcher_add(&s->at, &s->iface, &r->plan->maps, mode, &why);
		/* Alone would fare no better, or push another program's dispatcher aside. */
		if (!err || err == -ERANGE || s->occupant.kind == OCCUPANT_DISPATCHER)
			return err ? fault_set(f, err, "%s", why.text) : 0;
		snprintf(s->alone_because, sizeof(s->alone_because), "%s", why.text);
	} else {
		snprintf(s->alone_because, sizeof(s->alone_because), "%s", r->no_dispatcher);
	}
	return attachment_alone(&s->at, &s->iface, r->plan->pins, r->prog_fd[s->iface.role], mode,
				f);
}

/* Native first; generic when the driver cannot, but not when the remedy is another one. */
static int attach_new(struct attach_run *r, struct plan_step *s, struct fault *f)
{
	enum occupant_mode wish = r->plan->mode;
	int err;

	if (wish != OCCUPANT_UNATTACHED)
		return attach_in_mode(r, s, wish, f);
	err = attach_in_mode(r, s, OCCUPANT_NATIVE, f);
	if (!err || err == -ERANGE || err == -EBUSY || err == -EEXIST || err == -ENOMEM ||
	    s->occupant.kind == OCCUPANT_DISPATCHER)
		return err;
	snprintf(s->native_refused, sizeof(s->native_refused), "%s", f->text);
	return attach_in_mode(r, s, OCCUPANT_GENERIC, f);
}

static int replace(struct attach_run *r, struct plan_step *s, struct fault *f)
{
	int err;

	s->at = *s->before;
	if (s->at.dispatcher)
		return dispatcher_replace(&s->at, &r->plan->attached, &s->iface, &r->plan->maps, f);
	s->old_prog_fd = bpf_prog_get_fd_by_id(s->at.prog_id);
	err = attachment_update(&s->at, r->prog_fd[s->iface.role], f);
	s->updated = !err;
	return err;
}

static bool is_exchange(const struct plan_step *s)
{
	return s->before && s->before->ifindex;
}

static int do_step(struct attach_run *r, struct plan_step *s, struct fault *f)
{
	int err;

	if (is_exchange(s))
		return replace(r, s, f);
	/* A pin that was left behind when an interface of this name went away. */
	if (s->before) {
		err = attachment_remove(s->before, f);
		if (err)
			return err;
	}
	/* The row first: from its first packet on the program looks for it. */
	err = rows_add(&r->rows, &s->iface, &s->row_made, f);
	if (!err)
		err = attach_new(r, s, f);
	s->attached = !err;
	return err;
}

static void undo_step(struct attach_run *r, struct plan_step *s)
{
	if (s->updated && s->old_prog_fd >= 0)
		attachment_update(&s->at, s->old_prog_fd, NULL);
	if (s->attached)
		attachment_remove(&s->at, NULL);
	if (s->row_made)
		rows_remove(&r->rows, s->iface.index);
}

static void close_run(struct attach_run *r)
{
	pins_close(&r->pins);
	for (size_t i = 0; i <= XESP_ROLE_BOTH; i++)
		bpf_object__close(r->objs[i]);
	for (unsigned int i = 0; i < r->plan->n; i++)
		if (r->plan->steps[i].old_prog_fd >= 0)
			close(r->plan->steps[i].old_prog_fd);
	pin_dir_close(&r->dir);
}

static int do_steps(struct attach_run *r, bool exchanges, struct fault *f)
{
	int err = 0;

	for (unsigned int i = 0; i < r->plan->n && !err; i++) {
		struct plan_step *s = &r->plan->steps[i];

		if (is_exchange(s) != exchanges)
			continue;
		err = do_step(r, s, f);
		if (err)
			fault_in(f, err, "interface %s", s->iface.name);
	}
	return err;
}

static int change(struct attach_run *r, struct fault *f)
{
	struct plan *p = r->plan;
	int err;

	err = plan_check_pins(p, f);
	if (!err)
		err = pin_dir_create(&r->dir, f);
	if (!err)
		err = load_programs(r, f);
	if (!err)
		err = open_maps(r, f);
	/* What is exchanged comes last: it is what can least be taken back. */
	if (!err)
		err = do_steps(r, false, f);
	return err ? err : do_steps(r, true, f);
}

static int run_plan(struct plan *p, const char *pins, struct fault *f)
{
	struct attach_run r = { .plan = p };
	int err;

	err = plan_check_machine(p, f);
	if (err)
		return err;
	err = pin_dir_open(&r.dir, pins, true, f);
	if (err)
		return err;
	memcpy(p->pins, r.dir.path, sizeof(p->pins));
	err = change(&r, f);
	if (err) {
		for (unsigned int i = p->n; i-- > 0;)
			undo_step(&r, &p->steps[i]);
		pin_dir_undo(&r.dir);
	}
	close_run(&r);
	return err;
}

static void print_step(const struct plan_step *s)
{
	printf("%s: %s, %s mode", s->iface.name, iface_role_name(s->iface.role),
	       occupant_mode_name(s->at.mode));
	if (s->native_refused[0])
		printf(" (slower; native mode was refused: %s)", s->native_refused);
	printf(", %s", s->at.dispatcher ? "in libxdp's dispatcher" : "alone");
	if (!s->at.dispatcher && s->alone_because[0])
		printf(" (%s)", s->alone_because);
	if (is_exchange(s))
		printf(", program %u replaced by %u", s->before->prog_id, s->at.prog_id);
	putchar('\n');
}

static struct json_object *step_json(const struct plan_step *s)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "name", json_object_new_string(s->iface.name));
	json_object_object_add(o, "ifindex", json_object_new_int64(s->iface.index));
	json_object_object_add(o, "role", json_object_new_string(iface_role_name(s->iface.role)));
	json_object_object_add(o, "mode", json_object_new_string(occupant_mode_name(s->at.mode)));
	json_object_object_add(o, "dispatcher", json_object_new_boolean(s->at.dispatcher));
	json_object_object_add(o, "program_id", json_object_new_int64(s->at.prog_id));
	json_object_object_add(o, "replaced", json_object_new_boolean(is_exchange(s)));
	if (s->native_refused[0])
		json_object_object_add(o, "native_refused",
				       json_object_new_string(s->native_refused));
	if (s->alone_because[0])
		json_object_object_add(o, "alone_because",
				       json_object_new_string(s->alone_because));
	return o;
}

static void report(const struct plan *p, bool json)
{
	struct json_object *o, *list;

	if (!json) {
		for (unsigned int i = 0; i < p->n; i++)
			print_step(&p->steps[i]);
		printf("maps: %s %s, for %u SAs and %u policies\n",
		       p->maps_are_new ? "created in" : "kept in", p->pins, p->maps.max_sas,
		       p->maps.max_policies);
		return;
	}
	o = json_object_new_object();
	list = json_object_new_array();
	for (unsigned int i = 0; i < p->n; i++)
		json_object_array_add(list, step_json(&p->steps[i]));
	json_object_object_add(o, "interfaces", list);
	json_object_object_add(o, "pins", json_object_new_string(p->pins));
	json_object_object_add(o, "maps_are_new", json_object_new_boolean(p->maps_are_new));
	json_object_object_add(o, "max_sas", json_object_new_int64(p->maps.max_sas));
	json_object_object_add(o, "max_policies", json_object_new_int64(p->maps.max_policies));
	command_print_json(o);
}

void attach_tell_worker(const struct settings *s)
{
	struct json_object *result = NULL;
	struct fault f = { "" };
	char path[256];
	int err;

	snprintf(path, sizeof(path), "%s/xespd.sock", s->run);
	err = rpc_call(path, "rescan", NULL, RESCAN_TIMEOUT_MS, &result, &f);
	if (!err)
		json_object_put(result);
	else if (err != -ENOENT && err != -ECONNREFUSED)
		fprintf(stderr, "xesp: xespd could not take this over: %s\n", f.text);
}

/* The options. */

enum { OPT_OUTER = 256, OPT_INNER, OPT_MODE, OPT_SAS, OPT_POLICIES, OPT_REPLACE };

static const struct option options[] = {
	{ "outer", required_argument, NULL, OPT_OUTER },
	{ "inner", required_argument, NULL, OPT_INNER },
	{ "mode", required_argument, NULL, OPT_MODE },
	{ "max-sas", required_argument, NULL, OPT_SAS },
	{ "max-policies", required_argument, NULL, OPT_POLICIES },
	{ "replace", no_argument, NULL, OPT_REPLACE },
	{ NULL, 0, NULL, 0 },
};

static bool parse_mode(const char *text, enum occupant_mode *mode)
{
	static const char *const names[] = { "auto", "native", "generic" };

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]))
			continue;
		*mode = (enum occupant_mode)i;
		return true;
	}
	return false;
}

static bool parse_entries(const char *text, uint32_t *out)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || n < PROGRAM_ENTRIES_MIN ||
	    n > PROGRAM_ENTRIES_MAX)
		return false;
	*out = (uint32_t)n;
	return true;
}

/* COMMAND_DONE: go on. */
static int take_option(struct plan *p, int option)
{
	struct fault f = { "" };

	switch (option) {
	case OPT_OUTER:
	case OPT_INNER:
		if (!plan_add(p, optarg, option == OPT_OUTER ? XESP_ROLE_OUTER : XESP_ROLE_INNER,
			      &f))
			return COMMAND_DONE;
		return command_refused("attach", &f);
	case OPT_MODE:
		if (parse_mode(optarg, &p->mode))
			return COMMAND_DONE;
		return command_misused("attach", "--mode must be auto, native or generic, not '%s'",
				       optarg);
	case OPT_SAS:
	case OPT_POLICIES:
		if (parse_entries(optarg, option == OPT_SAS ? &p->max_sas : &p->max_policies))
			return COMMAND_DONE;
		return command_misused("attach", "'%s' is not a number from %u to %u", optarg,
				       PROGRAM_ENTRIES_MIN, PROGRAM_ENTRIES_MAX);
	case OPT_REPLACE:
		p->replace = true;
		return COMMAND_DONE;
	default:
		return COMMAND_USAGE;
	}
}

static int parse_options(struct plan *p, int argc, char **argv)
{
	int option, status;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (option == ':')
			return command_misused("attach", "a value must follow %s",
					       argv[optind - 1]);
		if (option == '?')
			return command_misused("attach", "there is no option %s", argv[optind - 1]);
		status = take_option(p, option);
		if (status != COMMAND_DONE)
			return status;
	}
	if (optind < argc)
		return command_misused("attach",
				       "'%s': interfaces are named with --outer and --inner",
				       argv[optind]);
	if (!p->n && !p->replace)
		return command_misused("attach", "name interfaces with --outer and --inner");
	return COMMAND_DONE;
}

int attach_command(const struct settings *s, int argc, char **argv)
{
	struct plan *p = calloc(1, sizeof(*p));
	struct fault f = { "" };
	int status;

	if (!p)
		return COMMAND_REFUSED;
	status = parse_options(p, argc, argv);
	if (status == COMMAND_DONE) {
		if (run_plan(p, s->pins, &f)) {
			status = command_refused("attach", &f);
		} else {
			report(p, s->json);
			attach_tell_worker(s);
		}
	}
	free(p);
	return status;
}
