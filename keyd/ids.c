/* SPDX-License-Identifier: BSD-2-Clause */
/* ids.c - see ids.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/ids.h"
#include "keyd/index.h"
#include "keyd/publish_maps.h"
#include "keyd/spd_diff.h"
#include "xesp/clock.h"
#include "xesp/fault.h"

#define LINE_WORDS 8u /* of a replay window, in a cache line of 64 bytes */

/* ---- policies and tunnels: by name */

struct slots {
	const char *(*name)(const struct maps *m, uint32_t id);
	uint32_t max;
	uint32_t cursor;
	const char *what;
};

static const char *policy_name(const struct maps *m, uint32_t id)
{
	return m->policies[id].name;
}

static const char *tunnel_name(const struct maps *m, uint32_t id)
{
	return m->tunnels[id].name;
}

static int index_slots(const struct maps *m, const struct slots *s, struct index *by_name, uint32_t n)
{
	uint32_t found;
	int err = 0;

	index_expect(by_name, n);
	for (uint32_t id = 1; id < s->max && !err; id++)
		if (s->name(m, id)[0])
			err = index_add(by_name, s->name(m, id), id, &found);
	return err;
}

/* The next free id behind the last one, all the way round; 0: none. */
static uint32_t next_free(const struct maps *m, struct slots *s, const uint8_t *given)
{
	for (uint32_t n = 1; n < s->max; n++) {
		uint32_t id = (s->cursor + n - 1) % (s->max - 1) + 1;

		if (s->name(m, id)[0] || given[id])
			continue;
		s->cursor = id;
		return id;
	}
	return 0;
}

/* What gets numbers by name. */
struct named {
	const char *names;
	char *ids;
	size_t stride, id_stride;
	uint32_t n;
};

/* What a copy of the configuration in force brings with it, if it holds; 0: nothing. */
static uint32_t id_before(const struct maps *m, const struct slots *s, const struct named *a, uint32_t i)
{
	uint32_t id;

	memcpy(&id, a->ids + i * a->id_stride, sizeof(id));
	return id && id < s->max && !memcmp(s->name(m, id), a->names + i * a->stride, XESP_NAME_MAX) ? id : 0;
}

static int assign_by_name(const struct maps *m, struct slots *s, const struct named *a,
			  struct fault *f)
{
	uint8_t *given = calloc(s->max, 1);
	struct index by_name;
	int err;

	index_init(&by_name, XESP_NAME_MAX);
	err = given ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < a->n && !err; i++) {
		const char *name = a->names + i * a->stride;
		uint32_t id = id_before(m, s, a, i);

		if (!id && !by_name.slots_n)
			err = index_slots(m, s, &by_name, a->n);
		if (!id)
			id = index_find(&by_name, name);
		if (id == INDEX_NONE)
			id = next_free(m, s, given);
		if (!id) {
			err = fault_set(f, -E2BIG,
					"more than %u %s, counting those that go: the maps have no room",
					s->max - 1, s->what);
			break;
		}
		given[id] = 1;
		memcpy(a->ids + i * a->id_stride, &id, sizeof(id));
	}
	if (err == -ENOMEM)
		fault_set(f, err, "out of memory");
	index_fini(&by_name);
	free(given);
	return err;
}

/* ---- SAs: by key, protocol, SPI, direction and ESN */

struct identity {
	uint64_t fingerprint;
	__be32 spi;
	uint8_t dir, esn, proto;
	uint8_t pad;
};

_Static_assert(sizeof(struct identity) == 16, "hashed as bytes");

static struct identity identity_of_state(const struct xesp_sa_state *st)
{
	return (struct identity){ .fingerprint = st->fingerprint,
				  .spi = st->spi,
				  .dir = st->dir,
				  .esn = st->esn,
				  .proto = st->proto };
}

static struct identity identity_of_sa(const struct sa *sa)
{
	return (struct identity){ .fingerprint = sad_fingerprint(sa),
				  .spi = htonl(sa->spi),
				  .dir = sa->dir,
				  .esn = sa->esn,
				  .proto = sa->proto };
}

