/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_ah.c - AH from the wire, and from a peer who holds the key; transport mode of our own packets.
 *
 * Targets: esp_decap() and esp_encap() with ah.c, ah_mutable.c, transport.c and outer_parse(). The first
 * byte of the input says how the rest is used:
 *   bit 0     IPv6, else IPv4
 *   bit 1     transport mode, else tunnel mode
 *   bits 2-3  0: it is the whole packet; 1, 2: the headers before AH and what AH protects, sealed here,
 *             so that all behind the ICV is reached; 3: a cleartext packet of this machine
 *   bits 4-7  with 0, 1, 2: words of options or extension headers before AH
 * Buffers end where the packet does, so that AddressSanitizer sees any step beside it.
 */
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp/ah_mutable.h"
#include "esp/wire.h"
#include "tests/pair/pair.h"

#define INPUT_MAX 2000
#define ROOM_BEFORE 96
#define ICV_LEN 16
#define AH_LEN4 28
#define AH_LEN6 32 /* four bytes of padding */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pair pairs[4];

static void broken(const char *what)
{
	fprintf(stderr, "fuzz_ah: %s\n", what);
	abort();
}

static void check_result(struct pair *pair, const struct pkt *p)
{
	uint64_t drops = 0;

	if (p->drop >= XESP_DROP_MAX)
		broken("a reason that does not exist");
	if (p->drop == XESP_DROP_NONE && (p->l3 < p->head || p->len > (uint32_t)(p->end - p->l3)))
		broken("a packet outside its buffer");
	for (int i = 0; i < XESP_DROP_SLOTS; i++)
		drops += esp_worker_stats(pair->w)->drops[i];
	if (drops != (p->drop != XESP_DROP_NONE && !p->fragment))
		broken("not counted once");
	memset(esp_worker_stats(pair->w), 0, sizeof(*esp_worker_stats(pair->w)));
}

static enum xesp_drop decap(struct pair *pair, const uint8_t *bytes, uint32_t len, uint32_t l4_off)
{
	uint8_t *buf = malloc(len);
	struct pkt p = { .l3 = buf, .len = len, .head = buf, .end = buf + len, .id = PAIR_SA_IN,
			 .l4_off = (uint16_t)l4_off };

	if (!buf)
		exit(70);
	memcpy(buf, bytes, len);
	pair->st.sa[PAIR_SA_IN].replay_top = 0; /* each input is judged by itself */
	memset(pair->st.replay, 0, 64 * sizeof(*pair->st.replay));
	pair_decap(pair, &p);
	check_result(pair, &p);
	free(buf);
	return p.drop;
}

/* The fields that hide the rest of the code when they are wrong. */
static void set_headers(uint8_t *ip, uint32_t len, uint32_t l4_off, bool ip6, bool chain)
{
	if (ip6) {
		ip[0] = 0x60 | (ip[0] & 15);
		wire_put16(ip + 4, (uint16_t)(len - 40));
		memset(ip + 8, 0, 32);
		memcpy(ip + 8, "\x20\x01\x0d\xb8", 4);
		memcpy(ip + 24, "\x20\x01\x0d\xb8", 4);
		ip[23] = 1;
		ip[39] = 2;
		if (chain && l4_off == 40)
			ip[6] = IPPROTO_AH;
		else if (chain)
			ip[41] = (uint8_t)((l4_off - 40) / 8 - 1);
		return;
	}
	ip[0] = (uint8_t)(0x40 | l4_off / 4);
	wire_put16(ip + 2, (uint16_t)len);
	ip[9] = IPPROTO_AH;
	memcpy(ip + 12, "\xc0\x00\x02\x01\xc0\x00\x02\x02", 8);
	pair_checksum(ip);
}

