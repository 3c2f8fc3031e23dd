/* SPDX-License-Identifier: BSD-2-Clause */
/* config.c - see config.h. YAML to model: source.c, schema.c, then what the words mean. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "keyd/config.h"
#include "keyd/pfp.h"
#include "keyd/schema.h"
#include "keyd/source.h"
#include "xesp/fault.h"

static bool is_interface_name(const char *name)
{
	size_t len = strlen(name);

	if (!len || len >= IFNAMSIZ || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~' || strchr("/:", name[i]))
			return false;
	return true;
}

static int take_interfaces(struct config *c, const struct raw_config *raw, struct problems *ps)
{
	static const uint8_t roles[] = { 0, XESP_ROLE_INNER, XESP_ROLE_OUTER, XESP_ROLE_BOTH };
	char where[PROBLEMS_PATH_MAX], shown[PROBLEMS_SHOWN_MAX];
	int err = 0;

	if (raw->interfaces_count > XESP_PORTS_MAX)
		return problems_add(ps, "interfaces", "%u interfaces: at most %d can be attached",
				    raw->interfaces_count, XESP_PORTS_MAX);
	c->interfaces = calloc(raw->interfaces_count + 1, sizeof(*c->interfaces));
	if (!c->interfaces)
		return problems_add(ps, "interfaces", "out of memory");
	for (uint32_t i = 0; i < raw->interfaces_count; i++) {
		const struct raw_interface *r = &raw->interfaces[i];

		snprintf(where, sizeof(where), "interfaces[%u].name", i);
		if (!is_interface_name(r->name)) {
			err = problems_add(ps, where, "%s is not an interface name of 1 to %d characters",
					   problems_shown(r->name, shown), IFNAMSIZ - 1);
			continue;
		}
		for (uint32_t k = 0; k < c->interfaces_n; k++)
			if (!strcmp(c->interfaces[k].name, r->name))
				err = problems_add(ps, where,
						   "'%s' is there twice: one that is both sides has role both",
						   r->name);
		memcpy(c->interfaces[c->interfaces_n].name, r->name, strlen(r->name));
		c->interfaces[c->interfaces_n++].role = roles[r->role];
	}
	return err;
}

/* Where relative key_file paths start. */
static void print_dir(char *dir, size_t len, const char *file)
{
	const char *slash = strrchr(file, '/');

	if (!slash)
		snprintf(dir, len, ".");
	else
		snprintf(dir, len, "%.*s", slash == file ? 1 : (int)(slash - file), file);
}

static int take_whole(struct config *c, const struct raw_config *raw, struct problems *ps)
{
	char dir[PATH_MAX], shown[PROBLEMS_SHOWN_MAX];
	int err = 0;

	if (strcmp(raw->version, CONFIG_VERSION))
		err = problems_add(ps, "version",
				   "%s is not a version this program knows; it knows %s",
				   problems_shown(raw->version, shown), CONFIG_VERSION);
	print_dir(dir, sizeof(dir), c->file);
	c->routes = raw->routes != RAW_ROUTES_NONE;
	c->spread = raw->spread == RAW_SPREAD_AUTO   ? XESP_SPREAD_AUTO :
		    raw->spread == RAW_SPREAD_NEVER  ? XESP_SPREAD_NEVER :
		    raw->spread == RAW_SPREAD_ALWAYS ? XESP_SPREAD_ALWAYS :
						       XESP_SPREAD_OWN;
	c->xfrm = raw->source == RAW_SOURCE_XFRM;
	c->control = raw->source == RAW_SOURCE_CONTROL;
	c->fallback = raw->fallback == RAW_FALLBACK_KERNEL;
	if (c->fallback && !c->xfrm)
		err |= problems_add(ps, "fallback",
				    "needs source: xfrm: only then has the kernel the same SAs");
	err |= take_interfaces(c, raw, ps);
	err |= sad_init(&c->sad, raw, dir, ps);
	err |= spd_init(&c->spd, raw, &c->sad, ps);
	if (!err)
		err = pfp_settle(&c->sad, &c->spd, false, ps);
	return err ? -EINVAL : 0;
}

/* Policies and SAs have one source, and the file is not it. */
static int check_elsewhere(const struct config *c, const struct raw_config *raw,
			   struct problems *ps)
{
	const char *sentence =
		c->xfrm ? "with source: xfrm these come from the kernel: leave them out here" :
			  "with source: control these come over the control socket (xesp set): leave them out here";
	int err = 0;

