/* SPDX-License-Identifier: BSD-2-Clause */
/* config_clone.c - a copy that a transaction may change: config_clone() in config.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/config.h"
#include "libxesp/secret.h"

static void *copy_of(const void *from, size_t n, size_t room, size_t size, bool *failed)
{
	void *to = calloc(room + 1, size);

	if (!to)
		*failed = true;
	else if (n)
		memcpy(to, from, n * size);
	return to;
}

static void clone_selector(struct selector *to, const struct selector *from, bool *failed)
{
	to->local = copy_of(from->local, from->local_n, from->local_n, sizeof(*to->local), failed);
	to->remote = copy_of(from->remote, from->remote_n, from->remote_n, sizeof(*to->remote),
			     failed);
	to->local_ports = copy_of(from->local_ports, from->local_ports_n, from->local_ports_n,
				  sizeof(*to->local_ports), failed);
	to->remote_ports = copy_of(from->remote_ports, from->remote_ports_n, from->remote_ports_n,
				   sizeof(*to->remote_ports), failed);
}

static void clone_spd(struct spd *to, const struct spd *from, const struct config_room *more,
		      bool *failed)
{
	const uint32_t room = from->n + more->policies + from->n / 8 + 64; /* see spd_edit.c */

	*to = (struct spd){ .default_action = from->default_action,
			    .has_pfp = from->has_pfp,
			    .room = room };
	to->policies = copy_of(from->policies, from->n, room, sizeof(*to->policies), failed);
	to->ids = copy_of(from->ids, from->n, room, sizeof(*to->ids), failed);
	to->ranks = copy_of(from->ranks, from->n, room, sizeof(*to->ranks), failed);
	to->digests = copy_of(from->digests, from->n, room, sizeof(*to->digests), failed);
	if (!to->policies)
		return;
	/* What the copies point to is still the original's: all of it, or none, becomes ours. */
	to->n = from->n;
	for (uint32_t i = 0; i < from->n; i++)
		clone_selector(&to->policies[i].sel, &from->policies[i].sel, failed);
}

static void clone_sad(struct sad *to, const struct sad *from, const struct config_room *more,
		      bool *failed)
{
	*to = (struct sad){ .keys_room = from->sas_n + more->sas + 1 };
	to->tunnels = copy_of(from->tunnels, from->tunnels_n, from->tunnels_n + more->tunnels,
			      sizeof(*to->tunnels), failed);
	to->sas = copy_of(from->sas, from->sas_n, from->sas_n + more->sas, sizeof(*to->sas), failed);
	to->keys = secret_alloc(to->keys_room * sizeof(*to->keys));
	if (!to->keys)
		*failed = true;
	else
		memcpy(to->keys, from->keys, from->sas_n * sizeof(*to->keys));
	for (uint32_t i = 0; to->tunnels && i < from->tunnels_n; i++) {
		const struct tunnel *t = &from->tunnels[i];

		to->tunnels_n = i + 1;
		to->tunnels[i].members =
			t->members_n ? copy_of(t->members, t->members_n, t->members_n,
					       sizeof(*t->members), failed) :
				       NULL;
	}
	for (uint32_t i = 0; to->sas && i < from->sas_n; i++) {
		to->sas_n = i + 1;
		to->sas[i].reason = from->sas[i].reason ? strdup(from->sas[i].reason) : NULL;
	}
}

struct config *config_clone(const struct config *c, const struct config_room *more)
{
	struct config *to = malloc(sizeof(*to));
	bool failed = false;

	if (!to)
		return NULL;
	*to = *c;
	to->tunnel_names = (struct index){ 0 };
	to->file = strdup(c->file);
	to->interfaces = copy_of(c->interfaces, c->interfaces_n, c->interfaces_n,
				 sizeof(*to->interfaces), &failed);
	clone_sad(&to->sad, &c->sad, more, &failed);
	clone_spd(&to->spd, &c->spd, more, &failed);
	if (!failed && to->file)
		return to;
	config_free(to);
	return NULL;
}

int config_join_file(struct config *c, const struct config *file)
{
	struct config_interface *copy = calloc(file->interfaces_n + 1, sizeof(*copy));
	char *label = strdup(file->file);

	if (!copy || !label) {
		free(copy);
		free(label);
		return -ENOMEM;
	}
	if (file->interfaces_n)
		memcpy(copy, file->interfaces, file->interfaces_n * sizeof(*copy));
	free(c->interfaces);
	free(c->file);
	c->interfaces = copy;
	c->interfaces_n = file->interfaces_n;
	c->file = label;
	c->routes = file->routes;
	c->control = true;
	c->keys_exposed = false;
	c->spd.default_action = file->spd.default_action;
	return 0;
}
