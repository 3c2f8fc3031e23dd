/* SPDX-License-Identifier: BSD-2-Clause */
/* selector.c - see selector.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/schema.h"
#include "keyd/selector.h"
#include "libxesp/addr.h"

/* A table of our own: /etc/protocols is not there on every machine. IANA's names, and ours. */
static const struct proto_name {
	const char *name;
	uint8_t number;
	enum selector_fields fields;
} proto_names[] = {
	{ "tcp", 6, SELECTOR_PORTS },
	{ "udp", 17, SELECTOR_PORTS },
	{ "sctp", 132, SELECTOR_PORTS },
	{ "dccp", 33, SELECTOR_PORTS },
	{ "udplite", 136, SELECTOR_PORTS },
	{ "icmp", 1, SELECTOR_ICMP },
	{ "ipv6-icmp", 58, SELECTOR_ICMP },
	{ "icmpv6", 58, SELECTOR_ICMP },
	{ "mobility-header", 135, SELECTOR_MH },
	{ "igmp", 2, SELECTOR_NO_FIELDS },
	{ "ipip", 4, SELECTOR_NO_FIELDS },
	{ "ipv6", 41, SELECTOR_NO_FIELDS },
	{ "gre", 47, SELECTOR_NO_FIELDS },
	{ "esp", 50, SELECTOR_NO_FIELDS },
	{ "ah", 51, SELECTOR_NO_FIELDS },
	{ "ospf", 89, SELECTOR_NO_FIELDS },
	{ "pim", 103, SELECTOR_NO_FIELDS },
	{ "vrrp", 112, SELECTOR_NO_FIELDS },
	{ "l2tp", 115, SELECTOR_NO_FIELDS },
};

#define PROTO_NAMES_N (sizeof(proto_names) / sizeof(proto_names[0]))

static const struct prefix any_ip6 = { .len = 0 };

/* ---- text to selector */

int selector_parse_proto(uint8_t *proto, const char *text, const char *where, struct problems *ps)
{
	char shown[PROBLEMS_SHOWN_MAX];
	unsigned long number;
	char *end;

	if (!text || !strcmp(text, "any"))
		return 0;
	for (size_t i = 0; i < PROTO_NAMES_N; i++) {
		if (!strcmp(text, proto_names[i].name)) {
			*proto = proto_names[i].number;
			return 0;
		}
	}
	number = strtoul(text, &end, 10);
	if (*end || text[0] < '0' || text[0] > '9' || number > 255)
		return problems_add(ps, where,
				    "%s is neither any, a protocol's name (tcp, udp, icmp, ...) nor a number from 1 to 255",
				    problems_shown(text, shown));
	if (!number)
		return problems_add(ps, where, "0 is hop-by-hop options; for every protocol write any");
	*proto = (uint8_t)number;
	return 0;
}

struct prefixes {
	struct prefix *at;
	uint32_t n, room;
};

static int add_prefix(struct prefixes *l, const struct prefix *p)
{
	uint32_t room = l->room ? l->room * 2 : 4;
	struct prefix *more;

	if (l->n == l->room) {
		more = calloc(room, sizeof(*more));
		if (!more)
			return -ENOMEM;
		if (l->n)
			memcpy(more, l->at, l->n * sizeof(*more));
		free(l->at);
		l->at = more;
		l->room = room;
	}
	l->at[l->n++] = *p;
	return 0;
}

static unsigned __int128 to_number(const struct xesp_addr *a)
{
	unsigned __int128 n = 0;

	for (int w = 0; w < 4; w++)
		n = n << 32 | ntohl(a->w[w]);
	return n;
}

static void from_number(struct xesp_addr *a, unsigned __int128 n)
{
	for (int w = 4; w-- > 0; n >>= 32)
		a->w[w] = htonl((uint32_t)n);
}

