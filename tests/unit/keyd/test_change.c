/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_change.c - a configuration swapped in, over real BPF maps and a real lease book: what is
 * kept, what is new, what is taken back; ids over reload and restart; who gets an id again, when.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "keyd/ids.h"
#include "keyd/lease.h"
#include "keyd/map_walk.h"
#include "keyd/spd_table.h"
#include "tests/unit/keyd/keyd.h"
#include "xesp/clock.h"

#define SAS 8
#define WORDS 256

static const struct xesp_sa_state *state_of(const struct keyd *x, const char *name)
{
	return &x->change.maps->sa[keyd_sa(x, name)->id];
}

static bool sa_in(const struct keyd *x, uint32_t spi, struct xesp_sa_in_val *v)
{
	struct xesp_sa_in_key k = { .spi = htonl(spi), .proto = IPPROTO_ESP };

	k.dst = x->change.now->sad.tunnels[0].local;
	return !bpf_map_lookup_elem(x->pins.fd[PINS_SA_IN], &k, v);
}

static const char lan[] =
	"  - {name: lan, action: protect, tunnel: t, local: 10.1.0.0/24, remote: 10.2.0.0/24}\n";
static const char web[] =
	"  - {name: web, action: bypass, protocol: tcp, remote_ports: 80}\n";

/* ---- maps */

static void count_one(const void *key, void *ctx)
{
	(void)key;
	++*(uint32_t *)ctx;
}

static uint32_t count_keys(int fd, size_t key_size)
{
	uint32_t n = 0;

	CU_ASSERT_EQUAL(map_walk_keys(fd, key_size, count_one, &n), 0);
	return n;
}

static uint32_t spd_keys(const struct keyd *x)
{
	return spd_table_used(x->change.maps->table);
}

static void test_the_maps_say_what_the_file_says(void)
{
	char o[256], i[256], both[512], pols[512];
	struct xesp_sa_in_val v;
	struct xesp_spd_head h;
	struct xesp_policy pol;
	struct change_result r;
	struct keyd x;
	uint32_t one = 1;

	keyd_setup(&x, SAS, WORDS);
	CU_ASSERT_EQUAL(x.change.maps->conf->generation, 0);
	snprintf(both, sizeof(both), "%s%s", fixture_sa(o, "o", "out", 4097, 1, ""),
		 fixture_sa(i, "i", "in", 4098, 2, ", replay_window: 100"));
	snprintf(pols, sizeof(pols), "%s%s", web, lan);
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, both, pols), 0);
	CU_ASSERT(r.added == 2 && r.removed == 0 && r.kept == 0 && r.generation == 1);

	CU_ASSERT_EQUAL(x.change.maps->conf->generation, 1);
	CU_ASSERT_EQUAL(bpf_map_lookup_elem(x.pins.fd[PINS_SPD_HEAD], &one, &h), 0);
	CU_ASSERT(h.generation == 1 && h.tuples_n[0] == 4 && h.tuples_n[1] == 4);
	CU_ASSERT_EQUAL(h.default_action, XESP_ACTION_DISCARD);
	CU_ASSERT_EQUAL(spd_keys(&x), 8); /* two of them, and web's shadows in both families */
	CU_ASSERT_EQUAL(bpf_map_lookup_elem(x.pins.fd[PINS_POLICIES], &one, &pol), 0);
	CU_ASSERT_STRING_EQUAL(pol.name, "web");
	CU_ASSERT(pol.action == XESP_ACTION_BYPASS && pol.rank == x.change.now->spd.ranks[0]);

	CU_ASSERT_STRING_EQUAL(state_of(&x, "i")->name, "i");
	CU_ASSERT_EQUAL(state_of(&x, "i")->spi, htonl(4098));
	CU_ASSERT(state_of(&x, "i")->in_use && state_of(&x, "i")->esn);
	CU_ASSERT_EQUAL(state_of(&x, "i")->window, 100);
	CU_ASSERT_EQUAL(state_of(&x, "i")->replay_words, 2); /* 64 * 2 >= 100 */
	CU_ASSERT_EQUAL(state_of(&x, "o")->seq_next, 1);
	CU_ASSERT_EQUAL(state_of(&x, "o")->lease_end, 0);
	CU_ASSERT(sa_in(&x, 4098, &v) && v.sa_id == keyd_sa(&x, "i")->id && v.tunnel == 1);
	CU_ASSERT_FALSE(sa_in(&x, 4097, &v));
	CU_ASSERT_EQUAL(count_keys(x.pins.fd[PINS_ENDPOINTS], 16), 1);
	keyd_finish(&x);
}

