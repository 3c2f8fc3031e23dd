/* SPDX-License-Identifier: BSD-2-Clause */
/* marks.c - see marks.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/marks.h"
#include "keyd/numbers.h"
#include "keyd/sad.h"
#include "keyd/schema.h"
#include "libxesp/addr.h"

#define TTL_DEFAULT 64
#define DSCP_MAX (MARKS_DSCPS - 1)
#define DUMMY_MAX 10000 /* a second: each is made and sent by the main thread */
#define NO_DSCP 0xff

static int take_ttl(struct marks *m, const char *text, const char *path, struct problems *ps)
{
	const struct number_range range = { 1, UINT8_MAX, "1 to 255; copy is possible too" };
	uint64_t ttl = TTL_DEFAULT;
	char where[PROBLEMS_PATH_MAX];
	int err = 0;

	problems_below(where, path, "ttl");
	if (text && !strcmp(text, "copy"))
		ttl = 0;
	else
		err = numbers_take(&ttl, text, &range, where, ps);
	m->ttl = (uint8_t)ttl;
	return err;
}

/* ---- DSCP: RFC 2983 section 4.1 leaves it open what the outer one is made of */

static int take_dscp(struct marks *m, const char *text, const char *path, struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX], shown[PROBLEMS_SHOWN_MAX];
	uint64_t value;

	m->dscp = XESP_DSCP_COPY;
	if (!text || !strcmp(text, "copy"))
		return 0;
	if (!strcmp(text, "map")) {
		m->dscp = XESP_DSCP_MAP;
		return 0;
	}
	problems_below(where, path, "dscp");
	if (numbers_parse(&value, text) || value > DSCP_MAX)
		return problems_add(ps, where, "%s is neither copy, map nor a number from 0 to %d",
				    problems_shown(text, shown), DSCP_MAX);
	m->dscp = XESP_DSCP_SET;
	m->dscp_value = (uint8_t)value;
	return 0;
}

/* The number that ends at `end`, or at the end of text when that is not there; a DSCP or NO_DSCP. */
static uint8_t parse_dscp(const char **text, char end)
{
	size_t len = strcspn(*text, end ? (const char[]){ end, '\0' } : "");
	char digits[8];
	uint64_t value;

	if (!len || len >= sizeof(digits) || (end && (*text)[len] != end))
		return NO_DSCP;
	memcpy(digits, *text, len);
	digits[len] = '\0';
	*text += len + (end != '\0');
	return numbers_parse(&value, digits) || value > DSCP_MAX ? NO_DSCP : (uint8_t)value;
}

/* "INNER:OUTER" or "FIRST-LAST:OUTER". */
static int parse_entry(const char *text, uint8_t *first, uint8_t *last, uint8_t *outer)
{
	const char *colon = strchr(text, ':'), *dash = strchr(text, '-');
	bool range = colon && dash && dash < colon;

	*first = parse_dscp(&text, range ? '-' : ':');
	*last = *first;
	if (range && *first != NO_DSCP)
		*last = parse_dscp(&text, ':');
	if (*first == NO_DSCP || *last == NO_DSCP || *last < *first)
		return -EINVAL;
	*outer = parse_dscp(&text, '\0');
	return *outer == NO_DSCP ? -EINVAL : 0;
}

static int take_entry(struct marks *m, uint8_t given[MARKS_DSCPS], const char *text,
		      const char *where, struct problems *ps)
{
	char shown[PROBLEMS_SHOWN_MAX];
	uint8_t first, last, outer;

	if (parse_entry(text, &first, &last, &outer))
		return problems_add(ps, where,
				    "%s is not INNER:OUTER or FIRST-LAST:OUTER, each 0 to %d",
				    problems_shown(text, shown), DSCP_MAX);
	for (unsigned int i = first; i <= last; i++) {
		if (given[i])
			return problems_add(ps, where, "inner DSCP %u is in the map already", i);
		given[i] = 1;
		m->dscp_map[i] = outer;
	}
	return 0;
}

/* What the map does not name is copied. */
static int take_map(struct marks *m, const struct raw_tunnel *raw, const char *path,
		    struct problems *ps)
{
	uint8_t given[MARKS_DSCPS] = { 0 };
	char where[PROBLEMS_PATH_MAX], key[32];
	int err = 0;

