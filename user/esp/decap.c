/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * decap.c - ESP to cleartext, RFC 4303 section 3.4, as a list of stages over a batch.
 *
 * The window is asked before the ICV is computed, so that replays cost little, and marked only
 * after, so that a forger cannot move it. What was decrypted and then refused is wiped.
 */
#include <netinet/in.h>
#include <string.h>

#include "crypto/transform.h"
#include "esp/admit.h"
#include "esp/ecn.h"
#include "esp/esp.h"
#include "esp/job.h"
#include "esp/mss.h"
#include "esp/nat_oa.h"
#include "esp/natt.h"
#include "esp/outer.h"
#include "esp/replay.h"
#include "esp/stage.h"
#include "esp/wire.h"
#include "libxesp/secret.h"
#include "sad/fetch.h"
#include "sad/lifetime.h"
#include "sad/resync.h"
#include "sad/sa.h"
#include "sad/tunnel.h"

#pragma GCC poison strcpy strcat gets memcmp

/* Of most packets: an IPv4 header, ESP header, IV and ICV. It is only for what is asked for ahead. */
#define ESP_BESIDE 52u

static void find_sas(struct esp_worker *w, struct batch *b)
{
	const struct tunnel *t = NULL;
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
			sa = sad_find(w->sad, id);
			t = sa && sa->dir == XESP_DIR_IN ? sad_tunnel(w->sad, sa->tunnel) : NULL;
		}
		w->x[i].tunnel = t;
		w->x[i].transport = t && t->mode == XESP_MODE_TRANSPORT;
		w->has_ah |= t && sa->proto == IPPROTO_AH;
		if (t)
			p->sa = sa;
		else
			stage_drop(w, p, XESP_DROP_NO_SA);
	}
}

#define ESP_SEQ_AT 4u

/* Bytes from the start of the ESP or AH header to its sequence number; the SPI is before it. */
static uint32_t seq_at(const struct sa *sa)
{
	return sa->proto == IPPROTO_AH ? AH_SEQ_AT : ESP_SEQ_AT;
}

/* `len` bytes of ESP header and what is behind it, at `esp`. */
static enum xesp_drop find_text(struct stage_pkt *x, const struct transform *t, uint8_t *esp, uint32_t len)
{
	const uint32_t before = ESP_HDR_LEN + t->iv_len, beside = before + t->icv_len;

	if (len < beside + ESP_TRAILER_LEN)
		return XESP_DROP_ESP_SHORT;
	if (t->nonce == TRANSFORM_RANDOM_IV && (len - beside) % t->align)
		return XESP_DROP_ESP_SHORT;
	x->text_len = len - beside;
	x->text = esp + before;
	return XESP_DROP_NONE;
}

/* Cuts *len to where UDP ends. */
static bool cut_udp(struct outer *o, const struct pkt *p)
{
	struct outer cut = *o; /* likewise: only its address leaves */

	if (!natt_parse_udp(&cut, p))
		return false;
	o->len = cut.len;
	return true;
}

/*
 * The SA was found by XDP, a moment ago and in maps: that it is this packet's is looked at here,
 * RFC 4301 section 4.1. A packet that is not is not counted in the SA.
 */
static inline enum xesp_drop check_one(const struct esp_worker *w, struct pkt *p, struct stage_pkt *x,
				       bool *not_its)
{
	const struct tunnel *t = x->tunnel;
	const struct sa *sa = p->sa;
	const bool ah = w->has_ah && sa->proto == IPPROTO_AH;
	const uint32_t l4_off = p->l4_off;
	uint8_t *const l4 = p->l3 + l4_off;
	struct outer o;
	uint32_t spi;

	*not_its = true;
	if (!outer_parse(&o, p) || (p->udp && !cut_udp(&o, p)))
		return XESP_DROP_MALFORMED_IP;
	p->len = o.len; /* Ethernet may have padded it */
	x->outer_tos = o.tos;
	if (o.len - l4_off < (ah ? AH_FIXED_LEN : ESP_HDR_LEN))
		return ah ? XESP_DROP_BAD_AH : XESP_DROP_ESP_SHORT;
	memcpy(&spi, l4 + (ah ? AH_SEQ_AT - 4 : 0), sizeof(spi));
	if (spi != sa->spi || !outer_is_for(&o, t))
		return XESP_DROP_NO_SA;
	*not_its = false;
	if (lifetime_is_over(sa, w->now_ns))
		return XESP_DROP_LIFETIME;
	if (!natt_is_accepted(p, t))
		return XESP_DROP_ENCAP_MISMATCH;
	return ah ? ah_check(p, x) : find_text(x, sa->transform, l4, o.len - l4_off);
}

