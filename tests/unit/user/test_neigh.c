/* SPDX-License-Identifier: BSD-2-Clause */
/* The neighbour book against every change the kernel reports, and the table made of it. */
#include <CUnit/CUnit.h>
#include <linux/neighbour.h>
#include <stdio.h>
#include <string.h>

#include "fib/neigh.h"
#include "libxesp/addr.h"

#define SEED   42
#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 0xa }, mac_b[6] = { 2, 0, 0, 0, 0, 0xb };

static struct neigh_key key(const char *addr, uint32_t ifindex)
{
	struct neigh_key k = { .ifindex = ifindex };

	CU_ASSERT_EQUAL_FATAL(addr_parse(&k.addr, addr, NULL), 0);
	return k;
}

static enum neigh_answer ask(const struct neigh_book *b, const struct neigh_key *k, uint8_t mac[6])
{
	struct neigh_table *t = neigh_table_build(b);
	enum neigh_answer answer;
	uint32_t index;

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	answer = neigh_table_lookup(t, k, mac, &index);
	neigh_table_free(t);
	return answer;
}

/* One neighbour's life, in order. */
static const struct {
	const char *what;
	uint16_t state; /* 0xffff: deleted */
	const uint8_t *mac;
	enum neigh_change change;
	enum neigh_answer answer;
} life[] = {
	{ "asked for", NUD_INCOMPLETE, NULL, NEIGH_AGED, NEIGH_FAILED },
	{ "asked for again", NUD_INCOMPLETE, NULL, NEIGH_SAME, NEIGH_FAILED },
	{ "answers", NUD_REACHABLE, mac_a, NEIGH_MOVED, NEIGH_READY },
	{ "answers again", NUD_REACHABLE, mac_a, NEIGH_SAME, NEIGH_READY },
	{ "goes stale", NUD_STALE, mac_a, NEIGH_AGED, NEIGH_STALE },
	{ "is used", NUD_DELAY, mac_a, NEIGH_AGED, NEIGH_READY },
	{ "is probed", NUD_PROBE, mac_a, NEIGH_SAME, NEIGH_READY },
	{ "has another address", NUD_REACHABLE, mac_b, NEIGH_MOVED, NEIGH_READY },
	{ "is made permanent", NUD_PERMANENT, mac_b, NEIGH_SAME, NEIGH_READY },
	{ "needs no ARP", NUD_NOARP, mac_b, NEIGH_SAME, NEIGH_READY },
	{ "fails", NUD_FAILED, mac_b, NEIGH_MOVED, NEIGH_FAILED },
	{ "has no state", NUD_NONE, mac_b, NEIGH_SAME, NEIGH_FAILED },
	{ "is reachable without an Ethernet address", NUD_REACHABLE, NULL, NEIGH_AGED,
	  NEIGH_FAILED },
	{ "comes back", NUD_STALE, mac_a, NEIGH_MOVED, NEIGH_STALE },
	{ "is deleted", 0xffff, NULL, NEIGH_MOVED, NEIGH_UNKNOWN },
	{ "is deleted again", 0xffff, NULL, NEIGH_SAME, NEIGH_UNKNOWN },
};

static void life_of_a_neighbour(void)
{
	struct neigh_book *b = neigh_book_open(SEED);
	struct neigh_key k = key("10.0.0.1", 3), other = key("10.0.0.1", 4);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	for (size_t i = 0; i < LEN(life); i++) {
		uint8_t mac[6] = { 0 };
		enum neigh_change change;
		enum neigh_answer answer;

		if (life[i].state == 0xffff)
			change = neigh_book_del(b, &k);
		else
			change = neigh_book_set(b, &k, life[i].state, life[i].mac);
		answer = ask(b, &k, mac);
		if (change != life[i].change || answer != life[i].answer)
			fprintf(stderr, "neighbour %s: change %d, answer %d\n", life[i].what,
				change, answer);
		CU_ASSERT_EQUAL(change, life[i].change);
		CU_ASSERT_EQUAL(answer, life[i].answer);
		if (answer == NEIGH_READY || answer == NEIGH_STALE)
			CU_ASSERT_EQUAL(memcmp(mac, life[i].mac, 6), 0);
		CU_ASSERT_EQUAL(ask(b, &other, mac), NEIGH_UNKNOWN);
	}
	CU_ASSERT_EQUAL(neigh_book_count(b), 0);
	neigh_book_close(b);
}