	problems_below(where, path, "dscp_map");
	if (m->dscp == XESP_DSCP_MAP && !raw->dscp_map_count)
		return problems_add(ps, where, "dscp: map needs a map of INNER:OUTER pairs");
	if (m->dscp != XESP_DSCP_MAP && raw->dscp_map_count)
		return problems_add(ps, where, "has no effect without dscp: map");
	for (uint32_t i = 0; i < MARKS_DSCPS && m->dscp == XESP_DSCP_MAP; i++)
		m->dscp_map[i] = (uint8_t)i;
	for (uint32_t i = 0; i < raw->dscp_map_count; i++) {
		snprintf(key, sizeof(key), "dscp_map[%u]", i);
		problems_below(where, path, key);
		err |= take_entry(m, given, raw->dscp_map[i], where, ps);
	}
	return err;
}

/* ---- flow label, sizes, dummies */

static int take_flow_label(struct tunnel *t, const struct raw_tunnel *raw, const char *path,
			   struct problems *ps)
{
	static const uint8_t labels[] = { XESP_FLOW_LABEL_SA, XESP_FLOW_LABEL_SA,
					  XESP_FLOW_LABEL_COPY, XESP_FLOW_LABEL_ZERO,
					  XESP_FLOW_LABEL_FLOW };
	char where[PROBLEMS_PATH_MAX];

	t->marks.flow_label = labels[raw->flow_label];
	problems_below(where, path, "flow_label");
	if (raw->flow_label && addr_is_ip4(&t->local))
		return problems_add(ps, where, "the tunnel is IPv4, whose header has no flow label");
	return 0;
}

static int take_tfc(struct marks *m, const char *text, const char *path, struct problems *ps)
{
	const struct number_range range = { 64, UINT16_MAX, "64 to 65535; off and mtu are possible too" };
	char where[PROBLEMS_PATH_MAX];
	uint64_t bytes = 0;

	problems_below(where, path, "tfc");
	if (!text || !strcmp(text, "off"))
		return 0;
	if (!strcmp(text, "mtu")) {
		m->tfc = XESP_TFC_MTU;
		return 0;
	}
	if (numbers_take(&bytes, text, &range, where, ps))
		return -EINVAL;
	m->tfc = (uint32_t)bytes;
	return 0;
}

int marks_take(struct tunnel *t, const struct raw_tunnel *raw, const char *path,
	       struct problems *ps)
{
	const struct number_range rates = { 0, DUMMY_MAX, NULL };
	struct marks *m = &t->marks;
	char where[PROBLEMS_PATH_MAX];
	uint64_t rate = 0;
	int err;

	err = take_ttl(m, raw->ttl, path, ps);
	err |= take_dscp(m, raw->dscp, path, ps);
	err |= err ? 0 : take_map(m, raw, path, ps);
	err |= take_flow_label(t, raw, path, ps);
	err |= take_tfc(m, raw->tfc, path, ps);
	problems_below(where, path, "dummy");
	err |= numbers_take(&rate, raw->dummy, &rates, where, ps);
	m->dummy_pps = (uint32_t)rate;
	m->dscp_in = raw->dscp_in == RAW_DSCP_IN_COPY ? XESP_DSCP_IN_COPY : XESP_DSCP_IN_KEEP;
	return err;
}

static void print_dscp(const struct marks *m, FILE *out)
{
	const char *comma = "";

	if (m->dscp == XESP_DSCP_SET)
		fprintf(out, "    dscp: %u\n", m->dscp_value);
	else
		fprintf(out, "    dscp: %s\n", m->dscp == XESP_DSCP_MAP ? "map" : "copy");
	if (m->dscp == XESP_DSCP_MAP) {
		fprintf(out, "    dscp_map: [");
		for (uint32_t i = 0; i < MARKS_DSCPS; i++) {
			if (m->dscp_map[i] == i)
				continue;
			fprintf(out, "%s'%u:%u'", comma, i, m->dscp_map[i]);
			comma = ", ";
		}
		fprintf(out, "]\n");
	}
	fprintf(out, "    dscp_in: %s\n", m->dscp_in == XESP_DSCP_IN_COPY ? "copy" : "keep");
}

void marks_print(const struct tunnel *t, FILE *out)
{
	static const char *const labels[] = { "sa", "copy", "zero", "flow" };
	const struct marks *m = &t->marks;

	if (m->ttl)
		fprintf(out, "    ttl: %u\n", m->ttl);
	else
		fprintf(out, "    ttl: copy\n");
	print_dscp(m, out);
	if (!addr_is_ip4(&t->local))
		fprintf(out, "    flow_label: %s\n", labels[m->flow_label]);
	if (m->tfc && m->tfc != XESP_TFC_MTU)
		fprintf(out, "    tfc: %u\n", m->tfc);
	else
		fprintf(out, "    tfc: %s\n", m->tfc ? "mtu" : "off");
	fprintf(out, "    dummy: %u\n", m->dummy_pps);
}