/* The fewest prefixes: each the largest block that begins here and does not reach too far. */
static int cut_range(struct prefixes *l, const struct xesp_addr *first, const struct xesp_addr *last)
{
	unsigned __int128 at = to_number(first), end = to_number(last), rest;
	/* Of a family, so that all of ::/0 cannot be meant and at + size does not wrap early. */
	unsigned int most = addr_is_ip4(first) ? 32 : 127, bits;
	struct prefix p = { 0 };

	for (;;) {
		for (bits = 0; bits < most; bits++) {
			const unsigned __int128 block = (unsigned __int128)1 << bits;

			rest = end - at;
			if (at & block || rest < (block << 1) - 1)
				break;
		}
		from_number(&p.addr, at);
		p.len = (uint8_t)(128 - bits);
		rest = end - at;
		p.more = rest != ((unsigned __int128)1 << bits) - 1;
		if (add_prefix(l, &p))
			return -ENOMEM;
		if (!p.more)
			return 0;
		at += (unsigned __int128)1 << bits;
	}
}

/* "10.0.0.5-10.0.0.77", RFC 4301 section 4.4.1.1: a range of addresses. */
static int parse_range(struct prefixes *l, const char *text, const char *path, struct problems *ps)
{
	char one[ADDR_TEXT_MAX] = "", shown[PROBLEMS_SHOWN_MAX];
	const char *dash = strchr(text, '-');
	struct xesp_addr first, last;
	struct fault f = { "" };

	memcpy(one, text, (size_t)(dash - text));
	if (addr_parse(&first, one, &f) || addr_parse(&last, dash + 1, &f))
		return problems_add(ps, path, "%s", f.text);
	if ((strchr(one, ':') && addr_is_ip4(&first)) || (strchr(dash, ':') && addr_is_ip4(&last)))
		return problems_add(ps, path, "%s holds IPv4-mapped addresses: write them as IPv4",
				    problems_shown(text, shown));
	if (addr_is_ip4(&first) != addr_is_ip4(&last))
		return problems_add(ps, path, "the range %s begins in one family and ends in the other",
				    problems_shown(text, shown));
	if (addr_cmp(&first, &last) > 0)
		return problems_add(ps, path, "the range %s is reversed",
				    problems_shown(text, shown));
	return cut_range(l, &first, &last) ? problems_add(ps, path, "out of memory") : 0;
}

static int parse_prefix(struct prefixes *l, const char *text, const char *path,
			struct problems *ps)
{
	char shown[PROBLEMS_SHOWN_MAX];
	struct prefix p = { 0 };
	struct fault f = { "" };

	if (strlen(text) >= 2 * (size_t)ADDR_TEXT_MAX)
		return problems_add(ps, path, "%s is neither a prefix nor a range",
				    problems_shown(text, shown));
	if (strchr(text, '-') && strchr(text, '-') - text < ADDR_TEXT_MAX)
		return parse_range(l, text, path, ps);
	if (strlen(text) >= ADDR_TEXT_MAX)
		return problems_add(ps, path, "%s is not a prefix", problems_shown(text, shown));
	if (addr_parse_prefix(&p.addr, &p.len, text, &f))
		return problems_add(ps, path, "%s", f.text);
	return add_prefix(l, &p) ? problems_add(ps, path, "out of memory") : 0;
}

static int parse_prefixes(struct prefix **out, uint32_t *n, char **texts, unsigned int count,
			  const char *path, struct problems *ps)
{
	struct prefixes l = { 0 };
	char where[PROBLEMS_PATH_MAX];
	int err = 0;

	for (unsigned int i = 0; i < count; i++) {
		problems_entry(where, path, i);
		if (strcmp(texts[i], "any"))
			err |= parse_prefix(&l, texts[i], where, ps);
		else if (count > 1)
			err = problems_add(ps, where, "any does not go with other prefixes");
	}
	*out = l.at;
	*n = l.n;
	return err;
}

/* A list of numbers: ports, or what stands in their place. */
struct number_list {
	const char *key; /* "local_ports" */
	unsigned long max;
	const char *what; /* "a port (0 to 65535) or a range such as 1000-2000" */
	char **texts;
	unsigned int count;
	struct port_range **out;
	uint32_t *n;
};

