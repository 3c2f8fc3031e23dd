/* SPDX-License-Identifier: BSD-2-Clause */
/* test_route_plan.c - which prefixes get a route into xesp0, with which source, and which do not. */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

#include "keyd/config.h"
#include "keyd/local_addrs.h"
#include "keyd/route_plan.h"
#include "libxesp/addr.h"
#include "tests/unit/keyd/fixture.h"

struct refusals {
	int n;
	char last[256];
};

static void refused(void *ctx, const char *sentence)
{
	struct refusals *r = ctx;

	r->n++;
	snprintf(r->last, sizeof(r->last), "%s", sentence);
}

/* `routes` kernel: as `install`, and policies and SAs are the kernel's (`source: xfrm`). */
static void plan(const char *routes, const char *policies, char *out, size_t len, struct refusals *r)
{
	struct local_addr own[] = { { .global = true }, { .global = true }, { .global = true },
				    { .broadcast = true } };
	const struct local_addrs addrs = { 4, own };
	const bool xfrm = !strcmp(routes, "kernel");
	struct config *c = fixture_config("version: 1\nroutes: %s\ntunnels:\n"
					  "  - {name: t, local: 192.0.2.1, remote: 192.0.2.2}\n"
					  "  - {name: u, local: 2001:db8:f::1, remote: 2001:db8:f::2}\n"
					  "  - {name: h, local: 192.0.2.1, remote: 192.0.2.9, mode: transport}\n"
					  "policies:\n%s", xfrm ? "install" : routes, policies);
	struct route_plan p;

	addr_parse(&own[0].addr, "192.0.2.1", NULL);
	addr_parse(&own[1].addr, "10.1.0.1", NULL);
	addr_parse(&own[2].addr, "2001:db8:1::1", NULL);
	addr_parse(&own[3].addr, "10.1.0.255", NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	c->xfrm = xfrm;
	*r = (struct refusals){ 0 };
	out[0] = '\0';
	CU_ASSERT_EQUAL_FATAL(route_plan_init(&p, c, &addrs, refused, r), 0);
	for (size_t i = 0; i < p.n; i++) {
		char dst[ADDR_TEXT_MAX], src[ADDR_TEXT_MAX] = "";
		size_t used = strlen(out);

		if (p.wishes[i].has_src)
			addr_print(&p.wishes[i].src, src);
		snprintf(out + used, len - used, "%s%s%s%s%s%s%s", used ? ", " : "",
			 p.wishes[i].transport ? "transport " : "",
			 p.wishes[i].apart ? "apart " : "", p.wishes[i].alone ? "alone " : "",
			 addr_print_prefix(&p.wishes[i].dst.addr, p.wishes[i].dst.len, dst),
			 src[0] ? " from " : "", src);
	}
	route_plan_fini(&p);
	config_free(c);
}

static void test_plans(void)
{
	static const struct {
		const char *what, *routes, *policies, *plan, *refusal;
	} rows[] = {
		{ "from an address of ours in the local prefix", "install",
		  "  - {name: a, action: protect, tunnel: t, local: 10.1.0.0/24, remote: 10.2.0.0/24}\n",
		  "10.2.0.0/24 from 10.1.0.1", NULL },
		{ "no address of ours there", "install",
		  "  - {name: a, action: protect, tunnel: t, local: 10.9.0.0/24, remote: 10.2.0.0/24}\n",
		  "10.2.0.0/24", NULL },
		{ "IPv6", "install",
		  "  - {name: a, action: protect, tunnel: u, local: 2001:db8:1::/64, remote: 2001:db8:2::/64}\n",
		  "2001:db8:2::/64 from 2001:db8:1::1", NULL },
		{ "each prefix once, first policy's source", "install",
		  "  - {name: a, action: protect, tunnel: t, local: 10.1.0.0/24, remote: [10.2.0.0/24, 10.3.0.0/24]}\n"
		  "  - {name: b, action: protect, tunnel: t, local: 10.9.0.0/24, remote: 10.2.0.0/24}\n",
		  "10.2.0.0/24 from 10.1.0.1, 10.3.0.0/24 from 10.1.0.1", NULL },
		{ "routes: none", "none",
		  "  - {name: a, action: protect, tunnel: t, local: 10.1.0.0/24, remote: 10.2.0.0/24}\n",
		  "", NULL },
		{ "inbound, bypass and discard have none", "install",
		  "  - {name: a, action: protect, tunnel: t, direction: in, remote: 10.2.0.0/24}\n"
		  "  - {name: b, action: bypass, remote: 10.3.0.0/24}\n"
		  "  - {name: c, action: discard, remote: 10.4.0.0/24}\n",
		  "", NULL },
		{ "no default route", "install",
		  "  - {name: a, action: protect, tunnel: t, remote: 0.0.0.0/0}\n", "",
		  "no default route" },
		{ "nor for any", "install", "  - {name: a, action: protect, tunnel: t}\n", "",
		  "no default route" },
		{ "nor for IPv6", "install",
		  "  - {name: a, action: protect, tunnel: u, remote: '::/0'}\n", "", "no default route" },
		{ "not over its own tunnel's end", "install",
		  "  - {name: a, action: protect, tunnel: t, remote: 192.0.2.0/24}\n", "",
		  "it holds the tunnel end 192.0.2.2" },
		{ "nor over another's", "install",
		  "  - {name: a, action: protect, tunnel: t, remote: 2001:db8::/32}\n", "",
		  "it holds the tunnel end 2001:db8:f::2" },
		{ "the far end of transport mode has a table of its own", "install",
		  "  - {name: a, action: protect, tunnel: h}\n"
		  "  - {name: b, action: protect, tunnel: h, protocol: gre}\n",
		  "transport apart 192.0.2.9/32 from 192.0.2.1", NULL },
		{ "it is an end for other tunnels' routes", "install",
		  "  - {name: a, action: protect, tunnel: t, remote: 192.0.2.8/30}\n", "",
		  "it holds the tunnel end 192.0.2.9" },
		{ "a prefix beside an end is none of its", "install",
		  "  - {name: a, action: protect, tunnel: t, remote: [192.0.2.3/32, 192.0.2.0/31]}\n",
		  "192.0.2.3/32 from 192.0.2.1, 192.0.2.0/31 from 192.0.2.1", NULL },
		{ "of the kernel's policies those that this machine's packets match, of IPv4, in tunnel mode", "kernel",
		  "  - {name: a, action: protect, tunnel: t, local: 10.1.0.0/24, remote: 10.2.0.0/24}\n"
		  "  - {name: b, action: protect, tunnel: t, local: 10.9.0.0/24, remote: 10.3.0.0/24}\n"
		  "  - {name: c, action: protect, tunnel: u, local: 2001:db8:1::/64, remote: 2001:db8:2::/64}\n"
		  "  - {name: d, action: protect, tunnel: h}\n",
		  "apart alone 10.2.0.0/24 from 10.1.0.1", NULL },
		{ "nor where another policy leaves packets to the kernel", "kernel",
		  "  - {name: a, action: protect, tunnel: t, local: 10.1.0.0/24, remote: 10.2.0.0/24}\n"
		  "  - {name: b, action: protect, tunnel: t, local: 10.1.0.0/24, remote: 10.3.0.0/24}\n"
		  "  - {name: c, action: bypass, local: 10.1.0.0/24, remote: 10.3.0.9/32, protocol: tcp}\n"
		  "  - {name: d, action: bypass, direction: in, remote: 10.2.0.0/24}\n",
		  "apart alone 10.2.0.0/24 from 10.1.0.1", NULL },
		{ "where a route would loop the kernel sees to it, and nothing is said", "kernel",
		  "  - {name: a, action: protect, tunnel: t, remote: 192.0.2.0/24}\n"
		  "  - {name: b, action: protect, tunnel: t, remote: 0.0.0.0/0}\n", "", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct refusals r;
		char got[512];

		plan(rows[i].routes, rows[i].policies, got, sizeof(got), &r);
		if (strcmp(got, rows[i].plan) || r.n != (rows[i].refusal != NULL) ||
		    (rows[i].refusal && !strstr(r.last, rows[i].refusal))) {
			printf("  %s: '%s', %d refused: %s\n", rows[i].what, got, r.n, r.last);
			CU_FAIL("another plan");
		}
	}
}

CU_TestInfo route_plan_tests[] = {
	{ "routes into xesp0, and those that would loop", test_plans },
	CU_TEST_INFO_NULL,
};
