/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_natt.c - a peer that moved, as keyd hears of it: whose word is taken, what is shown in the maps, and
 * what of it outlives a reload and a restart.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "keyd/natt.h"
#include "libxesp/addr.h"
#include "tests/unit/keyd/keyd.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const char roaming[] =
	"version: 1\n"
	"tunnels:\n"
	"  - {name: roams, local: 192.0.2.1, remote: 192.0.2.2, encap: udp, follow_peer: yes, ttl: %d}\n"
	"  - {name: stays, local: 192.0.2.1, remote: 192.0.2.3, encap: udp}\n"
	"  - {name: six, local: 2001:db8::1, remote: 2001:db8::2, encap: udp, follow_peer: yes}\n"
	"  - {name: bare, local: 192.0.2.1, remote: 192.0.2.4}\n";

static void apply(struct keyd *x, const char *text, int ttl)
{
	struct config *c;
	struct change_result r;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	c = fixture_config(text, ttl);
#pragma GCC diagnostic pop
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL_FATAL(change_apply(&x->change, c, &r, &x->f), 0);
}

static const struct tunnel *tunnel(const struct keyd *x, const char *name)
{
	const struct sad *sad = &x->change.now->sad;

	for (uint32_t i = 0; i < sad->tunnels_n; i++)
		if (!strcmp(sad->tunnels[i].name, name))
			return &sad->tunnels[i];
	CU_FAIL_FATAL("no such tunnel");
	return NULL;
}

static struct xesp_keymsg_peer sighting(uint32_t id, const char *addr, uint16_t port)
{
	struct xesp_keymsg_peer m = { .tunnel = id, .port = htons(port) };

	CU_ASSERT_EQUAL(addr_parse(&m.addr, addr, NULL), 0);
	return m;
}

static const char *peer_of(const struct keyd *x, const char *name)
{
	static char text[NATT_TEXT_MAX];

	return natt_print_peer(tunnel(x, name), text);
}

/* As the map has it, which the next keyd and `xesp` read. */
static void expect_in_map(const struct keyd *x, const char *name, const char *addr, uint16_t port)
{
	const struct xesp_tunnel *t = &x->change.maps->tunnels[tunnel(x, name)->id];
	struct xesp_addr a;

	CU_ASSERT_EQUAL(addr_parse(&a, addr, NULL), 0);
	CU_ASSERT_TRUE(addr_equal(&t->natt.peer, &a));
	CU_ASSERT_EQUAL(ntohs(t->natt.peer_port), port);
}

static const struct {
	const char *what, *tunnel, *addr;
	uint16_t port;
	bool taken;
	const char *then;
} rows[] = {
	{ "another port", "roams", "192.0.2.2", 1025, true, "192.0.2.2 port 1025" },
	{ "another address", "roams", "198.51.100.7", 4500, true, "198.51.100.7 port 4500" },
	{ "where it is already", "roams", "192.0.2.2", 4500, true, "192.0.2.2 port 4500" },
	{ "IPv6", "six", "2001:db8:7::7", 1025, true, "2001:db8:7::7 port 1025" },
	{ "no port", "roams", "198.51.100.7", 0, false, "192.0.2.2 port 4500" },
	{ "another IP version", "roams", "2001:db8:7::7", 1025, false, "192.0.2.2 port 4500" },
	{ "another IP version", "six", "198.51.100.7", 1025, false, "2001:db8::2 port 4500" },
	{ "not to be followed", "stays", "198.51.100.7", 1025, false, "192.0.2.3 port 4500" },
	{ "not in UDP", "bare", "198.51.100.7", 1025, false, "192.0.2.4" },
};

static void sightings(void)
{
	for (size_t i = 0; i < LEN(rows); i++) {
		struct xesp_keymsg_peer m;
		struct keyd x;

		keyd_setup(&x, 16, 64);
		apply(&x, roaming, 64);
		m = sighting(tunnel(&x, rows[i].tunnel)->id, rows[i].addr, rows[i].port);
		CU_ASSERT_EQUAL(natt_peer_moved(&x.change.now->sad, &m), rows[i].taken);
		if (strcmp(peer_of(&x, rows[i].tunnel), rows[i].then))
			printf("  %s: %s\n", rows[i].what, peer_of(&x, rows[i].tunnel));
		CU_ASSERT_STRING_EQUAL(peer_of(&x, rows[i].tunnel), rows[i].then);
		keyd_finish(&x);
	}
}

