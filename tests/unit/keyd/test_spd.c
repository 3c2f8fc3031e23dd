/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_spd.c - the classifier gives the answer of the ordered list: random policies and packets,
 * whole and changed step by step, with a reader between any two stores; and rules by themselves.
 * The list is walked here the naive way; the search is the one that XDP and xespd run.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/sad.h"
#include "keyd/schema.h"
#include "keyd/spd.h"
#include "keyd/spd_diff.h"
#include "keyd/spd_table.h"
#include "libxesp/addr.h"
#include "tests/spd/list.h"
#include "xesp/fault.h"

#define NOTHING UINT32_MAX
#define ENTRIES (1u << 17)
#define IDS 4096

/* ---- the list, walked */

static bool in_prefixes(const struct selector *s, const struct prefix *p, uint32_t n,
			const struct xesp_addr *a)
{
	if (s->family && s->family != (addr_is_ip4(a) ? 4 : 6))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		struct xesp_addr first, last;

		addr_range(&p[i].addr, p[i].len, &first, &last);
		if (addr_cmp(&first, a) <= 0 && addr_cmp(a, &last) <= 0)
			return true;
	}
	return false;
}

static bool in_ports(const struct port_range *r, uint32_t n, __be16 port)
{
	for (uint32_t i = 0; i < n; i++)
		if (ntohs(port) >= r[i].first && ntohs(port) <= r[i].last)
			return true;
	return !n;
}

enum answer { NO, YES, DEPENDS };

/* What RFC 4301 section 4.4.1.1 and 7 say about one policy and one packet. */
static enum answer matches(const struct policy *p, const struct spd_query *k)
{
	const struct selector *s = &p->sel;
	const bool numbers = s->local_ports_n || s->remote_ports_n;

	if (!(p->dirs & 1 << k->dir) || !in_prefixes(s, s->local, s->local_n, &k->local) ||
	    !in_prefixes(s, s->remote, s->remote_n, &k->remote))
		return NO;
	if (k->fields == XESP_FIELDS_LATER && k->family == 6 && s->proto && !s->opaque)
		return DEPENDS; /* on the protocol that the first fragment has */
	if (s->proto && s->proto != k->proto)
		return NO;
	if (s->opaque)
		return k->fields == XESP_FIELDS_KNOWN ? NO : YES;
	if (!numbers)
		return YES;
	if (k->fields == XESP_FIELDS_LATER)
		return DEPENDS;
	return k->fields == XESP_FIELDS_KNOWN &&
	       in_ports(s->local_ports, s->local_ports_n, k->local_port) &&
	       in_ports(s->remote_ports, s->remote_ports_n, k->remote_port);
}

struct verdict {
	uint32_t id; /* of the policy, 0 none */
	bool depends;
};

static struct verdict walk_list(const struct spd *spd, const struct spd_query *k)
{
	for (uint32_t i = 0; i < spd->n; i++) {
		enum answer a = matches(&spd->policies[i], k);

		if (a != NO)
			return (struct verdict){ spd->ids[i], a == DEPENDS };
	}
	return (struct verdict){ 0, false };
}

static bool agrees(const struct spd_memory *m, const struct spd_query *k, const struct spd *spd)
{
	struct verdict want = walk_list(spd, k);
	struct xesp_spd_val v = { 0 };
	uint32_t generation;

	return spd_memory_find(m, k, &v, &generation) == XESP_DROP_NONE && v.policy == want.id &&
	       (v.action == XESP_ACTION_FRAGMENT) == want.depends;
}

/* ---- random policies, in a small world so that they overlap */

static uint32_t rnd(uint32_t n)
{
	return (uint32_t)random() % n;
}

static void random_addr(char *out, size_t len, bool ip6)
{
	if (ip6)
		snprintf(out, len, "2001:db8:%x::%x", rnd(2), rnd(4));
	else
		snprintf(out, len, "10.%u.%u.%u", rnd(2), rnd(2), rnd(4));
}

static char *random_range(bool ip6)
{
	char a[48], b[48], text[100];
	struct xesp_addr first, last;

	random_addr(a, sizeof(a), ip6);
	random_addr(b, sizeof(b), ip6);
	addr_parse(&first, a, NULL);
	addr_parse(&last, b, NULL);
	if (addr_cmp(&first, &last) <= 0)
		snprintf(text, sizeof(text), "%s-%s", a, b);
	else
		snprintf(text, sizeof(text), "%s-%s", b, a);
	return strdup(text);
}

