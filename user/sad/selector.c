/* SPDX-License-Identifier: BSD-2-Clause */
/* selector.c - see selector.h. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sad/selector.h"
#include "xesp/fault.h"

struct selector_addr selector_addr_of(const void *be128)
{
	uint64_t w[2];

	memcpy(w, be128, sizeof(w));
	return (struct selector_addr){ be64toh(w[0]), be64toh(w[1]) };
}

struct selector_addr selector_addr_of_ip4(const void *be32)
{
	uint32_t w;

	memcpy(&w, be32, sizeof(w));
	return (struct selector_addr){ 0, 0xffff00000000ull | be32toh(w) };
}

static bool is_above(const struct selector_addr *a, const struct selector_addr *b)
{
	return a->hi != b->hi ? a->hi > b->hi : a->lo > b->lo;
}

static bool is_within(const struct selector_addr *a, const struct selector_addr *first,
		      const struct selector_addr *last)
{
	return !is_above(first, a) && !is_above(a, last);
}

static bool row_matches(const struct selector_row *r, const struct selector_key *k)
{
	if ((r->proto && r->proto != k->proto) || (r->family && r->family != k->family))
		return false;
	if (!is_within(&k->remote, &r->remote_first, &r->remote_last) ||
	    !is_within(&k->local, &r->local_first, &r->local_last))
		return false;
	if (r->any_port)
		return true;
	return k->ports_known && k->local_port >= r->local_port_first &&
	       k->local_port <= r->local_port_last && k->remote_port >= r->remote_port_first &&
	       k->remote_port <= r->remote_port_last;
}

bool selectors_match(const struct selectors *s, const struct selector_key *k)
{
	for (uint32_t i = 0; s && i < s->n; i++)
		if (row_matches(&s->row[i], k))
			return true;
	return false;
}

static int set_row(struct selector_row *r, const struct xesp_selector *m)
{
	*r = (struct selector_row){
		.local_first = selector_addr_of(&m->local_first),
		.local_last = selector_addr_of(&m->local_last),
		.remote_first = selector_addr_of(&m->remote_first),
		.remote_last = selector_addr_of(&m->remote_last),
		.local_port_first = m->local_port_first,
		.local_port_last = m->local_port_last,
		.remote_port_first = m->remote_port_first,
		.remote_port_last = m->remote_port_last,
		.proto = m->proto,
		.family = m->family,
	};
	r->any_port = !r->local_port_first && r->local_port_last == UINT16_MAX &&
		      !r->remote_port_first && r->remote_port_last == UINT16_MAX;
	if (r->family && r->family != 4 && r->family != 6)
		return -EINVAL;
	if (is_above(&r->local_first, &r->local_last) ||
	    is_above(&r->remote_first, &r->remote_last) ||
	    r->local_port_first > r->local_port_last || r->remote_port_first > r->remote_port_last)
		return -EINVAL;
	return 0;
}

int selectors_append(struct selectors **out, const struct selectors *before,
		     const struct xesp_selector *sel, uint32_t n, struct fault *f)
{
	uint32_t old_n = before ? before->n : 0;
	struct selectors *s;

	s = calloc(1, sizeof(*s) + ((size_t)old_n + n) * sizeof(s->row[0]));
	if (!s)
		return fault_set(f, -ENOMEM, "out of memory");
	if (old_n)
		memcpy(s->row, before->row, old_n * sizeof(s->row[0]));
	s->n = old_n + n;
	for (uint32_t i = 0; i < n; i++) {
		if (set_row(&s->row[old_n + i], &sel[i])) {
			free(s);
			return fault_set(f, -EINVAL,
					 "selector %u: first is above last, or no such family",
					 old_n + i);
		}
	}
	*out = s;
	return 0;
}
