/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_edit.c - transactions of the control socket: what they make of a configuration, what they are
 * refused for, in the words of the file, and that a list changed where it stands is the list.
 */
#include <CUnit/CUnit.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/config.h"
#include "keyd/edit.h"
#include "keyd/spd_edit.h"
#include "libxesp/rpc.h"
#include "tests/unit/keyd/fixture.h"
#include "tests/unit/keyd/spd_world.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

#define KEY(n) "00000000000000000000000000000000000000" n

static struct config *base(void)
{
	struct config *c = fixture_config(
		"version: 1\n"
		"tunnels:\n"
		"  - {name: a, local: 192.0.2.1, remote: 192.0.2.2}\n"
		"  - {name: b, local: 192.0.2.1, remote: 192.0.2.3}\n"
		"  - {name: c, local: 192.0.2.1, remote: 192.0.2.4, mode: transport}\n"
		"groups:\n"
		"  - {name: g, tunnels: [a, b]}\n"
		"sas:\n"
		"  - {name: ao, tunnel: a, direction: out, spi: 4096, algorithm: aes-gcm-128, key: " KEY("01") "}\n"
		"  - {name: ai, tunnel: a, direction: in, spi: 4097, algorithm: aes-gcm-128, key: " KEY("02") "}\n"
		"policies:\n"
		"  - {name: one, action: protect, tunnel: a, local: 10.1.0.0/24, remote: 10.2.0.0/24}\n"
		"  - {name: two, action: protect, tunnel: g, local: 10.1.0.0/24, remote: 10.3.0.0/24}\n"
		"  - {name: three, action: discard}\n"
		"  - {name: four, action: protect, tunnel: c}\n");

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	c->control = true;
	return c;
}

/* "a b c g|ao>a ai>a|one:a two:g three four:c" */
static void describe(const struct config *c, char *buf, size_t size)
{
	size_t used = 0;

	for (uint32_t i = 0; i < c->sad.tunnels_n; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? " " : "",
					 c->sad.tunnels[i].name);
	used += (size_t)snprintf(buf + used, size - used, "|");
	for (uint32_t i = 0; i < c->sad.sas_n; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s>%s", i ? " " : "",
					 c->sad.sas[i].name, c->sad.tunnels[c->sad.sas[i].tunnel].name);
	used += (size_t)snprintf(buf + used, size - used, "|");
	for (uint32_t i = 0; i < c->spd.n; i++) {
		const struct policy *p = &c->spd.policies[i];

		used += (size_t)snprintf(buf + used, size - used, "%s%s%s%s", i ? " " : "", p->name,
					 p->tunnel == SAD_NONE ? "" : ":",
					 p->tunnel == SAD_NONE ? "" : c->sad.tunnels[p->tunnel].name);
	}
}

#define SA(name, tunnel, dir, spi, key)                                                            \
	"{\"name\":\"" name "\",\"tunnel\":\"" tunnel "\",\"direction\":\"" dir "\",\"spi\":" spi \
	",\"algorithm\":\"aes-gcm-128\",\"key\":\"" KEY(key) "\"}"

#define CPU(name, spi, key, cpu)                                                                  \
	"{\"name\":\"" name "\",\"tunnel\":\"a\",\"direction\":\"out\",\"spi\":" spi            \
	",\"algorithm\":\"aes-gcm-128\",\"key\":\"" KEY(key) "\",\"cpu\":" cpu "}"
#define OWN(name, spi, key, remote)                                                               \
	"{\"name\":\"" name "\",\"tunnel\":\"d\",\"direction\":\"out\",\"spi\":" spi            \
	",\"algorithm\":\"aes-gcm-128\",\"key\":\"" KEY(key) "\",\"selector\":{\"remote\":\"" remote "\"}}"
#define EACH(name, remote)                                                                        \
	"{\"name\":\"" name "\",\"action\":\"protect\",\"tunnel\":\"d\",\"remote\":\"" remote      \
	"\",\"pfp\":[\"remote\"]}"

