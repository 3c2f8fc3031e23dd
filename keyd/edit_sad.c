/* SPDX-License-Identifier: BSD-2-Clause */
/* edit_sad.c - see edit_sad.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/config.h"
#include "keyd/edit.h"
#include "keyd/edit_sad.h"
#include "keyd/group.h"
#include "keyd/sa_cpu.h"
#include "libxesp/addr.h"
#include "libxesp/secret.h"

static const char *const sections[] = { "add", "set" };

static const struct raw_config *section(const struct edit_sad *s, int i)
{
	return i ? &s->e->set.raw : &s->e->add.raw;
}

static void pad_name(char name[XESP_NAME_MAX], const char *text)
{
	memset(name, 0, XESP_NAME_MAX);
	if (strlen(text) < XESP_NAME_MAX)
		memcpy(name, text, strlen(text));
}

static uint32_t find(const struct index *names, const char *text)
{
	char name[XESP_NAME_MAX];

	pad_name(name, text);
	return name[0] ? index_find(names, name) : INDEX_NONE;
}

/* ---- SAs that go */

static int ask(struct edit_sad *s, uint32_t *n, const char *text)
{
	uint32_t found;

	pad_name(s->asked[*n], text);
	return index_add(&s->asked_names, s->asked[*n], *n, &found) ? -ENOMEM : ((*n)++, 0);
}

static int ask_names(struct edit_sad *s)
{
	const struct edit_names *d = &s->e->deletes[EDIT_SAS];
	uint32_t n = 0;
	int err = 0;

	s->asked = calloc((size_t)s->more_sas + d->n + 1, sizeof(*s->asked));
	if (!s->asked)
		return -ENOMEM;
	index_expect(&s->asked_names, s->more_sas + d->n);
	for (int k = 0; k < 2; k++)
		for (unsigned int i = 0; i < section(s, k)->sas_count && !err; i++)
			err = ask(s, &n, section(s, k)->sas[i].name);
	for (unsigned int i = 0; i < d->n && !err; i++)
		err = ask(s, &n, d->names[i]);
	return err;
}

static int index_sas(struct edit_sad *s)
{
	const struct sad *sad = &s->c->sad;
	uint32_t found;
	int err = 0;

	index_fini(&s->sa_names);
	index_init(&s->sa_names, XESP_NAME_MAX);
	index_expect(&s->sa_names, s->asked_names.used_n);
	for (uint32_t i = 0; i < sad->sas_n && !err; i++)
		if (index_find(&s->asked_names, sad->sas[i].name) != INDEX_NONE)
			err = index_add(&s->sa_names, sad->sas[i].name, i, &found);
	return err;
}

static void drop_marked_sas(struct sad *sad, const uint8_t *marked)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < sad->sas_n; i++) {
		if (marked[i]) {
			free(sad->sas[i].reason);
			continue;
		}
		if (kept != i) {
			sad->sas[kept] = sad->sas[i];
			sad->keys[kept] = sad->keys[i];
		}
		kept++;
	}
	for (uint32_t i = kept; i < sad->sas_n; i++) {
		sad->sas[i] = (struct sa){ 0 };
		secret_wipe(&sad->keys[i], sizeof(sad->keys[i]));
	}
	sad->sas_n = kept;
}

static int delete_sas(struct edit_sad *s)
{
	const struct edit_names *d = &s->e->deletes[EDIT_SAS];
	struct edit_counts *n = &s->e->counts[EDIT_SAS];
	uint8_t *marked = calloc(s->c->sad.sas_n + 1, 1);

	if (!marked)
		return -ENOMEM;
	for (unsigned int i = 0; i < d->n; i++) {
		uint32_t at = find(&s->sa_names, d->names[i]);

		n->absent += at == INDEX_NONE || marked[at];
		if (at == INDEX_NONE || marked[at])
			continue;
		marked[at] = 1;
		n->deleted++;
	}
	if (n->deleted)
		drop_marked_sas(&s->c->sad, marked);
	free(marked);
	return n->deleted ? index_sas(s) : 0;
}

