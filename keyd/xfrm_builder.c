/* SPDX-License-Identifier: BSD-2-Clause */
/* xfrm_builder.c - see xfrm_builder.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/config.h"
#include "keyd/xfrm_builder.h"
#include "libxesp/addr.h"
#include "libxesp/secret.h"

int xfrm_builder_init(struct builder *b)
{
	const struct xfrm_tables *t = b->t;
	const struct config *file = b->env->file;
	static const uint8_t roles[] = { 0, RAW_ROLE_INNER, RAW_ROLE_OUTER, RAW_ROLE_BOTH };

	index_init(&b->ways, sizeof(struct way));
	index_init(&b->named, sizeof(struct named));
	index_init(&b->slots, sizeof(struct slot));
	b->raw.version = builder_text(b, "%s", CONFIG_VERSION);
	b->raw.default_action = file->spd.default_action == XESP_ACTION_BYPASS ? RAW_DEFAULT_BYPASS :
										 RAW_DEFAULT_DISCARD;
	b->raw.routes = file->routes ? RAW_ROUTES_INSTALL : RAW_ROUTES_NONE;
	b->raw.spread = file->spread; /* the same numbers */
	b->raw.source = RAW_SOURCE_XFRM;
	b->raw.fallback = file->fallback ? RAW_FALLBACK_KERNEL : RAW_FALLBACK_DROP;
	b->raw.interfaces = calloc(file->interfaces_n + 1u, sizeof(*b->raw.interfaces));
	for (uint32_t i = 0; b->raw.interfaces && i < file->interfaces_n; i++)
		b->raw.interfaces[b->raw.interfaces_count++] = (struct raw_interface){
			.name = builder_text(b, "%s", file->interfaces[i].name),
			.role = roles[file->interfaces[i].role],
		};
	b->raw.tunnels = calloc(t->states_n + 1, sizeof(*b->raw.tunnels));
	b->raw.sas = calloc(t->states_n + 1, sizeof(*b->raw.sas));
	b->raw.policies = calloc(t->policies_n + 1, sizeof(*b->raw.policies));
	b->slot = calloc(t->states_n + 1, sizeof(*b->slot));
	b->way = calloc(t->states_n + 1, sizeof(*b->way));
	b->sends = calloc(t->states_n + 1, sizeof(*b->sends));
	b->has_in = calloc(t->states_n + 1, 1);
	b->wants_cpus = calloc(t->states_n + 1, 1);
	b->naming = calloc(t->policies_n + 1, sizeof(*b->naming));
	b->sa_state = calloc(t->states_n + 1, sizeof(*b->sa_state));
	b->sorted = calloc(t->policies_n + 1, sizeof(*b->sorted));
	b->left_out_state = calloc(t->states_n + 1, 1);
	b->left_out_policy = calloc(t->policies_n + 1, 1);
	return b->raw.interfaces && b->raw.tunnels && b->raw.sas && b->raw.policies && b->way && b->slot && b->sends && b->naming &&
			       b->sa_state && b->has_in && b->wants_cpus && b->sorted && b->left_out_state && b->left_out_policy ?
		       0 : -ENOMEM;
}

void xfrm_builder_fini(struct builder *b)
{
	for (size_t i = 0; i < b->arena.n; i++) {
		secret_wipe(b->arena.text[i], strlen(b->arena.text[i]));
		free(b->arena.text[i]);
	}
	free(b->arena.text);
	index_fini(&b->ways);
	index_fini(&b->named);
	index_fini(&b->slots);
	free(b->way);
	free(b->slot);
	free(b->sends);
	free(b->naming);
	free(b->sa_state);
	free(b->has_in);
	free(b->wants_cpus);
	free(b->sorted);
	free(b->left_out_state);
	free(b->left_out_policy);
	free(b->raw.interfaces);
	free(b->raw.tunnels);
	free(b->raw.sas);
	free(b->raw.policies);
}

/* ---- memory */

char *builder_text(struct builder *b, const char *fmt, ...)
{
	struct arena *a = &b->arena;
	char *s = NULL;
	va_list args;

	if (a->n == a->room) {
		size_t room = a->room ? a->room * 2 : 256;
		char **more = realloc(a->text, room * sizeof(*more));

		if (!more) {
			a->failed = true;
			return NULL;
		}
		a->text = more;
		a->room = room;
	}
	va_start(args, fmt);
	if (vasprintf(&s, fmt, args) < 0)
		s = NULL;
	va_end(args);
	if (!s)
		a->failed = true;
	else
		a->text[a->n++] = s;
	return s;
}

void *builder_zeroes(struct builder *b, size_t size)
{
	/* Of the arena too: it is text to nobody but free(). */
	char *p = builder_text(b, "%*s", (int)size, "");

	return p ? memset(p, 0, size) : NULL;
}

char **builder_list_of(struct builder *b, char *one)
{
	char **list = builder_zeroes(b, sizeof(*list));

	if (list)
		list[0] = one;
	return list;
}

char *builder_hex(struct builder *b, const uint8_t *bytes, size_t n)
{
	char *s = builder_text(b, "%*s", (int)(2 * n), "");

	for (size_t i = 0; s && i < n; i++) {
		static const char digits[] = "0123456789abcdef";

		s[2 * i] = digits[bytes[i] >> 4];
		s[2 * i + 1] = digits[bytes[i] & 15];
	}
	return s;
}

/* ---- what stays with the kernel */

void xfrm_unserved_fini(struct xfrm_unserved_list *l)
{
	free(l->entry);
	*l = (struct xfrm_unserved_list){ 0 };
}

static struct xfrm_unserved *add_unserved(struct builder *b)
{
	struct xfrm_unserved_list *l = b->unserved;

	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 16;
		struct xfrm_unserved *more = realloc(l->entry, room * sizeof(*more));

		if (!more) {
			b->arena.failed = true;
			return NULL;
		}
		l->entry = more;
		l->room = room;
	}
	memset(&l->entry[l->n], 0, sizeof(l->entry[0]));
	return &l->entry[l->n++];
}

void builder_leave_state(struct builder *b, size_t i, const char *reason)
{
	const struct xfrm_state_entry *s = &b->t->states[i];
	char to[ADDR_TEXT_MAX];
	struct xfrm_unserved *u;

	if (b->left_out_state[i])
		return;
	b->left_out_state[i] = 1;
	u = add_unserved(b);
	if (!u)
		return;
	snprintf(u->what, sizeof(u->what), "SA 0x%08x towards %s", s->spi, addr_print(&s->dst, to));
	snprintf(u->reason, sizeof(u->reason), "%s", reason);
}

const char *builder_dir_word(uint8_t dir)
{
	return dir == XFRM_ENTRY_OUT ? "out" : dir == XFRM_ENTRY_IN ? "in" : "fwd";
}

void builder_leave_policy(struct builder *b, const struct xfrm_policy_entry *p, const char *reason)
{
	char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];
	struct xfrm_unserved *u;

	if (b->left_out_policy[p - b->t->policies])
		return;
	b->left_out_policy[p - b->t->policies] = 1;
	u = add_unserved(b);
	if (!u)
		return;
	snprintf(u->what, sizeof(u->what), "policy %u %s %s -> %s", p->index, builder_dir_word(p->dir),
		 addr_print_prefix(&p->src, p->src_len, from),
		 addr_print_prefix(&p->dst, p->dst_len, to));
	snprintf(u->reason, sizeof(u->reason), "%s", reason);
}

