/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_spd.c - the tuple space gives the answer of the ordered list: random policies and packets,
 * and each rule of xesp/steer.h by itself. The search is written here a second time, over what
 * would be published, so that bpf/spd_match.h and this file are held to the same header.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/sad.h"
#include "keyd/schema.h"
#include "keyd/spd.h"
#include "libxesp/addr.h"

#define NOTHING UINT32_MAX

struct packet {
	struct xesp_addr local, remote;
	uint16_t local_port, remote_port;
	uint8_t proto;
	bool ports_known;
};

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

static bool in_ports(const struct port_range *r, uint32_t n, uint16_t port, bool known)
{
	if (!n)
		return true;
	for (uint32_t i = 0; i < n && known; i++)
		if (port >= r[i].first && port <= r[i].last)
			return true;
	return false;
}

static uint32_t walk_list(const struct spd *spd, enum xesp_dir dir, const struct packet *k)
{
	for (uint32_t i = 0; i < spd->n; i++) {
		const struct selector *s = &spd->policies[i].sel;

		if (spd->policies[i].dirs & 1 << dir && (!s->proto || s->proto == k->proto) &&
		    in_prefixes(s, s->local, s->local_n, &k->local) &&
		    in_prefixes(s, s->remote, s->remote_n, &k->remote) &&
		    in_ports(s->local_ports, s->local_ports_n, k->local_port, k->ports_known) &&
		    in_ports(s->remote_ports, s->remote_ports_n, k->remote_port, k->ports_known))
			return i;
	}
	return NOTHING;
}

/* ---- the tuple space, searched as xesp/steer.h says */

static const struct spd_entry *find_entry(const struct spd_image *im, const struct xesp_spd_key *k)
{
	for (uint32_t i = 0; i < im->entries_n; i++)
		if (!memcmp(&im->entries[i].key, k, sizeof(*k)))
			return &im->entries[i];
	return NULL;
}

static uint32_t search(const struct spd_image *im, enum xesp_dir dir, const struct packet *p)
{
	uint8_t family = addr_is_ip4(&p->local) ? 4 : 6;
	uint32_t best = NOTHING;

	for (uint32_t i = 0; i < im->tuples_n[dir]; i++) {
		const struct xesp_spd_tuple *t = &im->tuples[dir][i];
		struct xesp_spd_key k = { .tuple = (uint16_t)i, .dir = (uint8_t)dir };
		const struct spd_entry *e;

		if (t->best_rank >= best)
			break;
		if (t->family && t->family != family)
			continue;
		if ((t->local_port_mask || t->remote_port_mask) && !p->ports_known)
			continue;
		for (int w = 0; w < 4; w++) {
			k.local.w[w] = p->local.w[w] & t->local_mask.w[w];
			k.remote.w[w] = p->remote.w[w] & t->remote_mask.w[w];
		}
		k.local_port = htons(p->local_port) & t->local_port_mask;
		k.remote_port = htons(p->remote_port) & t->remote_port_mask;
		k.proto = p->proto & t->proto_mask;
		e = find_entry(im, &k);
		if (e && e->val.rank < best)
			best = e->val.rank;
	}
	return best;
}

/* ---- random policies, in a small world so that they overlap */

static uint32_t rnd(uint32_t n)
{
	return (uint32_t)random() % n;
}

static void random_addr(char *out, size_t len, bool ip6)
{
	if (ip6)
		snprintf(out, len, "2001:db8:%x::%x", rnd(2), rnd(4));
	else
		snprintf(out, len, "10.%u.%u.%u", rnd(2), rnd(2), rnd(4));
}

static char *random_prefix(bool ip6)
{
	static const int lens4[] = { 0, 8, 15, 16, 24, 31, 32 }, lens6[] = { 0, 32, 48, 64, 126, 128 };
	char text[64], host[48];
	struct xesp_addr a, first, last;
	uint8_t len;

	random_addr(host, sizeof(host), ip6);
	len = (uint8_t)(ip6 ? lens6[rnd(6)] : lens4[rnd(7)] + 96);
	CU_ASSERT_EQUAL_FATAL(addr_parse(&a, host, NULL), 0);
	addr_range(&a, len, &first, &last);
	return strdup(addr_print_prefix(&first, len, text));
}

