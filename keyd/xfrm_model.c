/* SPDX-License-Identifier: BSD-2-Clause */
/* xfrm_model.c - see xfrm_model.h. From top to bottom: tunnels, SAs, policies, the whole. */
#include <errno.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/algorithm.h"
#include "keyd/config.h"
#include "keyd/xfrm_builder.h"
#include "keyd/xfrm_lent.h"
#include "keyd/xfrm_overlap.h"
#include "keyd/xfrm_refused.h"
#include "libxesp/addr.h"
#include "xesp/fault.h"

/* ---- tunnels */

static uint32_t hash_way(const struct way *w)
{
	const uint8_t *p = (const uint8_t *)w;
	uint32_t h = 2166136261u; /* FNV-1a: a name for it that is the same after a restart */

	for (size_t i = 0; i < sizeof(*w); i++)
		h = (h ^ p[i]) * 16777619u;
	return h;
}

void xfrm_model_tunnel_name(char name[XESP_NAME_MAX], const struct xesp_addr *local, const struct xesp_addr *remote,
			    uint32_t reqid, uint8_t mode)
{
	const struct way w = { .local = *local, .remote = *remote, .reqid = reqid, .mode = mode };

	snprintf(name, XESP_NAME_MAX, "r%u.%08x", reqid, hash_way(&w));
}

/* The tunnel of this way; it is made when it is not there yet. INDEX_NONE: no memory. */
static uint32_t find_tunnel(struct builder *b, const struct way *w, bool make)
{
	uint32_t at = index_find(&b->ways, w), found;
	char local[ADDR_TEXT_MAX], remote[ADDR_TEXT_MAX], name[XESP_NAME_MAX];
	struct raw_tunnel *t;

	if (at != INDEX_NONE || !make)
		return at;
	at = b->raw.tunnels_count;
	b->way[at] = *w;
	if (index_add(&b->ways, &b->way[at], at, &found)) {
		b->arena.failed = true;
		return INDEX_NONE;
	}
	t = &b->raw.tunnels[b->raw.tunnels_count++];
	xfrm_model_tunnel_name(name, &w->local, &w->remote, w->reqid, w->mode);
	t->name = builder_text(b, "%s", name);
	t->local = builder_text(b, "%s", addr_print(&w->local, local));
	t->remote = builder_text(b, "%s", addr_print(&w->remote, remote));
	t->mode = w->mode == XFRM_MODE_TRANSPORT ? RAW_MODE_TRANSPORT : RAW_MODE_TUNNEL;
	return at;
}

/* What the kernel keeps with the state and we with the tunnel: the newest state's holds. */
static void set_encap(struct builder *b, uint32_t tunnel, const struct xfrm_state_entry *s, bool out)
{
	struct raw_tunnel *t = &b->raw.tunnels[tunnel];

	if (!s->encap || (t->encap && !out))
		return;
	t->encap = RAW_ENCAP_UDP;
	/* The kernel takes an SA's packets with UDP or without, whatever it sends. */
	t->encap_accept = RAW_ENCAP_ACCEPT_ANY;
	t->local_port = builder_text(b, "%u", out ? s->encap_sport : s->encap_dport);
	t->remote_port = builder_text(b, "%u", out ? s->encap_dport : s->encap_sport);
	t->keepalive = builder_text(b, "0"); /* the IKE daemon's business */
	t->follow_peer = RAW_NO;     /* likewise: it updates the state */
}

/* What they say of the outer header: that which sends decides. Transport mode has none. */
static void set_outer(struct builder *b, uint32_t tunnel, const struct xfrm_state_entry *s)
{
	struct raw_tunnel *t = &b->raw.tunnels[tunnel];

	if (s->mode != XFRM_MODE_TUNNEL)
		return;
	t->df = s->nopmtudisc ? RAW_DF_CLEAR : RAW_DF_COPY;
	t->ecn = s->noecn ? RAW_ECN_COMPATIBILITY : RAW_ECN_NORMAL;
	t->dscp = s->no_encap_dscp ? builder_text(b, "0") : NULL;
}

