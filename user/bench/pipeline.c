/* SPDX-License-Identifier: BSD-2-Clause */
/* pipeline.c - see pipeline.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "bench/pipeline.h"
#include "esp/esp.h"
#include "esp/wire.h"
#include "port/ring.h"
#include "worker/intake.h"
#include "xesp/fault.h"

#define ETH_LEN 14u
#define IP4_HDR 20u
#define ESP_OVER 128u /* more than ESP adds */
#define STEP 61803u   /* from one packet's pair to the next one's: prime to 1, 1000 and 100000 */
#define WIDE_AT (UMEM_CHUNK - UMEM_RX_ROOM - ETH_LEN - ESP_OVER)

struct pipeline_parts pipeline_parts[XESP_DIR_MAX];

static void name_parts(struct pipeline_parts *parts, const struct esp_stage *stages)
{
	*parts = (struct pipeline_parts){ .stages = stages, .n = 2 };
	parts->name[0] = "receive";
	parts->name[1] = "intake";
	for (const struct esp_stage *s = stages; s->run; s++) {
		if (!strcmp(s->name, ESP_STAGE_CRYPTO))
			parts->crypto = parts->n;
		parts->name[parts->n++] = s->name;
	}
	parts->name[parts->n++] = "send";
}

void pipeline_name_parts(void)
{
	name_parts(&pipeline_parts[XESP_DIR_OUT], esp_encap_stages);
	name_parts(&pipeline_parts[XESP_DIR_IN], esp_decap_stages);
}

int pipeline_open(struct pipeline *p, const struct pipeline_opts *o, struct fault *f)
{
	struct umem_size size = { .pools_n = 1 };
	int err;

	p->size = o->size;
	p->batch = o->batch;
	p->frames = o->frames;
	p->wide = o->size > WIDE_AT;
	p->wire_len = o->size + ESP_OVER;
	p->addr = calloc(p->frames, sizeof(*p->addr));
	p->sent_len = calloc(p->frames, sizeof(*p->sent_len));
	p->pair = calloc(p->frames, sizeof(*p->pair));
	p->wire = calloc(p->frames, p->wire_len);
	if (!p->addr || !p->sent_len || !p->pair || !p->wire)
		return fault_set(f, -ENOMEM, "out of memory");
	size.frames_n = 2 * PORT_RING;
	size.wides_n = p->wide ? p->frames : 0;
	err = umem_open(&p->umem, &size, f);
	if (err)
		return err;
	p->pool = umem_pool(p->umem, 0);
	for (uint32_t i = 0; p->wide && i < p->frames; i++)
		umem_take_wide(p->pool, &p->addr[i]);
	err = nic_open(&p->nic, p->pool, f);
	if (!err)
		ring_fill(&p->nic.port);
	return err;
}

void pipeline_close(struct pipeline *p)
{
	nic_close(&p->nic);
	umem_close(p->umem);
	free(p->addr);
	free(p->sent_len);
	free(p->pair);
	free(p->wire);
}

/* ---- what the NIC and XDP would have done */

static uint64_t take_frame(struct pipeline *p, uint32_t i)
{
	uint64_t addr = 0;

	if (p->wide)
		return p->addr[i];
	if (!nic_take(&p->nic, &addr))
		abort(); /* as many are filled as received */
	return addr;
}

static void give_frame(struct pipeline *p, uint64_t addr, uint32_t len)
{
	if (!p->wide)
		nic_receive(&p->nic, addr + UMEM_RX_ROOM, len + ETH_LEN);
}

static void write_clear(uint8_t *ip, uint32_t len, uint32_t pair)
{
	const uint32_t from = ends_host(pair), to = ends_other();
	uint32_t sum = 0;
	uint16_t check;

	memset(ip, 0, IP4_HDR + 8);
	ip[0] = 0x45;
	wire_put16(ip + 2, (uint16_t)len);
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, &from, sizeof(from));
	memcpy(ip + 16, &to, sizeof(to));
	for (uint32_t i = 0; i < IP4_HDR; i += 2)
		sum += wire_raw16(ip + i);
	check = (uint16_t)~wire_fold(sum);
	memcpy(ip + 10, &check, sizeof(check));
	wire_put16(ip + IP4_HDR, 1000);
	wire_put16(ip + IP4_HDR + 2, 2000);
	wire_put16(ip + IP4_HDR + 4, (uint16_t)(len - IP4_HDR));
}