static void test_a_generation_is_whole(void)
{
	struct change_result r;
	struct keyd x;

	keyd_setup(&x, SAS, WORDS);
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, "", lan), 0);
	CU_ASSERT_EQUAL(spd_keys(&x), 2);
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, "", web), 0);
	CU_ASSERT_EQUAL(r.generation, 2);
	CU_ASSERT_EQUAL(spd_keys(&x), 6); /* those of generation 1 are gone */
	/* What a keyd that was killed midway has left, of the generation to come. */
	keyd_restart(&x);
	x.change.maps->spd.rules[7].generation[1] = 3;
	x.change.maps->spd.rules[7].val[1].action = XESP_ACTION_BYPASS;
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, "", lan), 0);
	CU_ASSERT_EQUAL(r.generation, 3);
	CU_ASSERT_EQUAL(spd_keys(&x), 2);
	CU_ASSERT_EQUAL(x.change.maps->spd.rules[7].generation[1], 0);
	/* The counter's end: 0 means that nothing was loaded. */
	x.change.maps->conf->generation = UINT32_MAX;
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, "", web), 0);
	CU_ASSERT_EQUAL(r.generation, 2);
	keyd_finish(&x);
}

static void test_policies_keep_their_ids(void)
{
	char pols[1024];
	const struct xesp_policy_hits two = { .packets = 2, .bytes = 99 }, three = { .packets = 3, .bytes = 1 };
	struct change_result r;
	struct keyd x;
	uint32_t lan_id, web_id, other_cpu;

	keyd_setup(&x, SAS, WORDS);
	snprintf(pols, sizeof(pols), "%s%s", lan, web);
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, "", pols), 0);
	lan_id = x.change.now->spd.ids[0];
	web_id = x.change.now->spd.ids[1];
	other_cpu = XESP_HITS_OF_CPU(SAS) + web_id;
	CU_ASSERT_EQUAL(bpf_map_update_elem(x.pins.fd[PINS_POLICY_HITS], &web_id, &two, BPF_ANY), 0);
	CU_ASSERT_EQUAL(bpf_map_update_elem(x.pins.fd[PINS_POLICY_HITS], &other_cpu, &three, BPF_ANY), 0);
	/* In another order, and one gone. */
	snprintf(pols, sizeof(pols), "%s  - {name: new, action: discard}\n", web);
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, "", pols), 0);
	CU_ASSERT_EQUAL(x.change.now->spd.ids[0], web_id);
	CU_ASSERT_NOT_EQUAL(x.change.now->spd.ids[1], web_id);
	CU_ASSERT_NOT_EQUAL(x.change.now->spd.ids[1], lan_id); /* just freed: not yet */
	CU_ASSERT_EQUAL(maps_policy_hits(x.change.maps, web_id).packets, 5);
	CU_ASSERT_EQUAL(maps_policy_hits(x.change.maps, web_id).bytes, 100);
	keyd_restart(&x);
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, "", web), 0);
	CU_ASSERT_EQUAL(x.change.now->spd.ids[0], web_id);
	/* An id that is given anew begins at zero. */
	for (uint32_t i = 0; i < SAS; i++) {
		snprintf(pols, sizeof(pols), "  - {name: p%u, action: discard}\n", i);
		CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, "", pols), 0);
		CU_ASSERT_EQUAL(maps_policy_hits(x.change.maps, x.change.now->spd.ids[0]).packets, 0);
	}
	keyd_finish(&x);
}