static const struct {
	const char *what, *params;
	const char *made;   /* what describe() says then; NULL: refused */
	const char *counts; /* of tunnels, groups, SAs, policies: added replaced kept deleted absent */
	const char *sentence;
} rows[] = {
	{ "nothing at all", "{}", "a b c g|ao>a ai>a|one:a two:g three four:c",
	  "00000 00000 00000 00000", NULL },
	{ "a tunnel with its SAs and a policy",
	  "{\"set\":{\"tunnels\":[{\"name\":\"d\",\"local\":\"192.0.2.1\",\"remote\":\"192.0.2.9\"}],"
	  "\"sas\":[" SA("do", "d", "out", "5000", "03") "," SA("di", "d", "in", "\"0x1389\"", "04") "],"
	  "\"policies\":[{\"name\":\"five\",\"action\":\"protect\",\"tunnel\":\"d\",\"remote\":\"10.9.0.0/16\"}]}}",
	  "a b c g d|ao>a ai>a do>d di>d|one:a two:g three four:c five:d", "10000 00000 20000 10000", NULL },
	{ "the same as it is, said again",
	  "{\"add\":{\"sas\":[" SA("ao", "a", "out", "4096", "01") "],"
	  "\"tunnels\":[{\"name\":\"b\",\"local\":\"192.0.2.1\",\"remote\":\"192.0.2.3\"}],"
	  "\"groups\":[{\"name\":\"g\",\"tunnels\":[\"a\",\"b\"]}],"
	  "\"policies\":[{\"name\":\"three\",\"action\":\"discard\"}]}}",
	  "a b c g|ao>a ai>a|one:a two:g three four:c", "00100 00100 00100 00100", NULL },
	{ "what is not there is not deleted",
	  "{\"delete\":{\"sas\":[\"x\",\"y\"],\"policies\":[\"x\"],\"tunnels\":[\"x\"],\"groups\":[\"x\"]}}",
	  "a b c g|ao>a ai>a|one:a two:g three four:c", "00001 00001 00002 00001", NULL },
	{ "another key for an SA", "{\"set\":{\"sas\":[" SA("ao", "a", "out", "6000", "09") "]}}",
	  "a b c g|ao>a ai>a|one:a two:g three four:c", "00000 00000 01000 00000", NULL },
	{ "outbound goes over to an SA of another name",
	  "{\"set\":{\"sas\":[" SA("ao2", "a", "out", "6000", "09") "]},\"delete\":{\"sas\":[\"ao\"]}}",
	  "a b c g|ai>a ao2>a|one:a two:g three four:c", "00000 00000 10010 00000", NULL },
	{ "a tunnel goes with all that names it, and its place is closed",
	  "{\"delete\":{\"tunnels\":[\"a\"],\"groups\":[\"g\"],\"sas\":[\"ao\",\"ai\"],\"policies\":[\"one\",\"two\"]}}",
	  "b c||three four:c", "00010 00010 00020 00020", NULL },
	{ "policies by place",
	  "{\"set\":{\"policies\":[{\"name\":\"x\",\"action\":\"discard\",\"before\":\"one\"},"
	  "{\"name\":\"y\",\"action\":\"bypass\",\"after\":\"x\"},"
	  "{\"name\":\"four\",\"action\":\"protect\",\"tunnel\":\"c\",\"before\":\"two\"},"
	  "{\"name\":\"z\",\"action\":\"discard\"}]}}",
	  "a b c g|ao>a ai>a|x y one:a four:c two:g three z", "00000 00000 00000 31000", NULL },
	{ "the place it has already is no change",
	  "{\"set\":{\"policies\":[{\"name\":\"three\",\"action\":\"discard\",\"after\":\"two\"}]}}",
	  "a b c g|ao>a ai>a|one:a two:g three four:c", "00000 00000 00000 00100", NULL },
	{ "all of it anew",
	  "{\"whole\":true,\"set\":{\"tunnels\":[{\"name\":\"n\",\"local\":\"192.0.2.1\",\"remote\":\"192.0.2.2\"}]}}",
	  "n||", "01000 00000 00000 00000", NULL },
	{ "an SA for each host",
	  "{\"set\":{\"tunnels\":[{\"name\":\"d\",\"local\":\"192.0.2.1\",\"remote\":\"192.0.2.9\"}],"
	  "\"sas\":[" OWN("d5", "5000", "03", "10.9.0.5") "," OWN("d6", "5001", "04", "10.9.0.6") "],"
	  "\"policies\":[" EACH("five", "10.9.0.0/16") "]}}",
	  "a b c g d|ao>a ai>a d5>d d6>d|one:a two:g three four:c five:d", "10000 00000 20000 10000", NULL },
	/* refused */
	{ "an SA for a host that no policy has",
	  "{\"set\":{\"tunnels\":[{\"name\":\"d\",\"local\":\"192.0.2.1\",\"remote\":\"192.0.2.9\"}],"
	  "\"sas\":[" OWN("d5", "5000", "03", "10.9.0.5") "," OWN("d6", "5001", "04", "10.8.0.6") "],"
	  "\"policies\":[" EACH("five", "10.9.0.0/16") "]}}",
	  NULL, NULL, "SA 'd6'.selector: no policy of tunnel 'd' matches such a packet" },
	{ "two policies of a tunnel, one of them with pfp",
	  "{\"set\":{\"tunnels\":[{\"name\":\"d\",\"local\":\"192.0.2.1\",\"remote\":\"192.0.2.9\"}],"
	  "\"policies\":[" EACH("five", "10.9.0.0/16")
	  ",{\"name\":\"six\",\"action\":\"protect\",\"tunnel\":\"d\"}]}}",
	  NULL, NULL, "policy 'six': pfp is not that of policy 'five'" },
	{ "pfp for a tunnel whose SA has no selector",
	  "{\"set\":{\"policies\":[{\"name\":\"one\",\"action\":\"protect\",\"tunnel\":\"a\",\"pfp\":[\"remote\"]}]},"
	  "\"delete\":{\"policies\":[\"two\"],\"groups\":[\"g\"]}}",
	  NULL, NULL, "SA 'ao': needs a selector with its own values" },
	{ "added though it is another",
	  "{\"add\":{\"sas\":[" SA("ao", "a", "out", "4096", "07") "]}}", NULL, NULL,
	  "add.sas[0].name: 'ao' is there already, and is another: set replaces it" },
	{ "added policy that is another",
	  "{\"add\":{\"policies\":[{\"name\":\"three\",\"action\":\"bypass\"}]}}", NULL, NULL,
	  "add.policies[0].name: 'three' is there already" },
	{ "SAs of single CPUs", "{\"set\":{\"sas\":[" CPU("c5", "5000", "03", "5") "," CPU("c0", "5001", "04", "\"0\"") "]}}",
	  "a b c g|ao>a ai>a c5>a c0>a|one:a two:g three four:c", "00000 00000 20000 00000", NULL },
	{ "two of one CPU", "{\"set\":{\"sas\":[" CPU("c5", "5000", "03", "5") "," CPU("d5", "5001", "04", "5") "]}}", NULL,
	  NULL, "set.sas[1].cpu: tunnel 'a' has an outbound SA for CPU 5 already, 'c5'" },
	{ "one of a CPU, and the one for all goes",
	  "{\"set\":{\"sas\":[" CPU("c5", "5000", "03", "5") "]},\"delete\":{\"sas\":[\"ao\"]}}", NULL, NULL,
	  "set.sas[0].cpu: tunnel 'a' has no outbound SA without cpu" },
	{ "a second outbound SA", "{\"set\":{\"sas\":[" SA("ao2", "a", "out", "6000", "09") "]}}", NULL, NULL,
	  "set.sas[0].tunnel: tunnel 'a' has an outbound SA already, 'ao'" },
	{ "an SPI that is taken", "{\"set\":{\"sas\":[" SA("x", "b", "in", "4097", "09") "]}}", NULL, NULL,
	  "set.sas[0].spi: 0x1001 is also the SPI of 'ai' towards 192.0.2.1" },
	{ "a key that is taken", "{\"set\":{\"sas\":[" SA("x", "b", "in", "6000", "02") "]}}", NULL, NULL,
	  "set.sas[0].key: the key is also that of 'ai'" },
	{ "an SPI twice in one transaction",
	  "{\"set\":{\"sas\":[" SA("x", "b", "in", "6000", "08") "," SA("y", "a", "in", "6000", "09") "]}}",
	  NULL, NULL, "set.sas[1].spi: 0x1770 is also the SPI of 'x' towards 192.0.2.1" },
	{ "an SA of a group", "{\"set\":{\"sas\":[" SA("x", "g", "in", "6000", "09") "]}}", NULL, NULL,
	  "set.sas[0].tunnel: g is a group" },
	{ "twice in one transaction",
	  "{\"set\":{\"sas\":[" SA("x", "b", "in", "6000", "08") "," SA("x", "b", "in", "6001", "09") "]}}",
	  NULL, NULL, "set.sas[1].name: 'x' is named twice in one transaction" },
	{ "a policy twice",
	  "{\"set\":{\"policies\":[{\"name\":\"x\",\"action\":\"discard\"},{\"name\":\"x\",\"action\":\"bypass\"}]}}",
	  NULL, NULL, "set.policies[1].name: 'x' is named twice in one transaction" },
	{ "a tunnel that an SA names", "{\"delete\":{\"tunnels\":[\"a\"]}}", NULL, NULL,
	  "delete.tunnels: 'a' is still named by SA 'ao'" },
	{ "a tunnel that a group names", "{\"delete\":{\"tunnels\":[\"b\"]}}", NULL, NULL,
	  "delete.tunnels: 'b' is still named by group 'g'" },
	{ "a tunnel that a policy names", "{\"delete\":{\"tunnels\":[\"c\"]}}", NULL, NULL,
	  "delete.tunnels: 'c' is still named by policy 'four'" },
	{ "a group as a tunnel", "{\"delete\":{\"tunnels\":[\"g\"]}}", NULL, NULL,
	  "delete.tunnels[0]: 'g' is the name of a group" },
	{ "a tunnel under a group's name",
	  "{\"set\":{\"tunnels\":[{\"name\":\"g\",\"local\":\"192.0.2.1\",\"remote\":\"192.0.2.9\"}]}}", NULL, NULL,
	  "set.tunnels[0].name: 'g' is also the name of a group" },
	{ "set and deleted",
	  "{\"set\":{\"tunnels\":[{\"name\":\"d\",\"local\":\"192.0.2.1\",\"remote\":\"192.0.2.9\"}]},\"delete\":{\"tunnels\":[\"d\"]}}",
	  NULL, NULL, "delete.tunnels[0]: 'd' is also set in this transaction" },
	{ "ends of transport mode under a policy that is bound to them",
	  "{\"set\":{\"tunnels\":[{\"name\":\"c\",\"local\":\"192.0.2.1\",\"remote\":\"192.0.2.9\",\"mode\":\"transport\"}]}}",
	  NULL, NULL, "transport mode: policy 'four' is bound to the ends that tunnel 'c' had" },
	{ "a policy of no tunnel",
	  "{\"set\":{\"policies\":[{\"name\":\"x\",\"action\":\"protect\",\"tunnel\":\"nope\"}]}}", NULL, NULL,
	  "set.policies[0].tunnel: no tunnel is named 'nope'" },
	{ "before nobody", "{\"set\":{\"policies\":[{\"name\":\"x\",\"action\":\"discard\",\"before\":\"nope\"}]}}",
	  NULL, NULL, "set.policies[0].before: no policy is named 'nope'" },
	{ "before itself", "{\"set\":{\"policies\":[{\"name\":\"one\",\"action\":\"discard\",\"before\":\"one\"}]}}",
	  NULL, NULL, "set.policies[0].before: names the policy itself" },
	{ "before and after",
	  "{\"set\":{\"policies\":[{\"name\":\"x\",\"action\":\"discard\",\"before\":\"one\",\"after\":\"two\"}]}}",
	  NULL, NULL, "before and after cannot both be given" },
	{ "whole beside delete", "{\"whole\":true,\"delete\":{\"sas\":[\"x\"]}}", NULL, NULL,
	  "whole: what set does not name goes" },
	{ "a key file",
	  "{\"set\":{\"sas\":[{\"name\":\"x\",\"tunnel\":\"a\",\"direction\":\"in\",\"spi\":6000,\"algorithm\":\"aes-gcm-128\",\"key_file\":\"/etc/k\"}]}}",
	  NULL, NULL, "set.sas[0].key_file: a transaction brings its keys with it" },
	/* the schema */
	{ "an unknown section", "{\"sett\":{}}", NULL, NULL, "unknown key; known here: add, set, delete" },
	{ "an unknown list", "{\"set\":{\"sa\":[]}}", NULL, NULL, "set.sa: unknown key; known here: tunnels" },
	{ "an unknown key", "{\"set\":{\"policies\":[{\"name\":\"x\",\"action\":\"discard\",\"acton\":1}]}}", NULL,
	  NULL, "set.policies[0].acton: unknown key; known here: name, action" },
	{ "a key that is no word of ours is not shown",
	  "{\"set\":{\"policies\":[{\"name\":\"x\",\"action\":\"discard\",\"" KEY("01") "\":1}]}}", NULL, NULL,
	  "set.policies[0].?: unknown key" },
	{ "an unknown word", "{\"set\":{\"policies\":[{\"name\":\"x\",\"action\":\"protekt\"}]}}", NULL, NULL,
	  "set.policies[0].action: 'protekt' is not one of: protect, bypass, discard" },
	{ "a missing key", "{\"set\":{\"sas\":[{\"name\":\"x\",\"tunnel\":\"a\",\"direction\":\"in\"}]}}", NULL, NULL,
	  "set.sas[0].spi: missing" },
	{ "a list that is none", "{\"set\":{\"sas\":{}}}", NULL, NULL, "set.sas: must be a list" },
	{ "an entry that is no mapping", "{\"set\":{\"sas\":[1]}}", NULL, NULL, "set.sas[0]: must be a mapping" },
	{ "a value that is a list", "{\"set\":{\"policies\":[{\"name\":[],\"action\":\"discard\"}]}}", NULL, NULL,
	  "set.policies[0].name: must be a single value" },
	{ "null is no value", "{\"set\":{\"policies\":[{\"name\":null,\"action\":\"discard\"}]}}", NULL, NULL,
	  "set.policies[0].name: must be a single value" },
	{ "an empty value", "{\"set\":{\"policies\":[{\"name\":\"\",\"action\":\"discard\"}]}}", NULL, NULL,
	  "set.policies[0].name: is empty" },
	{ "a zero byte", "{\"set\":{\"policies\":[{\"name\":\"a\\u0000b\",\"action\":\"discard\"}]}}", NULL, NULL,
	  "set.policies[0].name: has a zero byte" },
	{ "a fraction", "{\"set\":{\"sas\":[{\"name\":\"x\",\"tunnel\":\"a\",\"direction\":\"in\",\"spi\":4.5}]}}",
	  NULL, NULL, "set.sas[0].spi: must be a single value" },
	{ "names that are none", "{\"delete\":{\"sas\":[1.5]}}", NULL, NULL, "delete.sas[0]: must be a single value" },
	{ "names that are no list", "{\"delete\":{\"sas\":\"x\"}}", NULL, NULL, "delete.sas: must be a list of names" },
	{ "a flag that is none", "{\"dry_run\":1}", NULL, NULL, "dry_run: must be true or false" },
};

