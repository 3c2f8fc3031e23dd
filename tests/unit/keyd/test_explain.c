/* SPDX-License-Identifier: BSD-2-Clause */
/* test_explain.c - which packet is asked about, what policies make of it, and why those before it do not match. */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "keyd/explain.h"
#include "keyd/explain_packet.h"
#include "keyd/mismatch.h"
#include "libxesp/addr.h"
#include "libxesp/drops.h"
#include "tests/unit/keyd/keyd.h"
#include "tests/unit/keyd/spd_world.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *params;
	const char *packet; /* NULL: refused */
} packets[] = {
	{ "{'local':'10.1.0.2','remote':'10.2.0.2'}",
	  "{'direction':'out','local':'10.1.0.2','remote':'10.2.0.2','protocol':'icmp','proto':1,'icmp_type':8,'icmp_code':0}" },
	{ "{'local':'2001:db8::1','remote':'2001:db8::2','direction':'in'}",
	  "{'direction':'in','local':'2001:db8::1','remote':'2001:db8::2','protocol':'ipv6-icmp','proto':58,'icmp_type':128,'icmp_code':0}" },
	{ "{'local':'10.1.0.2','remote':'10.2.0.2','protocol':'tcp','remote_port':443}",
	  "{'direction':'out','local':'10.1.0.2','remote':'10.2.0.2','protocol':'tcp','proto':6,'local_port':49152,'remote_port':443}" },
	{ "{'local':'10.1.0.2','remote':'10.2.0.2','protocol':'17','remote_port':'65535','local_port':'0'}",
	  "{'direction':'out','local':'10.1.0.2','remote':'10.2.0.2','protocol':'udp','proto':17,'local_port':0,'remote_port':65535}" },
	{ "{'local':'10.1.0.2','remote':'10.2.0.2','protocol':'gre'}",
	  "{'direction':'out','local':'10.1.0.2','remote':'10.2.0.2','protocol':'gre','proto':47}" },
	{ "{'local':'2001:db8::1','remote':'2001:db8::2','protocol':'mobility-header','mh_type':5}",
	  "{'direction':'out','local':'2001:db8::1','remote':'2001:db8::2','protocol':'mobility-header','proto':135,'mh_type':5}" },
	{ "{'local':'10.1.0.2','remote':'10.2.0.2','protocol':'200'}",
	  "{'direction':'out','local':'10.1.0.2','remote':'10.2.0.2','protocol':'200','proto':200}" },
	{ "{}", NULL },
	{ "{'local':'10.1.0.2'}", NULL },
	{ "{'local':'10.1.0.0/24','remote':'10.2.0.2'}", NULL },
	{ "{'local':'10.1.0.2','remote':'2001:db8::2'}", NULL },
	{ "{'local':'10.1.0.2','remote':'10.2.0.2','direction':'both'}", NULL },
	{ "{'local':'10.1.0.2','remote':'10.2.0.2','protocol':'any'}", NULL },
	{ "{'local':'10.1.0.2','remote':'10.2.0.2','protocol':'opaque'}", NULL },
	{ "{'local':'10.1.0.2','remote':'10.2.0.2','protocol':'tcp','remote_port':65536}", NULL },
	{ "{'local':'10.1.0.2','remote':'10.2.0.2','protocol':'tcp','remote_port':-1}", NULL },
	{ "{'local':'10.1.0.2','remote':'10.2.0.2','protocol':'tcp','remote_port':'http'}", NULL },
	{ "{'local':'10.1.0.2','remote':'10.2.0.2','protocol':'tcp','icmp_type':8}", NULL },
	{ "{'local':'10.1.0.2','remote':'10.2.0.2','protocol':'icmp','remote_port':8}", NULL },
	{ "{'local':'10.1.0.2','remote':'10.2.0.2','protocol':'icmp','icmp_type':256}", NULL },
	{ "{'local':'10.1.0.2','remote':'10.2.0.2','protocol':'gre','local_port':1}", NULL },
	{ "{'local':1,'remote':['10.2.0.2']}", NULL },
};

static struct json_object *json_of(const char *text)
{
	char buf[512];

