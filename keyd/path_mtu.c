/* SPDX-License-Identifier: BSD-2-Clause */
/* path_mtu.c - see path_mtu.h. */
#include <errno.h>
#include <string.h>

#include "keyd/numbers.h"
#include "keyd/path_mtu.h"
#include "keyd/sad.h"
#include "keyd/schema.h"
#include "libxesp/addr.h"

#define FLOOR_LEAST_IP4   128  /* so that 68 bytes fit inside, RFC 791 */
#define FLOOR_DEFAULT_IP4 576  /* what every host takes, RFC 1122 section 3.3.3 */
#define FLOOR_IP6         1280 /* RFC 8200 section 5 */
#define AGE_LEAST         5
#define AGE_DEFAULT       600 /* RFC 1191 section 6.3, RFC 8201 section 4: ten minutes */
#define AGE_MOST          86400

static int take_probe_address(struct xesp_addr *a, const char *text, const char *path,
			      const char *key, struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX], shown[PROBLEMS_SHOWN_MAX];

	if (!text)
		return 0;
	problems_below(where, path, key);
	if (addr_parse(a, text, NULL) || addr_is_unset(a))
		return problems_add(ps, where, "%s is not an IPv4 or IPv6 address of a host",
				    problems_shown(text, shown));
	return 0;
}

static int take_probe(struct tunnel *t, const struct raw_tunnel *raw, const char *path,
		      struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX];
	int err;

	err = take_probe_address(&t->probe_local, raw->probe_local, path, "probe_local", ps);
	err |= take_probe_address(&t->probe_remote, raw->probe_remote, path, "probe_remote", ps);
	if (err)
		return err;
	t->pmtu_probe = raw->pmtu_probe == RAW_YES;
	problems_below(where, path, "pmtu_probe");
	if (t->pmtu_probe && t->pmtu == XESP_PMTU_FIXED)
		return problems_add(ps, where, "with pmtu: fixed nothing is probed; leave one of them out");
	if (t->pmtu_probe && !raw->probe_remote)
		return problems_add(ps, where,
				    "needs probe_remote: an address behind the peer that answers pings");
	problems_below(where, path, "probe_local");
	if (raw->probe_local && !raw->probe_remote)
		return problems_add(ps, where, "needs probe_remote");
	if (raw->probe_local && addr_is_ip4(&t->probe_local) != addr_is_ip4(&t->probe_remote))
		return problems_add(ps, where, "is not of probe_remote's IP version");
	return 0;
}

static int take_mss(struct tunnel *t, const char *text, const char *path, struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX], shown[PROBLEMS_SHOWN_MAX];
	uint64_t value;

	t->mss = XESP_MSS_AUTO;
	if (!text || !strcmp(text, "auto"))
		return 0;
	if (!strcmp(text, "off")) {
		t->mss = XESP_MSS_OFF;
		return 0;
	}
	problems_below(where, path, "mss");
	if (numbers_parse(&value, text) || value < XESP_MSS_MIN || value > UINT16_MAX)
		return problems_add(ps, where, "%s is neither off, auto nor a number from %d to %d",
				    problems_shown(text, shown), XESP_MSS_MIN, UINT16_MAX);
	t->mss = (uint16_t)value;
	return 0;
}

int path_mtu_take(struct tunnel *t, const struct raw_tunnel *raw, const char *path,
		  struct problems *ps)
{
	const bool ip4 = addr_is_ip4(&t->local);
	const struct number_range floors = { ip4 ? FLOOR_LEAST_IP4 : FLOOR_IP6, UINT16_MAX, NULL };
	const struct number_range ages = { AGE_LEAST, AGE_MOST, NULL };
	uint64_t floor = ip4 ? FLOOR_DEFAULT_IP4 : FLOOR_IP6, age = AGE_DEFAULT;
	char where[PROBLEMS_PATH_MAX];
	int err;

	t->pmtu = raw->pmtu == RAW_PMTU_FIXED ? XESP_PMTU_FIXED : XESP_PMTU_LEARN;
	t->icmp_check = raw->icmp_check != RAW_NO;
	problems_below(where, path, "pmtu_floor");
	err = numbers_take(&floor, raw->pmtu_floor, &floors, where, ps);
	problems_below(where, path, "pmtu_age");
	err |= numbers_take(&age, raw->pmtu_age, &ages, where, ps);
	err |= take_mss(t, raw->mss, path, ps);
	t->pmtu_floor = (uint16_t)floor;
	t->pmtu_age = (uint32_t)age;
	return err | take_probe(t, raw, path, ps) ? -EINVAL : 0;
}