static const char *parse_number(const char *text, unsigned long max, unsigned long *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return NULL;
	*number = strtoul(text, &end, 10);
	return *number > max ? NULL : end;
}

static int parse_number_range(const struct number_list *l, const char *text, const char *path,
			      struct problems *ps)
{
	char shown[PROBLEMS_SHOWN_MAX];
	unsigned long first = 0, last = 0;
	const char *end;

	end = parse_number(text, l->max, &first);
	last = first;
	if (end && *end == '-')
		end = parse_number(end + 1, l->max, &last);
	if (!end || *end)
		return problems_add(ps, path, "%s is not %s", problems_shown(text, shown), l->what);
	if (first > last)
		return problems_add(ps, path, "the range %lu-%lu is reversed", first, last);
	(*l->out)[(*l->n)++] = (struct port_range){ (uint16_t)first, (uint16_t)last };
	return 0;
}

static int parse_numbers(struct selector *s, const struct number_list *l, const char *path,
			 struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX], entry[PROBLEMS_PATH_MAX];
	int err = 0;

	if (!l->count)
		return 0;
	problems_below(where, path, l->key);
	*l->out = calloc(l->count, sizeof(**l->out));
	if (!*l->out)
		return problems_add(ps, where, "out of memory");
	for (unsigned int i = 0; i < l->count; i++) {
		const bool any = !strcmp(l->texts[i], "any"), opaque = !strcmp(l->texts[i], "opaque");

		problems_entry(entry, where, i);
		if ((any || opaque) && l->count > 1)
			err = problems_add(ps, entry, "%s does not go with %s",
					   any ? "any" : "opaque",
					   l->max == UINT16_MAX ? "other ports" : "other values");
		else if (opaque)
			s->opaque = 1;
		else if (!any)
			err |= parse_number_range(l, l->texts[i], entry, ps);
	}
	/* All of them is any: also of packets that do not show theirs. */
	for (uint32_t i = 0; i < *l->n; i++)
		if ((*l->out)[i].first == 0 && (*l->out)[i].last == l->max)
			*l->n = 0;
	return err;
}

/* An address list's family; 0 when it is empty. -EINVAL when it has both. */
static int family_of(const struct prefix *p, uint32_t n, uint8_t *family)
{
	*family = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint8_t this = addr_is_ip4(&p[i].addr) && p[i].len >= 96 ? 4 : 6;

		if (*family && *family != this)
			return -EINVAL;
		*family = this;
	}
	return 0;
}

static int settle_family(struct selector *s, const char *path, struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX];
	uint8_t local, remote;
	struct prefixes l = { s->local, s->local_n, s->local_n }, r = { s->remote, s->remote_n, s->remote_n };
	struct prefix any = any_ip6;
	int err = 0;

	if (family_of(s->local, s->local_n, &local) || family_of(s->remote, s->remote_n, &remote) ||
	    (local && remote && local != remote))
		return problems_add(ps, path, "mixes IPv4 and IPv6 prefixes: make two policies of it");
	s->family = local ? local : remote;
	if (s->hidden && s->family == 4) {
		problems_below(where, path, "protocol");
		return problems_add(ps, where, "IPv4 always shows its protocol: opaque is for IPv6");
	}
	if (s->hidden)
		s->family = 6;
	/* "Any" of a known family is that family's whole space, so that it shares a tuple with it. */
	if (s->family == 4)
		addr_parse_prefix(&any.addr, &any.len, "0.0.0.0/0", NULL);
	if (!s->local_n)
		err = add_prefix(&l, &any);
	if (!s->remote_n && !err)
		err = add_prefix(&r, &any);
	s->local = l.at;
	s->remote = r.at;
	s->local_n = l.n;
	s->remote_n = r.n;
	return err ? problems_add(ps, path, "out of memory") : 0;
}

