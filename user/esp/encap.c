/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * encap.c - cleartext to ESP, RFC 4303 section 3.3, as a list of stages over a batch.
 *
 * Whatever can refuse a packet comes before it is given a sequence number, and nothing is written
 * before that either: a refused packet can still be quoted to its sender.
 */
#include <netinet/in.h>
#include <string.h>

#include "esp/balance.h"
#include "esp/esp.h"
#include "esp/flow.h"
#include "esp/nat_oa.h"
#include "esp/natt.h"
#include "esp/job.h"
#include "esp/mss.h"
#include "esp/outer.h"
#include "esp/populate.h"
#include "esp/size.h"
#include "esp/stage.h"
#include "esp/wire.h"
#include "libxesp/addr.h"
#include "sad/acquire.h"
#include "sad/lease.h"
#include "sad/fetch.h"
#include "sad/lifetime.h"
#include "sad/sa.h"
#include "sad/sad.h"
#include "sad/tunnel.h"

#define IP6_MTU_MIN 1280 /* RFC 8200 section 5 */
#define IP4_MTU_MIN 68   /* RFC 791 */
#define DUMMY_TTL 64     /* where the outer one is copied */

/* An id may have gone to another SA before the tunnel heard of it. */
static bool is_out_of(const struct sa *sa, uint32_t tunnel)
{
	return sa && sa->dir == XESP_DIR_OUT && sa->tunnel == tunnel;
}

/*
 * RFC 9611: this CPU's own; where there is none, or none that may still send, the tunnel's for all. Not inlined:
 * tunnels without such SAs, the most by far, pay the comparison before the call and nothing more. p NULL: nobody is asked.
 */
static __attribute__((noinline)) uint32_t choose_out(const struct esp_worker *w,
						     const struct tunnel *t, uint32_t id, const struct pkt *p)
{
	const uint32_t own = t->by_worker[w->worker];
	const struct sa *sa = own ? sad_find(w->sad, own) : NULL;

	if (!own && p && !w->dry && t->cpu_acquire && w->worker < sad_workers(w->sad))
		acquire_ask_cpu(w->acquires, id, p->policy, w->worker);
	return is_out_of(sa, id) && !lifetime_is_over(sa, w->now_ns) && !lease_is_spent(sa) ? own :
											      t->sa_out;
}

static inline struct sa *find_out(const struct esp_worker *w, const struct tunnel *t, uint32_t id,
				  const struct pkt *p)
{
	uint32_t out;
	struct sa *sa;

	if (!t)
		return NULL;
	out = t->sa_out; /* 0 is no SA's */
	if (__builtin_expect(t->has_cpus, 0))
		out = choose_out(w, t, id, p);
	sa = sad_find(w->sad, out);
	return is_out_of(sa, id) ? sa : NULL;
}

struct sa *stage_outbound(const struct esp_worker *w, const struct tunnel *t, uint32_t id)
{
	return find_out(w, t, id, NULL);
}

static void find_sas(struct esp_worker *w, struct batch *b)
{
	const struct tunnel *t = NULL;
	struct geometry g = { 0 };
	struct sa *sa = NULL;
	uint32_t id = 0;

	w->has_ah = false;
	for (uint32_t i = 0; i < b->n; i++) {
		struct pkt *p = &b->pkt[i];

		p->sa = NULL;
		if (stage_skips(p))
			continue;
		if (p->id != id) {
			id = p->id;
			t = sad_tunnel(w->sad, id);
			sa = find_out(w, t, id, p);
			if (sa)
				g = size_of(t, sa->transform);
			w->has_ah |= g.ah;
		}
		if (t && t->pfp) {
			sa = populate_find(w, p, t);
			if (!sa)
				continue; /* dropped, and counted */
			g = size_of(t, sa->transform);
			w->has_ah |= g.ah;
		}
		p->sa = sa;
		w->x[i].tunnel = t;
		w->x[i].g = g;
		w->x[i].place = (struct transport_place){ 0 };
		if (!sa)
			stage_drop(w, p, XESP_DROP_NO_SA_OUT);
		else if (lifetime_is_over(sa, w->now_ns))
			stage_drop(w, p, XESP_DROP_LIFETIME);
	}
}

/* A dummy has no header that could be read: what the outer one would take over is set here. */
static void describe_dummy(struct pkt *p, struct inner *in)
{
	*in = (struct inner){ .len = (uint16_t)p->len, .ttl = DUMMY_TTL, .df = true };
	p->inner_len = 0;
}

