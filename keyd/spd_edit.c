/* SPDX-License-Identifier: BSD-2-Clause */
/* spd_edit.c - see spd_edit.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/sad.h"
#include "keyd/schema.h"
#include "keyd/spd_edit.h"

#define FEW 8 /* names are looked for one by one; more are worth an index */

/* ---- the arrays */

static int resize(void **array, uint32_t room, size_t size)
{
	void *more = realloc(*array, room * size);

	if (!more)
		return -ENOMEM;
	*array = more;
	return 0;
}

static int reserve(struct spd *spd, uint32_t room)
{
	int err;

	if (room <= spd->room)
		return 0;
	room += room / 2;
	err = resize((void **)&spd->policies, room, sizeof(*spd->policies));
	err = err ? err : resize((void **)&spd->ids, room, sizeof(*spd->ids));
	err = err ? err : resize((void **)&spd->ranks, room, sizeof(*spd->ranks));
	err = err ? err : resize((void **)&spd->digests, room, sizeof(*spd->digests));
	if (!err)
		spd->room = room;
	return err;
}

/* n places from `from` on go to `to`, in all arrays that belong together. */
static void shift(struct spd_edit *e, uint32_t to, uint32_t from, uint32_t n)
{
	struct spd *s = e->spd;

	memmove(&s->policies[to], &s->policies[from], n * sizeof(*s->policies));
	memmove(&s->ids[to], &s->ids[from], n * sizeof(*s->ids));
	memmove(&s->ranks[to], &s->ranks[from], n * sizeof(*s->ranks));
	memmove(&s->digests[to], &s->digests[from], n * sizeof(*s->digests));
	memmove(&e->touched[to], &e->touched[from], n);
}

static int keep_gone(struct spd_edit *e, uint32_t at)
{
	struct spd *g = &e->gone, *s = e->spd;
	int err = reserve(g, g->n + 1);

	if (err)
		return err;
	g->policies[g->n] = s->policies[at];
	g->ids[g->n] = s->ids[at];
	g->ranks[g->n] = s->ranks[at];
	memcpy(g->digests[g->n], s->digests[at], SPD_DIGEST_LEN);
	g->n++;
	return 0;
}

/* ---- finding */

static uint32_t find_one_by_one(const struct spd *s, const char name[XESP_NAME_MAX])
{
	for (uint32_t i = 0; i < s->n; i++)
		if (!memcmp(s->policies[i].name, name, XESP_NAME_MAX))
			return i;
	return INDEX_NONE;
}

static int index_names(struct spd_edit *e)
{
	uint32_t found;
	int err = 0;

	if (e->indexed)
		return 0;
	index_init(&e->names, XESP_NAME_MAX);
	for (uint32_t i = 0; i < e->spd->n && !err; i++)
		err = index_add(&e->names, e->spd->policies[i].name, i, &found);
	e->indexed = !err;
	return err;
}

static void forget_places(struct spd_edit *e)
{
	if (e->indexed)
		index_fini(&e->names);
	e->indexed = false;
}

static uint32_t find(struct spd_edit *e, const char *text)
{
	char name[XESP_NAME_MAX] = "";

	if (strlen(text) >= sizeof(name))
		return INDEX_NONE;
	memcpy(name, text, strlen(text));
	if (e->expected > FEW && !e->shifted && !index_names(e))
		return index_find(&e->names, name);
	return find_one_by_one(e->spd, name);
}

/* ---- begin, delete */

int spd_edit_begin(struct spd_edit *e, struct spd *spd, const struct sad *sad,
		   const struct index *tunnels, uint32_t expected)
{
	*e = (struct spd_edit){ .spd = spd, .sad = sad, .tunnels = tunnels, .expected = expected,
				.n_before = spd->n };
	if (reserve(spd, spd->n + expected + 1))
		return -ENOMEM;
	e->touched = calloc(spd->room, 1);
	e->ids_before = malloc((spd->n + 1) * sizeof(*e->ids_before));
	e->ranks_before = malloc((spd->n + 1) * sizeof(*e->ranks_before));
	if (!e->touched || !e->ids_before || !e->ranks_before)
		return -ENOMEM;
	memcpy(e->ids_before, spd->ids, spd->n * sizeof(*spd->ids));
	memcpy(e->ranks_before, spd->ranks, spd->n * sizeof(*spd->ranks));
	return 0;
}

