/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_decap.c - bytes from the wire, and from a peer who holds the key.
 *
 * Targets: esp_decap() with outer_parse(), inner_parse(), inner_selector_key(), replay_*(), and
 * esp_encap() with inner_parse(). The first byte of the input says how the rest is used:
 *   0  it is the whole outer packet
 *   1  it is what an authentic packet holds: sealed here, so that all behind the ICV is reached
 *   2  it is a cleartext packet: encapsulated, and given back
 *   3  the same in transport mode in UDP, so that nat_oa_restore() is reached; the second byte says which IP
 * Buffers are as long as the packet says and not a byte longer, so that AddressSanitizer sees any
 * step beside it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp/wire.h"
#include "tests/pair/pair.h"

#define INPUT_MAX 2000
#define ROOM_BEFORE 64
#define ROOM_BEHIND 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pair pair;
static struct pair host[2][2]; /* transport mode in UDP: IPv4, IPv6; checksums computed, adjusted */

static void broken(const char *what)
{
	fprintf(stderr, "fuzz_decap: %s\n", what);
	abort();
}

/* A copy of the packet alone, with this much room around it. */
static uint8_t *copy_out(struct pkt *p, uint32_t before, uint32_t behind)
{
	uint8_t *buf = malloc(before + p->len + behind);

	if (!buf)
		exit(70);
	memcpy(buf + before, p->l3, p->len);
	p->head = buf;
	p->l3 = buf + before;
	p->end = p->l3 + p->len + behind;
	return buf;
}

static void check_stats(struct pair *of, const struct pkt *p)
{
	uint64_t drops = 0;

	if (p->drop >= XESP_DROP_MAX)
		broken("a reason that does not exist");
	if (p->drop == XESP_DROP_NONE && (p->l3 < p->head || p->len > (uint32_t)(p->end - p->l3)))
		broken("a packet outside its buffer");
	for (int i = 0; i < XESP_DROP_SLOTS; i++)
		drops += esp_worker_stats(of->w)->drops[i];
	if (drops != (p->drop != XESP_DROP_NONE && !p->fragment))
		broken("not counted once");
	memset(esp_worker_stats(of->w), 0, sizeof(*esp_worker_stats(of->w)));
}

static void check_result(const struct pkt *p)
{
	check_stats(&pair, p);
}

static void decap(struct pkt p)
{
	uint8_t *buf = copy_out(&p, 0, 0);

	pair_decap(&pair, &p);
	check_result(&p);
	free(buf);
}

static void fuzz_wire(const uint8_t *data, uint32_t size)
{
	static struct frame f;
	struct pkt p = pair_esp(&f, size, 20);

	memcpy(p.l3, data, size);
	if (size >= 20 && p.l3[0] == 0x45) {
		/* Half of the inputs get the fields right that hide the rest. */
		wire_put16(p.l3 + 2, size & 1 ? (uint16_t)size : wire_get16(p.l3 + 2));
		memcpy(p.l3 + 12, "\xc0\x00\x02\x01\xc0\x00\x02\x02", 8);
		pair_checksum(p.l3);
	}
	decap(p);
}

static void fuzz_inside(const uint8_t *data, uint32_t size)
{
	static struct frame f;
	static uint32_t seq;

	memcpy(f.bytes + PAIR_TEXT, data, size);
	if (data[0] >> 4 == 4 && size >= 20 && (data[0] & 15) == 5)
		pair_checksum(f.bytes + PAIR_TEXT);
	if (!++seq)
		exit(0); /* the number space is used up: a very long run */
	decap(pair_seal(&pair, &f, seq, size));
}