static char *random_prefix(bool ip6)
{
	static const int lens4[] = { 0, 8, 15, 16, 24, 31, 32 }, lens6[] = { 0, 32, 48, 64, 126, 128 };
	char text[64], host[48];
	struct xesp_addr a, first, last;
	uint8_t len;

	if (!rnd(6))
		return random_range(ip6);
	random_addr(host, sizeof(host), ip6);
	len = (uint8_t)(ip6 ? lens6[rnd(6)] : lens4[rnd(7)] + 96);
	CU_ASSERT_EQUAL_FATAL(addr_parse(&a, host, NULL), 0);
	addr_range(&a, len, &first, &last);
	return strdup(addr_print_prefix(&first, len, text));
}

static char *random_ports(bool ip6)
{
	char text[32];
	uint32_t a = rnd(20), b = rnd(20);

	(void)ip6;
	if (rnd(2))
		snprintf(text, sizeof(text), "%u", a);
	else
		snprintf(text, sizeof(text), "%u-%u", a < b ? a : b, a < b ? b : a);
	return strdup(text);
}

static void fill_list(char ***list, unsigned int *n, char *(*make)(bool), bool ip6)
{
	*n = rnd(3);
	*list = calloc(*n + 1, sizeof(char *));
	for (unsigned int i = 0; i < *n; i++)
		(*list)[i] = make(ip6);
}

static void one_word(char ***list, unsigned int *n, const char *word)
{
	*n = 1;
	*list = calloc(1, sizeof(char *));
	(*list)[0] = strdup(word);
}

static void random_fields(struct raw_policy *raw, bool ip6)
{
	const bool icmp = strstr(raw->protocol, "icmp");

	if (!strcmp(raw->protocol, "47"))
		return;
	if (!strcmp(raw->protocol, "any")) {
		if (!rnd(4))
			one_word(&raw->local_ports, &raw->local_ports_count, "opaque");
	} else if (!strcmp(raw->protocol, "mobility-header")) {
		fill_list(&raw->mh_type, &raw->mh_type_count, random_ports, ip6);
	} else if (!rnd(6)) {
		one_word(icmp ? &raw->icmp_type : &raw->remote_ports,
			 icmp ? &raw->icmp_type_count : &raw->remote_ports_count, "opaque");
	} else if (icmp) {
		fill_list(&raw->icmp_type, &raw->icmp_type_count, random_ports, ip6);
		fill_list(&raw->icmp_code, &raw->icmp_code_count, random_ports, ip6);
	} else {
		fill_list(&raw->local_ports, &raw->local_ports_count, random_ports, ip6);
		fill_list(&raw->remote_ports, &raw->remote_ports_count, random_ports, ip6);
	}
}

static void random_policy(struct raw_policy *raw, uint32_t name_no)
{
	static const char *const protos[] = { "any", "tcp", "udp", "icmp", "ipv6-icmp", "17", "47",
					      "mobility-header" };
	char name[16];
	bool ip6 = rnd(3) == 0;

	*raw = (struct raw_policy){ .action = RAW_ACTION_DISCARD + rnd(3),
				    .direction = RAW_DIRECTION_OUT + rnd(3) };
	if (raw->action == RAW_ACTION_PROTECT)
		raw->tunnel = strdup("t");
	snprintf(name, sizeof(name), "p%u", name_no);
	raw->name = strdup(name);
	raw->protocol = strdup(protos[rnd(8)]);
	fill_list(&raw->local, &raw->local_count, random_prefix, ip6);
	fill_list(&raw->remote, &raw->remote_count, random_prefix, ip6);
	random_fields(raw, ip6);
}

