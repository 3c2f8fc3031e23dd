/* SPDX-License-Identifier: BSD-2-Clause */
/* pfp.c - see pfp.h. From top to bottom: words, policies, an SA's values, the whole, printing. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/index.h"
#include "keyd/numbers.h"
#include "keyd/pfp.h"
#include "keyd/sad.h"
#include "keyd/schema.h"
#include "keyd/selector.h"
#include "keyd/spd.h"
#include "libxesp/addr.h"

/* ---- words */

static const struct word {
	const char *key;
	uint8_t bit; /* enum xesp_pfp */
	enum selector_fields fields; /* of protocols that have it; NO_FIELDS: of all */
	uint16_t max;
	size_t at; /* in struct raw_selector */
} words[] = {
	{ "local", XESP_PFP_LOCAL, SELECTOR_NO_FIELDS, 0, offsetof(struct raw_selector, local) },
	{ "remote", XESP_PFP_REMOTE, SELECTOR_NO_FIELDS, 0, offsetof(struct raw_selector, remote) },
	{ "protocol", XESP_PFP_PROTO, SELECTOR_NO_FIELDS, 0,
	  offsetof(struct raw_selector, protocol) },
	{ "local_port", XESP_PFP_LOCAL_PORT, SELECTOR_PORTS, UINT16_MAX,
	  offsetof(struct raw_selector, local_port) },
	{ "remote_port", XESP_PFP_REMOTE_PORT, SELECTOR_PORTS, UINT16_MAX,
	  offsetof(struct raw_selector, remote_port) },
	{ "icmp_type", XESP_PFP_LOCAL_PORT, SELECTOR_ICMP, UINT8_MAX,
	  offsetof(struct raw_selector, icmp_type) },
	{ "icmp_code", XESP_PFP_REMOTE_PORT, SELECTOR_ICMP, UINT8_MAX,
	  offsetof(struct raw_selector, icmp_code) },
	{ "mh_type", XESP_PFP_LOCAL_PORT, SELECTOR_MH, UINT8_MAX,
	  offsetof(struct raw_selector, mh_type) },
};

#define WORDS_N (sizeof(words) / sizeof(words[0]))

static const struct word *find_word(const char *text)
{
	for (size_t i = 0; i < WORDS_N; i++)
		if (!strcmp(words[i].key, text))
			return &words[i];
	return NULL;
}

/* The word of a bit for packets of this protocol; of any protocol the ports' words stand for it. */
static const struct word *word_of(uint8_t bit, uint8_t proto)
{
	const enum selector_fields fields = proto ? selector_fields(proto) : SELECTOR_PORTS;

	for (size_t i = 0; i < WORDS_N; i++)
		if (words[i].bit == bit && (!words[i].fields || words[i].fields == fields))
			return &words[i];
	return NULL;
}

/* ---- policies */

static int take_word(uint8_t *mask, const char *text, const struct policy *p, bool has_proto,
		     const char *where, struct problems *ps)
{
	char shown[PROBLEMS_SHOWN_MAX], proto[8];
	const struct word *w = find_word(text);
	const bool any = !p->sel.proto;

	if (!w)
		return problems_add(ps, where,
				    "%s is none of: local, remote, protocol, local_port, remote_port, icmp_type, icmp_code, mh_type",
				    problems_shown(text, shown));
	if (*mask & w->bit)
		return problems_add(ps, where, "%s is there twice", w->key);
	*mask |= w->bit;
	if (w->bit == XESP_PFP_PROTO && p->sel.hidden)
		return problems_add(ps, where,
				    "the policy is for packets that do not show it: nothing could be taken from them");
	if (!w->fields)
		return 0;
	/* RFC 4301 section 4.4.2.2: a packet that does not show it would be discarded. */
	if (p->sel.opaque)
		return problems_add(ps, where,
				    "the policy is for packets that do not show it: nothing could be taken from them");
	if (any && (!has_proto || w->fields != SELECTOR_PORTS))
		return problems_add(ps, where,
				    "whose? Give the policy one protocol, or name protocol here too (ports then stand for ICMP's type and code as well)");
	if (!any && w->fields != selector_fields(p->sel.proto))
		return problems_add(ps, where, "packets of protocol %s have none",
				    selector_print_proto(p->sel.proto, proto));
	return 0;
}