static void check_outer(struct esp_worker *w, struct batch *b)
{
	struct pkt *const end = b->pkt + b->n;
	struct stage_pkt *x = w->x;

	for (struct pkt *p = b->pkt; p < end; p++, x++) {
		enum xesp_drop why;
		bool not_its;

		if (stage_skips(p))
			continue;
		why = check_one(w, p, x, &not_its);
		if (__builtin_expect(why == XESP_DROP_NONE, 1))
			continue;
		if (not_its)
			p->sa = NULL;
		stage_drop(w, p, why);
	}
}

/* Before it is decrypted in place: RFC 4303 appendix A3.1. */
static void offer(struct esp_worker *w, const struct pkt *p)
{
	const struct resync_packet out = { .at = p->l3, .len = p->len, .sa = p->sa->id,
					   .l4_off = p->l4_off, .udp = p->udp };

	resync_offer(sad_resync(w->sad), &out, w->now_ns);
}

static void check_replay(struct esp_worker *w, struct batch *b)
{
	struct pkt *const end = b->pkt + b->n;

	for (struct pkt *p = b->pkt; p < end; p++) {
		enum xesp_drop why = XESP_DROP_NONE;
		const struct sa *sa = p->sa;
		uint32_t seq_lo;

		if (stage_skips(p))
			continue;
		seq_lo = wire_get32(p->l3 + p->l4_off + (w->has_ah ? seq_at(sa) : ESP_SEQ_AT));
		if (!replay_is_ahead(sa, seq_lo, &p->seq)) {
			p->seq = replay_infer(sa, seq_lo);
			why = replay_check(sa, p->seq);
		}
		if (why == XESP_DROP_REPLAY_OLD)
			replay_count_old(sa, p->seq);
		if (why != XESP_DROP_NONE)
			stage_drop(w, p, why);
		else if (sa->esn && resync_is_due(sa))
			offer(w, p);
	}
}

static void make_jobs(struct esp_worker *w, struct batch *b)
{
	if (w->has_ah)
		ah_open(w, b);
	job_make(w, b);
}

static void decrypt(struct esp_worker *w, struct batch *b)
{
	(void)b;
	w->engine->decrypt(w->job, w->jobs_n);
}

static void take_decrypted(struct esp_worker *w, struct batch *b)
{
	for (uint32_t k = 0; k < w->jobs_n; k++) {
		struct pkt *p = &b->pkt[w->job_pkt[k]];

		if (w->job[k].ok)
			continue;
		resync_failed(p->sa);
		stage_drop(w, p, XESP_DROP_BAD_ICV);
	}
	if (w->has_ah)
		ah_opened(w, b);
}

/* An authentic packet counts towards its SA's lifetime; after the first beyond it none follows. */
static bool may_still_take(const struct sa *sa, uint32_t bytes)
{
	if (!lifetime_look(sa, 0) && lifetime_take(sa, 1, bytes))
		return true;
	lifetime_end(sa);
	return false;
}

/* Marks the numbers of the run of packets of one SA that begins at i; returns where it ends. */
static uint32_t commit_run(struct esp_worker *w, struct batch *b, uint32_t i)
{
	struct sa *sa = b->pkt[i].sa;
	const struct pkt *newest = NULL;
	uint64_t lost = 0;

	sa_lock(sa->shared);
	for (; i < b->n; i++) {
		struct pkt *p = &b->pkt[i];
		enum xesp_drop why;

		if (stage_skips(p))
			continue;
		if (p->sa != sa)
			break;
		if (p->udp && replay_is_newest(sa, p->seq))
			newest = p;
		why = replay_commit_next(sa, p->seq) ? XESP_DROP_NONE : replay_commit(sa, p->seq, &lost);
		if (why == XESP_DROP_NONE && sa->life != SA_LIFE_UNLIMITED &&
		    !may_still_take(sa, w->x[i].text_len))
			why = XESP_DROP_LIFETIME;
		if (why != XESP_DROP_NONE)
			stage_wipe_and_drop(w, p, &w->x[i], why);
	}
	sa_unlock(sa->shared);
	resync_authentic(sa);
	if (newest)
		natt_note_peer(w, w->x[newest - b->pkt].tunnel, newest);
	if (lost)
		__atomic_fetch_add(&sa->state->lost, lost, __ATOMIC_RELAXED);
	return i;
}

static void commit_replay(struct esp_worker *w, struct batch *b)
{
	uint32_t i = 0;

	while (i < b->n) {
		if (stage_skips(&b->pkt[i]))
			i++;
		else
			i = commit_run(w, b, i);
	}
}

