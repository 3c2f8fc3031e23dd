/* SPDX-License-Identifier: BSD-2-Clause */
/* spd_world.c - see spd_world.h. */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/sad.h"
#include "libxesp/addr.h"
#include "tests/spd/list.h"
#include "tests/unit/keyd/spd_world.h"
#include "xesp/fault.h"

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
	if (s->hidden)
		return k->fields == XESP_FIELDS_LATER && k->family == 6;
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

bool spd_world_agrees(const struct spd_memory *m, const struct spd_query *k, const struct spd *spd)
{
	struct verdict want = walk_list(spd, k);
	struct xesp_spd_val v = { 0 };
	uint32_t generation;

	return spd_memory_find(m, k, &v, &generation) == XESP_DROP_NONE && v.policy == want.id &&
	       (v.action == XESP_ACTION_FRAGMENT) == want.depends;
}

/* ---- random policies, in a small world so that they overlap */

uint32_t spd_world_random(uint32_t n)
{
	return (uint32_t)random() % n;
}

static void random_addr(char *out, size_t len, bool ip6)
{
	if (ip6)
		snprintf(out, len, "2001:db8:%x::%x", spd_world_random(2), spd_world_random(4));
	else
		snprintf(out, len, "10.%u.%u.%u", spd_world_random(2), spd_world_random(2), spd_world_random(4));
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

	if (!spd_world_random(6))
		return random_range(ip6);
	random_addr(host, sizeof(host), ip6);
	len = (uint8_t)(ip6 ? lens6[spd_world_random(6)] : lens4[spd_world_random(7)] + 96);
	CU_ASSERT_EQUAL_FATAL(addr_parse(&a, host, NULL), 0);
	addr_range(&a, len, &first, &last);
	return strdup(addr_print_prefix(&first, len, text));
}

static char *random_ports(bool ip6)
{
	char text[32];
	uint32_t a = spd_world_random(20), b = spd_world_random(20);

	(void)ip6;
	if (spd_world_random(2))
		snprintf(text, sizeof(text), "%u", a);
	else
		snprintf(text, sizeof(text), "%u-%u", a < b ? a : b, a < b ? b : a);
	return strdup(text);
}

static void fill_list(char ***list, unsigned int *n, char *(*make)(bool), bool ip6)
{
	*n = spd_world_random(3);
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
		if (!spd_world_random(4))
			one_word(&raw->local_ports, &raw->local_ports_count, "opaque");
	} else if (!strcmp(raw->protocol, "mobility-header")) {
		fill_list(&raw->mh_type, &raw->mh_type_count, random_ports, ip6);
	} else if (!spd_world_random(6)) {
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

void spd_world_random_policy(struct raw_policy *raw, uint32_t name_no)
{
	static const char *const protos[] = { "any", "tcp", "udp", "icmp", "ipv6-icmp", "17", "47",
					      "mobility-header" };
	char name[16];
	bool ip6 = spd_world_random(3) == 0;

	*raw = (struct raw_policy){ .action = RAW_ACTION_DISCARD + spd_world_random(3),
				    .direction = RAW_DIRECTION_OUT + spd_world_random(3) };
	if (raw->action == RAW_ACTION_PROTECT)
		raw->tunnel = strdup("t");
	snprintf(name, sizeof(name), "p%u", name_no);
	raw->name = strdup(name);
	raw->protocol = strdup(protos[spd_world_random(8)]);
	fill_list(&raw->local, &raw->local_count, random_prefix, ip6);
	fill_list(&raw->remote, &raw->remote_count, random_prefix, ip6);
	random_fields(raw, ip6);
	if (ip6 && !strcmp(raw->protocol, "47") && name_no % 2) {
		free(raw->protocol);
		raw->protocol = strdup("opaque");
	}
}

static void free_list(char **list, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

void spd_world_free_policy(struct raw_policy *raw)
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

void spd_world_random_packet(struct spd_query *k)
{
	static const uint8_t protos[] = { 6, 17, 1, 47, 50, 58, 135 };
	bool ip6 = spd_world_random(3) == 0;
	char text[48];

	*k = (struct spd_query){ .dir = (uint8_t)spd_world_random(2), .family = ip6 ? 6 : 4 };
	random_addr(text, sizeof(text), ip6);
	addr_parse(&k->local, text, NULL);
	random_addr(text, sizeof(text), ip6);
	addr_parse(&k->remote, text, NULL);
	k->proto = protos[spd_world_random(7)];
	k->fields = !spd_world_random(4)				  ? XESP_FIELDS_LATER :
		    k->proto == 47 || k->proto == 50 ? XESP_FIELDS_NONE :
						       XESP_FIELDS_KNOWN;
	if (k->fields == XESP_FIELDS_KNOWN) {
		k->local_port = htons((uint16_t)spd_world_random(21));
		k->remote_port = htons((uint16_t)(k->proto == 135 ? 0 : spd_world_random(21)));
	}
}

/* ---- an SPD of raw policies, in memory */

static struct tunnel one_tunnel = { .name = "t", .id = SPD_WORLD_TUNNEL };

struct spd *spd_world_make(struct raw_policy *raws, uint32_t n)
{
	struct raw_config raw = { .policies = raws, .policies_count = n };
	struct sad sad = { .tunnels_n = 1, .tunnels = &one_tunnel };
	struct spd *spd = calloc(1, sizeof(*spd));
	struct problems ps = { 0 };

	CU_ASSERT_EQUAL_FATAL(spd_init(spd, &raw, &sad, &ps), 0);
	return spd;
}

void spd_world_free(struct spd *spd)
{
	if (spd)
		spd_fini(spd);
	free(spd);
}

void spd_world_open(struct spd_world *w)
{
	*w = (struct spd_world){ .next_id = 1 };
	list_memory_open(&w->memory, SPD_WORLD_ENTRIES, SPD_WORLD_IDS);
	CU_ASSERT_EQUAL_FATAL(spd_table_open(&w->table, &w->memory, NULL), 0);
}

void spd_world_close(struct spd_world *w)
{
	spd_world_free(w->now);
	spd_table_close(w->table);
	list_memory_close(&w->memory);
}

/* A change of the world to `next`, which it then owns. */
int spd_world_change(struct spd_world *w, struct spd *next, struct fault *f)
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
		w->next_id = w->next_id % (SPD_WORLD_IDS - 1) + 1;
	}
	if (w->forget)
		c.now = NULL;
	err = spd_table_commit(w->table, &c, f);
	w->last = d;
	spd_diff_fini(&d);
	if (err) {
		spd_world_free(next);
		return err;
	}
	spd_world_free(w->now);
	w->now = next;
	return 0;
}
