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

/* The checksum is of the header as it stands at `at`. */
static void put_ends(uint8_t *at, uint32_t src, uint32_t dst)
{
	struct ip ip;
	uint32_t sum = 0;
	uint16_t word;

	memcpy(&ip, at, sizeof(ip));
	ip.ip_src.s_addr = src;
	ip.ip_dst.s_addr = dst;
	ip.ip_sum = 0;
	for (size_t i = 0; i < sizeof(ip); i += 2) {
		memcpy(&word, (uint8_t *)&ip + i, sizeof(word));
		sum += word;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	ip.ip_sum = (uint16_t)~(sum + (sum >> 16));
	memcpy(at, &ip, sizeof(ip));
}

static void put_ip(uint8_t *at, uint32_t src, uint32_t dst, uint8_t proto, uint32_t len)
{
	const struct ip ip = { .ip_v = 4, .ip_hl = 5, .ip_len = htons((uint16_t)len), .ip_ttl = 64,
			       .ip_p = proto };

	memcpy(at, &ip, sizeof(ip));
	put_ends(at, src, dst);
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

/* Of two that have no divisor in common every multiple of the one, modulo the other, is another one. */
static bool are_coprime(uint32_t a, uint32_t b)
{
	while (b) {
		const uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a == 1;
}

static uint32_t step_through(uint32_t tunnels)
{
	uint32_t step = (uint32_t)((uint64_t)tunnels * 61803 / 100000);

	while (!are_coprime(step, tunnels))
		step++;
	return step;
}

void source_open(struct source *s, const struct source_spec *spec)
{
	const struct engine_key_spec key = { .alg = XESP_ALG_AES_GCM_16, .dir = XESP_DIR_OUT,
					     .key = spec->key, .key_len = 16 };
	struct fault f = { "" };

	memset(s, 0, sizeof(*s));
	s->spec = *spec; /* longer than HEADERS: 64 bytes inside at least */
	s->seq = spec->seq;
	if (spec->tunnels)
		s->step = step_through(spec->tunnels);
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

static uint32_t plus(uint32_t network_order, uint32_t n)
{
	return htonl(ntohl(network_order) + n);
}

/* RFC 4106, with ESN. */
static void make_job(struct source *s, uint8_t *at, uint32_t spi, const uint8_t salt[4])
{
	struct engine_job *j = &s->job[s->jobs_n++];

	*j = (struct engine_job){ .key = s->key, .text = at + s->text_off, .len = s->text_len,
				  .aad = j->made, .aad_len = 12,
				  .tag = at + s->text_off + s->text_len, .tag_len = ICV_LEN };
	memcpy(j->nonce, salt, 4);
	put64(j->nonce + 4, s->seq);
	memcpy(j->made, &spi, 4);
	put64(j->made + 4, s->seq);
}

static void number(struct source *s, uint8_t *at)
{
	const uint32_t low = htonl((uint32_t)s->seq);

	memcpy(at + s->text_off - IV_LEN - 4, &low, sizeof(low));
	put64(at + s->text_off - IV_LEN, s->seq);
}

/* The packet at `at`, whose headers are the template's, becomes one of the next tunnel's. */
static void turn_to_next(struct source *s, uint8_t *at)
{
	const struct source_spec *spec = &s->spec;
	const uint32_t i = s->tunnel, salt = htonl(i), spi = htonl(ntohl(spec->spi) + 2 * i);
	uint8_t *ip = at + ETH_LEN;

	if (!spec->esp) {
		put_ends(ip, spec->src, plus(spec->dst, i));
	} else {
		put_ends(ip, plus(spec->outer_src, i), spec->outer_dst);
		memcpy(ip + sizeof(struct ip), &spi, sizeof(spi));
		put_ends(at + s->text_off, plus(spec->src, i), spec->dst);
		number(s, at);
		make_job(s, at, spi, (const uint8_t *)&salt);
	}
	s->tunnel = (uint32_t)(((uint64_t)i + s->step) % spec->tunnels);
	if (!s->tunnel)
		s->seq++; /* each had one of this number */
}

/* 64 flows in all, or one of each tunnel if those are more. */
static uint16_t next_port(struct source *s)
{
	const uint32_t tunnels = s->spec.tunnels ? s->spec.tunnels : 1;
	const uint32_t of_each = tunnels < FLOWS ? FLOWS / tunnels : 1;

	return htons((uint16_t)(1000 + s->flow++ / tunnels % of_each));
}

void source_frame(struct source *s, uint8_t *at)
{
	const uint16_t port = next_port(s);
	uint8_t *inner = at + (s->spec.esp ? s->text_off : ETH_LEN);

	/*
	 * Headers and trailer; what is between may be anything, so it is what the last round left
	 * there, and the first one finds zeros.
	 */
	memcpy(at, s->template, HEADERS);
	memcpy(at + s->frame_len - ENDS, s->template + s->frame_len - ENDS, ENDS);
	memcpy(inner + sizeof(struct ip), &port, sizeof(port));
	if (s->spec.tunnels) {
		turn_to_next(s, at);
		return;
	}
	if (!s->spec.esp)
		return;
	number(s, at);
	if (s->key)
		make_job(s, at, s->spec.spi, s->spec.key + 16);
	s->seq++;
}

uint64_t source_unused(const struct source *s)
{
	return s->seq + (s->tunnel ? 1 : 0);
}

void source_seal(struct source *s)
{
	if (s->jobs_n)
		choice_engine()->encrypt(s->job, s->jobs_n);
	s->jobs_n = 0;
}
