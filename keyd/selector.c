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
#include "xesp/keymsg.h"

/* A table of our own: /etc/protocols is not there on every machine. IANA's names, and ours. */
static const struct proto_name {
	const char *name;
	uint8_t number;
	bool ports;
} proto_names[] = {
	{ "tcp", 6, true },	   { "udp", 17, true },	      { "sctp", 132, true },
	{ "dccp", 33, true },	   { "udplite", 136, true },  { "icmp", 1, false },
	{ "ipv6-icmp", 58, false }, { "icmpv6", 58, false },  { "igmp", 2, false },
	{ "ipip", 4, false },	   { "ipv6", 41, false },     { "gre", 47, false },
	{ "esp", 50, false },	   { "ah", 51, false },	      { "ospf", 89, false },
	{ "pim", 103, false },	   { "vrrp", 112, false },    { "l2tp", 115, false },
};

#define PROTO_NAMES_N (sizeof(proto_names) / sizeof(proto_names[0]))

static const struct prefix any_ip6 = { .len = 0 };

/* ---- text to selector */

static int parse_proto(struct selector *s, const char *text, const char *path, struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX], shown[PROBLEMS_SHOWN_MAX];
	unsigned long number;
	char *end;

	if (!text || !strcmp(text, "any"))
		return 0;
	for (size_t i = 0; i < PROTO_NAMES_N; i++) {
		if (!strcmp(text, proto_names[i].name)) {
			s->proto = proto_names[i].number;
			return 0;
		}
	}
	problems_below(where, path, "protocol");
	number = strtoul(text, &end, 10);
	if (*end || text[0] < '0' || text[0] > '9' || number > 255)
		return problems_add(ps, where,
				    "%s is neither any, a protocol's name (tcp, udp, icmp, ...) nor a number from 1 to 255",
				    problems_shown(text, shown));
	if (!number)
		return problems_add(ps, where, "0 is hop-by-hop options; for every protocol write any");
	s->proto = (uint8_t)number;
	return 0;
}

static int parse_prefixes(struct prefix **out, uint32_t *n, char **texts, unsigned int count,
			  const char *path, struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX], shown[PROBLEMS_SHOWN_MAX];
	int err = 0;

	*out = calloc(count ? count : 1, sizeof(**out));
	if (!*out)
		return problems_add(ps, path, "out of memory");
	for (unsigned int i = 0; i < count; i++) {
		struct prefix *p = &(*out)[*n];
		struct fault f = { "" };

		problems_entry(where, path, i);
		if (!strcmp(texts[i], "any")) {
			if (count > 1)
				err = problems_add(ps, where, "any does not go with other prefixes");
			continue;
		}
		if (strlen(texts[i]) >= ADDR_TEXT_MAX)
			err = problems_add(ps, where, "%s is not a prefix",
					   problems_shown(texts[i], shown));
		else if (addr_parse_prefix(&p->addr, &p->len, texts[i], &f))
			err = problems_add(ps, where, "%s", f.text);
		else
			(*n)++;
	}
	return err;
}

static const char *parse_port(const char *text, unsigned long *port)
{
	char *end;

	if (*text < '0' || *text > '9')
		return NULL;
	*port = strtoul(text, &end, 10);
	return *port > UINT16_MAX ? NULL : end;
}

static int parse_ports(struct port_range **out, uint32_t *n, char **texts, unsigned int count,
		       const char *path, struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX], shown[PROBLEMS_SHOWN_MAX];
	int err = 0;

	if (!count)
		return 0;
	*out = calloc(count, sizeof(**out));
	if (!*out)
		return problems_add(ps, path, "out of memory");
	for (unsigned int i = 0; i < count; i++) {
		unsigned long first = 0, last = 0;
		const char *end;

		problems_entry(where, path, i);
		if (!strcmp(texts[i], "any")) {
			if (count > 1)
				err = problems_add(ps, where, "any does not go with other ports");
			continue;
		}
		end = parse_port(texts[i], &first);
		last = first;
		if (end && *end == '-')
			end = parse_port(end + 1, &last);
		if (!end || *end)
			err = problems_add(ps, where, "%s is not a port (0 to 65535) or a range such as 1000-2000",
					   problems_shown(texts[i], shown));
		else if (first > last)
			err = problems_add(ps, where, "the range %lu-%lu is reversed", first, last);
		else
			(*out)[(*n)++] = (struct port_range){ (uint16_t)first, (uint16_t)last };
	}
	/* All ports is any: also of packets whose ports are not known. */
	for (uint32_t i = 0; i < *n; i++)
		if ((*out)[i].first == 0 && (*out)[i].last == UINT16_MAX)
			*n = 0;
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
	uint8_t local, remote;
	struct prefix any = any_ip6;

	if (family_of(s->local, s->local_n, &local) || family_of(s->remote, s->remote_n, &remote) ||
	    (local && remote && local != remote))
		return problems_add(ps, path, "mixes IPv4 and IPv6 prefixes: make two policies of it");
	s->family = local ? local : remote;
	/* "Any" of a known family is that family's whole space, so that it shares a tuple with it. */
	if (s->family == 4)
		addr_parse_prefix(&any.addr, &any.len, "0.0.0.0/0", NULL);
	if (!s->local_n)
		s->local[s->local_n++] = any;
	if (!s->remote_n)
		s->remote[s->remote_n++] = any;
	return 0;
}