int pfp_take_policy(struct policy *p, const struct raw_policy *raw, const char *path,
		    struct problems *ps)
{
	char below[PROBLEMS_PATH_MAX], where[PROBLEMS_PATH_MAX];
	bool has_proto = false;
	int err = 0;

	p->pfp = 0;
	problems_below(below, path, "pfp");
	if (raw->pfp_count && p->action != XESP_ACTION_PROTECT)
		return problems_add(ps, below, "only action protect makes SAs");
	for (unsigned int i = 0; i < raw->pfp_count; i++)
		has_proto |= !strcmp(raw->pfp[i], "protocol");
	for (unsigned int i = 0; i < raw->pfp_count; i++) {
		problems_entry(where, below, i);
		err |= take_word(&p->pfp, raw->pfp[i], p, has_proto, where, ps);
	}
	return err ? -EINVAL : 0;
}

static int check_tunnel(const struct sad *sad, const struct tunnel *t, const char *where,
			struct problems *ps)
{
	const uint32_t at = (uint32_t)(t - sad->tunnels);

	if (t->members_n)
		return problems_add(ps, where,
				    "'%s' is a group, which spreads flows by itself: name one of its tunnels",
				    t->name);
	for (uint32_t g = 0; g < sad->tunnels_n; g++)
		for (uint32_t i = 0; i < sad->tunnels[g].members_n; i++)
			if (sad->tunnels[g].members[i] == at)
				return problems_add(ps, where,
						    "tunnel '%s' is of group '%s', whose packets have no SA of their own there",
						    t->name, sad->tunnels[g].name);
	if (t->marks.dummy_pps)
		return problems_add(ps, where,
				    "tunnel '%s' has dummy, and no packet says which of its SAs a dummy would take",
				    t->name);
	return 0;
}

struct settling {
	struct sad *sad;
	const struct spd *spd;
	bool by_name; /* how a policy and an SA are called in sentences */
	struct problems *ps;
	uint32_t *first, *next; /* of each tunnel its policies, in order; SAD_NONE: no more */
};

static void print_path(char path[PROBLEMS_PATH_MAX], bool by_name, const char *kind, uint32_t i,
		       const char *name)
{
	if (by_name)
		snprintf(path, PROBLEMS_PATH_MAX, "%s '%s'", *kind == 's' ? "SA" : "policy", name);
	else
		snprintf(path, PROBLEMS_PATH_MAX, "%s[%u]", kind, i);
}

static int settle_policy(const struct settling *s, uint32_t i, uint32_t first)
{
	const struct policy *p = &s->spd->policies[i], *other = &s->spd->policies[first];
	struct tunnel *t = &s->sad->tunnels[p->tunnel];
	char path[PROBLEMS_PATH_MAX], where[PROBLEMS_PATH_MAX];

	print_path(path, s->by_name, "policies", i, p->name);
	problems_below(where, path, "pfp");
	if (p->pfp && check_tunnel(s->sad, t, where, s->ps))
		return -EINVAL;
	if (i == first) {
		t->pfp = p->pfp;
		t->pfp_proto = p->pfp & XESP_PFP_PROTO ? 0 : p->sel.proto;
		return 0;
	}
	if (p->pfp != t->pfp)
		return problems_add(s->ps, p->pfp ? where : path,
				    "pfp is not that of policy '%s', which uses tunnel '%s' too: give it a tunnel of its own (with the same ends)",
				    other->name, t->name);
	if (p->pfp & XESP_PFP_PORTS && !(p->pfp & XESP_PFP_PROTO) && p->sel.proto != t->pfp_proto)
		return problems_add(s->ps, where,
				    "policy '%s' uses tunnel '%s' for another protocol: their ports would share SAs; name protocol in both",
				    other->name, t->name);
	return 0;
}

