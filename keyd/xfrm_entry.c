/* SPDX-License-Identifier: BSD-2-Clause */
/* xfrm_entry.c - see xfrm_entry.h. */
#include <arpa/inet.h>
#include <linux/udp.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "keyd/xfrm_entry.h"
#include "libxesp/addr.h"
#include "libxesp/secret.h"

/* Newer than the headers that we build with: by number, from the kernel's linux/xfrm.h. */
#define ATTR_SA_DIR 33
#define ATTR_IPTFS_FIRST 36
#define ATTR_IPTFS_LAST 41
#define ATTR_MAX ATTR_IPTFS_LAST /* what comes behind we do not know: it may mean anything */
#define DIR_IN 1
#define DIR_OUT 2
#define MODE_IPTFS 5
#define POLICY_CPU_ACQUIRE 4

#define UDP_ENCAP_RFC3948 2

__attribute__((format(printf, 2, 3)))
static void refuse(char reason[XFRM_REASON_MAX], const char *fmt, ...)
{
	va_list args;

	if (reason[0])
		return; /* the first is enough */
	va_start(args, fmt);
	vsnprintf(reason, XFRM_REASON_MAX, fmt, args);
	va_end(args);
}

static bool attrs_of(const struct nlmsghdr *h, int fixed, struct nlattr *tb[ATTR_MAX + 1])
{
	return (int)h->nlmsg_len >= NLMSG_LENGTH(fixed) &&
	       !nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, fixed, tb, ATTR_MAX, NULL);
}

/* An attribute that is newer than this table; 0: none. */
static int unknown_attr(const struct nlmsghdr *h, int fixed)
{
	const struct nlattr *a;
	int left;

	nlmsg_for_each_attr(a, (struct nlmsghdr *)(uintptr_t)h, fixed, left)
		if (nla_type(a) > ATTR_MAX)
			return nla_type(a);
	return 0;
}

static const void *payload(struct nlattr *a, size_t need)
{
	return a && (size_t)nla_len(a) >= need ? nla_data(a) : NULL;
}

static uint32_t u32_of(struct nlattr *a)
{
	return payload(a, 4) ? nla_get_u32(a) : 0;
}

void xfrm_entry_addr(struct xesp_addr *out, const xfrm_address_t *a, uint16_t family)
{
	if (family == AF_INET)
		addr_from_ip4(out, &a->a4);
	else
		addr_from_ip6(out, a->a6);
}

static void take_name(char out[XFRM_ALG_NAME_MAX], const char name[64])
{
	snprintf(out, XFRM_ALG_NAME_MAX, "%.63s", name);
}

/* alg_key_len counts bits; the attribute must hold them all. */
static bool take_key(uint8_t out[XFRM_KEY_MAX], uint16_t *out_len, const char *key, uint32_t bits,
		     size_t have)
{
	size_t len = bits / 8;

	if (bits % 8 || len > have || len > XFRM_KEY_MAX)
		return false;
	memcpy(out, key, len);
	*out_len = (uint16_t)len;
	return true;
}

static void take_algorithms(struct xfrm_state_entry *s, struct nlattr **tb)
{
	const struct xfrm_algo_aead *aead = payload(tb[XFRMA_ALG_AEAD], sizeof(*aead));
	const struct xfrm_algo *crypt = payload(tb[XFRMA_ALG_CRYPT], sizeof(*crypt));
	const struct xfrm_algo_auth *trunc = payload(tb[XFRMA_ALG_AUTH_TRUNC], sizeof(*trunc));
	const struct xfrm_algo *auth = payload(tb[XFRMA_ALG_AUTH], sizeof(*auth));
	bool ok = true;

	if (aead) {
		take_name(s->alg, aead->alg_name);
		s->icv_bits = (uint16_t)aead->alg_icv_len;
		ok = take_key(s->key, &s->key_len, aead->alg_key, aead->alg_key_len,
			      (size_t)nla_len(tb[XFRMA_ALG_AEAD]) - sizeof(*aead));
	} else if (crypt) {
		take_name(s->alg, crypt->alg_name);
		ok = take_key(s->key, &s->key_len, crypt->alg_key, crypt->alg_key_len,
			      (size_t)nla_len(tb[XFRMA_ALG_CRYPT]) - sizeof(*crypt));
	}
	if (trunc) {
		take_name(s->auth, trunc->alg_name);
		s->icv_bits = (uint16_t)trunc->alg_trunc_len;
		ok &= take_key(s->auth_key, &s->auth_key_len, trunc->alg_key, trunc->alg_key_len,
			       (size_t)nla_len(tb[XFRMA_ALG_AUTH_TRUNC]) - sizeof(*trunc));
	} else if (auth) {
		take_name(s->auth, auth->alg_name);
		ok &= take_key(s->auth_key, &s->auth_key_len, auth->alg_key, auth->alg_key_len,
			       (size_t)nla_len(tb[XFRMA_ALG_AUTH]) - sizeof(*auth));
	}
	if (!ok)
		refuse(s->unserved, "a key of an odd length");
	if (tb[XFRMA_ALG_COMP])
		refuse(s->unserved, "IP compression");
}