static int run(const char *text, size_t len, struct config *now, struct config **out,
	       struct edit *e, struct problems *ps)
{
	struct json_tokener *tok = json_tokener_new();
	struct json_object *o = json_tokener_parse_ex(tok, text, (int)len);
	int err;

	json_tokener_free(tok);
	*out = NULL;
	*e = (struct edit){ 0 };
	if (!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		return -1;
	}
	err = edit_parse(e, o, ps);
	rpc_wipe(o); /* as rpc.c does: nothing of it is needed any more */
	json_object_put(o);
	return err ? err : edit_config(e, now, out, ps);
}

static void print_counts(const struct edit *e, char buf[64])
{
	size_t used = 0;

	for (int k = 0; k < EDIT_KINDS; k++)
		used += (size_t)snprintf(buf + used, 64 - used, "%s%u%u%u%u%u", k ? " " : "",
					 e->counts[k].added, e->counts[k].replaced, e->counts[k].kept,
					 e->counts[k].deleted, e->counts[k].absent);
}

static void test_rows(void)
{
	char before[512], made[512], counts[64], line[512];

	for (size_t i = 0; i < LEN(rows); i++) {
		struct config *now = base(), *out;
		struct problems ps = { 0 };
		struct edit e;
		bool good;

		describe(now, before, sizeof(before));
		run(rows[i].params, strlen(rows[i].params), now, &out, &e, &ps);
		made[0] = line[0] = '\0';
		if (out)
			describe(out, made, sizeof(made));
		for (uint32_t k = 0; k < ps.n && !out; k++)
			snprintf(line + strlen(line), sizeof(line) - strlen(line), "%s: %s; ",
				 ps.problem[k].path, ps.problem[k].text);
		print_counts(&e, counts);
		good = rows[i].made ? out && !strcmp(made, rows[i].made) && !strcmp(counts, rows[i].counts) :
				      !out && strstr(line, rows[i].sentence);
		if (!good)
			fprintf(stderr, "edit: %s: made '%s' counts '%s' said '%s'\n", rows[i].what, made,
				counts, line);
		CU_ASSERT_TRUE(good);
		CU_ASSERT_PTR_NULL(strstr(line, "0000000000000000000000000000"));
		describe(now, made, sizeof(made));
		CU_ASSERT_STRING_EQUAL(made, before); /* what was in force is as it was */
		config_free(out);
		edit_fini(&e);
		config_free(now);
	}
}