static void test_too_small_maps_change_nothing(void)
{
	char pols[1024] = "";
	struct change_result r;
	struct keyd x;

	keyd_setup(&x, SAS, WORDS);
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, "", lan), 0);
	for (int i = 0; i < SAS; i++)
		snprintf(pols + strlen(pols), 64, "  - {name: q%d, action: discard}\n", i);
	CU_ASSERT_EQUAL(keyd_apply(&x, &r, "", pols), -E2BIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(x.f.text, "more than 7 policies"));
	CU_ASSERT_EQUAL(x.change.maps->conf->generation, 1);
	CU_ASSERT_EQUAL(spd_keys(&x), 2);
	CU_ASSERT_STRING_EQUAL(x.change.now->spd.policies[0].name, "lan");
	keyd_finish(&x);
}

/* ---- SAs and their state */

static void use_state(const struct keyd *x, const char *name)
{
	struct xesp_sa_state *st = &x->change.maps->sa[keyd_sa(x, name)->id];

	st->replay_top = 77;
	st->packets = 5;
	if (st->replay_words)
		x->change.maps->replay[st->replay_off] = 0xabcd;
}

static bool is_used_state(const struct keyd *x, const char *name)
{
	const struct xesp_sa_state *st = state_of(x, name);

	return st->replay_top == 77 && st->packets == 5 &&
	       (!st->replay_words || x->change.maps->replay[st->replay_off] == 0xabcd);
}

static void test_an_sa_goes_on(void)
{
	static const struct {
		const char *what, *name;
		uint32_t spi, key;
		const char *more;
		bool same;
	} rows[] = {
		{ "nothing changed", "i", 4098, 2, "", true },
		{ "another name", "j", 4098, 2, "", true },
		{ "a smaller window", "i", 4098, 2, ", replay_window: 64", true },
		{ "another key", "i", 4098, 3, "", false },
		{ "another SPI", "i", 4099, 2, "", false },
		{ "without ESN", "i", 4098, 2, ", esn: no", false },
	};

	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		for (int restart = 0; restart < 2; restart++) {
			char sa[256];
			struct change_result r;
			struct keyd x;
			uint32_t id;

			keyd_setup(&x, SAS, WORDS * 4);
			fixture_sa(sa, "i", "in", 4098, 2, "");
			CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, sa, ""), 0);
			id = keyd_sa(&x, "i")->id;
			use_state(&x, "i");
			if (restart)
				keyd_restart(&x);
			fixture_sa(sa, rows[k].name, "in", rows[k].spi, rows[k].key, rows[k].more);
			CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, sa, ""), 0);
			if ((keyd_sa(&x, rows[k].name)->id == id) != rows[k].same ||
			    is_used_state(&x, rows[k].name) != rows[k].same) {
				printf("  %s\n", rows[k].what);
				CU_FAIL("another state");
			}
			CU_ASSERT_STRING_EQUAL(state_of(&x, rows[k].name)->name, rows[k].name);
			keyd_finish(&x);
		}
	}
}

static void test_a_window_cannot_grow(void)
{
	char sa[256];
	struct change_result r;
	struct keyd x;

	keyd_setup(&x, SAS, WORDS);
	fixture_sa(sa, "i", "in", 4098, 2, ", replay_window: 64");
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, sa, ""), 0);
	fixture_sa(sa, "i", "in", 4098, 2, ", replay_window: 65");
	CU_ASSERT_EQUAL(keyd_apply(&x, &r, sa, ""), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(x.f.text, "cannot grow beyond 64"));
	CU_ASSERT_EQUAL(state_of(&x, "i")->window, 64);
	keyd_finish(&x);
}