struct sa_plan {
	const struct maps *m;
	struct identity *identities; /* [max_sas], what the index borrows */
	struct index by_identity;
	uint8_t *given;   /* [max_sas] */
	uint8_t *words;   /* [replay_words]: a window has this word */
	uint32_t cursor;  /* there is no free id that was never used up to here */
	uint32_t word_cursor;
	uint32_t *retired; /* those that may be given again, oldest first; NULL: not listed yet */
	uint32_t retired_n, retired_at;
	bool evicted; /* windows of parked SAs gave way */
};

static bool is_unused(const struct xesp_sa_state *st)
{
	return !st->fingerprint && !st->in_use && !st->name[0];
}

static int open_plan(struct sa_plan *p, const struct maps *m)
{
	*p = (struct sa_plan){ .m = m };
	index_init(&p->by_identity, sizeof(struct identity));
	p->identities = calloc(m->max_sas, sizeof(*p->identities));
	p->given = calloc(m->max_sas, 1);
	p->words = calloc(m->replay_words + 1u, 1);
	if (!p->identities || !p->given || !p->words)
		return -ENOMEM;
	for (uint32_t id = 1; id < m->max_sas; id++) {
		const struct xesp_sa_state *st = &m->sa[id];

		if (!is_unused(st) && (uint64_t)st->replay_off + st->replay_words <= m->replay_words)
			memset(p->words + st->replay_off, 1, st->replay_words);
	}
	return 0;
}

/* Those that nobody was given yet. */
static int index_states(struct sa_plan *p)
{
	uint32_t found;
	int err = 0;

	for (uint32_t id = 1; id < p->m->max_sas && !err; id++) {
		if (p->given[id] || is_unused(&p->m->sa[id]))
			continue;
		p->identities[id] = identity_of_state(&p->m->sa[id]);
		err = index_add(&p->by_identity, &p->identities[id], id, &found);
	}
	return err;
}

static void close_plan(struct sa_plan *p)
{
	index_fini(&p->by_identity);
	free(p->identities);
	free(p->given);
	free(p->words);
	free(p->retired);
}

/* 64 * words >= window: see xesp/steer.h. */
static uint32_t words_for(uint32_t window)
{
	uint32_t words = 1;

	while (64 * words < window)
		words *= 2;
	return words;
}

bool ids_is_retired(const struct maps *m, uint32_t sa_id)
{
	uint64_t at = m->retired_ns[sa_id];

	return !m->sa[sa_id].in_use && at && clock_ns() - at >= IDS_RETIRED_NS;
}

static void forget_state(struct sa_plan *p, uint32_t id)
{
	const struct xesp_sa_state *st = &p->m->sa[id];

	if ((uint64_t)st->replay_off + st->replay_words <= p->m->replay_words)
		memset(p->words + st->replay_off, 0, st->replay_words);
}

static int by_age(const void *x, const void *y, void *ctx)
{
	const uint64_t *retired_ns = ctx;
	const uint64_t a = retired_ns[*(const uint32_t *)x], b = retired_ns[*(const uint32_t *)y];

	return a < b ? -1 : a > b;
}

/* Once for all SAs of a change: looking for the oldest each time would take the square of them. */
static void list_retired(struct sa_plan *p)
{
	p->retired = calloc(p->m->max_sas, sizeof(*p->retired));
	for (uint32_t id = 1; p->retired && id < p->m->max_sas; id++)
		if (!p->given[id] && ids_is_retired(p->m, id))
			p->retired[p->retired_n++] = id;
	if (p->retired_n)
		qsort_r(p->retired, p->retired_n, sizeof(*p->retired), by_age, p->m->retired_ns);
}

/* An id that was never used, else the parked one that was given up first. 0: none. */
static uint32_t find_id(struct sa_plan *p)
{
	while (++p->cursor < p->m->max_sas)
		if (is_unused(&p->m->sa[p->cursor]) && !p->given[p->cursor])
			return p->cursor;
	p->cursor = p->m->max_sas;
	if (!p->retired)
		list_retired(p);
	while (p->retired && p->retired_at < p->retired_n) {
		uint32_t id = p->retired[p->retired_at++];

		if (p->given[id])
			continue;
		forget_state(p, id);
		return id;
	}
	return 0;
}