static void describe(uint8_t *frame, enum xesp_dir dir, uint32_t pair)
{
	struct xesp_meta m = { .magic = XESP_META_MAGIC, .l3_off = ETH_LEN };

	m.kind = dir == XESP_DIR_OUT ? XESP_KIND_CLEAR : XESP_KIND_ESP;
	m.id = dir == XESP_DIR_OUT ? ends_out(pair) : ends_in(pair);
	if (dir == XESP_DIR_IN)
		m.l4_off = IP4_HDR / 4;
	memcpy(frame - sizeof(m), &m, sizeof(m));
}

void pipeline_feed(struct pipeline *p, enum xesp_dir dir)
{
	for (uint32_t i = 0; i < p->frames; i++) {
		const uint64_t addr = take_frame(p, i);
		uint8_t *frame = p->pool->area + addr + UMEM_RX_ROOM;
		uint32_t len = p->size;

		if (dir == XESP_DIR_OUT) {
			p->pair[i] = p->next_pair;
			p->next_pair = (uint32_t)((p->next_pair + (uint64_t)STEP) % p->ends.pairs);
			write_clear(frame + ETH_LEN, len, p->pair[i]);
		} else {
			len = p->sent_len[i];
			memcpy(frame + ETH_LEN, p->wire + (size_t)i * p->wire_len, len);
		}
		describe(frame, dir, p->pair[i]);
		give_frame(p, addr, len);
	}
	p->sent_n = 0;
}

static void leave(struct pipeline *p, const uint8_t *l3, uint32_t len)
{
	memcpy(p->wire + (size_t)p->sent_n * p->wire_len, l3, len);
	p->sent_len[p->sent_n++] = len;
}

/* After a batch: what was sent is taken off the ring, in order. */
static void drain(struct pipeline *p, enum xesp_dir dir)
{
	struct xdp_desc d;

	for (uint32_t i = 0; p->wide && i < p->b.n; i++) {
		if (dir == XESP_DIR_OUT)
			leave(p, p->b.pkt[i].l3, p->b.pkt[i].len);
		else
			p->sent_n++;
	}
	while (!p->wide && nic_sent(&p->nic, &d)) {
		if (dir == XESP_DIR_OUT)
			leave(p, p->pool->area + d.addr + ETH_LEN, d.len - ETH_LEN);
		else
			p->sent_n++;
	}
}

/* ---- the worker's part, as worker/ has it */

static uint32_t receive(struct pipeline *p, enum xesp_dir dir)
{
	const uint32_t left = p->frames - p->sent_n, n = left < p->batch ? left : p->batch;

	if (!p->wide)
		return ring_receive(&p->nic.port, p->desc, p->batch);
	for (uint32_t i = 0; i < n; i++)
		p->desc[i] = (struct xdp_desc){
			.addr = p->addr[p->sent_n + i] + UMEM_RX_ROOM,
			.len = ETH_LEN + (dir == XESP_DIR_OUT ? p->size : p->sent_len[p->sent_n + i]),
		};
	return n;
}

static void intake(struct pipeline *p, uint32_t n)
{
	const uint32_t room = p->wide ? UMEM_WIDE : UMEM_CHUNK;

	p->b.n = 0;
	for (uint32_t i = 0; i < n; i++)
		if (intake_frame(&p->b.pkt[p->b.n], p->pool->area + p->desc[i].addr, p->desc[i].len, room))
			p->b.n++;
}

static void transmit(struct pipeline *p)
{
	uint32_t n = 0;

	if (p->wide)
		return;
	for (uint32_t i = 0; i < p->b.n; i++) {
		const struct pkt *k = &p->b.pkt[i];

		if (!k->drop)
			p->desc[n++] = (struct xdp_desc){
				.addr = (uint64_t)(k->l3 - ETH_LEN - p->pool->area),
				.len = k->len + ETH_LEN,
			};
	}
	ring_send(&p->nic.port, p->desc, n);
	ring_fill(&p->nic.port);
}

bool pipeline_batch(struct pipeline *p, enum xesp_dir dir)
{
	const struct pipeline_parts *parts = &pipeline_parts[dir];
	uint32_t n, part = 0, good = 0;

	p->mark(p, dir, part++);
	n = receive(p, dir);
	p->mark(p, dir, part++);
	intake(p, n);
	for (const struct esp_stage *s = parts->stages; s->run; s++) {
		p->mark(p, dir, part++);
		s->run(p->ends.w, &p->b);
	}
	p->mark(p, dir, part++);
	transmit(p);
	p->mark(p, dir, part);
	for (uint32_t i = 0; i < p->b.n; i++)
		good += !p->b.pkt[i].drop;
	drain(p, dir);
	return n && good == n;
}