/*
 * Transport mode is for whole packets of this machine, RFC 4303 section 3.3.4. What came from the
 * wire with our address as its source is forged, and would get our word for it.
 */
static void place_in_own(struct esp_worker *w, struct pkt *p, struct stage_pkt *x)
{
	if (!p->local || !transport_is_between(p->l3, x->tunnel) ||
	    !transport_find_place(&x->place, p->l3, &x->inner)) {
		stage_drop(w, p, XESP_DROP_NOT_OWN);
		return;
	}
	p->udp = x->tunnel->udp != TUNNEL_UDP_NONE && !x->g.ah;
	x->g.own = x->place.len;
	x->g.hdr = (uint16_t)(x->place.len + (p->udp ? TUNNEL_UDP_LEN : 0));
	if (p->sa->proto == IPPROTO_AH ? !ah_takes(p->l3, x->place.len) :
					 p->udp && !nat_oa_takes(p->l3, x->place.len))
		stage_drop(w, p, XESP_DROP_MALFORMED_IP);
}

static void parse(struct esp_worker *w, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct inner *in = &w->x[i].inner;
		struct pkt *p = &b->pkt[i];

		if (stage_skips(p))
			continue;
		if (p->dummy) {
			describe_dummy(p, in);
			if (w->x[i].g.transport || w->x[i].g.ah)
				stage_drop(w, p, XESP_DROP_NOT_OWN); /* it has no header of its own */
			continue;
		}
		if (!inner_parse(in, p->l3, p->len)) {
			stage_drop(w, p, XESP_DROP_MALFORMED_IP);
			continue;
		}
		p->len = in->len; /* Ethernet may have padded it */
		p->inner_len = in->len;
		if (in->ttl <= 1 && !p->local) {
			stage_drop(w, p, XESP_DROP_TTL_EXPIRED);
			continue;
		}
		if (w->x[i].tunnel->flow_label == XESP_FLOW_LABEL_FLOW)
			in->label = flow_label(p->l3, in, w->x[i].tunnel->label_secret);
		if (w->x[i].g.transport)
			place_in_own(w, p, &w->x[i]);
	}
}

/* RFC 4301 section 8.2.1: the largest inner packet that fits, to the byte. */
static uint32_t inner_mtu(const struct stage_pkt *x, uint32_t mtu)
{
	uint32_t least = x->inner.version == 6 ? IP6_MTU_MIN : IP4_MTU_MIN;
	uint32_t fits = size_fits(&x->g, mtu);

	return fits < least ? least : fits;
}

/* RFC 4303 section 2.7: padded to what was asked for, but never beyond what the path takes. */
static uint32_t tfc_len(const struct pkt *p, const struct stage_pkt *x, uint32_t mtu)
{
	uint32_t fits, want = x->tunnel->tfc;

	/* AH has no padding, and in transport mode the receiver could not tell it from payload. */
	if (want <= p->len || p->probe || x->g.ah || x->g.transport)
		return p->len;
	fits = size_fits(&x->g, mtu);
	if (want > fits)
		want = fits;
	return want > p->len ? want : p->len;
}

/*
 * False: too big, and p->drop is set. In transport mode what is protected is the whole packet, RFC
 * 4303 section 3.3.4: its sender, who is us, fragments it afterwards, to p->mtu. So are the outer
 * packets around IPv6 ones of up to 1280 bytes, which every path must take: RFC 2473 section 7.1.
 */
static bool cut_later(struct esp_worker *w, struct pkt *p, const struct stage_pkt *x,
		      uint32_t total, uint32_t mtu)
{
	bool may_cut = x->inner.version == 6 && p->len <= IP6_MTU_MIN;

	if (x->g.transport)
		may_cut = x->inner.version == 6 || !x->inner.df;
	if (may_cut && total <= UINT16_MAX) {
		p->mtu = (uint16_t)mtu;
		return true;
	}
	p->mtu = (uint16_t)inner_mtu(x, mtu);
	p->fragment = !x->g.transport && !x->inner.df;
	if (p->fragment)
		p->drop = XESP_DROP_TOO_BIG; /* not lost: see esp.h */
	else
		stage_drop(w, p, XESP_DROP_TOO_BIG);
	return false;
}