static bool line_is_free(const uint8_t *words)
{
	uint8_t used = 0;

	for (uint32_t i = 0; i < LINE_WORDS; i++)
		used |= words[i];
	return !used;
}

/*
 * A window has its cache lines for itself: two SAs' may be two workers', which write into them with each packet.
 */
static bool find_words(struct sa_plan *p, uint32_t n, uint32_t *off)
{
	uint32_t run = 0;

	n = (n + LINE_WORDS - 1) / LINE_WORDS * LINE_WORDS;
	/* First from where the last window ended; a second time from the start. */
	for (int turn = 0; turn < 2; turn++) {
		uint32_t i = turn ? 0 : p->word_cursor;

		for (; i + LINE_WORDS <= p->m->replay_words; i += LINE_WORDS) {
			run = line_is_free(p->words + i) ? run + LINE_WORDS : 0;
			if (run < n)
				continue;
			*off = i + LINE_WORDS - n;
			p->word_cursor = i + LINE_WORDS;
			memset(p->words + *off, 1, n);
			return true;
		}
		run = 0;
	}
	return false;
}

/* Parked windows are kept as long as there is room for all. */
static bool make_words(struct sa_plan *p, uint32_t n, uint32_t *off)
{
	if (find_words(p, n, off))
		return true;
	for (uint32_t id = 1; id < p->m->max_sas; id++)
		if (!p->given[id] && ids_is_retired(p->m, id))
			forget_state(p, id);
	p->evicted = true;
	p->word_cursor = 0;
	return find_words(p, n, off);
}

static int take_known(struct sa_plan *p, struct sa *sa, uint32_t id, struct fault *f)
{
	const struct xesp_sa_state *st = &p->m->sa[id];

	sa->fresh = false;
	sa->born_ns = st->born_ns;
	sa->replay_off = st->replay_off;
	sa->replay_words = st->replay_words;
	if (sa->dir == XESP_DIR_IN && words_for(sa->window) > st->replay_words)
		return fault_set(f, -EINVAL,
				 "SA '%s': its replay window cannot grow beyond %u under the same key; give it a new key",
				 sa->name, 64 * st->replay_words);
	return 0;
}

static int take_new(struct sa_plan *p, struct sa *sa, struct fault *f)
{
	sa->fresh = true;
	sa->born_ns = clock_boot_ns();
	sa->replay_off = 0;
	sa->replay_words = 0;
	sa->id = find_id(p);
	if (!sa->id)
		return fault_set(f, -EBUSY,
				 "SA '%s': all %u SA ids are taken, or xespd has not given them up for long enough: try again in 10 s",
				 sa->name, p->m->max_sas - 1);
	if (sa->dir == XESP_DIR_OUT)
		return 0;
	sa->replay_words = words_for(sa->window);
	if (!make_words(p, sa->replay_words, &sa->replay_off))
		return fault_set(f, -E2BIG, "SA '%s': no room for its replay window in the maps",
				 sa->name);
	return 0;
}

/* The id that a copy of the configuration in force brings with it, if it holds; else 0. */
static uint32_t keep_id(struct sa_plan *p, const struct sa *sa)
{
	struct identity is, want = identity_of_sa(sa);

	if (!sa->id || sa->id >= p->m->max_sas || p->given[sa->id])
		return 0;
	is = identity_of_state(&p->m->sa[sa->id]);
	if (memcmp(&is, &want, sizeof(is)))
		return 0;
	p->given[sa->id] = 1;
	return sa->id;
}

/* Of those that have none by now: by the map, for what was there before, parked or before a restart. */
static int find_known(struct sa_plan *p, struct sad *sad)
{
	int err = 0;

	for (uint32_t i = 0; i < sad->sas_n && !err; i++) {
		struct identity want;
		uint32_t id;

		if (sad->sas[i].id)
			continue;
		if (!p->by_identity.slots_n) {
			index_expect(&p->by_identity, sad->sas_n - i);
			err = index_states(p);
		}
		want = identity_of_sa(&sad->sas[i]);
		id = index_find(&p->by_identity, &want);
		if (id == INDEX_NONE)
			continue;
		sad->sas[i].id = id;
		p->given[id] = 1;
	}
	return err;
}