/* And of decapsulation: of one tunnel all the same. False: not as those before it. */
static bool set_inner(struct builder *b, uint32_t tunnel, const struct xfrm_state_entry *s)
{
	struct raw_tunnel *t = &b->raw.tunnels[tunnel];
	const enum raw_dscp_in wanted = s->decap_dscp ? RAW_DSCP_IN_COPY : RAW_DSCP_IN_KEEP;

	if (s->mode != XFRM_MODE_TUNNEL)
		return true;
	if (b->has_in[tunnel] && t->dscp_in != wanted)
		return false;
	t->dscp_in = wanted;
	return true;
}

/* ---- SAs */

static bool way_of_state(const struct builder *b, const struct xfrm_state_entry *s, struct way *w,
			 bool *out)
{
	bool dst = b->env->is_local(b->env->ctx, &s->dst), src = b->env->is_local(b->env->ctx, &s->src);

	if (!dst && !src)
		return false;
	*out = s->dir == XFRM_ENTRY_OUT || (s->dir == XFRM_ENTRY_UNKNOWN && !dst);
	*w = (struct way){ .local = *out ? s->src : s->dst,
			   .remote = *out ? s->dst : s->src,
			   .reqid = s->reqid,
			   .mode = s->mode };
	return true;
}

/* The cipher in the word that algorithm_parse() knows: an AEAD's ICV stands in it. */
static char *cipher_word(struct builder *b, const struct xfrm_state_entry *s)
{
	if (s->auth[0] || !s->icv_bits)
		return builder_text(b, "%s", s->alg);
	return builder_text(b, "%s %u", s->alg, s->icv_bits);
}

/* RFC 4868: what other truncations there are is not for us. */
static bool truncation_is_right(const struct xfrm_state_entry *s)
{
	return !s->auth[0] || !s->icv_bits || (!strcmp(s->auth, "hmac(sha256)") && s->icv_bits == 128) ||
	       (!strcmp(s->auth, "hmac(sha384)") && s->icv_bits == 192) ||
	       (!strcmp(s->auth, "hmac(sha512)") && s->icv_bits == 256);
}

static bool algorithm_is_known(struct builder *b, size_t i, const char *cipher)
{
	const struct xfrm_state_entry *s = &b->t->states[i];
	struct algorithm a;
	struct fault f = { "" };
	int in_integrity;

	if (!truncation_is_right(s)) {
		char reason[XFRM_REASON_MAX];

		snprintf(reason, sizeof(reason), "%.40s with an ICV of %u bits", s->auth, s->icv_bits);
		builder_leave_state(b, i, reason);
		return false;
	}
	if (s->proto == IPPROTO_AH ? algorithm_parse_ah(&a, s->auth, &f) :
				     algorithm_parse(&a, cipher, s->auth[0] ? s->auth : NULL,
						     &in_integrity, &f)) {
		builder_leave_state(b, i, f.text);
		return false;
	}
	return true;
}

static void set_lifetime(struct builder *b, struct raw_sa *sa, const struct xfrm_state_entry *s)
{
	struct raw_lifetime *l;

	if (!s->hard_bytes && !s->hard_packets && !s->soft_bytes && !s->soft_packets)
		return;
	l = builder_zeroes(b, sizeof(*l));
	if (!l)
		return;
	if (s->soft_bytes)
		l->soft_bytes = builder_text(b, "%llu", (unsigned long long)s->soft_bytes);
	if (s->hard_bytes)
		l->hard_bytes = builder_text(b, "%llu", (unsigned long long)s->hard_bytes);
	if (s->soft_packets)
		l->soft_packets = builder_text(b, "%llu", (unsigned long long)s->soft_packets);
	if (s->hard_packets)
		l->hard_packets = builder_text(b, "%llu", (unsigned long long)s->hard_packets);
	sa->lifetime = l;
}

/*
 * The SAs that outbound policies name. strongSwan as the responder of a rekeying installs its new outbound SA at once, and
 * names it in the policy only when it knows that the peer has the other half: until then packets under it
 * are lost.
 */