int edit_sad_begin(struct edit_sad *s, struct edit *e, struct config *c, struct problems *ps)
{
	const uint32_t more_sas = e->add.raw.sas_count + e->set.raw.sas_count;
	const uint32_t more = e->add.raw.tunnels_count + e->set.raw.tunnels_count +
			      e->add.raw.groups_count + e->set.raw.groups_count;
	uint32_t found;
	int err;

	*s = (struct edit_sad){ .e = e, .c = c, .more_sas = more_sas };
	index_init(&s->names, XESP_NAME_MAX);
	index_expect(&s->names, c->sad.tunnels_n + more);
	index_init(&s->asked_names, XESP_NAME_MAX);
	index_init(&s->sa_names, XESP_NAME_MAX);
	s->origin = calloc(c->sad.sas_n + more_sas + 1, sizeof(*s->origin));
	s->tunnel_done = calloc(c->sad.tunnels_n + more + 1, 1);
	s->tunnel_moved = calloc(c->sad.tunnels_n + more + 1, 1);
	err = s->origin && s->tunnel_done && s->tunnel_moved ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < c->sad.tunnels_n && !err; i++)
		err = index_add(&s->names, c->sad.tunnels[i].name, i, &found);
	if (!err)
		err = ask_names(s);
	if (!err)
		err = index_sas(s);
	if (!err)
		err = delete_sas(s);
	return err ? problems_add(ps, "", "out of memory") : 0;
}

/* ---- tunnels and groups */

/* What a tunnel is as written: not its id, which SA it sends on, or where its peer is now. */
static bool same_tunnel(const struct tunnel *a, const struct tunnel *b)
{
	struct tunnel x = *a, y = *b;

	x.id = y.id = 0;
	x.sa_out = y.sa_out = x.sa_cpu = y.sa_cpu = 0;
	x.pfp = y.pfp = x.pfp_proto = y.pfp_proto = 0; /* the policies' */
	x.members = y.members = NULL;
	x.natt.peer = y.natt.peer;
	x.natt.peer_port = y.natt.peer_port;
	return !memcmp(&x, &y, sizeof(x)) &&
	       (!a->members_n ||
		!memcmp(a->members, b->members, a->members_n * sizeof(*a->members)));
}

static bool has_moved(const struct tunnel *a, const struct tunnel *b)
{
	if (a->mode != XESP_MODE_TRANSPORT && b->mode != XESP_MODE_TRANSPORT)
		return false;
	return a->mode != b->mode || !addr_equal(&a->local, &b->local) ||
	       !addr_equal(&a->remote, &b->remote);
}

/* Takes `t`, whose members are its owner's to free when it was not taken. */
static int put_tunnel(struct edit_sad *s, const struct tunnel *t, bool only_new, const char *path,
		      struct problems *ps)
{
	struct edit_counts *n = &s->e->counts[t->members_n ? EDIT_GROUPS : EDIT_TUNNELS];
	struct sad *sad = &s->c->sad;
	uint32_t at = index_find(&s->names, t->name), found;
	char where[PROBLEMS_PATH_MAX];
	struct tunnel *was;

	problems_below(where, path, "name");
	if (at == INDEX_NONE) {
		at = sad->tunnels_n++;
		sad->tunnels[at] = *t;
		s->tunnel_done[at] = 1;
		n->added++;
		if (index_add(&s->names, sad->tunnels[at].name, at, &found))
			return problems_add(ps, path, "out of memory");
		return 0;
	}
	was = &sad->tunnels[at];
	if (s->tunnel_done[at])
		return problems_add(ps, where, "'%s' is named twice in one transaction", t->name);
	if (!was->members_n != !t->members_n)
		return problems_add(ps, where, "'%s' is also the name of a %s", t->name,
				    was->members_n ? "group" : "tunnel");
	if (only_new && !same_tunnel(was, t))
		return problems_add(ps, where, "'%s' is there already, and is another: set replaces it",
				    t->name);
	s->tunnel_done[at] = 1;
	s->tunnel_moved[at] = has_moved(was, t);
	if (same_tunnel(was, t))
		n->kept++;
	else
		n->replaced++;
	free(was->members);
	*was = *t;
	return 0;
}