static void take_replay(struct xfrm_state_entry *s, const struct xfrm_usersa_info *i,
			struct nlattr **tb)
{
	const struct xfrm_replay_state_esn *esn =
		payload(tb[XFRMA_REPLAY_ESN_VAL], sizeof(*esn));
	const struct xfrm_replay_state *old = payload(tb[XFRMA_REPLAY_VAL], sizeof(*old));

	s->esn = i->flags & XFRM_STATE_ESN;
	s->window = i->replay_window;
	if (esn) {
		s->window = esn->replay_window;
		s->oseq = (uint64_t)esn->oseq_hi << 32 | esn->oseq;
		s->seq = (uint64_t)esn->seq_hi << 32 | esn->seq;
	} else if (old) {
		s->oseq = old->oseq;
		s->seq = old->seq;
	}
}

/* Of 2^63 and more there is no end either, which is how Libreswan says that there is none. */
static uint64_t limit_of(uint64_t v)
{
	return v > UINT64_MAX / 2 ? 0 : v;
}

static void take_lifetimes(struct xfrm_state_entry *s, const struct xfrm_usersa_info *i)
{
	/* Seconds are the kernel's: it deletes the state, and we hear of it. */
	s->soft_bytes = limit_of(i->lft.soft_byte_limit);
	s->hard_bytes = limit_of(i->lft.hard_byte_limit);
	s->soft_packets = limit_of(i->lft.soft_packet_limit);
	s->hard_packets = limit_of(i->lft.hard_packet_limit);
	s->bytes = i->curlft.bytes;
	s->packets = i->curlft.packets;
	s->add_time = i->curlft.add_time;
}

static void take_encap(struct xfrm_state_entry *s, struct nlattr **tb)
{
	const struct xfrm_encap_tmpl *e = payload(tb[XFRMA_ENCAP], sizeof(*e));

	if (!e)
		return;
	if (e->encap_type != UDP_ENCAP_RFC3948) {
		refuse(s->unserved, "encapsulation of type %u (TCP, or before RFC 3948)",
		       e->encap_type);
		return;
	}
	s->encap = true;
	s->encap_sport = ntohs(e->encap_sport);
	s->encap_dport = ntohs(e->encap_dport);
}

static void take_direction(struct xfrm_state_entry *s, struct nlattr **tb)
{
	const uint8_t *dir = payload(tb[ATTR_SA_DIR], 1);

	s->dir = XFRM_ENTRY_UNKNOWN;
	if (dir && *dir == DIR_IN)
		s->dir = XFRM_ENTRY_IN;
	if (dir && *dir == DIR_OUT)
		s->dir = XFRM_ENTRY_OUT;
}

static void take_flags(struct xfrm_state_entry *s, const struct xfrm_usersa_info *i, struct nlattr **tb)
{
	const uint32_t extra = u32_of(tb[XFRMA_SA_EXTRA_FLAGS]);

	s->noecn = i->flags & XFRM_STATE_NOECN;
	s->decap_dscp = i->flags & XFRM_STATE_DECAP_DSCP;
	s->nopmtudisc = i->flags & XFRM_STATE_NOPMTUDISC;
	s->no_encap_dscp = extra & XFRM_SA_XFLAG_DONT_ENCAP_DSCP;
	/* WILDRECV, ICMP and AF_UNSPEC: docs/ike.md says why they change nothing. */
	if (s->proto == IPPROTO_AH && i->family == AF_INET && !(i->flags & XFRM_STATE_ALIGN4))
		refuse(s->unserved, "AH over IPv4 without flag align4: padded to 8 bytes, against RFC 4302");
	if (extra & XFRM_SA_XFLAG_OSEQ_MAY_WRAP)
		refuse(s->unserved, "oseq-may-wrap: xesp sends no number twice");
	if (extra & ~(uint32_t)(XFRM_SA_XFLAG_DONT_ENCAP_DSCP | XFRM_SA_XFLAG_OSEQ_MAY_WRAP))
		refuse(s->unserved, "extra flags 0x%x", extra);
}

/* Of transport mode an end of the SA says what the SA says anyway. */
static bool selects(const struct xfrm_usersa_info *i, uint8_t prefix, const xfrm_address_t *a,
		    const xfrm_address_t *end)
{
	const bool ip4 = i->family == AF_INET;

	return prefix && (i->mode != XFRM_MODE_TRANSPORT || prefix != (ip4 ? 32 : 128) ||
			  memcmp(a, end, ip4 ? sizeof(a->a4) : sizeof(a->a6)));
}