static char *random_ports(void)
{
	char text[32];
	uint32_t a = rnd(20), b = rnd(20);

	if (rnd(2))
		snprintf(text, sizeof(text), "%u", a);
	else
		snprintf(text, sizeof(text), "%u-%u", a < b ? a : b, a < b ? b : a);
	return strdup(text);
}

static void fill_list(char ***list, unsigned int *n, char *(*make)(bool), bool ip6)
{
	*n = rnd(3);
	*list = calloc(*n + 1, sizeof(char *));
	for (unsigned int i = 0; i < *n; i++)
		(*list)[i] = make(ip6);
}

static char *make_ports(bool ip6)
{
	(void)ip6;
	return random_ports();
}

static void random_policy(struct raw_policy *raw, uint32_t i)
{
	static const char *const protos[] = { "any", "tcp", "udp", "icmp", "17", "47" };
	char name[16];
	bool ip6 = rnd(3) == 0;

	*raw = (struct raw_policy){ .action = RAW_ACTION_DISCARD + rnd(3),
				    .direction = RAW_DIRECTION_OUT + rnd(3) };
	if (raw->action == RAW_ACTION_PROTECT)
		raw->tunnel = strdup("t");
	snprintf(name, sizeof(name), "p%u", i);
	raw->name = strdup(name);
	raw->protocol = strdup(protos[rnd(6)]);
	fill_list(&raw->local, &raw->local_count, random_prefix, ip6);
	fill_list(&raw->remote, &raw->remote_count, random_prefix, ip6);
	if (!strcmp(raw->protocol, "tcp") || !strcmp(raw->protocol, "udp")) {
		fill_list(&raw->local_ports, &raw->local_ports_count, make_ports, ip6);
		fill_list(&raw->remote_ports, &raw->remote_ports_count, make_ports, ip6);
	}
}

