/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config.h - a whole configuration, checked: what change.c swaps in, or refuses.
 *
 * config_load() does everything that can be judged from the file alone, so that `--check` needs
 * neither maps nor root. The model holds keys (in locked memory): end it with config_free().
 * Main thread.
 */
#ifndef XESP_KEYD_CONFIG_H
#define XESP_KEYD_CONFIG_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "keyd/problems.h"
#include "keyd/sad.h"
#include "keyd/spd.h"

#define CONFIG_VERSION "1"

struct config_interface {
	char name[IFNAMSIZ];
	uint8_t role; /* enum xesp_role */
};

struct config {
	char *file;
	bool routes;       /* install routes into xesp0 */
	bool xfrm;         /* policies and SAs are the kernel's */
	bool control;      /* they come over the control socket */
	bool fallback;     /* without a worker the kernel takes over, with the same SAs */
	uint8_t spread;    /* enum xesp_spread */
	bool keys_exposed; /* the file has keys and others can read it */
	uint32_t interfaces_n;
	struct config_interface *interfaces;
	struct sad sad;
	struct spd spd;
	struct index tunnel_names; /* config_tunnel_names() */
};

/* -EINVAL with at least one problem. The result is owned by the caller. */
int config_load(struct config **out, const char *path, struct problems *ps);

/* The same of a text, which is copied; `label` is what config.file says. */
int config_load_text(struct config **out, const char *text, size_t len, const char *label,
		     struct problems *ps);

/*
 * The same of what was not read from a file; `label` is what config.file says. Relative key files are
 * not possible.
 */
struct raw_config;
int config_from_raw(struct config **out, const struct raw_config *raw, const char *label,
		    struct problems *ps);

/* The tunnels by name, for as long as none is added or goes; NULL: out of memory. */
const struct index *config_tunnel_names(struct config *c);

/* A copy of its own, with room for so many more entries; NULL: out of memory. */
struct config_room {
	uint32_t tunnels, sas, policies;
};
struct config *config_clone(const struct config *c, const struct config_room *more);

/* With `source: control` interfaces, default and routes are the file's; the rest is c's. -ENOMEM */
int config_join_file(struct config *c, const struct config *file);

/* Wipes and frees. NULL is allowed. */
void config_free(struct config *c);

/* The configuration with every default spelled out, and fingerprints in place of keys. */
void config_print(const struct config *c, FILE *out);

/* The same as a file that config_load() makes it of again: with its keys. */
void config_save(const struct config *c, FILE *out);

#endif /* XESP_KEYD_CONFIG_H */
