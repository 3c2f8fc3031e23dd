/* SPDX-License-Identifier: BSD-2-Clause */
/* From an interface to a port and an Ethernet header: VLAN devices above attached ones. */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fib/link.h"
#include "fib/parse.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define UP     (IFF_UP | IFF_LOWER_UP | IFF_BROADCAST)

/* As the kernel would describe them; the message is parsed, not the structure filled. */
static const struct {
	uint32_t ifindex, flags, mtu, parent;
	uint16_t type, vlan_id, vlan_proto;
	uint8_t mac_last; /* 02:00:00:00:00:xx; 0: no address */
	bool foreign;     /* the parent is in another namespace */
} devices[] = {
	{ 9, UP, 1400, 4, ARPHRD_ETHER, 100, ETH_P_8021Q, 0x64, false },     /* before its parent */
	{ 4, UP, 1500, 0, ARPHRD_ETHER, 0, 0, 0x11, false },                 /* port 5 */
	{ 5, UP, 9000, 0, ARPHRD_ETHER, 0, 0, 0x12, false },                 /* not attached */
	{ 6, UP & ~IFF_LOWER_UP, 1500, 0, ARPHRD_ETHER, 0, 0, 0x13, false }, /* port 6 */
	{ 7, UP & ~IFF_UP, 1500, 0, ARPHRD_ETHER, 0, 0, 0x14, false },       /* port 7 */
	{ 8, UP | IFF_NOARP, 1500, 0, ARPHRD_ETHER, 0, 0, 0x15, false },     /* port 8 */
	{ 10, UP, 1500, 4, ARPHRD_ETHER, 200, ETH_P_8021AD, 0x11, false },
	{ 11, UP, 1496, 10, ARPHRD_ETHER, 5, ETH_P_8021Q, 0x11, false },
	{ 12, UP, 1496, 11, ARPHRD_ETHER, 6, ETH_P_8021Q, 0x11, false }, /* three tags */
	{ 13, UP, 1500, 7, ARPHRD_ETHER, 7, ETH_P_8021Q, 0x11, false },  /* on one that is down */
	{ 14, UP, 1500, 4, ARPHRD_ETHER, 8, ETH_P_8021Q, 0x11, true },
	{ 15, UP, 1500, 0, ARPHRD_NONE, 0, 0, 0, false }, /* xesp0, port 9 all the same */
	{ 16, UP, 1500, 16, ARPHRD_ETHER, 9, ETH_P_8021Q, 0x11, false }, /* its own parent */
	{ 17, UP, 1500, 99, ARPHRD_ETHER, 9, ETH_P_8021Q, 0x11, false }, /* parent unknown */
};

static const struct {
	const char *what;
	uint32_t ifindex;
	const char *l2; /* NULL: the kernel's */
	uint32_t port, mtu;
} rows[] = {
	{ "attached", 4, "0000000000000200000000110000", 5, 1500 },
	{ "not attached", 5, NULL, 0, 0 },
	{ "without carrier", 6, NULL, 0, 0 },
	{ "down", 7, NULL, 0, 0 },
	{ "without ARP", 8, NULL, 0, 0 },
	{ "VLAN, with an address and MTU of its own", 9, "000000000000020000000064810000640000", 5,
	  1400 },
	{ "802.1ad", 10, "00000000000002000000001188a800c80000", 5, 1500 },
	{ "QinQ: the outer tag is the parent's", 11, "00000000000002000000001188a800c8810000050000",
	  5, 1496 },
	{ "three tags", 12, NULL, 0, 0 },
	{ "VLAN on one that is down", 13, NULL, 0, 0 },
	{ "VLAN on one in another namespace", 14, NULL, 0, 0 },
	{ "TUN", 15, NULL, 0, 0 },
	{ "VLAN on itself", 16, NULL, 0, 0 },
	{ "VLAN on one that is unknown", 17, NULL, 0, 0 },
	{ "unknown", 99, NULL, 0, 0 },
	{ "none", 0, NULL, 0, 0 },
};