static void test_an_sa_that_comes_back_finds_its_window(void)
{
	char sa[256];
	struct change_result r;
	struct xesp_sa_in_val v;
	struct keyd x;

	keyd_setup(&x, SAS, WORDS);
	fixture_sa(sa, "i", "in", 4098, 2, ", replay_window: 64");
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, sa, ""), 0);
	use_state(&x, "i");
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, "", ""), 0);
	CU_ASSERT_EQUAL(r.removed, 1);
	CU_ASSERT_FALSE(sa_in(&x, 4098, &v));
	CU_ASSERT_EQUAL(x.change.maps->sa[1].in_use, 0);
	keyd_restart(&x);
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, sa, ""), 0);
	CU_ASSERT(is_used_state(&x, "i"));
	CU_ASSERT(state_of(&x, "i")->in_use);
	keyd_finish(&x);
}

static void test_windows_do_not_overlap(void)
{
	char sas[2048] = "", sa[256];
	bool used[WORDS] = { false };
	struct change_result r;
	struct keyd x;

	keyd_setup(&x, SAS, WORDS);
	memset(x.change.maps->replay, 0xff, WORDS * sizeof(uint64_t)); /* of others, long gone */
	for (unsigned int i = 0; i < 5; i++) {
		char more[32];

		snprintf(more, sizeof(more), ", replay_window: %u", 64u << i);
		strcat(sas, fixture_sa(sa, (char[2]){ (char)('a' + i), 0 }, "in", 5000 + i, 10 + i,
				       more));
	}
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, sas, ""), 0);
	for (uint32_t i = 0; i < 5; i++) {
		const struct sa *s = &x.change.now->sad.sas[i];

		CU_ASSERT(64 * s->replay_words >= s->window);
		CU_ASSERT_EQUAL(s->replay_words & (s->replay_words - 1), 0);
		for (uint32_t w = s->replay_off; w < s->replay_off + s->replay_words; w++) {
			CU_ASSERT_FATAL(w < WORDS);
			CU_ASSERT_FALSE(used[w]);
			CU_ASSERT_EQUAL(x.change.maps->replay[w], 0);
		}
		/* Nor do two have a cache line of 8 words in common, which their workers would fight over. */
		for (uint32_t w = s->replay_off / 8 * 8; w < s->replay_off + s->replay_words || w % 8; w++)
			CU_ASSERT_FALSE(used[w]);
		for (uint32_t w = s->replay_off / 8 * 8; w < s->replay_off + s->replay_words || w % 8; w++)
			used[w] = true;
	}
	keyd_finish(&x);
}

/* A worker could still hold the old SA, and would use the new one's numbers under the old key. */
static void test_an_id_is_not_given_again_at_once(void)
{
	char sa[256];
	struct change_result r;
	struct keyd x;

	keyd_setup(&x, 4, WORDS); /* ids 1 to 3 */
	for (unsigned int i = 1; i <= 3; i++) {
		fixture_sa(sa, "i", "in", 5000 + i, i, ", replay_window: 64");
		CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, sa, ""), 0);
		CU_ASSERT_EQUAL(keyd_sa(&x, "i")->id, i);
	}
	fixture_sa(sa, "i", "in", 5004, 4, ", replay_window: 64");
	CU_ASSERT_EQUAL(keyd_apply(&x, &r, sa, ""), -EBUSY);
	/* xespd has answered, but not long ago. */
	x.change.maps->retired_ns[1] = clock_ns();
	CU_ASSERT_EQUAL(keyd_apply(&x, &r, sa, ""), -EBUSY);
	x.change.maps->retired_ns[1] = clock_ns() - IDS_RETIRED_NS;
	use_state(&x, "i");
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, sa, ""), 0);
	CU_ASSERT_EQUAL(keyd_sa(&x, "i")->id, 1);
	CU_ASSERT_EQUAL(state_of(&x, "i")->packets, 0);
	CU_ASSERT_EQUAL(state_of(&x, "i")->replay_top, 0);
	keyd_finish(&x);
}

