/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_udpencap.c - UDP on a port where ESP in UDP is received, from anybody.
 *
 * Targets: parse_frame() and natt_parse() as XDP runs them; natt_parse_udp() and what decap does
 * behind it. The first byte says which. Buffers end where the input does, so that AddressSanitizer
 * sees any step beyond.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/natt_parse.h"
#include "esp/wire.h"
#include "tests/pair/pair.h"

#define INPUT_MAX 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const char *what)
{
	fprintf(stderr, "fuzz_udpencap: %s\n", what);
	abort();
}

/* What is called ESP has its SPI inside the frame and the packet, and is no marker. */
static void fuzz_frame(const uint8_t *data, uint32_t size)
{
	uint8_t *buf = malloc(size + 2), *frame = buf + 2; /* 2 modulo 4, see parse.h */
	struct packet p = { 0 };
	uint32_t at;
	__be32 spi = 0;

	memcpy(frame, data, size);
	if (!parse_frame(frame, frame + size, size, &p) && p.proto == IPPROTO_UDP && !p.flaw &&
	    p.ports_known && p.fragment == FRAGMENT_NONE) {
		enum natt_content what = natt_parse(frame, frame + size, &p, &spi);

		at = (uint32_t)p.l3_off + p.l4_off + NATT_UDP_LEN;
		if (what == NATT_CONTENT_ESP &&
		    (!spi || at + NATT_ESP_LEN > size ||
		     p.l4_off + (uint32_t)NATT_UDP_LEN + NATT_ESP_LEN > p.l3_len ||
		     memcmp(&spi, frame + at, sizeof(spi))))
			broken("ESP that is not there");
		if (what == NATT_CONTENT_IKE && (at + 4 > size || wire_get32(frame + at)))
			broken("IKE without its marker");
		if (what == NATT_CONTENT_KEEPALIVE && (at + 1 > size || frame[at] != 0xff))
			broken("a keepalive that is none");
	}
	free(buf);
}

static void fuzz_decap(struct pair *pair, const uint8_t *data, uint32_t size)
{
	static struct frame f;
	struct pkt p = pair_esp(&f, size, 28);
	uint8_t *exact = malloc(size);

	memcpy(exact, data, size);
	p.l3 = p.head = exact;
	p.end = exact + size;
	p.udp = true;
	if (size >= 36 && exact[0] == 0x45) {
		wire_put16(exact + 2, (uint16_t)size);
		memcpy(exact + 12, "\xc0\x00\x02\x01\xc0\x00\x02\x02", 8);
		wire_put32(exact + 28, PAIR_SPI);
		pair_checksum(exact);
	}
	if (pair_decap(pair, &p) == XESP_DROP_NONE)
		broken("a forged packet was taken");
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pair pair;

	if (!pair.sad)
		pair_open(&pair, &(struct pair_opts){ .natt = { .encap = XESP_ENCAP_UDP, .follow_peer = 1,
								.local_port = 1, .remote_port = 1,
								.peer_port = 1 } });
	if (size < 2 || size > INPUT_MAX)
		return 0;
	if (data[0] & 1)
		fuzz_decap(&pair, data + 1, (uint32_t)size - 1);
	else
		fuzz_frame(data + 1, (uint32_t)size - 1);
	return 0;
}