enum selector_fields selector_fields(uint8_t proto)
{
	for (size_t i = 0; i < PROTO_NAMES_N; i++)
		if (proto_names[i].number == proto)
			return proto_names[i].fields;
	return SELECTOR_NO_FIELDS;
}

/* The keys that this protocol has no use for are refused: they would restrict nothing. */
static int check_keys(const struct selector *s, const struct raw_policy *raw, const char *path,
		      struct problems *ps)
{
	const enum selector_fields fields = selector_fields(s->proto);
	const bool hidden = s->opaque && !s->proto; /* of any protocol: what shows no ports */
	char where[PROBLEMS_PATH_MAX], proto[8];

	if (s->hidden && (s->local_ports_n || s->remote_ports_n || raw->icmp_type_count ||
			  raw->icmp_code_count || raw->mh_type_count))
		return problems_add(ps, path,
				    "packets that do not show their protocol show no ports, types and codes either");
	if ((raw->local_ports_count || raw->remote_ports_count) && fields != SELECTOR_PORTS &&
	    !hidden && (s->opaque || s->local_ports_n || s->remote_ports_n)) {
		problems_below(where, path, raw->local_ports_count ? "local_ports" : "remote_ports");
		return problems_add(ps, where,
				    "protocol %s has no ports: set protocol to tcp, udp, sctp, dccp or udplite",
				    selector_print_proto(s->proto, proto));
	}
	if ((raw->icmp_type_count || raw->icmp_code_count) && fields != SELECTOR_ICMP) {
		problems_below(where, path, raw->icmp_type_count ? "icmp_type" : "icmp_code");
		return problems_add(ps, where,
				    "protocol %s has no ICMP type and code: set protocol to icmp or ipv6-icmp",
				    selector_print_proto(s->proto, proto));
	}
	if (raw->mh_type_count && fields != SELECTOR_MH) {
		problems_below(where, path, "mh_type");
		return problems_add(ps, where,
				    "protocol %s has no mobility header type: set protocol to mobility-header",
				    selector_print_proto(s->proto, proto));
	}
	/* RFC 4301 section 4.4.1.1: a packet shows both of them, or neither. */
	if (s->opaque && (s->local_ports_n || s->remote_ports_n))
		return problems_add(ps, path,
				    "opaque on one side and numbers on the other match no packet: a packet shows both or neither");
	return 0;
}

static int parse_fields(struct selector *s, const struct raw_policy *raw, const char *path,
			struct problems *ps)
{
	static const char port[] = "a port (0 to 65535) or a range such as 1000-2000";
	static const char octet[] = "a number from 0 to 255 or a range such as 3-5";
	const struct number_list lists[] = {
		{ "local_ports", UINT16_MAX, port, raw->local_ports, raw->local_ports_count,
		  &s->local_ports, &s->local_ports_n },
		{ "remote_ports", UINT16_MAX, port, raw->remote_ports, raw->remote_ports_count,
		  &s->remote_ports, &s->remote_ports_n },
		{ "icmp_type", UINT8_MAX, octet, raw->icmp_type, raw->icmp_type_count,
		  &s->local_ports, &s->local_ports_n },
		{ "icmp_code", UINT8_MAX, octet, raw->icmp_code, raw->icmp_code_count,
		  &s->remote_ports, &s->remote_ports_n },
		{ "mh_type", UINT8_MAX, octet, raw->mh_type, raw->mh_type_count, &s->local_ports,
		  &s->local_ports_n },
	};
	int err = 0;

	if ((raw->local_ports_count || raw->remote_ports_count) +
	    (raw->icmp_type_count || raw->icmp_code_count) + (raw->mh_type_count != 0) > 1)
		return problems_add(ps, path,
				    "ports, icmp_type or icmp_code, and mh_type exclude each other: a protocol has one of them");
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		err |= parse_numbers(s, &lists[i], path, ps);
	return err;
}