static void free_list(char **list, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

static void free_policy(struct raw_policy *raw)
{
	free(raw->name);
	free(raw->tunnel);
	free(raw->protocol);
	free_list(raw->local, raw->local_count);
	free_list(raw->remote, raw->remote_count);
	free_list(raw->local_ports, raw->local_ports_count);
	free_list(raw->remote_ports, raw->remote_ports_count);
}

static void random_packet(struct packet *p)
{
	static const uint8_t protos[] = { 6, 17, 1, 47, 50 };
	bool ip6 = rnd(3) == 0;
	char text[48];

	random_addr(text, sizeof(text), ip6);
	addr_parse(&p->local, text, NULL);
	random_addr(text, sizeof(text), ip6);
	addr_parse(&p->remote, text, NULL);
	p->proto = protos[rnd(5)];
	p->local_port = (uint16_t)rnd(21);
	p->remote_port = (uint16_t)rnd(21);
	p->ports_known = (p->proto == 6 || p->proto == 17) && rnd(8);
}

static struct tunnel one_tunnel = { .name = "t", .id = 7 };

/* The SPD of random policies; how many packets the two ways disagree about. */
static int compare_once(uint32_t policies, int packets, bool *refused)
{
	struct raw_policy *raws = calloc(policies + 1, sizeof(*raws));
	struct raw_config raw = { .policies = raws, .policies_count = policies };
	struct sad sad = { .tunnels_n = 1, .tunnels = &one_tunnel };
	struct problems ps = { 0 };
	struct spd_image *im;
	struct spd spd;
	int wrong = 0;

	for (uint32_t i = 0; i < policies; i++)
		random_policy(&raws[i], i);
	one_tunnel.inbound_n = 0;
	CU_ASSERT_EQUAL_FATAL(spd_init(&spd, &raw, &sad, &ps), 0);
	*refused = spd_compile(&spd, &sad, &im, NULL) != 0;
	for (int i = 0; i < packets && !*refused; i++) {
		enum xesp_dir dir = rnd(2) ? XESP_DIR_OUT : XESP_DIR_IN;
		struct packet p;

		random_packet(&p);
		wrong += search(im, dir, &p) != walk_list(&spd, dir, &p);
	}
	if (!*refused)
		spd_image_free(im);
	spd_fini(&spd);
	for (uint32_t i = 0; i < policies; i++)
		free_policy(&raws[i]);
	free(raws);
	return wrong;
}

static void test_random_policies(void)
{
	int wrong = 0, compared = 0;

	srandom(4301);
	for (int round = 0; round < 150; round++) {
		bool refused;

		wrong += compare_once(1 + rnd(30), 200, &refused);
		compared += !refused;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(compared > 100); /* the others need more than XESP_TUPLES_MAX tuples */
}

/* ---- rules by themselves */

struct fixture {
	struct raw_policy raw[4];
	char *list[16];
	struct sad sad;
	struct spd spd;
	struct spd_image *im;
};

static int compile(struct fixture *x, uint32_t n)
{
	struct raw_config raw = { .policies = x->raw, .policies_count = n };
	struct problems ps = { 0 };

	x->sad = (struct sad){ .tunnels_n = 1, .tunnels = &one_tunnel };
	one_tunnel.inbound_n = 0;
	CU_ASSERT_EQUAL_FATAL(spd_init(&x->spd, &raw, &x->sad, &ps), 0);
	return spd_compile(&x->spd, &x->sad, &x->im, NULL);
}

static void finish(struct fixture *x)
{
	spd_image_free(x->im);
	spd_fini(&x->spd);
}

static void test_equal_keys_keep_the_first(void)
{
	static char *net[] = { "10.1.0.0/24" };
	struct fixture x = {
		.raw = { { .name = "a", .action = RAW_ACTION_BYPASS, .local = net, .local_count = 1 },
			 { .name = "b", .action = RAW_ACTION_DISCARD, .local = net,
			   .local_count = 1 } },
	};

	CU_ASSERT_EQUAL_FATAL(compile(&x, 2), 0);
	CU_ASSERT_EQUAL(x.im->entries_n, 2); /* one a direction */
	CU_ASSERT_EQUAL(x.im->entries[0].val.rank, 0);
	CU_ASSERT_EQUAL(x.im->entries[0].val.action, XESP_ACTION_BYPASS);
	CU_ASSERT_EQUAL(x.im->entries[1].val.rank, 0);
	finish(&x);
}

static void test_tuples_are_in_order_of_rank(void)
{
	static char *nets[] = { "10.1.0.0/24", "10.0.0.0/8", "10.1.0.0/16" };
	struct fixture x = { .raw = { { .name = "a", .action = RAW_ACTION_BYPASS, .local = &nets[0],
					.local_count = 1, .direction = RAW_DIRECTION_IN },
				      { .name = "b", .action = RAW_ACTION_PROTECT, .tunnel = "t",
					.local = &nets[1], .local_count = 1 },
				      { .name = "c", .action = RAW_ACTION_DISCARD, .local = &nets[2],
					.local_count = 1, .direction = RAW_DIRECTION_OUT } } };

	CU_ASSERT_EQUAL_FATAL(compile(&x, 3), 0);
	CU_ASSERT_EQUAL(x.im->tuples_n[XESP_DIR_OUT], 2);
	CU_ASSERT_EQUAL(x.im->tuples_n[XESP_DIR_IN], 2);
	CU_ASSERT_EQUAL(x.im->tuples[XESP_DIR_OUT][0].best_rank, 1);
	CU_ASSERT_EQUAL(x.im->tuples[XESP_DIR_OUT][1].best_rank, 2);
	CU_ASSERT_EQUAL(x.im->tuples[XESP_DIR_IN][0].best_rank, 0);
	CU_ASSERT_EQUAL(x.im->tuples[XESP_DIR_IN][1].best_rank, 1);
	for (uint32_t i = 0; i < x.im->entries_n; i++)
		if (x.im->entries[i].val.action == XESP_ACTION_PROTECT)
			CU_ASSERT_EQUAL(x.im->entries[i].val.tunnel, 7);
	finish(&x);
}

static void test_ports_need_known_ports(void)
{
	static char *ports[] = { "80" }, *all[] = { "0-65535" };
	struct fixture x = { .raw = { { .name = "a", .action = RAW_ACTION_BYPASS, .protocol = "tcp",
					.remote_ports = ports, .remote_ports_count = 1 },
				      { .name = "b", .action = RAW_ACTION_DISCARD,
					.protocol = "tcp", .remote_ports = all,
					.remote_ports_count = 1 } } };
	struct packet p = { .proto = 6, .remote_port = 80 };

	addr_parse(&p.local, "10.0.0.1", NULL);
	addr_parse(&p.remote, "10.0.0.2", NULL);
	CU_ASSERT_EQUAL_FATAL(compile(&x, 2), 0);
	CU_ASSERT_EQUAL(search(x.im, XESP_DIR_OUT, &p), 1); /* a later fragment */
	p.ports_known = true;
	CU_ASSERT_EQUAL(search(x.im, XESP_DIR_OUT, &p), 0);
	finish(&x);
}

static void test_too_many_tuples(void)
{
	static char *all[] = { "1-65534" };
	struct fixture x = { .raw = { { .name = "a", .action = RAW_ACTION_BYPASS, .protocol = "tcp",
					.local_ports = all, .local_ports_count = 1,
					.remote_ports = all, .remote_ports_count = 1 } } };

	CU_ASSERT_EQUAL(compile(&x, 1), 0); /* 15 masks a side: 225 tuples */
	finish(&x);
	x.raw[1] = x.raw[0];
	x.raw[1].name = "b";
	x.raw[1].protocol = "any";
	x.raw[1].local_ports_count = x.raw[1].remote_ports_count = 0;
	CU_ASSERT_EQUAL(compile(&x, 2), 0);
	finish(&x);
	all[0] = "1-65535"; /* 16 masks a side: 256, and one more */
	CU_ASSERT_EQUAL(compile(&x, 2), -E2BIG);
	spd_fini(&x.spd);
	all[0] = "1-65534";
}

static void test_many_policies_compile_fast(void)
{
	enum { MANY = 20000 };
	struct raw_policy *raws = calloc(MANY, sizeof(*raws));
	struct raw_config raw = { .policies = raws, .policies_count = MANY };
	char (*names)[16] = calloc(MANY, sizeof(*names)), (*nets)[24] = calloc(MANY, sizeof(*nets));
	char **lists = calloc(MANY, sizeof(*lists));
	struct sad sad = { .tunnels_n = 1, .tunnels = &one_tunnel };
	struct problems ps = { 0 };
	struct spd_image *im;
	struct spd spd;

	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "p%u", i);
		snprintf(nets[i], sizeof(nets[i]), "10.%u.%u.0/24", i >> 8, i & 255);
		lists[i] = nets[i];
		raws[i] = (struct raw_policy){ .name = names[i], .action = RAW_ACTION_PROTECT,
					       .tunnel = "t", .remote = &lists[i],
					       .remote_count = 1 };
	}
	one_tunnel.inbound_n = 0;
	CU_ASSERT_EQUAL_FATAL(spd_init(&spd, &raw, &sad, &ps), 0);
	CU_ASSERT_EQUAL(one_tunnel.inbound_n, MANY);
	CU_ASSERT_EQUAL_FATAL(spd_compile(&spd, &sad, &im, NULL), 0);
	CU_ASSERT_EQUAL(im->entries_n, 2 * MANY);
	CU_ASSERT_EQUAL(im->tuples_n[XESP_DIR_OUT], 1);
	spd_image_free(im);
	spd_fini(&spd);
	free(raws);
	free(names);
	free(nets);
	free(lists);
}

CU_TestInfo spd_tests[] = {
	{ "random policies: the tuple space says what the list says", test_random_policies },
	{ "of equal keys the first policy's stays", test_equal_keys_keep_the_first },
	{ "tuples are in order of their best rank, per direction", test_tuples_are_in_order_of_rank },
	{ "a policy with ports wants known ports; all ports is any", test_ports_need_known_ports },
	{ "more mask combinations than fit are refused", test_too_many_tuples },
	{ "20 000 policies of one shape are one tuple", test_many_policies_compile_fast },
	CU_TEST_INFO_NULL,
};