static int assign_sas(const struct maps *m, struct sad *sad, struct fault *f)
{
	struct sa_plan p;
	int err = open_plan(&p, m);

	/* Known ones first, so that no new one is given what is theirs. */
	for (uint32_t i = 0; i < sad->sas_n && !err; i++)
		sad->sas[i].id = keep_id(&p, &sad->sas[i]);
	if (!err)
		err = find_known(&p, sad);
	if (err)
		fault_set(f, err, "out of memory");
	for (uint32_t i = 0; i < sad->sas_n && !err; i++) {
		const uint32_t id = sad->sas[i].id;

		if (!id)
			continue;
		err = take_known(&p, &sad->sas[i], id, f);
		/* Under another limit or after a restart: what has ended stays ended. */
		if (__atomic_load_n(&m->sa[id].expired, __ATOMIC_RELAXED) == XESP_EXPIRED_HARD)
			sad_end(sad, i);
	}
	for (uint32_t i = 0; i < sad->sas_n && !err; i++) {
		if (sad->sas[i].id)
			continue;
		err = take_new(&p, &sad->sas[i], f);
		p.given[sad->sas[i].id] = 1;
	}
	sad->evict_parked = p.evicted;
	close_plan(&p);
	return err;
}

static int index_sas(const struct maps *m, struct sad *sad, struct fault *f)
{
	uint32_t *by_id = malloc(m->max_sas * sizeof(*by_id));

	if (!by_id)
		return fault_set(f, -ENOMEM, "out of memory");
	memset(by_id, 0xff, m->max_sas * sizeof(*by_id)); /* SAD_NONE */
	for (uint32_t i = 0; i < sad->sas_n; i++)
		by_id[sad->sas[i].id] = i;
	free(sad->by_id);
	sad->by_id = by_id;
	sad->by_id_n = m->max_sas;
	return 0;
}

/* Those that have none yet: names that no map has. Ids of what goes with this change are not free. */
int ids_assign_policies(const struct maps *m, struct spd *spd, const struct spd_diff *d,
			struct fault *f)
{
	struct slots s = { policy_name, m->max_policies, m->policy_cursor, "policies" };
	uint8_t *given = calloc(m->max_policies, 1);
	int err = given ? 0 : fault_set(f, -ENOMEM, "out of memory");

	for (uint32_t i = 0; i < d->added_n && !err; i++) {
		uint32_t *id = &spd->ids[d->added[i]];

		if (*id)
			continue;
		*id = next_free(m, &s, given);
		if (!*id)
			err = fault_set(f, -E2BIG,
					"more than %u policies, counting those that go: the maps have no room",
					s.max - 1);
		given[*id] = 1;
		s.cursor = *id;
	}
	free(given);
	return err;
}

static int assign_policies(const struct maps *m, struct spd *spd, const struct spd_diff *d,
			   struct fault *f)
{
	struct slots policies = { policy_name, m->max_policies, m->policy_cursor, "policies" };
	const struct named all = { .names = (const char *)spd->policies,
				   .stride = sizeof(struct policy),
				   .ids = (char *)spd->ids,
				   .id_stride = sizeof(uint32_t),
				   .n = spd->n };

	return d->whole ? assign_by_name(m, &policies, &all, f) :
			  ids_assign_policies(m, spd, d, f);
}

int ids_assign(const struct maps *m, struct sad *sad, struct spd *spd, const struct spd_diff *d,
	       struct fault *f)
{
	struct slots tunnels = { tunnel_name, m->max_tunnels, m->tunnel_cursor, "tunnels" };
	const struct named t = { .names = (const char *)sad->tunnels,
				 .stride = sizeof(struct tunnel),
				 .ids = (char *)sad->tunnels + offsetof(struct tunnel, id),
				 .id_stride = sizeof(struct tunnel),
				 .n = sad->tunnels_n };
	int err;

	err = assign_policies(m, spd, d, f);
	if (!err && sad->tunnels_n)
		err = assign_by_name(m, &tunnels, &t, f);
	if (!err)
		err = assign_sas(m, sad, f);
	if (!err)
		err = index_sas(m, sad, f);
	return err;
}
