/* SPDX-License-Identifier: BSD-2-Clause */
/* test_xfrm_lent.c - SAs that the kernel has for a while, so that it tells where their peer is. */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>

#include "keyd/sad.h"
#include "keyd/xfrm_lent.h"
#include "libxesp/addr.h"

#define T0 100000u

static struct tunnel tunnel_from(const char *remote, uint16_t port)
{
	struct tunnel t = { 0 };

	addr_parse(&t.local, "192.0.2.1", NULL);
	addr_parse(&t.remote, remote, NULL);
	t.natt.remote_port = htons(port);
	return t;
}

static struct xfrm_state_entry state_from(const char *remote, uint16_t port, uint32_t spi)
{
	struct xfrm_state_entry s = { .spi = spi, .encap_sport = port };

	addr_parse(&s.dst, "192.0.2.1", NULL);
	addr_parse(&s.src, remote, NULL);
	return s;
}

static void test_which(void)
{
	static const struct {
		const char *what, *remote;
		uint16_t port;
		uint32_t spi;
		uint64_t at;
		bool lent;
	} rows[] = {
		{ "at once", "198.51.100.7", 31000, 0x2001, T0, true },
		{ "to the end", "198.51.100.7", 31000, 0x2001, T0 + XFRM_LENT_MS - 1, true },
		{ "no longer", "198.51.100.7", 31000, 0x2001, T0 + XFRM_LENT_MS, false },
		{ "updated: another port", "198.51.100.7", 32000, 0x2001, T0 + 1, false },
		{ "updated: another address", "198.51.100.8", 31000, 0x2001, T0 + 1, false },
		{ "another SA", "198.51.100.7", 31000, 0x2002, T0 + 1, false },
	};
	const struct tunnel t = tunnel_from("198.51.100.7", 31000);
	const struct sa sa = { .spi = 0x2001 };
	struct xfrm_lent l = { 0 };

	CU_ASSERT_TRUE_FATAL(xfrm_lent_add(&l, &t, &sa, T0));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct xfrm_state_entry s = state_from(rows[i].remote, rows[i].port, rows[i].spi);

		if (xfrm_lent_has(&l, &s, rows[i].at) != rows[i].lent) {
			printf("  %s\n", rows[i].what);
			CU_FAIL("lent or not");
		}
	}
	xfrm_lent_fini(&l);
}

/* Whoever sends from two places in turn does not make the kernel carry the traffic for long. */
static void test_quiet(void)
{
	const struct tunnel t = tunnel_from("198.51.100.7", 31000), moved = tunnel_from("198.51.100.7", 32000);
	const struct sa sa = { .spi = 0x2001 };
	struct xfrm_lent l = { 0 };

	CU_ASSERT_TRUE(xfrm_lent_add(&l, &t, &sa, T0));
	CU_ASSERT_FALSE(xfrm_lent_add(&l, &t, &sa, T0 + 1));
	CU_ASSERT_FALSE(xfrm_lent_add(&l, &t, &sa, T0 + XFRM_QUIET_MS - 1));
	CU_ASSERT_TRUE(xfrm_lent_add(&l, &moved, &sa, T0 + 2)); /* that is another one now */
	CU_ASSERT_EQUAL(l.n, 2);
	CU_ASSERT_TRUE(xfrm_lent_add(&l, &t, &sa, T0 + XFRM_QUIET_MS));
	CU_ASSERT_EQUAL(l.n, 2); /* the old loan is forgotten */
	for (uint32_t i = 0; i < 100; i++) { /* room grows */
		const struct sa other = { .spi = 0x3000 + i };

		CU_ASSERT_TRUE(xfrm_lent_add(&l, &t, &other, T0 + XFRM_QUIET_MS));
	}
	xfrm_lent_prune(&l, T0 + 3 * XFRM_QUIET_MS);
	CU_ASSERT_EQUAL(l.n, 0);
	xfrm_lent_fini(&l);
}

CU_TestInfo xfrm_lent_tests[] = {
	{ "which SA is lent, and how long", test_which },
	{ "not again before it was quiet", test_quiet },
	CU_TEST_INFO_NULL,
};