static void no_such_tunnel(void)
{
	struct xesp_keymsg_peer m;
	struct keyd x;

	keyd_setup(&x, 16, 64);
	m = sighting(1, "198.51.100.7", 1025);
	change_peer_moved(&x.change, &m); /* nothing is loaded yet */
	apply(&x, roaming, 64);
	m.tunnel = UINT32_MAX;
	CU_ASSERT_FALSE(natt_peer_moved(&x.change.now->sad, &m));
	change_peer_moved(&x.change, &m);
	m.tunnel = 0;
	CU_ASSERT_FALSE(natt_peer_moved(&x.change.now->sad, &m));
	CU_ASSERT_STRING_EQUAL(peer_of(&x, "roams"), "192.0.2.2 port 4500");
	keyd_finish(&x);
}

/* Shown at once; kept by a reload that changes something else, and by a restart; forgotten with the place. */
static void outlives(void)
{
	static const char elsewhere[] =
		"version: 1\n"
		"tunnels:\n"
		"  - {name: roams, local: 192.0.2.1, remote: 192.0.2.9, encap: udp, follow_peer: yes, ttl: %d}\n";
	struct xesp_keymsg_peer m;
	struct keyd x;

	keyd_setup(&x, 16, 64);
	apply(&x, roaming, 64);
	expect_in_map(&x, "roams", "192.0.2.2", 4500);
	m = sighting(tunnel(&x, "roams")->id, "198.51.100.7", 1025);
	change_peer_moved(&x.change, &m);
	CU_ASSERT_TRUE(natt_has_moved(tunnel(&x, "roams")));
	CU_ASSERT_FALSE(natt_has_moved(tunnel(&x, "stays")));
	expect_in_map(&x, "roams", "198.51.100.7", 1025);
	expect_in_map(&x, "stays", "192.0.2.3", 4500);
	apply(&x, roaming, 63);
	CU_ASSERT_STRING_EQUAL(peer_of(&x, "roams"), "198.51.100.7 port 1025");
	keyd_restart(&x);
	apply(&x, roaming, 63);
	CU_ASSERT_STRING_EQUAL(peer_of(&x, "roams"), "198.51.100.7 port 1025");
	expect_in_map(&x, "roams", "198.51.100.7", 1025);
	apply(&x, elsewhere, 63);
	CU_ASSERT_STRING_EQUAL(peer_of(&x, "roams"), "192.0.2.9 port 4500");
	CU_ASSERT_FALSE(natt_has_moved(tunnel(&x, "roams")));
	expect_in_map(&x, "roams", "192.0.2.9", 4500);
	keyd_finish(&x);
}

/* While a change waits for xespd the old and the new configuration both hear of it. */
static void amid_a_change(void)
{
	struct xesp_keymsg_peer m;
	struct config *next;
	struct keyd x;

	keyd_setup(&x, 16, 64);
	apply(&x, roaming, 64);
	next = fixture_config(roaming, 63);
	CU_ASSERT_PTR_NOT_NULL_FATAL(next);
	for (uint32_t i = 0; i < next->sad.tunnels_n; i++)
		next->sad.tunnels[i].id = x.change.now->sad.tunnels[i].id;
	x.change.next = next;
	m = sighting(tunnel(&x, "roams")->id, "198.51.100.7", 1025);
	change_peer_moved(&x.change, &m);
	x.change.next = NULL;
	CU_ASSERT_STRING_EQUAL(peer_of(&x, "roams"), "198.51.100.7 port 1025");
	CU_ASSERT_TRUE(natt_has_moved(&next->sad.tunnels[0]));
	CU_ASSERT_EQUAL(ntohs(next->sad.tunnels[0].natt.peer_port), 1025);
	config_free(next);
	keyd_finish(&x);
}

CU_TestInfo natt_tests[] = {
	{ "sightings, row by row", sightings },
	{ "of a tunnel that is not there", no_such_tunnel },
	{ "shown, and kept over reload and restart", outlives },
	{ "amid a change", amid_a_change },
	CU_TEST_INFO_NULL,
};
