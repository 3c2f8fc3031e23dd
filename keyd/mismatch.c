/* SPDX-License-Identifier: BSD-2-Clause */
/* mismatch.c - see mismatch.h. */
#include <arpa/inet.h>
#include <stdbool.h>

#include "keyd/mismatch.h"
#include "keyd/selector.h"
#include "keyd/spd.h"
#include "libxesp/addr.h"
#include "libxesp/spd_memory.h"

static bool is_under(const struct xesp_addr *a, const struct prefix *p)
{
	struct xesp_addr mask;

	addr_mask(&mask, p->len);
	for (int w = 0; w < 4; w++)
		if ((a->w[w] ^ p->addr.w[w]) & mask.w[w])
			return false;
	return true;
}

static bool has_addr(const struct prefix *p, uint32_t n, const struct xesp_addr *a)
{
	for (uint32_t i = 0; i < n; i++)
		if (is_under(a, &p[i]))
			return true;
	return false;
}

/* A list without entries takes all, whether they are there to be seen or not. */
static bool has_port(const struct port_range *r, uint32_t n, const struct spd_query *q, __be16 port)
{
	for (uint32_t i = 0; i < n; i++)
		if (q->fields == XESP_FIELDS_KNOWN && ntohs(port) >= r[i].first && ntohs(port) <= r[i].last)
			return true;
	return !n;
}

enum mismatch mismatch_of(const struct policy *p, const struct spd_query *q)
{
	const struct selector *s = &p->sel;

	if (!(p->dirs & 1 << q->dir))
		return MISMATCH_DIRECTION;
	if ((s->family && s->family != q->family) || !has_addr(s->local, s->local_n, &q->local))
		return MISMATCH_LOCAL;
	if (!has_addr(s->remote, s->remote_n, &q->remote))
		return MISMATCH_REMOTE;
	if (s->hidden || (s->proto && s->proto != q->proto))
		return MISMATCH_PROTOCOL;
	if ((s->opaque && q->fields == XESP_FIELDS_KNOWN) ||
	    !has_port(s->local_ports, s->local_ports_n, q, q->local_port))
		return MISMATCH_LOCAL_PORTS;
	if (!has_port(s->remote_ports, s->remote_ports_n, q, q->remote_port))
		return MISMATCH_REMOTE_PORTS;
	return MISMATCH_NONE;
}

uint32_t mismatch_first(const struct spd *spd, const struct spd_query *q)
{
	uint32_t i = 0;

	while (i < spd->n && mismatch_of(&spd->policies[i], q) != MISMATCH_NONE)
		i++;
	return i;
}

const char *mismatch_key(enum mismatch what, uint8_t proto)
{
	const enum selector_fields fields = selector_fields(proto);

	switch (what) {
	case MISMATCH_NONE:
		return "";
	case MISMATCH_DIRECTION:
		return "direction";
	case MISMATCH_LOCAL:
		return "local";
	case MISMATCH_REMOTE:
		return "remote";
	case MISMATCH_PROTOCOL:
		return "protocol";
	case MISMATCH_LOCAL_PORTS:
		return fields == SELECTOR_ICMP ? "icmp_type" :
		       fields == SELECTOR_MH   ? "mh_type" :
						 "local_ports";
	case MISMATCH_REMOTE_PORTS:
		return fields == SELECTOR_ICMP ? "icmp_code" : "remote_ports";
	}
	return "";
}
