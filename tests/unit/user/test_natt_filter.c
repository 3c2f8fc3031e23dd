/* SPDX-License-Identifier: BSD-2-Clause */
/* What a raw UDP socket lets through, asked of the kernel: datagrams to loopback, both families. */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "slow/natt_filter.h"
#include "tests/unit/user/namespace.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *what;
	uint32_t ports_n; /* 4500, 4501, ... are ours */
	uint16_t port;    /* it goes there */
	const char *payload;
	size_t len;
	bool passes;
} rows[] = {
	{ "ESP", 1, 4500, "\0\1\0\1\0\0\0\1text", 12, true },
	{ "ESP to the second of two", 2, 4501, "\1\0\0\0\0\0\0\1", 8, true },
	{ "ESP to the first of many", 64, 4500, "\0\1\0\1\0\0\0\1", 8, true },
	{ "ESP to the last of as many as fit", 64, 4563, "\0\1\0\1\0\0\0\1", 8, true },
	{ "ESP to another port", 64, 4564, "\0\1\0\1\0\0\0\1", 8, false },
	{ "ESP where no port is ours", 0, 4500, "\0\1\0\1\0\0\0\1", 8, false },
	{ "more ports than fit: all", 65, 9, "\0\1\0\1\0\0\0\1", 8, true },
	{ "IKE, with more ports than fit", 65, 4500, "\0\0\0\0\0\0\0\1", 8, false },
	{ "IKE", 1, 4500, "\0\0\0\0initiator's", 15, false },
	{ "marker alone", 1, 4500, "\0\0\0\0", 4, false },
	{ "keepalive", 1, 4500, "\xff", 1, false },
	{ "three bytes", 1, 4500, "\1\1\1", 3, false },
	{ "empty", 1, 4500, "", 0, false },
};

static bool passes(int raw, int udp, size_t i, bool ip4)
{
	const struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = htons(rows[i].port),
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct sockaddr_in6 to6 = { .sin6_family = AF_INET6,
					  .sin6_port = htons(rows[i].port),
					  .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const struct sockaddr *to = ip4 ? (const void *)&to4 : (const void *)&to6;
	struct pollfd p = { .fd = raw, .events = POLLIN };
	uint8_t got[256];

	/* Loopback delivers within sendto(): what is not there afterwards will not come. */
	if (sendto(udp, rows[i].payload, rows[i].len, 0, to, ip4 ? sizeof(to4) : sizeof(to6)) < 0) {
		/* A port unreachable of the row before is told here: once more. */
		if (sendto(udp, rows[i].payload, rows[i].len, 0, to,
			   ip4 ? sizeof(to4) : sizeof(to6)) < 0)
			perror(rows[i].what);
	}
	if (poll(&p, 1, 0) <= 0)
		return false;
	return recv(raw, got, sizeof(got), MSG_DONTWAIT) > 0;
}

static int all_rows(void)
{
	__be16 ports[NATT_FILTER_PORTS + 1];
	int bad = 0;

	for (uint32_t i = 0; i < LEN(ports); i++)
		ports[i] = htons((uint16_t)(4500 + i));
	for (int ip4 = 0; ip4 < 2; ip4++) {
		int family = ip4 ? AF_INET : AF_INET6;
		int raw = socket(family, SOCK_RAW, IPPROTO_UDP), udp = socket(family, SOCK_DGRAM, 0);

		for (size_t i = 0; i < LEN(rows); i++) {
			if (natt_filter_attach(raw, ip4, ports, rows[i].ports_n) ||
			    passes(raw, udp, i, ip4) != rows[i].passes) {
				fprintf(stderr, "natt filter: IPv%d: %s\n", ip4 ? 4 : 6,
					rows[i].what);
				bad = 1;
			}
		}
		close(raw);
		close(udp);
	}
	return bad;
}

static void filter_rows(void)
{
	CU_ASSERT_TRUE(namespace_run(all_rows));
}

CU_TestInfo natt_filter_tests[] = {
	{ "what passes, row by row, both families", filter_rows },
	CU_TEST_INFO_NULL,
};