static int put_tunnels(struct edit_sad *s, int k, struct problems *ps)
{
	const struct raw_config *raw = section(s, k);
	char path[PROBLEMS_PATH_MAX];
	int err = 0;

	for (unsigned int i = 0; i < raw->tunnels_count; i++) {
		struct tunnel t;
		int bad;

		memset(&t, 0, sizeof(t)); /* compared as bytes */
		snprintf(path, sizeof(path), "%s.tunnels[%u]", sections[k], i);
		bad = sad_take_tunnel(&t, &raw->tunnels[i], path, ps);
		if (!bad)
			bad = put_tunnel(s, &t, !k, path, ps);
		err |= bad;
	}
	return err;
}

static int put_groups(struct edit_sad *s, int k, struct problems *ps)
{
	const struct raw_config *raw = section(s, k);
	char path[PROBLEMS_PATH_MAX];
	int err = 0;

	for (unsigned int i = 0; i < raw->groups_count; i++) {
		struct tunnel g;
		int bad;

		memset(&g, 0, sizeof(g));
		snprintf(path, sizeof(path), "%s.groups[%u]", sections[k], i);
		bad = group_take(&s->c->sad, &g, &raw->groups[i], &s->names, path, ps);
		if (!bad)
			bad = put_tunnel(s, &g, !k, path, ps);
		if (bad)
			free(g.members);
		err |= bad;
	}
	return err;
}

/* ---- SAs */

/* As written: not what it became as it ran. */
static bool same_sa(const struct sa *a, const struct sa *b)
{
	return a->tunnel == b->tunnel && a->spi == b->spi && a->window == b->window &&
	       a->lease == b->lease && a->dir == b->dir && a->proto == b->proto &&
	       a->esn == b->esn && a->alg == b->alg && a->auth == b->auth &&
	       a->key_len == b->key_len && a->auth_key_len == b->auth_key_len &&
	       a->salt_len == b->salt_len && !memcmp(&a->limits, &b->limits, sizeof(a->limits)) &&
	       a->values_fields == b->values_fields && a->cpu == b->cpu &&
	       !memcmp(&a->values, &b->values, sizeof(a->values)) &&
	       !memcmp(a->fingerprint, b->fingerprint, sizeof(a->fingerprint)) &&
	       !memcmp(a->digest, b->digest, sizeof(a->digest));
}

static int place_sa(struct edit_sad *s, const struct sa *sa, const struct sa_key *key, int k,
		    const char *path, uint32_t *at, struct problems *ps)
{
	struct edit_counts *n = &s->e->counts[EDIT_SAS];
	struct sad *sad = &s->c->sad;
	char where[PROBLEMS_PATH_MAX];
	uint32_t found;
	bool same;

	problems_below(where, path, "name");
	*at = index_find(&s->sa_names, sa->name);
	if (*at == INDEX_NONE) {
		*at = sad->sas_n++;
		sad->sas[*at] = *sa;
		sad->keys[*at] = *key;
		n->added++;
		return index_add(&s->sa_names, sad->sas[*at].name, *at, &found) ?
			       problems_add(ps, path, "out of memory") :
			       0;
	}
	if (s->origin[*at])
		return problems_add(ps, where, "'%s' is named twice in one transaction", sa->name);
	same = same_sa(&sad->sas[*at], sa);
	if (!k && !same)
		return problems_add(ps, where, "'%s' is there already, and is another: set replaces it",
				    sa->name);
	n->kept += same;
	n->replaced += !same;
	if (same)
		return 0;
	free(sad->sas[*at].reason);
	sad->sas[*at] = *sa;
	sad->keys[*at] = *key;
	return 0;
}

