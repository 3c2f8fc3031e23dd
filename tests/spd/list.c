/* SPDX-License-Identifier: BSD-2-Clause */
/* list.c - see list.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/sad.h"
#include "keyd/spd.h"
#include "keyd/spd_diff.h"
#include "keyd/spd_table.h"
#include "libxesp/addr.h"
#include "tests/spd/list.h"
#include "xesp/fault.h"

struct list {
	struct spd_table *table;
};

static void *must(void *p)
{
	if (!p) {
		fprintf(stderr, "list: out of memory\n");
		exit(70);
	}
	return p;
}

static void take_prefix(struct prefix **out, uint32_t *n, uint8_t *family, const char *text)
{
	struct fault f = { "" };

	*out = must(calloc(1, sizeof(**out)));
	*n = 1;
	if (!text)
		return;
	if (addr_parse_prefix(&(*out)->addr, &(*out)->len, text, &f)) {
		fprintf(stderr, "list: %s\n", f.text);
		exit(70);
	}
	*family = addr_is_ip4(&(*out)->addr) ? 4 : 6;
}

static void take_ports(struct port_range **out, uint32_t *n, bool given, uint16_t first,
		       uint16_t last)
{
	if (!given && !first && !last)
		return;
	*out = must(calloc(1, sizeof(**out)));
	**out = (struct port_range){ first, last ? last : first };
	*n = 1;
}

/* The other side's "any" is of the same family, as selector.c has it. */
static void settle_family(struct selector *s)
{
	if (s->family == 4 && !s->local->len)
		addr_parse_prefix(&s->local->addr, &s->local->len, "0.0.0.0/0", NULL);
	if (s->family == 4 && !s->remote->len)
		addr_parse_prefix(&s->remote->addr, &s->remote->len, "0.0.0.0/0", NULL);
}

static void take_row(struct spd *spd, uint32_t i, const struct list_row *r)
{
	struct policy *p = &spd->policies[i];
	struct selector *s = &p->sel;

	snprintf(p->name, sizeof(p->name), "p%u-%u", r->id, i);
	p->action = (uint8_t)r->action;
	p->tunnel = r->action == XESP_ACTION_PROTECT ? i : SAD_NONE;
	p->dirs = r->in_only ? 1 << XESP_DIR_IN : r->out_only ? 1 << XESP_DIR_OUT : 3;
	s->proto = r->proto;
	s->opaque = r->opaque;
	take_prefix(&s->local, &s->local_n, &s->family, r->local);
	take_prefix(&s->remote, &s->remote_n, &s->family, r->remote);
	settle_family(s);
	take_ports(&s->local_ports, &s->local_ports_n, r->has_local, r->local_port,
		   r->local_port_last);
	take_ports(&s->remote_ports, &s->remote_ports_n, r->has_remote, r->remote_port,
		   r->remote_port_last);
	spd->ids[i] = r->id;
}

static struct spd *make_spd(uint32_t n, enum xesp_action default_action)
{
	struct spd *spd = must(calloc(1, sizeof(*spd)));

	spd->n = n;
	spd->default_action = (uint8_t)default_action;
	spd->policies = must(calloc(n + 1, sizeof(*spd->policies)));
	spd->ids = must(calloc(n + 1, sizeof(*spd->ids)));
	spd->ranks = must(calloc(n + 1, sizeof(*spd->ranks)));
	spd->digests = must(calloc(n + 1, sizeof(*spd->digests)));
	return spd;
}

static void free_spd(struct spd *spd)
{
	for (uint32_t i = 0; spd && i < spd->n; i++) {
		free(spd->policies[i].sel.local);
		free(spd->policies[i].sel.remote);
		free(spd->policies[i].sel.local_ports);
		free(spd->policies[i].sel.remote_ports);
	}
	if (!spd)
		return;
	free(spd->policies);
	free(spd->ids);
	free(spd->ranks);
	free(spd->digests);
	free(spd);
}

struct list *list_open(struct spd_memory *m)
{
	struct list *l = must(calloc(1, sizeof(*l)));

	if (spd_table_open(&l->table, m, NULL))
		must(NULL);
	return l;
}

void list_close(struct list *l)
{
	if (!l)
		return;
	spd_table_close(l->table);
	free(l);
}

int list_commit(struct list *l, const struct list_row *row, uint32_t n,
		enum xesp_action default_action)
{
	struct tunnel *tunnels = must(calloc(n + 1, sizeof(*tunnels)));
	struct spd *spd = make_spd(n, default_action);
	struct sad sad = { .tunnels_n = n, .tunnels = tunnels };
	struct spd_diff diff;
	struct spd_change c = { .next = spd, .diff = &diff, .sad = &sad };
	struct fault f = { "" };
	int err;

	if (spd_diff(&diff, NULL, spd))
		must(NULL);
	for (uint32_t i = 0; i < n; i++) {
		take_row(spd, i, &row[i]);
		tunnels[i].id = row[i].tunnel;
	}
	err = spd_table_commit(l->table, &c, &f);
	if (err)
		fprintf(stderr, "list: %s\n", f.text);
	spd_diff_fini(&diff);
	free_spd(spd);
	free(tunnels);
	return err;
}

void list_memory_open(struct spd_memory *m, uint32_t entries, uint32_t policies)
{
	*m = (struct spd_memory){ .slots_n = 64, .entries_n = entries, .rules_n = policies };
	while (m->slots_n < entries * 4)
		m->slots_n *= 2;
	m->conf = must(calloc(1, sizeof(*m->conf)));
	m->conf->spd_slots = m->slots_n;
	m->head = must(calloc(2, sizeof(*m->head)));
	m->tuples = must(calloc((size_t)2 * XESP_DIR_MAX * XESP_TUPLES_MAX, sizeof(*m->tuples)));
	m->slots = must(calloc(XESP_SPD_ROOM(m->slots_n), sizeof(*m->slots)));
	m->entries = must(calloc(entries, sizeof(*m->entries)));
	m->rules = must(calloc(policies, sizeof(*m->rules)));
}

void list_memory_close(struct spd_memory *m)
{
	free(m->conf);
	free(m->head);
	free(m->tuples);
	free(m->slots);
	free(m->entries);
	free(m->rules);
	*m = (struct spd_memory){ 0 };
}
