/* SPDX-License-Identifier: BSD-2-Clause */
/* transport.c - see transport.h. */
#include <errno.h>
#include <stdbool.h>

#include "keyd/sad.h"
#include "keyd/selector.h"
#include "keyd/transport.h"
#include "libxesp/addr.h"

#define WHOLE_LEN 128
#define IP4_LEN 96 /* prefix length of all IPv4 in the mapped form */

static bool is_any(const struct prefix *p, uint32_t n)
{
	return n == 1 && (!p->len || (p->len == IP4_LEN && addr_is_ip4(&p->addr)));
}

static int narrow(struct prefix *p, uint32_t n, const struct xesp_addr *end, const char *path,
		  const char *key, struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX], text[ADDR_TEXT_MAX];

	if (!is_any(p, n) && (n != 1 || p->len != WHOLE_LEN || !addr_equal(&p->addr, end))) {
		problems_below(where, path, key);
		return problems_add(ps, where,
				    "transport mode protects packets between the tunnel's own ends: leave it out, or write %s",
				    addr_print(end, text));
	}
	*p = (struct prefix){ .addr = *end, .len = WHOLE_LEN };
	return 0;
}

int transport_check(const struct tunnel *t, const char *path, struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX];
	int err = 0;

	if (t->mode != XESP_MODE_TRANSPORT)
		return 0;
	if (t->marks.tfc) {
		problems_below(where, path, "tfc");
		err = problems_add(ps, where, "transport mode has no padding that a receiver could take off");
	}
	if (t->marks.dummy_pps) {
		problems_below(where, path, "dummy");
		err = problems_add(ps, where, "transport mode has no header for packets that nobody sent");
	}
	return err ? -EINVAL : 0;
}

int transport_narrow(struct selector *s, const struct tunnel *t, const char *path,
		     struct problems *ps)
{
	int err;

	if (t->mode != XESP_MODE_TRANSPORT)
		return 0;
	err = narrow(s->local, s->local_n, &t->local, path, "local", ps);
	err |= narrow(s->remote, s->remote_n, &t->remote, path, "remote", ps);
	s->family = addr_is_ip4(&t->local) ? 4 : 6;
	return err ? -EINVAL : 0;
}