/* In one pass over what follows the first, however many there are. */
static int take_out_marked(struct spd_edit *e, const uint8_t *marked)
{
	const uint32_t n = e->spd->n;
	uint32_t kept = 0, at = 0;
	int err = reserve(&e->gone, e->gone.n + 1);

	while (at < n && !err) {
		uint32_t run = at;

		while (run < n && !marked[run])
			run++;
		if (kept != at)
			shift(e, kept, at, run - at);
		kept += run - at;
		for (at = run; at < n && marked[at] && !err; at++)
			err = keep_gone(e, at);
	}
	if (!err)
		e->spd->n = kept;
	return err;
}

int spd_edit_delete(struct spd_edit *e, char *const *names, uint32_t names_n, uint32_t *n)
{
	const uint32_t expected = e->expected;
	uint8_t *marked = calloc(e->spd->n + 1, 1);
	int err = marked ? 0 : -ENOMEM;

	*n = 0;
	e->expected = names_n;
	/* All room at once: half a list that is taken out could not be put back. */
	if (!err)
		err = reserve(&e->gone, e->gone.n + names_n + 1);
	for (uint32_t i = 0; i < names_n && !err; i++) {
		uint32_t at = find(e, names[i]);

		if (at == INDEX_NONE || marked[at])
			continue;
		marked[at] = 1;
		++*n;
	}
	forget_places(e);
	e->expected = expected;
	if (!err && *n)
		err = take_out_marked(e, marked);
	free(marked);
	return err;
}

/* ---- put */

static int put_in(struct spd_edit *e, uint32_t at, const struct policy *p, uint32_t id,
		  const uint8_t digest[SPD_DIGEST_LEN])
{
	struct spd *s = e->spd;

	if (s->n == s->room) /* spd_edit_begin() was told of fewer */
		return -ENOMEM;
	if (at < s->n) {
		shift(e, at + 1, at, s->n - at);
		forget_places(e);
		e->shifted = true;
	}
	s->n++;
	s->policies[at] = *p;
	s->ids[at] = id;
	s->ranks[at] = 0;
	memcpy(s->digests[at], digest, SPD_DIGEST_LEN);
	e->touched[at] = 1;
	return 0;
}

static int put_last(struct spd_edit *e, const struct policy *p,
		    const uint8_t digest[SPD_DIGEST_LEN])
{
	uint32_t found;
	int err = put_in(e, e->spd->n, p, 0, digest);

	if (!err && e->indexed)
		err = index_add(&e->names, e->spd->policies[e->spd->n - 1].name, e->spd->n - 1,
				&found);
	return err;
}

static int exchange(struct spd_edit *e, uint32_t at, const struct policy *p,
		    const uint8_t digest[SPD_DIGEST_LEN])
{
	int err = keep_gone(e, at);

	if (err)
		return err;
	e->spd->policies[at] = *p;
	memcpy(e->spd->digests[at], digest, SPD_DIGEST_LEN);
	e->touched[at] = 1;
	return 0;
}

/* Where before and after put it; `was` is out of the list in this count. */
static int find_place(struct spd_edit *e, const struct raw_policy *raw, uint32_t was,
		      const char *path, uint32_t *to, struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX], shown[PROBLEMS_SHOWN_MAX];
	const char *anchor = raw->before ? raw->before : raw->after;
	uint32_t at = find(e, anchor);

	problems_below(where, path, raw->before ? "before" : "after");
	if (raw->before && raw->after)
		return problems_add(ps, where, "before and after cannot both be given");
	if (at == INDEX_NONE)
		return problems_add(ps, where, "no policy is named %s", problems_shown(anchor, shown));
	if (at == was)
		return problems_add(ps, where, "names the policy itself");
	if (was != INDEX_NONE && was < at)
		at--;
	*to = raw->before ? at : at + 1;
	return 0;
}