/* Two SAs that were there come to one SPI at one address, for the tunnel of one has moved. */
static void test_moved_onto_another(void)
{
	static const char *const steps[] = {
		"{\"set\":{\"sas\":[" SA("bo", "b", "out", "4096", "08") "]}}",
		"{\"set\":{\"tunnels\":[{\"name\":\"b\",\"local\":\"192.0.2.1\",\"remote\":\"192.0.2.2\"}]}}",
	};
	struct config *now = base(), *out[LEN(steps)];
	struct problems ps = { 0 };
	struct edit e;

	for (size_t i = 0; i < LEN(steps); i++) {
		run(steps[i], strlen(steps[i]), i ? out[i - 1] : now, &out[i], &e, &ps);
		edit_fini(&e);
	}
	CU_ASSERT_PTR_NOT_NULL(out[0]);
	CU_ASSERT_PTR_NULL(out[1]);
	CU_ASSERT_EQUAL_FATAL(ps.n, 1);
	CU_ASSERT_STRING_EQUAL(ps.problem[0].path, "SA 'bo'.spi");
	CU_ASSERT_STRING_EQUAL(ps.problem[0].text, "0x1000 is also the SPI of 'ao' towards 192.0.2.2");
	config_free(out[0]);
	config_free(now);
}

/* Every prefix of a request, and each bit of it turned over: refused or made, and nothing breaks. */
static void test_cut_and_altered(void)
{
	const char *text = rows[1].params;
	const size_t len = strlen(text);
	struct config *now = base();
	size_t made = 0, refused = 0;

	for (size_t n = 0; n <= len + 8 * len; n++) {
		struct problems ps = { 0 };
		struct config *out;
		struct edit e;
		char *copy = malloc(len + 1);
		size_t cut = n < len ? n : len;

		memcpy(copy, text, len + 1);
		if (n > len)
			copy[(n - len - 1) / 8] ^= (char)(1 << (n - len - 1) % 8);
		run(copy, cut, now, &out, &e, &ps);
		made += out != NULL;
		refused += !out;
		config_free(out);
		edit_fini(&e);
		free(copy);
	}
	CU_ASSERT(made > 1 && refused > len);
	config_free(now);
}

