/* SPDX-License-Identifier: BSD-2-Clause */
/* dry.c - see dry.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "esp/dry.h"
#include "esp/esp.h"
#include "esp/size.h"
#include "esp/stage.h"
#include "sad/lease.h"
#include "sad/lifetime.h"
#include "sad/sa.h"
#include "sad/tunnel.h"

#define HEADROOM 256  /* as much as a received frame has */
#define TAILROOM 512

struct room {
	struct batch batch;
	uint8_t buf[HEADROOM + UINT16_MAX + TAILROOM];
};

/* As the stage "numbers" would find it, without taking one. */
static enum xesp_drop look_at_numbers(const struct sa *sa, uint32_t text_len)
{
	uint64_t next = __atomic_load_n(&sa->state->seq_next, __ATOMIC_RELAXED);
	uint64_t end = __atomic_load_n(&sa->state->lease_end, __ATOMIC_RELAXED);

	if (!next || next > end)
		return lease_is_spent(sa) ? XESP_DROP_SEQ_EXHAUSTED : XESP_DROP_NO_LEASE;
	if (sa->life != SA_LIFE_UNLIMITED && !lifetime_has_room(sa, 1, text_len))
		return XESP_DROP_LIFETIME;
	return XESP_DROP_NONE;
}

static void tell_sa(struct dry *d, const struct sa *sa, const struct stage_pkt *x)
{
	d->sa = sa->id;
	d->spi = ntohl(sa->spi);
	d->next = __atomic_load_n(&sa->state->seq_next, __ATOMIC_RELAXED);
	d->lease_end = __atomic_load_n(&sa->state->lease_end, __ATOMIC_RELAXED);
	d->last = sa->out.seq_max;
	d->mtu = __atomic_load_n(&x->tunnel->mtu, __ATOMIC_RELAXED);
	d->inner_mtu = size_fits(&x->g, d->mtu);
}

/* The stages that only look; the next one takes. */
static void look(struct esp_worker *w, struct batch *b)
{
	w->dry = true;
	for (const struct esp_stage *s = esp_encap_stages; strcmp(s->name, ESP_STAGE_NUMBERS) != 0; s++)
		s->run(w, b);
	w->dry = false;
}

int dry_run(struct esp_worker *w, struct dry *d)
{
	struct room *room;
	struct pkt *p;

	if (d->len > UINT16_MAX)
		return -E2BIG;
	room = calloc(1, sizeof(*room));
	if (!room)
		return -ENOMEM;
	p = &room->batch.pkt[0];
	*p = (struct pkt){ .l3 = room->buf + HEADROOM,
			   .len = d->len,
			   .id = d->id,
			   .head = room->buf,
			   .end = room->buf + sizeof(room->buf),
			   .policy = d->policy,
			   .local = d->own };
	room->batch.n = 1;
	memcpy(p->l3, d->ip, d->len);
	look(w, &room->batch);
	d->why = p->drop;
	d->tunnel = p->id;
	if (p->sa) {
		tell_sa(d, p->sa, &w->x[0]);
		d->outer_len = size_overhead(&w->x[0].g) + size_padded(&w->x[0].g, d->len - w->x[0].g.own);
	}
	if (!p->drop) {
		d->cut_after = p->mtu != 0;
		d->outer_len = size_overhead(&w->x[0].g) + w->x[0].text_len;
		d->why = look_at_numbers(p->sa, w->x[0].text_len);
	}
	free(room);
	return 0;
}