static int move(struct spd_edit *e, uint32_t was, uint32_t to, const struct policy *p,
		const uint8_t digest[SPD_DIGEST_LEN])
{
	const uint32_t id = e->spd->ids[was];
	int err = keep_gone(e, was);

	if (err)
		return err;
	shift(e, was, was + 1, e->spd->n - was - 1);
	e->spd->n--;
	forget_places(e);
	e->shifted = true;
	return put_in(e, to, p, id, digest);
}

static int put_found(struct spd_edit *e, const struct raw_policy *raw, uint32_t was,
		     const struct policy *p, const uint8_t digest[SPD_DIGEST_LEN], const char *path,
		     enum spd_edit_done *done, struct problems *ps)
{
	const bool same = !memcmp(e->spd->digests[was], digest, SPD_DIGEST_LEN);
	uint32_t to = was;
	int err = 0;

	if (raw->before || raw->after)
		err = find_place(e, raw, was, path, &to, ps);
	if (err)
		return err;
	/* The same once more changes nothing: who asks twice gets what who asks once gets. */
	*done = same && to == was ? SPD_EDIT_KEPT : SPD_EDIT_REPLACED;
	if (*done == SPD_EDIT_KEPT)
		return 0;
	err = to == was ? exchange(e, was, p, digest) : move(e, was, to, p, digest);
	return err ? problems_add(ps, path, "out of memory") : 0;
}

static int put_new(struct spd_edit *e, const struct raw_policy *raw, const struct policy *p,
		   const uint8_t digest[SPD_DIGEST_LEN], const char *path, struct problems *ps)
{
	uint32_t to = e->spd->n;
	int err;

	if (raw->before || raw->after) {
		err = find_place(e, raw, INDEX_NONE, path, &to, ps);
		if (err)
			return err;
	}
	/* Behind the last the index stays, so it must hear of it wherever the place came from. */
	err = to == e->spd->n ? put_last(e, p, digest) : put_in(e, to, p, 0, digest);
	return err ? problems_add(ps, path, "out of memory") : 0;
}

int spd_edit_put(struct spd_edit *e, const struct raw_policy *raw, const char *path, bool only_new,
		 enum spd_edit_done *done, struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX];
	uint8_t digest[SPD_DIGEST_LEN];
	struct policy p = { .name = "" };
	uint32_t was;
	int err = spd_take_policy(&p, raw, path, e->sad, e->tunnels, ps);

	if (!err && spd_digest(&p, e->sad, digest))
		err = problems_add(ps, path, "out of memory");
	if (err) {
		selector_fini(&p.sel);
		return err;
	}
	e->spd->has_pfp |= p.pfp != 0;
	was = find(e, p.name);
	problems_below(where, path, "name");
	if (was != INDEX_NONE && e->touched[was]) {
		err = problems_add(ps, where, "'%s' is named twice in one transaction", p.name);
	} else if (was != INDEX_NONE && only_new &&
		   memcmp(e->spd->digests[was], digest, sizeof(digest))) {
		err = problems_add(ps, where, "'%s' is there already, and is another: set replaces it",
				   p.name);
	} else if (was != INDEX_NONE) {
		err = put_found(e, raw, was, &p, digest, path, done, ps);
	} else {
		*done = SPD_EDIT_ADDED;
		err = put_new(e, raw, &p, digest, path, ps);
	}
	if (err || *done == SPD_EDIT_KEPT)
		selector_fini(&p.sel);
	return err;
}

/* ---- the difference, and back */

