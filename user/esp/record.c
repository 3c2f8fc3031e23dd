/* SPDX-License-Identifier: BSD-2-Clause */
/* record.c - see record.h. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "esp/inner.h"
#include "esp/pkt.h"
#include "esp/record.h"
#include "esp/stage.h"
#include "esp/wire.h"
#include "sad/sa.h"
#include "sad/sad.h"
#include "sad/selector.h"
#include "xesp/dropped.h"

#define ESP_FIXED 8u /* SPI and sequence number */
#define AH_SPI_AT 4u /* RFC 4302 section 2 */
#define AH_FIXED 12u

static uint8_t way_of(const struct pkt *p)
{
	if (p->sa)
		return p->sa->dir == XESP_DIR_IN ? XESP_DROPPED_INBOUND : XESP_DROPPED_OUTBOUND;
	return p->policy ? XESP_DROPPED_OUTBOUND : XESP_DROPPED_INBOUND;
}

/* As on the wire: inner_selector_key() sees a packet from the end that receives it. */
static void take_header(struct xesp_dropped *d, const struct pkt *p)
{
	struct selector_key k;
	struct inner in;
	bool sides;

	if (!p->len || !inner_parse(&in, p->l3, p->len) || !inner_selector_key(&k, p->l3, &in))
		return;
	d->family = k.family;
	d->proto = k.proto;
	selector_addr_put(&d->src, &k.remote);
	selector_addr_put(&d->dst, &k.local);
	d->fields = k.fields == XESP_FIELDS_KNOWN;
	sides = k.proto != IPPROTO_ICMP && k.proto != IPPROTO_ICMPV6 && k.proto != IPPROTO_MH;
	if (!d->fields)
		return;
	d->sport = htons(sides ? k.remote_port : k.local_port);
	d->dport = htons(sides ? k.local_port : k.remote_port);
}

/* Which SA's it is, or says that it is: an SPI in the packet is nobody's word yet. */
static void take_spi(struct xesp_dropped *d, const struct pkt *p)
{
	const uint32_t at = p->l4_off;

	if (p->sa) {
		d->spi = p->sa->spi;
		d->sa = p->sa->id;
		d->seq = (uint32_t)p->seq;
	}
	if (d->seq || !at)
		return;
	if ((d->proto == IPPROTO_ESP || p->udp) && at + ESP_FIXED <= p->len) {
		memcpy(&d->spi, p->l3 + at, sizeof(d->spi));
		d->seq = wire_get32(p->l3 + at + 4);
	} else if (d->proto == IPPROTO_AH && at + AH_FIXED <= p->len) {
		memcpy(&d->spi, p->l3 + at + AH_SPI_AT, sizeof(d->spi));
		d->seq = wire_get32(p->l3 + at + AH_SPI_AT + 4);
	}
}

void record_drop(struct esp_worker *w, const struct pkt *p, enum xesp_drop why, uint64_t number)
{
	struct xesp_dropped *to, d = { .time_ns = w->now_ns, .reason = (uint8_t)why };

	if (!w->st->last)
		return;
	to = &w->st->last[w->worker * XESP_LAST_RECORDS + XESP_LAST_AT(why, number)];
	if (to->number && w->now_ns - to->time_ns < XESP_LAST_PAUSE_NS)
		return;
	d.policy = p->policy;
	d.len = (uint16_t)p->len;
	d.way = way_of(p);
	take_header(&d, p);
	take_spi(&d, p);
	/* The order that dropped.h promises; the other end is in xesp/last.c. */
	__atomic_store_n(&to->check, number, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memcpy(&to->time_ns, &d.time_ns, offsetof(struct xesp_dropped, check) - offsetof(struct xesp_dropped, time_ns));
	__atomic_store_n(&to->number, number, __ATOMIC_RELEASE);
}