	snprintf(buf, sizeof(buf), "%s", text);
	for (char *c = buf; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	return json_tokener_parse(buf);
}

static void packets_are_taken(void)
{
	for (size_t i = 0; i < LEN(packets); i++) {
		struct json_object *params = json_of(packets[i].params), *expected, *got;
		struct fault f = { "" };
		struct spd_query q;
		int err = explain_packet_take(&q, params, &f);

		CU_ASSERT_PTR_NOT_NULL(params);
		json_object_put(params);
		if (!packets[i].packet != (err != 0))
			fprintf(stderr, "explain: %s: %s\n", packets[i].params, err ? f.text : "taken");
		CU_ASSERT_EQUAL(!packets[i].packet, err != 0);
		CU_ASSERT_EQUAL(err != 0, f.text[0] != '\0');
		if (err)
			continue;
		expected = json_of(packets[i].packet);
		got = explain_packet_json(&q);
		CU_ASSERT(json_object_equal(expected, got));
		json_object_put(expected);
		json_object_put(got);
	}
}

/* ---- the verdict */

static const char policies[] =
	"  - {name: in-clear, action: bypass, local: 10.1.0.3, remote: 10.2.0.3}\n"
	"  - {name: not-7001, action: discard, local: 10.1.0.0/24, remote: any, protocol: tcp, remote_ports: 7001}\n"
	"  - {name: lan, action: protect, tunnel: t, local: 10.1.0.0/24, remote: 10.2.0.0/24}\n"
	"  - {name: us, action: protect, tunnel: t, local: 192.0.2.1, remote: 192.0.2.2}\n";

static const struct {
	const char *what, *packet;
	enum explain_verdict verdict;
	enum xesp_drop why;
} verdicts[] = {
	{ "protect", "{'local':'10.1.0.2','remote':'10.2.0.2'}", EXPLAIN_PROTECT, XESP_DROP_NONE },
	{ "discard before it", "{'local':'10.1.0.2','remote':'10.2.0.2','protocol':'tcp','remote_port':7001}", EXPLAIN_DROP,
	  XESP_DROP_DISCARD },
	{ "bypass", "{'local':'10.1.0.3','remote':'10.2.0.3'}", EXPLAIN_BYPASS, XESP_DROP_NONE },
	{ "none", "{'local':'10.1.1.3','remote':'10.2.0.3'}", EXPLAIN_DROP, XESP_DROP_NO_POLICY },
	{ "to this machine", "{'local':'10.1.0.2','remote':'192.0.2.1'}", EXPLAIN_KERNEL, XESP_DROP_NONE },
	{ "multicast", "{'local':'10.1.0.2','remote':'224.0.0.5','protocol':'ospf'}", EXPLAIN_KERNEL, XESP_DROP_NONE },
	{ "link-local", "{'local':'fe80::1','remote':'fe80::2'}", EXPLAIN_KERNEL, XESP_DROP_NONE },
	{ "in clear, though", "{'direction':'in','local':'10.1.0.2','remote':'10.2.0.2'}", EXPLAIN_DROP, XESP_DROP_CLEAR_PROTECTED },
	{ "in clear, discard", "{'direction':'in','local':'10.1.0.2','remote':'10.2.0.2','protocol':'tcp','remote_port':7001}",
	  EXPLAIN_DROP, XESP_DROP_DISCARD },
	{ "in clear, bypass", "{'direction':'in','local':'10.1.0.3','remote':'10.2.0.3'}", EXPLAIN_BYPASS, XESP_DROP_NONE },
	{ "in clear, none", "{'direction':'in','local':'10.1.1.3','remote':'10.2.0.3'}", EXPLAIN_DROP, XESP_DROP_NO_POLICY },
	{ "in clear to this machine, none", "{'direction':'in','local':'192.0.2.1','remote':'10.2.0.3'}", EXPLAIN_KERNEL,
	  XESP_DROP_NONE },
	{ "to this machine, protected", "{'direction':'in','local':'192.0.2.1','remote':'192.0.2.2'}", EXPLAIN_DROP,
	  XESP_DROP_CLEAR_PROTECTED },
	{ "IKE is exempt", "{'direction':'in','local':'192.0.2.1','remote':'192.0.2.2','protocol':'udp','local_port':500}",
	  EXPLAIN_BYPASS, XESP_DROP_NONE },
	{ "from an IKE port is not", "{'direction':'in','local':'192.0.2.1','remote':'192.0.2.2','protocol':'udp','remote_port':500}",
	  EXPLAIN_DROP, XESP_DROP_CLEAR_PROTECTED },
	{ "an ICMP error is exempt", "{'direction':'in','local':'192.0.2.1','remote':'192.0.2.2','protocol':'icmp','icmp_type':3}",
	  EXPLAIN_BYPASS, XESP_DROP_NONE },
	{ "AH is", "{'direction':'in','local':'192.0.2.1','remote':'192.0.2.2','protocol':'ah'}", EXPLAIN_BYPASS, XESP_DROP_NONE },
};

static struct explained judge(const struct keyd *x, const char *packet)
{
	struct json_object *params = json_of(packet);
	struct explained e;
	struct spd_query q;