static void many(void)
{
	struct neigh_book *b = neigh_book_open(SEED);
	struct neigh_key k = key("10.0.0.0", 3);
	struct neigh_table *t;
	uint32_t index, wrong = 0;
	uint8_t mac[6];

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	for (uint32_t i = 0; i < 5000; i++) {
		k.addr.w[3] = i;
		memcpy(mac, &i, 4);
		neigh_book_set(b, &k, NUD_REACHABLE, mac);
	}
	for (uint32_t i = 0; i < 5000; i += 2) {
		k.addr.w[3] = i;
		neigh_book_del(b, &k);
	}
	for (uint32_t i = 0; i < 5000; i += 4) { /* takes freed places */
		k.addr.w[3] = i;
		memcpy(mac, &i, 4);
		neigh_book_set(b, &k, NUD_REACHABLE, mac);
	}
	CU_ASSERT_EQUAL(neigh_book_count(b), 3750);
	t = neigh_table_build(b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	for (uint32_t i = 0; i < 5000; i++) {
		bool there = i % 2 || i % 4 == 0;

		k.addr.w[3] = i;
		wrong += (neigh_table_lookup(t, &k, mac, &index) == NEIGH_READY) != there;
		wrong += there && memcmp(mac, &i, 4);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	neigh_table_free(t);
	neigh_book_close(b);
}

static void sweep_forgets_what_was_not_named(void)
{
	struct neigh_book *b = neigh_book_open(SEED);
	struct neigh_key stays = key("10.0.0.1", 3), goes = key("10.0.0.2", 3);
	uint8_t mac[6];

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	neigh_book_set(b, &stays, NUD_REACHABLE, mac_a);
	neigh_book_set(b, &goes, NUD_REACHABLE, mac_b);
	neigh_book_sweep_begin(b);
	neigh_book_set(b, &stays, NUD_REACHABLE, mac_a);
	neigh_book_sweep_end(b);
	CU_ASSERT_EQUAL(ask(b, &stays, mac), NEIGH_READY);
	CU_ASSERT_EQUAL(ask(b, &goes, mac), NEIGH_UNKNOWN);
	neigh_book_close(b);
}

static void asked_once_a_second(void)
{
	struct neigh_book *b = neigh_book_open(SEED);
	struct neigh_key known = key("10.0.0.1", 3), unknown = key("10.0.0.2", 3),
			 permanent = key("10.0.0.3", 3);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	neigh_book_set(b, &known, NUD_STALE, mac_a);
	neigh_book_set(b, &permanent, NUD_PERMANENT, mac_a);
	CU_ASSERT_TRUE(neigh_book_may_ask(b, &known, 5000));
	CU_ASSERT_FALSE(neigh_book_may_ask(b, &known, 5999));
	CU_ASSERT_TRUE(neigh_book_may_ask(b, &known, 6000));
	CU_ASSERT_TRUE(neigh_book_may_ask(b, &unknown, 5000));
	CU_ASSERT_FALSE(neigh_book_may_ask(b, &unknown, 5999));
	CU_ASSERT_TRUE(neigh_book_may_ask(b, &unknown, 6000));
	CU_ASSERT_FALSE(neigh_book_may_ask(b, &permanent, 5000));
	neigh_book_close(b);
}

static unsigned int asked;

static void count_asked(void *ctx, const struct neigh_key *k)
{
	CU_ASSERT_EQUAL(k->ifindex, ((const struct neigh_key *)ctx)->ifindex);
	CU_ASSERT_TRUE(addr_equal(&k->addr, &((const struct neigh_key *)ctx)->addr));
	asked++;
}

static void use_is_told_once(void)
{
	struct neigh_book *b = neigh_book_open(SEED);
	struct neigh_key k = key("2001:db8::1", 3);
	struct neigh_table *t;
	uint32_t index = 0;
	uint8_t mac[6];

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	neigh_book_set(b, &k, NUD_STALE, mac_a);
	t = neigh_table_build(b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	asked = 0;
	neigh_table_used(t, count_asked, &k);
	CU_ASSERT_EQUAL(asked, 0);
	CU_ASSERT_EQUAL(neigh_table_lookup(t, &k, mac, &index), NEIGH_STALE);
	neigh_table_use(t, index);
	neigh_table_use(t, index);
	neigh_table_used(t, count_asked, &k);
	neigh_table_used(t, count_asked, &k);
	CU_ASSERT_EQUAL(asked, 1);
	neigh_table_free(t);
	neigh_book_close(b);
}

CU_TestInfo neigh_tests[] = {
	{ "every change of one neighbour", life_of_a_neighbour },
	{ "thousands, with places freed and taken again", many },
	{ "a sweep forgets what was not named", sweep_forgets_what_was_not_named },
	{ "the kernel is asked once a second", asked_once_a_second },
	{ "use of a stale neighbour is told once", use_is_told_once },
	CU_TEST_INFO_NULL,
};