static int put_sas(struct edit_sad *s, int k, struct problems *ps)
{
	const struct raw_config *raw = section(s, k);
	struct sa_key *key = secret_alloc(sizeof(*key));
	char path[PROBLEMS_PATH_MAX];
	int err = 0;

	if (!key)
		return problems_add(ps, "sas", "no locked memory for keys: raise RLIMIT_MEMLOCK");
	for (unsigned int i = 0; i < raw->sas_count; i++) {
		struct sa sa = { .name = "" };
		uint32_t at;
		int bad;

		snprintf(path, sizeof(path), "%s.sas[%u]", sections[k], i);
		memset(key, 0, sizeof(*key));
		bad = sad_take_sa(&sa, key, &raw->sas[i], ".", path, ps);
		bad |= sad_find_tunnel(&sa, raw->sas[i].tunnel, &s->names, path, ps);
		if (!bad)
			bad = place_sa(s, &sa, key, k, path, &at, ps);
		if (!bad)
			s->origin[at] = i + 1 + (k ? section(s, 0)->sas_count : 0);
		err |= bad;
	}
	secret_free(key, sizeof(*key));
	return err;
}

int edit_sad_put(struct edit_sad *s, struct problems *ps)
{
	int err = 0;

	for (int k = 0; k < 2; k++)
		err |= put_tunnels(s, k, ps);
	for (int k = 0; k < 2; k++)
		err |= put_groups(s, k, ps);
	for (int k = 0; k < 2; k++)
		err |= put_sas(s, k, ps);
	return err ? -EINVAL : 0;
}

/* ---- the whole */

int edit_sad_check_policies(const struct edit_sad *s, const struct spd *spd, const uint8_t *touched,
			    struct problems *ps)
{
	int err = 0;

	for (uint32_t i = 0; i < spd->n; i++) {
		const struct policy *p = &spd->policies[i];

		if (touched[i] || p->tunnel == SAD_NONE || !s->tunnel_moved[p->tunnel])
			continue;
		err = problems_add(ps, "set.tunnels",
				   "transport mode: policy '%s' is bound to the ends that tunnel '%s' had: set it in the same transaction",
				   p->name, s->c->sad.tunnels[p->tunnel].name);
	}
	return err;
}

static int say_named(const char *what, const char *name, const char *by, const char *by_name,
		     struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX];

	snprintf(where, sizeof(where), "delete.%s", what);
	return problems_add(ps, where, "'%s' is still named by %s '%s'", name, by, by_name);
}

/* Marks tunnels (or groups) that go. */
static int mark_tunnels(struct edit_sad *s, enum edit_kind kind, uint8_t *marked,
			struct problems *ps)
{
	const struct edit_names *d = &s->e->deletes[kind];
	struct edit_counts *n = &s->e->counts[kind];
	char where[PROBLEMS_PATH_MAX];
	int err = 0;

	for (unsigned int i = 0; i < d->n; i++) {
		uint32_t at = find(&s->names, d->names[i]);

		if (at == INDEX_NONE || marked[at]) {
			n->absent++;
			continue;
		}
		snprintf(where, sizeof(where), "delete.%s[%u]", edit_kind_names[kind], i);
		if (!s->c->sad.tunnels[at].members_n != (kind == EDIT_TUNNELS))
			err = problems_add(ps, where, "'%s' is the name of a %s",
					   s->c->sad.tunnels[at].name,
					   kind == EDIT_TUNNELS ? "group" : "tunnel");
		if (s->tunnel_done[at])
			err = problems_add(ps, where, "'%s' is also set in this transaction",
					   s->c->sad.tunnels[at].name);
		marked[at] = 1;
		n->deleted++;
	}
	return err;
}

