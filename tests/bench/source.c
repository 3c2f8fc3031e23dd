/* SPDX-License-Identifier: BSD-2-Clause */
/* source.c - see source.h. */
#include <arpa/inet.h>
#include <endian.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/choice.h"
#include "tests/bench/source.h"
#include "xesp/fault.h"

#define ETH_LEN 14
#define ESP_LEN 8
#define IV_LEN 8
#define ICV_LEN 16
#define FLOWS 64
#define HEADERS (ETH_LEN + 20 + ESP_LEN + IV_LEN + 20 + 8 + 4) /* and what the sink looks at */
#define ENDS (ICV_LEN + 2 + 3)

static void put_ip(uint8_t *at, uint32_t src, uint32_t dst, uint8_t proto, uint32_t len)
{
	struct ip ip = { .ip_v = 4, .ip_hl = 5, .ip_len = htons((uint16_t)len), .ip_ttl = 64,
			 .ip_p = proto, .ip_src.s_addr = src, .ip_dst.s_addr = dst };
	uint32_t sum = 0;
	uint16_t word;

	for (size_t i = 0; i < sizeof(ip); i += 2) {
		memcpy(&word, (uint8_t *)&ip + i, sizeof(word));
		sum += word;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	ip.ip_sum = (uint16_t)~(sum + (sum >> 16));
	memcpy(at, &ip, sizeof(ip));
}

static void put_inner(const struct source *s, uint8_t *at)
{
	const uint32_t size = s->spec.size;
	struct udphdr udp = { .uh_sport = htons(1000), .uh_dport = htons(2000),
			      .uh_ulen = htons((uint16_t)(size - sizeof(struct ip))) };

	put_ip(at, s->spec.src, s->spec.dst, IPPROTO_UDP, size);
	memcpy(at + sizeof(struct ip), &udp, sizeof(udp));
	for (uint32_t i = sizeof(struct ip) + sizeof(udp); i < size; i++)
		at[i] = (uint8_t)i;
}

static void put_esp(struct source *s)
{
	const uint32_t size = s->spec.size, pad = (4 - (size + 2) % 4) % 4;
	uint8_t *ip = s->template + ETH_LEN, *text;

	s->text_off = ETH_LEN + sizeof(struct ip) + ESP_LEN + IV_LEN;
	s->text_len = size + pad + 2;
	s->frame_len = s->text_off + s->text_len + ICV_LEN;
	put_ip(ip, s->spec.outer_src, s->spec.outer_dst, IPPROTO_ESP, s->frame_len - ETH_LEN);
	memcpy(ip + sizeof(struct ip), &s->spec.spi, 4);
	text = s->template + s->text_off;
	put_inner(s, text);
	for (uint32_t i = 0; i < pad; i++)
		text[size + i] = (uint8_t)(i + 1);
	text[size + pad] = (uint8_t)pad;
	text[size + pad + 1] = IPPROTO_IPIP;
}

void source_open(struct source *s, const struct source_spec *spec)
{
	const struct engine_key_spec key = { .alg = XESP_ALG_AES_GCM_16, .dir = XESP_DIR_OUT,
					     .key = spec->key, .key_len = 16 };
	struct fault f = { "" };

	memset(s, 0, sizeof(*s));
	s->spec = *spec; /* longer than HEADERS: 64 bytes inside at least */
	s->seq = spec->seq;
	memcpy(s->template, spec->dst_mac, 6);
	memcpy(s->template + 6, spec->src_mac, 6);
	s->template[12] = 8;
	if (spec->esp) {
		put_esp(s);
	} else {
		put_inner(s, s->template + ETH_LEN);
		s->frame_len = ETH_LEN + spec->size;
	}
	if (!spec->sealed)
		return;
	/* The generator must not be what is measured: it takes the faster engine where there is one. */
	if (choice_open("ipsec-mb", getenv("XESP_BUILD"), &f) && choice_open("openssl", NULL, &f)) {
		fprintf(stderr, "traffic: %s\n", f.text);
		exit(70);
	}
	s->key = choice_engine()->key_open(&key, &f);
	if (!s->key) {
		fprintf(stderr, "traffic: the engine takes no key: %s\n", f.text);
		exit(70);
	}
}

static void put64(uint8_t *at, uint64_t v)
{
	v = htobe64(v);
	memcpy(at, &v, sizeof(v));
}

/* RFC 4106, with ESN. */
static void make_job(struct source *s, uint8_t *at)
{
	struct engine_job *j = &s->job[s->jobs_n++];

	*j = (struct engine_job){ .key = s->key, .text = at + s->text_off, .len = s->text_len,
				  .aad = j->made, .aad_len = 12,
				  .tag = at + s->text_off + s->text_len, .tag_len = ICV_LEN };
	memcpy(j->nonce, s->spec.key + 16, 4);
	put64(j->nonce + 4, s->seq);
	memcpy(j->made, &s->spec.spi, 4);
	put64(j->made + 4, s->seq);
}

void source_frame(struct source *s, uint8_t *at)
{
	const uint16_t port = htons((uint16_t)(1000 + s->flow++ % FLOWS));
	uint8_t *inner = at + (s->spec.esp ? s->text_off : ETH_LEN);
	const uint32_t low = htonl((uint32_t)s->seq);

	/*
	 * Headers and trailer; what is between may be anything, so it is what the last round left
	 * there, and the first one finds zeros.
	 */
	memcpy(at, s->template, HEADERS);
	memcpy(at + s->frame_len - ENDS, s->template + s->frame_len - ENDS, ENDS);
	memcpy(inner + sizeof(struct ip), &port, sizeof(port));
	if (!s->spec.esp)
		return;
	memcpy(at + s->text_off - IV_LEN - 4, &low, sizeof(low));
	put64(at + s->text_off - IV_LEN, s->seq);
	if (s->key)
		make_job(s, at);
	s->seq++;
}

void source_seal(struct source *s)
{
	if (s->jobs_n)
		choice_engine()->encrypt(s->job, s->jobs_n);
	s->jobs_n = 0;
}