static void find_named(struct builder *b)
{
	uint32_t n = 0, found;

	for (size_t i = 0; i < b->t->policies_n; i++) {
		const struct xfrm_policy_entry *p = &b->t->policies[i];

		if (p->dir != XFRM_ENTRY_OUT || !p->tmpls_n || !p->tmpl[0].spi)
			continue;
		b->naming[n] = (struct named){ .spi = p->tmpl[0].spi, .reqid = p->tmpl[0].reqid };
		b->arena.failed |= index_add(&b->named, &b->naming[n], n, &found) != 0;
		n++;
	}
}

static bool is_named(const struct builder *b, const struct xfrm_state_entry *s)
{
	const struct named like = { .spi = s->spi, .reqid = s->reqid };

	return index_find(&b->named, &like) != INDEX_NONE;
}

/*
 * Of a tunnel's outbound SAs one sends: that which a policy names, or where none does the one that the
 * IKE daemon installed last. Policies are moved to a new SA one after the other: the first one decides for all.
 */
static bool is_better(const struct builder *b, const struct xfrm_state_entry *s, const struct xfrm_state_entry *than)
{
	if (!than)
		return true;
	if (is_named(b, s) != is_named(b, than))
		return is_named(b, s);
	/* Of one second that which the kernel lists first: it puts new ones before the others. */
	return s->add_time > than->add_time || (s->add_time == than->add_time && s < than);
}

/* The place of the state that sends; it is made when it is not there yet. INDEX_NONE: it is not, or no memory. */
static uint32_t find_slot(struct builder *b, uint32_t tunnel, uint32_t cpu, bool make)
{
	const struct slot like = { tunnel, cpu };
	uint32_t at = index_find(&b->slots, &like), found;

	if (at != INDEX_NONE || !make)
		return at;
	at = b->slots_n;
	b->slot[at] = like;
	if (index_add(&b->slots, &b->slot[at], at, &found)) {
		b->arena.failed = true;
		return INDEX_NONE;
	}
	b->slots_n++;
	return at;
}

/* Does it send, of those of its way and CPU that were looked at so far? Then it does from now on. */
static bool take_slot(struct builder *b, uint32_t tunnel, const struct xfrm_state_entry *s)
{
	uint32_t at = find_slot(b, tunnel, s->pcpu, true);

	if (at == INDEX_NONE || !is_better(b, s, b->sends[at]))
		return false;
	b->sends[at] = s;
	return true;
}

static void add_state(struct builder *b, size_t i)
{
	const struct xfrm_state_entry *s = &b->t->states[i];
	const char *refused;
	struct raw_sa *sa;
	struct way w;
	char *cipher;
	uint32_t tunnel;
	bool out;

	if (s->unserved[0]) {
		builder_leave_state(b, i, s->unserved);
		return;
	}
	refused = b->env->refused ? xfrm_refused_find(b->env->refused, s) : NULL;
	if (refused) {
		builder_leave_state(b, i, refused);
		return;
	}
	cipher = cipher_word(b, s);
	if (!cipher || !algorithm_is_known(b, i, cipher))
		return;
	if (!way_of_state(b, s, &w, &out)) {
		builder_leave_state(b, i, "neither end is an address of this machine");
		return;
	}
	if (!out && b->env->lent && xfrm_lent_has(b->env->lent, s, b->env->now_ms)) {
		builder_leave_state(b, i, "its peer was seen elsewhere: the kernel tells the IKE daemon so");
		return;
	}
	tunnel = find_tunnel(b, &w, true);
	if (tunnel == INDEX_NONE)
		return;
	set_encap(b, tunnel, s, out);
	if (out && !take_slot(b, tunnel, s))
		return; /* an older one, which the peer still takes, or one that it does not take yet */
	if (out) {
		set_outer(b, tunnel, s);
	} else if (!set_inner(b, tunnel, s)) {
		builder_leave_state(b, i, "decap-dscp is not as of the other SAs between the same ends");
		return;
	}
	b->has_in[tunnel] |= !out;
	sa = &b->raw.sas[b->raw.sas_count];
	*sa = (struct raw_sa){
		.name = builder_text(b, "%08x-%s-%08x", s->spi, out ? "out" : "in", hash_way(&w)),
		.tunnel = b->raw.tunnels[tunnel].name,
		.direction = out ? RAW_DIRECTION_OUT : RAW_DIRECTION_IN,
		.protocol = s->proto == IPPROTO_AH ? RAW_PROTOCOL_AH : RAW_PROTOCOL_ESP,
		.spi = builder_text(b, "0x%x", s->spi),
		.cpu = out && s->pcpu != XFRM_PCPU_ALL ? builder_text(b, "%u", s->pcpu) : NULL,
		.algorithm = s->proto == IPPROTO_AH ? NULL : cipher,
		.integrity = s->auth[0] ? builder_text(b, "%s", s->auth) : NULL,
		.key = s->key_len ? builder_hex(b, s->key, s->key_len) : NULL,
		.integrity_key = s->auth_key_len ? builder_hex(b, s->auth_key, s->auth_key_len) : NULL,
		.esn = s->esn ? RAW_YES : RAW_NO,
		.replay_window = out ? NULL : builder_text(b, "%u", s->window && s->window < 32 ? 32 : s->window),
	};
	set_lifetime(b, sa, s);
	b->sa_state[b->raw.sas_count++] = i;
}