static bool has_ports(uint8_t proto)
{
	for (size_t i = 0; i < PROTO_NAMES_N; i++)
		if (proto_names[i].number == proto)
			return proto_names[i].ports;
	return false;
}

static int check_ports(const struct selector *s, const char *path, struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX], proto[8];

	if ((!s->local_ports_n && !s->remote_ports_n) || has_ports(s->proto))
		return 0;
	problems_below(where, path, s->local_ports_n ? "local_ports" : "remote_ports");
	return problems_add(ps, where,
			    "protocol %s has no ports: set protocol to tcp, udp, sctp, dccp or udplite",
			    selector_print_proto(s->proto, proto));
}

int selector_init(struct selector *s, const struct raw_policy *raw, const char *path,
		  struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX];
	int err;

	*s = (struct selector){ 0 };
	err = parse_proto(s, raw->protocol, path, ps);
	problems_below(where, path, "local");
	err |= parse_prefixes(&s->local, &s->local_n, raw->local, raw->local_count, where, ps);
	problems_below(where, path, "remote");
	err |= parse_prefixes(&s->remote, &s->remote_n, raw->remote, raw->remote_count, where, ps);
	problems_below(where, path, "local_ports");
	err |= parse_ports(&s->local_ports, &s->local_ports_n, raw->local_ports,
			   raw->local_ports_count, where, ps);
	problems_below(where, path, "remote_ports");
	err |= parse_ports(&s->remote_ports, &s->remote_ports_n, raw->remote_ports,
			   raw->remote_ports_count, where, ps);
	if (err)
		return -EINVAL;
	err = settle_family(s, path, ps);
	if (!err)
		err = check_ports(s, path, ps);
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

static uint64_t at_least_one(uint32_t n)
{
	return n ? n : 1;
}

uint64_t selector_rows_n(const struct selector *s)
{
	return (uint64_t)s->local_n * s->remote_n * at_least_one(s->local_ports_n) *
	       at_least_one(s->remote_ports_n);
}

void selector_row(const struct selector *s, uint64_t row, struct xesp_selector *out)
{
	static const struct port_range any = { 0, UINT16_MAX };
	const struct port_range *lp, *rp;
	const struct prefix *l, *r;

	rp = s->remote_ports_n ? &s->remote_ports[row % s->remote_ports_n] : &any;
	row /= at_least_one(s->remote_ports_n);
	lp = s->local_ports_n ? &s->local_ports[row % s->local_ports_n] : &any;
	row /= at_least_one(s->local_ports_n);
	r = &s->remote[row % s->remote_n];
	l = &s->local[row / s->remote_n];
	memset(out, 0, sizeof(*out));
	addr_range(&l->addr, l->len, &out->local_first, &out->local_last);
	addr_range(&r->addr, r->len, &out->remote_first, &out->remote_last);
	out->local_port_first = lp->first;
	out->local_port_last = lp->last;
	out->remote_port_first = rp->first;
	out->remote_port_last = rp->last;
	out->proto = s->proto;
	out->family = s->family;
}

/* ---- selector to text */

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

const char *selector_print_prefixes(const struct selector *s, const struct prefix *p, uint32_t n,
				    char *buf, size_t len)
{
	char one[ADDR_TEXT_MAX];
	size_t used = 0;

	buf[0] = '\0';
	if (!s->family) {
		snprintf(buf, len, "any");
		return buf;
	}
	for (uint32_t i = 0; i < n && used < len; i++)
		used += (size_t)snprintf(buf + used, len - used, "%s%s", i ? ", " : "",
					 addr_print_prefix(&p[i].addr, p[i].len, one));
	return buf;
}

const char *selector_print_ports(const struct port_range *r, uint32_t n, char *buf, size_t len)
{
	size_t used = 0;

	snprintf(buf, len, "%s", n ? "" : "any");
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
