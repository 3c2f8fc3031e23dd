/* SPDX-License-Identifier: BSD-2-Clause */
/* job.c - see job.h. */
#include <netinet/in.h>
#include <string.h>

#include "crypto/transform.h"
#include "esp/job.h"
#include "esp/stage.h"
#include "esp/wire.h"
#include "sad/sa.h"

#define COUNTER_FIRST 1 /* RFC 3686 section 4 */

static inline void set_nonce(struct engine_job *j, const struct sa *sa, uint64_t seq, const uint8_t *iv)
{
	const struct transform *t = sa->transform;
	const uint8_t salt_len = t->salt_len;

	switch ((enum transform_nonce)t->nonce) {
	case TRANSFORM_NO_NONCE:
		return;
	case TRANSFORM_SALT_IV: /* RFC 4106 section 4, RFC 7634 section 2, RFC 4309 section 4 */
		memcpy(j->nonce, sa->salt, 4);
		memcpy(j->nonce + salt_len, iv, 8);
		return;
	case TRANSFORM_SALT_SEQ: /* RFC 8750 section 4 */
		memcpy(j->nonce, sa->salt, 4);
		wire_put64(j->nonce + salt_len, seq);
		return;
	case TRANSFORM_SALT_IV_COUNTER: /* RFC 3686 section 4 */
		memcpy(j->nonce, sa->salt, 4);
		memcpy(j->nonce + 4, iv, 8);
		wire_put32(j->nonce + 12, COUNTER_FIRST);
		return;
	case TRANSFORM_RANDOM_IV: /* RFC 3602 section 3 */
		memcpy(j->nonce, iv, 16);
		return;
	}
}

/* Associated data of RFC 4106 section 5, RFC 7634 section 2.1, RFC 4309 section 5. */
static inline void set_aad(struct engine_job *j, const struct sa *sa, uint64_t seq, const uint8_t *esp)
{
	if (!sa->esn) {
		j->aad = esp;
		j->aad_len = ESP_HDR_LEN;
		return;
	}
	memcpy(j->made, esp, 4);
	wire_put64(j->made + 4, seq);
	j->aad = j->made;
	j->aad_len = 12;
}

/* RFC 4303 section 3.3.2.1: from the SPI to the end of the ciphertext, and the number's upper half. */
static void set_packet(struct engine_job *j, const struct pkt *p, const struct transform *t,
		       const uint8_t *esp)
{
	j->aad = esp;
	j->aad_len = (uint16_t)(ESP_HDR_LEN + t->iv_len);
	if (p->sa->esn) {
		wire_put32(j->tail, (uint32_t)(p->seq >> 32));
		j->tail_len = 4;
	}
}

/* What is read of the packet is read first: the bytes that are stored might be part of it, for all the compiler knows. */
static inline void set_job(struct engine_job *j, const struct pkt *p, const struct stage_pkt *x, uint32_t worker)
{
	const uint8_t *esp = p->l3 + p->l4_off;
	const struct sa *sa = p->sa;
	const struct transform *t = sa->transform;
	const uint64_t seq = p->seq;

	j->key = sa->key[worker];
	j->text = x->text;
	j->len = x->text_len;
	j->tag = x->text + x->text_len;
	j->tag_len = t->icv_len;
	j->tail_len = 0;
	set_nonce(j, sa, seq, esp + ESP_HDR_LEN);
	if (t->covers_packet)
		set_packet(j, p, t, esp);
	else
		set_aad(j, sa, seq, esp);
	if (t->covers_iv) { /* RFC 4543 section 3.3 */
		j->text -= t->iv_len;
		j->len += t->iv_len;
	}
}

void job_make(struct esp_worker *w, struct batch *b)
{
	const uint32_t n = b->n, worker = w->worker;
	const bool has_ah = w->has_ah;
	struct engine_job *j = w->job;
	uint16_t *at = w->job_pkt;

	for (uint32_t i = 0; i < n; i++) {
		const struct pkt *p = &b->pkt[i];

		if (stage_skips(p))
			continue;
		*at++ = (uint16_t)i;
		if (__builtin_expect(has_ah && p->sa->proto == IPPROTO_AH, 0))
			ah_job(w, j++, p, &w->x[i]);
		else
			set_job(j++, p, &w->x[i], worker);
	}
	w->jobs_n = (uint32_t)(j - w->job);
}