static void judge_selector(struct xfrm_state_entry *s, const struct xfrm_usersa_info *i)
{
	const struct xfrm_selector *l = &i->sel;

	if (l->proto || l->sport_mask || l->dport_mask || l->ifindex ||
	    selects(i, l->prefixlen_s, &l->saddr, &i->saddr) || selects(i, l->prefixlen_d, &l->daddr, &i->id.daddr))
		refuse(s->unserved, "a selector of its own, beside those of the policies");
}

static void judge_state(struct xfrm_state_entry *s, const struct xfrm_usersa_info *i,
			struct nlattr **tb)
{
	bool iptfs = i->mode == MODE_IPTFS;

	for (int a = ATTR_IPTFS_FIRST; a <= ATTR_IPTFS_LAST; a++)
		iptfs |= tb[a] != NULL;
	if (s->proto != IPPROTO_ESP && s->proto != IPPROTO_AH)
		refuse(s->unserved, "IP protocol %u: only ESP and AH are served", s->proto);
	if (iptfs)
		refuse(s->unserved, "mode IP-TFS (RFC 9347)");
	else if (i->mode != XFRM_MODE_TUNNEL && i->mode != XFRM_MODE_TRANSPORT)
		refuse(s->unserved, "mode %u: only tunnel and transport are served", i->mode);
	if (s->if_id)
		refuse(s->unserved, "if_id %u: routes into an XFRM interface decide what it carries",
		       s->if_id);
	if (s->mark)
		refuse(s->unserved, "mark 0x%x: packets from the wire carry none", s->mark);
	if (payload(tb[XFRMA_SET_MARK], 4) || payload(tb[XFRMA_SET_MARK_MASK], 4))
		refuse(s->unserved, "output-mark 0x%x: rules may route and filter its packets by it", u32_of(tb[XFRMA_SET_MARK]));
	if (u32_of(tb[XFRMA_TFCPAD]))
		refuse(s->unserved, "padding to %u bytes (tfcpad)", u32_of(tb[XFRMA_TFCPAD]));
	if (payload(tb[XFRMA_OFFLOAD_DEV], sizeof(struct xfrm_user_offload)))
		refuse(s->unserved, "offloaded to a device");
	if (tb[XFRMA_SEC_CTX])
		refuse(s->unserved, "a security context");
	if (!s->spi)
		refuse(s->unserved, "not negotiated yet");
	if (!s->alg[0] && !s->auth[0])
		refuse(s->unserved, "no algorithm");
}

bool xfrm_entry_state(const struct nlmsghdr *h, struct xfrm_state_entry *s)
{
	const struct xfrm_usersa_info *i = NLMSG_DATA(h);
	const struct xfrm_mark *mark;
	struct nlattr *tb[ATTR_MAX + 1];

	memset(s, 0, sizeof(*s));
	if (!attrs_of(h, sizeof(*i), tb) || (i->family != AF_INET && i->family != AF_INET6))
		return false;
	xfrm_entry_addr(&s->dst, &i->id.daddr, i->family);
	xfrm_entry_addr(&s->src, &i->saddr, i->family);
	s->spi = ntohl(i->id.spi);
	s->proto = i->id.proto;
	s->mode = i->mode;
	s->reqid = i->reqid;
	s->if_id = u32_of(tb[XFRMA_IF_ID]);
	mark = payload(tb[XFRMA_MARK], sizeof(*mark));
	s->mark = mark ? mark->v & mark->m : 0;
	s->pcpu = payload(tb[XFRM_ATTR_SA_PCPU], 4) ? nla_get_u32(tb[XFRM_ATTR_SA_PCPU]) : XFRM_PCPU_ALL;
	take_algorithms(s, tb);
	take_replay(s, i, tb);
	take_lifetimes(s, i);
	take_encap(s, tb);
	take_direction(s, tb);
	judge_state(s, i, tb);
	take_flags(s, i, tb);
	judge_selector(s, i);
	if (unknown_attr(h, sizeof(*i)))
		refuse(s->unserved, "attribute %d, newer than this xesp", unknown_attr(h, sizeof(*i)));
	return true;
}

/* ---- policies */

static bool take_ports(uint16_t *first, uint16_t *last, __be16 port, __be16 mask)
{
	uint16_t p = ntohs(port), m = ntohs(mask), rest = (uint16_t)~m;

	/* A mask of leading ones is a range. */
	if (rest & (rest + 1u))
		return false;
	*first = p & m;
	*last = p | rest;
	return true;
}

