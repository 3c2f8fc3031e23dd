/* SPDX-License-Identifier: BSD-2-Clause */
/* test_local_addrs.c - this machine's addresses as the kernel says them, and the map made equal. */
#include <CUnit/CUnit.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>

#include "keyd/local_addrs.h"
#include "libxesp/addr.h"
#include "tests/unit/keyd/fixture.h"

static bool has(int fd, const char *text, uint32_t *ifindex)
{
	struct xesp_addr a;

	CU_ASSERT_EQUAL_FATAL(addr_parse(&a, text, NULL), 0);
	return !bpf_map_lookup_elem(fd, &a, ifindex);
}

static void test_the_map_is_made_equal(void)
{
	struct local_addr own[3] = { { .ifindex = 3 }, { .ifindex = 3, .broadcast = true },
				     { .ifindex = 4 } };
	struct local_addrs l = { 3, own };
	struct pins pins;
	uint32_t ifindex;
	int fd;

	CU_ASSERT_FATAL(fixture_pins(&pins, 8, 64));
	fd = pins.fd[PINS_LOCAL];
	addr_parse(&own[0].addr, "10.1.0.1", NULL);
	addr_parse(&own[1].addr, "10.1.0.255", NULL);
	addr_parse(&own[2].addr, "2001:db8::1", NULL);
	CU_ASSERT_EQUAL(local_addrs_publish(&l, fd, NULL), 0);
	CU_ASSERT(has(fd, "10.1.0.1", &ifindex) && ifindex == 3);
	CU_ASSERT(has(fd, "10.1.0.255", &ifindex));
	CU_ASSERT(has(fd, "2001:db8::1", &ifindex) && ifindex == 4);
	/* One goes, one moves to another interface. */
	own[0].ifindex = 5;
	l.n = 1;
	CU_ASSERT_EQUAL(local_addrs_publish(&l, fd, NULL), 0);
	CU_ASSERT(has(fd, "10.1.0.1", &ifindex) && ifindex == 5);
	CU_ASSERT_FALSE(has(fd, "10.1.0.255", &ifindex));
	CU_ASSERT_FALSE(has(fd, "2001:db8::1", &ifindex));
	pins_close(&pins);
}

static void test_the_kernel_is_asked(void)
{
	struct local_addrs l = { 0 };
	struct xesp_addr lo;
	bool found = false;

	addr_parse(&lo, "127.0.0.1", NULL);
	for (int turn = 0; turn < 2; turn++) /* the second frees the first */
		CU_ASSERT_EQUAL_FATAL(local_addrs_read(&l, NULL), 0);
	for (size_t i = 0; i < l.n; i++)
		found |= addr_equal(&l.addrs[i].addr, &lo) && !l.addrs[i].global;
	CU_ASSERT(found);
	local_addrs_fini(&l);
}

CU_TestInfo local_addrs_tests[] = {
	{ "new ones in, stale ones out, moved ones moved", test_the_map_is_made_equal },
	{ "loopback is among them, and not for a source", test_the_kernel_is_asked },
	CU_TEST_INFO_NULL,
};