static int check_unnamed(const struct edit_sad *s, const uint8_t *marked, struct problems *ps)
{
	const struct sad *sad = &s->c->sad;
	const struct spd *spd = &s->c->spd;
	int err = 0;

	for (uint32_t i = 0; i < sad->sas_n; i++)
		if (marked[sad->sas[i].tunnel])
			err = say_named("tunnels", sad->tunnels[sad->sas[i].tunnel].name, "SA",
					sad->sas[i].name, ps);
	for (uint32_t i = 0; i < spd->n; i++)
		if (spd->policies[i].tunnel != SAD_NONE && marked[spd->policies[i].tunnel])
			err = say_named("tunnels", sad->tunnels[spd->policies[i].tunnel].name,
					"policy", spd->policies[i].name, ps);
	for (uint32_t i = 0; i < sad->tunnels_n; i++)
		for (uint32_t m = 0; !marked[i] && m < sad->tunnels[i].members_n; m++)
			if (marked[sad->tunnels[i].members[m]])
				err = say_named("tunnels",
						sad->tunnels[sad->tunnels[i].members[m]].name,
						"group", sad->tunnels[i].name, ps);
	return err;
}

/* Closes the gaps; who names a tunnel by its place names it by its new one. */
static int drop_tunnels(struct edit_sad *s, const uint8_t *marked)
{
	struct sad *sad = &s->c->sad;
	struct spd *spd = &s->c->spd;
	uint32_t *to = calloc(sad->tunnels_n + 1, sizeof(*to)), kept = 0;

	if (!to)
		return -ENOMEM;
	for (uint32_t i = 0; i < sad->tunnels_n; i++) {
		to[i] = kept;
		if (marked[i])
			free(sad->tunnels[i].members);
		else
			sad->tunnels[kept++] = sad->tunnels[i];
	}
	sad->tunnels_n = kept;
	for (uint32_t i = 0; i < sad->sas_n; i++)
		sad->sas[i].tunnel = to[sad->sas[i].tunnel];
	for (uint32_t i = 0; i < spd->n; i++)
		if (spd->policies[i].tunnel != SAD_NONE)
			spd->policies[i].tunnel = to[spd->policies[i].tunnel];
	for (uint32_t i = 0; i < kept; i++)
		for (uint32_t m = 0; m < sad->tunnels[i].members_n; m++)
			sad->tunnels[i].members[m] = to[sad->tunnels[i].members[m]];
	free(to);
	return 0;
}

static int delete_tunnels(struct edit_sad *s, struct problems *ps)
{
	uint8_t *marked = calloc(s->c->sad.tunnels_n + 1, 1);
	int err;

	if (!marked)
		return problems_add(ps, "delete.tunnels", "out of memory");
	err = mark_tunnels(s, EDIT_TUNNELS, marked, ps) | mark_tunnels(s, EDIT_GROUPS, marked, ps);
	if (!err)
		err = check_unnamed(s, marked, ps);
	if (!err && drop_tunnels(s, marked))
		err = problems_add(ps, "delete.tunnels", "out of memory");
	free(marked);
	return err;
}

/* "set.sas[3]", or for one that was there before its name. */
static void print_path(const struct edit_sad *s, uint32_t sa, char path[PROBLEMS_PATH_MAX])
{
	const uint32_t added = section(s, 0)->sas_count;
	uint32_t from = s->origin[sa];

	if (!from)
		snprintf(path, PROBLEMS_PATH_MAX, "SA '%s'", s->c->sad.sas[sa].name);
	else if (from <= added)
		snprintf(path, PROBLEMS_PATH_MAX, "add.sas[%u]", from - 1);
	else
		snprintf(path, PROBLEMS_PATH_MAX, "set.sas[%u]", from - 1 - added);
}