static void take_selector(struct xfrm_policy_entry *p, const struct xfrm_selector *s)
{
	/* A selector without a family is for any: the policy's own says which. */
	const bool ip4 = s->family == AF_INET;
	const uint8_t mapped = ip4 ? 96 : 0, most = ip4 ? 32 : 128;

	p->family = ip4 ? 4 : 6;
	p->proto = s->proto;
	xfrm_entry_addr(&p->src, &s->saddr, s->family);
	xfrm_entry_addr(&p->dst, &s->daddr, s->family);
	if (s->prefixlen_s > most || s->prefixlen_d > most) {
		refuse(p->unserved, "a prefix longer than an address");
		return;
	}
	p->src_len = (uint8_t)(s->prefixlen_s + mapped);
	p->dst_len = (uint8_t)(s->prefixlen_d + mapped);
	if (!take_ports(&p->sport_first, &p->sport_last, s->sport, s->sport_mask) ||
	    !take_ports(&p->dport_first, &p->dport_last, s->dport, s->dport_mask))
		refuse(p->unserved, "a port mask with gaps");
	if (s->ifindex)
		refuse(p->unserved, "bound to interface %d", s->ifindex);
}

static void take_tmpls(struct xfrm_policy_entry *p, struct nlattr *a)
{
	const struct xfrm_user_tmpl *t = a ? nla_data(a) : NULL;
	int left = a ? nla_len(a) : 0;

	for (; left >= (int)sizeof(*t) && p->tmpls_n < XFRM_TMPLS_MAX; t++, left -= (int)sizeof(*t)) {
		struct xfrm_tmpl_entry *e = &p->tmpl[p->tmpls_n++];

		*e = (struct xfrm_tmpl_entry){ .spi = ntohl(t->id.spi),
					       .reqid = t->reqid,
					       .proto = t->id.proto,
					       .mode = t->mode,
					       .optional = t->optional };
		xfrm_entry_addr(&e->src, &t->saddr, t->family);
		xfrm_entry_addr(&e->dst, &t->id.daddr, t->family);
	}
	if (left > 0)
		refuse(p->unserved, "more than %d templates", XFRM_TMPLS_MAX);
	if (p->tmpls_n > 1)
		refuse(p->unserved, "%u templates: bundles of transforms are the kernel's", p->tmpls_n);
}

bool xfrm_entry_policy(const struct nlmsghdr *h, struct xfrm_policy_entry *p)
{
	const struct xfrm_userpolicy_info *i = NLMSG_DATA(h);
	const struct xfrm_userpolicy_type *type;
	const struct xfrm_mark *mark;
	struct nlattr *tb[ATTR_MAX + 1];

	memset(p, 0, sizeof(*p));
	if (!attrs_of(h, sizeof(*i), tb))
		return false;
	type = payload(tb[XFRMA_POLICY_TYPE], sizeof(*type));
	if ((type && type->type != XFRM_POLICY_TYPE_MAIN) || i->dir > XFRM_POLICY_FWD ||
	    (i->sel.family != AF_INET && i->sel.family != AF_INET6))
		return false;
	p->index = i->index;
	p->priority = i->priority;
	p->dir = i->dir == XFRM_POLICY_IN ? XFRM_ENTRY_IN :
		 i->dir == XFRM_POLICY_OUT ? XFRM_ENTRY_OUT : XFRM_ENTRY_FWD;
	p->block = i->action == XFRM_POLICY_BLOCK;
	p->cpu_acquire = p->dir == XFRM_ENTRY_OUT && i->flags & POLICY_CPU_ACQUIRE;
	p->if_id = u32_of(tb[XFRMA_IF_ID]);
	mark = payload(tb[XFRMA_MARK], sizeof(*mark));
	p->mark = mark ? mark->v & mark->m : 0;
	take_selector(p, &i->sel);
	take_tmpls(p, tb[XFRMA_TMPL]);
	if (p->if_id)
		refuse(p->unserved, "if_id %u: routes into an XFRM interface decide what it carries",
		       p->if_id);
	if (p->mark)
		refuse(p->unserved, "mark 0x%x: packets from the wire carry none", p->mark);
	if (payload(tb[XFRMA_OFFLOAD_DEV], sizeof(struct xfrm_user_offload)))
		refuse(p->unserved, "offloaded to a device");
	if (tb[XFRMA_SEC_CTX])
		refuse(p->unserved, "a security context");
	/* LOCALOK and ICMP: docs/ike.md says why they change nothing. */
	if (i->flags & ~(XFRM_POLICY_LOCALOK | XFRM_POLICY_ICMP | POLICY_CPU_ACQUIRE))
		refuse(p->unserved, "flags 0x%x", i->flags);
	if (unknown_attr(h, sizeof(*i)))
		refuse(p->unserved, "attribute %d, newer than this xesp", unknown_attr(h, sizeof(*i)));
	return true;
}