/* By id, which those that were there before have: their ranks then. */
static int list_moved(const struct spd_edit *e, struct spd_diff *d)
{
	const struct spd *s = e->spd;
	uint32_t most = 0, *before;

	for (uint32_t i = 0; i < e->n_before; i++)
		most = e->ids_before[i] > most ? e->ids_before[i] : most;
	before = calloc((size_t)most + 1, sizeof(*before));
	d->moved = malloc((s->n + 1) * sizeof(*d->moved));
	if (!before || !d->moved) {
		free(before);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < e->n_before; i++)
		before[e->ids_before[i]] = e->ranks_before[i];
	for (uint32_t i = 0; i < s->n; i++)
		if (!e->touched[i] && s->ranks[i] != before[s->ids[i]])
			d->moved[d->moved_n++] = i;
	free(before);
	return 0;
}

int spd_edit_diff(struct spd_edit *e, struct spd_diff *d)
{
	const bool neighbours = spd_diff_rank(e->spd);
	uint32_t n = 0;

	*d = (struct spd_diff){ 0 };
	for (uint32_t i = 0; i < e->spd->n; i++)
		n += e->touched[i];
	d->dropped = malloc((e->gone.n + 1) * sizeof(*d->dropped));
	d->added = malloc((n + 1) * sizeof(*d->added));
	if (!d->dropped || !d->added || (neighbours && list_moved(e, d))) {
		spd_diff_fini(d);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < e->gone.n; i++)
		d->dropped[d->dropped_n++] = i;
	for (uint32_t i = 0; i < e->spd->n; i++)
		if (e->touched[i])
			d->added[d->added_n++] = i;
	return 0;
}

struct source_of {
	const struct policy *p;
	const uint8_t *digest;
};

/* Where each id's policy is now; one that was exchanged or moved is among the gone. */
static struct source_of *find_sources(const struct spd_edit *e)
{
	struct source_of *from;
	uint32_t most = 0;

	for (uint32_t i = 0; i < e->n_before; i++)
		most = e->ids_before[i] > most ? e->ids_before[i] : most;
	from = calloc((size_t)most + 1, sizeof(*from));
	for (uint32_t i = 0; from && i < e->spd->n; i++)
		if (!e->touched[i])
			from[e->spd->ids[i]] = (struct source_of){ &e->spd->policies[i],
								   e->spd->digests[i] };
	for (uint32_t i = 0; from && i < e->gone.n; i++)
		from[e->gone.ids[i]] = (struct source_of){ &e->gone.policies[i],
							   e->gone.digests[i] };
	return from;
}

int spd_edit_undo(struct spd_edit *e)
{
	struct source_of *from = find_sources(e);
	struct spd was = { .default_action = e->spd->default_action, .kernel = e->spd->kernel };

	if (!from || reserve(&was, e->n_before + 64)) {
		free(from);
		free(was.policies);
		free(was.ids);
		free(was.ranks);
		free(was.digests);
		return -ENOMEM;
	}
	for (was.n = 0; was.n < e->n_before; was.n++) {
		const struct source_of *f = &from[e->ids_before[was.n]];

		was.policies[was.n] = *f->p;
		memcpy(was.digests[was.n], f->digest, SPD_DIGEST_LEN);
		was.ids[was.n] = e->ids_before[was.n];
		was.ranks[was.n] = e->ranks_before[was.n];
	}
	for (uint32_t i = 0; i < e->spd->n; i++)
		if (e->touched[i])
			selector_fini(&e->spd->policies[i].sel);
	e->gone.n = 0; /* they are in the list again */
	free(from);
	free(e->spd->policies);
	free(e->spd->ids);
	free(e->spd->ranks);
	free(e->spd->digests);
	*e->spd = was;
	return 0;
}

void spd_edit_fini(struct spd_edit *e)
{
	forget_places(e);
	spd_fini(&e->gone);
	free(e->touched);
	free(e->ids_before);
	free(e->ranks_before);
	*e = (struct spd_edit){ 0 };
}
