/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_reassembly.c - packets that come in pieces: a frame of several AF_XDP descriptors, and an outer
 * packet that the kernel put together from fragments.
 *
 * Targets: gather_add() and intake_frame() behind it; esp_in_read(), as whom the input's datagram comes
 * from a socket; and decapsulation behind either. The first byte says which. Every chunk and buffer must
 * come back, and nothing that was not sealed may be taken.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port/gather.h"
#include "slow/esp_in.h"
#include "tests/pair/pair.h"
#include "tests/unit/user/maps.h"
#include "worker/intake.h"

#define FRAMES 16u
#define WIDES 2u
#define INPUT_MAX 16000
#define PIECE_MAX (UMEM_CHUNK - UMEM_RX_ROOM)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const char *what)
{
	fprintf(stderr, "fuzz_reassembly: %s\n", what);
	abort();
}

static void decap(struct pkt *p)
{
	static struct pair pair;

	if (!pair.sad)
		pair_open(&pair, &(struct pair_opts){ 0 });
	if (pair_decap(&pair, p) == XESP_DROP_NONE)
		broken("a forged packet was taken");
}

/* The metadata is the fuzzer's, too: another XDP program may have written it. */
static void look_at_frame(struct umem_pool *pool, uint64_t addr, uint32_t len)
{
	struct pkt p;
	unsigned int kind = intake_frame(&p, pool->area + addr, len, UMEM_WIDE);

	if (!kind && p.drop != XESP_DROP_BAD_META && p.drop != XESP_DROP_MALFORMED_IP)
		broken("a frame refused for no reason of its own");
	if (!kind)
		return;
	if (p.l3 < pool->area + addr || p.l3 + p.len > pool->area + addr + len)
		broken("a packet outside of its frame");
	if (kind == XESP_KIND_ESP)
		decap(&p);
}

static bool add(struct umem_pool *pool, struct gather *g, const uint8_t *from, uint32_t len, bool goes_on)
{
	struct xdp_desc d = { .len = len, .options = goes_on ? XDP_PKT_CONTD : 0 };
	const size_t meta = g->going ? 0 : sizeof(struct xesp_meta);
	uint64_t addr = 0;

	if (len < meta || !umem_take(pool, UMEM_HAND, &addr))
		return false;
	d.addr = addr + UMEM_RX_ROOM;
	d.len = len - (uint32_t)meta;
	memcpy(pool->area + d.addr - meta, from, len);
	if (gather_add(g, pool, &d) == GATHER_WHOLE) {
		if (g->len > GATHER_FRAME_MAX)
			broken("a frame larger than any");
		look_at_frame(pool, gather_frame(g), g->len);
		umem_put_wide(pool, gather_frame(g));
	}
	return true;
}

/* Each piece: two bytes of length, the highest bit that it goes on, and as many bytes. */
static void fuzz_gather(const uint8_t *data, uint32_t size)
{
	static const struct umem_size dims = { .pools_n = 1, .frames_n = FRAMES, .wides_n = WIDES };
	static struct umem *umem;
	uint32_t by_owner[UMEM_OWNERS];
	struct gather g = { 0 };
	struct umem_pool *pool;

	if (!umem && umem_open(&umem, &dims, NULL))
		exit(70);
	pool = umem_pool(umem, 0);
	while (size > 2) {
		const uint32_t said = ((uint32_t)data[0] << 8 | data[1]) & 0x7fff;
		const bool goes_on = data[0] & 0x80;
		uint32_t len = said < size - 2 ? said : size - 2;

		len = len < PIECE_MAX ? len : PIECE_MAX;
		if (!add(pool, &g, data + 2, len, goes_on))
			break;
		data += 2 + len;
		size -= 2 + len;
	}
	gather_abandon(&g, pool);
	if (!umem_census(pool, by_owner) || by_owner[UMEM_FREE] != FRAMES + WIDES * UMEM_WIDE_CHUNKS)
		broken("a chunk is lost");
}

/* An SA of ours by its SPI, so that decapsulation is reached. */
static void fill_maps(struct pins *pins)
{
	struct xesp_sa_in_key key = { .dst.w = { 0, 0, htonl(0xffff), htonl(0xc0000202) },
				      .spi = htonl(PAIR_SPI), .proto = IPPROTO_ESP };
	const struct xesp_sa_in_val sa = { .sa_id = PAIR_SA_IN, .tunnel = 1 };
	const __be16 port = htons(4500);
	const __u32 one = 1;

	maps_open(pins);
	maps_set(pins, PINS_ENDPOINTS, &key.dst, &one);
	maps_set(pins, PINS_SA_IN, &key, &sa);
	key.proto = IPPROTO_AH;
	maps_set(pins, PINS_SA_IN, &key, &sa);
	maps_set(pins, PINS_NATT_PORT, &port, &one);
}

static void check_read(const struct pkt *p, const uint8_t *buf)
{
	if (!p->len || p->drop)
		return;
	if (p->l3 < buf || p->l3 + p->len > buf + ESP_IN_ROOM || p->l4_off + 8u > p->len)
		broken("a packet outside of its buffer");
	if (!p->id)
		broken("a packet of no SA");
}

/* The socket is a pair of ours: IPv4 raw sockets hand over the packet with its header. */
static void fuzz_esp_in(const uint8_t *data, uint32_t size, uint8_t proto)
{
	static struct esp_in in = { .fd6 = -1 };
	static struct pins pins;
	static int out = -1;
	static uint8_t buf[ESP_IN_ROOM];
	int fd[2];
	struct pkt p;

	if (out < 0) {
		if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fd))
			exit(70);
		out = fd[0];
		in.fd4 = fd[1];
		in.pins = &pins;
		fill_maps(&pins);
	}
	in.proto = proto;
	if (send(out, data, size, 0) != (ssize_t)size)
		return;
	if (!esp_in_read(&in, in.fd4, buf, &p))
		broken("a datagram is gone");
	check_read(&p, buf);
	if (p.len && !p.drop && proto != IPPROTO_AH)
		decap(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > INPUT_MAX)
		return 0;
	switch (data[0] & 3) {
	case 0:
		fuzz_esp_in(data + 1, (uint32_t)size - 1, IPPROTO_ESP);
		break;
	case 1:
		fuzz_esp_in(data + 1, (uint32_t)size - 1, IPPROTO_UDP);
		break;
	case 2:
		fuzz_esp_in(data + 1, (uint32_t)size - 1, IPPROTO_AH);
		break;
	default:
		fuzz_gather(data + 1, (uint32_t)size - 1);
	}
	return 0;
}