int selector_init(struct selector *s, const struct raw_policy *raw, const char *path,
		  struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX];
	int err;

	*s = (struct selector){ 0 };
	problems_below(where, path, "protocol");
	/* RFC 4301 section 4.4.2.2: what shows no protocol shows no ports either. */
	s->hidden = s->opaque = raw->protocol && !strcmp(raw->protocol, "opaque");
	err = s->hidden ? 0 : selector_parse_proto(&s->proto, raw->protocol, where, ps);
	problems_below(where, path, "local");
	err |= parse_prefixes(&s->local, &s->local_n, raw->local, raw->local_count, where, ps);
	problems_below(where, path, "remote");
	err |= parse_prefixes(&s->remote, &s->remote_n, raw->remote, raw->remote_count, where, ps);
	err |= parse_fields(s, raw, path, ps);
	if (err)
		return -EINVAL;
	err = settle_family(s, path, ps);
	if (!err)
		err = check_keys(s, raw, path, ps);
	return err;
}

void selector_fini(struct selector *s)
{
	free(s->local);
	free(s->remote);
	free(s->local_ports);
	free(s->remote_ports);
	*s = (struct selector){ 0 };
}

/* ---- ranges */

uint32_t selector_cut_ports(struct port_range r, struct port_cut cuts[SELECTOR_CUTS_MAX])
{
	uint32_t at = r.first, n = 0;

	while (at <= r.last) {
		uint32_t size = at ? at & -at : 0x10000; /* the largest block aligned here */

		while (at + size - 1 > r.last)
			size >>= 1;
		cuts[n++] = (struct port_cut){ (uint16_t)at, (uint16_t)~(size - 1) };
		at += size;
	}
	return n;
}

/* ---- selector to text */

const char *selector_print_own_proto(const struct selector *s, char buf[8])
{
	return s->hidden ? "opaque" : selector_print_proto(s->proto, buf);
}

const char *selector_print_proto(uint8_t proto, char buf[8])
{
	if (!proto)
		return "any";
	for (size_t i = 0; i < PROTO_NAMES_N; i++)
		if (proto_names[i].number == proto)
			return proto_names[i].name;
	snprintf(buf, 8, "%u", proto);
	return buf;
}

uint32_t selector_range_end(const struct prefix *p, uint32_t i, struct xesp_addr *last)
{
	struct xesp_addr first;

	while (p[i].more)
		i++;
	addr_range(&p[i].addr, p[i].len, &first, last);
	return i + 1;
}

const char *selector_print_prefixes(const struct selector *s, const struct prefix *p, uint32_t n,
				    char *buf, size_t len)
{
	char one[ADDR_TEXT_MAX], other[ADDR_TEXT_MAX];
	size_t used = 0;

	buf[0] = '\0';
	if (!s->family) {
		snprintf(buf, len, "any");
		return buf;
	}
	for (uint32_t i = 0, next; i < n && used < len; i = next) {
		const char *comma = i ? ", " : "";
		struct xesp_addr last;

		next = selector_range_end(p, i, &last);
		if (p[i].more)
			used += (size_t)snprintf(buf + used, len - used, "%s%s-%s", comma,
						 addr_print(&p[i].addr, one),
						 addr_print(&last, other));
		else
			used += (size_t)snprintf(buf + used, len - used, "%s%s", comma,
						 addr_print_prefix(&p[i].addr, p[i].len, one));
	}
	return buf;
}

const char *selector_print_ports(const struct selector *s, const struct port_range *r, uint32_t n,
				 char *buf, size_t len)
{
	size_t used = 0;

	snprintf(buf, len, "%s", s->opaque ? "opaque" : n ? "" : "any");
	for (uint32_t i = 0; i < n && used < len; i++) {
		const char *comma = i ? ", " : "";

		if (r[i].first == r[i].last)
			used += (size_t)snprintf(buf + used, len - used, "%s%u", comma, r[i].first);
		else
			used += (size_t)snprintf(buf + used, len - used, "%s%u-%u", comma,
						 r[i].first, r[i].last);
	}
	return buf;
}
