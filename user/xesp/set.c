/* SPDX-License-Identifier: BSD-2-Clause */
/* set.c - see set.h. */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "libxesp/rpc.h"
#include "libxesp/secret.h"
#include "xesp/fault.h"
#include "xesp/set.h"
#include "xesp/show.h"

#define FILE_MAX (64u << 20) /* what xesp-keyd takes */

/* Keys pass through here: no core file, and what we hold ourselves is wiped. */
static void forbid_cores(void)
{
	const struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none) || prctl(PR_SET_DUMPABLE, 0))
		fprintf(stderr, "xesp: set: cannot forbid core files: %s\n", strerror(errno));
}

static int read_all(int fd, char *text, size_t room, size_t *len, struct fault *f)
{
	ssize_t n;

	*len = 0;
	do {
		n = read(fd, text + *len, room - *len);
		if (n < 0 && errno != EINTR)
			return fault_set(f, -errno, "cannot read: %s", strerror(errno));
		*len += n > 0 ? (size_t)n : 0;
	} while ((n > 0 || (n < 0 && errno == EINTR)) && *len < room);
	return *len < room ? 0 : fault_set(f, -EFBIG, "larger than %u MiB", FILE_MAX >> 20);
}

static struct json_object *parse(const char *text, size_t len, struct fault *f)
{
	struct json_tokener *tok = json_tokener_new();
	struct json_object *o = NULL;
	size_t line = 1;

	if (!tok)
		return NULL;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	o = json_tokener_parse_ex(tok, text, (int)len);
	if (!o) {
		for (size_t i = 0; i < json_tokener_get_parse_end(tok) && i < len; i++)
			line += text[i] == '\n';
		fault_set(f, -EINVAL, "line %zu: not JSON: %s", line,
			  json_tokener_error_desc(json_tokener_get_error(tok)));
	} else if (!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		o = NULL;
		fault_set(f, -EINVAL, "not a JSON object");
	}
	json_tokener_free(tok);
	return o;
}

static int load(const char *path, struct json_object **out, struct fault *f)
{
	const int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	char *text = fd < 0 ? NULL : secret_alloc(FILE_MAX);
	size_t len = 0;
	int err;

	if (fd < 0)
		return fault_set(f, -errno, "%s: %s", path, strerror(errno));
	err = text ? read_all(fd, text, FILE_MAX, &len, f) :
		     fault_set(f, -ENOMEM, "no locked memory to read it: run as root");
	if (fd != STDIN_FILENO)
		close(fd);
	if (!err) {
		*out = parse(text, len, f);
		err = *out ? 0 : -EINVAL;
	}
	secret_free(text, FILE_MAX);
	return err ? fault_in(f, err, "%s", path) : 0;
}

static bool has(struct json_object *o, const char *key)
{
	return json_object_object_get_ex(o, key, NULL);
}

/* A file of lists alone is what is to be set. */
static struct json_object *as_params(struct json_object *o)
{
	struct json_object *params;

	if (!has(o, "tunnels") && !has(o, "groups") && !has(o, "sas") && !has(o, "policies"))
		return o;
	params = json_object_new_object();
	json_object_object_add(params, "set", o);
	return params;
}

static void print_counts(struct json_object *result)
{
	static const char *const kinds[] = { "tunnels", "groups", "sas", "policies" };

	printf("%s generation %s, %s us\n",
	       json_object_get_boolean(json_object_object_get(result, "dry_run")) ?
		       "would be accepted; still" :
		       "in force:",
	       show_text(result, "generation"), show_text(result, "took_us"));
	for (size_t i = 0; i < 4; i++) {
		struct json_object *n = json_object_object_get(result, kinds[i]);
		unsigned int any = 0;

		json_object_object_foreach(n, key, value) {
			(void)key;
			any |= json_object_get_int64(value) != 0;
		}
		if (any)
			printf("%-9s %s added, %s replaced, %s kept, %s deleted, %s not there to delete\n",
			       i == 2 ? "SAs" : kinds[i], show_text(n, "added"),
			       show_text(n, "replaced"), show_text(n, "kept"),
			       show_text(n, "deleted"), show_text(n, "absent"));
	}
}

int set_command(const struct settings *s, int argc, char **argv)
{
	struct json_object *params = NULL, *result = NULL;
	bool dry_run = false, whole = false;
	const char *path = NULL;
	struct fault f = { "" };
	int err;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--dry-run"))
			dry_run = true;
		else if (!strcmp(argv[i], "--whole"))
			whole = true;
		else if (path || (argv[i][0] == '-' && argv[i][1]))
			return command_misused("set", "'%s' is not known", argv[i]);
		else
			path = argv[i];
	}
	if (!path)
		return command_misused("set", "a file, or - for standard input, must follow");
	forbid_cores();
	err = load(path, &params, &f);
	if (err)
		return command_refused("set", &f);
	params = as_params(params);
	if (dry_run)
		json_object_object_add(params, "dry_run", json_object_new_boolean(true));
	if (whole)
		json_object_object_add(params, "whole", json_object_new_boolean(true));
	err = show_ask(s, SHOW_KEYD, "set", params, &result, &f);
	rpc_wipe(params);
	json_object_put(params);
	if (err)
		return command_refused("set", &f);
	if (s->json) {
		command_print_json(result);
		return COMMAND_DONE;
	}
	print_counts(result);
	json_object_put(result);
	return COMMAND_DONE;
}
