/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm_overlap.c - see xfrm_overlap.h.
 *
 * Prefixes either nest or have nothing in common. Sorted by the peer's prefix, shorter ones first, those
 * that a prefix lies in are the ones still open before it: a stack. Only these are compared whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/xfrm_builder.h"
#include "keyd/xfrm_entry.h"
#include "keyd/xfrm_overlap.h"
#include "libxesp/addr.h"

#define COMPARED_MAX 1000000 /* pairs in one reading of the tables */

/* The side that differs from policy to policy where many are: the peer's. */
static const struct xesp_addr *peer_of(const struct xfrm_policy_entry *p, uint8_t *len)
{
	const bool out = p->dir == XFRM_ENTRY_OUT;

	*len = out ? p->dst_len : p->src_len;
	return out ? &p->dst : &p->src;
}

static bool lies_in(const struct xesp_addr *a, const struct xesp_addr *prefix, uint8_t len)
{
	const uint8_t *x = (const uint8_t *)a->w, *y = (const uint8_t *)prefix->w;
	const uint8_t left = len % 8;

	return !memcmp(x, y, len / 8) && (!left || !((x[len / 8] ^ y[len / 8]) >> (8 - left)));
}

static bool share_addresses(const struct xesp_addr *a, uint8_t a_len, const struct xesp_addr *b,
			    uint8_t b_len)
{
	return a_len < b_len ? lies_in(b, a, a_len) : lies_in(a, b, b_len);
}

static bool share_ports(uint16_t a_first, uint16_t a_last, uint16_t b_first, uint16_t b_last)
{
	return a_first <= b_last && b_first <= a_last;
}

static bool do_the_same(const struct xfrm_policy_entry *a, const struct xfrm_policy_entry *b)
{
	if (a->block != b->block || a->tmpls_n != b->tmpls_n)
		return false;
	for (uint8_t i = 0; i < a->tmpls_n; i++) {
		const struct xfrm_tmpl_entry *s = &a->tmpl[i], *t = &b->tmpl[i];

		if (s->reqid != t->reqid || s->proto != t->proto || s->mode != t->mode ||
		    !addr_equal(&s->src, &t->src) || !addr_equal(&s->dst, &t->dst))
			return false;
	}
	return true;
}

static bool is_undecided(const struct xfrm_policy_entry *a, const struct xfrm_policy_entry *b)
{
	return share_addresses(&a->src, a->src_len, &b->src, b->src_len) &&
	       share_addresses(&a->dst, a->dst_len, &b->dst, b->dst_len) &&
	       (!a->proto || !b->proto || a->proto == b->proto) &&
	       share_ports(a->sport_first, a->sport_last, b->sport_first, b->sport_last) &&
	       share_ports(a->dport_first, a->dport_last, b->dport_first, b->dport_last) &&
	       a->if_id == b->if_id && a->mark == b->mark && !do_the_same(a, b);
}

static int by_peer(const void *x, const void *y)
{
	const struct xfrm_policy_entry *a = *(const struct xfrm_policy_entry *const *)x;
	const struct xfrm_policy_entry *b = *(const struct xfrm_policy_entry *const *)y;
	const struct xesp_addr *p, *q;
	uint8_t p_len, q_len;
	int order;

	if (a->dir != b->dir)
		return a->dir < b->dir ? -1 : 1;
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	p = peer_of(a, &p_len);
	q = peer_of(b, &q_len);
	order = memcmp(p->w, q->w, sizeof(p->w));
	if (order)
		return order;
	if (p_len != q_len)
		return p_len < q_len ? -1 : 1;
	return a < b ? -1 : a > b;
}

static void note(struct xfrm_overlap *out, const struct xfrm_policy_entry *a,
		 const struct xfrm_policy_entry *b)
{
	char text[4][ADDR_TEXT_MAX];

	if (!out->n++)
		snprintf(out->first, sizeof(out->first), "policy %s %s to %s and %s to %s, both of priority %u",
			 builder_dir_word(a->dir), addr_print_prefix(&a->src, a->src_len, text[0]),
			 addr_print_prefix(&a->dst, a->dst_len, text[1]),
			 addr_print_prefix(&b->src, b->src_len, text[2]),
			 addr_print_prefix(&b->dst, b->dst_len, text[3]), a->priority);
}

/* `p` is sorted by by_peer(), of one priority; `open` has room for n. */
static void find_among(const struct xfrm_policy_entry **p, size_t n, size_t *open, size_t *compared,
		       struct xfrm_overlap *out)
{
	size_t depth = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t len, outer_len;
		const struct xesp_addr *peer = peer_of(p[i], &len), *outer;

		while (depth) {
			outer = peer_of(p[open[depth - 1]], &outer_len);
			if (p[open[depth - 1]]->dir == p[i]->dir &&
			    p[open[depth - 1]]->family == p[i]->family && lies_in(peer, outer, outer_len))
				break;
			depth--;
		}
		for (size_t k = depth; k-- > 0 && *compared < COMPARED_MAX; (*compared)++)
			if (is_undecided(p[open[k]], p[i]))
				note(out, p[open[k]], p[i]);
		open[depth++] = i;
	}
}

void xfrm_overlap_find(const struct xfrm_policy_entry *const *sorted, size_t n,
		       struct xfrm_overlap *out)
{
	const struct xfrm_policy_entry **same = calloc(n + 1, sizeof(*same));
	size_t *open = calloc(n + 1, sizeof(*open));
	size_t compared = 0;

	*out = (struct xfrm_overlap){ 0 };
	for (size_t from = 0, to; same && open && from < n; from = to) {
		for (to = from; to < n && sorted[to]->priority == sorted[from]->priority; to++)
			same[to - from] = sorted[to];
		if (to - from < 2)
			continue;
		qsort(same, to - from, sizeof(*same), by_peer);
		find_among(same, to - from, open, &compared, out);
	}
	free(same);
	free(open);
}