/* A bad entry is told of in the words that the file's would be. */
static void test_the_words_of_the_file(void)
{
	static const char *const entries[] = {
		"{name: x, tunnel: a, direction: in, spi: 12, algorithm: aes-gcm-128, key: '00'}",
		"{name: x, tunnel: a, direction: in, spi: 6000, algorithm: des, key: '00'}",
		"{name: x, tunnel: a, direction: out, spi: 6000, algorithm: aes-gcm-128, key: '00', replay_window: 64}",
		"{name: x y, tunnel: a, direction: in, spi: 6000, algorithm: aes-gcm-128, key: " KEY("05") "}",
		"{name: x, tunnel: nope, direction: in, spi: 6000, algorithm: aes-gcm-128, key: " KEY("05") "}",
		"{name: x, tunnel: a, direction: sideways, spi: 6000, algorithm: aes-gcm-128, key: " KEY("05") "}",
	};
	char yaml[1024], json[1024];

	for (size_t i = 0; i < LEN(entries); i++) {
		struct problems file = { 0 }, socket = { 0 };
		struct config *now = base(), *out = NULL;
		const char *from;
		struct edit e;
		char *to;

		snprintf(yaml, sizeof(yaml),
			 "version: 1\ntunnels: [{name: a, local: 192.0.2.1, remote: 192.0.2.2}]\nsas:\n  - %s\n",
			 entries[i]);
		CU_ASSERT_NOT_EQUAL(config_load_text(&out, yaml, strlen(yaml), "f", &file), 0);
		/* The same entry in JSON: quotes around each word. */
		to = json + sprintf(json, "{\"set\":{\"sas\":[{\"");
		for (from = entries[i] + 1; *from && *from != '}'; from++) {
			if (!strncmp(from, ": ", 2) || !strncmp(from, ", ", 2)) {
				to += sprintf(to, "\"%c\"", *from);
				from++;
			} else if (*from != '\'') {
				*to++ = *from;
			}
		}
		strcpy(to, "\"}]}}");
		CU_ASSERT_NOT_EQUAL(run(json, strlen(json), now, &out, &e, &socket), 0);
		CU_ASSERT_EQUAL_FATAL(file.n, socket.n);
		for (uint32_t k = 0; k < file.n; k++) {
			if (strcmp(file.problem[k].text, socket.problem[k].text))
				fprintf(stderr, "edit: file '%s', socket '%s'\n", file.problem[k].text,
					socket.problem[k].text);
			CU_ASSERT_STRING_EQUAL(file.problem[k].text, socket.problem[k].text);
			CU_ASSERT_STRING_EQUAL(file.problem[k].path, socket.problem[k].path + strlen("set."));
		}
		edit_fini(&e);
		config_free(now);
	}
}

