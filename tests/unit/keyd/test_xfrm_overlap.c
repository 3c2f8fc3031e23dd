/* SPDX-License-Identifier: BSD-2-Clause */
/* test_xfrm_overlap.c - which pairs of the kernel's policies nobody has decided between. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keyd/xfrm_entry.h"
#include "keyd/xfrm_overlap.h"
#include "libxesp/addr.h"
#include "xesp/fault.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

struct row {
	const char *src, *dst; /* prefixes */
	uint32_t priority;
	uint32_t reqid; /* 0: no template */
	uint8_t dir, proto;
	uint16_t dport; /* 0 any */
	bool block;
};

static struct xfrm_policy_entry entry(const struct row *r)
{
	struct xfrm_policy_entry p = { .priority = r->priority,
				       .dir = r->dir,
				       .block = r->block,
				       .family = strchr(r->src, ':') ? 6 : 4,
				       .proto = r->proto,
				       .sport_last = UINT16_MAX,
				       .dport_first = r->dport,
				       .dport_last = r->dport ? r->dport : UINT16_MAX,
				       .tmpls_n = r->reqid != 0 };

	struct fault f = { "" };

	p.tmpl[0].reqid = r->reqid;
	CU_ASSERT_EQUAL(addr_parse_prefix(&p.src, &p.src_len, r->src, &f), 0);
	CU_ASSERT_EQUAL(addr_parse_prefix(&p.dst, &p.dst_len, r->dst, &f), 0);
	return p;
}

static size_t overlaps(const struct row *rows, size_t n, struct xfrm_overlap *found)
{
	struct xfrm_policy_entry p[8];
	const struct xfrm_policy_entry *sorted[8];

	for (size_t i = 0; i < n; i++) {
		p[i] = entry(&rows[i]);
		sorted[i] = &p[i];
	}
	xfrm_overlap_find(sorted, n, found);
	return found->n;
}

#define OUT XFRM_ENTRY_OUT
#define IN XFRM_ENTRY_IN

static void pairs(void)
{
	static const struct {
		const char *what;
		size_t n; /* pairs */
		struct row row[3];
	} cases[] = {
		{ "nested", 1, { { "10.1.0.0/16", "10.2.0.0/16", 7, 1, OUT, 0, 0, 0 }, { "10.1.0.0/16", "10.2.3.0/24", 7, 2, OUT, 0, 0, 0 } } },
		{ "the other way round", 1, { { "10.1.0.0/16", "10.2.3.0/24", 7, 2, OUT, 0, 0, 0 }, { "10.1.0.0/16", "10.2.0.0/16", 7, 1, OUT, 0, 0, 0 } } },
		{ "crosswise", 1, { { "10.1.0.0/16", "10.2.3.0/24", 7, 1, OUT, 0, 0, 0 }, { "10.1.3.0/24", "10.2.0.0/16", 7, 2, OUT, 0, 0, 0 } } },
		{ "beside each other", 0, { { "10.1.0.0/16", "10.2.0.0/17", 7, 1, OUT, 0, 0, 0 }, { "10.1.0.0/16", "10.2.128.0/17", 7, 2, OUT, 0, 0, 0 } } },
		{ "another source", 0, { { "10.1.0.0/24", "10.2.0.0/16", 7, 1, OUT, 0, 0, 0 }, { "10.1.1.0/24", "10.2.0.0/16", 7, 2, OUT, 0, 0, 0 } } },
		{ "another priority", 0, { { "10.1.0.0/16", "10.2.0.0/16", 7, 1, OUT, 0, 0, 0 }, { "10.1.0.0/16", "10.2.3.0/24", 8, 2, OUT, 0, 0, 0 } } },
		{ "another direction", 0, { { "10.1.0.0/16", "10.1.0.0/16", 7, 1, OUT, 0, 0, 0 }, { "10.1.0.0/16", "10.1.0.0/16", 7, 2, IN, 0, 0, 0 } } },
		{ "the same SAs", 0, { { "10.1.0.0/16", "10.2.0.0/16", 7, 1, OUT, 0, 0, 0 }, { "10.1.0.0/16", "10.2.3.0/24", 7, 1, OUT, 0, 0, 0 } } },
		{ "protected and not", 1, { { "10.1.0.0/16", "10.2.0.0/16", 7, 1, OUT, 0, 0, 0 }, { "10.1.0.0/16", "10.2.3.0/24", 7, 0, OUT, 0, 0, 0 } } },
		{ "blocked", 1, { { "10.1.0.0/16", "10.2.0.0/16", 7, 0, OUT, 0, 0, 1 }, { "10.1.0.0/16", "10.2.3.0/24", 7, 0, OUT, 0, 0, 0 } } },
		{ "other protocols", 0, { { "10.1.0.0/16", "10.2.0.0/16", 7, 1, OUT, 6, 0, 0 }, { "10.1.0.0/16", "10.2.0.0/16", 7, 2, OUT, 17, 0, 0 } } },
		{ "any protocol", 1, { { "10.1.0.0/16", "10.2.0.0/16", 7, 1, OUT, 6, 0, 0 }, { "10.1.0.0/16", "10.2.0.0/16", 7, 2, OUT, 0, 0, 0 } } },
		{ "other ports", 0, { { "10.1.0.0/16", "10.2.0.0/16", 7, 1, OUT, 6, 80, 0 }, { "10.1.0.0/16", "10.2.0.0/16", 7, 2, OUT, 6, 443, 0 } } },
		{ "one port", 1, { { "10.1.0.0/16", "10.2.0.0/16", 7, 1, OUT, 6, 80, 0 }, { "10.1.0.0/16", "10.2.0.0/16", 7, 2, OUT, 6, 0, 0 } } },
		{ "IPv6", 1, { { "2001:db8::/32", "::/0", 7, 1, OUT, 0, 0, 0 }, { "2001:db8:1::/48", "2001:db8:2::/64", 7, 2, OUT, 0, 0, 0 } } },
		{ "both families", 0, { { "0.0.0.0/0", "0.0.0.0/0", 7, 1, OUT, 0, 0, 0 }, { "::/0", "::/0", 7, 2, OUT, 0, 0, 0 } } },
		{ "three nested", 3, { { "10.0.0.0/8", "10.2.0.0/16", 7, 1, IN, 0, 0, 0 }, { "10.1.0.0/16", "10.2.0.0/16", 7, 2, IN, 0, 0, 0 }, { "10.1.1.0/24", "10.2.0.0/16", 7, 3, IN, 0, 0, 0 } } },
		{ "the second has left the first", 1, { { "10.1.0.0/16", "10.2.0.0/16", 7, 1, IN, 0, 0, 0 }, { "10.3.0.0/16", "10.2.0.0/16", 7, 2, IN, 0, 0, 0 }, { "10.3.1.0/24", "10.2.0.0/16", 7, 3, IN, 0, 0, 0 } } },
	};

	for (size_t i = 0; i < LEN(cases); i++) {
		struct xfrm_overlap found;
		size_t n = overlaps(cases[i].row, cases[i].row[2].src ? 3 : 2, &found);

		CU_ASSERT_EQUAL(n, cases[i].n);
		if (n != cases[i].n)
			fprintf(stderr, "%s: %zu pairs, expected %zu\n", cases[i].what, n, cases[i].n);
		CU_ASSERT_EQUAL(found.first[0] != '\0', n > 0);
	}
}