/* RFC 4303 section 2.4: the padding is 1, 2, 3, ...; what is wrong is summed, for no early exit. */
static bool padding_is_right(const uint8_t *trailer, uint32_t pad_len)
{
	uint8_t wrong = 0;

	/* As much as AEAD algorithms make, in one word: there are four bytes before the trailer always. */
	if (pad_len < 4) {
		const uint32_t unused = 32 - 8 * pad_len, word = wire_get32(trailer - 4);

		return !(((uint64_t)(word ^ (0x01020304u >> (unused & 31))) << unused) & UINT32_MAX);
	}
	for (uint32_t i = 0; i < pad_len; i++)
		wrong |= (uint8_t)(trailer[(int)i - (int)pad_len] ^ (i + 1));
	return !wrong;
}

static inline enum xesp_drop find_payload(const struct stage_pkt *x, struct payload *pay)
{
	const uint8_t *trailer = x->text + x->text_len - ESP_TRAILER_LEN;
	uint32_t pad_len = trailer[0];

	if (pad_len > x->text_len - ESP_TRAILER_LEN || !padding_is_right(trailer, pad_len))
		return XESP_DROP_BAD_PADDING;
	*pay = (struct payload){ x->text, x->text_len - ESP_TRAILER_LEN - pad_len, trailer[1] };
	return XESP_DROP_NONE;
}

/* Tunnel mode. The packet may be shorter than the payload: traffic flow padding, RFC 4303 section 2.7. */
static bool take_inner(struct pkt *p, struct stage_pkt *x, const struct payload *pay)
{
	if (!inner_parse(&x->inner, pay->at, pay->len) ||
	    pay->next != (x->inner.version == 4 ? ESP_NEXT_IP4 : ESP_NEXT_IP6))
		return false;
	p->l3 = pay->at;
	return true;
}

/* Transport mode: the packet's own headers close up with what was behind ESP or AH. */
static bool close_up(struct pkt *p, struct stage_pkt *x, const struct payload *pay)
{
	struct transport_place place;
	uint32_t off = p->l4_off - (p->udp ? TUNNEL_UDP_LEN : 0u);
	uint32_t len = off + pay->len;
	uint8_t *ip = pay->at - off;

	if (!transport_find_header(&place, p->l3, off))
		return false;
	transport_move(ip, p->l3, &place, pay->next, len);
	p->l3 = ip;
	if (!inner_parse(&x->inner, ip, len))
		return false;
	if (p->udp)
		nat_oa_restore(ip, &x->inner, off, pay->next, x->tunnel);
	return true;
}

static inline enum xesp_drop strip(const struct esp_worker *w, struct pkt *p, struct stage_pkt *x)
{
	enum xesp_drop why = XESP_DROP_NONE;
	struct payload pay, other; /* so that `pay` may stay in registers */

	if (__builtin_expect(w->has_ah && p->sa->proto == IPPROTO_AH, 0)) {
		ah_payload(p, &other);
		pay = other;
	} else {
		why = find_payload(x, &pay);
	}
	if (why != XESP_DROP_NONE)
		return why;
	if (pay.next == ESP_NEXT_NONE)
		return XESP_DROP_DUMMY;
	if (x->transport ? !close_up(p, x, &pay) : !take_inner(p, x, &pay))
		return XESP_DROP_BAD_INNER;
	p->len = x->inner.len;
	p->inner_len = x->inner.len;
	return XESP_DROP_NONE;
}

static void strip_trailers(struct esp_worker *w, struct batch *b)
{
	const bool many = w->runs > STAGE_RUNS_MANY;
	struct pkt *const end = b->pkt + b->n;
	struct stage_pkt *x = w->x;

	for (struct pkt *p = b->pkt; p < end; p++, x++) {
		enum xesp_drop why;

		if (stage_skips(p))
			continue;
		why = strip(w, p, x);
		if (why != XESP_DROP_NONE)
			stage_wipe_and_drop(w, p, x, why);
		else if (many)
			admit_fetch(w, p, x);
	}
}

/* ECN by RFC 6040 section 4.2, DSCP by RFC 2983 section 5.1: kept, or taken from the outer header. */
static void carry_marks(struct esp_worker *w, struct batch *b)
{
	struct pkt *const end = b->pkt + b->n;
	struct stage_pkt *x = w->x;

	for (struct pkt *p = b->pkt; p < end; p++, x++) {
		uint8_t ecn, tos;

		if (stage_skips(p) || x->transport) /* then there is one header, and its ECN is the packet's */
			continue;
		if (x->outer_tos == x->inner.tos && !(x->outer_tos & ECN_MASK))
			continue; /* as nearly all: whatever is taken from where, it stays */
		ecn = ecn_decap(x->outer_tos, x->inner.tos);
		if (ecn_is_alarming(x->outer_tos, x->inner.tos))
			__atomic_fetch_add(&p->sa->state->ecn_alarms, 1, __ATOMIC_RELAXED);
		if (ecn == ECN_DROP) {
			stage_wipe_and_drop(w, p, x, XESP_DROP_ECN_INVALID);
			continue;
		}
		tos = x->tunnel->dscp_in == XESP_DSCP_IN_COPY ? x->outer_tos : x->inner.tos;
		tos = (uint8_t)((tos & ~ECN_MASK) | ecn);
		if (tos != x->inner.tos)
			inner_set_tos(p->l3, &x->inner, tos);
	}
}

