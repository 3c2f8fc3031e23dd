/* SPDX-License-Identifier: BSD-2-Clause */
/* detach.c - see detach.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libxesp/rpc.h"
#include "xesp/attach.h"
#include "xesp/attachment.h"
#include "xesp/detach.h"
#include "xesp/fault.h"
#include "xesp/rows.h"

#define ALIVE_TIMEOUT_MS 1000

struct detach_run {
	const struct settings *s;
	bool purge;
	int names_n;
	char **names;
	struct pin_dir dir;
	struct attachment_list list;
	bool chosen[ATTACHMENT_MAX], done[ATTACHMENT_MAX];
	struct rows rows;
	unsigned int swept;
};

static int choose(struct detach_run *r, struct fault *f)
{
	for (unsigned int i = 0; i < r->list.n; i++)
		r->chosen[i] = !r->names_n;
	for (int i = 0; i < r->names_n; i++) {
		struct attachment *a = attachment_find(&r->list, r->names[i]);

		if (!a)
			return fault_set(
				f, -ENOENT,
				"interface %s is not attached; `xesp status` shows which are",
				r->names[i]);
		r->chosen[a - r->list.at] = true;
	}
	return 0;
}

static int check_daemon(const struct settings *s, const char *daemon, const char *socket,
			struct fault *f)
{
	struct json_object *result = NULL;
	char path[256];
	int err;

	snprintf(path, sizeof(path), "%s/%s", s->run, socket);
	err = rpc_call(path, "status", NULL, ALIVE_TIMEOUT_MS, &result, NULL);
	if (!err)
		json_object_put(result);
	if (err == -ENOENT || err == -ECONNREFUSED)
		return 0;
	return fault_set(f, -EBUSY, "%s is running and uses the maps: stop it before --purge",
			 daemon);
}

/* Before anything changes: a purge under a running daemon would leave it maps that nobody sees. */
static int check_purge(const struct detach_run *r, struct fault *f)
{
	int err;

	for (unsigned int i = 0; i < r->list.n; i++)
		if (!r->chosen[i] && r->list.at[i].ifindex)
			return fault_set(
				f, -EBUSY,
				"interface %s would still be attached: --purge needs all detached",
				r->list.at[i].name);
	err = check_daemon(r->s, "xespd", "xespd.sock", f);
	return err ? err : check_daemon(r->s, "xesp-keyd", "keyd.sock", f);
}

static int open_map(const struct detach_run *r, const char *name)
{
	char path[PIN_DIR_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", r->dir.path, name);
	return bpf_obj_get(path);
}

/* Goes on after a failure, so that as much as possible is as it was. */
static int detach_chosen(struct detach_run *r, struct fault *f)
{
	int first = 0;

	for (unsigned int i = 0; i < r->list.n; i++) {
		const struct attachment *a = &r->list.at[i];
		struct fault why = { "" };
		int err;

		if (!r->chosen[i])
			continue;
		err = attachment_remove(a, &why);
		if (!err && a->ifindex)
			rows_remove(&r->rows, a->ifindex);
		r->done[i] = !err;
		if (err && !first)
			first = fault_set(f, err, "interface %s: %s", a->name, why.text);
	}
	return first;
}

static int change(struct detach_run *r, struct fault *f)
{
	struct attachment_list left;
	int err;

	err = attachment_read(&r->list, r->dir.path, f);
	if (!err)
		err = choose(r, f);
	if (!err && r->purge)
		err = check_purge(r, f);
	if (err)
		return err;

	r->rows.ifaces_fd = open_map(r, "xesp_ifaces");
	r->rows.xsks_fd = open_map(r, "xesp_xsks");
	err = detach_chosen(r, f);
	/* Rows of interfaces that went away by themselves. */
	if (!attachment_read(&left, r->dir.path, NULL))
		r->swept = rows_sweep(&r->rows, &left);
	if (r->rows.ifaces_fd >= 0)
		close(r->rows.ifaces_fd);
	if (r->rows.xsks_fd >= 0)
		close(r->rows.xsks_fd);
	return err || !r->purge ? err : pin_dir_purge(&r->dir, f);
}

static void print_report(const struct detach_run *r, bool purged)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < r->list.n; i++) {
		if (!r->done[i])
			continue;
		printf(r->list.at[i].ifindex ? "%s: detached\n"
					     : "%s: is gone; its pin is removed\n",
		       r->list.at[i].name);
		n++;
	}
	if (r->swept)
		printf("%u attached in libxdp's dispatcher: is gone; its row is removed\n", r->swept);
	if (!n && !r->swept)
		puts("nothing was attached");
	if (r->dir.exists)
		printf(purged ? "maps: removed from %s, with sequence and replay state\n"
			      : "maps: kept in %s, with sequence and replay state\n",
		       r->dir.path);
}

static void report(const struct detach_run *r, bool purged)
{
	struct json_object *o, *list;

	if (!r->s->json) {
		print_report(r, purged);
		return;
	}
	o = json_object_new_object();
	list = json_object_new_array();
	for (unsigned int i = 0; i < r->list.n; i++)
		if (r->done[i])
			json_object_array_add(list, json_object_new_string(r->list.at[i].name));
	json_object_object_add(o, "detached", list);
	json_object_object_add(o, "purged", json_object_new_boolean(purged));
	command_print_json(o);
}

static int run_detach(struct detach_run *r, struct fault *f)
{
	int err;

	err = pin_dir_open(&r->dir, r->s->pins, false, f);
	if (err == -ENOENT)
		return choose(r, f);
	if (err)
		return err;
	err = change(r, f);
	pin_dir_close(&r->dir);
	return err;
}

static int parse_options(struct detach_run *r, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--purge"))
			r->purge = true;
		else if (argv[i][0] == '-')
			return command_misused("detach", "there is no option %s", argv[i]);
		else
			r->names[r->names_n++] = argv[i];
	}
	return COMMAND_DONE;
}

int detach_command(const struct settings *s, int argc, char **argv)
{
	struct detach_run *r = calloc(1, sizeof(*r));
	struct fault f = { "" };
	int status;

	if (!r)
		return COMMAND_REFUSED;
	r->s = s;
	r->names = argv; /* each name found moves to the front, never past its own place */
	status = parse_options(r, argc, argv);
	if (status == COMMAND_DONE) {
		bool failed = run_detach(r, &f) != 0;

		if (failed)
			status = command_refused("detach", &f);
		else
			report(r, r->purge && r->dir.exists);
		if (!r->purge && r->dir.exists)
			attach_tell_worker(s);
	}
	free(r);
	return status;
}