static void fuzz_sealed(struct pair *pair, const uint8_t *data, uint32_t size, uint32_t l4_off,
			bool ip6, bool chain)
{
	uint32_t ah_len = ip6 ? AH_LEN6 : AH_LEN4, len = size + ah_len - 1;
	uint8_t packet[INPUT_MAX + 64], text[INPUT_MAX + 64], icv[EVP_MAX_MD_SIZE], *ah;
	enum xesp_drop why;
	unsigned int n;

	if (size < l4_off + 1)
		return;
	memcpy(packet, data + 1, l4_off); /* the first byte is AH's next header */
	ah = packet + l4_off;
	memset(ah, 0, ah_len);
	ah[0] = data[0];
	ah[1] = (uint8_t)(ah_len / 4 - 2);
	wire_put32(ah + 4, PAIR_SPI);
	wire_put32(ah + 8, 1);
	memcpy(ah + ah_len, data + 1 + l4_off, size - 1 - l4_off);
	set_headers(packet, len, l4_off, ip6, chain);
	memcpy(text, packet, len);
	if (!ah_mutable_clear(text, l4_off, false)) {
		if (decap(pair, packet, len, l4_off) == XESP_DROP_NONE)
			broken("accepted, though its ICV cannot be computed");
		return;
	}
	HMAC(EVP_sha256(), pair->out.key, 32, text, len, icv, &n);
	memcpy(ah + 12, icv, ICV_LEN);
	why = decap(pair, packet, len, l4_off);
	if (why == XESP_DROP_BAD_ICV)
		broken("an authentic packet is called forged");
}

static void fuzz_own(struct pair *pair, const uint8_t *data, uint32_t size, bool ip6)
{
	uint32_t room = ROOM_BEFORE + size;
	uint8_t *buf = malloc(room);
	struct pkt p = { .l3 = buf + ROOM_BEFORE, .len = size, .head = buf, .end = buf + room,
			 .id = PAIR_TUNNEL_OUT, .local = true };
	enum xesp_drop why;

	if (!buf)
		exit(70);
	memcpy(p.l3, data, size);
	if (ip6 ? size >= 40 : size >= 20 && (data[0] & 15) * 4u <= size && (data[0] & 15) >= 5) {
		uint8_t next = ip6 ? p.l3[6] : p.l3[9];

		set_headers(p.l3, size, ip6 ? 40 : (data[0] & 15) * 4u, ip6, false);
		p.l3[ip6 ? 6 : 9] = next;
		if (!ip6)
			pair_checksum(p.l3);
	}
	pair->st.sa[PAIR_SA_OUT].seq_next = 1; /* the fuzzer's packets go nowhere */
	pair_encap(pair, &p);
	check_result(pair, &p);
	if (p.drop == XESP_DROP_NONE) {
		why = decap(pair, p.l3, p.len, p.l4_off);
		/* A packet that has not used its route up is not for the address it is sent to. */
		if (why == XESP_DROP_BAD_ICV || why == XESP_DROP_BAD_AH)
			broken("what was encapsulated here is not understood here");
	}
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool ip6 = size && data[0] & 1, transport = size && data[0] & 2;
	struct pair *pair = &pairs[ip6 + 2 * transport];
	const struct pair_opts o = { .outer6 = ip6, .ah = true, .auth = XESP_AUTH_HMAC_SHA2_256_128,
				     .mode = transport ? XESP_MODE_TRANSPORT : XESP_MODE_TUNNEL };
	uint32_t l4_off;

	if (size < 3 || size > INPUT_MAX)
		return 0;
	if (!pair->sad)
		pair_open(pair, &o);
	l4_off = ip6 ? 40 + (data[0] >> 4) * 8u : 20 + (data[0] >> 4) % 11 * 4u;
	switch (data[0] >> 2 & 3) {
	case 0:
		decap(pair, data + 1, (uint32_t)size - 1, l4_off);
		break;
	case 3:
		fuzz_own(pair, data + 1, (uint32_t)size - 1, ip6);
		break;
	default:
		fuzz_sealed(pair, data + 1, (uint32_t)size - 1, l4_off, ip6, data[0] & 4);
	}
	return 0;
}