/* ---- numbers */

static int present_and_look(struct keyd *x, uint64_t *first, uint64_t *last)
{
	const struct sa *sa;

	CU_ASSERT_PTR_EQUAL(change_present(&x->change), x->change.now);
	sa = keyd_sa(x, "o");
	if (sa->standing == SA_REFUSED)
		return -1;
	*first = sa->lease_first;
	*last = sa->lease_last;
	return 0;
}

static void test_numbers_go_on_in_memory_or_behind_the_book(void)
{
	char sa[256];
	struct xesp_sa_state *st;
	uint64_t first, last;
	struct change_result r;
	struct keyd x;

	keyd_setup(&x, SAS, WORDS);
	fixture_sa(sa, "o", "out", 4097, 1, ", lease: 100");
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, sa, ""), 0);
	CU_ASSERT_EQUAL(present_and_look(&x, &first, &last), 0);
	CU_ASSERT(first == 1 && last == 100);
	st = &x.change.maps->sa[keyd_sa(&x, "o")->id];
	st->seq_next = 41; /* xespd took 40 */
	st->lease_end = 100;
	keyd_restart(&x);
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, sa, ""), 0);
	CU_ASSERT_EQUAL(present_and_look(&x, &first, &last), 0);
	CU_ASSERT(first == 41 && last == 100); /* no disk, no loss */
	st = &x.change.maps->sa[keyd_sa(&x, "o")->id];
	st->seq_next = 101; /* all used */
	CU_ASSERT_EQUAL(present_and_look(&x, &first, &last), 0);
	CU_ASSERT(first == 101 && last == 200);
	/* Granted, but xespd died before it took the grant: never granted again. */
	CU_ASSERT_EQUAL(present_and_look(&x, &first, &last), 0);
	CU_ASSERT(first == 201 && last == 300);
	/* The same with numbers left of the block before: the book says 300, the memory 100. */
	st->seq_next = 51;
	st->lease_end = 100;
	CU_ASSERT_EQUAL(present_and_look(&x, &first, &last), 0);
	CU_ASSERT(first == 301 && last == 400);
	/* A reboot: the memory is empty. */
	memset(st, 0, sizeof(*st));
	keyd_restart(&x);
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, sa, ""), 0);
	CU_ASSERT_EQUAL(present_and_look(&x, &first, &last), 0);
	CU_ASSERT(first == 401 && last == 500);
	keyd_finish(&x);
}

static void test_numbers_that_the_book_does_not_know(void)
{
	char sa[256];
	uint64_t first, last;
	struct change_result r;
	struct keyd x;

	keyd_setup(&x, SAS, WORDS);
	fixture_sa(sa, "o", "out", 4097, 1, ", lease: 100");
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, sa, ""), 0);
	x.change.maps->sa[keyd_sa(&x, "o")->id].lease_end = 500;
	CU_ASSERT_EQUAL(present_and_look(&x, &first, &last), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(keyd_sa(&x, "o")->reason, "older than numbers"));
	keyd_finish(&x);
}

static void test_without_a_book_only_inbound(void)
{
	char o[256], i[256], both[512];
	uint64_t first, last;
	struct xesp_tunnel t;
	struct change_result r;
	struct keyd x;
	uint32_t one = 1;

	keyd_setup(&x, SAS, WORDS);
	lease_close(x.grants.book);
	x.grants.book = NULL;
	snprintf(x.grants.problem, sizeof(x.grants.problem), "no book");
	snprintf(both, sizeof(both), "%s%s", fixture_sa(o, "o", "out", 4097, 1, ""),
		 fixture_sa(i, "i", "in", 4098, 2, ", replay_window: 64"));
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, both, ""), 0);
	CU_ASSERT_EQUAL(present_and_look(&x, &first, &last), -1);
	CU_ASSERT_STRING_EQUAL(keyd_sa(&x, "o")->reason, "no book");
	CU_ASSERT_EQUAL(keyd_sa(&x, "i")->standing, SA_WAITING);
	CU_ASSERT_EQUAL(bpf_map_lookup_elem(x.pins.fd[PINS_TUNNELS], &one, &t), 0);
	CU_ASSERT_EQUAL(t.sa_out, 0);
	keyd_finish(&x);
}