static void fuzz_clear(const uint8_t *data, uint32_t size)
{
	static struct frame f;
	struct pkt p = pair_clear(&f, size);
	uint8_t *buf, *back;

	memcpy(p.l3, data, size);
	if (size >= 20 && p.l3[0] == 0x45)
		pair_checksum(p.l3);
	pair.st.sa[PAIR_SA_OUT].seq_next = 1; /* the fuzzer's packets go nowhere */
	buf = copy_out(&p, ROOM_BEFORE, ROOM_BEHIND);
	pair_encap(&pair, &p);
	check_result(&p);
	if (p.drop == XESP_DROP_NONE) {
		pair_turn(&p);
		p.id = 3; /* a second inbound SA without a window: numbers repeat here */
		back = copy_out(&p, 0, 0);
		pair_decap(&pair, &p);
		if (p.drop == XESP_DROP_BAD_ICV || p.drop == XESP_DROP_BAD_PADDING ||
		    p.drop == XESP_DROP_ESP_SHORT || p.drop == XESP_DROP_MALFORMED_IP)
			broken("what was encapsulated here is not understood here");
		check_result(&p);
		free(back);
	}
	free(buf);
}

static void fuzz_host(const uint8_t *data, uint32_t size)
{
	const bool six = data[0] & 1;
	struct pair *h = &host[six][data[0] >> 1 & 1];
	static struct frame f;
	struct pkt p = pair_clear(&f, size - 1);
	uint8_t *buf, *back;

	memcpy(p.l3, data + 1, size - 1);
	if (p.len >= 40 && six) {
		p.l3[0] = 0x60;
		wire_put16(p.l3 + 4, (uint16_t)(p.len - 40));
		memcpy(p.l3 + 8, &h->tunnel_out.local, 16);
		memcpy(p.l3 + 24, &h->tunnel_out.remote, 16);
	} else if (p.len >= 20 && !six) {
		p.l3[0] = 0x45;
		wire_put16(p.l3 + 2, (uint16_t)p.len);
		memcpy(p.l3 + 12, "\xc0\x00\x02\x01\xc0\x00\x02\x02", 8);
		pair_checksum(p.l3);
	}
	p.local = true;
	h->st.sa[PAIR_SA_OUT].seq_next = 1;
	buf = copy_out(&p, ROOM_BEFORE, ROOM_BEHIND);
	pair_encap(h, &p);
	check_stats(h, &p);
	if (p.drop == XESP_DROP_NONE) {
		uint16_t l4_off = p.l4_off;
		uint32_t was = size - 1;

		pair_turn(&p);
		p.l4_off = l4_off;
		p.udp = true;
		p.id = 3;
		back = copy_out(&p, 0, 0);
		pair_decap(h, &p);
		if (p.drop == XESP_DROP_NONE && p.len != was)
			broken("not as long as it was");
		check_stats(h, &p);
		free(back);
	}
	free(buf);
}

static void add_windowless(struct pair *p)
{
	struct xesp_keymsg_sa m = p->in;

	m.id = 3;
	m.window = 0;
	pair_identify(p, &m, 0, 0);
	if (sad_add(p->sad, &m, NULL))
		broken("no second SA");
}

static void open_hosts(void)
{
	for (int i = 0; i < 4; i++) {
		const bool six = i & 1;
		struct pair_opts o = { .mode = XESP_MODE_TRANSPORT, .outer6 = six,
				       .natt = { .encap = XESP_ENCAP_UDP, .local_port = 1,
						 .remote_port = 2, .peer_port = 2 } };
		struct pair *h = &host[six][i >> 1];
		struct xesp_keymsg_tunnel in;

		pair_open(h, &o);
		in = h->tunnel_in;
		if (i & 2) {
			in.oa_remote = in.remote;
			in.oa_remote.w[3] ^= 0x01020304;
		}
		if (sad_tunnel_set(h->sad, &in, NULL))
			broken("no tunnel");
		add_windowless(h);
	}
}

static void open_pair(void)
{
	const struct pair_opts o = { 0 };

	pair_open(&pair, &o);
	add_windowless(&pair);
	open_hosts();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!pair.sad)
		open_pair();
	if (size < 2 || size > INPUT_MAX)
		return 0;
	switch (data[0] % 4) {
	case 0:
		fuzz_wire(data + 1, (uint32_t)size - 1);
		break;
	case 1:
		fuzz_inside(data + 1, (uint32_t)size - 1);
		break;
	case 2:
		fuzz_clear(data + 1, (uint32_t)size - 1);
		break;
	case 3:
		if (size > 2)
			fuzz_host(data + 1, (uint32_t)size - 1);
		break;
	}
	return 0;
}