/* States come in any order: an outbound one that a better one has replaced is taken out again. */
static void drop_replaced(struct builder *b)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < b->raw.sas_count; i++) {
		const struct xfrm_state_entry *s = &b->t->states[b->sa_state[i]];
		struct way w;
		bool out;

		if (way_of_state(b, s, &w, &out) && out &&
		    b->sends[find_slot(b, find_tunnel(b, &w, false), s->pcpu, false)] != s)
			continue;
		b->raw.sas[kept] = b->raw.sas[i];
		b->sa_state[kept++] = b->sa_state[i];
	}
	b->raw.sas_count = kept;
}

/* ---- policies */

static bool is_any(const struct xesp_addr *a)
{
	return addr_is_unset(a) || (addr_is_ip4(a) && !a->w[3]);
}

/* The ends that a template means; a transport template without them has the packet's own. */
static bool way_of_policy(const struct xfrm_policy_entry *p, struct way *w)
{
	const struct xfrm_tmpl_entry *t = &p->tmpl[0];
	struct xesp_addr src = t->src, dst = t->dst;

	if (is_any(&src) && p->src_len == 128)
		src = p->src;
	if (is_any(&dst) && p->dst_len == 128)
		dst = p->dst;
	if (is_any(&src) || is_any(&dst))
		return false;
	*w = (struct way){ .local = p->dir == XFRM_ENTRY_OUT ? src : dst,
			   .remote = p->dir == XFRM_ENTRY_OUT ? dst : src,
			   .reqid = t->reqid,
			   .mode = t->mode };
	return true;
}

/* Where outbound packets would find an SA, or inbound ones could come from. */
static bool is_served(struct builder *b, uint32_t tunnel, bool out)
{
	if (tunnel == INDEX_NONE)
		return false;
	return out ? find_slot(b, tunnel, XFRM_PCPU_ALL, false) != INDEX_NONE : b->has_in[tunnel];
}

static char *prefix_text(struct builder *b, const struct xesp_addr *a, uint8_t len)
{
	char buf[ADDR_TEXT_MAX];

	return builder_text(b, "%s", addr_print_prefix(a, len, buf));
}

static void set_ports(struct builder *b, char ***list, unsigned int *n, uint16_t first, uint16_t last)
{
	if (!first && last == UINT16_MAX)
		return;
	*list = builder_list_of(b, builder_text(b, "%u-%u", first, last));
	*n = 1;
}