/* ---- a list changed where it stands */

#define NAMES 40

struct naive {
	char name[NAMES][8];
	uint32_t n;
};

static uint32_t find_naive(const struct naive *l, const char *name)
{
	uint32_t i = 0;

	while (i < l->n && strcmp(l->name[i], name))
		i++;
	return i;
}

static void remove_naive(struct naive *l, uint32_t at)
{
	memmove(l->name[at], l->name[at + 1], (--l->n - at) * sizeof(l->name[0]));
}

static void insert_naive(struct naive *l, uint32_t at, const char *name)
{
	memmove(l->name[at + 1], l->name[at], (l->n++ - at) * sizeof(l->name[0]));
	snprintf(l->name[at], sizeof(l->name[at]), "%.7s", name);
}

/* Puts in, exchanges or moves one policy of random content; the same is done to the naive list. */
static void put_one(struct spd_edit *e, struct naive *l, bool *used)
{
	uint32_t no = spd_world_random(NAMES), was, to;
	enum spd_edit_done done;
	struct problems ps = { 0 };
	struct raw_policy raw;
	char anchor[8];

	while (used[no])
		no = (no + 1) % NAMES;
	used[no] = true;
	spd_world_random_policy(&raw, no);
	was = find_naive(l, raw.name);
	to = l->n;
	if (l->n && spd_world_random(2)) {
		to = spd_world_random(l->n);
		snprintf(anchor, sizeof(anchor), "%s", l->name[to]);
		if (strcmp(anchor, raw.name)) {
			if (spd_world_random(2))
				raw.before = anchor;
			else
				raw.after = anchor;
		}
	}
	CU_ASSERT_EQUAL_FATAL(spd_edit_put(e, &raw, "p", false, &done, &ps), 0);
	if (was == l->n) {
		CU_ASSERT_EQUAL(done, SPD_EDIT_ADDED);
	}
	if (raw.before || raw.after) {
		if (was < l->n)
			remove_naive(l, was);
		insert_naive(l, find_naive(l, anchor) + (raw.after != NULL), raw.name);
	} else if (was == l->n) {
		insert_naive(l, l->n, raw.name);
	}
	raw.before = raw.after = NULL;
	spd_world_free_policy(&raw);
}