static void put_vlan(struct nl_msg *msg, uint16_t id, uint16_t proto)
{
	struct nlattr *info = nla_nest_start(msg, IFLA_LINKINFO), *data;

	nla_put_string(msg, IFLA_INFO_KIND, "vlan");
	data = nla_nest_start(msg, IFLA_INFO_DATA);
	nla_put_u16(msg, IFLA_VLAN_ID, id);
	nla_put_u16(msg, IFLA_VLAN_PROTOCOL, htons(proto));
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
}

static struct nl_msg *describe(size_t i, uint8_t family)
{
	struct ifinfomsg h = { .ifi_family = family,
			       .ifi_index = (int)devices[i].ifindex,
			       .ifi_type = devices[i].type,
			       .ifi_flags = devices[i].flags };
	uint8_t mac[6] = { 2, 0, 0, 0, 0, devices[i].mac_last };
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, 0);

	CU_ASSERT_PTR_NOT_NULL_FATAL(msg);
	nlmsg_append(msg, &h, sizeof(h), NLMSG_ALIGNTO);
	nla_put_u32(msg, IFLA_MTU, devices[i].mtu);
	if (devices[i].mac_last)
		nla_put(msg, IFLA_ADDRESS, sizeof(mac), mac);
	if (devices[i].parent)
		nla_put_u32(msg, IFLA_LINK, devices[i].parent);
	if (devices[i].foreign)
		nla_put_u32(msg, IFLA_LINK_NETNSID, 0);
	if (devices[i].vlan_proto)
		put_vlan(msg, devices[i].vlan_id, devices[i].vlan_proto);
	return msg;
}

static void resolve_rows(void)
{
	struct link_ports ports = { .ifindex = { [5] = 4, [6] = 6, [7] = 7, [8] = 8, [9] = 15 } };
	struct link_list l;

	link_list_init(&l);
	for (size_t i = 0; i < LEN(devices); i++) {
		struct nl_msg *msg = describe(i, AF_UNSPEC);
		struct link k;

		CU_ASSERT_TRUE_FATAL(parse_link(nlmsg_hdr(msg), &k));
		CU_ASSERT_EQUAL_FATAL(link_list_add(&l, &k), 0);
		nlmsg_free(msg);
	}
	link_list_sort(&l);
	for (size_t i = 0; i < LEN(rows); i++) {
		struct link_out out;
		char got[2 * FIB_L2_MAX + 1] = "";
		bool ok = link_resolve(&l, &ports, rows[i].ifindex, &out);

		CU_ASSERT_EQUAL(ok, rows[i].l2 != NULL);
		if (!ok || !rows[i].l2)
			continue;
		for (int b = 0; b < out.l2_len; b++)
			snprintf(got + 2 * b, 3, "%02x", out.l2[b]);
		if (strcmp(got, rows[i].l2))
			fprintf(stderr, "%s: %s\n", rows[i].what, got);
		CU_ASSERT_STRING_EQUAL(got, rows[i].l2);
		CU_ASSERT_EQUAL(out.port, rows[i].port);
		CU_ASSERT_EQUAL(out.mtu, rows[i].mtu);
	}
	link_list_fini(&l);
}

/* A message cut off anywhere is refused or read without what was cut; ASan watches the ends. */
static void cut_off(void)
{
	struct nl_msg *msg = describe(0, AF_UNSPEC);
	uint32_t len = nlmsg_hdr(msg)->nlmsg_len;
	struct link k;

	for (uint32_t n = NLMSG_HDRLEN; n < len; n++) {
		struct nlmsghdr *copy = malloc(n);

		CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
		memcpy(copy, nlmsg_hdr(msg), n);
		copy->nlmsg_len = n;
		CU_ASSERT_EQUAL(parse_link(copy, &k), n >= NLMSG_LENGTH(sizeof(struct ifinfomsg)));
		free(copy);
	}
	nlmsg_free(msg);
	msg = describe(0, AF_BRIDGE);
	CU_ASSERT_FALSE(parse_link(nlmsg_hdr(msg), &k)); /* a bridge port, not the interface */
	nlmsg_free(msg);
}

CU_TestInfo link_tests[] = {
	{ "which interface leads to which port, with which header", resolve_rows },
	{ "messages cut off at every length", cut_off },
	CU_TEST_INFO_NULL,
};