/* An SA that was there before, and its tunnel, too: it agrees with all others of its kind. */
enum { SA_UNTOUCHED, SA_OF_TOUCHED_TUNNEL, SA_PUT };

/* By SA, while tunnels still have their places. */
static uint8_t *sort_sas(const struct edit_sad *s)
{
	const struct sad *sad = &s->c->sad;
	uint8_t *kind = calloc(sad->sas_n + 1, 1);

	for (uint32_t i = 0; kind && i < sad->sas_n; i++)
		kind[i] = s->origin[i] ? SA_PUT : s->tunnel_done[sad->sas[i].tunnel] ? SA_OF_TOUCHED_TUNNEL : SA_UNTOUCHED;
	return kind;
}

/* What was there before first, so that a conflict is the newcomer's. */
static int join_tunnels(struct edit_sad *s, const uint8_t *kind, struct problems *ps)
{
	struct sad *sad = &s->c->sad;
	char path[PROBLEMS_PATH_MAX];
	int err = 0, alone = 0;

	for (uint32_t i = 0; i < sad->tunnels_n; i++)
		sad->tunnels[i].sa_out = sad->tunnels[i].sa_cpu = SAD_NONE;
	for (int newcomers = 0; newcomers < 2; newcomers++) {
		for (uint32_t i = 0; i < sad->sas_n; i++) {
			if ((kind[i] == SA_PUT) != newcomers)
				continue;
			if (kind[i] == SA_UNTOUCHED)
				path[0] = '\0'; /* there is nothing to say of it */
			else
				print_path(s, i, path);
			err |= sad_join_tunnel(sad, i, path, ps);
		}
	}
	for (uint32_t i = 0; i < sad->sas_n && !err; i++) {
		if (sad->sas[i].cpu == SAD_NONE)
			continue;
		print_path(s, i, path);
		alone |= sa_cpu_check(sad, i, path, ps);
	}
	return err | alone;
}

/* Names, SPIs and keys: the few that are new among each other, then the many against them. */
static int check_spots(struct edit_sad *s, const uint8_t *kind, struct sad_spots *spots, struct problems *ps)
{
	const struct sad *sad = &s->c->sad;
	char path[PROBLEMS_PATH_MAX];
	int err = 0;

	for (int k = SA_OF_TOUCHED_TUNNEL; k <= SA_PUT; k++) {
		for (uint32_t i = 0; i < sad->sas_n; i++) {
			if (kind[i] != k)
				continue;
			print_path(s, i, path);
			err |= sad_take_spots(sad, i, spots, path, ps);
		}
	}
	for (uint32_t i = 0; i < sad->sas_n; i++) {
		const uint32_t at = kind[i] == SA_UNTOUCHED ? sad_meet_spots(sad, i, spots) : SAD_NONE;

		if (at == SAD_NONE)
			continue;
		print_path(s, at, path);
		err |= sad_say_spots(sad, at, i, path, ps);
	}
	return err;
}

int edit_sad_finish(struct edit_sad *s, struct problems *ps)
{
	struct sad_spots spots = { .spis = calloc(s->c->sad.sas_n + 1, sizeof(*spots.spis)) };
	uint8_t *kind = sort_sas(s);
	int err = 0;

	sad_spots_init(&spots, s->more_sas);
	if (!spots.spis || !kind)
		err = problems_add(ps, "sas", "out of memory");
	if (!err)
		err = delete_tunnels(s, ps);
	if (!err)
		err = join_tunnels(s, kind, ps) | check_spots(s, kind, &spots, ps);
	sad_spots_fini(&spots);
	free(kind);
	return err ? -EINVAL : 0;
}

void edit_sad_fini(struct edit_sad *s)
{
	index_fini(&s->names);
	index_fini(&s->asked_names);
	index_fini(&s->sa_names);
	free(s->asked);
	free(s->origin);
	free(s->tunnel_done);
	free(s->tunnel_moved);
	*s = (struct edit_sad){ 0 };
}