static int no_space(int dirfd, const char *path, int flags, mode_t mode)
{
	(void)dirfd;
	(void)path;
	(void)flags;
	(void)mode;
	errno = ENOSPC;
	return -1;
}

/* Not refused for good: xespd is told without numbers, asks, and gets them when there is room. */
static void test_a_full_disk_grants_nothing_for_now(void)
{
	struct state_dir_calls full = state_dir_system;
	char sa[256];
	uint64_t first, last;
	struct change_result r;
	struct keyd x;

	keyd_setup(&x, SAS, WORDS);
	fixture_sa(sa, "o", "out", 4097, 1, ", lease: 100");
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, sa, ""), 0);
	CU_ASSERT_EQUAL(present_and_look(&x, &first, &last), 0);
	CU_ASSERT(first == 1 && last == 100);
	full.openat = no_space;
	x.dir.calls = &full;
	CU_ASSERT_EQUAL(present_and_look(&x, &first, &last), 0);
	CU_ASSERT(first == 0 && last == 0);
	x.dir.calls = &state_dir_system;
	CU_ASSERT_EQUAL(present_and_look(&x, &first, &last), 0);
	CU_ASSERT(first == 101 && last == 200);
	keyd_finish(&x);
}

static void test_a_spent_key_is_refused(void)
{
	char sa[256];
	uint64_t first, last;
	struct change_result r;
	struct keyd x;

	keyd_setup(&x, SAS, WORDS);
	fixture_sa(sa, "o", "out", 4097, 1, ", esn: no, lease: 4294967295");
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, sa, ""), 0);
	CU_ASSERT_EQUAL(present_and_look(&x, &first, &last), 0);
	CU_ASSERT(first == 1 && last == UINT32_MAX);
	x.change.maps->sa[1].seq_next = UINT32_MAX + 1ull;
	x.change.maps->sa[1].lease_end = UINT32_MAX;
	CU_ASSERT_EQUAL(present_and_look(&x, &first, &last), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(keyd_sa(&x, "o")->reason, "new key"));
	keyd_finish(&x);
}

CU_TestInfo change_tests[] = {
	{ "the maps say what the file says", test_the_maps_say_what_the_file_says },
	{ "a generation is whole; leftovers of a crash do not count", test_a_generation_is_whole },
	{ "policies keep ids and counters, over reload and restart", test_policies_keep_their_ids },
	{ "too many policies for the maps: nothing changes", test_too_small_maps_change_nothing },
	{ "an SA goes on under key, SPI and ESN, and not otherwise", test_an_sa_goes_on },
	{ "a window cannot grow under the same key", test_a_window_cannot_grow },
	{ "an SA that comes back finds its window", test_an_sa_that_comes_back_finds_its_window },
	{ "replay windows do not overlap, and begin empty", test_windows_do_not_overlap },
	{ "an SA id is not given again while a worker may hold it",
	  test_an_id_is_not_given_again_at_once },
	{ "numbers go on in memory, else behind the book", test_numbers_go_on_in_memory_or_behind_the_book },
	{ "numbers that the book does not know: refused", test_numbers_that_the_book_does_not_know },
	{ "without a book inbound works and outbound is refused", test_without_a_book_only_inbound },
	{ "a full disk grants nothing for now", test_a_full_disk_grants_nothing_for_now },
	{ "a key whose numbers are spent is refused", test_a_spent_key_is_refused },
	CU_TEST_INFO_NULL,
};
