/* SPDX-License-Identifier: BSD-2-Clause */
/* acquire.c - see acquire.h. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "keyd/acquire.h"
#include "keyd/config.h"
#include "keyd/pfp.h"
#include "keyd/xfrm_entry.h"
#include "keyd/xfrm_heard.h"
#include "keyd/xfrm_model.h"

static bool is_of(const struct acquire *e, const char *tunnel, const struct xesp_values *v)
{
	return !memcmp(&e->values, v, sizeof(*v)) && !strcmp(e->tunnel, tunnel);
}

static void remove_at(struct acquires *a, uint32_t i)
{
	a->n--;
	memmove(&a->entry[i], &a->entry[i + 1], (a->n - i) * sizeof(a->entry[0]));
}

/* The entry with these values, moved to the end; a new one takes the place of the oldest. */
static struct acquire *take_entry(struct acquires *a, const char *tunnel,
				  const struct xesp_values *v)
{
	struct acquire e = { .values = *v, .cpu = XESP_CPU_NONE };
	uint32_t i;

	for (i = 0; i < a->n && !is_of(&a->entry[i], tunnel, v); i++)
		;
	if (i < a->n)
		e = a->entry[i];
	else if (a->n == ACQUIRES_MAX)
		i = 0;
	if (i < a->n)
		remove_at(a, i);
	a->entry[a->n] = e;
	return &a->entry[a->n++];
}

static const struct tunnel *tunnel_by_id(const struct config *c, uint32_t id)
{
	for (uint32_t i = 0; i < c->sad.tunnels_n; i++)
		if (c->sad.tunnels[i].id == id)
			return &c->sad.tunnels[i];
	return NULL;
}

static const char *policy_by_id(const struct config *c, uint32_t id)
{
	for (uint32_t i = 0; i < c->spd.n; i++)
		if (c->spd.ids[i] == id)
			return c->spd.policies[i].name;
	return "";
}

const struct acquire *acquires_note(struct acquires *a, const struct config *c,
				    const struct xesp_keymsg_acquire *m, uint64_t now_ns)
{
	const struct tunnel *t = c ? tunnel_by_id(c, m->tunnel) : NULL;
	char text[PFP_TEXT_MAX];
	struct acquire *e;
	uint64_t suppressed;

	if (!t || t->pfp != m->values.mask)
		return NULL;
	a->total++;
	e = take_entry(a, t->name, &m->values);
	e->last_ns = now_ns;
	if (e->asked++)
		return e;
	e->first_ns = now_ns;
	e->proto = m->values.mask & XESP_PFP_PROTO ? m->values.proto : t->pfp_proto;
	memcpy(e->tunnel, t->name, sizeof(e->tunnel));
	snprintf(e->policy, sizeof(e->policy), "%s", policy_by_id(c, m->policy));
	if (log_allowed(&a->log, &suppressed))
		log_info("acquire: tunnel '%s', policy '%s': a packet wants an SA of its own: %s (%" PRIu64
			 " such messages left out)",
			 e->tunnel, e->policy, pfp_print(&e->values, e->proto, text), suppressed);
	return e;
}

const struct acquire *acquires_note_kernel(struct acquires *a, const struct xfrm_asked *asked, uint64_t now_ns)
{
	char name[XESP_NAME_MAX], text[PFP_TEXT_MAX];
	struct acquire *e;
	uint64_t suppressed;

	a->in_second = now_ns / 1000000000u == a->second ? a->in_second + 1 : 1;
	a->second = now_ns / 1000000000u;
	if (a->in_second > ACQUIRES_A_SECOND)
		return NULL;
	a->total++;
	xfrm_model_tunnel_name(name, &asked->name.src, &asked->name.dst, asked->name.reqid, asked->mode);
	e = take_entry(a, name, &asked->values);
	e->last_ns = now_ns;
	e->by_kernel = true;
	e->cpu = asked->cpu == XFRM_PCPU_ALL ? XESP_CPU_NONE : asked->cpu;
	e->proto = asked->proto;
	if (!e->asked++)
		e->first_ns = now_ns;
	snprintf(e->tunnel, sizeof(e->tunnel), "%s", name);
	snprintf(e->policy, sizeof(e->policy), "out%u", asked->policy);
	if (log_allowed(&a->log, &suppressed))
		log_info("acquire: tunnel '%s', policy '%s': the kernel wants an SA: %s (%" PRIu64 " such messages left out)",
			 e->tunnel, e->policy, pfp_print(&e->values, e->proto, text), suppressed);
	return e;
}

static bool has_sa(const struct config *c, const struct acquire *e)
{
	if (e->by_kernel) { /* it does not ask for values of its own */
		for (uint32_t i = 0; i < c->sad.sas_n; i++)
			if (c->sad.sas[i].dir == XESP_DIR_OUT && c->sad.sas[i].cpu == (e->cpu == XESP_CPU_NONE ? SAD_NONE : e->cpu) &&
			    !strcmp(c->sad.tunnels[c->sad.sas[i].tunnel].name, e->tunnel))
				return true;
		return false;
	}
	for (uint32_t i = 0; i < c->sad.sas_n; i++) {
		const struct sa *sa = &c->sad.sas[i];

		if (sa->dir == XESP_DIR_OUT && sa->values.mask &&
		    is_of(e, c->sad.tunnels[sa->tunnel].name, &sa->values))
			return true;
	}
	return false;
}

static void add_value(void *ctx, const char *key, const char *value)
{
	json_object_object_add(ctx, key, json_object_new_string(value));
}

void acquire_show(const struct acquire *e, struct json_object *o)
{
	struct json_object *values = json_object_new_object();

	json_object_object_add(o, "tunnel", json_object_new_string(e->tunnel));
	json_object_object_add(o, "policy", json_object_new_string(e->policy));
	json_object_object_add(o, "by", json_object_new_string(e->by_kernel ? "kernel" : "xesp"));
	if (e->cpu != XESP_CPU_NONE)
		json_object_object_add(o, "cpu", json_object_new_uint64(e->cpu));
	pfp_each(&e->values, e->proto, add_value, values);
	json_object_object_add(o, "selector", values);
}

static struct json_object *entry_json(const struct acquire *e, uint64_t now_ns)
{
	struct json_object *o = json_object_new_object();

	acquire_show(e, o);
	json_object_object_add(o, "asked", json_object_new_uint64(e->asked));
	json_object_object_add(o, "first_s",
			       json_object_new_uint64((now_ns - e->first_ns) / 1000000000u));
	json_object_object_add(o, "last_s",
			       json_object_new_uint64((now_ns - e->last_ns) / 1000000000u));
	return o;
}

struct json_object *acquires_json(struct acquires *a, const struct config *c, uint64_t now_ns)
{
	struct json_object *list = json_object_new_array();

	for (uint32_t i = 0; i < a->n;) {
		const struct acquire *e = &a->entry[i];

		if (now_ns - e->last_ns > ACQUIRE_FORGET_NS || has_sa(c, e)) {
			remove_at(a, i);
			continue;
		}
		json_object_array_add(list, entry_json(e, now_ns));
		i++;
	}
	return list;
}