static void the_sentence(void)
{
	static const struct row rows[] = { { "10.1.0.0/16", "10.2.0.0/16", 7, 1, OUT, 0, 0, 0 },
					   { "10.1.0.0/16", "10.2.3.0/24", 7, 2, OUT, 0, 0, 0 } };
	struct xfrm_overlap found;

	overlaps(rows, LEN(rows), &found);
	CU_ASSERT_STRING_EQUAL(found.first,
			       "policy out 10.1.0.0/16 to 10.2.0.0/16 and 10.1.0.0/16 to 10.2.3.0/24, both of priority 7");
}

/* As a remote access gateway has them: one priority, one /32 each. And the worst there can be. */
static void many(void)
{
	enum { N = 20000 };
	struct xfrm_policy_entry *p = calloc(N, sizeof(*p));
	const struct xfrm_policy_entry **sorted = calloc(N, sizeof(*sorted));
	struct xfrm_overlap found;
	clock_t began = clock();

	CU_ASSERT_FATAL(p && sorted);
	for (uint32_t i = 0; i < N; i++) {
		char dst[32];
		struct row r = { "0.0.0.0/0", dst, 7, i + 1, OUT, 0, 0, 0 };

		snprintf(dst, sizeof(dst), "10.%u.%u.1/32", i / 250, i % 250);
		p[i] = entry(&r);
		sorted[i] = &p[i];
	}
	xfrm_overlap_find(sorted, N, &found);
	CU_ASSERT_EQUAL(found.n, 0);
	for (uint32_t i = 0; i < N; i++)
		p[i].dst_len = 96;
	xfrm_overlap_find(sorted, N, &found);
	CU_ASSERT(found.n > 0);
	CU_ASSERT(clock() - began < 20 * CLOCKS_PER_SEC);
	free(p);
	free(sorted);
}

CU_TestInfo xfrm_overlap_tests[] = {
	{ "pairs of one priority that overlap", pairs },
	{ "what is said of them", the_sentence },
	{ "many of them", many },
	CU_TEST_INFO_NULL,
};
