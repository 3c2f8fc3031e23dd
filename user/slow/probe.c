/* SPDX-License-Identifier: BSD-2-Clause */
/* probe.c - see probe.h, and slow_echo_*() in slow.h. */
#include <errno.h>
#include <openssl/rand.h>
#include <string.h>

#include "esp/esp.h"
#include "esp/inner.h"
#include "fib/fib.h"
#include "libxesp/addr.h"
#include "sad/group.h"
#include "sad/sa.h"
#include "sad/sad.h"
#include "slow/probe.h"
#include "slow/room.h"

int probe_init(struct probe *pr)
{
	memset(pr, 0, sizeof(*pr));
	return RAND_bytes((unsigned char *)&pr->secret, sizeof(pr->secret)) == 1 ? 0 : -EIO;
}

void slow_echo_on(struct slow *s, enum echo_kind kind, const struct slow_echo_calls *calls)
{
	s->probe.calls[kind] = *calls;
}

bool slow_echo_send(struct slow *s, const struct echo *e, uint32_t len)
{
	struct echo whole = *e;
	struct batch *b = &s->pieces;
	uint8_t *buf = s->piece_buf;

	if (addr_is_unset(&whole.local) && !fib_source(s->o.fib, &whole.remote, &whole.local))
		return false;
	if (addr_is_ip4(&whole.local) != addr_is_ip4(&whole.remote) ||
	    len > SLOT_BYTES - HEADROOM - TAILROOM ||
	    !echo_make(&whole, s->probe.secret, len, buf + HEADROOM))
		return false;
	b->n = 1;
	b->pkt[0] = (struct pkt){ .l3 = buf + HEADROOM,
				  .len = len,
				  .id = e->tunnel,
				  .head = buf,
				  .end = buf + SLOT_BYTES,
				  .probe = e->kind == ECHO_PMTU,
				  .local = true };
	slow_hold_sas(s);
	esp_encap(s->o.esp, b);
	if (!b->pkt[0].drop)
		out_to_wire(s, &b->pkt[0]);
	slow_let_sas_go(s);
	return !b->pkt[0].drop;
}

static struct probe_asked *slot_of(struct probe *pr, const struct probe_asked *a)
{
	uint32_t hash = a->id * 0x9e3779b1u;

	for (int i = 0; i < 4; i++)
		hash = (hash ^ a->local.w[i] ^ a->remote.w[i] << 1) * 0x85ebca6bu;
	return &pr->asked[(hash >> 16) % PROBE_ASKED];
}

/* Ends of an IP packet that echo_look() has found to be one; `in` is out of the tunnel. */
static struct probe_asked ends_of(const uint8_t *ip, uint16_t id, bool in)
{
	struct probe_asked a = { .id = id };
	struct xesp_addr *src = in ? &a.remote : &a.local, *dst = in ? &a.local : &a.remote;

	if (ip[0] >> 4 == 4) {
		addr_from_ip4(src, ip + 12);
		addr_from_ip4(dst, ip + 16);
	} else {
		addr_from_ip6(src, ip + 8);
		addr_from_ip6(dst, ip + 24);
	}
	return a;
}

bool probe_takes(struct slow *s, const struct pkt *p)
{
	const struct slow_echo_calls *c;
	struct probe_asked a;
	const struct sa *sa;
	struct echo e;
	uint16_t id;

	switch (echo_look(p->l3, p->len, &id)) {
	case ECHO_REPLY:
		if (!echo_read(p->l3, p->len, s->probe.secret, &e))
			return false;
		c = &s->probe.calls[e.kind];
		if (c->answered)
			c->answered(c->ctx, &e);
		return true;
	case ECHO_REQUEST:
		sa = sad_find(s->o.sad, p->id);
		if (!sa)
			return false;
		a = ends_of(p->l3, id, true);
		a.tunnel = sa->tunnel;
		*slot_of(&s->probe, &a) = a;
		return false;
	default:
		return false;
	}
}

static bool is_member(const struct group *g, uint32_t tunnel)
{
	for (uint32_t i = 0; i < g->n; i++)
		if (g->member[i] == tunnel)
			return true;
	return false;
}

uint32_t probe_way_back(struct slow *s, const struct pkt *p, uint32_t id)
{
	const struct group *g = groups_find(sad_groups(s->o.sad), id);
	const struct probe_asked *was;
	struct probe_asked a;
	uint16_t echo_id;

	if (!g || echo_look(p->l3, p->len, &echo_id) != ECHO_REPLY)
		return id;
	a = ends_of(p->l3, echo_id, false);
	was = slot_of(&s->probe, &a);
	if (!addr_equal(&was->local, &a.local) || !addr_equal(&was->remote, &a.remote) ||
	    was->id != a.id || !is_member(g, was->tunnel))
		return id;
	return was->tunnel;
}