/* The selector of an inbound policy has the peer as its source. */
static void set_selector(struct builder *b, struct raw_policy *raw, const struct xfrm_policy_entry *p)
{
	const bool out = p->dir == XFRM_ENTRY_OUT;
	const bool icmp = p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6;

	raw->local = builder_list_of(b, out ? prefix_text(b, &p->src, p->src_len) :
				      prefix_text(b, &p->dst, p->dst_len));
	raw->remote = builder_list_of(b, out ? prefix_text(b, &p->dst, p->dst_len) :
				       prefix_text(b, &p->src, p->src_len));
	raw->local_count = raw->remote_count = 1;
	raw->protocol = p->proto ? builder_text(b, "%u", p->proto) : NULL;
	if (icmp) /* type and code stand in place of the ports, in either direction */
		return;
	set_ports(b, &raw->local_ports, &raw->local_ports_count, out ? p->sport_first : p->dport_first,
		  out ? p->sport_last : p->dport_last);
	set_ports(b, &raw->remote_ports, &raw->remote_ports_count, out ? p->dport_first : p->sport_first,
		  out ? p->dport_last : p->sport_last);
}

/* Why the kernel must see to it; NULL: we can. */
static const char *why_not(struct builder *b, const struct xfrm_policy_entry *p, uint32_t *tunnel)
{
	const bool out = p->dir == XFRM_ENTRY_OUT;
	struct way w;

	*tunnel = INDEX_NONE;
	if (p->unserved[0])
		return p->unserved;
	if ((p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6) &&
	    (p->sport_first || p->sport_last != UINT16_MAX || p->dport_first ||
	     p->dport_last != UINT16_MAX))
		return "ICMP types and codes";
	if (p->block || !p->tmpls_n)
		return NULL;
	if (p->tmpl[0].optional && !out)
		return "an optional template lets packets in without protection";
	if (!way_of_policy(p, &w))
		return "a template without addresses";
	*tunnel = find_tunnel(b, &w, false);
	if (!is_served(b, *tunnel, out))
		return out ? "no SA yet: the kernel asks the IKE daemon for one" :
			     "no SA yet that it could come by";
	return NULL;
}

static void add_policy(struct builder *b, const struct xfrm_policy_entry *p)
{
	struct raw_policy *raw = &b->raw.policies[b->raw.policies_count++];
	uint32_t tunnel;
	const char *reason = why_not(b, p, &tunnel);

	*raw = (struct raw_policy){
		.name = builder_text(b, "%s%u", builder_dir_word(p->dir), p->index),
		.action = RAW_ACTION_BYPASS,
		.direction = p->dir == XFRM_ENTRY_OUT ? RAW_DIRECTION_OUT : RAW_DIRECTION_IN,
	};
	set_selector(b, raw, p);
	if (reason) {
		builder_leave_policy(b, p, reason);
	} else if (p->block) {
		raw->action = RAW_ACTION_DISCARD;
	} else if (tunnel != INDEX_NONE) {
		raw->action = RAW_ACTION_PROTECT;
		raw->tunnel = b->raw.tunnels[tunnel].name;
		b->wants_cpus[tunnel] |= p->cpu_acquire;
	}
}

static int by_priority(const void *x, const void *y)
{
	const struct xfrm_policy_entry *a = *(const struct xfrm_policy_entry *const *)x;
	const struct xfrm_policy_entry *b = *(const struct xfrm_policy_entry *const *)y;

	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	/* Behind its twin: has_twin(). */
	if ((a->dir == XFRM_ENTRY_FWD) != (b->dir == XFRM_ENTRY_FWD))
		return b->dir == XFRM_ENTRY_FWD ? -1 : 1;
	return a < b ? -1 : 1; /* the kernel's order */
}

/* fwd is in, for what goes on to others: it is here once. */
static bool has_twin(const struct builder *b, size_t i)
{
	const struct xfrm_policy_entry *p = b->sorted[i];

	for (size_t k = i; p->dir == XFRM_ENTRY_FWD && k-- > 0;) {
		const struct xfrm_policy_entry *q = b->sorted[k];

		if (q->priority != p->priority)
			return false;
		if (q->dir == XFRM_ENTRY_IN && !memcmp(&q->src, &p->src, sizeof(q->src)) &&
		    !memcmp(&q->dst, &p->dst, sizeof(q->dst)) && q->src_len == p->src_len &&
		    q->dst_len == p->dst_len && q->proto == p->proto &&
		    q->sport_first == p->sport_first && q->sport_last == p->sport_last &&
		    q->dport_first == p->dport_first && q->dport_last == p->dport_last &&
		    q->block == p->block && q->tmpls_n == p->tmpls_n)
			return true;
	}
	return false;
}