static void free_list(char **list, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

static void free_policy(struct raw_policy *raw)
{
	free(raw->name);
	free(raw->tunnel);
	free(raw->protocol);
	free_list(raw->local, raw->local_count);
	free_list(raw->remote, raw->remote_count);
	free_list(raw->local_ports, raw->local_ports_count);
	free_list(raw->remote_ports, raw->remote_ports_count);
	free_list(raw->icmp_type, raw->icmp_type_count);
	free_list(raw->icmp_code, raw->icmp_code_count);
	free_list(raw->mh_type, raw->mh_type_count);
}

static void random_packet(struct spd_query *k)
{
	static const uint8_t protos[] = { 6, 17, 1, 47, 50, 58, 135 };
	bool ip6 = rnd(3) == 0;
	char text[48];

	*k = (struct spd_query){ .dir = (uint8_t)rnd(2), .family = ip6 ? 6 : 4 };
	random_addr(text, sizeof(text), ip6);
	addr_parse(&k->local, text, NULL);
	random_addr(text, sizeof(text), ip6);
	addr_parse(&k->remote, text, NULL);
	k->proto = protos[rnd(7)];
	k->fields = !rnd(4)				  ? XESP_FIELDS_LATER :
		    k->proto == 47 || k->proto == 50 ? XESP_FIELDS_NONE :
						       XESP_FIELDS_KNOWN;
	if (k->fields == XESP_FIELDS_KNOWN) {
		k->local_port = htons((uint16_t)rnd(21));
		k->remote_port = htons((uint16_t)(k->proto == 135 ? 0 : rnd(21)));
	}
}

/* ---- an SPD of raw policies, in memory */

static struct tunnel one_tunnel = { .name = "t", .id = 7 };

static struct spd *make_spd(struct raw_policy *raws, uint32_t n)
{
	struct raw_config raw = { .policies = raws, .policies_count = n };
	struct sad sad = { .tunnels_n = 1, .tunnels = &one_tunnel };
	struct spd *spd = calloc(1, sizeof(*spd));
	struct problems ps = { 0 };

	CU_ASSERT_EQUAL_FATAL(spd_init(spd, &raw, &sad, &ps), 0);
	return spd;
}

static void free_spd(struct spd *spd)
{
	if (spd)
		spd_fini(spd);
	free(spd);
}

struct world {
	struct spd_memory memory;
	struct spd_table *table;
	struct spd *now;   /* committed */
	uint32_t next_id;
	struct spd_diff last; /* counts of the last change */
	bool forget;       /* begin each change as a keyd that knows nothing */
};

static void open_world(struct world *w)
{
	*w = (struct world){ .next_id = 1 };
	list_memory_open(&w->memory, ENTRIES, IDS);
	CU_ASSERT_EQUAL_FATAL(spd_table_open(&w->table, &w->memory, NULL), 0);
}

static void close_world(struct world *w)
{
	free_spd(w->now);
	spd_table_close(w->table);
	list_memory_close(&w->memory);
}

/* A change of the world to `next`, which it then owns. */
static int change_to(struct world *w, struct spd *next, struct fault *f)
{
	struct sad sad = { .tunnels_n = 1, .tunnels = &one_tunnel };
	struct spd_diff d;
	struct spd_change c = { .now = w->now, .next = next, .diff = &d, .sad = &sad };
	int err;

	CU_ASSERT_EQUAL_FATAL(spd_diff(&d, w->now, next), 0);
	for (uint32_t i = 0; i < next->n; i++) {
		CU_ASSERT(i == 0 || next->ranks[i] > next->ranks[i - 1]);
		if (next->ids[i])
			continue;
		next->ids[i] = w->next_id;
		w->next_id = w->next_id % (IDS - 1) + 1;
	}
	if (w->forget)
		c.now = NULL;
	err = spd_table_commit(w->table, &c, f);
	w->last = d;
	spd_diff_fini(&d);
	if (err) {
		free_spd(next);
		return err;
	}
	free_spd(w->now);
	w->now = next;
	return 0;
}

/* The SPD of random policies; how many packets the two ways disagree about. */
static int compare_once(uint32_t policies, int packets, bool *refused)
{
	struct raw_policy *raws = calloc(policies + 1, sizeof(*raws));
	struct world w;
	struct spd *spd;
	int wrong = 0;

	for (uint32_t i = 0; i < policies; i++)
		random_policy(&raws[i], i);
	open_world(&w);
	spd = make_spd(raws, policies);
	*refused = spd_check(spd, NULL) != 0;
	/* Refused by the census, refused by the table. */
	CU_ASSERT_EQUAL(change_to(&w, spd, NULL) != 0, *refused);
	for (int i = 0; i < packets && !*refused; i++) {
		struct spd_query k;

		random_packet(&k);
		wrong += !agrees(&w.memory, &k, w.now);
	}
	close_world(&w);
	for (uint32_t i = 0; i < policies; i++)
		free_policy(&raws[i]);
	free(raws);
	return wrong;
}

static void test_random_policies(void)
{
	int wrong = 0, compared = 0;

	srandom(4301);
	for (int round = 0; round < 300; round++) {
		bool refused;

		wrong += compare_once(1 + rnd(14), 400, &refused);
		compared += !refused;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(compared > 200); /* the others need more than XESP_TUPLES_MAX tuples */
}

/* ---- changed step by step */

#define LIST_MAX 24

struct edited {
	struct raw_policy raw[LIST_MAX];
	uint32_t n, names;
};

static void insert_at(struct edited *e, uint32_t at, const struct raw_policy *raw)
{
	memmove(&e->raw[at + 1], &e->raw[at], (e->n - at) * sizeof(*raw));
	e->raw[at] = *raw;
	e->n++;
}

static struct raw_policy take_out(struct edited *e, uint32_t at)
{
	struct raw_policy raw = e->raw[at];

	memmove(&e->raw[at], &e->raw[at + 1], (--e->n - at) * sizeof(raw));
	return raw;
}

/* One of the things that an administrator does to a list. */
static void edit(struct edited *e)
{
	struct raw_policy raw;
	uint32_t what = rnd(4);

	if (!e->n || (what == 0 && e->n < LIST_MAX)) {
		random_policy(&raw, e->names++);
		insert_at(e, rnd(e->n + 1), &raw);
		return;
	}
	raw = take_out(e, rnd(e->n));
	if (what == 1) {
		free_policy(&raw);
		return;
	}
	if (what == 2) { /* other selectors under the same name */
		uint32_t name_no = (uint32_t)strtoul(raw.name + 1, NULL, 10);

		free_policy(&raw);
		random_policy(&raw, name_no);
	}
	insert_at(e, rnd(e->n + 1), &raw);
}

/* What a reader finds between two stores: the old list or the new one, whole. */
struct reader {
	struct world *w;
	const struct spd *next;
	uint32_t before; /* generation */
	uint64_t looks;
	int wrong;
};

static void look_between_stores(void *ctx)
{
	struct reader *r = ctx;
	struct spd_query k;

	random_packet(&k);
	r->looks++;
	r->wrong += !agrees(&r->w->memory, &k,
			    spd_memory_generation(&r->w->memory) == r->before ? r->w->now : r->next);
}

static void edit_for_long(bool forget, uint32_t rounds)
{
	struct edited e = { .n = 0 };
	struct reader r = { 0 };
	struct world w;

	open_world(&w);
	CU_ASSERT_EQUAL_FATAL(change_to(&w, make_spd(e.raw, 0), NULL), 0);
	w.forget = forget;
	r.w = &w;
	spd_table_watch(w.table, look_between_stores, &r);
	for (uint32_t i = 0; i < rounds; i++) {
		struct spd *next;

		for (uint32_t n = 1 + rnd(3); n; n--)
			edit(&e);
		next = make_spd(e.raw, e.n);
		r.next = next;
		r.before = spd_memory_generation(&w.memory);
		if (change_to(&w, next, NULL)) /* too many tuples: the old one stays whole */
			CU_ASSERT_EQUAL(spd_memory_generation(&w.memory), r.before);
		for (int k = 0; k < 100; k++) {
			struct spd_query q;

			random_packet(&q);
			r.wrong += !agrees(&w.memory, &q, w.now);
		}
	}
	CU_ASSERT_EQUAL(r.wrong, 0);
	CU_ASSERT(r.looks > rounds * 10);
	close_world(&w);
	for (uint32_t i = 0; i < e.n; i++)
		free_policy(&e.raw[i]);
}

static void test_changes_step_by_step(void)
{
	srandom(1);
	edit_for_long(false, 1500);
}

static void test_changes_by_a_keyd_that_knows_nothing(void)
{
	srandom(2);
	edit_for_long(true, 500);
}

/* ---- a keyd that dies between two stores */

struct death {
	uint64_t left; /* stores until then */
	const struct spd_memory *from;
	struct spd_memory *snapshot;
};

static void copy_memory(struct spd_memory *to, const struct spd_memory *from)
{
	memcpy(to->conf, from->conf, sizeof(*to->conf));
	memcpy(to->head, from->head, 2 * sizeof(*to->head));
	memcpy(to->tuples, from->tuples,
	       (size_t)2 * XESP_DIR_MAX * XESP_TUPLES_MAX * sizeof(*to->tuples));
	memcpy(to->slots, from->slots, to->slots_n * sizeof(*to->slots));
	memcpy(to->entries, from->entries, to->entries_n * sizeof(*to->entries));
	memcpy(to->rules, from->rules, to->rules_n * sizeof(*to->rules));
}

static void maybe_die(void *ctx)
{
	struct death *d = ctx;

	if (d->left && !--d->left)
		copy_memory(d->snapshot, d->from);
}

/* The memory as it was then, with a new keyd that puts `last` into it: first seen, then changed. */
static int live_on(struct spd_memory *m, const struct spd *before, const struct spd *after,
		   struct raw_policy *raws, uint32_t n, uint32_t generation)
{
	struct world w = { .next_id = 2000 };
	const struct spd *in_force = spd_memory_generation(m) == generation ? before : after;
	int wrong = 0;

	for (int i = 0; i < 30; i++) {
		struct spd_query k;

		random_packet(&k);
		wrong += !agrees(m, &k, in_force);
	}
	w.memory = *m;
	CU_ASSERT_EQUAL_FATAL(spd_table_open(&w.table, &w.memory, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(change_to(&w, make_spd(raws, n), NULL), 0);
	for (int i = 0; i < 30; i++) {
		struct spd_query k;

		random_packet(&k);
		wrong += !agrees(m, &k, w.now);
	}
	free_spd(w.now);
	spd_table_close(w.table);
	return wrong;
}

static void test_death_between_stores(void)
{
	struct edited e = { .n = 0 };
	struct spd_memory snapshot;
	int wrong = 0, deaths = 0;

	srandom(3);
	list_memory_open(&snapshot, 4096, IDS);
	for (int round = 0; round < 12; round++) {
		uint64_t at = 0;
		bool died = true;

		while (died) {
			struct world w = { .next_id = 1 };
			struct edited next = e;
			struct death d = { .from = &w.memory, .snapshot = &snapshot };
			struct spd *after;
			long seed = random();

			list_memory_open(&w.memory, 4096, IDS);
			CU_ASSERT_EQUAL_FATAL(spd_table_open(&w.table, &w.memory, NULL), 0);
			if (change_to(&w, make_spd(e.raw, e.n), NULL))
				break;
			/* The list turned round, and without its last: owners and ranks change. */
			for (uint32_t i = 0; i < e.n; i++)
				next.raw[i] = e.raw[e.n - 1 - i];
			next.n -= next.n != 0;
			after = make_spd(next.raw, next.n);
			d.left = ++at;
			spd_table_watch(w.table, maybe_die, &d);
			CU_ASSERT_EQUAL_FATAL(spd_memory_generation(&w.memory), 1);
			{
				struct spd *before = make_spd(e.raw, e.n);

				memcpy(before->ids, w.now->ids, e.n * sizeof(*before->ids));
				CU_ASSERT_EQUAL(change_to(&w, after, NULL), 0);
				died = d.left == 0;
				if (died)
					wrong += live_on(&snapshot, before, w.now, e.raw, e.n, 1);
				deaths += died;
				free_spd(before);
			}
			srandom((unsigned int)seed);
			close_world(&w);
		}
		for (int k = 0; k < 1; k++)
			edit(&e);
		if (e.n > 5) {
			struct raw_policy raw = take_out(&e, 0);

			free_policy(&raw);
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(deaths > 200);
	for (uint32_t i = 0; i < e.n; i++)
		free_policy(&e.raw[i]);
	list_memory_close(&snapshot);
}

/* ---- rules by themselves */

#define LOCAL(list_) .local = list_, .local_count = 1
#define REMOTE_PORTS(list_) .protocol = "tcp", .remote_ports = list_, .remote_ports_count = 1

static struct spd_query tcp_packet(uint8_t fields)
{
	struct spd_query k = { .proto = 6, .family = 4, .fields = fields, .remote_port = htons(80) };

	addr_parse(&k.local, "10.1.0.1", NULL);
	addr_parse(&k.remote, "10.0.0.2", NULL);
	return k;
}

static void begin(struct world *w, struct raw_policy *raws, uint32_t n)
{
	open_world(w);
	CU_ASSERT_EQUAL_FATAL(change_to(w, make_spd(raws, n), NULL), 0);
}

static uint32_t tuples_n(const struct world *w, enum xesp_dir dir)
{
	return w->memory.head[w->memory.conf->generation & 1].tuples_n[dir];
}

static const struct xesp_spd_tuple *tuple_at(const struct world *w, enum xesp_dir dir, uint32_t i)
{
	uint32_t half = w->memory.conf->generation & 1;

	return &w->memory.tuples[(half * XESP_DIR_MAX + dir) * XESP_TUPLES_MAX + i];
}

static void test_equal_keys_keep_the_first(void)
{
	static char *net[] = { "10.1.0.0/24" };
	struct raw_policy raw[] = { { .name = "a", .action = RAW_ACTION_BYPASS, LOCAL(net) },
				    { .name = "b", .action = RAW_ACTION_DISCARD, LOCAL(net) } };
	struct spd_query k = tcp_packet(XESP_FIELDS_KNOWN);
	struct xesp_spd_val v;
	struct world w;
	uint32_t g;

	begin(&w, raw, 2);
	CU_ASSERT_EQUAL(spd_table_used(w.table), 2); /* one a direction */
	CU_ASSERT_EQUAL(spd_memory_find(&w.memory, &k, &v, &g), XESP_DROP_NONE);
	CU_ASSERT(v.action == XESP_ACTION_BYPASS && v.policy == w.now->ids[0]);
	/* The first goes: the other had the key all along. */
	CU_ASSERT_EQUAL(change_to(&w, make_spd(&raw[1], 1), NULL), 0);
	CU_ASSERT_EQUAL(spd_table_used(w.table), 2);
	CU_ASSERT_EQUAL(spd_memory_find(&w.memory, &k, &v, &g), XESP_DROP_NONE);
	CU_ASSERT(v.action == XESP_ACTION_DISCARD && v.policy == w.now->ids[0]);
	close_world(&w);
}

static void test_tuples_are_in_order_of_rank(void)
{
	static char *nets[] = { "10.1.0.0/24", "10.0.0.0/8", "10.1.0.0/16" };
	struct raw_policy raw[] = {
		{ .name = "a", .action = RAW_ACTION_BYPASS, LOCAL(&nets[0]),
		  .direction = RAW_DIRECTION_IN },
		{ .name = "b", .action = RAW_ACTION_PROTECT, .tunnel = "t", LOCAL(&nets[1]) },
		{ .name = "c", .action = RAW_ACTION_DISCARD, LOCAL(&nets[2]),
		  .direction = RAW_DIRECTION_OUT },
	};
	const uint32_t *ranks;
	struct world w;

	begin(&w, raw, 3);
	ranks = w.now->ranks;
	CU_ASSERT_EQUAL(tuples_n(&w, XESP_DIR_OUT), 2);
	CU_ASSERT_EQUAL(tuples_n(&w, XESP_DIR_IN), 2);
	CU_ASSERT_EQUAL(tuple_at(&w, XESP_DIR_OUT, 0)->best_rank, ranks[1]);
	CU_ASSERT_EQUAL(tuple_at(&w, XESP_DIR_OUT, 1)->best_rank, ranks[2]);
	CU_ASSERT_EQUAL(tuple_at(&w, XESP_DIR_IN, 0)->best_rank, ranks[0]);
	CU_ASSERT_EQUAL(tuple_at(&w, XESP_DIR_IN, 1)->best_rank, ranks[1]);
	CU_ASSERT_EQUAL(w.memory.rules[w.now->ids[1]].val[0].tunnel, 7);
	close_world(&w);
}

static void test_ports_and_fragments(void)
{
	static char *ports[] = { "80" }, *all[] = { "0-65535" }, *opaque[] = { "opaque" };
	struct raw_policy raw[] = {
		{ .name = "a", .action = RAW_ACTION_BYPASS, REMOTE_PORTS(ports) },
		{ .name = "o", .action = RAW_ACTION_DISCARD, REMOTE_PORTS(opaque) },
		{ .name = "b", .action = RAW_ACTION_DISCARD, REMOTE_PORTS(all) },
	};
	struct spd_query known = tcp_packet(XESP_FIELDS_KNOWN), later = tcp_packet(XESP_FIELDS_LATER);
	struct xesp_spd_val v;
	struct world w;
	uint32_t g;

	begin(&w, raw, 3);
	CU_ASSERT_EQUAL(spd_memory_find(&w.memory, &known, &v, &g), XESP_DROP_NONE);
	CU_ASSERT(v.policy == w.now->ids[0] && v.action == XESP_ACTION_BYPASS);
	/* Not the opaque one: the policy before it may be meant. */
	CU_ASSERT_EQUAL(spd_memory_find(&w.memory, &later, &v, &g), XESP_DROP_NONE);
	CU_ASSERT(v.policy == w.now->ids[0] && v.action == XESP_ACTION_FRAGMENT);
	CU_ASSERT_EQUAL(w.memory.head[1].fragments, 3);
	/* The opaque one first: then it is. */
	{
		struct raw_policy turned[] = { raw[1], raw[0], raw[2] };

		CU_ASSERT_EQUAL(change_to(&w, make_spd(turned, 3), NULL), 0);
	}
	CU_ASSERT_EQUAL(spd_memory_find(&w.memory, &later, &v, &g), XESP_DROP_NONE);
	CU_ASSERT(v.policy == w.now->ids[0] && v.action == XESP_ACTION_DISCARD);
	/* All ports is any port: of nothing that is left must a fragment be in doubt in IPv4. */
	CU_ASSERT_EQUAL(change_to(&w, make_spd(&raw[2], 1), NULL), 0);
	CU_ASSERT_EQUAL(spd_memory_find(&w.memory, &later, &v, &g), XESP_DROP_NONE);
	CU_ASSERT(v.policy == w.now->ids[0] && v.action == XESP_ACTION_DISCARD);
	close_world(&w);
}

static void test_too_many_tuples(void)
{
	static char *all[] = { "1-65534" }, *net[] = { "10.1.0.0/24" };
	struct raw_policy raw[] = {
		{ .name = "a", .action = RAW_ACTION_BYPASS, .protocol = "tcp", .local_ports = all,
		  .local_ports_count = 1, .remote_ports = all, .remote_ports_count = 1, LOCAL(net) },
		{ .name = "b", .action = RAW_ACTION_BYPASS },
	};
	struct fault f = { "" };
	struct spd *spd;
	struct world w;

	begin(&w, raw, 2); /* 15 masks a side: 225 tuples, one of shadows, one of "b" */
	CU_ASSERT_EQUAL(tuples_n(&w, XESP_DIR_OUT), 227);
	all[0] = "1-65535"; /* 16 masks a side: 256 */
	spd = make_spd(raw, 2);
	CU_ASSERT_EQUAL(spd_check(spd, &f), -E2BIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "policies[0] 'a' is too much"));
	CU_ASSERT_EQUAL(change_to(&w, spd, &f), -E2BIG);
	CU_ASSERT_EQUAL(w.memory.conf->generation, 1);
	/* What failed is mended by the next. */
	all[0] = "80";
	CU_ASSERT_EQUAL(change_to(&w, make_spd(raw, 2), &f), 0);
	CU_ASSERT_EQUAL(tuples_n(&w, XESP_DIR_OUT), 3);
	CU_ASSERT_EQUAL(spd_table_used(w.table), 6);
	all[0] = "1-65534";
	close_world(&w);
}

static void test_too_many_entries(void)
{
	static char *list[300];
	static char text[300][24];
	struct raw_policy raw = { .name = "a", .action = RAW_ACTION_BYPASS, .remote = list };
	struct fault f = { "" };
	struct world w = { .next_id = 1 };

	for (int i = 0; i < 300; i++) {
		snprintf(text[i], sizeof(text[i]), "10.%d.%d.0/24", i >> 8, i & 255);
		list[i] = text[i];
	}
	list_memory_open(&w.memory, 256, 16);
	CU_ASSERT_EQUAL_FATAL(spd_table_open(&w.table, &w.memory, NULL), 0);
	raw.remote_count = 127;
	CU_ASSERT_EQUAL(change_to(&w, make_spd(&raw, 1), &f), 0);
	CU_ASSERT_EQUAL(spd_table_used(w.table), 254);
	raw.remote_count = 128;
	CU_ASSERT_EQUAL(change_to(&w, make_spd(&raw, 1), &f), -E2BIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "--max-policies"));
	CU_ASSERT_EQUAL(w.memory.conf->generation, 1);
	raw.remote_count = 1;
	CU_ASSERT_EQUAL(change_to(&w, make_spd(&raw, 1), &f), 0);
	CU_ASSERT_EQUAL(spd_table_used(w.table), 2);
	close_world(&w);
}

/* ---- many */

struct crowd {
	struct raw_policy *raws;
	char (*names)[16];
	char (*nets)[24];
	char **lists;
};

static void open_crowd(struct crowd *c, uint32_t n)
{
	c->raws = calloc(n, sizeof(*c->raws));
	c->names = calloc(n, sizeof(*c->names));
	c->nets = calloc(n, sizeof(*c->nets));
	c->lists = calloc(n, sizeof(*c->lists));
	for (uint32_t i = 0; i < n; i++) {
		snprintf(c->names[i], sizeof(c->names[i]), "p%u", i);
		snprintf(c->nets[i], sizeof(c->nets[i]), "10.%u.%u.0/24", i >> 8, i & 255);
		c->lists[i] = c->nets[i];
		c->raws[i] = (struct raw_policy){ .name = c->names[i],
						  .action = RAW_ACTION_PROTECT,
						  .tunnel = "t",
						  .remote = &c->lists[i],
						  .remote_count = 1 };
	}
}

static void close_crowd(struct crowd *c)
{
	free(c->raws);
	free(c->names);
	free(c->nets);
	free(c->lists);
}

static void test_one_of_many_changes_one(void)
{
	enum { MANY = 4000 };
	struct raw_policy moved;
	struct crowd c;
	struct world w;

	open_crowd(&c, MANY);
	begin(&w, c.raws, MANY);
	CU_ASSERT_EQUAL(spd_table_used(w.table), 2 * MANY);
	CU_ASSERT_EQUAL(tuples_n(&w, XESP_DIR_OUT), 1);
	/* One from the middle to the front. */
	moved = c.raws[2000];
	memmove(&c.raws[11], &c.raws[10], 1990 * sizeof(moved));
	c.raws[10] = moved;
	CU_ASSERT_EQUAL(change_to(&w, make_spd(c.raws, MANY), NULL), 0);
	CU_ASSERT(w.last.dropped_n == 0 && w.last.added_n == 0 && w.last.moved_n == 1);
	/* One goes, one comes. */
	CU_ASSERT_EQUAL(change_to(&w, make_spd(c.raws + 1, MANY - 1), NULL), 0);
	CU_ASSERT(w.last.dropped_n == 1 && w.last.added_n == 0 && w.last.moved_n == 0);
	CU_ASSERT_EQUAL(change_to(&w, make_spd(c.raws, MANY), NULL), 0);
	CU_ASSERT(w.last.dropped_n == 0 && w.last.added_n == 1 && w.last.moved_n == 0);
	/* Another action. */
	c.raws[1000].action = RAW_ACTION_DISCARD;
	c.raws[1000].tunnel = NULL;
	CU_ASSERT_EQUAL(change_to(&w, make_spd(c.raws, MANY), NULL), 0);
	CU_ASSERT(w.last.dropped_n == 1 && w.last.added_n == 1 && w.last.moved_n == 0);
	CU_ASSERT_EQUAL(spd_table_used(w.table), 2 * MANY);
	close_world(&w);
	close_crowd(&c);
}

/* Always between the same two: a gap is used up time and again, and few have to move. */
static void test_gaps_are_made_again(void)
{
	enum { MANY = 3000, ALWAYS = 1000 };
	uint64_t moved = 0;
	struct crowd c;
	struct world w;

	open_crowd(&c, MANY);
	begin(&w, c.raws, ALWAYS);
	for (uint32_t i = ALWAYS; i < MANY; i++) {
		struct raw_policy raw = c.raws[i];

		memmove(&c.raws[ALWAYS / 2 + 1], &c.raws[ALWAYS / 2],
			(i - ALWAYS / 2) * sizeof(raw));
		c.raws[ALWAYS / 2] = raw;
		CU_ASSERT_EQUAL_FATAL(change_to(&w, make_spd(c.raws, i + 1), NULL), 0);
		CU_ASSERT_EQUAL(w.last.added_n, 1);
		moved += w.last.moved_n;
	}
	CU_ASSERT(moved < (uint64_t)(MANY - ALWAYS) * 20);
	close_world(&w);
	close_crowd(&c);
}

static void test_the_end_of_generations(void)
{
	static char *net[] = { "10.1.0.0/24" };
	struct raw_policy raw[] = { { .name = "a", .action = RAW_ACTION_BYPASS, LOCAL(net) },
				    { .name = "b", .action = RAW_ACTION_DISCARD } };
	struct spd_query k = tcp_packet(XESP_FIELDS_KNOWN);
	struct xesp_spd_val v;
	struct world w;
	uint32_t g;

	begin(&w, raw, 2);
	/* As if so many had been committed. */
	w.memory.conf->generation = UINT32_MAX;
	w.memory.head[1].generation = UINT32_MAX;
	for (uint32_t dir = 0; dir < XESP_DIR_MAX; dir++)
		for (uint32_t i = 0; i < 2; i++)
			w.memory.tuples[(XESP_DIR_MAX + dir) * XESP_TUPLES_MAX + i].generation =
				UINT32_MAX;
	CU_ASSERT_EQUAL(spd_memory_find(&w.memory, &k, &v, &g), XESP_DROP_NONE);
	for (uint32_t round = 0; round < 4; round++) {
		uint32_t first = round & 1;

		CU_ASSERT_EQUAL(change_to(&w, make_spd(&raw[first], 2 - first), NULL), 0);
		CU_ASSERT_EQUAL(w.memory.conf->generation, 2 + round);
		CU_ASSERT_EQUAL(spd_memory_find(&w.memory, &k, &v, &g), XESP_DROP_NONE);
		CU_ASSERT_EQUAL(v.policy, w.now->ids[0]);
	}
	close_world(&w);
}

CU_TestInfo spd_tests[] = {
	{ "random policies: the classifier says what the list says", test_random_policies },
	{ "changed step by step, the old list or the new one between any two stores",
	  test_changes_step_by_step },
	{ "changed by a keyd that was restarted, likewise", test_changes_by_a_keyd_that_knows_nothing },
	{ "a keyd that dies between any two stores leaves a whole list, and the next mends it",
	  test_death_between_stores },
	{ "of equal keys the first policy's counts, and then the next one's",
	  test_equal_keys_keep_the_first },
	{ "tuples are in order of their best rank, per direction", test_tuples_are_in_order_of_rank },
	{ "ports, opaque ports and later fragments", test_ports_and_fragments },
	{ "more mask combinations than fit are refused", test_too_many_tuples },
	{ "more entries than fit are refused", test_too_many_entries },
	{ "one of many changes one", test_one_of_many_changes_one },
	{ "ranks between the same two never run out", test_gaps_are_made_again },
	{ "behind the last generation they begin anew", test_the_end_of_generations },
	CU_TEST_INFO_NULL,
};