static int settle_policies(const struct settling *s)
{
	int err = 0;

	for (uint32_t i = s->spd->n; i-- > 0;) {
		const uint32_t tunnel = s->spd->policies[i].tunnel;

		if (tunnel == SAD_NONE)
			continue;
		s->next[i] = s->first[tunnel];
		s->first[tunnel] = i;
	}
	for (uint32_t t = 0; t < s->sad->tunnels_n; t++)
		for (uint32_t i = s->first[t]; i != SAD_NONE; i = s->next[i])
			err |= settle_policy(s, i, s->first[t]);
	return err ? -EINVAL : 0;
}

/* ---- an SA's values */

static int take_address(struct xesp_addr *a, const char *text, const char *where,
			struct problems *ps)
{
	char shown[PROBLEMS_SHOWN_MAX];

	if (addr_parse(a, text, NULL))
		return problems_add(ps, where, "%s is not one IPv4 or IPv6 address",
				    problems_shown(text, shown));
	return 0;
}

static int take_port(__be16 *port, const char *text, uint16_t max, const char *where,
		     struct problems *ps)
{
	const struct number_range range = { 0, max, NULL };
	uint64_t number = 0;

	if (numbers_take(&number, text, &range, where, ps))
		return -EINVAL;
	*port = htons((uint16_t)number);
	return 0;
}

static int take_value(struct xesp_values *v, const struct word *w, const char *text,
		      const char *where, struct problems *ps)
{
	switch (w->bit) {
	case XESP_PFP_LOCAL:
		return take_address(&v->local, text, where, ps);
	case XESP_PFP_REMOTE:
		return take_address(&v->remote, text, where, ps);
	case XESP_PFP_PROTO:
		return selector_parse_proto(&v->proto, text, where, ps);
	case XESP_PFP_LOCAL_PORT:
		return take_port(&v->local_port, text, w->max, where, ps);
	default:
		return take_port(&v->remote_port, text, w->max, where, ps);
	}
}

int pfp_take_sa(struct sa *sa, const struct raw_selector *raw, const char *path,
		struct problems *ps)
{
	struct xesp_values *v = &sa->values;
	char below[PROBLEMS_PATH_MAX], where[PROBLEMS_PATH_MAX];
	int err = 0;

	*v = (struct xesp_values){ 0 };
	sa->values_fields = SELECTOR_NO_FIELDS;
	if (!raw)
		return 0;
	problems_below(below, path, "selector");
	for (size_t i = 0; i < WORDS_N && !err; i++) {
		const struct word *w = &words[i];
		const char *text = *(char *const *)((const char *)raw + w->at);

		if (!text)
			continue;
		problems_below(where, below, w->key);
		if (w->fields && sa->values_fields && w->fields != sa->values_fields)
			return problems_add(ps, where, "a packet has ports, or ICMP's type and code, or a mobility header's type");
		if (w->fields)
			sa->values_fields = (uint8_t)w->fields;
		v->mask |= w->bit;
		err = take_value(v, w, text, where, ps);
		if (!err && w->bit == XESP_PFP_PROTO && !v->proto)
			return problems_add(ps, where, "a packet has one: any is none");
	}
	if (!err && !v->mask)
		return problems_add(ps, below, "is empty");
	if (!err && (v->mask & 3) == 3 && addr_is_ip4(&v->local) != addr_is_ip4(&v->remote))
		return problems_add(ps, below, "local and remote are not of one IP version");
	return err;
}