static void check_size(struct esp_worker *w, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct stage_pkt *x = &w->x[i];
		struct pkt *p = &b->pkt[i];
		uint32_t mtu, padded_len, over;

		if (stage_skips(p))
			continue;
		mtu = __atomic_load_n(&x->tunnel->mtu, __ATOMIC_RELAXED);
		x->payload_len = tfc_len(p, x, mtu) - x->g.own;
		padded_len = size_padded(&x->g, x->payload_len);
		over = size_overhead(&x->g);
		if (over + padded_len > mtu && !p->probe &&
		    !cut_later(w, p, x, over + padded_len, mtu))
			continue;
		x->pad_len = (uint8_t)(padded_len - x->payload_len - x->g.trailer);
		x->text_len = padded_len;
		if ((uint32_t)(p->l3 - p->head) < over - x->g.post - x->g.own ||
		    (uint32_t)(p->end - p->l3) < x->g.own + padded_len + x->g.post)
			stage_drop(w, p, XESP_DROP_NO_TAILROOM);
	}
}

static bool take_whole_run(const struct esp_worker *w, const struct batch *b, uint32_t i,
			   uint32_t end)
{
	const struct sa *sa = b->pkt[i].sa;
	uint64_t bytes = 0;
	uint32_t n = 0;

	for (; i < end; i++) {
		if (stage_skips(&b->pkt[i]))
			continue;
		bytes += w->x[i].text_len;
		n++;
	}
	return lifetime_take(sa, n, bytes);
}

/* The run i .. end has its numbers. What is beyond its SA's hard limits goes no further. */
static void limit_run(struct esp_worker *w, struct batch *b, uint32_t i, uint32_t end)
{
	bool over;

	if (take_whole_run(w, b, i, end))
		return;
	over = lifetime_look(b->pkt[i].sa, 0); /* another worker was here first */
	/* At the end of its life: one by one, up to the last packet that fits. */
	for (; i < end; i++) {
		struct pkt *p = &b->pkt[i];

		if (stage_skips(p))
			continue;
		if (!over && lifetime_take(p->sa, 1, w->x[i].text_len))
			continue;
		lifetime_end(p->sa);
		over = true;
		stage_drop(w, p, XESP_DROP_LIFETIME);
	}
}

/* Numbers for the run of packets of one SA that begins at i; returns where it ends. */
static uint32_t number_run(struct esp_worker *w, struct batch *b, uint32_t i)
{
	struct sa *sa = b->pkt[i].sa;
	uint32_t first = i, end = i, n = 0, got;
	uint64_t seq;

	for (; end < b->n && (stage_skips(&b->pkt[end]) || b->pkt[end].sa == sa); end++)
		n += !stage_skips(&b->pkt[end]);
	got = lease_take(w->desk, sa, n, &seq);
	for (; i < end; i++) {
		struct pkt *p = &b->pkt[i];

		if (stage_skips(p))
			continue;
		if (got) {
			p->seq = seq++;
			got--;
		} else {
			/* Never wraps: RFC 4303 section 3.3.3. */
			stage_drop(w, p, lease_is_spent(sa) ? XESP_DROP_SEQ_EXHAUSTED :
							      XESP_DROP_NO_LEASE);
		}
	}
	if (sa->life != SA_LIFE_UNLIMITED)
		limit_run(w, b, first, end);
	return end;
}

static void take_numbers(struct esp_worker *w, struct batch *b)
{
	uint32_t i = 0;

	while (i < b->n) {
		if (stage_skips(&b->pkt[i]))
			i++;
		else
			i = number_run(w, b, i);
	}
}

static uint8_t next_header(const struct stage_pkt *x)
{
	if (x->g.transport)
		return x->place.next;
	switch (x->inner.version) {
	case 4:
		return ESP_NEXT_IP4;
	case 6:
		return ESP_NEXT_IP6;
	}
	return ESP_NEXT_NONE; /* RFC 4303 section 2.6 */
}