static void delete_some(struct spd_edit *e, struct naive *l, bool *used)
{
	char names[3][8], *list[3];
	uint32_t n = spd_world_random(4), gone, there = 0, at;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t no = spd_world_random(NAMES);

		snprintf(names[i], sizeof(names[i]), "p%u", no);
		list[i] = names[i];
		used[no] = true;
		at = find_naive(l, names[i]);
		if (at == l->n)
			continue;
		remove_naive(l, at);
		there++;
	}
	CU_ASSERT_EQUAL_FATAL(spd_edit_delete(e, list, n, &gone), 0);
	CU_ASSERT_EQUAL(gone, there);
}

static bool same_order(const struct spd *spd, const struct naive *l)
{
	bool same = spd->n == l->n;

	for (uint32_t i = 0; i < l->n && same; i++)
		same = !strcmp(spd->policies[i].name, l->name[i]) &&
		       (!i || !spd->ranks[i] || spd->ranks[i] > spd->ranks[i - 1]);
	return same;
}

static void number_new(struct spd_world *w, struct spd *spd)
{
	for (uint32_t i = 0; i < spd->n; i++) {
		bool taken = !spd->ids[i];

		while (taken) {
			w->next_id = w->next_id % (SPD_WORLD_IDS - 1) + 1;
			taken = false;
			for (uint32_t k = 0; k < spd->n; k++)
				taken |= spd->ids[k] == w->next_id;
			if (!taken)
				spd->ids[i] = w->next_id;
		}
	}
}