/* What the mask asks for must be there, and nothing else. */
static int check_keys(const struct sa *sa, uint8_t mask, uint8_t proto, const char *path,
		      struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX], text[8];

	for (uint8_t bit = 1; bit <= XESP_PFP_REMOTE_PORT; bit = (uint8_t)(bit << 1)) {
		const bool given = sa->values.mask & bit;
		const struct word *w = word_of(bit, proto);

		if (!(mask & bit) && given) {
			problems_below(where, path, word_of(bit, 0)->key);
			return problems_add(ps, where,
					    "is not in the pfp of the tunnel's policies: the policy's own holds");
		}
		if (!(mask & bit))
			continue;
		if (!w)
			return problems_add(ps, path,
					    "packets of protocol %s have no such fields as the tunnel's pfp asks for: they are discarded",
					    selector_print_proto(proto, text));
		problems_below(where, path, w->key);
		if (!given)
			return problems_add(ps, where,
					    "missing: the tunnel's policies have it in pfp");
		if (w->fields && w->fields != sa->values_fields)
			return problems_add(ps, where, "is what packets of protocol %s have",
					    selector_print_proto(proto, text));
	}
	return 0;
}

static bool in_prefixes(const struct prefix *p, uint32_t n, const struct xesp_addr *a)
{
	struct xesp_addr first, last;

	for (uint32_t i = 0; i < n; i++) {
		addr_range(&p[i].addr, p[i].len, &first, &last);
		if (addr_cmp(a, &first) >= 0 && addr_cmp(a, &last) <= 0)
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

/* Could a packet that the policy matches have these values? */
static bool is_possible(const struct policy *p, const struct xesp_values *v)
{
	const struct selector *s = &p->sel;

	return (!(v->mask & XESP_PFP_LOCAL) || in_prefixes(s->local, s->local_n, &v->local)) &&
	       (!(v->mask & XESP_PFP_REMOTE) || in_prefixes(s->remote, s->remote_n, &v->remote)) &&
	       (!(v->mask & XESP_PFP_PROTO) || !s->proto || s->proto == v->proto) &&
	       (!(v->mask & XESP_PFP_LOCAL_PORT) ||
		in_ports(s->local_ports, s->local_ports_n, v->local_port)) &&
	       (!(v->mask & XESP_PFP_REMOTE_PORT) ||
		in_ports(s->remote_ports, s->remote_ports_n, v->remote_port));
}

static bool is_possible_in(const struct settling *s, const struct sa *sa)
{
	uint32_t i = s->first[sa->tunnel];

	while (i != SAD_NONE && !is_possible(&s->spd->policies[i], &sa->values))
		i = s->next[i];
	return i != SAD_NONE;
}

/* What an outbound SA is found by. */
struct place {
	uint32_t tunnel, pad;
	struct xesp_values values;
};

static int settle_sa(const struct settling *s, uint32_t i)
{
	const struct sa *sa = &s->sad->sas[i];
	const struct tunnel *t = &s->sad->tunnels[sa->tunnel];
	char sa_path[PROBLEMS_PATH_MAX], path[PROBLEMS_PATH_MAX];

	print_path(sa_path, s->by_name, "sas", i, sa->name);
	problems_below(path, sa_path, "selector");
	if (!t->pfp && sa->values.mask)
		return problems_add(s->ps, path,
				    "no policy with pfp uses tunnel '%s': its SAs are for all that goes through it",
				    t->name);
	if (!t->pfp)
		return 0;
	if (!sa->values.mask)
		return problems_add(s->ps, sa_path,
				    "needs a selector with its own values: the policies of tunnel '%s' have pfp",
				    t->name);
	if (check_keys(sa, t->pfp, pfp_proto(s->sad, sa), path, s->ps))
		return -EINVAL;
	if (!is_possible_in(s, sa))
		return problems_add(s->ps, path, "no policy of tunnel '%s' matches such a packet",
				    t->name);
	return 0;
}

/* ---- the whole */

static int settle_sas(const struct settling *s)
{
	struct place *places = calloc(s->sad->sas_n + 1, sizeof(*places));
	char sa_path[PROBLEMS_PATH_MAX], path[PROBLEMS_PATH_MAX];
	struct index by_place;
	uint32_t found;
	int err = 0;

	if (!places)
		return problems_add(s->ps, "sas", "out of memory");
	index_init(&by_place, sizeof(*places));
	for (uint32_t i = 0; i < s->sad->sas_n; i++) {
		const struct sa *sa = &s->sad->sas[i];

		if (settle_sa(s, i)) {
			err = -EINVAL;
			continue;
		}
		if (!sa->values.mask || sa->dir != XESP_DIR_OUT)
			continue;
		places[i] = (struct place){ .tunnel = sa->tunnel, .values = sa->values };
		print_path(sa_path, s->by_name, "sas", i, sa->name);
		problems_below(path, sa_path, "selector");
		if (index_add(&by_place, &places[i], i, &found))
			err = problems_add(s->ps, "sas", "out of memory");
		else if (found != INDEX_NONE)
			err = problems_add(s->ps, path,
					   "is also that of '%s', outbound in the same tunnel",
					   s->sad->sas[found].name);
	}
	index_fini(&by_place);
	free(places);
	return err ? -EINVAL : 0;
}

static bool is_used(const struct sad *sad, const struct spd *spd)
{
	if (spd->has_pfp)
		return true;
	for (uint32_t i = 0; i < sad->sas_n; i++)
		if (sad->sas[i].values.mask)
			return true;
	return false;
}

int pfp_settle(struct sad *sad, const struct spd *spd, bool by_name, struct problems *ps)
{
	struct settling s = { .sad = sad, .spd = spd, .by_name = by_name, .ps = ps };
	int err;

	for (uint32_t i = 0; i < sad->tunnels_n; i++)
		sad->tunnels[i].pfp = sad->tunnels[i].pfp_proto = 0;
	if (!is_used(sad, spd))
		return 0;
	s.first = malloc((sad->tunnels_n + 1) * sizeof(*s.first));
	s.next = malloc((spd->n + 1) * sizeof(*s.next));
	if (s.first && s.next) {
		memset(s.first, 0xff, (sad->tunnels_n + 1) * sizeof(*s.first));
		err = settle_policies(&s);
		if (!err)
			err = settle_sas(&s);
	} else {
		err = problems_add(ps, "policies", "out of memory");
	}
	free(s.first);
	free(s.next);
	return err;
}

/* ---- printing */

uint8_t pfp_proto(const struct sad *sad, const struct sa *sa)
{
	return sa->values.mask & XESP_PFP_PROTO ? sa->values.proto :
						  sad->tunnels[sa->tunnel].pfp_proto;
}

static const char *print_value(const struct xesp_values *v, uint8_t bit, char buf[ADDR_TEXT_MAX])
{
	switch (bit) {
	case XESP_PFP_LOCAL:
		return addr_print(&v->local, buf);
	case XESP_PFP_REMOTE:
		return addr_print(&v->remote, buf);
	case XESP_PFP_PROTO:
		return selector_print_proto(v->proto, buf);
	}
	snprintf(buf, ADDR_TEXT_MAX, "%u",
		 ntohs(bit == XESP_PFP_LOCAL_PORT ? v->local_port : v->remote_port));
	return buf;
}

void pfp_each(const struct xesp_values *v, uint8_t proto,
	      void (*each)(void *ctx, const char *key, const char *value), void *ctx)
{
	char text[ADDR_TEXT_MAX];

	for (uint8_t bit = 1; bit <= XESP_PFP_REMOTE_PORT; bit = (uint8_t)(bit << 1)) {
		const struct word *w = word_of(bit, proto);

		if (v->mask & bit && w)
			each(ctx, w->key, print_value(v, bit, text));
	}
}

struct text {
	char *buf;
	size_t used;
};

static void add_text(void *ctx, const char *key, const char *value)
{
	struct text *t = ctx;
	int n = snprintf(t->buf + t->used, PFP_TEXT_MAX - t->used, "%s%s %s", t->used ? ", " : "",
			 key, value);

	if (n > 0)
		t->used += (size_t)n < PFP_TEXT_MAX - t->used ? (size_t)n :
								PFP_TEXT_MAX - t->used - 1;
}

const char *pfp_print(const struct xesp_values *v, uint8_t proto, char buf[PFP_TEXT_MAX])
{
	struct text t = { buf, 0 };

	buf[0] = '\0';
	pfp_each(v, proto, add_text, &t);
	return buf;
}