/* Of a payload that has `have` bytes so far. */
static void write_trailer(const struct stage_pkt *x, uint32_t have)
{
	static const uint8_t padding[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	uint8_t *at = x->text + x->payload_len;

	if (x->payload_len > have)
		memset(x->text + have, 0, x->payload_len - have);
	memcpy(at, padding, x->pad_len); /* RFC 4303 section 2.4; pad_len is below the alignment */
	at[x->pad_len] = x->pad_len;
	at[x->pad_len + 1] = next_header(x);
}

/* False: no IV to be had. */
static bool write_iv(struct esp_worker *w, const struct pkt *p, uint8_t *iv)
{
	const struct transform *t = p->sa->transform;

	if (t->nonce == TRANSFORM_RANDOM_IV)
		return iv_take(&w->ivs, iv);
	/* Any IV that does not repeat will do: RFC 4106 section 3.1, RFC 4543 section 3.1. */
	if (t->iv_len)
		wire_put64(iv, p->seq);
	return true;
}

/* The headers before ESP or AH are the packet's own: they move out of its way, RFC 3948 section 3.2. */
static void move_own(struct esp_worker *w, struct pkt *p, const struct stage_pkt *x)
{
	uint8_t *own = p->l3;

	p->l3 -= (uint32_t)x->g.pre + x->g.hdr - x->g.own;
	transport_move(p->l3, own, &x->place, p->udp ? IPPROTO_UDP : p->sa->proto, p->len);
	if (!p->udp)
		return;
	nat_oa_aim(p->l3, x->tunnel);
	natt_write_udp(p->l3 + x->g.own, p->len - x->g.own, x->tunnel);
	w->udp_sums |= x->tunnel->udp == TUNNEL_UDP_SUM;
}

static void write_outer(struct esp_worker *w, struct pkt *p, const struct stage_pkt *x)
{
	static const struct transport_place outer4 = { .len = 20, .next_at = 9 };
	static const struct transport_place outer6 = { .len = 40, .next_at = 6 };

	p->l3 -= (uint32_t)x->g.pre + x->g.hdr;
	outer_write(p, x->tunnel, &x->inner);
	p->udp = x->tunnel->udp != TUNNEL_UDP_NONE;
	w->udp_sums |= x->tunnel->udp == TUNNEL_UDP_SUM;
	if (x->g.ah) /* the template is ESP's */
		transport_move(p->l3, p->l3, p->l3[0] >> 4 == 6 ? &outer6 : &outer4, IPPROTO_AH,
			       p->len);
}

/* Headers before the packet, trailer behind it. */
static void lay_out(struct esp_worker *w, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct stage_pkt *x = &w->x[i];
		struct pkt *p = &b->pkt[i];
		uint8_t *esp;
		uint32_t have;

		if (stage_skips(p))
			continue;
		if (!p->local)
			inner_decrement_ttl(p->l3, &x->inner);
		x->text = p->l3 + x->g.own;
		esp = x->text - x->g.pre;
		have = p->len - x->g.own;
		p->len = size_overhead(&x->g) + x->text_len;
		p->l4_off = x->g.hdr;
		if (x->g.transport)
			move_own(w, p, x);
		else
			write_outer(w, p, x);
		if (x->g.ah) {
			ah_write(w, p, x, next_header(x));
			continue;
		}
		write_trailer(x, have);
		memcpy(esp, &p->sa->spi, 4);
		wire_put32(esp + 4, (uint32_t)p->seq);
		if (!write_iv(w, p, esp + ESP_HDR_LEN))
			stage_drop(w, p, XESP_DROP_CRYPTO_FAILED);
	}
}

static void encrypt(struct esp_worker *w, struct batch *b)
{
	(void)b;
	w->engine->encrypt(w->job, w->jobs_n);
}

static void take_encrypted(struct esp_worker *w, struct batch *b)
{
	for (uint32_t k = 0; k < w->jobs_n; k++)
		if (!w->job[k].ok)
			stage_drop(w, &b->pkt[w->job_pkt[k]], XESP_DROP_CRYPTO_FAILED);
	if (w->has_ah)
		ah_finish(w, b);
	natt_write_checksums(w, b);
}

static void look_up(struct esp_worker *w, struct batch *b)
{
	stage_begin(w);
	balance(w, b);
	stage_find_runs(w, b, 0);
	if (w->runs > STAGE_RUNS_MANY)
		fetch_outbound(w->sad, w->worker, w->run, w->runs);
	find_sas(w, b);
}

static void count(struct esp_worker *w, struct batch *b)
{
	stage_add_own(&w->stats->encap_packets, stage_count_good(w, b));
}

const struct esp_stage esp_encap_stages[] = {
	{ "look-up", look_up },
	{ "parse", parse },
	{ "size", check_size },
	{ ESP_STAGE_NUMBERS, take_numbers },
	{ "mss", mss_clamp_batch },
	{ "headers", lay_out },
	{ "jobs", job_make },
	{ ESP_STAGE_CRYPTO, encrypt },
	{ "after", take_encrypted },
	{ "counters", count },
	{ NULL, NULL },
};

void esp_encap(struct esp_worker *w, struct batch *b)
{
	for (const struct esp_stage *s = esp_encap_stages; s->run; s++)
		s->run(w, b);
}
