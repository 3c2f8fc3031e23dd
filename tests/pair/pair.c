/* SPDX-License-Identifier: BSD-2-Clause */
/* pair.c - see pair.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/choice.h"
#include "crypto/transform.h"
#include "esp/wire.h"
#include "libxesp/addr.h"
#include "libxesp/line.h"
#include "libxesp/secret.h"
#include "tests/pair/pair.h"
#include "xesp/dropped.h"
#include "xesp/fault.h"

#define POLICIES 8

/* Written out, not read from crypto/transform.c: tests that use it would agree with any mistake there. */
#define EACH_KEY(alg, auth, ...)                                                                   \
	{ XESP_ALG_##alg, XESP_AUTH_##auth, 16, __VA_ARGS__ },                                     \
	{ XESP_ALG_##alg, XESP_AUTH_##auth, 24, __VA_ARGS__ },                                     \
	{ XESP_ALG_##alg, XESP_AUTH_##auth, 32, __VA_ARGS__ }
#define EACH_HMAC(alg, ...)                                                                        \
	EACH_KEY(alg, HMAC_SHA2_256_128, 32, __VA_ARGS__(16)),                                     \
	EACH_KEY(alg, HMAC_SHA2_384_192, 48, __VA_ARGS__(24)),                                     \
	EACH_KEY(alg, HMAC_SHA2_512_256, 64, __VA_ARGS__(32))
#define CBC_LENGTHS(icv) 0, 16, icv, 16
#define CTR_LENGTHS(icv) 4, 8, icv, 4
const struct pair_cipher pair_ciphers[PAIR_CIPHERS] = {
	/* key of the ICV, salt, IV, ICV, alignment */
	EACH_KEY(AES_GCM_16, NONE, 0, 4, 8, 16, 4),
	EACH_KEY(AES_GCM_12, NONE, 0, 4, 8, 12, 4),
	EACH_KEY(AES_GCM_8, NONE, 0, 4, 8, 8, 4),
	EACH_KEY(AES_GCM_16_IIV, NONE, 0, 4, 0, 16, 4),
	{ XESP_ALG_CHACHA20_POLY1305, XESP_AUTH_NONE, 32, 0, 4, 8, 16, 4 },
	{ XESP_ALG_CHACHA20_POLY1305_IIV, XESP_AUTH_NONE, 32, 0, 4, 0, 16, 4 },
	EACH_KEY(AES_CCM_16, NONE, 0, 3, 8, 16, 4),
	EACH_KEY(AES_CCM_12, NONE, 0, 3, 8, 12, 4),
	EACH_KEY(AES_CCM_8, NONE, 0, 3, 8, 8, 4),
	EACH_KEY(AES_CCM_8_IIV, NONE, 0, 3, 0, 8, 4),
	EACH_KEY(AES_GMAC, NONE, 0, 4, 8, 16, 4),
	{ XESP_ALG_NULL, XESP_AUTH_HMAC_SHA2_256_128, 0, 32, 0, 0, 16, 4 },
	{ XESP_ALG_NULL, XESP_AUTH_HMAC_SHA2_384_192, 0, 48, 0, 0, 24, 4 },
	{ XESP_ALG_NULL, XESP_AUTH_HMAC_SHA2_512_256, 0, 64, 0, 0, 32, 4 },
	EACH_HMAC(AES_CBC, CBC_LENGTHS),
	EACH_HMAC(AES_CTR, CTR_LENGTHS),
};

const struct engine *pair_engine = &engine_openssl;

static void must(int err, const struct fault *f, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "pair: %s: %s (%d)\n", what, f->text, err);
	exit(70);
}

const char *pair_build_dir(void)
{
	static char dir[256];
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	char *tests;

	dir[n < 0 ? 0 : n] = '\0';
	tests = strstr(dir, "/tests/");
	if (tests)
		*tests = '\0';
	return dir;
}

bool pair_use_ipsecmb(void)
{
	struct fault f = { "" };

	const int err = choice_open("ipsec-mb", pair_build_dir(), &f);

	if (err == -ENOTSUP) {
		fprintf(stderr, "SKIPPED: %s\n", f.text);
		return false;
	}
	must(err, &f, "ipsec-mb"); /* there, and broken: nothing to pass over */
	pair_engine = choice_engine();
	return true;
}

void pair_use_openssl(void)
{
	choice_close();
	pair_engine = &engine_openssl;
}

static struct xesp_addr address(const char *text)
{
	struct fault f = { "" };
	struct xesp_addr a;

	must(addr_parse(&a, text, &f), &f, text);
	return a;
}

static void alloc_maps(struct sad_state *st)
{
	*st = (struct sad_state){
		/* Mapped maps begin at a page. */
		.sa = line_alloc(PAIR_SAS * sizeof(*st->sa)),
		.replay = line_alloc(PAIR_WORDS * sizeof(*st->replay)),
		.policy = line_alloc(POLICIES * sizeof(*st->policy)),
		.worker = line_alloc(XESP_WORKERS_MAX * sizeof(*st->worker)),
		.last = line_alloc(PAIR_WORKERS * XESP_LAST_RECORDS * sizeof(*st->last)),
		.max_sas = PAIR_SAS,
		.replay_words = PAIR_WORDS,
		.max_policies = POLICIES,
	};
	if (!st->sa || !st->replay || !st->policy || !st->worker || !st->last)
		exit(70);
}

static void describe_tunnels(struct pair *p, const struct pair_opts *o)
{
	struct xesp_addr a = address(o->outer6 ? "2001:db8::1" : "192.0.2.1");
	struct xesp_addr b = address(o->outer6 ? "2001:db8::2" : "192.0.2.2");

	p->tunnel_out = (struct xesp_keymsg_tunnel){
		.id = PAIR_TUNNEL_OUT, .sa_out = PAIR_SA_OUT, .name = "out", .local = a,
		.remote = b, .mtu = o->mtu ? o->mtu : 1500, .ttl = o->ttl ? o->ttl : o->ttl_copy ? 0 : 64,
		.df = o->df, .dscp = o->dscp, .dscp_value = o->dscp_value, .ecn = o->ecn,
		.tfc = o->tfc, .mode = o->mode, .natt = o->natt, .flow_label = o->flow_label,
	};
	if (o->dscp_map)
		memcpy(p->tunnel_out.dscp_map, o->dscp_map, sizeof(p->tunnel_out.dscp_map));
	p->tunnel_in = (struct xesp_keymsg_tunnel){
		.id = PAIR_TUNNEL_IN, .name = "in", .local = b, .remote = a, .ttl = 64,
		.dscp_in = o->dscp_in,
		.mode = o->mode, .natt = o->natt,
	};
	p->tunnel_in.natt.local_port = o->natt.peer_port;
	p->tunnel_in.natt.remote_port = p->tunnel_in.natt.peer_port = o->natt.local_port;
}

static void describe_sas(struct pair *p, const struct pair_opts *o)
{
	const uint8_t alg = o->alg || o->ah ? o->alg : XESP_ALG_AES_GCM_16;
	const struct transform *t = transform_find(alg, o->auth);
	struct xesp_keymsg_sa sa = {
		.id = PAIR_SA_OUT, .tunnel = PAIR_TUNNEL_OUT, .spi = htonl(PAIR_SPI),
		.dir = XESP_DIR_OUT, .esn = o->esn, .alg = alg, .auth = o->auth,
		.key_len = o->ah ? 0 : o->key_len ? o->key_len : t->key_len[0],
		.auth_key_len = o->ah && t->key_len[0] ? t->key_len[0] : t->auth_key_len, .salt_len = t->salt_len, .lease_first = 1,
		.proto = o->ah ? IPPROTO_AH : IPPROTO_ESP,
		.lease_last = o->lease ? o->lease : 1000000,
	};

	for (uint8_t i = 0; i < sa.key_len + sa.auth_key_len; i++)
		sa.key[i] = (uint8_t)(i * 7 + 1);
	memcpy(sa.salt, "salt", sa.salt_len);
	p->out = sa;
	sa.id = PAIR_SA_IN;
	sa.tunnel = PAIR_TUNNEL_IN;
	sa.dir = XESP_DIR_IN;
	sa.lease_first = sa.lease_last = 0;
	sa.window = o->window ? o->window : 64;
	p->in = sa;
}

void pair_identify(struct pair *p, const struct xesp_keymsg_sa *m, uint32_t replay_off,
		   uint32_t replay_words)
{
	struct xesp_sa_state *st = &p->st.sa[m->id];
	uint8_t fingerprint[SECRET_FINGERPRINT_LEN];

	secret_fingerprint(fingerprint, m->key, (size_t)m->key_len + m->auth_key_len, m->salt,
			   m->salt_len);
	*st = (struct xesp_sa_state){
		.name = "pair", .spi = m->spi, .dir = m->dir, .in_use = 1, .esn = m->esn, .proto = m->proto,
		.replay_off = replay_off, .replay_words = replay_words, .window = m->window,
	};
	memcpy(&st->fingerprint, fingerprint, sizeof(fingerprint));
}

#define ROWS_MAX 16
#define ROW_ID 32 /* policies of the SPD have ids from here */

void pair_allow(struct pair *p, uint32_t tunnel, const struct list_row *row, uint16_t n)
{
	struct list_row in[ROWS_MAX];

	for (uint16_t i = 0; i < n; i++) {
		in[i] = row[i];
		in[i].id = ROW_ID + i;
		in[i].in_only = true;
		if (!in[i].action)
			in[i].action = XESP_ACTION_PROTECT;
		if (in[i].action == XESP_ACTION_PROTECT && !in[i].tunnel)
			in[i].tunnel = tunnel;
	}
	if (list_commit(p->list, in, n, XESP_ACTION_DISCARD))
		exit(70);
}

void pair_open(struct pair *p, const struct pair_opts *o)
{
	static const struct list_row allowed[] = {
		{ .local = "10.2.0.0/24", .remote = "10.1.0.0/24" },
		{ .local = "2001:db8:2::/48", .remote = "2001:db8:1::/48" },
		{ .local = "192.0.2.2/32", .remote = "192.0.2.1/32" },
		{ .local = "2001:db8::2/128", .remote = "2001:db8::1/128" },
	};
	struct fault f = { "" };
	uint32_t words = 2;

	*p = (struct pair){ 0 };
	alloc_maps(&p->st);
	list_memory_open(&p->spd, 1024, 64);
	p->st.spd = &p->spd;
	p->list = list_open(&p->spd);
	describe_tunnels(p, o);
	describe_sas(p, o);
	while (64 * (words - 1) < p->in.window)
		words *= 2;
	pair_identify(p, &p->out, 0, 0);
	pair_identify(p, &p->in, 16, words);
	must(sad_open(&p->sad, &p->st, PAIR_WORKERS, pair_engine, &f), &f, "SAD");
	must(sad_tunnel_set(p->sad, &p->tunnel_out, &f), &f, "tunnel 1");
	must(sad_tunnel_set(p->sad, &p->tunnel_in, &f), &f, "tunnel 2");
	pair_allow(p, PAIR_TUNNEL_IN, allowed, o->mode ? 4 : 2);
	must(sad_add(p->sad, &p->out, &f), &f, "SA 1");
	must(sad_add(p->sad, &p->in, &f), &f, "SA 2");
	must(esp_worker_open(&p->w, p->sad, PAIR_MAIN, &f), &f, "worker");
}

void pair_close(struct pair *p)
{
	esp_worker_close(p->w);
	sad_close(p->sad);
	list_close(p->list);
	list_memory_close(&p->spd);
	free(p->st.sa);
	free(p->st.replay);
	free(p->st.policy);
	free(p->st.worker);
	free(p->st.last);
}

struct pkt pair_clear(struct frame *f, uint32_t len)
{
	return (struct pkt){
		.l3 = f->bytes + PAIR_HEADROOM, .len = len, .head = f->bytes,
		.end = f->bytes + sizeof(f->bytes), .id = PAIR_TUNNEL_OUT, .policy = PAIR_POLICY,
	};
}

struct pkt pair_esp(struct frame *f, uint32_t len, uint16_t l4_off)
{
	struct pkt p = pair_clear(f, len);

	p.id = PAIR_SA_IN;
	p.policy = 0;
	p.l4_off = l4_off;
	return p;
}

void pair_checksum(uint8_t *ip)
{
	uint32_t sum = 0;

	ip[10] = ip[11] = 0;
	for (int i = 0; i < (ip[0] & 15) * 4; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
}

void pair_set_tos(uint8_t *ip, uint8_t tos)
{
	if (ip[0] >> 4 == 4) {
		ip[1] = tos;
		pair_checksum(ip);
	} else {
		ip[0] = (uint8_t)(0x60 | tos >> 4);
		ip[1] = (uint8_t)((ip[1] & 0xf) | tos << 4);
	}
}

static void put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void make_ip4(uint8_t *ip, uint32_t len)
{
	static const uint8_t head[20] = { 0x45, 0, 0, 0, 0, 7, 0x40, 0, 64, IPPROTO_UDP, 0, 0,
					  10, 1, 0, 2, 10, 2, 0, 2 };

	memcpy(ip, head, sizeof(head));
	put16(ip + 2, len);
	pair_checksum(ip);
}

static void make_ip6(uint8_t *ip, uint32_t len)
{
	static const uint8_t head[40] = { 0x60, 0, 0, 0, 0, 0, IPPROTO_UDP, 64,
					  0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
					  0x20, 1, 0xd, 0xb8, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2 };

	memcpy(ip, head, sizeof(head));
	put16(ip + 4, len - 40);
}

struct pkt pair_make(struct frame *f, int version, uint32_t len)
{
	uint8_t *ip = f->bytes + PAIR_HEADROOM;
	uint32_t hdr_len = version == 4 ? 20 : 40;

	memset(f, 0xee, sizeof(*f));
	if (version == 4)
		make_ip4(ip, len);
	else
		make_ip6(ip, len);
	for (uint32_t i = hdr_len; i < len; i++)
		ip[i] = (uint8_t)(i * 31);
	if (len >= hdr_len + 8) {
		put16(ip + hdr_len, 1000);
		put16(ip + hdr_len + 2, 2000);
		put16(ip + hdr_len + 4, len - hdr_len);
		put16(ip + hdr_len + 6, 0);
	}
	return pair_clear(f, len);
}

struct pkt pair_seal(struct pair *p, struct frame *f, uint32_t seq, uint32_t len)
{
	struct engine_key_spec spec = {
		.alg = p->out.alg, .dir = XESP_DIR_OUT, .key = p->out.key,
		.key_len = p->out.key_len,
	};
	const uint8_t icv_len = transform_find(p->out.alg, XESP_AUTH_NONE)->icv_len;
	struct engine_key *key = pair_engine->key_open(&spec, NULL);
	uint8_t *ip = f->bytes + PAIR_HEADROOM, *esp = ip + 20, *text = esp + 16;
	struct engine_job j = { .key = key, .text = text, .len = len, .tag = text + len,
				.tag_len = icv_len, .aad_len = 8 };
	static const uint8_t head[20] = { 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 50, 0, 0,
					  192, 0, 2, 1, 192, 0, 2, 2 };

	memcpy(ip, head, 20);
	put16(ip + 2, 36 + len + icv_len);
	pair_checksum(ip);
	wire_put32(esp, PAIR_SPI);
	wire_put32(esp + 4, seq);
	wire_put32(esp + 8, seq); /* an IV of another making, that ends like padding */
	wire_put32(esp + 12, 0x01020301);
	memcpy(j.nonce, p->out.salt, 4);
	memcpy(j.nonce + 4, esp + 8, 8);
	j.aad = j.made;
	memcpy(j.made, esp, 8);
	pair_engine->encrypt(&j, 1);
	pair_engine->key_close(key);
	return pair_esp(f, 36 + len + icv_len, 20);
}

typedef void (*transform_fn)(struct esp_worker *w, struct batch *b);

static enum xesp_drop one(struct pair *p, struct pkt *pkt, transform_fn fn)
{
	static struct batch b;

	b.n = 1;
	b.pkt[0] = *pkt;
	fn(p->w, &b);
	*pkt = b.pkt[0];
	return pkt->drop;
}

enum xesp_drop pair_encap(struct pair *p, struct pkt *pkt)
{
	return one(p, pkt, esp_encap);
}

enum xesp_drop pair_decap(struct pair *p, struct pkt *pkt)
{
	return one(p, pkt, esp_decap);
}

void pair_turn(struct pkt *pkt)
{
	pkt->id = PAIR_SA_IN;
	pkt->policy = 0;
	pkt->sa = NULL;
	pkt->l4_off = pkt->l3[0] >> 4 == 4 ? 20 : 40;
	pkt->udp = pkt->l3[pkt->l4_off == 20 ? 9 : 6] == IPPROTO_UDP;
	if (pkt->udp)
		pkt->l4_off += 8;
}