static void one_transaction(struct spd_world *w, struct naive *l, const struct sad *sad,
			    const struct index *tunnels, int *wrong)
{
	bool used[NAMES] = { false };
	struct naive before = *l;
	const uint32_t generation = spd_memory_generation(&w->memory);
	struct spd_edit e;
	struct spd_diff d;
	struct spd_query q;

	CU_ASSERT_EQUAL_FATAL(spd_edit_begin(&e, w->now, sad, tunnels, 20), 0);
	delete_some(&e, l, used);
	for (uint32_t n = spd_world_random(spd_world_random(8) ? 4 : 20); n; n--)
		put_one(&e, l, used);
	CU_ASSERT_EQUAL_FATAL(spd_edit_diff(&e, &d), 0);
	number_new(w, w->now);
	if (spd_world_random(3)) {
		const struct spd_change c = { .now = &e.gone, .next = w->now, .diff = &d, .sad = sad };

		if (spd_table_commit(w->table, &c, NULL)) { /* too many tuples */
			CU_ASSERT_EQUAL(spd_memory_generation(&w->memory), generation);
			CU_ASSERT_EQUAL_FATAL(spd_edit_undo(&e), 0);
			*l = before;
		}
	} else {
		CU_ASSERT_EQUAL_FATAL(spd_edit_undo(&e), 0);
		*l = before;
	}
	spd_diff_fini(&d);
	spd_edit_fini(&e);
	*wrong += !same_order(w->now, l);
	for (int k = 0; k < 60; k++) {
		spd_world_random_packet(&q);
		*wrong += !spd_world_agrees(&w->memory, &q, w->now);
	}
}

/* Each seed has found something that the others had not. */
static void change_a_list(unsigned int seed)
{
	struct tunnel tunnel = { .name = "t", .id = SPD_WORLD_TUNNEL };
	struct sad sad = { .tunnels_n = 1, .tunnels = &tunnel };
	struct naive l = { .n = 0 };
	struct index tunnels;
	struct spd_world w;
	uint32_t found;
	int wrong = 0;

	srandom(seed);
	index_init(&tunnels, XESP_NAME_MAX);
	CU_ASSERT_EQUAL_FATAL(index_add(&tunnels, tunnel.name, 0, &found), 0);
	spd_world_open(&w);
	CU_ASSERT_EQUAL_FATAL(spd_world_change(&w, spd_world_make(NULL, 0), NULL), 0);
	for (int i = 0; i < 800; i++)
		one_transaction(&w, &l, &sad, &tunnels, &wrong);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(l.n > 5);
	spd_world_close(&w);
	index_fini(&tunnels);
}

static void test_a_list_changed_where_it_stands(void)
{
	change_a_list(2);
	change_a_list(3);
}

CU_TestInfo edit_tests[] = {
	{ "transactions, row by row", test_rows },
	{ "edit: SAs that were there meet when a tunnel moves", test_moved_onto_another },
	{ "a transaction cut off and altered anywhere", test_cut_and_altered },
	{ "refused in the words of the file", test_the_words_of_the_file },
	{ "a list changed where it stands, and put back", test_a_list_changed_where_it_stands },
	CU_TEST_INFO_NULL,
};
