/* SPDX-License-Identifier: BSD-2-Clause */
/* rule.c - see rule.h. */
#include <linux/rtnetlink.h>

#include "fib/rule.h"

/* What every machine has: IPv4 local, main and default, IPv6 local and main. */
static const struct rule usual[2][3] = {
	{ { 0, RT_TABLE_LOCAL, RULE_ALL, false }, { 32766, RT_TABLE_MAIN, RULE_ALL, false } },
	{ { 0, RT_TABLE_LOCAL, RULE_ALL, true },
	  { 32766, RT_TABLE_MAIN, RULE_ALL, true },
	  { 32767, RT_TABLE_DEFAULT, RULE_ALL, true } },
};
static const uint32_t usual_n[2] = { 2, 3 };

void rule_book_add(struct rule_book *b, const struct rule *r)
{
	uint32_t *n = &b->n[r->ip4];

	b->seen[r->ip4]++;
	if (r->use == RULE_NEVER)
		return;
	if (r->use == RULE_UNKNOWN || *n == RULES_MAX)
		b->unknown[r->ip4] = true;
	else
		b->rule[r->ip4][(*n)++] = *r;
}

bool rule_book_is_policy(const struct rule_book *b, bool ip4)
{
	return b->unknown[ip4];
}

/* In the kernel IPv4's tables local and main are one trie until a rule is added, of whatever kind. */
static bool is_usual(const struct rule_book *b, bool ip4)
{
	if (b->seen[ip4] != usual_n[ip4] || b->n[ip4] != usual_n[ip4])
		return false;
	for (uint32_t i = 0; i < usual_n[ip4]; i++) {
		const struct rule *r = &b->rule[ip4][i], *u = &usual[ip4][i];

		if (r->priority != u->priority || r->table != u->table || r->use != u->use)
			return false;
	}
	return true;
}

static bool is_placed(const struct rule_place *places, uint32_t n, const struct rule *r,
		      const struct route_list *l)
{
	for (uint32_t i = 0; i < n; i++)
		/* Asked by all packets already: a second time gives no other answer. */
		if (places[i].table == r->table && places[i].ip4 == r->ip4 &&
		    !l->space[places[i].space].not_ours)
			return true;
	return false;
}

static uint32_t plan_family(const struct rule_book *b, bool ip4, struct route_list *l,
			    struct rule_place *places, uint32_t at)
{
	const bool known = !b->unknown[ip4] && b->seen[ip4], merge = ip4 && (is_usual(b, ip4) || !known);
	const struct rule *rules = known ? b->rule[ip4] : usual[ip4];
	uint32_t n = known ? b->n[ip4] : usual_n[ip4];
	int space = 0;

	for (uint32_t i = 0; i < n && at < RULE_PLACES_MAX; i++) {
		const struct rule *r = &rules[i];
		const struct route_space s = { .ip4 = ip4, .not_ours = r->use == RULE_NOT_OURS };
		/* Local comes first; main joins it. */
		const bool joins = merge && r->table == RT_TABLE_MAIN;

		if (is_placed(places, at, r, l))
			continue;
		if (!joins)
			space = route_list_add_space(l, s);
		if (space < 0)
			break;
		places[at++] = (struct rule_place){ .table = r->table,
						    .space = (uint8_t)space,
						    .order = joins,
						    .ip4 = ip4 };
	}
	return at;
}

uint32_t rule_book_plan(const struct rule_book *b, struct route_list *l,
			struct rule_place places[RULE_PLACES_MAX])
{
	uint32_t n = plan_family(b, true, l, places, 0);

	return plan_family(b, false, l, places, n);
}
