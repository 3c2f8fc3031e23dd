/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages that keyd may not send: each of these ends the connection. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xesp/fault.h"
#include "xesp/keymsg.h"
#include "xespd/keyd_link.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define V XESP_KEYMSG_VERSION

static const struct bad {
	const char *what;
	uint32_t claims; /* h.len */
	uint16_t type, version;
	size_t len; /* bytes sent */
	const char *says;
} bad[] = {
	{ "shorter than a header", 8, XESP_KEYMSG_SYNC_BEGIN, V, 8, "shorter than its header" },
	{ "claims more than there is", 17, XESP_KEYMSG_SYNC_BEGIN, V, 16, "claims 17" },
	{ "claims less than there is", 16, XESP_KEYMSG_SYNC_BEGIN, V, 17, "claims 16" },
	{ "another version", 16, XESP_KEYMSG_SYNC_BEGIN, V + 1, 16, "restart both" },
	{ "type 0", 16, 0, V, 16, "type 0" },
	{ "our own LEASE_REQUEST", 24, XESP_KEYMSG_LEASE_REQUEST, V, 24, "type 11" },
	{ "our own ACK", 144, XESP_KEYMSG_ACK, V, 144, "type 12" },
	{ "our own PEER_MOVED", 40, XESP_KEYMSG_PEER_MOVED, V, 40, "type 14" },
	{ "a type that is not", 16, 200, V, 16, "type 200" },
	{ "type 65535", 16, 65535, V, 16, "type 65535" },
	{ "an SA one byte short", sizeof(struct xesp_keymsg_sa) - 1, XESP_KEYMSG_SA_ADD, V,
	  sizeof(struct xesp_keymsg_sa) - 1, "SA_ADD of" },
	{ "an SA one byte long", sizeof(struct xesp_keymsg_sa) + 1, XESP_KEYMSG_SA_ADD, V,
	  sizeof(struct xesp_keymsg_sa) + 1, "SA_ADD of" },
	{ "a group without its members", 56, XESP_KEYMSG_GROUP_SET, V, 56, "GROUP_SET of 56" },
	{ "a lease without its last", 32, XESP_KEYMSG_LEASE_GRANT, V, 32, "LEASE_GRANT of 32" },
	{ "a spread without its mode", 16, XESP_KEYMSG_SPREAD, V, 16, "SPREAD of 16" },
	{ "a tunnel with CPUs that it does not count", sizeof(struct xesp_keymsg_tunnel) + 8,
	  XESP_KEYMSG_TUNNEL_SET, V, sizeof(struct xesp_keymsg_tunnel) + 8, "TUNNEL_SET of" },
	{ "a tunnel of a header", 16, XESP_KEYMSG_TUNNEL_SET, V, 16, "TUNNEL_SET of 16" },
};

static size_t build(uint8_t buf[XESP_KEYMSG_MAX], const struct bad *b)
{
	struct xesp_keymsg h = { .len = b->claims, .type = b->type, .version = b->version };

	memset(buf, 0, XESP_KEYMSG_MAX);
	memcpy(buf, &h, sizeof(h));
	return b->len;
}

static void malformed_rows(void)
{
	uint8_t *buf = malloc(XESP_KEYMSG_MAX);

	for (size_t i = 0; i < LEN(bad); i++) {
		struct fault f = { "" };
		size_t len = build(buf, &bad[i]);
		/* Of its own length, so that a sanitiser sees a read beyond it. */
		void *exact = malloc(len);
		int err;

		memcpy(exact, buf, len);
		err = keyd_link_check(exact, len, &f);
		if (err != -EPROTO || !strstr(f.text, bad[i].says))
			fprintf(stderr, "keyd link: %s: %d '%s'\n", bad[i].what, err, f.text);
		CU_ASSERT_EQUAL(err, -EPROTO);
		CU_ASSERT_PTR_NOT_NULL(strstr(f.text, bad[i].says));
		free(exact);
	}
	free(buf);
}

static void a_name_must_end(void)
{
	struct xesp_keymsg_tunnel tunnel = {
		.h = { sizeof(tunnel), XESP_KEYMSG_TUNNEL_SET, XESP_KEYMSG_VERSION, 1, 0 },
		.name = "site",
	};

	CU_ASSERT_EQUAL(keyd_link_check(&tunnel, sizeof(tunnel), NULL), 0);
	memset(tunnel.name, 'x', sizeof(tunnel.name));
	CU_ASSERT_EQUAL(keyd_link_check(&tunnel, sizeof(tunnel), NULL), -EPROTO);
}

CU_TestInfo keyd_link_check_tests[] = {
	{ "malformed messages, row by row", malformed_rows },
	{ "a tunnel's name must end", a_name_must_end },
	CU_TEST_INFO_NULL,
};
