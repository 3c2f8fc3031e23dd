/* SPDX-License-Identifier: BSD-2-Clause */
/* spd_cut.c - see spd_cut.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "keyd/spd.h"
#include "keyd/spd_cut.h"
#include "libxesp/addr.h"

/* Ports of one side of a policy, cut. */
struct port_cuts {
	uint32_t n;
	struct port_cut *cut;
};

struct cutter {
	const struct policy *p;
	struct port_cuts local, remote;
	int (*visit)(void *ctx, const struct spd_piece *piece);
	void *ctx;
};

static int cut_ports(struct port_cuts *out, const struct port_range *r, uint32_t n)
{
	out->n = 0;
	out->cut = calloc(n ? (size_t)n * SELECTOR_CUTS_MAX : 1, sizeof(*out->cut));
	if (!out->cut)
		return -ENOMEM;
	if (!n) {
		out->n = 1; /* any: value 0 under mask 0 */
		return 0;
	}
	for (uint32_t i = 0; i < n; i++)
		out->n += selector_cut_ports(r[i], out->cut + out->n);
	return 0;
}

/* The packets that the policy itself can be held against. */
static uint8_t own_classes(const struct selector *s)
{
	const bool numbers = s->local_ports_n || s->remote_ports_n;
	unsigned int classes = 0;

	if (s->hidden) /* RFC 8200 section 4.5: what a later fragment names is hearsay */
		return (uint8_t)XESP_CLASS(6, XESP_FIELDS_LATER);
	for (unsigned int family = 4; family <= 6; family += 2) {
		if (s->family && s->family != family)
			continue;
		if (!s->opaque)
			classes |= XESP_CLASS(family, XESP_FIELDS_KNOWN);
		if (numbers)
			continue;
		classes |= XESP_CLASS(family, XESP_FIELDS_NONE);
		/* Who asks for what is opaque takes the protocol that a later fragment names. */
		if (family == 4 || !s->proto || s->opaque)
			classes |= XESP_CLASS(family, XESP_FIELDS_LATER);
	}
	return (uint8_t)classes;
}

static int visit_each_direction(const struct cutter *c, struct spd_piece *piece)
{
	int err = 0;

	for (int dir = 0; dir < XESP_DIR_MAX && !err; dir++) {
		if (!(c->p->dirs & 1 << dir))
			continue;
		piece->key.dir = (uint8_t)dir;
		err = c->visit(c->ctx, piece);
	}
	return err;
}

static struct spd_piece begin_piece(const struct prefix *local, const struct prefix *remote)
{
	struct spd_piece piece = { .key = { .local = local->addr, .remote = remote->addr } };

	addr_mask(&piece.tuple.local_mask, local->len);
	addr_mask(&piece.tuple.remote_mask, remote->len);
	return piece;
}

static int cut_own(const struct cutter *c, struct spd_piece *piece)
{
	const struct selector *s = &c->p->sel;
	int err = 0;

	piece->tuple.classes = own_classes(s);
	piece->tuple.proto_mask = s->proto ? 0xff : 0;
	piece->key.proto = s->proto;
	for (uint32_t l = 0; l < c->local.n && !err; l++) {
		piece->tuple.local_port_mask = htons(c->local.cut[l].mask);
		piece->key.local_port = htons(c->local.cut[l].value);
		for (uint32_t r = 0; r < c->remote.n && !err; r++) {
			piece->tuple.remote_port_mask = htons(c->remote.cut[r].mask);
			piece->key.remote_port = htons(c->remote.cut[r].value);
			err = visit_each_direction(c, piece);
		}
	}
	return err;
}

static int cut_shadow(const struct cutter *c, struct spd_piece piece)
{
	const struct selector *s = &c->p->sel;
	const bool numbers = s->local_ports_n || s->remote_ports_n;
	int err = 0;

	piece.fragment = true;
	if (s->family != 6 && numbers) {
		piece.tuple.classes = XESP_CLASS(4, XESP_FIELDS_LATER);
		piece.tuple.proto_mask = 0xff;
		piece.key.proto = s->proto;
		err = visit_each_direction(c, &piece);
	}
	if (s->family != 4 && s->proto && !s->opaque && !err) {
		piece.tuple.classes = (uint8_t)XESP_CLASS(6, XESP_FIELDS_LATER);
		piece.tuple.proto_mask = 0;
		piece.key.proto = 0;
		err = visit_each_direction(c, &piece);
	}
	return err;
}

static int cut_prefixes(const struct cutter *c)
{
	const struct selector *s = &c->p->sel;
	int err = 0;

	for (uint32_t l = 0; l < s->local_n && !err; l++) {
		for (uint32_t r = 0; r < s->remote_n && !err; r++) {
			struct spd_piece piece = begin_piece(&s->local[l], &s->remote[r]);

			err = cut_shadow(c, piece);
			if (!err)
				err = cut_own(c, &piece);
		}
	}
	return err;
}

int spd_cut(const struct policy *p, int (*visit)(void *ctx, const struct spd_piece *piece),
	    void *ctx)
{
	struct cutter c = { .p = p, .visit = visit, .ctx = ctx };
	int err;

	err = cut_ports(&c.local, p->sel.local_ports, p->sel.local_ports_n);
	if (!err)
		err = cut_ports(&c.remote, p->sel.remote_ports, p->sel.remote_ports_n);
	if (!err)
		err = cut_prefixes(&c);
	free(c.local.cut);
	free(c.remote.cut);
	return err;
}
