/* SPDX-License-Identifier: BSD-2-Clause */
/* ah.c - see ah.h. */
#include <netinet/in.h>
#include <string.h>

#include "crypto/transform.h"
#include "esp/ah.h"
#include "esp/stage.h"
#include "esp/wire.h"
#include "sad/sa.h"

#pragma GCC poison strcpy strcat gets memcmp

_Static_assert(AH_FIELD_MAX >= 8 + ENGINE_TAG_MAX, "an IV and the longest ICV fit");

uint32_t ah_len(const struct transform *t, bool ip6)
{
	uint32_t unit = ip6 ? 8 : 4;

	return (AH_FIXED_LEN + t->iv_len + t->icv_len + unit - 1) / unit * unit;
}

static bool is_ip6(const uint8_t *ip)
{
	return ip[0] >> 4 == 6;
}

static bool is_ah(const struct pkt *p)
{
	return !stage_skips(p) && p->sa->proto == IPPROTO_AH;
}

static struct ah_aside *aside(struct esp_worker *w, const struct stage_pkt *x)
{
	return &w->ah[x - w->x];
}

/* ---- encap */

bool ah_takes(const uint8_t *ip, uint32_t len)
{
	uint8_t copy[AH_MUTABLE_MAX];

	if (len > sizeof(copy))
		return false;
	memcpy(copy, ip, len);
	return ah_mutable_clear(copy, len, true);
}

void ah_write(struct esp_worker *w, const struct pkt *p, struct stage_pkt *x, uint8_t next)
{
	uint32_t len = ah_len(p->sa->transform, is_ip6(p->l3));
	uint8_t *ah = p->l3 + p->l4_off;

	memset(ah, 0, len); /* ICV padding too: RFC 4302 section 3.3.3.2.1 leaves it to us */
	ah[0] = next;
	ah[1] = (uint8_t)(len / 4 - 2); /* section 2.2 */
	memcpy(ah + 4, &p->sa->spi, 4);
	wire_put32(ah + AH_SEQ_AT, (uint32_t)p->seq);
	x->text = p->l3;
	x->text_len = p->len;
	memcpy(aside(w, x)->headers, p->l3, p->l4_off);
	ah_mutable_clear(p->l3, p->l4_off, true); /* ah_takes() has said that it can */
}

void ah_finish(struct esp_worker *w, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct pkt *p = &b->pkt[i];

		if (!is_ah(p))
			continue;
		if (p->sa->transform->iv_len)
			wire_put64(p->l3 + p->l4_off + AH_FIXED_LEN, p->seq);
		memcpy(p->l3, w->ah[i].headers, p->l4_off);
	}
}

/* ---- decap */

enum xesp_drop ah_check(const struct pkt *p, struct stage_pkt *x)
{
	const uint8_t *ah = p->l3 + p->l4_off;
	uint32_t len = ah_len(p->sa->transform, is_ip6(p->l3));

	/* The SA says how long it is; the packet may only agree. */
	if ((ah[1] + 2u) * 4 != len || p->len - p->l4_off < len)
		return XESP_DROP_BAD_AH;
	if (p->l4_off > AH_MUTABLE_MAX)
		return XESP_DROP_EXTHDR_DEPTH;
	x->text = p->l3;
	x->text_len = p->len;
	return XESP_DROP_NONE;
}

void ah_open(struct esp_worker *w, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct pkt *p = &b->pkt[i];
		uint32_t field;
		uint8_t *ah;

		if (!is_ah(p))
			continue;
		ah = p->l3 + p->l4_off;
		field = (uint32_t)p->sa->transform->iv_len + p->sa->transform->icv_len;
		memcpy(w->ah[i].headers, p->l3, p->l4_off);
		memcpy(w->ah[i].field, ah + AH_FIXED_LEN, field);
		memset(ah + AH_FIXED_LEN, 0, field);
		if (!ah_mutable_clear(p->l3, p->l4_off, false))
			stage_drop(w, p, XESP_DROP_MALFORMED_IP);
	}
}

void ah_opened(struct esp_worker *w, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		if (is_ah(&b->pkt[i]))
			memcpy(b->pkt[i].l3, w->ah[i].headers, b->pkt[i].l4_off);
}

void ah_payload(const struct pkt *p, struct payload *pay)
{
	uint8_t *ah = p->l3 + p->l4_off;
	uint32_t len = (ah[1] + 2u) * 4; /* ah_check() has compared it */

	*pay = (struct payload){ ah + len, p->len - p->l4_off - len, ah[0] };
}

/* ---- both */

/* Nonce of AES-GMAC: RFC 4543 sections 3.2 and 4. */
void ah_job(struct esp_worker *w, struct engine_job *j, const struct pkt *p,
	    const struct stage_pkt *x)
{
	const struct transform *t = p->sa->transform;
	struct ah_aside *a = aside(w, x);
	bool out = p->sa->dir == XESP_DIR_OUT;

	j->key = p->sa->key[w->worker];
	j->text = x->text;
	j->len = x->text_len;
	j->aad_len = 0;
	j->tag = (out ? p->l3 + p->l4_off + AH_FIXED_LEN : a->field) + t->iv_len;
	j->tag_len = t->icv_len;
	j->tail_len = 0;
	if (t->iv_len) {
		memcpy(j->nonce, p->sa->salt, 4);
		if (out)
			wire_put64(j->nonce + 4, p->seq);
		else
			memcpy(j->nonce + 4, a->field, 8);
	}
	if (p->sa->esn) { /* RFC 4302 section 3.3.3.2.2 */
		wire_put32(j->tail, (uint32_t)(p->seq >> 32));
		j->tail_len = 4;
	}
}