	if (raw->tunnels_count)
		err |= problems_add(ps, "tunnels", "%s", sentence);
	if (raw->groups_count)
		err |= problems_add(ps, "groups", "%s", sentence);
	if (raw->sas_count)
		err |= problems_add(ps, "sas", "%s", sentence);
	if (raw->policies_count)
		err |= problems_add(ps, "policies", "%s", sentence);
	return err;
}

/* Whether the classifier can hold the policies does not depend on the machine. */
static int check_classifier(const struct config *c, struct problems *ps)
{
	struct fault f = { "" };
	char path[PROBLEMS_PATH_MAX];
	uint32_t i = 0;

	if (!spd_check(&c->spd, &f))
		return 0;
	/* The sentence starts with the policy's path; the line belongs to it. */
	if (sscanf(f.text, "policies[%u]", &i) == 1 && strchr(f.text, ' ')) {
		snprintf(path, sizeof(path), "policies[%u]", i);
		return problems_add(ps, path, "%s", strchr(f.text, ' ') + 1);
	}
	return problems_add(ps, "policies", "%s", f.text);
}

static int load_source(struct config *c, struct source *source, struct problems *ps)
{
	struct raw_config *raw = NULL;
	int err = source_prepare(source, schema_list_paths, ps);

	if (!err)
		err = schema_load(source, &raw, ps);
	if (!err)
		err = take_whole(c, raw, ps);
	if (!err && (c->xfrm || c->control))
		err = check_elsewhere(c, raw, ps);
	if (!err)
		err = check_classifier(c, ps);
	for (uint32_t i = 0; !err && i < raw->sas_count; i++)
		c->keys_exposed |= raw->sas[i].key && source->mode & (S_IRWXG | S_IRWXO);
	source_locate(source, ps);
	schema_free(raw);
	return err;
}

/* `text` NULL: what the file has. */
static int load(struct config **out, const char *path, const char *text, size_t len,
		struct problems *ps)
{
	struct source source;
	struct config *c;
	int err;

	*out = NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return problems_add(ps, "", "out of memory");
	c->file = strdup(path);
	if (!c->file)
		err = problems_add(ps, "", "out of memory");
	else if (text)
		err = source_open_text(&source, text, len, ps);
	else
		err = source_open(&source, path, ps);
	if (!err)
		err = load_source(c, &source, ps);
	if (c->file)
		source_close(&source);
	if (err) {
		config_free(c);
		return -EINVAL;
	}
	*out = c;
	return 0;
}

int config_load(struct config **out, const char *path, struct problems *ps)
{
	return load(out, path, NULL, 0, ps);
}

int config_load_text(struct config **out, const char *text, size_t len, const char *label,
		     struct problems *ps)
{
	return load(out, label, text, len, ps);
}

int config_from_raw(struct config **out, const struct raw_config *raw, const char *label,
		    struct problems *ps)
{
	struct config *c = calloc(1, sizeof(*c));
	int err;

	*out = NULL;
	if (!c)
		return problems_add(ps, "", "out of memory");
	c->file = strdup(label);
	err = c->file ? take_whole(c, raw, ps) : problems_add(ps, "", "out of memory");
	if (!err)
		err = check_classifier(c, ps);
	if (err) {
		config_free(c);
		return -EINVAL;
	}
	*out = c;
	return 0;
}

const struct index *config_tunnel_names(struct config *c)
{
	uint32_t found;
	int err = 0;

	if (c->tunnel_names.used_n == c->sad.tunnels_n)
		return &c->tunnel_names;
	index_fini(&c->tunnel_names);
	index_init(&c->tunnel_names, XESP_NAME_MAX);
	index_expect(&c->tunnel_names, c->sad.tunnels_n);
	for (uint32_t i = 0; i < c->sad.tunnels_n && !err; i++)
		err = index_add(&c->tunnel_names, c->sad.tunnels[i].name, i, &found);
	return err ? NULL : &c->tunnel_names;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	index_fini(&c->tunnel_names);
	spd_fini(&c->spd);
	sad_fini(&c->sad);
	free(c->interfaces);
	free(c->file);
	free(c);
}