	CU_ASSERT_EQUAL_FATAL(explain_packet_take(&q, params, NULL), 0);
	json_object_put(params);
	explain_judge(x->change.maps, &q, &e);
	return e;
}

static void verdict_rows(void)
{
	struct change_result r;
	struct xesp_addr us;
	__u32 ifindex = 1;
	struct keyd x;

	keyd_setup(&x, 16, 64);
	CU_ASSERT_EQUAL(addr_parse(&us, "192.0.2.1", NULL), 0);
	CU_ASSERT_EQUAL(bpf_map_update_elem(x.pins.fd[PINS_LOCAL], &us, &ifindex, BPF_ANY), 0);
	CU_ASSERT_EQUAL(judge(&x, verdicts[0].packet).why, XESP_DROP_NOT_LOADED);
	CU_ASSERT_EQUAL(judge(&x, verdicts[12].packet).verdict, EXPLAIN_KERNEL); /* nothing holds yet */
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x, &r, "", policies), 0);
	for (size_t i = 0; i < LEN(verdicts); i++) {
		const struct explained e = judge(&x, verdicts[i].packet);

		if (e.verdict != verdicts[i].verdict || e.why != verdicts[i].why)
			fprintf(stderr, "explain: %s: %d %s\n", verdicts[i].what, e.verdict, e.why ? drops_name(e.why) : "");
		CU_ASSERT_EQUAL(e.verdict, verdicts[i].verdict);
		CU_ASSERT_EQUAL(e.why, verdicts[i].why);
	}
	keyd_finish(&x);
}

/* ---- why not */

/* How many packets were compared: the list as it is walked here, and the SPD as published. */
static uint32_t compare(struct spd_world *w)
{
	uint32_t compared = 0;

	for (int i = 0; i < 400; i++) {
		struct xesp_spd_val v;
		uint32_t g, first;
		struct spd_query q;

		spd_world_random_packet(&q);
		if (q.fields == XESP_FIELDS_LATER)
			continue;
		first = mismatch_first(w->now, &q);
		CU_ASSERT_EQUAL(spd_memory_find(&w->memory, &q, &v, &g), XESP_DROP_NONE);
		CU_ASSERT_EQUAL(v.policy, first < w->now->n ? w->now->ids[first] : 0);
		compared++;
	}
	return compared;
}

static void list_and_search_agree(void)
{
	uint32_t compared = 0;

	for (int world = 0; world < 60; world++) {
		struct raw_policy raw[12];
		struct spd_world w;

		for (uint32_t i = 0; i < LEN(raw); i++)
			spd_world_random_policy(&raw[i], i);
		spd_world_open(&w);
		if (!spd_world_change(&w, spd_world_make(raw, LEN(raw)), NULL))
			compared += compare(&w);
		spd_world_close(&w);
		for (uint32_t i = 0; i < LEN(raw); i++)
			spd_world_free_policy(&raw[i]);
	}
	CU_ASSERT(compared > 5000); /* random policies can be of more kinds than there may be */
}

static const struct {
	const char *packet, *key;
} why_not[] = { /* of policy not-7001 */
	{ "{'local':'10.1.1.2','remote':'10.2.0.2','protocol':'tcp','remote_port':7001}", "local" },
	{ "{'local':'2001:db8::1','remote':'2001:db8::2','protocol':'tcp','remote_port':7001}", "local" },
	{ "{'local':'10.1.0.2','remote':'10.2.0.2','protocol':'udp','remote_port':7001}", "protocol" },
	{ "{'local':'10.1.0.2','remote':'10.2.0.2','protocol':'tcp','remote_port':7002}", "remote_ports" },
	{ "{'local':'10.1.0.2','remote':'10.2.0.2','protocol':'tcp','local_port':7001}", "remote_ports" },
	{ "{'local':'10.1.0.2','remote':'10.2.0.2','protocol':'tcp','remote_port':7001}", "" },
};

static void what_differs(void)
{
	struct config *c = fixture_config("version: 1\ntunnels:\n  - {name: t, local: 192.0.2.1, remote: 192.0.2.2}\npolicies:\n%s",
					  policies);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	for (size_t i = 0; i < LEN(why_not); i++) {
		const struct policy *p = &c->spd.policies[1];
		struct json_object *params = json_of(why_not[i].packet);
		struct spd_query q;

		CU_ASSERT_EQUAL_FATAL(explain_packet_take(&q, params, NULL), 0);
		json_object_put(params);
		CU_ASSERT_STRING_EQUAL(mismatch_key(mismatch_of(p, &q), p->sel.proto), why_not[i].key);
	}
	config_free(c);
}

CU_TestInfo explain_tests[] = {
	{ "packets out of params", packets_are_taken },
	{ "verdicts, packet by packet", verdict_rows },
	{ "the list and the search agree", list_and_search_agree },
	{ "what differs", what_differs },
	CU_TEST_INFO_NULL,
};
