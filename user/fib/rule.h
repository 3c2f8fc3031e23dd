/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rule.h - which tables the kernel asks for a packet, and in which order: `ip rule`.
 *
 * Why it exists: IKE daemons keep their routes in a table of their own (strongSwan: 220, before
 * main), and what leads into xesp0 is best kept apart too. Rules that ask a table for every packet,
 * or for every packet without our mark, are followed; rules for packets with some other mark never
 * match ours, and are passed over; any other makes the family the kernel's to decide.
 *
 * Pure; filled by the mirror from one dump.
 */
#ifndef XESP_FIB_RULE_H
#define XESP_FIB_RULE_H

#include <stdbool.h>
#include <stdint.h>
#include "fib/route.h"

#define RULES_MAX 16 /* that ask a table, of one family */

enum rule_use {
	RULE_UNKNOWN,  /* looks at more than a destination */
	RULE_NEVER,    /* for marks that no packet of ours has */
	RULE_ALL,      /* asks the table for every packet */
	RULE_NOT_OURS, /* for every packet but those with FIB_MARK */
};

struct rule {
	uint32_t priority;
	uint32_t table;
	uint8_t use; /* enum rule_use */
	bool ip4;
};

struct rule_book {
	struct rule rule[2][RULES_MAX]; /* [ip4], by priority, as the kernel dumps them */
	uint32_t n[2];
	uint32_t seen[2]; /* all of them: 0 when the kernel lacks the family */
	bool unknown[2];
};

void rule_book_add(struct rule_book *b, const struct rule *r);

/* Must the kernel decide for this family? */
bool rule_book_is_policy(const struct rule_book *b, bool ip4);

/* A table to be read, and where its routes go. */
struct rule_place {
	uint32_t table;
	uint8_t space; /* of struct route_list */
	uint8_t order; /* of struct route */
	bool ip4;
};

#define RULE_PLACES_MAX (2 * RULES_MAX)

/*
 * What to read, and the list's spaces for it. Returns how many places. A family that is the kernel's
 * to decide has its usual tables read nevertheless: what is for this machine stays known.
 */
uint32_t rule_book_plan(const struct rule_book *b, struct route_list *l,
			struct rule_place places[RULE_PLACES_MAX]);

#endif /* XESP_FIB_RULE_H */