static void add_policies(struct builder *b)
{
	size_t n = b->t->policies_n;

	for (size_t i = 0; i < n; i++)
		b->sorted[i] = &b->t->policies[i];
	if (n)
		qsort(b->sorted, n, sizeof(*b->sorted), by_priority);
	for (size_t i = 0; i < n; i++)
		if (!has_twin(b, i))
			add_policy(b, b->sorted[i]);
}

/* ---- the whole */

/* What the checks found is this state's fault: it stays with the kernel. False: it is not. */
static bool blame(struct builder *b, const struct problems *ps)
{
	bool any = false;

	for (uint32_t i = 0; i < ps->n; i++) {
		unsigned int at;

		if (sscanf(ps->problem[i].path, "sas[%u]", &at) != 1 || at >= b->raw.sas_count)
			continue;
		builder_leave_state(b, b->sa_state[at], ps->problem[i].text);
		any = true;
	}
	return any;
}

static void write_down(struct builder *b)
{
	b->raw.tunnels_count = b->raw.sas_count = b->raw.policies_count = 0;
	index_fini(&b->ways);
	index_init(&b->ways, sizeof(struct way));
	index_fini(&b->slots);
	index_init(&b->slots, sizeof(struct slot));
	b->slots_n = 0;
	memset(b->sends, 0, (b->t->states_n + 1) * sizeof(*b->sends));
	memset(b->has_in, 0, b->t->states_n + 1);
	memset(b->wants_cpus, 0, b->t->states_n + 1);
	memset(b->raw.tunnels, 0, (b->t->states_n + 1) * sizeof(*b->raw.tunnels));
	for (size_t i = 0; i < b->t->states_n; i++)
		if (!b->left_out_state[i])
			add_state(b, i);
	drop_replaced(b);
	add_policies(b);
}

static void note_states(const struct builder *b, struct config *c)
{
	for (unsigned int i = 0; i < b->raw.sas_count; i++) {
		const struct xfrm_state_entry *s = &b->t->states[b->sa_state[i]];

		c->sad.sas[i].kernel_added = s->add_time;
	}
}

/* No words of a file say it: where a peer is the IKE daemon says, but we see it first; and whom to ask for SAs of CPUs. */
static void note_tunnels(const struct builder *b, struct config *c)
{
	for (uint32_t i = 0; i < c->sad.tunnels_n; i++) {
		struct tunnel *t = &c->sad.tunnels[i];

		if (t->natt.encap == XESP_ENCAP_UDP)
			t->natt.follow_peer = XESP_FOLLOW_TELL;
		t->cpu_acquire = b->wants_cpus[i];
		t->reqid = b->way[i].reqid;
	}
}

int xfrm_model_build(struct config **out, const struct xfrm_tables *t,
		     const struct xfrm_model_env *env, struct xfrm_unserved_list *unserved,
		     struct fault *f)
{
	struct builder b = { .t = t, .env = env, .unserved = unserved };
	struct problems ps;
	int err;

	xfrm_unserved_fini(unserved);
	err = xfrm_builder_init(&b);
	if (err)
		fault_set(f, err, "out of memory");
	else
		find_named(&b);
	while (!err) {
		write_down(&b);
		if (b.arena.failed) {
			err = fault_set(f, -ENOMEM, "out of memory");
			break;
		}
		ps = (struct problems){ 0 };
		err = config_from_raw(out, &b.raw, env->label, &ps);
		if (!err) {
			note_states(&b, *out);
			note_tunnels(&b, *out);
			if (env->overlap)
				xfrm_overlap_find(b.sorted, t->policies_n, env->overlap);
			break;
		}
		/* Each round leaves at least one state out, so this ends. */
		if (!blame(&b, &ps)) {
			problems_fault(&ps, env->label, f);
			break;
		}
		err = 0;
	}
	xfrm_builder_fini(&b);
	return err;
}