/*
 * Asks for the words of many packets' windows, in a loop of its own and short, so that the CPU has them on their way at
 * once. Nothing of the packets was looked at yet.
 */
static void fetch_words(const struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		const struct pkt *p = &b->pkt[i];
		uint32_t at;

		if (stage_skips(p))
			continue;
		at = p->l4_off + seq_at(p->sa);
		if (at + 4 <= p->len)
			replay_fetch(p->sa, wire_get32(p->l3 + at));
	}
}

static void look_up(struct esp_worker *w, struct batch *b)
{
	stage_begin(w);
	stage_find_runs(w, b, ESP_BESIDE);
	if (w->runs > STAGE_RUNS_MANY)
		fetch_inbound(w->sad, w->worker, w->run, w->runs);
	find_sas(w, b);
	if (w->runs > STAGE_RUNS_MANY)
		fetch_words(b);
}

static void count(struct esp_worker *w, struct batch *b)
{
	stage_add_own(&w->stats->decap_packets, stage_count_good(w, b));
}

const struct esp_stage esp_decap_stages[] = {
	{ "look-up", look_up },
	{ "parse", check_outer },
	{ "replay", check_replay },
	{ "jobs", make_jobs },
	{ ESP_STAGE_CRYPTO, decrypt },
	{ "after", take_decrypted },
	{ "commit", commit_replay },
	{ "strip", strip_trailers },
	{ "policy", admit_batch },
	{ "mss", mss_clamp_batch },
	{ "marks", carry_marks },
	{ "counters", count },
	{ NULL, NULL },
};

void esp_decap(struct esp_worker *w, struct batch *b)
{
	for (const struct esp_stage *s = esp_decap_stages; s->run; s++)
		s->run(w, b);
}

/* One packet again, under this number: does it authenticate? */
static bool try_number(struct esp_worker *w, const struct resync_packet *p, struct esp_resync *r,
		       uint64_t seq)
{
	struct batch *b = r->batch;

	memcpy(r->scratch, p->at, p->len);
	b->n = 1;
	b->pkt[0] = (struct pkt){ .l3 = r->scratch, .len = p->len, .id = p->sa, .head = r->scratch,
				  .end = r->scratch + p->len, .l4_off = p->l4_off, .udp = p->udp };
	find_sas(w, b);
	check_outer(w, b);
	if (stage_skips(&b->pkt[0]))
		return false;
	b->pkt[0].seq = seq;
	make_jobs(w, b);
	decrypt(w, b);
	if (stage_skips(&b->pkt[0]))
		return false;
	return w->jobs_n == 1 && w->job[0].ok;
}

/* What authenticates under a number above all before was never here: it cannot be a replay. */
static void jump(struct sa *sa, uint64_t seq)
{
	uint64_t lost = 0;

	sa_lock(sa->shared);
	if (replay_is_newest(sa, seq))
		replay_commit(sa, seq, &lost);
	sa_unlock(sa->shared);
	resync_authentic(sa);
	if (lost)
		__atomic_fetch_add(&sa->state->lost, lost, __ATOMIC_RELAXED);
}

bool esp_resync(struct esp_worker *w, const struct resync_packet *p, struct esp_resync *r)
{
	struct sa *sa = sad_find(w->sad, p->sa);
	bool found = false;
	uint64_t seq;

	stage_begin(w);
	/* It may have gone, or come into step by itself. */
	if (!sa || sa->dir != XESP_DIR_IN || !sa->esn || !resync_is_due(sa))
		return false;
	seq = replay_infer(sa, wire_get32(p->at + p->l4_off + seq_at(sa)));
	r->was = __atomic_load_n(&sa->state->replay_top, __ATOMIC_RELAXED);
	r->spi = ntohl(sa->spi);
	for (uint32_t i = 0; seq && i < RESYNC_TRIES && !found && seq >> 32 < UINT32_MAX; i++) {
		seq += 1ull << 32;
		found = try_number(w, p, r, seq);
	}
	secret_wipe(r->scratch, p->len);
	if (!found)
		return false;
	jump(sa, seq);
	r->now = seq;
	return true;
}
